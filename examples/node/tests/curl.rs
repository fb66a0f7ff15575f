//! Does curl get through the gateway what it gets directly, in every way that it sends and receives?

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use support::{
    app, data,
    node::Pair,
    program::Curl,
    wire::{Conn, Server},
    within,
};

mod support;

/// Each on a connection of its own, so that `accept` sees every request.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// The application, with a directory of files.
async fn app() -> (TempDir, Pair) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("hello.txt"), "hello, peer\n").unwrap();
    let pair = Pair::start(&app::start(directory.path()).await).await;
    (directory, pair)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn responses_are_those_of_the_server() {
    let Some(curl) = Curl::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("hello.txt"), "hello, peer\n").unwrap();
    let target = app::start(directory.path()).await;
    let pair = Pair::start(&target).await;
    for (args, rest) in [
        (&[][..], "/hello.txt"),
        (&["--head"], "/hello.txt"),
        (&["--range", "3-6"], "/hello.txt"),
        (&["--range", "-4"], "/hello.txt"),
        (&["--range", "100-"], "/hello.txt"),
        (&["-H", "If-None-Match: *"], "/hello.txt"),
        (&["--time-cond", "1 Jan 2100"], "/hello.txt"),
        (&["--compressed"], "/hello.txt"),
        (&[], "/missing"),
        (&["--head"], "/missing"),
        (&["-X", "DELETE"], "/hello.txt"),
        (&["-X", "OPTIONS"], "/sum"),
        (&["-d", "a=1"], "/sum"),
        (&["-d", ""], "/sum"),
        (&["-X", "PUT", "-d", "x"], "/back"),
        (&["--head"], "/chunked"),
        (&[], "/say/it?again"),
    ] {
        let what = format!("{args:?} {rest}");
        let ask = async |url: String| {
            let args = [&["--include"], args, &[&url]].concat();
            curl.run(args).await.text()
        };
        let direct = ask(format!("{target}{rest}")).await;
        let through = ask(pair.url(rest)).await;
        assert_eq!(without_hop(&through), without_hop(&direct), "{what}");
        let pseudonyms = [
            pair.origin.fact("peer ").to_owned(),
            pair.gateway.fact("peer ").to_owned(),
        ];
        let via: Vec<_> = through
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("via:"))
            .collect();
        assert_eq!(via.len(), 2, "{what}: {through}");
        for (line, pseudonym) in via.iter().zip(&pseudonyms) {
            assert!(line.contains(pseudonym), "{what}: {line}");
        }
    }
}

/// A response without what each proxy says of itself, what the clock decides, and the order: framing is written anew.
fn without_hop(response: &str) -> String {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let lines = head.split("\r\n").map(str::to_ascii_lowercase);
    let mut lines: Vec<_> = lines
        .filter(|line| !line.starts_with("via:") && !line.starts_with("date:"))
        .collect();
    lines.sort();
    format!("{}\n\n{body}", lines.join("\n"))
}

#[tokio::test]
async fn large_bodies_keep_their_hash_in_both_directions() {
    let Some(curl) = Curl::find() else { return };
    let (directory, pair) = app().await;
    let file = data::file(directory.path(), data::LARGE);
    let sha256 = data::sha256(&file);
    let receipt = app::receipt("100000000", data::LARGE, &sha256);

    let sum = pair.url("/sum");
    let posted = curl
        .run(["--data-binary", &format!("@{}", text(&file)), &sum])
        .await;
    assert_eq!(posted.text(), receipt);

    let got = directory.path().join("got");
    let answer = curl
        .run([
            "--output",
            text(&got),
            "--write-out",
            "%{http_code} %{size_download}",
            &pair.url("/100000000.bin"),
        ])
        .await;
    assert_eq!(answer.text(), "200 100000000");
    assert_eq!(data::sha256(&got), sha256);
}

