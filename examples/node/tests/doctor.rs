//! `p2p-http doctor`: does it find every fault that is there, say what helps, and find none where there is none?

#![cfg(unix)]

mod support;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU16, Ordering},
    thread,
};

use self::support::process::{Node, Server, run, text};

const STRANGER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// What the doctor says.
struct Diagnosis {
    code: Option<i32>,
    said: String,
}

impl Diagnosis {
    fn of(args: &[&str]) -> Self {
        Self::within(20, args)
    }

    /// Where some answers never come.
    fn within(seconds: u32, args: &[&str]) -> Self {
        let output = run(&[&["doctor", "--timeout", &seconds.to_string()], args].concat());
        let log = text(&output.stderr);
        assert!(log.is_empty(), "{args:?}: {log}");
        Self {
            code: output.status.code(),
            said: text(&output.stdout),
        }
    }

    /// One line of this kind has all of this in it, and so the doctor fails, or does not.
    #[track_caller]
    fn says(&self, state: &str, parts: &[&str]) {
        let is_it = |line: &&str| {
            line.starts_with(&format!("{state:<8} "))
                && parts.iter().all(|part| line.contains(part))
        };
        assert_eq!(
            self.said.lines().filter(is_it).count(),
            1,
            "{state} {parts:?}\n{}",
            self.said
        );
        if state == "problem" {
            assert_eq!(self.code, Some(1), "{}", self.said);
        }
    }

    #[track_caller]
    fn is_well(&self, lines: usize) {
        let ok = self.said.lines().filter(|line| line.starts_with("ok "));
        assert_eq!((ok.count(), self.code), (lines, Some(0)), "{}", self.said);
        assert_eq!(self.said.lines().count(), lines, "{}", self.said);
    }
}

/// A directory with files of a node.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        chmod(&path, mode);
        self.name(name)
    }

    /// The names of all files.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn serve(server: &Server, more: &[&str]) -> Node {
    let args = [
        "serve",
        "--listen",
        TCP,
        "--name",
        "app",
        "--to",
        &server.target,
    ];
    Node::start(&[&args, more].concat())
}

/// A free port that stays so: the system, asked for any, gives out higher ones, and each of these is asked for once.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (process::id() % 10_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn a_set_up_that_works_is_well_before_it_runs_and_while_it_runs() {
    let (server, files) = (Server::start(), Files::new());
    let friend = Node::start(&[
        "serve",
        "--identity",
        &files.name("friend.key"),
        "--listen",
        TCP,
        "--name",
        "wiki",
        "--to",
        &server.target,
    ]);
    let (port, http, forward) = (free_port(), free_port(), free_port());
    let admin = free_port();
    let key = files.name("node.key");
    // The first start creates the key, as that of any node.
    drop(Node::start(&[
        "serve",
        "--identity",
        &key,
        "--listen",
        TCP,
        "--name",
        "a",
        "--to",
        &server.target,
    ]));
    files.write("token", "0123456789abcdef", 0o600);
    files.write("admin", "fedcba9876543210", 0o600);
    let text = format!(
        "identity = \"node.key\"\nlisten = [\"/ip4/127.0.0.1/tcp/{port}\"]\npeers = [\"{}\"]\n\
         [service.app]\nto = \"{}\"\n[[gateway]]\nlisten = \"127.0.0.1:{http}\"\nattach = {{ token = \"token\" }}\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\ntoken = \"admin\"\n\
         [[forward]]\nlisten = \"127.0.0.1:{forward}\"\npeer = \"{}\"\nservice = \"wiki\"\n",
        friend.fact("listening "),
        server.target,
        friend.fact("peer "),
    );
    let config = files.write("node.toml", &text, 0o644);
    let before = files.names();
    let diagnosis = Diagnosis::of(&["--config", &config]);
    diagnosis.is_well(12);
    for parts in [
        &[
            "configuration",
            "node.toml",
            "services: 1",
            "ports for HTTP: 2",
        ][..],
        &["identity", "Ed25519", "12D3"],
        &["token", "/token:"],
        &["token", "/admin:"],
        &[&format!(
            "listen 127.0.0.1:{admin} for the admin page: free"
        )],
        &["listen /ip4/127.0.0.1/tcp/", ": free"],
        &[&format!("listen 127.0.0.1:{http} for HTTP: free")],
        &[&format!("listen 127.0.0.1:{forward} for HTTP: free")],
        &["service app, server http://", "200 to HEAD /"],
        &[
            "peer",
            friend.fact("peer "),
            "connected directly",
            "there and back",
            "p2p-http/",
        ],
        &["service wiki of", "lets this node in, and answers 200"],
        &["open files"],
    ] {
        diagnosis.says("ok", parts);
    }
    assert_eq!(files.names(), before, "nothing is written");

    let _node = Node::start(&["run", "--config", &config]);
    let diagnosis = Diagnosis::of(&["--config", &config]);
    diagnosis.says("ok", &["listen /ip4/", "the node of this identity runs"]);
    for held in [http, admin] {
        diagnosis.says("warning", &[&held.to_string(), "a node of p2p-http has it"]);
    }
    let other = format!("/ip4/127.0.0.1/tcp/0/p2p/{STRANGER}");
    let diagnosis = Diagnosis::of(&["--identity", &key, "--listen", &other]);
    diagnosis.says("problem", &["it is an address of", STRANGER]);
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_its_place_and_the_rest_goes_on() {
    let files = Files::new();
    let config = files.write("node.toml", "\nlisten = [\"here\"]\n", 0o644);
    let diagnosis = Diagnosis::of(&["--config", &config, "--listen", "127.0.0.1:0"]);
    diagnosis.says(
        "problem",
        &["configuration", "node.toml:2:11: ", "is not a multiaddr"],
    );
    diagnosis.says("ok", &["127.0.0.1:0 for HTTP"]);
    let missing = Diagnosis::of(&["--config", &files.name("none.toml")]);
    missing.says("problem", &["none.toml", "No such file"]);
    let nameless = files.write(
        "nameless.toml",
        "listen = []\n[gateway]\nlisten = \"127.0.0.1:0\"",
        0o644,
    );
    let diagnosis = Diagnosis::of(&["--config", &nameless]);
    diagnosis.says("warning", &["identity", "add identity ="]);
    assert_eq!(diagnosis.code, Some(0));
}

