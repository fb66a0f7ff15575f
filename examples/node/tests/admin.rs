//! The admin page: what it shows, to whom, and what it keeps up with.

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use self::support::{
    process::{Node, Server, get, run, text},
    program::{command, require, require_file, skip},
};

/// Longer than anything here takes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const LOCAL: &str = "127.0.0.1:0";
const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// A node that offers a server, one that is its gateway, and the server.
struct Pair {
    server: Server,
    origin: Node,
    gateway: Node,
}

impl Pair {
    fn start() -> Self {
        let server = Server::start();
        let to = &server.target;
        let args = ["serve", "--listen", TCP, "--name", "app", "--to", to];
        let origin = Node::start(&[&args[..], &["--admin", LOCAL]].concat());
        let address = origin.fact("listening ");
        let args = ["gateway", "--listen", LOCAL, "--peer", address];
        let gateway = Node::start(&[&args[..], &["--admin", LOCAL]].concat());
        Self {
            server,
            origin,
            gateway,
        }
    }

    /// Asks for something of the service, and returns the answer.
    fn ask(&self, rest: &str) -> String {
        let path = format!("/http/{}/app{rest}", self.origin.fact("peer "));
        get(self.gateway.http("gateway "), &path)
    }
}

fn request(address: SocketAddr, method: &str, path: &str, fields: &[&str]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn status(response: &str) -> u16 {
    let status = response.get(9..12).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{response}"))
}

fn state(node: &Node) -> Value {
    let response = get(node.http("admin "), "/api/state");
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {response}"))
}

/// The events of a node, as they come.
struct Events {
    lines: BufReader<TcpStream>,
    kind: String,
}

impl Events {
    fn of(node: &Node) -> Self {
        let address = node.http("admin ");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET /api/events HTTP/1.1\r\nHost: {address}\r\n\r\n"
        )
        .unwrap();
        Self {
            lines: BufReader::new(stream),
            kind: String::new(),
        }
    }

    /// The next event: its kind, and what it says. What is around the lines, of chunks and fields, is skipped.
    fn next(&mut self) -> (String, Value) {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some(kind) = line.strip_prefix("event: ") {
                self.kind = kind.trim().to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return (self.kind.clone(), serde_json::from_str(data).unwrap());
            }
        }
    }

    /// The first event with something of this name that fits.
    fn until(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (_, news) = self.next();
            if news.get(name).is_some_and(&fits) {
                return news[name].clone();
            }
        }
    }
}

#[test]
fn all_that_is_known_is_there_as_json() {
    let pair = Pair::start();
    let (gateway, origin) = (&pair.gateway, &pair.origin);
    let mut events = Events::of(gateway);
    assert_eq!(status(&pair.ask("/a%2Fb?token=secret")), 200);
    events.until("requests", |requests| {
        !requests.as_array().unwrap().is_empty()
    });
    events.until("peers", |peers| {
        peers["list"][0]["links"][0]["round_trip"].is_u64()
    });

    let known = state(gateway);
    let peer = origin.fact("peer ");
    assert_eq!(known["node"]["peer"], gateway.fact("peer "));
    assert_eq!(known["addresses"], serde_json::json!([]));
    let port = &known["ports"][0];
    assert_eq!(
        port["address"],
        format!("http://{}", gateway.http("gateway "))
    );
    assert_eq!(known["peers"]["list"][0]["peer"], peer);
    assert_eq!(known["peers"]["list"][0]["links"][0]["relayed"], false);
    assert_eq!(known["totals"]["ended"], 1);
    let record = &known["requests"][0];
    for (name, value) in [
        ("side", "gateway".into()),
        ("method", "GET".into()),
        ("path", Value::from(format!("/http/{peer}/app/a%2Fb?…"))),
        ("service", "/x/http/app".into()),
        ("peer", peer.into()),
        ("status", 200.into()),
        ("reused", false.into()),
        ("error", Value::Null),
    ] {
        assert_eq!(record[name], value, "{name}: {record}");
    }
    let stages = ["connect", "head", "body"].map(|stage| record[stage].as_u64().unwrap());
    assert!(stages.iter().sum::<u64>() <= record["total"].as_u64().unwrap());
    assert!(record["response_bytes"].as_u64().unwrap() > 0);

    let mut events = Events::of(origin);
    events.until("requests", |requests| {
        !requests.as_array().unwrap().is_empty()
    });
    let known = state(origin);
    assert_eq!(known["addresses"][0]["address"], origin.fact("listening "));
    assert_eq!(known["services"][0]["name"], "app");
    assert_eq!(known["services"][0]["target"], pair.server.target);
    assert_eq!(known["services"][0]["peers"], Value::Null);
    assert_eq!(known["requests"][0]["side"], "origin");
    assert_eq!(known["requests"][0]["path"], "/a%2Fb?…");
    assert!(!known.to_string().contains("secret"));
}

