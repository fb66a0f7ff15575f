//! What may a browser do through a gateway, and where are the pages of services?

#![cfg(feature = "tokio")]

mod support;

use libp2p_http_proxy::{Gateway, GatewayConfig, route::Domain};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use self::support::{
    name,
    path::{Path, Setup, read_head, read_until, values, write},
    within,
};

/// What a request came to.
enum Came {
    /// The head that the server got. It answered with the fields of the case.
    Passed { request: String, response: String },
    /// The answer of the gateway.
    Answered(String),
}

impl Came {
    fn passed(self, case: &str) -> (String, String) {
        match self {
            Self::Passed { request, response } => (request, response),
            Self::Answered(answer) => panic!("{case}: {answer}"),
        }
    }

    fn answered(self, case: &str) -> String {
        match self {
            Self::Answered(answer) => answer,
            Self::Passed { request, .. } => panic!("{case} was passed on as {request}"),
        }
    }

    /// The status, and the field that tells why.
    fn refused(self, case: &str) -> (u16, String) {
        let answer = self.answered(case);
        let status = answer[9..12].parse().expect("is a status");
        let why = values(&answer, "Proxy-Status");
        (status, why.first().unwrap_or(&"").to_string())
    }
}

async fn default() -> Path {
    Path::new(Setup::default()).await
}

async fn with(gateway: GatewayConfig) -> Path {
    Path::new(Setup {
        gateway,
        ..Setup::default()
    })
    .await
}

/// Sends a request, and answers it with `fields` if it gets to the server.
async fn ask(path: &mut Path, head: &str, fields: &str) -> Came {
    let mut client = path.request(&format!("{head}\n\n")).await;
    settle(path, &mut client, fields).await
}

/// The gateway answers, or the server is asked: whichever comes first.
async fn settle(path: &mut Path, client: &mut TcpStream, fields: &str) -> Came {
    let mut first = [0];
    tokio::select! {
        read = client.read_exact(&mut first) => {
            read.expect("an answer comes");
            let rest = read_head(client).await;
            Came::Answered(format!("{}{rest}", char::from(first[0])))
        }
        server = path.server.recv() => {
            let mut server = server.expect("the server runs");
            let request = read_head(&mut server).await;
            let response = format!("HTTP/1.1 200 OK\n{fields}Content-Length: 2\n\nhi");
            write(&mut server, &response).await;
            let response = read_head(client).await;
            read_until(client, "hi").await;
            Came::Passed { request, response }
        }
    }
}

fn host(path: &Path, domain: &str, service: &str) -> String {
    let domain: Domain = domain.parse().expect("is a domain");
    let host = domain.host_of(&path.origin.peer, &name(service));
    host.expect("is a label")
}

const PAGE: &str = "Sec-Fetch-Site: none\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document";

