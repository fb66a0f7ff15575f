//! Can a server, or a peer that offers a service, hurt the next user of a connection?

use tokio::io::AsyncReadExt;

use crate::{
    hostile::{
        Bytes, Door, Response, get,
        nodes::{Chain, Echo, Foreign, Port},
        response,
        responses::{self, Outcome},
        rest, send,
        watcher::{Answer, Request, Script, Then, Watcher},
    },
    support::within,
};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server that answers some requests as no server should: `/case/NUMBER` of the tables.
struct Hostile(Vec<Answer>);

impl Script for Hostile {
    fn answer(&self, request: &Request) -> Answer {
        let number = request.target.strip_prefix("/case/");
        match number.and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => self.0[number].clone(),
            None => Echo.answer(request),
        }
    }
}

/// Asks for every response that nobody may pass on, and before and after each for one that is to be passed on.
async fn survive_all(mut port: Port, path: &str, watcher: &Watcher) {
    for (number, (what, outcome, _)) in responses::cases().iter().enumerate() {
        // Warms up a stream, so that the response comes on one that was used.
        let warm = format!("/warm/{number}");
        let response = get(&mut port.open().await, &format!("{path}{warm}")).await;
        assert_eq!((response.status, response.body), (200, warm.into_bytes()));

        let mut stream = port.open().await;
        let target = format!("/case/{number}");
        let request = format!("GET {path}{target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        send(&mut stream, request).await;
        let bytes = whole_or_cut(&mut stream).await;
        let found = Response::parse(&bytes);
        let status = found.as_ref().map(|(response, _)| response.status);
        let shown = bytes.escape_ascii();
        match outcome {
            Outcome::BadGateway => assert_eq!(status, Some(502), "{what}: \"{shown}\""),
            Outcome::Cut => assert!(matches!(status, None | Some(502)), "{what}: \"{shown}\""),
            Outcome::Ok => {
                let (response, used) = found.expect(what);
                let answer = (response.status, &response.body[..], used);
                assert_eq!(answer, (200, &b"ok"[..], bytes.len()), "{what}");
            }
        }
        let shown = shown.to_string();
        assert!(!shown.contains("evil"), "{what}: \"{shown}\"");
        let interim = shown.matches("HTTP/1.1 1").count();
        assert!(interim <= 16, "{what}: {interim} interim responses");

        let clean = format!("/clean/{number}");
        let response = get(&mut port.open().await, &format!("{path}{clean}")).await;
        let answer = (response.status, response.body);
        assert_eq!(answer, (200, clean.into_bytes()), "behind {what}");
        let seen = watcher.seen();
        let line = format!("GET {target}");
        let lines = seen.lines();
        let place = lines.iter().position(|known| *known == line).expect(what);
        let stream = seen.requests[place].stream;
        let again = seen.requests[place + 1..]
            .iter()
            .find(|request| request.stream == stream);
        assert!(again.is_none(), "behind {what}: {again:?}");
    }
    assert_eq!(watcher.seen().scraps(), [""; 0]);
}

/// Reads until a response is whole, or ends before.
async fn whole_or_cut(stream: &mut (impl Bytes + ?Sized)) -> Vec<u8> {
    let mut bytes = Vec::new();
    while Response::parse(&bytes).is_none() {
        match within("a response or its end", stream.read_buf(&mut bytes)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    bytes
}

fn hostile() -> Hostile {
    Hostile(
        responses::cases()
            .into_iter()
            .map(|(_, _, answer)| answer)
            .collect(),
    )
}

#[tokio::test]
async fn responses_of_a_hostile_server_hurt_nobody_else() {
    let chain = Chain::start(hostile()).await;
    survive_all(chain.port(), &chain.path(), &chain.watcher).await;
}

#[tokio::test]
async fn responses_of_a_hostile_peer_hurt_nobody_else() {
    let foreign = Foreign::start(hostile()).await;
    survive_all(foreign.port(), &foreign.path(), &foreign.watcher).await;
}

/// A server that answers `/early` before it has read the body.
struct Early;

impl Script for Early {
    fn early(&self, target: &str) -> Option<Answer> {
        (target == "/early").then(|| Answer {
            bytes: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
            then: Then::Stay,
        })
    }

    fn answer(&self, request: &Request) -> Answer {
        Echo.answer(request)
    }
}

/// A response that comes before the request has ended is the last one on its connections.
async fn early_response(mut port: Port, path: &str, watcher: &Watcher) {
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut stream = port.open().await;
        let head = format!("POST {path}/early HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
        send(&mut stream, head).await;
        let response = response(&mut stream).await;
        assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
        assert!(response.closes(), "{response:?}");
        // What would have been the body is no request, to nobody.
        send(&mut stream, format!("{SMUGGLED}0\r\n\r\n{SMUGGLED}")).await;
        let (more, _) = rest(&mut stream).await;
        assert_eq!(more.escape_ascii().to_string(), "");

        let response = get(&mut port.open().await, &format!("{path}/clean")).await;
        assert_eq!(response.body, b"/clean");
        let seen = watcher.seen();
        assert!(seen.lines().iter().all(|line| line == "GET /clean"));
        let clean = seen.requests.last().expect("a request").stream;
        let early = seen.streams[clean].0.is_empty();
        assert!(early, "it came on the stream of the early response");
    }
}

#[tokio::test]
async fn nothing_follows_on_an_early_response() {
    let chain = Chain::start(Early).await;
    early_response(chain.port(), &chain.path(), &chain.watcher).await;
    let foreign = Foreign::start(Early).await;
    early_response(foreign.port(), &foreign.path(), &foreign.watcher).await;
}

/// A server that sends what nobody asked for behind its response to `/late`, some time later.
struct Late;

impl Script for Late {
    fn answer(&self, request: &Request) -> Answer {
        let mut answer = Echo.answer(request);
        if request.target == "/late" {
            answer.then = Then::Late;
        }
        answer
    }
}

/// Bytes that come while a connection is idle end it, before anybody else can take them for a response.
async fn late_bytes(mut port: Port, path: &str, watcher: &Watcher) {
    let response = get(&mut port.open().await, &format!("{path}/late")).await;
    assert_eq!(response.body, b"/late");
    watcher.send_late();
    let stream = watcher.seen().requests[0].stream;
    // Idle connections are looked after every few seconds.
    watcher
        .until("the end of a stream with late bytes", |seen| {
            seen.streams[stream].1
        })
        .await;
    let response = get(&mut port.open().await, &format!("{path}/clean")).await;
    assert_eq!(response.body, b"/clean");
    assert_eq!(watcher.seen().lines(), ["GET /late", "GET /clean"]);
}

#[tokio::test]
async fn late_bytes_of_a_server_reach_nobody() {
    let chain = Chain::start(Late).await;
    late_bytes(chain.port(), &chain.path(), &chain.watcher).await;
}

#[tokio::test]
async fn late_bytes_of_a_peer_reach_nobody() {
    let foreign = Foreign::start(Late).await;
    late_bytes(foreign.port(), &foreign.path(), &foreign.watcher).await;
}