#[test]
fn no_query_is_shown_whatever_became_of_its_request() {
    let pair = Pair::start();
    let (gateway, peer) = (&pair.gateway, pair.origin.fact("peer "));
    let at = gateway.http("gateway ");
    let host = format!("Host: localhost:{}", at.port());
    let mut events = Events::of(gateway);
    for (path, fields, expected) in [
        (
            format!("/http/{peer}/app/"),
            &["Sec-Fetch-Dest: document"][..],
            307,
        ),
        (format!("/http/{peer}/app"), &[], 308),
        (format!("/http/{peer}/none/"), &[], 502),
        (format!("/http/{peer}/a b"), &[], 400),
        ("/http/multiaddr/app/".to_owned(), &[], 403),
        ("/nothing".to_owned(), &[], 400),
    ] {
        let fields = [&[&*host], fields].concat();
        let answer = request(at, "GET", &(path + "?token=secret"), &fields);
        assert_eq!(status(&answer), expected, "{answer}");
        let ended = events.until("requests", |requests| {
            !requests.as_array().unwrap().is_empty()
        });
        assert!(!ended.to_string().contains("secret"), "{ended}");
    }
}

#[test]
fn who_came_through_a_relay_is_told_from_who_did_not() {
    let server = Server::start();
    let relay = Node::start(&["meet", "--listen", TCP, "--relay-server"]);
    let at = relay.fact("listening ");
    let quiet = ["--no-hole-punching", "--admin", LOCAL];
    let to = &server.target;
    let args = ["serve", "--listen", TCP, "--name", "app", "--to", to];
    let origin = Node::start(&[&args[..], &["--relay", at], &quiet].concat());
    let peer = origin.fact("peer ");
    let through = format!("{at}/p2p-circuit/p2p/{peer}");
    let args = ["gateway", "--listen", LOCAL, "--peer", &through];
    let gateway = Node::start(&[&args[..], &quiet].concat());
    let path = format!("/http/{peer}/app/");
    assert_eq!(status(&get(gateway.http("gateway "), &path)), 200);

    let mut events = Events::of(&gateway);
    let peers = events.until("peers", |peers| {
        let mut list = peers["list"].as_array().unwrap().iter();
        list.all(|peer| peer["links"][0]["round_trip"].is_u64())
    });
    let relayed = [peer, relay.fact("peer ")].map(|wanted| {
        let mut list = peers["list"].as_array().unwrap().iter();
        let found = list.find(|peer| peer["peer"] == wanted).unwrap();
        found["links"][0]["relayed"].clone()
    });
    assert_eq!(relayed, [true, false]);
    // Where peers elsewhere reach the origin comes first.
    let addresses = state(&origin)["addresses"].clone();
    assert_eq!(addresses[0]["address"], through, "{addresses}");
    assert_eq!(addresses[0]["kind"], "relay");
    assert_eq!(addresses[1]["kind"], "machine");
}