#[tokio::test]
async fn a_service_has_a_host_of_its_own() {
    let mut path = default().await;
    let own = host(&path, "localhost", "app");
    for (target, named, expected) in [
        (
            "/a%2Fb//../c?x=%zz",
            format!("{own}:8080"),
            "/a%2Fb//../c?x=%zz",
        ),
        ("/", own.clone(), "/"),
        ("/http/not/a/route", own.to_uppercase(), "/http/not/a/route"),
        ("/x", format!("{own}.:80"), "/x"),
    ] {
        let case = format!("{target} at {named}");
        let head = format!("GET {target} HTTP/1.1\nHost: {named}\n{PAGE}");
        let (request, response) = ask(&mut path, &head, "").await.passed(&case);
        let line = format!("GET {expected} HTTP/1.1\r\n");
        assert!(request.starts_with(&line), "{case}: {request}");
        assert_eq!(values(&request, "Host"), [named], "{case}");
        assert!(!response.contains("Content-Security-Policy"), "{response}");
    }
    // As a client that uses the gateway as its proxy sends it.
    let head = format!("GET http://{own}/a?b HTTP/1.1\nHost: {own}");
    let (request, _) = ask(&mut path, &head, "").await.passed("absolute");
    assert!(request.starts_with("GET /a?b HTTP/1.1\r\n"), "{request}");
    let head = format!("OPTIONS * HTTP/1.1\nHost: {own}");
    let (request, _) = ask(&mut path, &head, "").await.passed("asterisk");
    assert!(request.starts_with("OPTIONS * HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn only_hosts_of_the_gateway_are_answered() {
    let domain = "example.com".parse().expect("is a domain");
    let mut path = with(GatewayConfig::default().with_domain(domain)).await;
    let (long, short) = (
        host(&path, "localhost", "app"),
        host(&path, "example.com", "app"),
    );
    assert!(short.starts_with("app--"), "{short}");
    let long_there = long.replace("localhost", "example.com");
    for named in [
        "localhost",
        "LOCALHOST.:1",
        "any.thing.localhost",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]:1",
        "[::ffff:127.0.0.1]",
        "example.com:443",
    ] {
        let head = format!("GET {{}}/ HTTP/1.1\nHost: {named}");
        ask(&mut path, &head, "").await.passed(named);
    }
    for named in [&long, &short, &long_there] {
        let head = format!("GET / HTTP/1.1\nHost: {named}");
        ask(&mut path, &head, "").await.passed(named);
    }
    for named in [
        "evil.example",
        "www.example.com",
        "example.com.evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "192.0.2.1",
        "0.0.0.0",
        "[2001:db8::1]",
        "127.0.0.1.evil.example",
        "127.1",
    ] {
        for target in ["{}/", "/"] {
            let head = format!("GET {target} HTTP/1.1\nHost: {named}");
            let (status, why) = ask(&mut path, &head, "").await.refused(named);
            assert_eq!(status, 421, "{named}: {why}");
            assert!(why.contains("does not answer for the host"), "{why}");
        }
    }
    let broken = long.replace("app.k51", "app.k52");
    for named in ["app.peer.p2p.localhost", &broken] {
        let head = format!("GET / HTTP/1.1\nHost: {named}");
        let (status, why) = ask(&mut path, &head, "").await.refused(named);
        assert_eq!(status, 400, "{named}: {why}");
    }
    // HTTP/1.0 names no host, and no browser speaks it.
    ask(&mut path, "GET {}/ HTTP/1.0", "")
        .await
        .passed("HTTP/1.0");
}

#[tokio::test]
async fn a_gateway_that_others_reach_answers_for_its_addresses_and_redirects_to_its_domain() {
    let path = default().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("is bound").port();
    let config = GatewayConfig::default().with_domain("p.example".parse().expect("is a domain"));
    let gateway = Gateway::new(path.near.client.clone(), path.near.peer, config);
    let serving = tokio::spawn(gateway.serve(listener, std::future::pending()));
    let own = host(&path, "p.example", "app");
    for (named, location) in [
        ("192.0.2.1:81", Some(format!("//{own}:81/x"))),
        ("p.example", Some(format!("//{own}/x"))),
        ("other.example", None),
    ] {
        let mut client = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("connects");
        let head = format!("GET {}/x HTTP/1.1\nHost: {named}\n{PAGE}\n\n", path.prefix);
        write(&mut client, &head).await;
        let answer = read_head(&mut client).await;
        let expected = if location.is_some() { 307 } else { 421 };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer}"
        );
        let location = location.as_deref();
        assert_eq!(values(&answer, "Location"), location.as_slice(), "{named}");
    }
    serving.abort();
}

#[tokio::test]
async fn pages_are_opened_at_the_host_of_their_service() {
    let mut path = default().await;
    let own = host(&path, "localhost", "app");
    let dest = |dest: &str| format!("Sec-Fetch-Site: same-origin\nSec-Fetch-Dest: {dest}");
    let html = "Accept: text/html,application/xhtml+xml,*/*;q=0.8".to_owned();
    for fields in [
        PAGE.to_owned(),
        dest("iframe"),
        dest("worker"),
        dest("serviceworker"),
        html,
    ] {
        let head = format!("GET {{}}/a%2F?b=//c HTTP/1.1\nHost: localhost:8080\n{fields}");
        let answer = ask(&mut path, &head, "").await.answered(&fields);
        assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
        let location = format!("//{own}:8080/a%2F?b=//c");
        assert_eq!(values(&answer, "Location"), [location], "{fields}");
        assert_eq!(values(&answer, "Cache-Control"), ["no-store"]);
    }
    // Everything else stays.
    for fields in [
        "Accept: */*".to_owned(),
        "Accept: application/json, text/html;q=0.1".to_owned(),
        dest("script"),
        dest("empty"),
        dest("image"),
    ] {
        let head = format!("GET {{}}/a HTTP/1.1\nHost: localhost:8080\n{fields}");
        ask(&mut path, &head, "").await.passed(&fields);
    }
}

