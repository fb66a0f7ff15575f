//! Which pages can an application have on the gateway's own host, beside the routes to services?

#![cfg(all(feature = "axum", feature = "tokio"))]

mod support;

use std::{
    future::pending,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::WebSocketUpgrade,
    http::Uri,
    routing::{any, get, post},
};
use futures::{SinkExt as _, StreamExt as _, stream};
use libp2p_http_proxy::{AllowedOrigin, Config, Gateway, GatewayConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Error as WsError, Message, client::IntoClientRequest as _},
};

use self::support::{Node, exchange, within};

const SHORT: Duration = Duration::from_millis(200);

fn pages() -> Router {
    Router::new()
        .route("/", get(async || "the page"))
        .route("/back", post(async |body: String| body))
        .route(
            "/client",
            get(async |Extension(client): Extension<SocketAddr>| client.to_string()),
        )
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(2 * SHORT).await;
                "late"
            }),
        )
        .route(
            "/panic",
            get(async || -> &str { panic!("this test is about it") }),
        )
        .route(
            "/cut",
            get(async || {
                let pieces = [Ok("whole"), Err(std::io::Error::other("cut"))];
                Body::from_stream(stream::iter(pieces))
            }),
        )
        .route("/http/listen/{name}", any(async |uri: Uri| uri.to_string()))
        .route(
            "/socket",
            get(async |upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async |mut socket| {
                    while let Some(Ok(message)) = socket.recv().await {
                        let _ = socket.send(message).await;
                    }
                })
            }),
        )
}

async fn start(config: GatewayConfig) -> (Node, SocketAddr) {
    start_with(Config::default(), config).await
}

async fn start_with(node: Config, config: GatewayConfig) -> (Node, SocketAddr) {
    let node = Node::memory(node).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    let gateway = Gateway::new(node.client.clone(), node.peer, config).with_own(pages());
    tokio::spawn(gateway.serve(listener, pending()));
    (node, address)
}

#[tokio::test]
async fn what_is_no_route_is_the_applications() {
    let (node, address) = start(GatewayConfig::default()).await;
    let peer = node.peer;
    let bad = "/http/12D3/app/";
    for (request, status, body) in [
        ("GET / HTTP/1.1\nHost: localhost\n\n", 200, "the page"),
        (
            "GET http://localhost/ HTTP/1.1\nHost: localhost\n\n",
            200,
            "the page",
        ),
        ("GET / HTTP/1.0\n\n", 200, "the page"),
        ("GET /missing HTTP/1.1\nHost: localhost\n\n", 404, ""),
        (
            "POST /back HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 5\n\nhello",
            200,
            "hello",
        ),
        (
            "POST /back HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n2\nhe\n3\nllo\n0\n\n",
            200,
            "hello",
        ),
        (
            "GET /http/listen/app?share HTTP/1.1\nHost: localhost\n\n",
            200,
            "/http/listen/app?share",
        ),
        ("GET /panic HTTP/1.1\nHost: localhost\n\n", 500, ""),
        // These stay the gateway's.
        (
            &format!("GET {bad} HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
            400,
            "PATH with the id of the peer that offers the service\n",
        ),
        (
            &format!("GET /http/{peer}/none/ HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
            404,
            "",
        ),
    ] {
        let (answer, in_order) = exchange(address, request).await;
        assert!(in_order, "{request}: {answer}");
        let line = format!("HTTP/1.1 {status} ");
        assert!(
            answer.replace("/1.0", "/1.1").starts_with(&line),
            "{request}: {answer}"
        );
        assert!(answer.ends_with(body), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_page_learns_where_its_client_is() {
    let (_node, address) = start(GatewayConfig::default()).await;
    let (answer, _) = exchange(address, "GET /client HTTP/1.1\nHost: localhost\n\n").await;
    let (_, said) = answer.split_once("\r\n\r\n").expect("has a body");
    let said: SocketAddr = said.parse().expect("is an address");
    assert_eq!(said.ip(), Ipv4Addr::LOCALHOST);
    assert_ne!(said.port(), address.port());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_as_long_as_any_and_an_answer_as_long_as_it_takes()
{
    let nodes = Config::default()
        .with_body_gap_timeout(SHORT)
        .with_tunnel_timeout(SHORT);
    let (_node, address) = start_with(nodes, GatewayConfig::default()).await;
    let cut = "POST /back HTTP/1.1\nHost: localhost\nContent-Length: 10\n\nabc";
    let (answer, _) = exchange(address, cut).await;
    assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let slow = "GET /slow HTTP/1.1\nHost: localhost\n\n";
    let (answer, _) = exchange(address, slow).await;
    assert!(answer.ends_with("late"), "{answer}");
    let long = "POST /slow HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc";
    let (answer, _) = exchange(address, long).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_page_that_was_cut_never_looks_complete() {
    let (_node, address) = start(GatewayConfig::default()).await;
    let (answer, _) = exchange(address, "GET /cut HTTP/1.1\nHost: localhost\n\n").await;
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    let (answer, in_order) = exchange(address, "GET /cut HTTP/1.0\n\n").await;
    assert!(!in_order, "without chunks only a reset tells: {answer}");
}

#[tokio::test]
async fn hosts_and_origins_are_checked_as_for_services() {
    let (_node, address) = start(GatewayConfig::default()).await;
    let other = "GET / HTTP/1.1\nHost: rebound.example\nConnection: close\n\n";
    let (answer, _) = exchange(address, other).await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    for fields in [
        "Origin: https://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image",
    ] {
        let request = format!("GET / HTTP/1.1\nHost: localhost\n{fields}\nConnection: close\n\n");
        let (answer, _) = exchange(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{fields}: {answer}");
    }

    let origin: AllowedOrigin = "https://app.example".parse().expect("is an origin");
    let (_node, address) = start(GatewayConfig::default().with_allowed_origin(origin)).await;
    let request = "GET / HTTP/1.1\nHost: localhost\nOrigin: https://app.example\n\n";
    let (answer, _) = exchange(address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = answer.to_ascii_lowercase();
    assert!(
        answer.contains("access-control-allow-origin: https://app.example\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn web_sockets_are_for_pages_of_the_own_origin_and_for_programs() {
    let (_node, address) = start(GatewayConfig::default()).await;
    let connect = async |origin: Option<String>| {
        let url = format!("ws://{address}/socket");
        let mut request = url.into_client_request().expect("is a URL");
        if let Some(origin) = origin {
            let origin = origin.parse().expect("is a value");
            request.headers_mut().insert("Origin", origin);
        }
        let stream = TcpStream::connect(address).await.expect("connects");
        within(client_async(request, stream)).await
    };
    for origin in [None, Some(format!("http://{address}"))] {
        let (mut socket, _) = connect(origin).await.expect("is let in");
        for text in ["hello", ""] {
            let message = Message::text(text);
            socket.send(message.clone()).await.expect("is taken");
            let back = within(socket.next()).await.expect("an answer comes");
            assert_eq!(back.expect("is a message"), message);
        }
        within(socket.close(None)).await.expect("closes in order");
    }
    let refused = connect(Some("https://evil.example".to_owned())).await;
    let Err(WsError::Http(response)) = refused else {
        panic!("a page of another origin got a WebSocket");
    };
    assert_eq!(response.status(), 403);
}