#[test]
fn events_go_on_with_what_is_new_a_few_times_a_second() {
    let pair = Pair::start();
    let mut events = Events::of(&pair.gateway);
    let (kind, all) = events.next();
    assert_eq!(
        (kind.as_str(), &all["requests"]),
        ("all", &serde_json::json!([]))
    );
    let began = Instant::now();
    const ASKED: u64 = 60;
    for number in 0..ASKED {
        assert_eq!(status(&pair.ask(&format!("/{number}"))), 200);
    }
    let (mut told, mut seen) = (0, Vec::new());
    while seen.len() < ASKED as usize {
        let (kind, news) = events.next();
        assert_eq!(kind, "news");
        assert!(news.get("node").is_none() && news.get("ports").is_none());
        told += 1;
        // The newest is first in each.
        let requests = news["requests"].as_array().cloned().unwrap_or_default();
        seen.extend(requests.iter().rev().map(|record| record["path"].clone()));
    }
    let paths: Vec<_> = (0..ASKED)
        .map(|number| format!("/http/{}/app/{number}", pair.origin.fact("peer ")))
        .collect();
    assert_eq!(seen, paths);
    // Four a second, the one that was due when it began, and the one on the way.
    let most = began.elapsed().as_millis() / 250 + 2;
    assert!(told <= most, "{told} events, {most} at most");
}

#[test]
fn every_answer_is_safe_and_foreign_readers_are_refused() {
    let node = Node::start(&["meet", "--listen", TCP, "--admin", LOCAL]);
    let address = node.http("admin ");
    let host = format!("Host: {address}");
    let qr = format!("/qr.svg?address={}", node.fact("listening "));
    let link = "Sec-Fetch-Mode: navigate";
    for (method, path, fields, expected) in [
        ("GET", "/", &[][..], 200),
        ("HEAD", "/", &[], 200),
        ("GET", "/page.js", &[], 200),
        ("GET", "/api/state", &["Sec-Fetch-Site: same-origin"], 200),
        ("GET", &qr, &[], 200),
        ("GET", "/qr.svg?address=/ip4/192.0.2.1", &[], 404),
        ("GET", "/nothing", &[], 404),
        ("POST", "/", &[], 405),
        ("OPTIONS", "/api/state", &["Origin: http://a.example"], 405),
        ("GET", "/api/state", &["Sec-Fetch-Site: cross-site"], 403),
        ("GET", "/api/state", &["Sec-Fetch-Site: same-site"], 403),
        ("GET", "/api/events", &["Origin: http://a.example"], 403),
        ("GET", "/api/state", &["X-Forwarded-For: 192.0.2.1"], 403),
        (
            "GET",
            "/",
            &[
                "Sec-Fetch-Site: same-site",
                link,
                "Sec-Fetch-Dest: document",
            ],
            200,
        ),
    ] {
        let response = request(address, method, path, &[&[&*host], fields].concat());
        assert_eq!(status(&response), expected, "{method} {path} {fields:?}");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.is_empty(), method == "HEAD", "{method} {path}");
        let head = head.to_ascii_lowercase();
        for field in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; ",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
            "cross-origin-opener-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(field), "{method} {path}: {field}: {head}");
        }
        assert!(!head.contains("access-control-"), "{head}");
        assert!(
            expected == 200 || !body.contains(node.fact("peer ")),
            "{body}"
        );
        assert!(method != "HEAD" || body.is_empty(), "{body}");
    }
    for (host, expected) in [
        ("Host: localhost", 200),
        ("Host: evil.example", 421),
        ("Host: 127.0.0.1.evil.example:8081", 421),
    ] {
        let response = request(address, "GET", "/api/state", &[host]);
        assert_eq!(status(&response), expected, "{host}");
    }
}

