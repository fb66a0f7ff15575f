//! Relays, for requests of the application's own: bodies that one cannot carry, and ways through one that a request names.

mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, multiaddr::Protocol, noise, relay, swarm::SwarmEvent,
    tcp, yamux,
};
use libp2p_http_proxy::{
    Client, Config, Destination, ExchangeError, HttpProxyBehaviour, OutboundFailure, Request,
    Response, Stats,
};
#[cfg(feature = "tokio")]
use libp2p_http_proxy::{Gateway, GatewayConfig};
use libp2p_swarm::NetworkBehaviour;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

#[cfg(feature = "tokio")]
use self::support::exchange;
use self::support::{name, within};

/// What the relay carries.
const LIMIT: u64 = 20_000;

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p_swarm::derive_prelude")]
struct Behaviour {
    http: HttpProxyBehaviour,
    relayed: relay::client::Behaviour,
}

fn relay() -> Swarm<relay::Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .expect("noise takes any key")
        .with_behaviour(|key| {
            let config = relay::Config {
                max_circuit_bytes: LIMIT,
                ..relay::Config::default()
            };
            relay::Behaviour::new(key.public().to_peer_id(), config)
        })
        .expect("making a behaviour cannot fail")
        .build()
}

fn node() -> Swarm<Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .expect("noise takes any key")
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .expect("noise takes any key")
        .with_behaviour(|key, relayed| Behaviour {
            http: HttpProxyBehaviour::new(key.public().to_peer_id(), Config::default()),
            relayed,
        })
        .expect("making a behaviour cannot fail")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

/// Drives a swarm until it listens.
async fn address<B: NetworkBehaviour>(swarm: &mut Swarm<B>, at: Multiaddr) -> Multiaddr {
    swarm.listen_on(at).expect("has a transport");
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return address;
        }
    }
}

/// A client that reaches a service only through a relay; the service sends as many bytes as its path says.
async fn stand() -> (Client, PeerId) {
    let mut relay = relay();
    let at = "/ip4/127.0.0.1/tcp/0".parse().expect("is an address");
    let place = within(address(&mut relay, at)).await;
    relay.add_external_address(place.clone());
    let circuit = place
        .with(Protocol::P2p(*relay.local_peer_id()))
        .with(Protocol::P2pCircuit);
    tokio::spawn(async move { while relay.next().await.is_some() {} });

    let mut server = node();
    let through = within(address(&mut server, circuit)).await;
    let peer = *server.local_peer_id();
    let accepted = server.behaviour_mut().http.accept(name("app"));
    let mut requests = accepted.expect("the name is free");
    tokio::spawn(async move { while server.next().await.is_some() {} });
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            let length = inbound.request.head.target()[1..].parse();
            let body = vec![b'x'; length.expect("is a length")];
            let response = Response::new(200, body).expect("is a response");
            // Cut where the client refuses it.
            let _ = inbound.responder.send(response).await;
        }
    });

    let mut client = node();
    client.behaviour_mut().http.add_peer_address(peer, through);
    let handle = client.behaviour().http.client();
    tokio::spawn(async move {
        loop {
            let event = client.select_next_some().await;
            if let SwarmEvent::Behaviour(BehaviourEvent::Relayed(
                relay::client::Event::OutboundCircuitEstablished {
                    relay_peer_id,
                    limit,
                },
            )) = event
            {
                let bytes = limit.and_then(|limit| limit.data_in_bytes());
                let http = &mut client.behaviour_mut().http;
                http.set_relay_limit(relay_peer_id, bytes);
            }
        }
    });
    (handle, peer)
}

fn is_kept(client: &Client, before: Stats) {
    let now = client.stats();
    // More may have been opened ahead of need since.
    assert!(now.idle_streams >= before.idle_streams, "{now:?}");
    assert_eq!(now.reused, before.reused);
}

