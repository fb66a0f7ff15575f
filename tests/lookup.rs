//! A peer whose addresses are unknown or wrong: the application is asked for them while the requests wait.

mod support;

use std::time::Duration;

use libp2p_http_proxy::{Config, Event, OutboundFailure, Payload, Request, Response};
use libp2p_identity::PeerId;

use self::support::{Node, Wire, name, within};

const SHORT: Duration = Duration::from_millis(200);

fn get(target: &str) -> Request<Payload> {
    Request::new("GET", target, "test", ()).expect("is a request")
}

fn config() -> Config {
    Config::default().with_peer_lookup(true)
}

async fn wanted(node: &mut Node) -> PeerId {
    match node.event().await {
        Event::AddressesWanted { peer } => peer,
        other => panic!("unexpected {other:?}"),
    }
}

async fn answer(node: &Node, peer: PeerId, found: Result<Vec<libp2p::Multiaddr>, String>) {
    node.with(move |swarm| swarm.behaviour_mut().lookup_ended(peer, found))
        .await;
}

/// Answers one request of the service `app`.
async fn serve(node: &mut Node) {
    let Event::Request { responder, .. } = node.event().await else {
        panic!("a request comes first");
    };
    let response = Response::new(200, "here").expect("is a response");
    node.with(|swarm| swarm.behaviour_mut().respond(responder, response))
        .await;
}

#[tokio::test]
async fn requests_wait_for_the_addresses_of_their_peer() {
    let (mut client, mut server) = (
        Node::memory(config()).await,
        Node::memory(Config::default()).await,
    );
    server.add_service(&name("app")).await;
    let (peer, address) = (server.peer, server.address.clone());
    let sent = [(); 2].map(|()| {
        let client = client.client.clone();
        tokio::spawn(async move { client.send(peer, name("app"), get("/")).await })
    });
    assert_eq!(wanted(&mut client).await, peer);
    answer(&client, peer, Ok(vec![address])).await;
    for request in sent {
        serve(&mut server).await;
        let response = within(request).await.expect("does not panic");
        assert_eq!(response.expect("a response").head.status(), 200);
    }
    // One lookup was for both.
    assert!(client.events.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_has_moved_is_looked_up_too() {
    let start = || Node::start(Wire::Tcp, Config::default(), Duration::from_secs(60));
    let mut client = Node::start(Wire::Tcp, config(), Duration::from_secs(60)).await;
    let (mut server, gone) = (start().await, start().await);
    server.add_service(&name("app")).await;
    let (peer, address, old) = (server.peer, server.address.clone(), gone.address.clone());
    gone.stop().await;
    client
        .with(move |swarm| swarm.behaviour_mut().add_peer_address(peer, old))
        .await;
    let sender = client.client.clone();
    let sent = tokio::spawn(async move { sender.send(peer, name("app"), get("/")).await });
    assert_eq!(wanted(&mut client).await, peer);
    answer(&client, peer, Ok(vec![address])).await;
    serve(&mut server).await;
    let response = within(sent).await.expect("does not panic");
    assert_eq!(response.expect("a response").head.status(), 200);
}

#[tokio::test]
async fn a_search_in_vain_says_what_was_tried() {
    let mut client = Node::memory(config()).await;
    let peer = PeerId::random();
    // Twice, as nothing of the first time must stay.
    for _ in 0..2 {
        let sender = client.client.clone();
        let sent = tokio::spawn(async move { sender.send(peer, name("app"), get("/")).await });
        assert_eq!(wanted(&mut client).await, peer);
        answer(&client, peer, Err("nobody knows it".to_owned())).await;
        let result = within(sent).await.expect("does not panic");
        let Err(OutboundFailure::NotFound { tried }) = result else {
            panic!("unexpected {result:?}");
        };
        assert_eq!(tried, "nobody knows it");
    }
}

#[tokio::test]
async fn a_found_address_that_is_wrong_fails_as_any_other() {
    let mut client = Node::memory(config()).await;
    let (peer, other) = (PeerId::random(), Node::memory(Config::default()).await);
    let sender = client.client.clone();
    let sent = tokio::spawn(async move { sender.send(peer, name("app"), get("/")).await });
    assert_eq!(wanted(&mut client).await, peer);
    answer(&client, peer, Ok(vec![other.address.clone()])).await;
    let result = within(sent).await.expect("does not panic");
    assert!(
        matches!(result, Err(OutboundFailure::WrongPeerId { obtained }) if obtained == other.peer),
        "{result:?}"
    );
}

#[tokio::test]
async fn requests_do_not_wait_longer_than_a_dial_may_take() {
    let mut client = Node::memory(config().with_dial_timeout(SHORT)).await;
    let peer = PeerId::random();
    for _ in 0..2 {
        let result = within(client.client.send(peer, name("app"), get("/"))).await;
        assert!(
            matches!(result, Err(OutboundFailure::DialTimeout)),
            "{result:?}"
        );
    }
    // The lookup goes on for those who come later, and there is no second one beside it.
    assert_eq!(wanted(&mut client).await, peer);
    assert!(client.events.try_recv().is_err());
}

#[tokio::test]
async fn an_application_that_never_answers_does_not_lose_the_peer_for_good() {
    let (mut client, mut server) = (
        Node::memory(config().with_dial_timeout(SHORT / 10)).await,
        Node::memory(Config::default()).await,
    );
    let peer = server.peer;
    let ask = |client: &Node| {
        let client = client.client.clone();
        async move { client.send(peer, name("app"), get("/")).await }
    };
    assert!(within(ask(&client)).await.is_err());
    assert_eq!(wanted(&mut client).await, peer);
    server.add_service(&name("app")).await;
    client.knows(&server).await;
    let response = async {
        loop {
            if let Ok(response) = ask(&client).await {
                return response;
            }
        }
    };
    let (response, ()) = within(async { tokio::join!(response, serve(&mut server)) }).await;
    assert_eq!(response.head.status(), 200);
}

#[tokio::test]
async fn peers_that_nobody_asked_for_are_not_looked_up() {
    let mut client = Node::memory(config()).await;
    let stranger = PeerId::random();
    client
        .with(move |swarm| swarm.dial(stranger).expect_err("has no address"))
        .await;
    let sender = client.client.clone();
    let peer = PeerId::random();
    tokio::spawn(async move { sender.send(peer, name("app"), get("/")).await });
    assert_eq!(wanted(&mut client).await, peer);
}