#[test]
fn with_a_token_it_is_for_who_knows_it_and_elsewhere_only_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "0123456789abcdef\n").unwrap();
    private(&file);
    let token = ["--admin-token", file.to_str().unwrap()];
    let args = ["meet", "--listen", TCP, "--admin", "0.0.0.0:0"];
    let refused = run(&args);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("--admin-token"), "{said}");

    let node = Node::start(&[&args[..], &token].concat());
    let address = SocketAddr::from(([127, 0, 0, 1], node.http("admin ").port()));
    for (field, expected) in [
        ("Accept: */*", 401),
        ("Authorization: Bearer 0123456789abcdeg", 401),
        ("Authorization: Bearer 0123456789abcdef", 200),
        ("Authorization: Basic YWRtaW46MDEyMzQ1Njc4OWFiY2RlZg==", 200),
    ] {
        let response = request(address, "GET", "/api/state", &["Host: node.example", field]);
        assert_eq!(status(&response), expected, "{field}");
        let asks = response.to_ascii_lowercase();
        assert_eq!(
            asks.contains("www-authenticate: basic realm="),
            expected == 401
        );
    }
}

#[cfg(unix)]
fn private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn private(_file: &Path) {}

/// Reads figures as Prometheus does, and says which there are.
const READ_FIGURES: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
print(*(family.name for family in families(sys.stdin.read())), sep='\\n')";

