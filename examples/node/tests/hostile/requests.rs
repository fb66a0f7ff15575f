//! Does a request that two readers could read in two ways get past a node?

use tokio::io::AsyncReadExt;

use crate::{
    hostile::{
        Door, Response, get,
        nodes::{Chain, Echo, Port},
        peer::Peer,
        requests, response, rest, send,
        watcher::Watcher,
    },
    support::{
        node::{Node, QUIC, TCP},
        wire::{Conn, Server},
        within,
    },
};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends every request that nobody may pass on, and after each one that is to be passed on. `path` is where the service
/// is.
async fn refuse_all(door: &mut impl Door, path: &str, watcher: &Watcher) {
    let mut clean = Vec::new();
    for (number, case) in requests::cases(path).iter().enumerate() {
        let shown = &case.bytes[..case.bytes.len().min(300)];
        let what = format!("RFC 9112, {}: \"{}\"", case.section, shown.escape_ascii());
        let mut stream = door.open().await;
        send(&mut stream, &case.bytes).await;
        let (answer, _) = rest(&mut stream).await;
        let Some((response, used)) = Response::parse(&answer) else {
            panic!("{what}: \"{}\"", answer.escape_ascii())
        };
        assert_eq!(response.status, case.status, "{what}");
        assert!(response.closes(), "{what}: {response:?}");
        assert_eq!(used, answer.len(), "{what}: more than one answer");

        let target = format!("/clean/{number}");
        let next = get(&mut door.open().await, &format!("{path}{target}")).await;
        assert_eq!((next.status, next.body), (200, target.clone().into_bytes()));
        clean.push(format!("GET {target}"));
        let seen = watcher.seen();
        assert_eq!(seen.lines(), clean, "{what}");
        assert_eq!(seen.scraps(), [""; 0], "{what}");
    }
}

#[tokio::test]
async fn a_gateway_refuses_what_is_malformed() {
    let chain = Chain::start(Echo).await;
    refuse_all(&mut chain.port(), &chain.path(), &chain.watcher).await;
}

#[tokio::test]
async fn a_forward_refuses_what_is_malformed() {
    let chain = Chain::start(Echo).await;
    let forward = Node::forward(&chain.origin, "app").await;
    let mut port = Port(forward.http("forward "));
    refuse_all(&mut port, "", &chain.watcher).await;
}

#[tokio::test]
async fn an_origin_refuses_what_is_malformed() {
    for listen in [TCP, QUIC] {
        let chain = Chain::start_on(listen, Echo).await;
        let mut peer = Peer::of(&chain.origin, listen).await;
        refuse_all(&mut peer, "", &chain.watcher).await;
    }
}

