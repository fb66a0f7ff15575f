//! What becomes of exchanges that are interrupted where it hurts?
#![cfg(feature = "tokio")]

mod support;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use libp2p_http_proxy::{
    Config, Exchange, Gateway, GatewayConfig, Observer, OutboundFailure, Payload, Request,
    Requests, Response,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::timeout,
};

use self::support::{
    Node, name,
    path::{Path, Setup, read_head, read_to_end, read_until, serve, server, write},
    within,
};

/// Answers whatever is asked.
fn answer_all(mut requests: Requests) {
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            let response = Response::new(200, "again").expect("is a response");
            let _ = inbound.responder.send(response).await;
        }
    });
}

fn request() -> Request<Payload> {
    Request::new("GET", "/", "test", ()).expect("is a request")
}

#[tokio::test]
async fn a_request_is_sent_again_where_its_lost_stream_was_the_only_one_that_may_be() {
    let config = Config::default()
        .with_max_outbound_streams(1)
        .with_spare_streams(0);
    let (near, origin) = (
        Node::memory(config).await,
        Node::memory(Config::default()).await,
    );
    near.knows(&origin).await;
    let mut requests = origin.accept(&name("app")).await;
    let near_peer = near.peer;
    let (_none, servers) = mpsc::channel(1);
    let path = Path::between(near, origin, servers, GatewayConfig::default()).await;

    let mut client = path.request("GET {}/1 HTTP/1.1\nHost: localhost\n\n").await;
    let first = within(requests.next()).await.expect("comes");
    let response = Response::new(200, "first").expect("is a response");
    first.responder.send(response).await.expect("is sent");
    read_until(&mut client, "first").await;
    let again = format!(
        "GET {}/2 HTTP/1.1\nHost: localhost\nConnection: close\n\n",
        path.prefix
    );
    write(&mut client, &again).await;
    let second = within(requests.next())
        .await
        .expect("comes on the same stream");
    path.origin
        .with(move |swarm| swarm.disconnect_peer_id(near_peer))
        .await
        .expect("is connected");
    drop(second);
    answer_all(requests);
    let answer = read_to_end(&mut client).await.expect("ends in order");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("again"), "{answer}");
}

