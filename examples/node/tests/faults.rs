//! What does a client see when something on the way is down, unknown, cut or killed?

use std::{process::Stdio, time::Duration};

use tokio::{
    io::AsyncReadExt,
    net::TcpSocket,
    process::{Child, ChildStdout},
    time::timeout,
};

use support::{
    data,
    node::{Node, Pair, QUIC, TCP},
    program::Curl,
    wire::{Conn, Message, Server},
    within,
};

mod support;

/// A peer id that nobody has.
const STRANGER: &str = "12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW";

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// A port at which nobody listens, nor anybody else will: it is taken, until somebody says so.
fn closed_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Checks that a response is one of ours, and names what failed.
#[track_caller]
fn check_failure(what: &str, response: &Message, status: u16, side: &str, error: &str) {
    assert_eq!(response.status(), status, "{what}: {response:?}");
    let [proxy_status] = response.all("Proxy-Status")[..] else {
        panic!("{what}: {response:?}")
    };
    let expected = format!("{side}; error={error}");
    assert!(
        proxy_status == expected || proxy_status.starts_with(&format!("{expected};")),
        "{what}: {proxy_status}"
    );
    assert!(!response.body.is_empty(), "{what}: {response:?}");
}

#[tokio::test]
async fn a_target_that_is_down_is_a_502() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("nobody.sock");
    let (_taken, port) = closed_port();
    for target in [
        format!("http://127.0.0.1:{port}"),
        format!("unix:{}", socket.display()),
    ] {
        let pair = Pair::start(&target).await;
        let mut client = Conn::connect(pair.address()).await;
        // Twice: a failure is no reason to close the connection.
        for _ in 0..2 {
            let response = client.get(&pair.path("/")).await;
            check_failure(&target, &response, 502, "p2p-origin", "connection_refused");
            // The visitor is told what failed; the address of the server is for the log of its owner.
            assert!(!response.text().contains(&target), "{response:?}");
            pair.origin.logged(&["status=502", &target]).await;
        }
        // A body that nobody reads does not hold the answer up.
        let upload = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n",
            pair.path("/")
        );
        client.send(upload).await;
        let response = client.message().await;
        check_failure(&target, &response, 502, "p2p-origin", "connection_refused");
    }
}

