//! When does a tunnel begin, and what are its first bytes?

use tokio::io::AsyncReadExt;

use crate::{
    hostile::{
        Bytes, Door, Response, get,
        nodes::{Chain, Echo, Foreign, Port},
        peer::Peer,
        rest, send,
        watcher::{Answer, Request, Script, Then, Watcher},
    },
    support::{
        node::{Node, TCP},
        wire::{Conn, Server},
        within,
    },
};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const GRANTED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Sends bytes right behind a request for an upgrade, and is the server too: what comes when, and where?
async fn bytes_are_held(door: &mut impl Door, path: &str, server: &Server) {
    let mut client = door.open().await;
    let request = format!("GET {path}/ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n{SMUGGLED}");
    send(&mut client, request).await;

    let mut conn = server.accept().await;
    let head = conn.head().await;
    assert_eq!(head.line, "GET /ws HTTP/1.1");
    assert_eq!(head.all("Upgrade"), ["websocket"]);
    conn.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
    let mut hints = [0; 12];
    within("an interim response", client.read_exact(&mut hints))
        .await
        .unwrap();
    assert_eq!(&hints, b"HTTP/1.1 103");
    // Whatever left with the head has arrived long before the answer to it went all the way back.
    let stream = conn.into_stream();
    let early = stream.try_read(&mut [0; 1]);
    assert!(early.is_err(), "bytes before the tunnel: {early:?}");

    let mut conn = Conn::new(stream);
    conn.send(format!("{GRANTED}from the server")).await;
    let held = conn.exactly(SMUGGLED.len()).await;
    assert_eq!(held, SMUGGLED.as_bytes());
    send(&mut client, "more").await;
    assert_eq!(conn.exactly(4).await, b"more");
    conn.half_close().await;
    let (bytes, _) = rest(&mut client).await;
    let text = String::from_utf8_lossy(&bytes);
    let (head, tunnel) = text
        .split_once("\r\nHTTP/1.1 101 ")
        .and_then(|(_, rest)| rest.split_once("\r\n\r\n"))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(head.contains("\r\nUpgrade: websocket"), "{head}");
    assert_eq!(tunnel, "from the server");
}

#[tokio::test]
async fn bytes_behind_an_upgrade_are_held_and_come_first() {
    let server = Server::bind().await;
    let origin = Node::serve(&[("app", &server.target())], &[]).await;
    let gateway = Node::gateway(&origin, &[]).await;
    let mut port = Port(gateway.http("gateway "));
    let path = format!("/http/{}/app", origin.fact("peer "));
    bytes_are_held(&mut port, &path, &server).await;
    let mut peer = Peer::of(&origin, TCP).await;
    bytes_are_held(&mut peer, "", &server).await;
}

/// An upgrade that is not granted ends the connection, and what came behind it is nothing.
async fn refused_upgrade(door: &mut impl Door, path: &str, watcher: &Watcher) {
    let before = watcher.seen().requests.len();
    let mut client = door.open().await;
    let request = format!("GET {path}/ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n{SMUGGLED}");
    send(&mut client, request).await;
    let (bytes, _) = rest(&mut client).await;
    let (response, used) = Response::parse(&bytes).expect("a response");
    assert_eq!((response.status, &response.body[..]), (200, &b"/ws"[..]));
    assert!(response.closes(), "{response:?}");
    assert_eq!(used, bytes.len(), "more than one response");

    let response = get(&mut door.open().await, &format!("{path}/clean")).await;
    assert_eq!(response.body, b"/clean");
    let seen = watcher.seen();
    assert_eq!(seen.lines()[before..], ["GET /ws", "GET /clean"]);
    assert_eq!(seen.scraps(), [""; 0]);
}

#[tokio::test]
async fn bytes_behind_an_upgrade_that_is_refused_are_no_request() {
    let chain = Chain::start(Echo).await;
    refused_upgrade(&mut chain.port(), &chain.path(), &chain.watcher).await;
    let mut peer = Peer::of(&chain.origin, TCP).await;
    refused_upgrade(&mut peer, "", &chain.watcher).await;
    let foreign = Foreign::start(Echo).await;
    refused_upgrade(&mut foreign.port(), &foreign.path(), &foreign.watcher).await;
}

/// What a server says to `/ws`, and to nothing else.
struct Switch(&'static str);

impl Script for Switch {
    fn answer(&self, request: &Request) -> Answer {
        if request.target != "/ws" {
            return Echo.answer(request);
        }
        Answer {
            bytes: self.0.into(),
            then: Then::Stay,
        }
    }
}

/// Switches that were not asked for in this way.
#[rustfmt::skip]
const BAD_SWITCHES: &[&str] = &[
    "HTTP/1.1 101 Switching Protocols\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: web socket\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
    "HTTP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nevil",
    "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\nevil",
];

async fn bad_switch(mut port: Port, path: &str, watcher: &Watcher, switch: &str) {
    let mut client = port.open().await;
    let request = format!("GET {path}/ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n{SMUGGLED}");
    send(&mut client, request).await;
    let (bytes, _) = rest(&mut client).await;
    let (response, used) = Response::parse(&bytes).expect(switch);
    assert_eq!((response.status, used), (502, bytes.len()), "{switch:?}");
    assert!(response.closes(), "{switch:?}: {response:?}");
    let response = get(&mut port.open().await, &format!("{path}/clean")).await;
    assert_eq!(response.body, b"/clean", "{switch:?}");
    let seen = watcher.seen();
    assert_eq!(seen.lines(), ["GET /ws", "GET /clean"], "{switch:?}");
    assert_eq!(seen.scraps(), [""; 0], "{switch:?}");
}

#[tokio::test]
async fn a_tunnel_begins_only_as_it_was_asked_for() {
    for switch in BAD_SWITCHES {
        let chain = Chain::start(Switch(switch)).await;
        bad_switch(chain.port(), &chain.path(), &chain.watcher, switch).await;
        let foreign = Foreign::start(Switch(switch)).await;
        bad_switch(foreign.port(), &foreign.path(), &foreign.watcher, switch).await;
    }
}

#[tokio::test]
async fn bytes_of_a_peer_behind_its_101_come_first() {
    const EARLY: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";

    let foreign = Foreign::start(Switch(EARLY)).await;
    let path = foreign.path();
    let mut client = foreign.port().open().await;
    let request = format!("GET {path}/ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n{SMUGGLED}");
    send(&mut client, request).await;
    let response = response_with_more(&mut client, b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert_eq!(response.status, 101);
    let seen = foreign
        .watcher
        .until("the bytes that were held", |seen| {
            seen.scraps() == [SMUGGLED.as_bytes().escape_ascii().to_string()]
        })
        .await;
    assert_eq!(seen.lines(), ["GET /ws"]);
}

/// Reads a response, and `more` behind it.
async fn response_with_more(stream: &mut (impl Bytes + ?Sized), more: &[u8]) -> Response {
    let mut bytes = Vec::new();
    loop {
        if let Some((response, used)) = Response::parse(&bytes)
            && bytes.len() >= used + more.len()
        {
            assert_eq!(&bytes[used..], more);
            return response;
        }
        let read = within("the bytes of a tunnel", stream.read_buf(&mut bytes)).await;
        assert!(read.unwrap() > 0, "{}", bytes.escape_ascii());
    }
}