#[test]
fn files_that_are_missing_wrong_or_open_to_others() {
    let files = Files::new();
    let identity = |path: &str| Diagnosis::of(&["--identity", path]);
    let missing = identity(&files.name("node.key"));
    missing.says("warning", &["node.key", "creates it when it first starts"]);
    assert_eq!((missing.code, files.names()), (Some(0), Vec::new()));
    identity(&files.name("none/node.key")).says("problem", &["no directory", "none"]);
    let other = files.write("other", "no key", 0o600);
    identity(&other).says("problem", &["is not an identity file"]);
    let open = files.write("open", "no key", 0o644);
    identity(&open).says("problem", &["0644", "chmod 600"]);

    let text = "listen = []\n[gateway]\nlisten = \"127.0.0.1:0\"\nattach = { token = \"open\" }\n[network]\nswarm_key = \"other\"\n";
    let diagnosis = Diagnosis::of(&["--config", &files.write("node.toml", text, 0o644)]);
    diagnosis.says("problem", &["token", "0644", "chmod 600"]);
    diagnosis.says("problem", &["swarm key", "is no key of a network"]);
    let key = format!("/key/swarm/psk/1.0.0/\n/base16/\n{}\n", "0".repeat(64));
    let key = files.write("swarm.key", &key, 0o644);
    let diagnosis = Diagnosis::of(&[
        "--swarm-key",
        &key,
        "--listen",
        "/ip4/127.0.0.1/udp/0/quic-v1",
    ]);
    diagnosis.says("warning", &["swarm key", "chmod 600"]);
    diagnosis.says("problem", &["udp", "private networks have no QUIC"]);
}

