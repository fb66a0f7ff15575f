//! What of a head arrives at the other end, what is added to it, and which service is it for?

use std::fs;

use libp2p_http_proxy::route::Domain;
use support::{
    app,
    node::{Node, Pair},
    program::Curl,
    wire::{Message, Server},
};

mod support;

/// Each on a connection of its own, so that `accept` sees every request.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// What the server saw of a request of curl.
async fn seen(
    curl: &Curl,
    pair: &Pair,
    server: &Server,
    args: &[&str],
    rest: &str,
    response: &str,
) -> (String, Message) {
    let url = pair.url(rest);
    let args = [args, &[&url]].concat();
    let (answer, (_, request)) = tokio::join!(curl.run(args), server.answer(response));
    (answer.text(), request)
}

#[tokio::test]
async fn path_and_query_are_not_touched() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    for rest in [
        "/",
        "/a/../b//%2F?x=%zz",
        "//",
        "/./..",
        "/%2e%2e/%00/%ff",
        "/;a=b,c/{}[]|^`\"<>",
        "/?",
        "/?a?b/../c=//&&=+",
        "/x?u=http://h/http/12D3/y",
        "/http/12D3/app/",
    ] {
        let (_, request) = seen(&curl, &pair, &server, &["--path-as-is"], rest, OK).await;
        assert_eq!(request.line, format!("GET {rest} HTTP/1.1"));
    }
}

#[tokio::test]
async fn fields_keep_their_order_case_and_repeats() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let response = "HTTP/1.1 200 Fine, thanks\r\nSet-Cookie: a=1\r\nx-B: 1\r\nSet-Cookie: b=2\r\n\
                    X-b: \u{e9}\r\nX-Empty:\r\nServer: none\r\ndAte: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\
                    Connection: close\r\n\r\n";
    let args = [
        "--include",
        "-A",
        "agent",
        "-H",
        "X-b: 2",
        "-H",
        "x-A: 1",
        "-H",
        "X-B: 3",
        "-H",
        "X-Empty;",
        "-H",
        "x-b: \u{e9}",
        "-H",
        "Cookie: c=1",
    ];
    let (answer, request) = seen(&curl, &pair, &server, &args, "/", response).await;

    let ours = |name: &str| {
        name.starts_with("X-Forwarded")
            || ["via", "x-libp2p-peer"].contains(&name.to_lowercase().as_str())
    };
    let theirs: Vec<_> = request
        .fields
        .iter()
        .filter(|(name, _)| !ours(name))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(
        theirs,
        [
            &format!("Host: {}", pair.address()),
            "User-Agent: agent",
            "Accept: */*",
            "X-b: 2",
            "x-A: 1",
            "X-B: 3",
            "X-Empty: ",
            "x-b: \u{e9}",
            "Cookie: c=1",
        ]
    );
    let lines: Vec<_> = answer
        .lines()
        .filter(|line| !line.starts_with("Via:"))
        .collect();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 200 Fine, thanks",
            "Set-Cookie: a=1",
            "x-B: 1",
            "Set-Cookie: b=2",
            "X-b: \u{e9}",
            "X-Empty: ",
            "Server: none",
            "dAte: Sun, 06 Nov 1994 08:49:37 GMT",
            "Content-Length: 0",
            ""
        ]
    );
}

#[tokio::test]
async fn the_peer_is_the_one_that_was_authenticated() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let args = [
        "-H",
        "X-Libp2p-Peer: 12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW",
        "-H",
        "x-LIBP2P-peer: spoof",
        "-H",
        "x_libp2p_peer: spoof",
        "-H",
        "X-Libp2p_Peer: spoof",
        "-H",
        "Connection: X-Libp2p-Peer, Host, X-Mine",
        "-H",
        "X-Mine: for this hop",
        "-H",
        "X-Forwarded-For: 192.0.2.1",
    ];
    let (_, request) = seen(&curl, &pair, &server, &args, "/", OK).await;
    let identities: Vec<_> = request
        .fields
        .iter()
        .filter(|(name, _)| name.to_lowercase().replace('_', "-") == "x-libp2p-peer")
        .collect();
    let peer = pair.gateway.fact("peer ").to_owned();
    assert_eq!(identities, [&("X-Libp2p-Peer".to_owned(), peer)]);
    assert_eq!(request.all("Host"), [pair.address().to_string()]);
    assert_eq!(request.all("X-Mine"), [""; 0], "{request:?}");
    assert_eq!(request.all("X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(
        request.all("X-Forwarded-Host"),
        [pair.address().to_string()]
    );
    assert_eq!(request.all("X-Forwarded-Proto"), ["http"]);
}

