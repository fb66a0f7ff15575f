//! Does the program keep its promises to scripts and people: lines, signals, exit codes, files?

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let address = origin.fact("listening ");
    let forward = Node::start(&[
        "forward",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        address,
        "--name",
        "app",
    ]);
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
    let address = origin.fact("listening ");
    let forward = Node::start(&[
        "forward",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        address,
        "--name",
        "app",
    ]);
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
fn the_drain_has_an_end() {
    let server = Server::start();
    let origin = Node::start(&serve(&server, &[]));
    let address = origin.fact("listening ");
    let forward = Node::start(&[
        "forward",
        "--listen",
        "127.0.0.1:0",
        "--peer",
        address,
        "--name",
        "app",
        "--drain",
        "0",
    ]);
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

/// A running `p2p-http`. It is killed when a test fails.
struct Node {
    child: Guarded,
    /// What it printed, `ready` included.
    facts: Vec<String>,
    /// What it logs from here on.
    log: mpsc::Receiver<String>,
    /// Kept open: a node whose output nobody reads is another test.
    _stdout: BufReader<ChildStdout>,
}

impl Node {
    /// Starts it, and waits until it is ready.
    fn start(args: &[&str]) -> Self {
        let mut child = spawn(args);
        let log = lines(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut facts = Vec::new();
        while facts.last().is_none_or(|line| line != "ready") {
            let mut line = String::new();
            let read = stdout.read_line(&mut line).unwrap();
            assert!(
                read > 0,
                "{args:?} ended: {:?}",
                log.iter().collect::<Vec<_>>()
            );
            facts.push(line.trim_end().to_owned());
        }
        Self {
            child,
            facts,
            log,
            _stdout: stdout,
        }
    }

    /// The first line of a kind, without the kind.
    fn fact(&self, kind: &str) -> &str {
        let line = self.facts.iter().find_map(|line| line.strip_prefix(kind));
        line.unwrap_or_else(|| panic!("no {kind} in {:?}", self.facts))
    }

    /// Where it takes HTTP.
    fn http(&self, kind: &str) -> SocketAddr {
        let url = self.fact(kind).split(' ').next().unwrap();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    fn logged(&self, said: &str) {
        logged(&self.log, said);
    }

    fn wait(self) -> Option<i32> {
        wait(self.child, &self.log)
    }

    fn stop(self, name: &str) -> Option<i32> {
        signal(&self.child, name);
        self.wait()
    }
}

/// A child that does not outlive its test.
struct Guarded(Child);

impl std::ops::Deref for Guarded {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.0
    }
}

impl std::ops::DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // It has ended already, if the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An HTTP server that answers with the request line it saw. It answers `/hold` when it is told to.
struct Server {
    target: String,
    held: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap());
        let (hold, held) = mpsc::channel();
        let (release, released) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &hold, &released);
            }
        });
        Self {
            target,
            held,
            release,
        }
    }

    fn held(&self) {
        self.held.recv_timeout(PATIENCE).unwrap();
    }

    fn release(&self) {
        // Nobody is waiting if the request was given up.
        let _ = self.release.send(());
    }
}

fn answer(mut stream: TcpStream, hold: &mpsc::Sender<()>, released: &mpsc::Receiver<()>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    if request.contains("/hold") {
        hold.send(()).unwrap();
        let _ = released.recv();
    }
    let body = format!("saw {request}");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // The proxy is gone when a test cuts the exchange.
    let _ = stream.write_all((head + &body).as_bytes());
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2p-http"));
    command
        .args(args)
        .env_remove("P2P_HTTP_LOG")
        .stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn spawn(args: &[&str]) -> Guarded {
    Guarded(
        command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {}", child.id()))
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits until a line of the log says this.
fn logged(log: &mpsc::Receiver<String>, said: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !log
        .recv_timeout(deadline - Instant::now())
        .unwrap_or_else(|error| panic!("not logged, {error}: {said}"))
        .contains(said)
    {}
}

/// The exit status. The log ends when the process does, so this does not wait for ever.
fn wait(mut child: Guarded, log: &mpsc::Receiver<String>) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match log.recv_timeout(deadline - Instant::now()) {
            Ok(_) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return child.wait().unwrap().code(),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the node does not stop"),
        }
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    get_of(address, &address.to_string(), path)
}

fn get_of(address: SocketAddr, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// Reads in a thread of its own, so that the other side never waits for its log to be read.
fn lines(input: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(input).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
