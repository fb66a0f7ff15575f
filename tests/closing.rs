//! The end of a service by `close_service`: what it sent last arrives, though the swarm goes at once.

mod support;

use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p_http_proxy::{Client, Config, Event, InboundFailure, Request, Responder, Response};
use tokio::task::JoinSet;

use self::support::{Node, PATIENCE, Wire, foreign::Foreign, name, within};

const LENGTH: usize = 1 << 20;

async fn node(wire: Wire) -> Node {
    Node::start(wire, Config::default(), Duration::from_secs(60)).await
}

/// The status of a response, and how long its body is.
async fn ask(client: Client, server: libp2p::PeerId) -> (u16, usize) {
    let request = Request::new("GET", "/", "test", ()).expect("is a request");
    let response = within(client.send(server, name("app"), request)).await;
    let response = response.expect("a response");
    let body = within(response.body.collect(LENGTH)).await;
    (response.head.status(), body.expect("is whole").len())
}

async fn asked(server: &mut Node) -> Responder {
    match server.event().await {
        Event::Request { responder, .. } => responder,
        other => panic!("{other:?}"),
    }
}

async fn respond(server: &Node, responder: Responder, length: usize) {
    let response = Response::new(200, vec![7; length]).expect("is a response");
    server
        .with(|swarm| swarm.behaviour_mut().respond(responder, response))
        .await;
}

async fn close(server: &Node) -> bool {
    server
        .with(|swarm| swarm.behaviour_mut().close_service(&name("app")))
        .await
}

fn assert_closed(event: Event) {
    match event {
        Event::ServiceClosed { service } => assert_eq!(service, name("app")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_last_responses_arrive() {
    for wire in [Wire::Memory, Wire::Tcp, Wire::Quic] {
        let (client, mut server) = (node(wire).await, node(wire).await);
        client.knows(&server).await;
        server.add_service(&name("app")).await;
        let mut answers = JoinSet::new();
        let mut responders = Vec::new();
        for _ in 0..4 {
            answers.spawn(ask(client.client.clone(), server.peer));
            responders.push(asked(&mut server).await);
        }
        let mut next = || responders.pop().expect("one is left");
        // One stream is idle when the end begins, one has begun its response, ...
        respond(&server, next(), 1).await;
        let first = within(answers.join_next()).await;
        assert_eq!(first.expect("comes").expect("is whole"), (200, 1));
        respond(&server, next(), LENGTH).await;
        assert!(close(&server).await);
        assert!(!close(&server).await, "is offered no longer");
        // ... one is answered while it ends, and one is not, which is an answer, too.
        respond(&server, next(), LENGTH).await;
        drop(next());
        let failure = server.event().await;
        let Event::InboundFailure { error, .. } = failure else {
            panic!("{failure:?}");
        };
        assert!(matches!(error, InboundFailure::ResponseOmitted));
        assert_closed(server.event().await);
        server.stop().await;
        let answers = within(answers.join_all()).await;
        let whole = answers.iter().filter(|answer| **answer == (200, LENGTH));
        assert_eq!(whole.count(), 2, "{wire:?}: {answers:?}");
        let omitted = answers.iter().filter(|(status, _)| *status == 500);
        assert_eq!(omitted.count(), 1, "{wire:?}: {answers:?}");
    }
}

#[tokio::test]
async fn a_service_without_streams_is_closed_at_once() {
    let mut server = node(Wire::Memory).await;
    assert!(!close(&server).await, "was never offered");
    server.add_service(&name("app")).await;
    assert!(close(&server).await);
    assert_closed(server.event().await);
    // The name is free again, and requests to the own peer are waited for like any other.
    server.add_service(&name("app")).await;
    let answer = tokio::spawn(ask(server.client.clone(), server.peer));
    let responder = asked(&mut server).await;
    assert!(close(&server).await);
    respond(&server, responder, LENGTH).await;
    assert_closed(server.event().await);
    assert_eq!(within(answer).await.expect("is whole"), (200, LENGTH));
}

#[tokio::test]
async fn a_service_that_a_task_answers_is_closed_for_both() {
    let (client, mut server) = (node(Wire::Tcp).await, node(Wire::Tcp).await);
    client.knows(&server).await;
    let mut requests = server.accept(&name("app")).await;
    let answer = tokio::spawn(ask(client.client.clone(), server.peer));
    let inbound = within(requests.next()).await.expect("a request");
    assert!(close(&server).await);
    assert!(within(requests.next()).await.is_none());
    let closed = tokio::spawn(requests.close());
    let response = Response::new(200, vec![7; LENGTH]).expect("is a response");
    let sent = within(inbound.responder.send(response)).await;
    sent.expect("is sent");
    assert_closed(server.event().await);
    within(closed).await.expect("ends");
    assert_eq!(within(answer).await.expect("is whole"), (200, LENGTH));
}

#[tokio::test]
async fn a_peer_that_never_closes_holds_it_up_for_a_while_only() {
    let (mut foreign, mut server) = (Foreign::start(Wire::Quic).await, node(Wire::Quic).await);
    server.add_service(&name("app")).await;
    let mut stream = foreign.stream_to(&server).await;
    let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    stream.write_all(request).await.expect("is taken");
    stream.flush().await.expect("is sent");
    let responder = asked(&mut server).await;
    assert!(close(&server).await);
    respond(&server, responder, 5).await;
    let began = Instant::now();
    let mut response = String::new();
    let read = within(stream.read_to_string(&mut response)).await;
    read.expect("ends in order");
    assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
    assert!(response.ends_with(&"\u{7}".repeat(5)), "{response}");
    // The stream is there until the end.
    assert_closed(server.event().await);
    assert!(began.elapsed() < PATIENCE / 2);
    drop(stream);
}