#[test]
fn the_figures_are_those_of_the_node_and_prometheus_reads_them() {
    let pair = Pair::start();
    assert_eq!(status(&pair.ask("/a")), 200);
    assert_eq!(status(&pair.ask("/b")), 200);
    let missing = get(pair.gateway.http("gateway "), "/http/12D3/app/");
    assert_eq!(status(&missing), 400);
    Events::of(&pair.gateway).until("totals", |totals| totals["ended"] == 3);
    Events::of(&pair.origin).until("totals", |totals| totals["ended"] == 2);
    let figures = |node: &Node| get(node.http("admin "), "/metrics");
    let (near, far) = (figures(&pair.gateway), figures(&pair.origin));
    assert!(near.contains("\r\ncontent-type: application/openmetrics-text"));
    for (text, line) in [
        (
            &near,
            r#"libp2p_http_exchanges_total{side="gateway",service="",status="2xx"} 2"#,
        ),
        (&near, r#"libp2p_http_exchanges_running{side="gateway"} 0"#),
        (
            &near,
            r#"libp2p_http_failures_total{side="gateway",cause="http_request_error"} 1"#,
        ),
        (
            &near,
            r#"libp2p_http_stage_seconds_count{side="gateway",stage="total"} 3"#,
        ),
        (&near, "libp2p_http_streams_reused_total 1"),
        (
            &far,
            r#"libp2p_http_exchanges_total{side="origin",service="/x/http/app",status="2xx"} 2"#,
        ),
        (&far, r#"libp2p_http_streams{state="inbound"} "#),
        (&far, "libp2p_swarm_connections_established_total{"),
    ] {
        assert!(text.contains(&format!("\n{line}")), "{line}: {text}");
    }

    let Some(python) = require(&["python3"]) else {
        return;
    };
    let probe = ["-c", "import prometheus_client"];
    let probed = Command::new(&python)
        .args(probe)
        .stderr(Stdio::null())
        .status();
    if !probed.unwrap().success() {
        skip("the package prometheus-client of Python is not installed; install it");
        return;
    }
    let (_, figures) = near.split_once("\r\n\r\n").unwrap();
    let mut reader = Command::new(&python)
        .args(["-c", READ_FIGURES])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = reader.stdin.take().unwrap();
    stdin.write_all(figures.as_bytes()).unwrap();
    drop(stdin);
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success());
    for family in [
        "libp2p_http_exchanges",
        "libp2p_http_stage_seconds",
        "libp2p_ping_rtt_seconds",
    ] {
        assert!(
            text(&read.stdout).lines().any(|line| line == family),
            "{family}"
        );
    }
}

#[test]
fn clients_that_do_not_leave_do_not_cost_without_end() {
    let node = Node::start(&["meet", "--listen", TCP, "--admin", LOCAL]);
    let mut readers: Vec<_> = (0..16).map(|_| Events::of(&node)).collect();
    for reader in &mut readers {
        assert_eq!(reader.next().0, "all");
    }
    let address = node.http("admin ");
    let ask = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("GET /api/state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let mut response = String::new();
        let asked = stream.write_all(head.as_bytes());
        // One more of this machine is closed.
        let _reset = asked.and_then(|()| stream.read_to_string(&mut response));
        response
    };
    assert_eq!(ask(), "");
    // As soon as one has gone there is room.
    readers.pop();
    let response = loop {
        match ask() {
            response if response.is_empty() => {}
            response => break response,
        }
    };
    assert_eq!(status(&response), 200);
    assert_eq!(node.stop("TERM"), Some(0));
}

#[test]
fn the_gateway_says_what_it_is_and_leads_to_the_page() {
    let args = ["gateway", "--listen", LOCAL, "--admin", LOCAL];
    let node = Node::start(&[&args[..], &["--domain", "node.example"]].concat());
    let (gateway, admin) = (node.http("gateway "), node.http("admin "));
    let host = format!("Host: {gateway}");
    let link = format!("href=\"http://{admin}/\"");
    let here = request(gateway, "GET", "/", &[&host]);
    assert_eq!(status(&here), 200);
    assert!(
        here.contains(&link) && here.contains("A gateway to peers"),
        "{here}"
    );
    assert!(
        here.to_ascii_lowercase()
            .contains("content-security-policy: default-src 'none'")
    );
    // It may be told to somebody who cannot look there.
    for fields in [
        &[&*host, "X-Forwarded-For: 192.0.2.1"][..],
        // By a proxy of this machine that adds nothing.
        &["Host: node.example"],
    ] {
        let elsewhere = request(gateway, "GET", "/", fields);
        assert_eq!(status(&elsewhere), 200);
        assert!(!elsewhere.contains(&admin.to_string()), "{elsewhere}");
    }

    let without = Node::start(&["gateway", "--listen", LOCAL]);
    let page = get(without.http("gateway "), "/");
    assert_eq!(status(&page), 200);
    assert!(!page.contains("href=\"http:"), "{page}");
    // All else is as it was.
    assert_eq!(status(&get(without.http("gateway "), "/nothing")), 400);
}

#[cfg(unix)]
#[test]
fn a_reload_opens_moves_and_closes_the_page_and_forgets_nothing() {
    use self::support::process::signal;

    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.toml");
    let base = format!(
        "listen = [\"{TCP}\"]\n[service.app]\nto = \"{}\"\nallow = []\nmethods = [\"GET\"]\n[gateway]\nlisten = \"{{}}\"\n",
        server.target
    );
    let write = |gateway: &str, more: &str| {
        fs::write(&file, base.replace("{}", gateway) + more).unwrap();
    };
    write(LOCAL, "");
    let node = Node::start(&["run", "--config", file.to_str().unwrap()]);
    let gateway = node.http("gateway ");
    let reload = |more: &str| {
        write(&gateway.to_string(), more);
        signal(&node.child, "HUP");
        node.printed_until("reloaded")
    };
    let ask = |path: &str| {
        let path = format!("/http/{}/app/{path}", node.fact("peer "));
        assert_eq!(status(&get(gateway, &path)), 403);
    };
    ask("before");

    let facts = reload(&format!("[admin]\nlisten = \"{LOCAL}\"\n"));
    let first: SocketAddr = facts[0]
        .strip_prefix("admin http://")
        .unwrap()
        .parse()
        .unwrap();
    // What came where nobody could look cost nothing, and is not known.
    ask("early");
    let known = get(first, "/api/state");
    assert!(known.contains("\"peers\":[]"), "{known}");
    assert!(!known.contains("/app/before"), "{known}");

    // The same again is no news.
    let same = format!("[admin]\nlisten = \"{first}\"\n");
    assert_eq!(reload(&same), ["reloaded"]);
    assert_eq!(status(&get(first, "/")), 200);

    // One that is refused leaves it as it is.
    for (listen, said) in [
        ("0.0.0.0:0", "other machines"),
        (&*gateway.to_string(), "two ports"),
    ] {
        write(
            &gateway.to_string(),
            &format!("[admin]\nlisten = \"{listen}\"\n"),
        );
        signal(&node.child, "HUP");
        node.logged(said);
    }
    assert_eq!(status(&get(first, "/")), 200);

    let facts = reload(&format!("[admin]\nlisten = \"{LOCAL}\"\n"));
    assert_eq!(
        facts,
        ["reloaded"],
        "the port of the system's choice is one"
    );
    let moved = reload("[admin]\nlisten = \"127.0.0.2:0\"\n");
    let second = moved[0].strip_prefix("admin http://").unwrap();
    let known = get(second.parse().unwrap(), "/api/state");
    assert!(known.contains("/app/early"), "{known}");
    assert_eq!(reload(""), ["reloaded"]);
    // Closed when the answers that were on the way are out.
    let began = Instant::now();
    while TcpStream::connect(first).is_ok() {
        assert!(began.elapsed() < PATIENCE, "still open");
    }
    assert!(!get(gateway, "/").contains("href=\"http:"));
    assert_eq!(node.stop("TERM"), Some(0));
}

#[cfg(unix)]
#[test]
fn a_reload_takes_the_new_token_and_ends_what_the_old_one_opened() {
    use self::support::process::signal;

    let directory = tempfile::tempdir().unwrap();
    let [config, token] = ["node.toml", "token"].map(|name| directory.path().join(name));
    let text = format!("listen = []\n[admin]\nlisten = \"{LOCAL}\"\ntoken = \"token\"\n");
    fs::write(&config, text).unwrap();
    fs::write(&token, "0123456789abcdef").unwrap();
    private(&token);
    let node = Node::start(&["run", "--config", config.to_str().unwrap()]);
    let address = node.http("admin ");
    let ask = |token: &str| {
        let bearer = format!("Authorization: Bearer {token}");
        let fields = ["Host: node.example", &bearer];
        status(&request(address, "GET", "/api/state", &fields))
    };
    let mut events = TcpStream::connect(address).unwrap();
    events.set_read_timeout(Some(PATIENCE)).unwrap();
    let head =
        "GET /api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n";
    events.write_all(head.as_bytes()).unwrap();
    let mut line = [0; 15];
    events.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 200 OK");

    fs::write(&token, "fedcba9876543210").unwrap();
    signal(&node.child, "HUP");
    node.printed_until("reloaded");
    assert_eq!(
        (ask("0123456789abcdef"), ask("fedcba9876543210")),
        (401, 200)
    );
    events.read_to_end(&mut Vec::new()).unwrap();

    // The same again is no news, and one that is none changes nothing.
    signal(&node.child, "HUP");
    assert_eq!(node.printed_until("reloaded"), ["reloaded"]);
    fs::write(&token, "short").unwrap();
    signal(&node.child, "HUP");
    node.logged("not reloaded, and all stays as it was");
    assert_eq!(ask("fedcba9876543210"), 200);
}

/// All else that there is to it: see tests/admin.
#[tokio::test]
async fn the_page_is_right_in_a_browser() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let Some(node) = require(&["node"]) else {
        return;
    };
    let playwright = root.join("target/apps/node_modules/playwright-core");
    if require(&["chromium"]).is_none()
        || require_file(&playwright, "tests/apps/run install light").is_none()
    {
        return;
    }
    // It ends by itself: every wait in there has a limit.
    let output = command(node)
        .arg(root.join("tests/admin/main.mjs"))
        .env("P2P_HTTP", env!("CARGO_BIN_EXE_p2p-http"))
        .env_remove("P2P_HTTP_LOG")
        .output()
        .await
        .unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
}
