//! What RFC 9110 asks of whoever passes messages on, beside the framing: how far a request may go, and when a response came.

#![cfg(feature = "tokio")]

mod support;

use std::time::{Duration, SystemTime};

use futures::StreamExt;
use httpdate::parse_http_date;
use libp2p_http_proxy::{ForwardConfig, Response};
use tokio::net::TcpStream;

use self::support::{
    name,
    path::{Path, Setup, read_head, read_until, values, write},
    within,
};

/// What a client gets for `request`, head and body, where no server is asked. The connection goes on after it.
async fn answered(path: &Path, request: &str) -> String {
    let mut client = path.request(request).await;
    let mut answer = read_head(&mut client).await;
    if let [length] = values(&answer, "Content-Length")[..] {
        let mut body = vec![0; length.parse().expect("a number")];
        let read = tokio::io::AsyncReadExt::read_exact(&mut client, &mut body);
        within(read).await.expect("the body comes");
        answer += str::from_utf8(&body).expect("is text");
    }
    write(&mut client, "GET /nowhere HTTP/1.1\nHost: localhost\n\n").await;
    let next = read_head(&mut client).await;
    assert!(next.contains("/nowhere"), "{next}");
    answer
}

#[tokio::test]
async fn a_request_goes_no_further_than_it_says() {
    let mut path = Path::new(Setup::default()).await;
    for (left, name) in [(0, "p2p-gateway"), (1, "p2p-origin")] {
        let told = format!("{name}; error=proxy_internal_response");
        let sent = format!(
            "Host: localhost\nmax-FORWARDS: {left}\nX-Kept: 1\nCookie: secret\nAuthorization: secret\n\n"
        );

        let answer = answered(&path, &format!("OPTIONS {{}}/a HTTP/1.1\n{sent}")).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert!(values(&answer, "Proxy-Status")[0].starts_with(&told));

        let answer = answered(&path, &format!("TRACE {{}}/a HTTP/1.1\n{sent}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(values(&answer, "Proxy-Status")[0].starts_with(&told));
        assert_eq!(values(&answer, "Content-Type"), ["message/http"]);
        let (_, traced) = answer.split_once("\r\n\r\n").expect("a body");
        let line = match left {
            0 => format!("TRACE {}/a HTTP/1.1\r\n", path.prefix),
            _ => "TRACE /a HTTP/1.1\r\n".to_owned(),
        };
        assert!(traced.starts_with(&line), "{traced}");
        assert!(traced.ends_with("\r\n\r\n"), "{traced}");
        assert_eq!(values(traced, "Max-Forwards"), ["0"]);
        assert_eq!(values(traced, "X-Kept"), ["1"]);
        // The way up to there.
        assert_eq!(values(traced, "Via").len(), left);
        assert!(!traced.contains("secret"), "{traced}");
    }
    assert!(path.server.try_recv().is_err(), "no server was asked");

    for method in ["OPTIONS", "TRACE"] {
        let request = format!("{method} {{}}/a HTTP/1.1\nHost: localhost\nMax-Forwards: 2\n\n");
        let _client = path.request(&request).await;
        let mut server = path.accepted().await;
        let head = read_head(&mut server).await;
        assert_eq!(values(&head, "Max-Forwards"), ["0"], "{head}");
    }
    let request = "GET {}/a HTTP/1.1\nHost: localhost\nMax-Forwards: 0\n\n";
    let _client = path.request(request).await;
    let mut server = path.accepted().await;
    let head = read_head(&mut server).await;
    assert_eq!(values(&head, "Max-Forwards"), ["0"], "{head}");
}

#[tokio::test]
async fn how_far_a_request_may_go_has_to_be_clear() {
    let path = Path::new(Setup::default()).await;
    for lines in [
        "Max-Forwards: -1",
        "Max-Forwards: 1\nMax-Forwards: 2",
        "Max-Forwards:",
    ] {
        let request = format!("TRACE {{}}/ HTTP/1.1\nHost: localhost\n{lines}\n\n");
        let answer = answered(&path, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("Max-Forwards"), "{answer}");
    }
}

/// That the response was made now, by its only `Date`.
fn assert_made_now(head: &str) {
    let [date] = values(head, "Date")[..] else {
        panic!("one Date: {head}");
    };
    let date = parse_http_date(date).expect("a date");
    let now = SystemTime::now();
    let minute = Duration::from_secs(60);
    assert!(now - minute < date && date <= now, "{head}");
}

async fn asked(path: &mut Path) -> (TcpStream, TcpStream) {
    let client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    (client, server)
}

#[tokio::test]
async fn a_response_without_a_date_gets_one() {
    let mut path = Path::new(Setup::default()).await;
    let (mut client, mut server) = asked(&mut path).await;
    write(&mut server, "HTTP/1.1 103 Early Hints\nLink: x\n\n").await;
    let interim = read_head(&mut client).await;
    assert!(values(&interim, "Date").is_empty(), "{interim}");
    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
    let head = read_head(&mut client).await;
    assert_made_now(&head);
    read_until(&mut client, "ok").await;
}

#[tokio::test]
async fn the_date_of_a_server_stays() {
    let mut path = Path::new(Setup::default()).await;
    for option in ["close", "close, date"] {
        let (mut client, mut server) = asked(&mut path).await;
        let head = format!(
            "HTTP/1.1 200 OK\nConnection: {option}\ndate: Sun, 06 Nov 1994 08:49:37 GMT\nContent-Length: 0\n\n"
        );
        write(&mut server, &head).await;
        let head = read_head(&mut client).await;
        assert_eq!(values(&head, "Date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    }
}

#[tokio::test]
async fn what_a_node_answers_itself_has_a_date() {
    let path = Path::new(Setup::default()).await;
    let mut requests = path.origin.accept(&name("own")).await;
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            let response = Response::new(200, "ok").expect("valid");
            let _ = inbound.responder.send(response).await;
        }
    });
    let refused = ForwardConfig::default().with_allowed_peers([]);
    let nobody = "127.0.0.1:1".parse().expect("an address");
    support::path::serve(&path.origin, &name("refused"), nobody, refused).await;
    for (service, status) in [("own", 200), ("refused", 403), ("none", 502)] {
        let peer = path.origin.peer;
        let request = format!("GET /http/{peer}/{service}/ HTTP/1.1\nHost: localhost\n\n");
        let mut client = path.request(&request).await;
        let head = read_head(&mut client).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_made_now(&head);
    }
}