#[tokio::test]
async fn a_chunked_upload_arrives_whole() {
    let Some(curl) = Curl::find() else { return };
    let (_directory, pair) = app().await;
    let mut child = curl
        .command(["--upload-file", "-", &pair.url("/sum")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut hash = data::Hash::default();
    for piece in app::pieces() {
        hash.update(&piece);
        within("curl to read", stdin.write_all(&piece))
            .await
            .unwrap();
    }
    drop(stdin);
    let output = within("curl", child.wait_with_output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, app::receipt("chunked", 1_000_000, &hash.finish()));
}

#[tokio::test]
async fn a_body_of_unknown_length_reaches_every_version() {
    let Some(curl) = Curl::find() else { return };
    let (_directory, pair) = app().await;
    let whole: Vec<u8> = app::pieces().flatten().collect();
    for version in ["--http1.1", "--http1.0"] {
        let answer = curl.run([version, &pair.url("/chunked")]).await;
        assert_eq!(answer.code, Some(0), "{version}: {}", answer.stderr);
        assert!(answer.stdout == whole, "{version}: another body");
    }
}

#[tokio::test]
async fn a_download_resumes_where_it_stopped() {
    let Some(curl) = Curl::find() else { return };
    let (directory, pair) = app().await;
    let file = data::file(directory.path(), 3_000_000);
    let got = directory.path().join("got");
    fs::write(&got, &fs::read(&file).unwrap()[..1_234_567]).unwrap();
    let answer = curl
        .run([
            "--continue-at",
            "-",
            "--output",
            text(&got),
            "--write-out",
            "%{http_code} %{size_download}",
            &pair.url("/3000000.bin"),
        ])
        .await;
    assert_eq!(answer.text(), format!("206 {}", 3_000_000 - 1_234_567));
    assert_eq!(data::sha256(&got), data::sha256(&file));
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it_from_the_server() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let url = pair.url("/upload");
    // Longer than the test may take: the body comes because the server asked for it.
    let ask = [
        "-H",
        "Expect: 100-continue",
        "--expect100-timeout",
        "90",
        "-d",
        "the body",
        &url,
    ];

    let willing = async {
        let mut conn = server.accept().await;
        let request = conn.head().await;
        assert_eq!(conn.surplus(), b"", "the body came unasked");
        conn.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        let body = conn.exactly(8).await;
        conn.send(OK).await;
        (request, body)
    };
    let (answer, (request, body)) = tokio::join!(curl.run(ask), willing);
    assert_eq!(answer.text(), "ok");
    assert_eq!(request.all("Expect"), ["100-continue"]);
    assert_eq!(body, b"the body");

    let response = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    let unwilling = async {
        let mut conn = server.accept().await;
        let request = conn.head().await;
        conn.send(response).await;
        // Nobody sends a body to a server that does not want it.
        (request, conn.rest().await.unwrap_or_default())
    };
    let (answer, (request, body)) = tokio::join!(curl.run(ask), unwilling);
    assert_eq!(answer.text(), "no");
    assert_eq!(request.all("Expect"), ["100-continue"]);
    assert_eq!(body, b"");
}

#[tokio::test]
async fn http_1_0_is_answered_and_kept_alive_if_asked() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let url = pair.url("/old");

    let (answer, (_, request)) = tokio::join!(curl.run(["--http1.0", &url]), server.answer(OK));
    assert_eq!(answer.text(), "ok");
    assert_eq!(
        request.line, "GET /old HTTP/1.1",
        "each hop has a version of its own"
    );
    assert_eq!(request.all("Host"), [pair.address().to_string()]);

    // Two requests over one connection, of the kind that HTTP/1.0 clients had to ask for.
    let serve = async {
        server.answer(OK).await;
        server.answer(OK).await;
    };
    let ask = async {
        let mut client = Conn::connect(pair.address()).await;
        let request = format!(
            "GET {} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            pair.path("/old")
        );
        client.send(&request).await;
        let first = client.message().await;
        client.send(&request).await;
        (first, client.message().await)
    };
    let ((first, second), ()) = tokio::join!(ask, serve);
    assert_eq!((first.text(), second.text()), ("ok".into(), "ok".into()));
    assert_eq!(first.all("Connection"), ["keep-alive"]);
}

#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let Some(curl) = Curl::find() else { return };
    let (_directory, pair) = app().await;
    let (first, second) = (pair.url("/hello.txt"), pair.url("/say/more"));
    let answer = curl
        .run([
            "--write-out",
            "%{http_code} %{num_connects}\n",
            &first,
            &second,
            &first,
        ])
        .await;
    assert_eq!(
        answer.text(),
        "hello, peer\n200 1\n/say/more 200 0\nhello, peer\n200 0\n"
    );
    // The stream between the peers as well.
    for node in [&pair.gateway, &pair.origin] {
        node.logged(&["path=", "/say/more", "stream=\"reused\""])
            .await;
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let (_directory, pair) = app().await;
    let mut client = Conn::connect(pair.address()).await;
    let mut requests = String::new();
    for (method, rest, body) in [
        ("GET", "/say/1", ""),
        ("POST", "/back", "second"),
        ("GET", "/say/3", ""),
        ("GET", "/missing", ""),
        ("GET", "/say/5", ""),
    ] {
        let target = pair.path(rest);
        let length = body.len();
        requests += &format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        );
    }
    client.send(&requests).await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        let answer = client.message().await;
        answers.push((answer.status(), answer.text()));
    }
    let expected = [
        (200, "/say/1 "),
        (200, "second"),
        (200, "/say/3 "),
        (404, ""),
        (200, "/say/5 "),
    ];
    assert_eq!(
        answers,
        expected.map(|(status, text)| (status, text.to_owned()))
    );
}

