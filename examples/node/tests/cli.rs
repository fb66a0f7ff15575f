//! Does the program keep its promises to scripts and people: lines, signals, exit codes, files?

mod support;

use std::{
    fs, io,
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Stdio,
    thread,
};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, SwarmBuilder, noise,
    swarm::{SwarmEvent, dummy},
    tcp, tls, yamux,
};
use tokio::{io::AsyncReadExt as _, time::timeout};

use self::support::process::{
    Guarded, Node, PATIENCE, Server, command, get, get_of, lines, logged, run, signal, text, wait,
};

#[test]
fn wrong_usage_is_status_2_and_names_the_option() {
    for (args, said) in [
        (&[][..], "Usage"),
        (&["serve", "--name", "a"], "--to"),
        (
            &[
                "serve",
                "--name",
                "a",
                "--to",
                "http://127.0.0.1:1",
                "--name",
                "b",
            ],
            "each --name needs one --to",
        ),
        (&["gateway", "--listen", "nowhere"], "--listen"),
        (
            &["forward", "--name", "a", "--peer", "/ip4/127.0.0.1/tcp/1"],
            "/p2p/PEER",
        ),
        (&["gateway", "--log", "a=loud"], "--log"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let error = text(&output.stderr);
        assert!(error.contains(said), "{args:?}: {error}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_shows_whole_examples_of_every_command() {
    for (args, example) in [
        (&["--help"][..], "p2p-http serve --name app --to"),
        (&["serve", "--help"], "p2p-http serve --name app --to"),
        (&["gateway", "--help"], "p2p-http gateway --peer"),
        (&["forward", "--help"], "p2p-http forward --peer"),
        (&["run", "--help"], "p2p-http run --config node.toml"),
        (&["doctor", "--help"], "p2p-http doctor --config"),
        (&["meet", "--help"], "p2p-http meet --identity"),
        (&["demo", "--help"], "p2p-http demo --check"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let help = text(&output.stdout);
        assert!(help.contains(example), "{args:?}");
    }
}

#[test]
fn a_failure_is_status_1_and_one_line_that_names_the_culprit() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let multiaddr = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    for (args, culprit) in [
        (&["gateway", "--listen", &address][..], address.as_str()),
        (&["demo", "--listen", &address], &address),
        (
            &[
                "serve",
                "--name",
                "a",
                "--to",
                "http://127.0.0.1:1",
                "--listen",
                &multiaddr,
            ],
            &multiaddr,
        ),
        (
            &[
                "serve",
                "--name",
                "a",
                "--to",
                "http://127.0.0.1:1",
                "--listen",
                "/memory/1",
            ],
            "/memory/1",
        ),
        (
            &[
                "gateway",
                "--listen",
                "127.0.0.1:0",
                "--identity",
                "/nonexistent/key",
            ],
            "/nonexistent/key",
        ),
    ] {
        let output = run(&[args, &["--log", "off"]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let error = text(&output.stderr);
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert!(
            error.starts_with("error: ") && error.contains(culprit),
            "{args:?}: {error}"
        );
    }
}

#[test]
fn serve_tells_its_facts_in_order_and_stops_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("node.key");
    let key = key.to_str().unwrap();
    let start = || {
        Node::start(&[
            "serve",
            "--name",
            "a",
            "--to",
            "http://127.0.0.1:1",
            "--name",
            "b",
            "--to",
            "unix:/run/b.sock",
            "--identity",
            key,
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--listen",
            "/ip4/127.0.0.1/udp/0/quic-v1",
        ])
    };
    let node = start();
    let peer = node.fact("peer ").to_owned();
    let kinds: Vec<_> = node
        .facts
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "peer",
            "listening",
            "listening",
            "service",
            "host",
            "service",
            "host",
            "ready"
        ]
    );
    for line in node
        .facts
        .iter()
        .filter(|line| line.starts_with("listening"))
    {
        assert!(
            line.ends_with(&format!("/p2p/{peer}")) && !line.contains("/0/"),
            "{line}"
        );
    }
    let cid = node.fact("host a a.").to_owned();
    assert!(
        cid.starts_with("k51") && cid.ends_with(".p2p.localhost"),
        "{cid}"
    );
    assert_eq!(
        node.facts[3..],
        [
            "service a -> http://127.0.0.1:1",
            &format!("host a a.{cid}"),
            "service b -> unix:/run/b.sock",
            &format!("host b b.{cid}"),
            "ready"
        ]
    );
    assert_eq!(node.stop("TERM"), Some(0));

    let again = start();
    assert_eq!(again.fact("peer "), peer, "the identity was not kept");
    assert_eq!(again.stop("INT"), Some(0));
}

#[cfg(unix)]
#[test]
fn an_identity_that_others_can_read_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("node.key");
    let args = [
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "off",
        "--identity",
        key.to_str().unwrap(),
    ];
    assert_eq!(Node::start(&args).stop("TERM"), Some(0));
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o7777,
        0o600
    );

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&args);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("chmod 600 {}", key.display())));
}

