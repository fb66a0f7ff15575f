//! `p2p-http run`: who may do what by a file, and what a reload changes while everything runs.

#![cfg(unix)]

mod support;

use std::{
    fmt::Display,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    thread,
};

use self::support::process::{Node, Server, get, run, signal, text};

const OTHER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

/// A node that runs by a file.
struct Configured {
    node: Node,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Configured {
    fn start(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.toml");
        fs::write(&file, text).unwrap();
        Self {
            node: Node::start(&["run", "--config", file.to_str().unwrap()]),
            file,
            _directory: directory,
        }
    }

    /// Changes the file, and returns what the node prints about it.
    fn reload(&self, text: &str) -> Vec<String> {
        fs::write(&self.file, text).unwrap();
        signal(&self.node.child, "HUP");
        self.node.printed_until("reloaded")
    }

    /// Changes the file to one that is refused.
    fn refuse(&self, text: &str, said: &str) {
        fs::write(&self.file, text).unwrap();
        signal(&self.node.child, "HUP");
        self.node.logged(said);
    }

    fn path(&self, name: &str) -> String {
        format!("/http/{}/{name}/x", self.node.fact("peer "))
    }
}

fn status(response: &str) -> u16 {
    let status = response.get(9..12).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{response}"))
}

fn request(address: SocketAddr, method: &str, path: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn a_reload_lets_a_peer_in_and_out_and_a_running_download_goes_on() {
    let server = Server::start();
    let service = |allow: &str| {
        let to = &server.target;
        format!(
            "listen = [\"/ip4/127.0.0.1/tcp/0\"]\n[service.app]\nto = \"{to}\"\nallow = [{allow}]\n"
        )
    };
    let origin = Configured::start(&service(""));
    let address = origin.node.fact("listening ");
    let gateway = Node::start(&["gateway", "--listen", "127.0.0.1:0", "--peer", address]);
    let (http, peer) = (gateway.http("gateway "), gateway.fact("peer "));

    let refused = get(http, &origin.path("app"));
    assert_eq!(status(&refused), 403);
    assert!(
        refused.contains(&format!("the peer {peer} may not use")),
        "{refused}"
    );

    let friend = service(&format!("\"{peer}\""));
    assert_eq!(origin.reload(&friend), ["reloaded"]);
    assert_eq!(status(&get(http, &origin.path("app"))), 200);
    let half = origin.path("app/half");
    let download = thread::spawn(move || get(http, &half));
    server.held();

    // A file that is wrong changes nothing.
    origin.refuse(
        "[service.app]\nallow = []\nwrong = 1\n",
        "node.toml:3:1: unknown field `wrong`",
    );
    assert_eq!(status(&get(http, &origin.path("app"))), 200);
    let stranger = service(&format!("\"{OTHER}\""));
    assert_eq!(origin.reload(&stranger), ["reloaded"]);
    assert_eq!(status(&get(http, &origin.path("app"))), 403);

    server.release();
    let response = download.join().unwrap();
    assert!(
        response.ends_with("/x HTTP/1.1") && status(&response) == 200,
        "{response}"
    );
    assert_eq!(origin.node.stop("TERM"), Some(0));
}

#[test]
fn a_reload_says_which_addresses_of_requests_are_dialled() {
    let server = Server::start();
    let to = &server.target;
    let origin = Configured::start(&format!(
        "listen = [\"/ip4/127.0.0.1/tcp/0\"]\n[service.app]\nto = \"{to}\"\n"
    ));
    let field = format!(
        "X-Libp2p-Addrs: {}\r\nConnection: close\r\n",
        origin.node.fact("listening ")
    );
    let none = "[gateway]\nlisten = \"127.0.0.1:0\"\n";
    let gateway = Configured::start(none);
    let http = gateway.node.http("gateway ");
    let asked = || request(http, "GET", &origin.path("app"), &field);
    assert_eq!(status(&asked()), 502);
    for (which, expected) in [("public", 403), ("any", 200)] {
        gateway.reload(&format!("{none}request_addresses = \"{which}\"\n"));
        assert_eq!(status(&asked()), expected, "{which}");
    }
    gateway.refuse(
        &format!("{none}public = true\nallow = []\nrequest_addresses = \"any\"\n"),
        "node.toml:5:21: a public gateway",
    );
}

#[test]
fn services_and_ports_come_change_and_go() {
    let (first, second) = (Server::start(), Server::start());
    let service =
        |name: &str, server: &Server| format!("[service.{name}]\nto = \"{}\"\n", server.target);
    let gateway = |port: &str| format!("[gateway]\nlisten = \"{port}\"\n");
    let listen = "listen = []\n";

    let any = gateway("127.0.0.1:0");
    let node = Configured::start(&format!("{listen}{}{any}", service("app", &first)));
    // Named from here on, as the system chose it.
    let port = node.node.http("gateway ");
    let gateway = gateway(&port.to_string());
    let peer = node.node.fact("peer ").to_owned();
    let answered = |name: &str| status(&get(port, &node.path(name)));
    let half = node.path("app/half");
    let download = thread::spawn(move || get(port, &half));
    first.held();

    // Another server behind the same name, and another service.
    let both = [
        service("app", &second),
        service("b.c", &first).replace("b.c", "\"b.c\""),
    ]
    .concat();
    let facts = node.reload(&format!("{listen}{both}{gateway}"));
    let told: Vec<_> = facts
        .iter()
        .filter(|fact| fact.starts_with("service "))
        .collect();
    assert_eq!(
        told,
        [
            &format!("service app -> {}", second.target),
            &format!("service b.c -> {}", first.target)
        ]
    );
    assert_eq!((answered("app"), answered("b.c")), (200, 200));
    first.release();
    assert_eq!(status(&download.join().unwrap()), 200);

    // The gateway becomes a port of one service, and the other service goes, but for what it has begun.
    let half = node.path("app/half");
    let download = thread::spawn(move || get(port, &half));
    second.held();
    let forward =
        format!("[[forward]]\nlisten = \"{port}\"\npeer = \"{peer}\"\nservice = \"b.c\"\n");
    let only = service("b.c", &first).replace("b.c", "\"b.c\"");
    let facts = node.reload(&format!("{listen}{only}{forward}"));
    assert_eq!(
        facts,
        [&format!("forward http://{port} -> {peer} b.c"), "reloaded"]
    );
    let response = get(port, "/at/the/root");
    assert!(
        response.ends_with("saw GET /at/the/root HTTP/1.1"),
        "{response}"
    );
    second.release();
    assert_eq!(status(&download.join().unwrap()), 200);

    // Peers reach the node at an address, and no more.
    let facts = node.reload(&format!(
        "listen = [\"/ip4/127.0.0.1/tcp/0\"]\n{only}{forward}"
    ));
    assert!(
        facts[0].starts_with("listening /ip4/127.0.0.1/tcp/"),
        "{facts:?}"
    );
    let (tcp, _) = facts[0]["listening /ip4/127.0.0.1/tcp/".len()..]
        .split_once('/')
        .unwrap();
    let address: SocketAddr = format!("127.0.0.1:{tcp}").parse().unwrap();
    TcpStream::connect(address).unwrap();
    node.reload(&format!("{listen}{only}"));
    node.node.logged("no longer listening");
    for closed in [address, port] {
        // The socket is closed by the task that had it, a moment after the line.
        while TcpStream::connect(closed).is_ok() {
            thread::yield_now();
        }
    }
    assert_eq!(node.node.stop("TERM"), Some(0));
}

#[test]
fn what_cannot_be_changed_or_opened_is_refused_as_a_whole() {
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let text = |before: &str, after: &str| {
        let to = &server.target;
        format!(
            "listen = []\n{before}[service.app]\nto = \"{to}\"\n[[gateway]]\nlisten = \"127.0.0.1:0\"\n{after}"
        )
    };
    let node = Configured::start(&text("", ""));
    let http = node.node.http("gateway ");
    node.refuse(&text("identity = \"k\"\n", ""), "restart for it");
    node.refuse(
        &text("", "[limits]\nclients = 1\n"),
        "restart for other ones",
    );
    node.refuse(
        &text("", "[network]\nautonat = true\n"),
        "restart for another",
    );
    let more = format!(
        "[service.new]\nto = \"{}\"\n[[gateway]]\nlisten = \"{taken}\"\n",
        server.target
    );
    node.refuse(&text("", &more), &taken.to_string());
    let multiaddr = format!("/ip4/127.0.0.1/tcp/{}", taken.port());
    let listen = text("", "").replace("listen = []", &format!("listen = [\"{multiaddr}\"]"));
    node.refuse(&listen, &multiaddr);
    assert_eq!(status(&get(http, &node.path("app"))), 200);
    assert_eq!(status(&get(http, &node.path("new"))), 404);
    assert_eq!(node.reload(&text("", "")), ["reloaded"]);
    assert_eq!(status(&get(http, &node.path("app"))), 200);
}

#[test]
fn ports_go_over_to_each_other_and_to_more_addresses() {
    let text = |gateway: &dyn Display, admin: &dyn Display| {
        format!("listen = []\n[gateway]\nlisten = \"{gateway}\"\n[admin]\nlisten = \"{admin}\"\n")
    };
    let some = "127.0.0.1:0";
    let node = Configured::start(&text(&some, &some));
    let (first, second) = (node.node.http("gateway "), node.node.http("admin "));
    // A gateway has no such path.
    let shown = |address| status(&get(address, "/api/state"));
    assert_eq!((shown(first), shown(second)), (400, 200));

    let facts = node.reload(&text(&second, &first));
    let gateway = format!("gateway http://{second}");
    assert_eq!(
        facts,
        [&gateway, &format!("admin http://{first}"), "reloaded"]
    );
    assert_eq!((shown(first), shown(second)), (200, 400));

    // What cannot be opened is named, and nothing else has changed.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let all = format!("0.0.0.0:{}", second.port());
    node.refuse(&text(&all, &taken), &format!("cannot listen on {taken}"));
    assert_eq!((shown(first), shown(second)), (200, 400));

    for address in [all, second.to_string()] {
        let facts = node.reload(&text(&address, &first));
        assert_eq!(facts, [&format!("gateway http://{address}"), "reloaded"]);
        assert_eq!((shown(first), shown(second)), (200, 400));
    }
    // Not beside what stays.
    let all = format!("0.0.0.0:{}", first.port());
    node.refuse(&text(&all, &first), &format!("cannot listen on {all}"));
    assert_eq!((shown(first), shown(second)), (200, 400));
}

#[test]
fn a_listener_that_closes_by_itself_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("relay.key");
    let relay = |listen: &str, more: &[&str]| {
        let args = [
            "meet",
            "--identity",
            key.to_str().unwrap(),
            "--listen",
            listen,
        ];
        Node::start(&[&args[..], more].concat())
    };
    let text = |relay: &str| {
        format!(
            "listen = [\"/ip4/127.0.0.1/tcp/0\", \"{relay}/p2p-circuit\"]\n[network]\nhole_punching = false\n"
        )
    };
    let first = relay("/ip4/127.0.0.1/tcp/0", &["--relay-server"]);
    let address = first.fact("listening ").to_owned();
    let node = Configured::start(&text(&address));

    assert_eq!(first.stop("TERM"), Some(0));
    node.node
        .logged("peers cannot reach this node there any more");
    let (place, _) = address.split_once("/p2p/").unwrap();
    let other = relay(place, &[]);
    // Each time, as it is not open, and what was there before stays.
    for _ in 0..2 {
        node.refuse(
            &text(&address),
            &format!("cannot listen on {address}/p2p-circuit"),
        );
    }
    assert_eq!(other.stop("TERM"), Some(0));
    let second = relay(place, &["--relay-server"]);
    let facts = node.reload(&text(&address));
    let listening = format!(
        "listening {address}/p2p-circuit/p2p/{}",
        node.node.fact("peer ")
    );
    assert_eq!(facts, [&listening, "reloaded"]);
    assert_eq!(node.node.stop("TERM"), Some(0));
    assert_eq!(second.stop("TERM"), Some(0));
}

#[test]
fn a_reload_says_how_long_running_exchanges_have_at_the_end() {
    let server = Server::start();
    let text = |drain: &str| {
        let to = &server.target;
        format!(
            "drain = \"{drain}\"\nlisten = []\n[service.app]\nto = \"{to}\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n"
        )
    };
    let node = Configured::start(&text("1 h"));
    let http = node.node.http("gateway ");
    let hold = node.path("app/hold");
    let held = thread::spawn(move || get(http, &hold));
    server.held();
    assert_eq!(node.reload(&text("0 s")), ["reloaded"]);
    assert_eq!(node.node.stop("TERM"), Some(0));
    assert_eq!(held.join().unwrap(), "");
    server.release();
}

#[test]
fn the_file_says_what_is_logged_and_the_command_line_has_the_last_word() {
    let start = |more: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.toml");
        fs::write(&file, "log = \"off\"\n").unwrap();
        let args = ["run", "--config", file.to_str().unwrap()];
        let node = Node::start(&[&args[..], more].concat());
        signal(&node.child, "TERM");
        node.printed_to_the_end();
        node.log.iter().count()
    };
    assert_eq!(start(&[]), 0);
    assert_ne!(start(&["--log", "info"]), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_file_says_how_many_threads_work() {
    let node = Configured::start("threads = 3\n");
    let tasks = fs::read_dir(format!("/proc/{}/task", node.node.child.id())).unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    let workers = names.filter(|name| name.starts_with("tokio-rt"));
    assert!(workers.count() >= 3);
    node.refuse("threads = 2\n", "log and threads are set at the start");
    node.refuse(
        "threads = 3\nlog = \"off\"\n",
        "log and threads are set at the start",
    );
}

#[test]
fn methods_paths_and_hosts_are_those_of_the_file() {
    let server = Server::start();
    let node = Configured::start(&format!(
        "listen = []\n[service.app]\nto = \"{}\"\nmethods = [\"GET\"]\npaths = [\"/x\"]\n[gateway]\nlisten = \"127.0.0.1:0\"\n",
        server.target
    ));
    let http = node.node.http("gateway ");
    let below = node.path("app");
    for (method, path, expected) in [
        ("GET", below.clone(), 200),
        ("GET", format!("{below}/y"), 200),
        ("DELETE", below.clone(), 405),
        ("GET", format!("{below}y"), 403),
        ("GET", format!("{below}/%2e%2e/y"), 403),
    ] {
        let response = request(http, method, &path, "Connection: close\r\n");
        assert_eq!(status(&response), expected, "{method} {path}\n{response}");
    }
    let response = get(http, "/nothing").replace("\r\n", "\n");
    assert_eq!(status(&response), 400, "{response}");
    let foreign = format!("GET {below} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(http).unwrap();
    stream.write_all(foreign.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert_eq!(status(&response), 421);
}

#[test]
fn a_public_gateway_lets_through_what_is_listed_and_no_tunnel() {
    let server = Server::start();
    let text = |peer: &str, more: &str| {
        let to = &server.target;
        format!(
            "listen = []\nidentity = \"key\"\n[service.app]\nto = \"{to}\"\n[service.own]\nto = \"{to}\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n\
             public = true\nallow = [{{ peer = \"{peer}\", service = \"app\" }}]\n{more}"
        )
    };
    let node = Configured::start(&text(OTHER, ""));
    let http = node.node.http("gateway ");
    let peer = node.node.fact("peer ").to_owned();
    let refused = get(http, &node.path("app"));
    assert_eq!(status(&refused), 403);
    assert!(
        refused.contains(&format!("/x/http/app of the peer {peer}")),
        "{refused}"
    );

    assert_eq!(
        node.reload(&text(&peer, "exchanges_per_client = 1\n")),
        ["reloaded"]
    );
    assert_eq!(status(&get(http, &node.path("app"))), 200);
    assert_eq!(status(&get(http, &node.path("own"))), 403);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(
        status(&request(http, "GET", &node.path("app"), upgrade)),
        403
    );

    let hold = node.path("app/hold");
    let held = thread::spawn(move || get(http, &hold));
    server.held();
    let refused = get(http, &node.path("app"));
    assert_eq!(status(&refused), 503);
    assert!(refused.contains("exchanges of one client"), "{refused}");
    server.release();
    assert_eq!(status(&held.join().unwrap()), 200);
}

#[test]
fn a_file_can_be_checked_without_running_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.toml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        run(&["run", "--check", "--config", file.to_str().unwrap()])
    };
    let right = check(include_str!("../node.toml"));
    assert_eq!(right.status.code(), Some(0), "{}", text(&right.stderr));
    assert!(text(&right.stdout).ends_with("node.toml is right\n"));
    let missing = "will not start with this file as it is: cannot open the token file";
    assert!(
        text(&right.stderr).contains(missing),
        "{}",
        text(&right.stderr)
    );
    assert!(!directory.path().join("node.key").exists());

    // What is there has to be what it is said to be.
    let secret = directory.path().join("secret");
    for (content, mode, said) in [
        ("correct-horse-battery-staple", 0o600, None),
        ("correct-horse-battery-staple", 0o644, Some("chmod 600")),
        ("short", 0o600, Some("is not one: write 16")),
    ] {
        fs::write(&secret, content).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        for table in [
            "[admin]\nlisten = \"127.0.0.1:0\"",
            "[gateway]\n[gateway.attach]",
        ] {
            let checked = check(&format!("{table}\ntoken = \"secret\"\n"));
            let error = text(&checked.stderr);
            assert_eq!(
                checked.status.code(),
                Some(said.is_some().into()),
                "{error}"
            );
            let told = "a node will not start with this file as it is: ";
            assert!(
                said.is_none_or(|said| error.contains(told) && error.contains(said)),
                "{error}"
            );
        }
    }
    for (table, said) in [
        ("identity = \"secret\"", "not an identity file"),
        ("[network]\nswarm_key = \"secret\"", "no key of a network"),
    ] {
        let checked = check(table);
        let error = text(&checked.stderr);
        assert_eq!(checked.status.code(), Some(1), "{error}");
        assert!(error.contains(said), "{error}");
    }

    for (table, is_idle) in [("listen = []", true), ("[gateway]", false)] {
        let checked = check(table);
        assert_eq!(checked.status.code(), Some(0), "{table}");
        let error = text(&checked.stderr);
        assert_eq!(error.contains("the node only is there"), is_idle, "{error}");
    }

    let wrong = check("\n[gateway]\npublic = true\n");
    assert_eq!(wrong.status.code(), Some(1));
    let error = text(&wrong.stderr);
    assert!(
        error.contains("node.toml:3:10: ") && error.contains("allow = ["),
        "{error}"
    );
}

#[test]
fn programs_become_services_where_the_file_says_so() {
    let gateway = |port: &str| format!("listen = []\n[gateway]\nlisten = \"{port}\"\n");
    let node = Configured::start(&gateway("127.0.0.1:0"));
    let port = node.node.http("gateway ");
    let plain = gateway(&port.to_string());
    let attach = format!("{plain}[gateway.attach]\nallow = []\n");
    let asked = || status(&get(port, "/http/listen/app"));
    assert_eq!(asked(), 404);
    // The port stays open, with another gateway behind it.
    node.reload(&attach);
    assert_eq!(asked(), 426);
    node.reload(&plain);
    assert_eq!(asked(), 404);
    node.refuse(
        &format!("{plain}[gateway.attach]\ntoken = \"none\"\n"),
        "none",
    );
    assert_eq!(asked(), 404);
}