#[tokio::test]
async fn a_client_that_leaves_a_download_is_noticed() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let mut child = curl
        .command([pair.url("/endless")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut conn, _) = server
        .answer("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        .await;
    let piece = vec![b'x'; 64 * 1024];
    conn.send(&piece).await;
    child.kill().await.unwrap();
    let left = async { while conn.try_send(&piece).await.is_ok() {} };
    within("the server to see that the client left", left).await;
    still_serves(&pair, &server).await;
}

#[tokio::test]
async fn a_client_that_leaves_an_upload_is_noticed() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("zeros");
    File::create(&file).unwrap().set_len(data::LARGE).unwrap();
    for (upload, framing) in [(text(&file), "Content-Length"), ("-", "Transfer-Encoding")] {
        let mut child = curl
            .command(["-H", "Expect:", "--upload-file", upload, &pair.url("/")])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if upload == "-" {
            stdin.write_all(&[b'x'; 1000]).await.unwrap();
        }
        let mut conn = server.accept().await;
        let request = conn.head().await;
        assert_eq!(request.all(framing).len(), 1, "{request:?}");
        conn.exactly(1000).await;
        child.kill().await.unwrap();
        // However it ends, this is not the end of a body: not the length, not the last chunk.
        let body = conn.rest().await.unwrap_or_default();
        assert!((body.len() as u64) < data::LARGE - 1000, "{framing}");
        assert!(!body.ends_with(b"0\r\n\r\n"), "{framing}");
    }
    still_serves(&pair, &server).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_is_noticed() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    // With a reset, with an orderly close, and with one that leaves open whether the client still reads.
    for leave in 0..3 {
        let mut client = Conn::connect(pair.address()).await;
        let target = pair.path("/slow");
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.send(request).await;
        let mut conn = server.accept().await;
        conn.head().await;
        match leave {
            0 => client.reset(),
            1 => drop(client),
            _ => client.half_close().await,
        }
        // The server need not work on an answer that nobody wants.
        conn.rest().await.unwrap_or_default();
    }
    still_serves(&pair, &server).await;
}

async fn still_serves(pair: &Pair, server: &Server) {
    let ask = async {
        Conn::connect(pair.address())
            .await
            .get(&pair.path("/next"))
            .await
    };
    let (answer, _) = tokio::join!(ask, server.answer(OK));
    assert_eq!(answer.text(), "ok");
}