#[test]
fn ports_that_are_taken_and_addresses_of_others() {
    let server = Server::start();
    let node = serve(&server, &["--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]);
    let gateway = Node::start(&["gateway", "--listen", "127.0.0.1:0"]);
    let listening = |kind: &str| {
        let found = node
            .facts
            .iter()
            .find(|line| line.starts_with("listening") && line.contains(kind));
        let address = found.unwrap().strip_prefix("listening ").unwrap();
        address.split("/p2p/").next().unwrap().to_owned()
    };
    let (tcp, quic) = (listening("/tcp/"), listening("/quic-v1"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closing = silent.local_addr().unwrap();
    thread::spawn(move || silent.incoming().for_each(drop));
    let gateway = gateway.http("gateway ").to_string();
    let http = server.target.strip_prefix("http://").unwrap();
    let mut args = Vec::new();
    let closing_peers = format!("/ip4/127.0.0.1/tcp/{}", closing.port());
    let closing = closing.to_string();
    for address in [
        &tcp,
        &quic,
        &gateway,
        http,
        &closing,
        &closing_peers,
        "/ip4/203.0.113.1/tcp/1",
        "203.0.113.1:1",
        "/ip4/127.0.0.1/tcp/1/ws",
        "/ip4/127.0.0.1/udp/0/quic-v1",
    ] {
        args.extend(["--listen", address]);
    }
    let diagnosis = Diagnosis::of(&args);
    let peer = node.fact("peer ");
    diagnosis.says("problem", &[&tcp, "another libp2p node", peer, "p2p-http/"]);
    diagnosis.says("problem", &[&quic, "another libp2p node", peer]);
    diagnosis.says("warning", &[&gateway, "a node of p2p-http"]);
    diagnosis.says("problem", &[http, "another program that speaks HTTP"]);
    diagnosis.says(
        "problem",
        &[&closing, "for HTTP: another program has the port"],
    );
    diagnosis.says(
        "problem",
        &[&closing_peers, ": another program has the port"],
    );
    diagnosis.says(
        "problem",
        &["/ip4/203.0.113.1/tcp/1", "does not have the address"],
    );
    diagnosis.says(
        "problem",
        &["203.0.113.1:1 for HTTP", "does not have the address"],
    );
    diagnosis.says("problem", &["/ws", "a node cannot listen there"]);
    diagnosis.says("ok", &["/udp/0/quic-v1", "the system chooses"]);
    // Somebody who answers nothing at all is not waited for long.
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mute = format!(
        "/ip4/127.0.0.1/udp/{}/quic-v1",
        mute.local_addr().unwrap().port()
    );
    let diagnosis = Diagnosis::within(1, &["--listen", &mute]);
    diagnosis.says("problem", &[&mute, "another program has the port"]);
}

#[test]
fn servers_that_are_dead_mute_or_something_else() {
    let files = Files::new();
    let answering = |answer: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.write_all(answer).unwrap();
                // Until the doctor has seen enough.
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        target
    };
    let ssh = answering(b"SSH-2.0-OpenSSH_9.2\r\n");
    let failing = answering(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    let mute = answering(b"");
    let dead = format!("http://127.0.0.1:{}", free_port());
    let gone = format!("unix:{}", files.name("gone.sock"));
    let socket = files.path("app.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream
                .unwrap()
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .unwrap();
        }
    });
    let unix = format!("unix:{}", socket.display());
    let mut args = Vec::new();
    for target in [&ssh, &failing, &mute, &dead, &gone, &unix] {
        args.extend(["--to", target]);
    }
    let diagnosis = Diagnosis::within(2, &args);
    diagnosis.says("problem", &[&ssh, "does not speak HTTP", "SSH-2.0"]);
    diagnosis.says("warning", &[&failing, "500"]);
    diagnosis.says("problem", &[&mute, "answers nothing within 2 s"]);
    diagnosis.says("problem", &[&dead, "nobody listens there"]);
    diagnosis.says("problem", &[&gone, "no such socket"]);
    diagnosis.says("ok", &[&unix, "200"]);
}

#[test]
fn peers_that_are_others_gone_or_no_nodes() {
    let server = Server::start();
    let node = serve(&server, &["--listen", "/ip4/127.0.0.1/udp/0/quic-v1"]);
    let real = node.fact("peer ");
    let listening = node
        .facts
        .iter()
        .filter_map(|line| line.strip_prefix("listening "));
    let mut addresses: Vec<String> = listening
        .map(|address| address.replace(real, STRANGER))
        .collect();
    assert_eq!(addresses.len(), 2, "{:?}", node.facts);
    let dead = format!("/ip4/127.0.0.1/tcp/{}/p2p/{STRANGER}", free_port());
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_port = other.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in other.incoming() {
            let _ = stream.unwrap().write_all(b"220 smtp.example.com ESMTP\r\n");
        }
    });
    let no_node = format!("/ip4/127.0.0.1/tcp/{other_port}/p2p/{STRANGER}");
    let no_way = format!("/ip4/127.0.0.1/tcp/1/ws/p2p/{STRANGER}");
    addresses.extend([dead.clone(), no_node.clone(), no_way.clone()]);
    let args: Vec<&str> = addresses
        .iter()
        .flat_map(|address| ["--peer", address])
        .collect();
    let diagnosis = Diagnosis::of(&args);
    let place = |address: &str| format!(" at {}:", address.split("/p2p/").next().unwrap());
    for address in &addresses[..2] {
        diagnosis.says("problem", &[&place(address), "another peer is there", real]);
    }
    diagnosis.says("problem", &[&place(&dead), "refuses the connection"]);
    diagnosis.says("problem", &[&place(&no_node), "something else is there"]);
    diagnosis.says("problem", &[&place(&no_way), "a node cannot go there"]);

    let unknown = Diagnosis::of(&["--peer", STRANGER]);
    unknown.says("problem", &[STRANGER, "no address is known"]);

    // The system takes the connection, and nobody answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{STRANGER}");
    let diagnosis = Diagnosis::within(1, &["--peer", &address]);
    diagnosis.says("problem", &[&place(&address), "no answer in time"]);

    // A dead address of a peer is told also where another one works.
    let right = node.fact("listening ");
    let dead = dead.replace(STRANGER, real);
    let diagnosis = Diagnosis::of(&["--peer", right, "--peer", &dead, "--name", "app"]);
    diagnosis.says("ok", &[&place(right), "connected directly"]);
    diagnosis.says("problem", &[&place(&dead), "refuses the connection"]);
    diagnosis.says("ok", &["service app of", "200"]);
}