#[test]
fn nobody_reading_the_output_does_not_stop_the_node() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let args = ["gateway", "--listen", "127.0.0.1:0", "--log", "debug"];
    let mut child = Guarded(
        command(&args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let log = lines(child.stderr.take().unwrap());
    for _line in ["peer", "gateway", "ready"] {
        logged(&log, "nobody reads the standard output");
    }
    signal(&child, "TERM");
    assert_eq!(wait(child, &log), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_node_has_one_thread_or_those_that_were_asked_for() {
    for (args, threads) in [(&[][..], 1), (&["--threads", "3"], 1 + 3)] {
        let args = [&["gateway", "--listen", "127.0.0.1:0"], args].concat();
        let node = Node::start(&args);
        let tasks = fs::read_dir(format!("/proc/{}/task", node.child.id())).unwrap();
        assert_eq!(tasks.count(), threads, "{args:?}");
        let response = get(node.http("gateway "), "/http/nobody/app/");
        assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
        assert_eq!(node.stop("TERM"), Some(0));
    }
}

#[tokio::test]
async fn peers_come_by_tls_and_by_noise() {
    let node = Node::start(&serve(&Server::start(), &[]));
    let address: Multiaddr = node.fact("listening ").parse().unwrap();
    macro_rules! peer {
        ($encryption:expr) => {
            SwarmBuilder::with_new_identity()
                .with_tokio()
                .with_tcp(tcp::Config::default(), $encryption, yamux::Config::default)
                .unwrap()
                .with_behaviour(|_| dummy::Behaviour)
                .unwrap()
                .build()
        };
    }
    let with_tls = peer!(tls::Config::new);
    let with_noise = peer!(noise::Config::new);
    for mut peer in [with_tls, with_noise] {
        peer.dial(address.clone()).unwrap();
        loop {
            match peer.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => break,
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn tls_is_proposed_before_noise() {
    const PROPOSED: &[u8] = b"\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (peer, port) = (PeerId::random(), listener.local_addr().unwrap().port());
    let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}");
    let gateway = Node::start(&["gateway", "--listen", "127.0.0.1:0", "--peer", &address]);
    let mut client = TcpStream::connect(gateway.http("gateway ")).unwrap();
    write!(
        client,
        "GET /http/{peer}/app/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();
    let proposal = async {
        let (mut socket, _) = listener.accept().await?;
        let mut proposal = [0; PROPOSED.len()];
        socket.read_exact(&mut proposal).await?;
        io::Result::Ok(proposal)
    };
    let proposal = timeout(PATIENCE, proposal).await.unwrap().unwrap();
    assert_eq!(text(&proposal), text(PROPOSED));
}

#[test]
fn a_request_passes_three_processes_to_a_server_and_back() {
    let server = Server::start();
    let origin = Node::start(&serve(&server, &[]));
    let peer = origin.fact("peer ").to_owned();
    let address = origin.fact("listening ").to_owned();

    let gateway = Node::start(&["gateway", "--listen", "127.0.0.1:0", "--peer", &address]);
    let response = get(
        gateway.http("gateway "),
        &format!("/http/{peer}/app/some/path?q=1"),
    );
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(
        response.ends_with("\r\n\r\nsaw GET /some/path?q=1 HTTP/1.1"),
        "{response}"
    );

    let forward = Node::start(&[
        "forward",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        &address,
        "--name",
        "app",
    ]);
    assert!(
        forward
            .fact("forward ")
            .ends_with(&format!(" -> {peer} app"))
    );
    let response = get(forward.http("forward "), "/some/path?q=1");
    assert!(
        response.ends_with("\r\n\r\nsaw GET /some/path?q=1 HTTP/1.1"),
        "{response}"
    );

    for node in [gateway, forward, origin] {
        assert_eq!(node.stop("TERM"), Some(0));
    }
}

#[test]
fn a_gateway_that_knows_no_peer_is_told_by_the_request() {
    let server = Server::start();
    let origin = Node::start(&serve(&server, &[]));
    let address = origin.fact("listening ").replace('/', "%2F");
    let path = format!("/http/multiaddr/app/x?multiaddr={address}&y");
    for (option, status) in [(None, 403), (Some("public"), 403), (Some("any"), 200)] {
        let mut args = vec!["gateway", "--listen", "127.0.0.1:0"];
        args.extend(
            option
                .map(|which| ["--request-addresses", which])
                .iter()
                .flatten(),
        );
        let gateway = Node::start(&args);
        let response = get(gateway.http("gateway "), &path);
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{option:?}: {response}"
        );
        assert_eq!(response.ends_with("saw GET /x?y HTTP/1.1"), status == 200);
        assert_eq!(gateway.stop("TERM"), Some(0));
    }
}

#[test]
fn only_peers_on_the_list_may_use_a_service() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("friend.key");
    let friend = [
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--identity",
        key.to_str().unwrap(),
    ];
    let first = Node::start(&friend);
    let friend_peer = first.fact("peer ").to_owned();
    assert_eq!(first.stop("TERM"), Some(0));

    let server = Server::start();
    let origin = Node::start(&serve(&server, &["--allow", &friend_peer]));
    let (peer, address) = (origin.fact("peer "), origin.fact("listening "));
    let path = format!("/http/{peer}/app/");
    let friend = Node::start(&[&friend[..], &["--peer", address]].concat());
    let response = get(friend.http("gateway "), &path);
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    let stranger = Node::start(&["gateway", "--listen", "127.0.0.1:0", "--peer", address]);
    let response = get(stranger.http("gateway "), &path);
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
}

#[test]
fn a_running_exchange_finishes_after_the_signal() {
    let server = Server::start();
    let origin = Node::start(&serve(&server, &[]));
    let forward = Node::start(&forward(&origin, &[]));
    let http = forward.http("forward ");
    let client = thread::spawn(move || get(http, "/hold"));
    server.held();
    signal(&forward.child, "TERM");
    forward.logged("running exchanges may finish");
    server.release();
    let response = client.join().unwrap();
    assert!(
        response.ends_with("\r\n\r\nsaw GET /hold HTTP/1.1"),
        "{response}"
    );
    assert_eq!(forward.wait(), Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let server = Server::start();
    let origin = Node::start(&serve(&server, &[]));
    let forward = Node::start(&forward(&origin, &[]));
    let mut client = TcpStream::connect(forward.http("forward ")).unwrap();
    client
        .write_all(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    server.held();
    signal(&forward.child, "TERM");
    forward.logged("running exchanges may finish");
    signal(&forward.child, "TERM");
    assert_eq!(forward.wait(), Some(130));
    server.release();
}

#[test]
fn a_node_that_is_stopped_while_it_joins_is_not_ready() {
    // Connections are made, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let bootstrap = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", PeerId::random());
    let server = Server::start();
    let args = serve(&server, &["--bootstrap", &bootstrap]);
    let node = Node::start_until(&args, &format!("service app -> {}", server.target));
    signal(&node.child, "TERM");
    let facts = node.printed_to_the_end();
    assert!(!facts.contains(&"ready".to_owned()), "{facts:?}");
    assert_eq!(node.wait(), Some(0));
}

#[test]
fn the_drain_has_an_end() {
    let server = Server::start();
    let origin = Node::start(&serve(&server, &[]));
    let forward = Node::start(&forward(&origin, &["--drain", "0"]));
    let mut client = TcpStream::connect(forward.http("forward ")).unwrap();
    client
        .write_all(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    server.held();
    assert_eq!(forward.stop("TERM"), Some(0));
    server.release();
}

#[test]
fn the_demo_prints_the_url_of_every_feature() {
    let demo = Node::start(&["demo", "--listen", "127.0.0.1:0"]);
    let features: Vec<_> = demo
        .facts
        .iter()
        .filter_map(|line| line.strip_prefix("url "))
        .collect();
    let names: Vec<_> = features
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "page",
            "guestbook",
            "clock",
            "echo",
            "download",
            "upload",
            "inspect"
        ]
    );
    let page = features[0].split_once("http://").unwrap().1;
    let (authority, path) = page.split_once('/').unwrap();
    let (_, port) = authority.rsplit_once(':').unwrap();
    let address = (Ipv4Addr::LOCALHOST, port.parse().unwrap()).into();
    let response = get_of(address, authority, &format!("/{path}"));
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.contains("</html>"),
        "{response}"
    );
    assert_eq!(demo.stop("INT"), Some(0));
}

#[test]
fn the_check_of_the_demo_holds() {
    let output = run(&["demo", "--check", "--log", "warn"]);
    let table = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{table}\n{}",
        text(&output.stderr)
    );
    assert!(table.contains("checks passed"), "{table}");
}

fn serve<'a>(server: &'a Server, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "serve",
        "--name",
        "app",
        "--to",
        &server.target,
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
    ];
    [&args[..], more].concat()
}

fn forward<'a>(origin: &'a Node, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "forward",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        origin.fact("listening "),
        "--name",
        "app",
    ];
    [&args[..], more].concat()
}
