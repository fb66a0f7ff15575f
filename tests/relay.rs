//! Bodies that a relay cannot carry, for requests of the application's own.

mod support;

use std::time::Duration;

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, multiaddr::Protocol, noise, relay, swarm::SwarmEvent,
    tcp, yamux,
};
use libp2p_http_proxy::{
    Client, Config, ExchangeError, HttpProxyBehaviour, OutboundFailure, Request, Response,
};
use libp2p_swarm::NetworkBehaviour;

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
    // A response to HEAD has a length and no body.
    let answer = send("HEAD", LIMIT, 0).await.expect("has no body");
    assert_eq!(answer.head.status(), 200);
}