#[test]
fn services_that_are_not_there_or_not_for_this_node() {
    let (server, files) = (Server::start(), Files::new());
    let key = files.name("node.key");
    let own = Node::start(&["gateway", "--listen", "127.0.0.1:0", "--identity", &key]);
    let own = own.fact("peer ").to_owned();
    let closed = serve(&server, &["--allow", STRANGER]);
    let args = [
        "--identity",
        &key,
        "--peer",
        closed.fact("listening "),
        "--name",
        "app",
        "--name",
        "nope",
    ];
    let diagnosis = Diagnosis::of(&args);
    let refusal = format!("the peer {own} may not use the service app");
    diagnosis.says(
        "problem",
        &["service app of", "does not let this node in", &refusal],
    );
    diagnosis.says(
        "problem",
        &["service nope of", "does not offer it; it offers app"],
    );

    // One that lets exactly this node in.
    let open = serve(&server, &["--allow", &own]);
    let peer = ["--peer", open.fact("listening "), "--name", "app"];
    Diagnosis::of(&[&["--identity", &key], &peer[..]].concat()).is_well(4);
    Diagnosis::of(&peer).says("problem", &["does not let this node in"]);

    // A node is no peer of its own.
    let listening = format!("/ip4/127.0.0.1/tcp/1/p2p/{own}");
    let itself = ["--identity", &key, "--peer", &listening, "--name", "app"];
    let diagnosis = Diagnosis::of(&itself);
    diagnosis.says("ok", &[&own, "this node itself"]);
    diagnosis.says("warning", &["service app of", "not asked for"]);

    // One whose server is gone.
    let dead = format!("http://127.0.0.1:{}", free_port());
    let broken = Node::start(&["serve", "--listen", TCP, "--name", "app", "--to", &dead]);
    let diagnosis = Diagnosis::of(&["--peer", broken.fact("listening "), "--name", "app"]);
    diagnosis.says(
        "problem",
        &["service app of", "its node answers 502 for it"],
    );
}

#[test]
fn peers_are_found_and_reached_as_a_node_would() {
    let server = Server::start();
    let meet = Node::start(&[
        "meet",
        "--listen",
        TCP,
        "--relay-server",
        "--log",
        "info,p2p_http=debug",
    ]);
    let point = meet.fact("listening ");
    let node = serve(
        &server,
        &["--bootstrap", point, "--relay", point, "--no-hole-punching"],
    );
    let peer = node.fact("peer ");
    meet.logged("can lead others");

    let diagnosis = Diagnosis::of(&[
        "--peer",
        peer,
        "--name",
        "app",
        "--bootstrap",
        point,
        "--relay",
        point,
    ]);
    diagnosis.is_well(5);
    diagnosis.says("ok", &["bootstrap peer", "connected directly"]);
    diagnosis.says("ok", &["relay", "connected directly"]);
    diagnosis.says("ok", &[peer, "by its id: found at"]);
    // One that was met before is found nevertheless.
    let diagnosis = Diagnosis::of(&["--peer", meet.fact("peer "), "--bootstrap", point]);
    diagnosis.says("ok", &["peer", "by its id: found at"]);
    let lost = Diagnosis::of(&["--peer", STRANGER, "--bootstrap", point]);
    lost.says(
        "problem",
        &[
            STRANGER,
            "was not found",
            "of the Kademlia network answered",
        ],
    );

    let relayed = format!("{point}/p2p-circuit/p2p/{peer}");
    let diagnosis = Diagnosis::of(&["--peer", &relayed]);
    diagnosis.says("ok", &["p2p-circuit", "through a relay"]);

    // One that is neither a meeting point nor a relay.
    let plain = serve(&server, &[]);
    let plain = plain.fact("listening ");
    let diagnosis = Diagnosis::of(&["--bootstrap", plain, "--relay", plain]);
    diagnosis.says(
        "problem",
        &["bootstrap peer", "does not speak /ipfs/kad/1.0.0"],
    );
    diagnosis.says("problem", &["relay", "passes no connections on"]);
}

#[test]
fn programs_read_json() {
    let output = run(&[
        "doctor",
        "--json",
        "--listen",
        "203.0.113.1:1",
        "--listen",
        "127.0.0.1:0",
    ]);
    let said = text(&output.stdout);
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let states: Vec<_> = lines
        .iter()
        .map(|line| line["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["problem", "ok", "ok"], "{said}");
    assert!(
        lines
            .iter()
            .all(|line| line["what"].is_string() && line["found"].is_string())
    );
    assert_eq!(output.status.code(), Some(1));
}
