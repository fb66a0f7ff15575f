//! Addresses that come with a request: they are dialled for it, and for nobody else.

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use libp2p::{Multiaddr, Swarm, multiaddr::Protocol as Part, swarm::SwarmEvent};
use libp2p_http_proxy::{
    Body, Client, Config, Destination, HttpProxyBehaviour, OutboundFailure, Payload, Request,
    Response,
};
use libp2p_identity::PeerId;
use libp2p_swarm_test::SwarmExt as _;
use tokio::net::{TcpListener, TcpStream};

use self::support::{Node, Wire, name, within};

async fn node(config: Config) -> Node {
    Node::start(Wire::Tcp, config, Duration::from_secs(60)).await
}

/// A node whose service `app` answers every request.
async fn server() -> Node {
    let node = node(Config::default()).await;
    let mut requests = node.accept(&name("app")).await;
    tokio::spawn(async move {
        while let Some(inbound) = futures::StreamExt::next(&mut requests).await {
            let response = Response::new(200, "here").expect("is a response");
            let _sent = inbound.responder.send(response).await;
        }
    });
    node
}

fn get() -> Request<Payload> {
    Request::new("GET", "/", "test", ()).expect("is a request")
}

fn at(peer: PeerId, address: &Multiaddr) -> Destination {
    Destination::new(peer).with_addresses([address.clone()])
}

async fn send(
    client: &Client,
    to: impl Into<Destination>,
) -> Result<Response<Body>, OutboundFailure> {
    within(client.send(to, name("app"), get())).await
}

async fn reaches(client: &Client, to: impl Into<Destination>) {
    let response = send(client, to).await.expect("a response");
    assert_eq!(response.head.status(), 200);
    within(response.body.collect(1024)).await.expect("is whole");
}

fn multiaddr(address: SocketAddr) -> Multiaddr {
    let ip = Multiaddr::empty().with(address.ip().into());
    ip.with(Part::Tcp(address.port()))
}

fn socket(address: &Multiaddr) -> SocketAddr {
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Part::Ip4(ip)), Some(Part::Tcp(port))) => (ip, port).into(),
        other => panic!("not over TCP: {other:?}"),
    }
}

/// An address at which somebody takes connections and says nothing, for as long as the listener lives.
async fn silence() -> (TcpListener, Multiaddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = multiaddr(listener.local_addr().expect("is bound"));
    (listener, address)
}

