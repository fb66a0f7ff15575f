//! How long can somebody who sends byte after byte keep a head open? Never longer than the time for a whole head.

mod support;

use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p_http_proxy::{Config, ExchangeError, OutboundFailure, Request, Wait};

use self::support::{
    Node, Wire,
    foreign::{Foreign, PROTOCOL},
    name, within,
};

/// The time for a head in these tests.
const LIMIT: Duration = Duration::from_millis(500);

/// The pause between two bytes. No single one is ever late.
const PAUSE: Duration = Duration::from_millis(50);

fn config() -> Config {
    Config::default().with_head_timeout(LIMIT)
}

/// Sends `begin`, and then one byte after the other of a field that never ends, until the other side has had enough.
async fn drip(stream: &mut (impl AsyncWrite + Unpin), begin: &str) {
    if stream.write_all(begin.as_bytes()).await.is_err() {
        return;
    }
    loop {
        if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Drips a request, and returns what the answer to it is.
async fn refused(stream: impl AsyncRead + AsyncWrite) -> String {
    let (mut read, mut write) = stream.split();
    let begun = Instant::now();
    let mut answer = String::new();
    let read = async {
        // However the end comes: what matters came before it.
        let _ = read.read_to_string(&mut answer).await;
        begun.elapsed()
    };
    let sent = drip(&mut write, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let took = within(async {
        tokio::select! {
            took = read => took,
            () = async { sent.await; std::future::pending().await } => unreachable!("it never ends"),
        }
    })
    .await;
    assert!(took >= LIMIT, "after {took:?}: \"{answer}\"");
    answer
}

#[tokio::test]
async fn a_request_of_a_peer() {
    let server = Node::start(Wire::Tcp, config(), Duration::from_secs(60)).await;
    let _requests = server.accept(&name("app")).await;
    let mut foreign = Foreign::start(Wire::Tcp).await;
    let stream = foreign.stream_to(&server).await;
    let answer = refused(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_response_of_a_peer() {
    let mut foreign = Foreign::start(Wire::Tcp).await;
    let mut streams = foreign
        .control
        .accept(PROTOCOL)
        .expect("nobody else accepts");
    tokio::spawn(async move {
        while let Some((_, mut stream)) = streams.next().await {
            tokio::spawn(async move { drip(&mut stream, "HTTP/1.1 200 OK\r\nX: ").await });
        }
    });
    let client = Node::start(Wire::Tcp, config(), Duration::from_secs(60)).await;
    foreign.is_known_to(&client).await;
    let request = Request::new("POST", "/", "test", ()).expect("is a request");
    let result = within(client.client.send(foreign.peer, name("app"), request)).await;
    let Err(OutboundFailure::Exchange(ExchangeError::Timeout { wait, limit })) = result else {
        panic!("{result:?}")
    };
    assert_eq!((wait, limit), (Wait::Head, LIMIT));
}

#[cfg(feature = "tokio")]
mod proxy {
    use libp2p_http_proxy::{Forward, ForwardConfig, Gateway, GatewayConfig};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::compat::TokioAsyncReadCompatExt;

    use super::*;

    /// A gateway, and the peer that it sends requests to, whose service is at a local TCP port.
    async fn gateway(to: &TcpListener) -> (std::net::SocketAddr, String, [Node; 2]) {
        let near = Node::memory(config()).await;
        let origin = Node::memory(config()).await;
        near.knows(&origin).await;
        let requests = origin.accept(&name("app")).await;
        let target = format!("http://{}", to.local_addr().expect("is bound"));
        let target = target.parse().expect("is a target");
        let forward = Forward::new(target, origin.peer, ForwardConfig::default());
        tokio::spawn(forward.serve(requests, std::future::pending()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("is bound");
        let gateway = Gateway::new(near.client.clone(), near.peer, GatewayConfig::default());
        tokio::spawn(gateway.serve(listener, std::future::pending()));
        let path = format!("/http/{}/app/", origin.peer);
        (address, path, [near, origin])
    }

    #[tokio::test]
    async fn a_request_of_a_local_client() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (gateway, _, _nodes) = gateway(&server).await;
        let stream = TcpStream::connect(gateway).await.expect("connects");
        let answer = refused(stream.compat()).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn a_response_of_a_local_server() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (gateway, path, _nodes) = gateway(&server).await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                let mut stream = stream.compat();
                tokio::spawn(async move { drip(&mut stream, "HTTP/1.1 200 OK\r\nX: ").await });
            }
        });
        let mut client = TcpStream::connect(gateway)
            .await
            .expect("connects")
            .compat();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let mut answer = String::new();
        within(async {
            client
                .write_all(request.as_bytes())
                .await
                .expect("is taken");
            client.read_to_string(&mut answer).await.expect("an answer");
        })
        .await;
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
        assert!(answer.contains("p2p-origin"), "{answer}");
    }
}