#[tokio::test]
async fn a_target_that_starts_later_is_used() {
    let (socket, port) = closed_port();
    let pair = Pair::start(&format!("http://127.0.0.1:{port}")).await;
    let mut client = Conn::connect(pair.address()).await;
    assert_eq!(client.get(&pair.path("/")).await.status(), 502);
    let server = Server::new(socket.listen(16).unwrap());
    let path = pair.path("/");
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn a_target_that_does_not_answer_in_http_is_a_502() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let path = pair.path("/");
    for (sent, error) in [
        ("", "connection_terminated"),
        ("HTTP/1.1 200 OK\r\nContent-", "connection_terminated"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "http_protocol_error"),
        ("HTTP/1.1 999 Odd\r\n\r\n", "http_protocol_error"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "http_protocol_error",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "http_upgrade_failed",
        ),
    ] {
        let mut client = Conn::connect(pair.address()).await;
        let serve = async { drop(server.answer(sent).await) };
        let (response, ()) = tokio::join!(client.get(&path), serve);
        check_failure(sent, &response, 502, "p2p-origin", error);
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_by_status_and_name() {
    let server = Server::bind().await;
    let origin = Node::serve(&[("app", &server.target())], &[]).await;
    let peer = origin.fact("peer ");
    let down = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let other = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
    let (_taken, port) = closed_port();
    let nowhere = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{down}");
    // Where the origin is, but somebody else is expected.
    let (address, _) = origin.fact("listening ").rsplit_once('/').unwrap();
    let mistaken = format!("{address}/{other}");
    let more = ["--peer", &nowhere, "--peer", &mistaken];
    let gateway = Node::gateway(&origin, &more).await;
    let not_found = (502, "destination_not_found");
    let unavailable = (502, "destination_unavailable");
    let somebody_else = (502, "tls_certificate_error");
    let refused = (502, "connection_refused");
    let wrong = (400, "http_request_error");
    for (asked, rest, (status, error), said) in [
        (STRANGER, "/app/", not_found, STRANGER),
        (down, "/app/", unavailable, down),
        (other, "/app/", somebody_else, peer),
        (peer, "/none/", refused, "/x/http/none"),
        (peer, "/a%2Fb/", wrong, "'%'"),
        (peer, "/../", wrong, ".."),
        ("somebody", "/app/", wrong, "somebody"),
        ("", "/app/", wrong, "/http/"),
    ] {
        let path = format!("/http/{asked}{rest}");
        let mut client = Conn::connect(gateway.http("gateway ")).await;
        let response = client.get(&path).await;
        check_failure(&path, &response, status, "p2p-gateway", error);
        assert!(
            response.text().contains(said),
            "{path}: {}",
            response.text()
        );
        // The same, in a form for programs.
        let asked = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/problem+json\r\n\r\n"
        );
        client.send(asked).await;
        let response = client.message().await;
        check_failure(&path, &response, status, "p2p-gateway", error);
        assert_eq!(response.all("Content-Type"), ["application/problem+json"]);
    }
}

#[tokio::test]
async fn a_wrong_request_is_refused_and_goes_no_further() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let target = pair.path("/");
    let long = "x".repeat(20_000);
    for (request, status) in [
        (format!("GET {target} HTTP/1.1\r\n\r\n"), 400),
        (
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n"),
            400,
        ),
        (format!("GET {target} HTTP/1.1\nHost: localhost\n\n"), 400),
        (
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nA : b\r\n\r\n"),
            400,
        ),
        (
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n b\r\n\r\n"),
            400,
        ),
        (
            format!("GET {target} HTTP/2.0\r\nHost: localhost\r\n\r\n"),
            505,
        ),
        (
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".to_owned(),
            501,
        ),
        (
            format!("GET {target}{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            414,
        ),
        (
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nA: {long}{long}\r\n\r\n"),
            431,
        ),
        (
            framed(
                &target,
                "Content-Length: 1\r\nTransfer-Encoding: chunked",
                "0\r\n\r\n",
            ),
            400,
        ),
        (
            framed(&target, "Content-Length: 1\r\nContent-Length: 2", "ab"),
            400,
        ),
        (framed(&target, "Content-Length: +1", "a"), 400),
        (framed(&target, "Transfer-Encoding: gzip", ""), 400),
        (framed(&target, "Transfer-Encoding: chunked", "x\r\n"), 400),
        (
            framed(&target, "Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
            400,
        ),
    ] {
        let mut client = Conn::connect(pair.address()).await;
        client.send(&request).await;
        let what = &request[..request.len().min(120)];
        let response = client.message().await;
        check_failure(what, &response, status, "p2p-gateway", "http_request_error");
        assert_eq!(response.all("Connection"), ["close"], "{what}");
        assert_eq!(client.rest().await.unwrap(), b"", "{what}");
    }
    // The first request that reaches the server is this one.
    let mut client = Conn::connect(pair.address()).await;
    let good = pair.path("/good");
    let (response, (_, request)) = tokio::join!(client.get(&good), server.answer(OK));
    assert_eq!(response.text(), "ok");
    assert_eq!(request.line, "GET /good HTTP/1.1");
}

fn framed(target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}")
}

/// Each way to send a body, with a part of it.
const BODIES: [(&str, &str); 3] = [
    ("Content-Length: 100000\r\n", "the first part"),
    ("Transfer-Encoding: chunked\r\n", "e\r\nthe first part\r\n"),
    ("Connection: close\r\n", "the first part"),
];

/// curl, which has received the first part of a body.
async fn download(
    curl: &Curl,
    version: &str,
    url: &str,
    server: &Server,
    body: (&str, &str),
) -> (Child, ChildStdout, Conn) {
    let mut child = curl
        .command(["--no-buffer", version, url])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (fields, part) = body;
    let (conn, _) = server
        .answer(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{part}"))
        .await;
    let mut first = [0; "the first part".len()];
    within("the first part", stdout.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"the first part");
    (child, stdout, conn)
}

/// Waits for curl, which must not take what it has for the whole: it says "partial file" or "failure in receiving".
async fn check_cut(what: &str, mut child: Child) {
    let code = within("the end of curl", child.wait())
        .await
        .unwrap()
        .code();
    assert!(
        matches!(code, Some(18 | 56)),
        "{what}: curl ended with {code:?}"
    );
}

#[tokio::test]
async fn a_body_that_the_target_cuts_is_never_complete() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    for transport in [TCP, QUIC] {
        let pair = Pair::start_on(transport, &server.target()).await;
        for version in ["--http1.1", "--http1.0"] {
            for body in BODIES {
                for resets in [true, false] {
                    // An orderly end is the end of this one.
                    if !resets && body == BODIES[2] {
                        continue;
                    }
                    let what = format!("{transport} {version} {} {resets}", body.0.trim());
                    let (child, _stdout, conn) =
                        download(&curl, version, &pair.url("/"), &server, body).await;
                    if resets {
                        conn.reset();
                    } else {
                        drop(conn);
                    }
                    check_cut(&what, child).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_killed_origin_cuts_what_it_was_sending() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    for version in ["--http1.1", "--http1.0"] {
        for body in BODIES {
            let pair = Pair::start(&server.target()).await;
            let (child, _stdout, _conn) =
                download(&curl, version, &pair.url("/"), &server, body).await;
            pair.origin.kill().await;
            check_cut(&format!("{version}, {}", body.0.trim()), child).await;
        }
    }
}

#[tokio::test]
async fn a_killed_origin_fails_those_who_wait_for_an_answer() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let path = pair.path("/");
    let mut client = Conn::connect(pair.address()).await;
    let kill = async {
        let mut conn = server.accept().await;
        conn.head().await;
        pair.origin.kill().await;
    };
    let (response, ()) = tokio::join!(client.get(&path), kill);
    check_failure(
        "killed",
        &response,
        502,
        "p2p-gateway",
        "connection_terminated",
    );
}

#[tokio::test]
async fn a_gateway_finds_an_origin_that_was_restarted() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("origin.key");
    let key = key.to_str().unwrap();
    let server = Server::bind().await;
    let target = server.target();
    let mut origin = Node::serve(&[("app", &target)], &["--identity", key]).await;
    let gateway = Node::gateway(&origin, &[]).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let address = origin
        .fact("listening ")
        .split("/p2p/")
        .next()
        .unwrap()
        .to_owned();
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    for (round, signal) in ["KILL", "TERM", "KILL"].into_iter().enumerate() {
        let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
        assert_eq!(response.text(), "ok");

        origin.signal(signal).await;
        origin.exit_code().await;
        // Before that it is told as what it is, a connection that was closed.
        gateway.logged_times(round + 1, " disconnected ").await;
        let response = client.get(&path).await;
        check_failure(
            signal,
            &response,
            502,
            "p2p-gateway",
            "destination_unavailable",
        );

        let args = [
            "serve",
            "--name",
            "app",
            "--to",
            &target,
            "--identity",
            key,
            "--listen",
            &address,
        ];
        origin = Node::start(&args).await;
    }
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn an_origin_that_is_asked_to_stop_finishes_the_running_download() {
    let Some(curl) = Curl::find() else { return };
    for listen in [TCP, QUIC] {
        finishes_the_running_download(&curl, listen).await;
    }
}

async fn finishes_the_running_download(curl: &Curl, listen: &str) {
    let server = Server::bind().await;
    let mut pair = Pair::start_on(listen, &server.target()).await;
    let bytes = data::bytes(5_000_000);
    let child = curl
        .command(["--no-buffer", &pair.url("/")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
    let (mut conn, _) = server.answer(head).await;
    conn.send(&bytes[..1000]).await;
    pair.origin.signal("TERM").await;
    pair.origin.logged(&["running exchanges may finish"]).await;

    // Nobody new gets in.
    let mut late = Conn::connect(pair.address()).await;
    let refused = late.get(&pair.path("/late")).await;
    assert_eq!(refused.status(), 502, "{refused:?}");

    let rest = async {
        conn.send(&bytes[1000..]).await;
        drop(conn);
    };
    let (output, ()) = tokio::join!(within("curl", child.wait_with_output()), rest);
    let output = output.unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert!(output.stdout == bytes, "another body");
    assert_eq!(pair.origin.exit_code().await, Some(0));
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    /// Well below the 30 s that running exchanges are given.
    const SOON: Duration = Duration::from_secs(10);
    let server = Server::bind().await;
    let mut pair = Pair::start(&server.target()).await;
    let mut client = Conn::connect(pair.address()).await;
    let path = pair.path("/");
    let kept = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (response, (_conn, _)) = tokio::join!(client.get(&path), server.answer(kept));
    assert_eq!(response.text(), "ok");
    for node in [&mut pair.origin, &mut pair.gateway] {
        node.signal("TERM").await;
        let code = timeout(SOON, node.exit_code()).await;
        assert_eq!(code, Ok(Some(0)), "{node}");
    }
    assert_eq!(client.rest().await.unwrap(), b"");
}