#[tokio::test]
async fn a_peer_that_nobody_knows_is_reached_and_not_remembered() {
    let (client, server) = (node(Config::default()).await, server().await);
    let (peer, address) = (server.peer, server.address.clone());
    let unknown = send(&client.client, peer).await;
    assert!(matches!(unknown, Err(OutboundFailure::NoAddresses)));

    reaches(&client.client, at(peer, &address)).await;
    // The connection is one as any other.
    reaches(&client.client, peer).await;
    let with_id = address.clone().with(Part::P2p(peer));
    reaches(&client.client, at(peer, &with_id)).await;
    // Nobody looks at addresses of a peer that is connected.
    reaches(&client.client, at(peer, &silence().await.1)).await;

    client
        .with(move |swarm| swarm.disconnect_peer_id(peer))
        .await
        .expect("is connected");
    let gone = loop {
        match send(&client.client, peer).await {
            // The streams that were open end with the connection, a moment later.
            Ok(_) | Err(OutboundFailure::ConnectionClosed | OutboundFailure::Exchange(_)) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(gone, OutboundFailure::NoAddresses), "{gone:?}");
    reaches(&client.client, at(peer, &address)).await;
}

#[tokio::test]
async fn wrong_addresses_fail_the_request_that_named_them_and_no_other() {
    let (client, server, other) = (
        node(Config::default()).await,
        server().await,
        node(Config::default()).await,
    );
    let peer = server.peer;
    let wrong = at(peer, &other.address);
    let failed = send(&client.client, wrong.clone()).await;
    assert!(
        matches!(failed, Err(OutboundFailure::WrongPeerId { obtained }) if obtained == other.peer)
    );
    let named = other.address.clone().with(Part::P2p(other.peer));
    let failed = send(&client.client, at(peer, &named)).await;
    assert!(
        matches!(failed, Err(OutboundFailure::DialFailure { .. })),
        "{failed:?}"
    );

    let (silent, nowhere) = silence().await;
    let sender = client.client.clone();
    let waiting = tokio::spawn(async move { send(&sender, at(peer, &nowhere)).await });
    let (_held, _) = within(silent.accept()).await.expect("is dialled");
    // It is being dialled, but not for those who name no address, nor for those who name others.
    let unknown = send(&client.client, peer).await;
    assert!(
        matches!(unknown, Err(OutboundFailure::NoAddresses)),
        "{unknown:?}"
    );
    let failed = send(&client.client, wrong).await;
    assert!(matches!(failed, Err(OutboundFailure::WrongPeerId { .. })));
    reaches(&client.client, at(peer, &server.address)).await;
    // Whoever waits for the silent one gets the connection of the other.
    let response = within(waiting).await.expect("does not panic");
    assert_eq!(response.expect("a response").head.status(), 200);
}

#[tokio::test]
async fn a_peer_that_is_being_dialled_is_dialled_there_too_and_the_other_way_round() {
    for known_is_right in [false, true] {
        let (client, server) = (node(Config::default()).await, server().await);
        let (peer, right) = (server.peer, server.address.clone());
        let (silent, wrong) = silence().await;
        let (known, told) = match known_is_right {
            true => (right, wrong),
            false => (wrong, right),
        };
        let before = known.clone();
        client
            .with(move |swarm| swarm.behaviour_mut().add_peer_address(peer, before))
            .await;
        let sender = client.client.clone();
        let waiting = tokio::spawn(async move {
            match known_is_right {
                true => send(&sender, at(peer, &told)).await,
                false => send(&sender, peer).await,
            }
        });
        let (_held, _) = within(silent.accept()).await.expect("is dialled");
        match known_is_right {
            true => reaches(&client.client, peer).await,
            false => reaches(&client.client, at(peer, &server.address)).await,
        }
        let response = within(waiting).await.expect("does not panic");
        assert_eq!(response.expect("a response").head.status(), 200);
    }
}

#[tokio::test]
async fn an_address_where_nobody_answers_takes_as_long_as_a_dial_may() {
    let patience = Duration::from_millis(200);
    let client = node(Config::default().with_dial_timeout(patience)).await;
    let (_silent, nowhere) = silence().await;
    let failed = send(&client.client, at(PeerId::random(), &nowhere)).await;
    assert!(
        matches!(failed, Err(OutboundFailure::DialTimeout)),
        "{failed:?}"
    );

    let (gone, nowhere) = silence().await;
    drop(gone);
    let failed = send(&client.client, at(PeerId::random(), &nowhere)).await;
    assert!(
        matches!(failed, Err(OutboundFailure::DialFailure { .. })),
        "{failed:?}"
    );
    let own = at(PeerId::random(), &client.address);
    let failed = send(&client.client, own).await;
    let Err(OutboundFailure::DialFailure { reason }) = failed else {
        panic!("{failed:?}");
    };
    assert!(reason.contains("this node"), "{reason}");
}

#[tokio::test]
async fn a_hundred_requests_at_once_are_one_dial() {
    let (client, server) = (node(Config::default()).await, server().await);
    let (front, address) = silence().await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let (count, to) = (Arc::clone(&accepted), socket(&server.address));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = front.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.expect("connects");
                let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let to = at(server.peer, &address);
    join_all((0..100).map(|_| reaches(&client.client, to.clone()))).await;
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn dials_at_told_addresses_are_bounded() {
    let client = node(Config::default().with_max_addressed_dials(1)).await;
    let (silent, nowhere) = silence().await;
    let (sender, to) = (client.client.clone(), at(PeerId::random(), &nowhere));
    tokio::spawn(async move { send(&sender, to).await });
    let (_held, _) = within(silent.accept()).await.expect("is dialled");
    let failed = send(&client.client, at(PeerId::random(), &nowhere)).await;
    assert!(
        matches!(failed, Err(OutboundFailure::TooManyDials)),
        "{failed:?}"
    );
}

#[tokio::test]
async fn the_application_can_tell_such_a_dial_from_others() {
    let mut swarm = Swarm::new_ephemeral_tokio(|key| {
        HttpProxyBehaviour::new(key.public().to_peer_id(), Config::default())
    });
    let (client, known) = (swarm.behaviour().client(), PeerId::random());
    let nowhere: Multiaddr = "/memory/1".parse().expect("is an address");
    swarm
        .behaviour_mut()
        .add_peer_address(known, nowhere.clone());
    for (to, expected) in [
        (at(PeerId::random(), &nowhere), true),
        (known.into(), false),
    ] {
        let peer = to.peer();
        let sender = client.clone();
        tokio::spawn(async move { sender.send(to, name("app"), get()).await });
        let dial = loop {
            if let SwarmEvent::Dialing {
                peer_id: Some(dialled),
                connection_id,
            } = within(swarm.next_swarm_event()).await
                && dialled == peer
            {
                break connection_id;
            }
        };
        assert_eq!(swarm.behaviour().is_dial_of_request(dial), expected);
    }
}