#[tokio::test]
async fn a_response_that_ends_with_its_connection_is_cut_visibly_when_the_gateway_ends() {
    let (near, origin) = (
        Node::memory(Config::default()).await,
        Node::memory(Config::default()).await,
    );
    near.knows(&origin).await;
    let (target, mut accepted) = server().await;
    serve(&origin, &name("app"), target, Default::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    let config = GatewayConfig::default().with_drain_timeout(Duration::ZERO);
    let gateway = Gateway::new(near.client.clone(), near.peer, config);
    let (shutdown, asked) = oneshot::channel::<()>();
    let serving = tokio::spawn(gateway.serve(listener, async {
        let _ = asked.await;
    }));
    let mut client = TcpStream::connect(address).await.expect("connects");
    // HTTP/1.0 has no chunks.
    let text = format!(
        "GET /http/{}/app/ HTTP/1.0\nHost: localhost\n\n",
        origin.peer
    );
    write(&mut client, &text).await;
    let mut server = within(accepted.recv()).await.expect("is asked");
    read_head(&mut server).await;
    write(
        &mut server,
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n",
    )
    .await;
    read_until(&mut client, "hello").await;
    shutdown.send(()).expect("it serves");
    let end = read_to_end(&mut client).await;
    assert!(end.is_err(), "a cut body looks complete: {end:?}");
    let served = within(serving).await.expect("does not panic");
    served.expect("its listener works");
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_all_of_a_final_response_instead() {
    let gap = Duration::from_millis(200);
    let nodes = Config::default().with_body_gap_timeout(gap);
    let mut path = Path::new(Setup {
        nodes,
        ..Setup::default()
    })
    .await;
    let mut client = path
        .request("POST {}/ HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 5\n\n")
        .await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 8\n\n").await;
    let mut pace = tokio::time::interval(gap / 2);
    for _ in 0..8 {
        pace.tick().await;
        server.write_all(b"x").await.expect("is taken");
    }
    let answer = read_to_end(&mut client).await.expect("ends in order");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("xxxxxxxx"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_is_given_up_while_its_last_bytes_leave_arrives_whole() {
    // More than the stream takes at once, and the rest waits in the writer.
    let size = 290_000;
    let (near, origin) = (
        Node::memory(Config::default()).await,
        Node::memory(Config::default()).await,
    );
    near.knows(&origin).await;
    let mut requests = origin.accept(&name("app")).await;
    let (client, peer) = (near.client.clone(), origin.peer);
    let asked = tokio::spawn(async move { client.send(peer, name("app"), request()).await });
    let inbound = within(requests.next()).await.expect("comes");
    let body = Payload::reader(futures::io::Cursor::new(vec![b'x'; size]), None);
    let response = Response::new(200, body).expect("is a response");
    let sent = inbound.responder.send(response);
    // Nobody reads yet, so that it cannot be done.
    timeout(Duration::from_millis(300), sent)
        .await
        .expect_err("the last bytes wait");
    let response = within(asked).await.expect("does not panic").expect("comes");
    let body = within(response.body.collect(2 * size)).await;
    assert_eq!(body.expect("comes whole").len(), size);
}

/// Tells why exchanges ended.
struct Endings(mpsc::UnboundedSender<Option<String>>);

impl Observer for Endings {
    fn ended(&self, exchange: &Exchange<'_>) {
        let _ = self.0.send(exchange.error.map(str::to_owned));
    }
}

#[tokio::test]
async fn nobody_waits_for_a_stream_on_behalf_of_a_client_that_has_gone() {
    let config = Config::default()
        .with_max_outbound_streams(1)
        // Far longer than the test may take.
        .with_dial_timeout(Duration::from_secs(3600));
    let (near, origin) = (
        Node::memory(config).await,
        Node::memory(Config::default()).await,
    );
    near.knows(&origin).await;
    let mut requests = origin.accept(&name("app")).await;
    let (_none, servers) = mpsc::channel(1);
    let (sender, mut endings) = mpsc::unbounded_channel();
    let gateway = GatewayConfig::default().with_observer(Arc::new(Endings(sender)));
    let path = Path::between(near, origin, servers, gateway).await;

    let get = "GET {}/ HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    let mut first = path.request(get).await;
    let answered = within(requests.next()).await.expect("comes");
    let second = path.request(get).await;
    while path.near.client.stats().waiting_requests == 0 {
        tokio::task::yield_now().await;
    }
    drop(second);
    let ended = within(endings.recv()).await.expect("is told");
    assert!(ended.is_some(), "an exchange without a client has no error");

    answer_all(requests);
    let response = Response::new(200, "first").expect("is a response");
    answered.responder.send(response).await.expect("is sent");
    let answer = read_to_end(&mut first).await.expect("ends in order");
    assert!(answer.ends_with("first"), "{answer}");
    let mut third = path.request(get).await;
    let answer = read_to_end(&mut third).await.expect("ends in order");
    assert!(answer.ends_with("again"), "{answer}");
}

#[tokio::test]
async fn a_request_that_is_sent_again_keeps_its_trailers() {
    let mut path = Path::new(Setup::default()).await;
    let mut client = path.request("GET {}/1 HTTP/1.1\nHost: localhost\n\n").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 204 No Content\n\n").await;
    read_head(&mut client).await;

    let request = format!(
        "PUT {}/2 HTTP/1.1\nHost: localhost\nConnection: close\nTransfer-Encoding: chunked\n\n0\nX-Sum: 1\n\n",
        path.prefix
    );
    write(&mut client, &request).await;
    let last = "0\r\nX-Sum: 1\r\n\r\n";
    read_until(&mut server, last).await;
    drop(server);
    let mut server = path.accepted().await;
    read_until(&mut server, last).await;
    write(&mut server, "HTTP/1.1 204 No Content\n\n").await;
    let answer = read_to_end(&mut client).await.expect("ends in order");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test]
async fn the_largest_settings_are_no_failure() {
    let config = Config::default()
        .with_dial_timeout(Duration::MAX)
        .with_head_timeout(Duration::MAX)
        .with_body_gap_timeout(Duration::MAX)
        .with_response_timeout(Some(Duration::MAX))
        .with_tunnel_timeout(Duration::MAX)
        .with_keep_alive(Duration::MAX)
        .with_max_queued_requests(usize::MAX)
        .with_max_waiting_requests(usize::MAX)
        .with_max_outbound_streams(usize::MAX);
    let (near, origin) = (
        Node::memory(config.clone()).await,
        Node::memory(config).await,
    );
    near.knows(&origin).await;
    answer_all(origin.accept(&name("app")).await);
    for _ in 0..2 {
        let answered: Result<_, OutboundFailure> =
            within(near.client.send(origin.peer, name("app"), request())).await;
        let response = answered.expect("is answered");
        let body = response.body.collect(10).await.expect("comes whole");
        assert_eq!(body, "again");
    }
}