#[tokio::test]
async fn a_page_without_a_host_of_its_own_is_put_into_a_sandbox() {
    let mut path = default().await;
    let (target, mut server) = support::path::server().await;
    let config = libp2p_http_proxy::ForwardConfig::default();
    support::path::serve(&path.origin, &name("No_Label"), target, config).await;
    std::mem::swap(&mut path.server, &mut server);
    path.prefix = path.prefix.replace("/app", "/No_Label");
    let head = format!("GET {{}}/ HTTP/1.1\nHost: localhost\n{PAGE}");
    let policy = "Content-Security-Policy: default-src 'self'\n";
    let (_, response) = ask(&mut path, &head, policy).await.passed("no label");
    let policies = values(&response, "Content-Security-Policy");
    assert_eq!(policies.len(), 2, "{response}");
    assert_eq!(policies[0], "default-src 'self'");
    assert!(policies[1].starts_with("sandbox "), "{response}");
    assert!(!policies[1].contains("allow-same-origin"), "{response}");
    let head = "GET {}/ HTTP/1.1\nHost: localhost\nAccept: */*";
    let (_, response) = ask(&mut path, head, "").await.passed("no page");
    assert!(values(&response, "Content-Security-Policy").is_empty());
}

#[tokio::test]
async fn cookies_stay_with_their_service() {
    let mut path = default().await;
    let own = host(&path, "localhost", "app");
    let set = "Set-Cookie: a=1; Path=/; Domain=p2p.localhost\nSet-Cookie: b=2; path=/b; HttpOnly\nSet-Cookie: c=3\n";
    let head = format!("GET / HTTP/1.1\nHost: {own}");
    let (_, response) = ask(&mut path, &head, set).await.passed("host");
    let cookies = values(&response, "Set-Cookie");
    assert_eq!(cookies, ["a=1; Path=/", "b=2; path=/b; HttpOnly", "c=3"]);

    let head = "GET {}/ HTTP/1.1\nHost: localhost";
    let (_, response) = ask(&mut path, head, set).await.passed("path");
    let prefix = &path.prefix;
    let expected = [
        format!("a=1; Path={prefix}/"),
        format!("b=2; path={prefix}/b; HttpOnly"),
        "c=3".to_owned(),
    ];
    assert_eq!(values(&response, "Set-Cookie"), expected);
}

#[tokio::test]
async fn what_a_browser_keeps_for_a_shared_origin_goes_to_no_service() {
    let mut path = default().await;
    let own = host(&path, "localhost", "app");
    let secrets = "Cookie: other=secret\nauthorization: Basic c2VjcmV0\nX-Other: 1";
    let no_label = |head: &str| head.replace("{}", &path.prefix.replace("/app", "/No_Label"));
    let cases = [
        (
            format!("GET / HTTP/1.1\nHost: {own}\nSec-Fetch-Site: none"),
            true,
        ),
        ("GET {}/ HTTP/1.1\nHost: localhost".to_owned(), true),
        (
            "GET {}/ HTTP/1.1\nHost: localhost\nSec-Fetch-Site: same-origin".to_owned(),
            false,
        ),
        (
            no_label(&format!("GET {{}}/ HTTP/1.1\nHost: localhost\n{PAGE}")),
            false,
        ),
        (
            no_label("GET {}/ HTTP/1.1\nHost: 127.0.0.1\nAccept: text/html"),
            false,
        ),
    ];
    let (target, mut unnamed) = support::path::server().await;
    let config = libp2p_http_proxy::ForwardConfig::default();
    support::path::serve(&path.origin, &name("No_Label"), target, config).await;
    for (head, passes) in cases {
        let is_unnamed = head.contains("No_Label");
        if is_unnamed {
            std::mem::swap(&mut path.server, &mut unnamed);
        }
        let head = format!("{head}\n{secrets}");
        let (request, _) = ask(&mut path, &head, "").await.passed(&head);
        for name in ["Cookie", "Authorization"] {
            assert_eq!(values(&request, name).len(), usize::from(passes), "{head}");
        }
        assert_eq!(values(&request, "X-Other"), ["1"]);
        if is_unnamed {
            std::mem::swap(&mut path.server, &mut unnamed);
        }
    }
}