#[tokio::test]
async fn a_body_that_the_relay_cannot_carry_is_refused() {
    let (client, peer) = stand().await;
    let send = async |method: &str, length: u64, body: usize| {
        let request = Request::new(method, &format!("/{length}"), "test", vec![b'x'; body]);
        let sent = client.send(peer, name("app"), request.expect("is a request"));
        within(sent).await
    };
    let answer = send("GET", 10, 0).await.expect("fits");
    assert_eq!(
        within(answer.body.collect(10)).await.expect("a body").len(),
        10
    );

    // The stream on which such a request would have been sent is kept for the next.
    let before = client.stats();
    let refused = send("POST", 10, 20_000).await;
    assert!(
        matches!(
            refused,
            Err(OutboundFailure::Exchange(
                ExchangeError::RequestBeyondRelay {
                    length: LIMIT,
                    limit: LIMIT
                }
            ))
        ),
        "{refused:?}"
    );
    is_kept(&client, before);
    #[cfg(feature = "tokio")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let place = listener.local_addr().expect("is bound");
        let gateway = Gateway::new(client.clone(), PeerId::random(), GatewayConfig::default());
        tokio::spawn(gateway.serve(listener, std::future::pending()));
        let post = format!(
            "POST /http/{peer}/app/10 HTTP/1.1\nHost: localhost\nContent-Length: {LIMIT}\nConnection: close\n\n"
        );
        let (answer, _) = within(exchange(place, &post)).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        is_kept(&client, before);
    }

    let refused = send("GET", LIMIT, 0).await;
    assert!(
        matches!(
            refused,
            Err(OutboundFailure::Exchange(
                ExchangeError::ResponseBeyondRelay {
                    length: LIMIT,
                    limit: LIMIT
                }
            ))
        ),
        "{refused:?}"
    );
    // A response to HEAD has a length and no body.
    let answer = send("HEAD", LIMIT, 0).await.expect("has no body");
    assert_eq!(answer.head.status(), 200);
}

/// A port that leads to another one, once it is open. Whoever has connected before is counted by the first, and waits.
async fn gate(to: &Multiaddr) -> (Multiaddr, Arc<Semaphore>, Arc<Semaphore>) {
    let to: SocketAddr = match to.iter().collect::<Vec<_>>()[..] {
        [Protocol::Ip4(ip), Protocol::Tcp(port)] => (ip, port).into(),
        ref other => panic!("not over TCP: {other:?}"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("is bound").port();
    let [waiting, open] = [0, 0].map(|none| Arc::new(Semaphore::new(none)));
    let (counted, opened) = (Arc::clone(&waiting), Arc::clone(&open));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counted.add_permits(1);
            let opened = Arc::clone(&opened);
            tokio::spawn(async move {
                let _open = opened.acquire().await.expect("stays");
                let mut far = TcpStream::connect(to).await.expect("is listened to");
                // Ends with the dial.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let place = format!("/ip4/127.0.0.1/tcp/{port}");
    (place.parse().expect("is an address"), waiting, open)
}

#[tokio::test]
async fn a_relay_is_reached_by_others_whatever_address_of_it_a_request_names() {
    let loopback: Multiaddr = "/ip4/127.0.0.1/tcp/0".parse().expect("is an address");
    let (mut server, mut stranger) = (node(), relay());
    let peer = *server.local_peer_id();
    let at = within(address(&mut server, loopback.clone())).await;
    let elsewhere = within(address(&mut stranger, loopback)).await;
    let accepted = server.behaviour_mut().http.accept(name("app"));
    let mut requests = accepted.expect("the name is free");
    tokio::spawn(async move { while server.next().await.is_some() {} });
    tokio::spawn(async move { while stranger.next().await.is_some() {} });
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            let response = Response::new(200, "here").expect("is a response");
            let _ = inbound.responder.send(response).await;
        }
    });
    let (at, at_waiting, at_open) = gate(&at).await;
    let (elsewhere, elsewhere_waiting, elsewhere_open) = gate(&elsewhere).await;

    let mut swarm = node();
    swarm.behaviour_mut().http.add_peer_address(peer, at);
    let client = swarm.behaviour().http.client();
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    let send = |to: Destination| {
        let client = client.clone();
        let request = Request::new("GET", "/", "test", ()).expect("is a request");
        tokio::spawn(async move { client.send(to, name("app"), request).await })
    };
    // Through the peer as a relay, which is said to be where somebody else is: both of its addresses are dialled.
    let through = elsewhere
        .with(Protocol::P2p(peer))
        .with(Protocol::P2pCircuit);
    let misled = send(Destination::new(PeerId::random()).with_addresses([through]));
    let came = async {
        for waiting in [&elsewhere_waiting, &at_waiting] {
            waiting.acquire().await.expect("stays").forget();
        }
    };
    within(came).await;

    let asked = send(peer.into());
    // It has a dial of its own, which goes on when the other one has met the stranger.
    let own = within(at_waiting.acquire()).await;
    own.expect("stays").forget();
    elsewhere_open.add_permits(1);
    let misled = within(misled).await.expect("does not panic");
    assert!(misled.is_err(), "{misled:?}");
    at_open.add_permits(2);
    let response = within(asked).await.expect("does not panic");
    assert_eq!(response.expect("a response").head.status(), 200);
}