/// A body that breaks the rules after its beginning has left. What has left stays without an end.
async fn cut_body(door: &mut impl Door, path: &str, watcher: &Watcher) {
    for (bad, status) in [
        ("+5\r\nhello\r\n0\r\n\r\n", 400),
        ("5\r\nhello0\r\n\r\n", 400),
        ("0\r\nHost: b\r\n\r\n", 400),
        ("0\r\nX: y\n\r\n", 400),
        ("\r\n", 400),
    ] {
        let mut stream = door.open().await;
        let begin = format!(
            "POST {path}/begun HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"
        );
        send(&mut stream, begin).await;
        let before = watcher
            .until("a body that has begun", |seen| {
                let mut streams = seen.streams.iter();
                streams.any(|(bytes, ended)| !ended && bytes.ends_with(b"5\r\nbegun\r\n"))
            })
            .await;
        let mut streams = before.streams.iter();
        let place = streams.position(|(bytes, ended)| !ended && !bytes.is_empty());
        let place = place.expect("a stream with a body");

        send(&mut stream, format!("{bad}{SMUGGLED}")).await;
        let (answer, _) = rest(&mut stream).await;
        let (response, used) = Response::parse(&answer).expect("an answer");
        assert_eq!((response.status, used), (status, answer.len()), "{bad:?}");
        assert!(response.closes(), "{bad:?}");
        let after = watcher
            .until("the end of what was cut", |seen| seen.streams[place].1)
            .await;
        assert_eq!(after.streams[place].0, before.streams[place].0, "{bad:?}");
        assert_eq!(after.lines(), [""; 0], "{bad:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_the_rules_later_stays_without_an_end() {
    let chain = Chain::start(Echo).await;
    cut_body(&mut chain.port(), &chain.path(), &chain.watcher).await;
    let mut peer = Peer::of(&chain.origin, TCP).await;
    cut_body(&mut peer, "", &chain.watcher).await;
}

/// What the server saw of one request: how it begins, and its body.
type Seen = (&'static str, &'static str);

/// Requests whose bodies, and what follows on them, look like requests; what is to be seen of them, and how many answers
/// there are.
#[rustfmt::skip]
const BODIES: &[(&str, &[Seen], usize)] = &[
    ("POST {}/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 43\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n\r\nGET {}/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        &[("POST /1", "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"), ("GET /2", "")], 2),
    ("POST {}/1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n30\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n0\r\n\r\nGET {}/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        &[("POST /1", "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"), ("GET /2", "")], 2),
    // Extensions, and chunks of one byte.
    ("PUT {}/1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"\r\n0\r\n1 ; x\r\n\r\r\n1;\r\n\n\r\n00;0\r\nX-T: GET /smuggled HTTP/1.1\r\n\r\nGET {}/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        &[("PUT /1", "0\r\n"), ("GET /2", "")], 2),
    // Methods whose bodies are forgotten by some.
    ("GET {}/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 43\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n\r\nGET {}/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        &[("GET /1", "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"), ("GET /2", "")], 2),
    ("OPTIONS {}/1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nDELETE {}/2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        &[("OPTIONS /1", "ok"), ("DELETE /2", "ok")], 2),
    // Connection names what frames the message.
    ("POST {}/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close, Content-Length, Host\r\nContent-Length: 43\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n\r\nGET {}/2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[("POST /1", "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")], 1),
    ("POST {}/1 HTTP/1.1\r\nHost: localhost\r\nConnection: Transfer-Encoding\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nGET {}/2 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[("POST /1", "ok")], 1),
    // Nothing is read behind what ends the connection.
    ("POST {}/1 HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nokGET {}/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[("POST /1", "ok")], 1),
    // An upgrade that has a body is none, and neither is one to HTTP/2, nor one of HTTP/1.0.
    ("POST {}/1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nokGET {}/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        &[("POST /1", "ok"), ("GET /2", "")], 2),
    ("GET {}/1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\nGET {}/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        &[("GET /1", ""), ("GET /2", "")], 2),
    ("GET {}/1 HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nGET {}/2 HTTP/1.0\r\nHost: localhost\r\n\r\n",
        &[("GET /1", ""), ("GET /2", "")], 2),
];

/// No body is ever read as a request, and no request as a body.
async fn bodies_are_bodies(door: &mut impl Door, path: &str, watcher: &Watcher) {
    let mut seen_before = watcher.seen().requests.len();
    for (input, expected, answers) in BODIES {
        let mut stream = door.open().await;
        send(&mut stream, input.replace("{}", path)).await;
        let (bytes, _) = rest(&mut stream).await;
        let mut left = &bytes[..];
        let mut count = 0;
        while let Some((response, used)) = Response::parse(left) {
            assert_eq!(response.status, 200, "{input:?}: {response:?}");
            left = &left[used..];
            count += 1;
        }
        assert_eq!((count, left), (*answers, &b""[..]), "{input:?}");

        let seen = watcher.seen();
        let requests = &seen.requests[seen_before..];
        let found: Vec<_> = requests
            .iter()
            .map(|request| {
                let line = format!("{} {}", request.method, request.target);
                (line, String::from_utf8_lossy(&request.body).into_owned())
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, body)| ((*line).to_owned(), (*body).to_owned()))
            .collect();
        assert_eq!(found, expected, "{input:?}");
        assert_eq!(seen.scraps(), [""; 0], "{input:?}");
        for request in requests {
            let head = request.head.to_ascii_lowercase();
            let framings = head.matches("\r\ncontent-length:").count()
                + head.matches("\r\ntransfer-encoding:").count();
            assert_eq!(framings, usize::from(!request.body.is_empty()), "{head}");
            assert!(!head.contains("\r\nupgrade:"), "{head}");
            assert!(!head.contains("http2-settings"), "{head}");
            assert_eq!(head.matches("\r\nhost: localhost\r\n").count(), 1, "{head}");
        }
        seen_before = seen.requests.len();
    }
}

#[tokio::test]
async fn a_body_is_never_a_request() {
    let chain = Chain::start(Echo).await;
    bodies_are_bodies(&mut chain.port(), &chain.path(), &chain.watcher).await;
    let mut peer = Peer::of(&chain.origin, TCP).await;
    bodies_are_bodies(&mut peer, "", &chain.watcher).await;
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// Sends a request behind one that was answered on `conn`: it comes on another connection.
async fn next_comes_elsewhere(door: &mut impl Door, path: &str, server: &Server, mut conn: Conn) {
    let (target, mut client) = (format!("{path}/next"), door.open().await);
    let (response, (_, head)) = tokio::join!(get(&mut client, &target), server.answer(LAST));
    assert_eq!((response.status, &*head.line), (200, "GET /next HTTP/1.1"));
    assert_eq!(conn.rest().await.unwrap_or_default(), b"");
}

/// Sends requests whose body a server may take for the next one, or by which it may authenticate their connection. `path` is
/// where the service is.
async fn last_of_their_connections(door: &mut impl Door, path: &str, server: &Server) {
    let length = format!("Content-Length: {}", SMUGGLED.len());
    for (method, fields, body) in [
        (
            "POST",
            &*format!("Expect: 100-continue\r\n{length}"),
            SMUGGLED,
        ),
        ("GET", &length, SMUGGLED),
        ("HEAD", &length, SMUGGLED),
        ("DELETE", &length, SMUGGLED),
        ("GET", "Authorization: NTLM TlRMTVNTUAADAAAA", ""),
        ("GET", "Authorization: negotiate\tYII=", ""),
    ] {
        let mut client = door.open().await;
        let head = format!("{method} {path}/e HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
        send(&mut client, head + body).await;
        let mut conn = server.accept().await;
        let head = conn.head().await;
        assert_eq!(head.line, format!("{method} /e HTTP/1.1"));
        assert_eq!(conn.exactly(body.len()).await, body.as_bytes());
        conn.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(response(&mut client).await.status, 204, "{method} {fields}");
        next_comes_elsewhere(door, path, server, conn).await;
    }
}

/// A server that answers before it has the body may not read on, and take the rest for its next request.
async fn early_answer(door: &mut impl Door, path: &str, server: &Server) {
    let mut client = door.open().await;
    let length = SMUGGLED.len();
    let head =
        format!("POST {path}/e HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    send(&mut client, head).await;
    let mut conn = server.accept().await;
    conn.head().await;
    let (begin, end) = OK.split_at(OK.len() - 1);
    conn.send(begin).await;
    let mut answer = vec![0; 12];
    within("the beginning of an answer", client.read_exact(&mut answer))
        .await
        .unwrap();
    send(&mut client, SMUGGLED).await;
    assert_eq!(conn.exactly(length).await, SMUGGLED.as_bytes());
    conn.send(end).await;
    let (more, _) = rest(&mut client).await;
    answer.extend(more);
    let (response, used) = Response::parse(&answer).expect("a response");
    assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
    assert_eq!(used, answer.len(), "more than one response");
    next_comes_elsewhere(door, path, server, conn).await;
}

#[tokio::test]
async fn nothing_follows_on_what_a_server_may_take_for_more_than_it_is() {
    let server = Server::bind().await;
    let origin = Node::serve(&[("app", &server.target())], &[]).await;
    let gateway = Node::gateway(&origin, &[]).await;
    let mut port = Port(gateway.http("gateway "));
    let path = format!("/http/{}/app", origin.fact("peer "));
    last_of_their_connections(&mut port, &path, &server).await;
    early_answer(&mut port, &path, &server).await;
    let mut peer = Peer::of(&origin, TCP).await;
    last_of_their_connections(&mut peer, "", &server).await;
    early_answer(&mut peer, "", &server).await;
}
