//! Does a service work whose server is reached by no socket?

#![cfg(feature = "tokio")]

mod support;

use std::{
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{TryStreamExt as _, future::join_all, stream};
use libp2p_http_proxy::{Client, Config, Forward, ForwardConfig, Request, rewrite::HostPolicy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::{Barrier, mpsc},
};
use tokio_util::{compat::TokioAsyncReadCompatExt as _, io::StreamReader};

use self::support::{Node, name, within};

/// A node with a service, and the ends of its connections.
async fn origin(config: ForwardConfig) -> (Node, mpsc::UnboundedReceiver<DuplexStream>) {
    origin_of(Config::default(), config).await
}

async fn origin_of(
    node: Config,
    config: ForwardConfig,
) -> (Node, mpsc::UnboundedReceiver<DuplexStream>) {
    let node = Node::memory(node).await;
    let requests = node.accept(&name("app")).await;
    let (sender, servers) = mpsc::unbounded_channel();
    let connect = move || {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let sent = sender
            .send(far)
            .map_err(|_| io::ErrorKind::ConnectionRefused.into());
        async { sent.map(|()| near.compat()) }
    };
    let forward = Forward::over("the secret server", connect, node.peer, config);
    tokio::spawn(forward.serve(requests, pending()));
    (node, servers)
}

/// A request to ourselves.
async fn get(client: &Client, node: &Node) -> (u16, String) {
    let request = Request::new("GET", "/page", "app.example", ()).expect("is a request");
    let sent = client.send(node.peer, name("app"), request);
    let response = within(sent).await.expect("a response comes");
    let body = within(response.body.collect(10_000)).await;
    let body = body.expect("is whole");
    let text = String::from_utf8(body.to_vec()).expect("is text");
    (response.head.status(), text)
}

async fn read_head(server: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(server.read_u8()).await.expect("more comes"));
    }
    String::from_utf8(head).expect("is text")
}

#[tokio::test]
async fn requests_go_over_the_connections_that_are_made_and_reuse_them() {
    let config = ForwardConfig::default().with_host(HostPolicy::Target);
    let (node, mut servers) = origin(config).await;
    let serve = async {
        let mut server = servers.recv().await.expect("a connection is made");
        for number in ["one", "two"] {
            let head = read_head(&mut server).await;
            assert!(
                head.starts_with("GET /page HTTP/1.1\r\nHost: localhost\r\n"),
                "{head}"
            );
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{number}");
            server
                .write_all(response.as_bytes())
                .await
                .expect("is taken");
        }
        server
    };
    let ask = async {
        [
            get(&node.client, &node).await,
            get(&node.client, &node).await,
        ]
    };
    let (_server, answers) = tokio::join!(serve, ask);
    assert_eq!(answers, [(200, "one".to_owned()), (200, "two".to_owned())]);
    assert!(servers.try_recv().is_err(), "one connection is enough");
}

/// More than one busy gateway has at once.
#[tokio::test]
async fn connections_that_were_in_use_at_once_are_all_kept() {
    const AT_ONCE: usize = 200;
    let config = Config::default().with_max_outbound_streams(AT_ONCE);
    let (node, mut servers) = origin_of(config, ForwardConfig::default()).await;
    let all_ask = Arc::new(Barrier::new(AT_ONCE));
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    tokio::spawn(async move {
        while let Some(mut server) = servers.recv().await {
            count.fetch_add(1, Ordering::Relaxed);
            let all_ask = Arc::clone(&all_ask);
            tokio::spawn(async move {
                loop {
                    read_head(&mut server).await;
                    all_ask.wait().await;
                    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    server.write_all(response).await.expect("is taken");
                }
            });
        }
    });
    for _ in 0..2 {
        let answers = join_all((0..AT_ONCE).map(|_| get(&node.client, &node))).await;
        assert!(answers.iter().all(|(status, _)| *status == 200));
    }
    assert_eq!(made.load(Ordering::Relaxed), AT_ONCE);
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_a_502_that_does_not_tell_where_the_server_is() {
    let (node, servers) = origin(ForwardConfig::default()).await;
    drop(servers);
    let (status, page) = get(&node.client, &node).await;
    assert_eq!(status, 502);
    assert!(!page.contains("secret"), "{page}");
}

#[tokio::test]
async fn a_response_that_was_cut_never_looks_complete() {
    let node = Node::memory(Config::default()).await;
    let requests = node.accept(&name("app")).await;
    let connect = || async {
        // An error of the source is one of the stream that is read.
        let pieces = stream::iter([
            Ok("HTTP/1.1 200 OK\r\n\r\nwithout a len"),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ]);
        let reader = StreamReader::new(pieces.map_ok(str::as_bytes));
        Ok(tokio::io::join(reader, tokio::io::sink()).compat())
    };
    let forward = Forward::over("cut", connect, node.peer, ForwardConfig::default());
    tokio::spawn(forward.serve(requests, pending()));
    let request = Request::new("GET", "/", "app.example", ()).expect("is a request");
    let sent = node.client.send(node.peer, name("app"), request);
    let response = within(sent).await.expect("is answered");
    let status = response.head.status();
    let body = within(response.body.collect(10_000)).await;
    // What has not left yet is replaced by the truth about it.
    assert!(status == 502 || body.is_err(), "{status}: {body:?}");
}