/// Behind a server with TLS, services would otherwise make links and redirects for http.
#[tokio::test]
async fn what_a_server_in_front_says_of_its_clients_is_passed_on() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let origin = Node::serve(&[("app", &server.target())], &[]).await;
    let gateway = Node::gateway(&origin, &["--behind-proxy", "--domain", "example.com"]).await;
    let pair = Pair { origin, gateway };
    let args = [
        "-H",
        "Host: example.com",
        "-H",
        "X-Forwarded-For: 192.0.2.1",
        "-H",
        "X-Forwarded-Proto: https",
    ];
    let (_, request) = seen(&curl, &pair, &server, &args, "/", OK).await;
    assert_eq!(request.all("X-Forwarded-For"), ["192.0.2.1, 127.0.0.1"]);
    assert_eq!(request.all("X-Forwarded-Host"), ["example.com"]);
    assert_eq!(request.all("X-Forwarded-Proto"), ["https"]);
}

#[tokio::test]
async fn the_gateway_is_also_a_proxy_of_curl() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let proxy = format!("http://{}", pair.address());
    let url = format!("http://any.localhost{}", pair.path("/a?b"));
    let ask = curl.run(["--noproxy", "", "--proxy", &proxy, &url]);
    let (answer, (_, request)) = tokio::join!(ask, server.answer(OK));
    assert_eq!(answer.text(), "ok");
    assert_eq!(request.line, "GET /a?b HTTP/1.1");
    assert_eq!(request.all("Host"), ["any.localhost"]);
    assert_eq!(request.all("Proxy-Connection"), [""; 0], "{request:?}");
}

#[tokio::test]
async fn a_domain_has_hosts_for_services_and_other_names_have_none() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let origin = Node::serve(&[("app", &server.target())], &[]).await;
    let gateway = Node::gateway(&origin, &["--domain", "gate.example"]).await;
    let address = gateway.http("gateway ");
    let peer = origin.fact("peer ").parse().unwrap();
    let domain: Domain = "gate.example".parse().unwrap();
    let short = domain.host_of(&peer, &"app".parse().unwrap()).unwrap();
    let own = origin.fact("host app ");
    let long = own.replace("localhost", "gate.example");
    let url = format!("http://{address}/a?b");
    for host in [own, &short, &long] {
        let named = format!("Host: {host}");
        let ask = curl.run(["-H", &named, &url]);
        let (answer, (_, request)) = tokio::join!(ask, server.answer(OK));
        assert_eq!(answer.text(), "ok", "{host}");
        assert_eq!(request.line, "GET /a?b HTTP/1.1");
        assert_eq!(request.all("Host"), [host]);
    }
    let page = format!("http://{address}/http/{peer}/app/a?b");
    let named = ["-H", "Host: gate.example:81", "-H", "Accept: text/html"];
    let answer = curl
        .run([&["--include"][..], &named, &[&page]].concat())
        .await;
    let location = format!("\r\nLocation: //{short}:81/a?b\r\n");
    assert!(answer.text().contains(&location), "{answer}");
    let other = short.replace("gate.example", "other.example");
    let named = format!("Host: {other}");
    let answer = curl.run(["--include", "-H", &named, &url]).await.text();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
}

#[tokio::test]
async fn interim_responses_come_before_the_final_one() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    for (version, expected) in [("--http1.1", 2), ("--http1.0", 0)] {
        let response = format!("{hints}{hints}{OK}");
        let args = [version, "--include"];
        let (answer, _) = seen(&curl, &pair, &server, &args, "/", &response).await;
        assert_eq!(
            answer
                .matches("HTTP/1.1 103 Early Hints\r\nLink: </style.css>")
                .count(),
            expected
        );
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    }
}

#[tokio::test]
async fn services_of_one_node_are_kept_apart() {
    let Some(curl) = Curl::find() else { return };
    let (one, two) = (Server::bind().await, Server::bind().await);
    let targets = (one.target(), two.target());
    let services = [("app", &*targets.0), ("app.2", &*targets.1)];
    let origin = Node::serve(&services, &[]).await;
    let gateway = Node::gateway(&origin, &[]).await;
    let pair = Pair { origin, gateway };
    let url = |name| {
        format!(
            "http://{}/http/{}/{name}/",
            pair.address(),
            pair.origin.fact("peer ")
        )
    };
    let (first, second) = (url("app"), url("app.2"));
    let (answer, _) = tokio::join!(
        curl.run([first]),
        one.answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")
    );
    assert_eq!(answer.text(), "one");
    let (answer, _) = tokio::join!(
        curl.run([second]),
        two.answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo")
    );
    assert_eq!(answer.text(), "two");
}

#[tokio::test]
async fn a_stranger_is_told_who_it_is_and_that_it_may_not() {
    let Some(curl) = Curl::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("hello.txt"), "hello, peer\n").unwrap();
    let target = app::start(directory.path()).await;
    let friend = "12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW";
    let origin = Node::serve(&[("app", &target)], &["--allow", friend]).await;
    let gateway = Node::gateway(&origin, &[]).await;
    let pair = Pair { origin, gateway };
    let answer = curl
        .run(["--include", "-d", "a body", &pair.url("/hello.txt")])
        .await
        .text();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(
        answer.contains("\r\nProxy-Status: p2p-origin; error=http_request_denied"),
        "{answer}"
    );
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body.contains(pair.gateway.fact("peer ")), "{body}");
    assert!(!answer.contains("hello, peer"), "{answer}");
}