#[tokio::test]
async fn a_service_speaks_for_its_own_origin_only() {
    let mut path = default().await;
    let own = host(&path, "localhost", "app");
    let all = "clear-site-data: \"*\"\nUse-As-Dictionary: match=\"/*\", id=\"me\"\nService-Worker-Allowed: /\n\
               Secure-Session-Registration: (ES256);path=\"/reg\"\nStrict-Transport-Security: max-age=0\n\
               WWW-Authenticate: Basic realm=\"other\"\nX-Other: 1\n";
    for (head, stays) in [
        (
            format!("GET / HTTP/1.1\nHost: {own}\nSec-Fetch-Site: same-origin"),
            true,
        ),
        (
            "GET {}/ HTTP/1.1\nHost: localhost\nSec-Fetch-Site: same-origin".to_owned(),
            false,
        ),
        ("GET {}/ HTTP/1.1\nHost: localhost".to_owned(), true),
    ] {
        let (_, response) = ask(&mut path, &head, all).await.passed(&head);
        for name in [
            "Clear-Site-Data",
            "Secure-Session-Registration",
            "Service-Worker-Allowed",
            "Strict-Transport-Security",
            "Use-As-Dictionary",
            "WWW-Authenticate",
        ] {
            assert_eq!(values(&response, name).len(), usize::from(stays), "{head}");
        }
        // A browser may show the image of now as a page later, out of its cache.
        let is_sandboxed = !values(&response, "Content-Security-Policy").is_empty();
        assert_ne!(is_sandboxed, stays, "{head}");
        assert_eq!(values(&response, "X-Other"), ["1"]);
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let mut path = default().await;
    let own = host(&path, "localhost", "app");
    let other = host(&path, "localhost", "other");
    let cross = "Sec-Fetch-Site: cross-site";
    #[rustfmt::skip]
    let cases = [
        ("GET", format!("{cross}\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: empty\nOrigin: http://evil.example"), false),
        ("GET", format!("{cross}\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image"), false),
        ("GET", format!("{cross}\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: script"), false),
        ("GET", format!("{cross}\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe"), false),
        ("POST", format!("{cross}\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\nOrigin: http://evil.example\nContent-Length: 0"), false),
        ("GET", format!("Sec-Fetch-Site: same-site\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: empty\nOrigin: http://{other}:80"), false),
        ("GET", format!("Sec-Fetch-Site: same-site\nSec-Fetch-Mode: websocket\nSec-Fetch-Dest: websocket\nOrigin: http://{other}"), false),
        ("OPTIONS", "Origin: http://evil.example\nAccess-Control-Request-Method: PUT".to_owned(), false),
        ("POST", "Origin: http://evil.example\nContent-Length: 0".to_owned(), false),
        ("POST", "Origin: null\nContent-Length: 0".to_owned(), false),
        // A link, and what the service's own pages send.
        ("GET", format!("{cross}\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document"), true),
        ("POST", "Sec-Fetch-Site: same-origin\nOrigin: null\nContent-Length: 0".to_owned(), true),
        ("POST", format!("Origin: http://{own}\nContent-Length: 0"), true),
        ("POST", format!("Origin: https://{own}\nContent-Length: 0"), true),
        ("DELETE", "X-From: curl".to_owned(), true),
    ];
    for (method, fields, passes) in cases {
        let head = format!("{method} / HTTP/1.1\nHost: {own}\n{fields}");
        let came = ask(&mut path, &head, "").await;
        if passes {
            came.passed(&fields);
            continue;
        }
        let answer = came.answered(&fields);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{fields}: {answer}");
        assert!(!answer.contains("Access-Control"), "{answer}");
    }
    // The same at the gateway itself.
    let head = "GET {}/ HTTP/1.1\nHost: localhost\nOrigin: http://evil.example";
    let (status, why) = ask(&mut path, head, "").await.refused("path");
    assert_eq!(status, 403);
    assert!(why.contains("http://evil.example"), "{why}");
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_and_write() {
    let origin = "https://app.example".parse().expect("is an origin");
    let mut path = with(GatewayConfig::default().with_allowed_origin(origin)).await;
    let fields = "Host: localhost\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nOrigin: https://app.example";
    let granted = |head: &str| {
        assert_eq!(
            values(head, "Access-Control-Allow-Origin"),
            ["https://app.example"]
        );
        assert!(values(head, "Access-Control-Allow-Credentials").is_empty());
    };

    let ask_first = "Access-Control-Request-Method: PUT\nAccess-Control-Request-Headers: x-a,x-b";
    let head = format!("OPTIONS {{}}/ HTTP/1.1\n{fields}\n{ask_first}");
    let mut client = path.request(&format!("{head}\n\n")).await;
    let answer = settle(&mut path, &mut client, "")
        .await
        .answered("preflight");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    granted(&answer);
    assert_eq!(values(&answer, "Access-Control-Allow-Methods"), ["PUT"]);
    assert_eq!(values(&answer, "Access-Control-Allow-Headers"), ["x-a,x-b"]);
    assert!(values(&answer, "Content-Length").is_empty(), "{answer}");

    // On the same connection, which the answer has left in order.
    let put = format!(
        "PUT {}/ HTTP/1.1\n{fields}\nContent-Length: 0\n\n",
        path.prefix
    );
    write(&mut client, &put).await;
    let (request, response) = settle(&mut path, &mut client, "Vary: Accept\n")
        .await
        .passed("PUT");
    assert_eq!(values(&request, "Origin"), ["https://app.example"]);
    granted(&response);
    assert_eq!(values(&response, "Vary"), ["Accept", "Origin"]);

    // What the service says to another page is not for this one; what it says to this page stays.
    let head = format!("GET {{}}/ HTTP/1.1\n{fields}");
    let others = "access-control-allow-origin: https://b\nAccess-Control-Allow-Credentials: true\n";
    let (_, response) = ask(&mut path, &head, others).await.passed("others");
    granted(&response);
    let own = "Access-Control-Allow-Origin: https://app.example\nAccess-Control-Allow-Credentials: true\n";
    let (_, response) = ask(&mut path, &head, own).await.passed("own");
    assert_eq!(
        values(&response, "Access-Control-Allow-Credentials"),
        ["true"]
    );
    assert_eq!(values(&response, "Access-Control-Allow-Origin").len(), 1);

    // A failure can be read, too.
    let head = format!("GET /http/x/app/ HTTP/1.1\n{fields}");
    let answer = ask(&mut path, &head, "").await.answered("failure");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    granted(&answer);

    let head = format!("GET {{}}/ HTTP/1.1\n{fields}").replace("app.example", "b.example");
    let answer = ask(&mut path, &head, "").await.answered("another");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(!answer.contains("Access-Control"), "{answer}");
}

#[tokio::test]
async fn a_port_of_one_service_has_its_host_and_no_other() {
    let mut path = default().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    path.gateway = listener.local_addr().expect("is bound");
    let gateway = Gateway::new(
        path.near.client.clone(),
        path.near.peer,
        GatewayConfig::default(),
    );
    let gateway = gateway.for_service(path.origin.peer, name("app"));
    let serving = tokio::spawn(gateway.serve(listener, std::future::pending()));
    let (own, other) = (
        host(&path, "localhost", "app"),
        host(&path, "localhost", "other"),
    );
    for named in ["localhost:9000", "127.0.0.1", own.as_str()] {
        let head = format!("GET /x HTTP/1.1\nHost: {named}\n{PAGE}");
        ask(&mut path, &head, "").await.passed(named);
    }
    for named in ["evil.example", other.as_str()] {
        let head = format!("GET /x HTTP/1.1\nHost: {named}");
        assert_eq!(ask(&mut path, &head, "").await.refused(named).0, 421);
    }
    let head = "GET /x HTTP/1.1\nHost: localhost\nOrigin: http://evil.example";
    assert_eq!(ask(&mut path, head, "").await.refused("cross").0, 403);
    serving.abort();
    within(serving).await.expect_err("is aborted");
}
