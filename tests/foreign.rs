//! Peers that speak plain HTTP/1.1 over streams without this crate, as kubo's tunnels do, well and badly.

mod support;

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::PeerId;
use libp2p_http_proxy::{Body, Config, ExchangeError, OutboundFailure, Request, Response, h1};

use self::support::{Node, Wire, foreign::Foreign, name, within};

async fn client_of(foreign: &Foreign, wire: Wire) -> Node {
    let client = Node::start(wire, Config::default(), Duration::from_secs(60)).await;
    foreign.is_known_to(&client).await;
    client
}

async fn get(client: &Node, peer: PeerId) -> Result<Response<Body>, OutboundFailure> {
    let request = Request::new("GET", "/", "test", ()).expect("is a request");
    within(client.client.send(peer, name("app"), request)).await
}

#[tokio::test]
async fn a_close_delimited_response_ends_with_the_stream_and_not_with_a_reset() {
    for wire in [Wire::Tcp, Wire::Quic] {
        for in_order in [true, false] {
            let mut foreign = Foreign::start(wire).await;
            let client = client_of(&foreign, wire).await;
            let (go, wait) = tokio::sync::oneshot::channel::<()>();
            let answered = foreign.answer(move |mut stream| async move {
                let response = b"HTTP/1.1 200 OK\r\n\r\nhello";
                stream.write_all(response).await.expect("is taken");
                stream.flush().await.expect("is sent");
                wait.await.expect("the client has it");
                if in_order {
                    stream.close().await.expect("closes");
                    // Until the client has gone too.
                    let _ = stream.read(&mut [0; 1]).await;
                }
            });
            let mut body = get(&client, foreign.peer).await.expect("a response").body;
            let first = within(body.chunk()).await.expect("a chunk");
            assert_eq!(first.as_deref(), Some(&b"hello"[..]));
            go.send(()).expect("the peer waits");
            let end = within(body.chunk()).await;
            assert_eq!(end.is_ok(), in_order, "{wire:?}: {end:?}");
            // Also for those who ask again.
            let end = within(body.chunk()).await;
            assert_eq!(end.is_ok(), in_order, "{wire:?}: {end:?}");
            drop(body);
            within(answered).await.expect("the peer did as told");
        }
    }
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_close_delimited_response_passes_a_gateway_that_ends_its_direction_before() {
    use self::support::path::{Path, read_to_end};

    let mut foreign = Foreign::start(Wire::Tcp).await;
    let config = Config::default().with_half_close(name("app").into());
    let near = Node::start(Wire::Tcp, config, Duration::from_secs(60)).await;
    foreign.is_known_to(&near).await;
    let peer = foreign.peer;
    let answered = foreign.answer(async move |mut stream| {
        let end = stream.read(&mut [0; 1]).await;
        assert_eq!(end.expect("ends in order"), 0);
        let response = b"HTTP/1.1 200 OK\r\n\r\nhello";
        stream.write_all(response).await.expect("is taken");
        stream.close().await.expect("closes");
    });
    let (_none, servers) = tokio::sync::mpsc::channel(1);
    let origin = Node::memory(Config::default()).await;
    let path = Path::between(near, origin, servers, Default::default()).await;
    let request = format!("GET /http/{peer}/app/ HTTP/1.1\nHost: localhost\nConnection: close\n\n");
    let mut client = path.request(&request).await;
    let answer = read_to_end(&mut client).await.expect("ends in order");
    assert!(answer.ends_with("hello\r\n0\r\n\r\n"), "{answer}");
    within(answered).await.expect("the peer did as told");
}

#[tokio::test]
async fn a_complete_response_survives_the_reset_behind_it() {
    for wire in [Wire::Tcp, Wire::Quic] {
        let mut foreign = Foreign::start(wire).await;
        let client = client_of(&foreign, wire).await;
        foreign.answer(|mut stream| async move {
            let response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
            stream.write_all(response).await.expect("is taken");
            stream.close().await.expect("closes");
        });
        let response = get(&client, foreign.peer).await.expect("a response");
        let body = within(response.body.collect(100)).await;
        assert_eq!(body.expect("a body"), "hello", "{wire:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_accepted_and_reset_fails_at_once() {
    for wire in [Wire::Tcp, Wire::Quic] {
        let mut foreign = Foreign::start(wire).await;
        let client = client_of(&foreign, wire).await;
        foreign.answer(|stream| async move { drop(stream) });
        let result = get(&client, foreign.peer).await;
        assert!(
            matches!(
                result,
                Err(OutboundFailure::Exchange(
                    ExchangeError::Closed | ExchangeError::Io(_)
                ))
            ),
            "{wire:?}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_response_that_breaks_the_rules_is_no_response() {
    let broken: &[(&'static [u8], h1::Error)] = &[
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", h1::Error::BareLf),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            h1::Error::UnsolicitedSwitch,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Le", h1::Error::Truncated),
    ];
    for &(bytes, expected) in broken {
        let mut foreign = Foreign::start(Wire::Tcp).await;
        let client = client_of(&foreign, Wire::Tcp).await;
        foreign.answer(move |mut stream| async move {
            stream.write_all(bytes).await.expect("is taken");
            stream.close().await.expect("closes");
        });
        let result = get(&client, foreign.peer).await;
        let Err(OutboundFailure::Exchange(ExchangeError::Malformed(error))) = result else {
            panic!("{:?}: {result:?}", bytes.escape_ascii().to_string());
        };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn what_the_node_answers_itself_to_head_has_no_body() {
    for method in ["GET", "HEAD"] {
        let mut foreign = Foreign::start(Wire::Tcp).await;
        let server = Node::start(Wire::Tcp, Config::default(), Duration::from_secs(60)).await;
        let mut requests = server.accept(&name("app")).await;
        tokio::spawn(async move { while let Some(_unanswered) = requests.next().await {} });
        let mut stream = foreign.stream_to(&server).await;
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("is taken");
        stream.flush().await.expect("is sent");
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer))
            .await
            .expect("ends in order");
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert_eq!(answer.ends_with("\r\n\r\n"), method == "HEAD", "{answer}");
    }
}

#[tokio::test]
async fn requests_behind_each_other_are_answered_in_order_also_after_a_half_close() {
    for wire in [Wire::Tcp, Wire::Quic] {
        let mut foreign = Foreign::start(wire).await;
        let server = Node::start(wire, Config::default(), Duration::from_secs(60)).await;
        let mut requests = server.accept(&name("app")).await;
        tokio::spawn(async move {
            while let Some(inbound) = requests.next().await {
                let target = inbound.request.head.target().to_owned();
                let response = Response::new(200, target).expect("is a response");
                inbound.responder.send(response).await.expect("is sent");
            }
        });
        let mut stream = foreign.stream_to(&server).await;
        let both =
            b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(both).await.expect("is taken");
        stream.close().await.expect("closes");
        let mut answers = String::new();
        within(stream.read_to_string(&mut answers))
            .await
            .expect("reads to the end");
        assert_eq!(
            answers.matches("HTTP/1.1 200 OK\r\n").count(),
            2,
            "{answers}"
        );
        assert!(answers.ends_with("/2"), "{answers}");
        let (one, two) = (
            answers.find("/1\r\n").or(answers.find("/1H")),
            answers.find("/2"),
        );
        assert!(one < two, "{answers}");
    }
}
