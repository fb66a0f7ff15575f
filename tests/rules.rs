//! Rules of services and gateways: what they deny, and that they can be exchanged while everything runs.

#![cfg(feature = "tokio")]

mod support;

use std::{future::pending, time::Duration};

use libp2p::PeerId;
use libp2p_http_proxy::{
    Forward, ForwardConfig, ForwardRules, Gateway, GatewayConfig, GatewayRules, Rules, Target,
    Tunnels,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use self::support::{
    Node, name,
    path::{read_head, read_to_end, read_until, server, values, write},
    within,
};

/// Two nodes, the rules of both, and the local server.
struct Path {
    near: Node,
    origin: Node,
    client: TcpStream,
    listener: std::net::SocketAddr,
    gateway: Rules<GatewayRules>,
    forward: Rules<ForwardRules>,
    server: mpsc::Receiver<TcpStream>,
}

impl Path {
    async fn new() -> Self {
        let near = Node::memory(Default::default()).await;
        let origin = Node::memory(Default::default()).await;
        near.knows(&origin).await;

        let (to, server) = server().await;
        let requests = origin.accept(&name("app")).await;
        let forward = Forward::new(target(to), origin.peer, ForwardConfig::default());
        let forward_rules = forward.rules();
        tokio::spawn(forward.serve(requests, pending()));

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("is bound");
        let gateway = Gateway::new(near.client.clone(), near.peer, GatewayConfig::default());
        let gateway_rules = gateway.rules();
        tokio::spawn(gateway.serve(listener, pending()));
        Self {
            client: TcpStream::connect(address).await.expect("connects"),
            listener: address,
            near,
            origin,
            gateway: gateway_rules,
            forward: forward_rules,
            server,
        }
    }

    /// Sends a request on the connection that is always the same.
    async fn send(&mut self, method: &str, rest: &str, fields: &str) {
        let text = request(self.origin.peer, method, rest, fields);
        write(&mut self.client, &text).await;
    }

    /// The same, on a connection of its own.
    async fn send_anew(&self, method: &str, rest: &str, fields: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.listener).await.expect("connects");
        let text = request(self.origin.peer, method, rest, fields);
        write(&mut client, &text).await;
        client
    }

    /// The answer on the connection that is always the same: its head, and its body.
    async fn answer(&mut self) -> (String, String) {
        answer(&mut self.client).await
    }

    async fn accepted(&mut self) -> TcpStream {
        within(self.server.recv()).await.expect("the server runs")
    }

    /// Sends a request that gets to the server, and answers it.
    async fn pass(&mut self, server: &mut Option<TcpStream>, rest: &str) {
        self.send("GET", rest, "").await;
        if server.is_none() {
            *server = Some(self.accepted().await);
        }
        let server = server.as_mut().expect("was accepted");
        read_head(server).await;
        write(server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
        let (head, body) = self.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, "ok");
    }

    /// Sends a request that is refused, and returns the answer.
    async fn refused(&mut self, status: u16, method: &str, rest: &str) -> (String, String) {
        self.send(method, rest, "").await;
        let (head, body) = self.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        (head, body)
    }
}

fn target(address: std::net::SocketAddr) -> Target {
    format!("http://{address}").parse().expect("is a target")
}

fn request(peer: PeerId, method: &str, rest: &str, fields: &str) -> String {
    format!("{method} /http/{peer}/app{rest} HTTP/1.1\nHost: localhost\n{fields}\n")
}

async fn answer(client: &mut TcpStream) -> (String, String) {
    let head = read_head(client).await;
    let length = values(&head, "Content-Length")[0]
        .parse()
        .expect("a length");
    let mut body = vec![0; length];
    within(client.read_exact(&mut body))
        .await
        .expect("all comes");
    (head, String::from_utf8(body).expect("is text"))
}

#[tokio::test]
async fn peers_are_let_in_and_out_while_a_download_runs() {
    let mut path = Path::new().await;
    let mut download = path.send_anew("GET", "/big", "").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 10\n\nfirst").await;
    read_until(&mut download, "first").await;

    let mut other = None;
    path.pass(&mut other, "/").await;
    path.forward
        .set(ForwardRules::default().with_allowed_peers([]));
    let (_, text) = path.refused(403, "GET", "/").await;
    assert!(text.contains(&path.near.peer.to_string()), "{text}");

    path.forward
        .set(ForwardRules::default().with_allowed_peers([path.near.peer]));
    path.pass(&mut other, "/").await;
    path.forward
        .set(ForwardRules::default().with_allowed_peers([path.origin.peer]));
    path.refused(403, "GET", "/").await;

    // Through all of this, the download goes on.
    write(&mut server, "-last").await;
    read_until(&mut download, "-last").await;
}

#[tokio::test]
async fn methods_and_paths_that_no_rule_names_are_refused() {
    let mut path = Path::new().await;
    path.forward.set(
        ForwardRules::default()
            .with_allowed_methods(["GET", "POST"].map(|method| method.parse().unwrap()))
            .with_allowed_paths(["/api".parse().unwrap()]),
    );
    let mut server = None;
    path.pass(&mut server, "/api/x?y=/../z").await;
    path.pass(&mut server, "/api").await;
    let (head, text) = path.refused(405, "DELETE", "/api").await;
    assert_eq!(values(&head, "Allow"), ["GET, POST"]);
    assert!(text.contains("DELETE"), "{text}");
    for rest in [
        "/",
        "/apis",
        "/api/../admin",
        "/api/%2e%2e/admin",
        "/api/..%2fadmin",
        "//api",
    ] {
        let (_, text) = path.refused(403, "GET", rest).await;
        assert!(text.contains(&format!("'{rest}'")), "{text}");
    }
    path.pass(&mut server, "/api/last").await;
}

#[tokio::test]
async fn what_a_peer_says_of_its_client_can_be_kept_from_the_server() {
    let mut path = Path::new().await;
    let mut server = None;
    for kept in [true, false, true] {
        path.forward
            .set(ForwardRules::default().with_forwarded_fields(kept));
        path.send("GET", "/", "").await;
        if server.is_none() {
            server = Some(path.accepted().await);
        }
        let server = server.as_mut().expect("was accepted");
        let head = read_head(server).await;
        write(server, "HTTP/1.1 204 No Content\n\n").await;
        read_head(&mut path.client).await;
        assert_eq!(head.contains("X-Forwarded-For: 127.0.0.1"), kept, "{head}");
        assert_eq!(head.contains("X-Forwarded-"), kept, "{head}");
        let peer = path.near.peer.to_string();
        assert_eq!(values(&head, "X-Libp2p-Peer"), [peer], "{head}");
    }
}

#[tokio::test]
async fn a_gateway_lets_through_what_its_rules_list_at_the_time() {
    let mut path = Path::new().await;
    let pair = (path.origin.peer, name("app"));
    let elsewhere = (PeerId::random(), name("app"));
    let open = GatewayRules::default();
    let mut server = None;
    path.pass(&mut server, "/").await;

    path.gateway
        .set(open.clone().with_allowed_services([elsewhere]));
    let (_, text) = path.refused(403, "GET", "/").await;
    assert!(
        text.contains(&pair.0.to_string()) && text.contains("/x/http/app"),
        "{text}"
    );
    path.gateway.set(open.clone().with_allowed_services([pair]));
    path.pass(&mut server, "/").await;

    // A host is known only as long as its domain is.
    let get = "GET /http/x HTTP/1.1\nHost: example.com\n\n";
    for (rules, status) in [
        (
            open.clone().with_domain("example.com".parse().unwrap()),
            400,
        ),
        (open, 421),
    ] {
        path.gateway.set(rules);
        write(&mut path.client, get).await;
        let (head, _) = path.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[tokio::test]
async fn tunnels_can_be_refused_or_have_an_end() {
    const UPGRADE: &str = "Connection: upgrade\nUpgrade: websocket\n";
    let mut path = Path::new().await;
    let rules = |tunnels| GatewayRules::default().with_tunnels(tunnels);
    path.gateway.set(rules(Tunnels::Refused));
    path.send("GET", "/", UPGRADE).await;
    let (head, text) = path.answer().await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert!(text.contains("WebSockets"), "{text}");
    let mut client = path.send_anew("GET", "/", "").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
    assert_eq!(answer(&mut client).await.1, "ok");

    let limit = Duration::from_millis(300);
    path.gateway.set(rules(Tunnels::AtMost(limit)));
    let mut client = path.send_anew("GET", "/", UPGRADE).await;
    let head = read_head(&mut server).await;
    assert_eq!(values(&head, "Upgrade"), ["websocket"]);
    let began = tokio::time::Instant::now();
    let switch =
        "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\n\nhello";
    write(&mut server, switch).await;
    read_until(&mut client, "hello").await;
    let end = read_to_end(&mut client).await;
    assert!(end.is_err(), "a tunnel that is cut has not ended");
    let _reset_or_closed = read_to_end(&mut server).await;
    assert!(began.elapsed() >= limit, "{:?}", began.elapsed());
}

#[tokio::test]
async fn one_client_has_so_many_exchanges_at_a_time() {
    let mut path = Path::new().await;
    path.gateway
        .set(GatewayRules::default().with_exchanges_per_client(1));
    let mut first = path.send_anew("GET", "/", "").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;

    let (head, text) = path.refused(503, "GET", "/").await;
    assert!(text.contains("exchanges of one client"), "{text}");
    assert_eq!(values(&head, "Retry-After"), ["1"]);

    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
    answer(&mut first).await;
    // The place is free a moment after the last byte: with one that is still taken, the client has to try again.
    path.gateway
        .set(GatewayRules::default().with_exchanges_per_client(2));
    path.pass(&mut Some(server), "/").await;
}

#[tokio::test]
async fn one_client_has_so_many_connections_at_a_time() {
    let path = Path::new().await;
    path.gateway
        .set(GatewayRules::default().with_exchanges_per_client(1));
    let mut silent = Vec::new();
    for _ in 0..4 {
        let stream = TcpStream::connect(path.listener).await.expect("connects");
        silent.push(stream);
    }
    let mut beyond = TcpStream::connect(path.listener).await.expect("connects");
    let read = within(beyond.read(&mut [0])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");

    // Places are free again a moment after their connections were closed.
    drop(silent);
    let request = "GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    let answered = async {
        while !try_exchange(path.listener, request)
            .await
            .starts_with("HTTP/1.1 400 ")
        {}
    };
    within(answered).await;
}

/// What is answered, if anything.
async fn try_exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let mut answer = Vec::new();
    // A connection that is closed at once may not take it.
    if stream
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await
        .is_ok()
    {
        let _ = stream.read_to_end(&mut answer).await;
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn another_server_takes_over_without_a_gap() {
    let mut path = Path::new().await;
    let mut download = path.send_anew("GET", "/big", "").await;
    let mut old = path.accepted().await;
    read_head(&mut old).await;
    write(&mut old, "HTTP/1.1 200 OK\nContent-Length: 10\n\nfirst").await;
    read_until(&mut download, "first").await;
    let mut idle = None;
    path.pass(&mut idle, "/").await;

    let (to, servers) = server().await;
    path.server = servers;
    let app = name("app");
    let requests = path
        .origin
        .with(move |swarm| swarm.behaviour_mut().replace_service(app))
        .await;
    let forward = Forward::new(target(to), path.origin.peer, ForwardConfig::default());
    tokio::spawn(forward.serve(requests, pending()));

    // A request that cannot be sent again, on the stream that the first server's requests came over.
    path.send("POST", "/", "Content-Length: 0\n").await;
    let mut new = path.accepted().await;
    let head = read_head(&mut new).await;
    assert!(head.starts_with("POST / "), "{head}");
    write(&mut new, "HTTP/1.1 200 OK\nContent-Length: 3\n\nnew").await;
    assert_eq!(path.answer().await.1, "new");

    write(&mut old, "-last").await;
    read_until(&mut download, "-last").await;
}

#[tokio::test]
async fn what_runs_when_a_service_is_removed_ends_in_order() {
    let mut path = Path::new().await;
    // One that would be over at once, if it held for more than the end of the node.
    let requests = path.origin.accept(&name("brief")).await;
    let (to, mut servers) = server().await;
    let config = ForwardConfig::default().with_drain_timeout(Duration::ZERO);
    let forward = Forward::new(target(to), path.origin.peer, config);
    let served = tokio::spawn(forward.serve(requests, pending()));
    let text = request(path.origin.peer, "GET", "/", "").replace("/app/", "/brief/");
    write(&mut path.client, &text).await;
    let mut server = within(servers.recv()).await.expect("the server runs");
    read_head(&mut server).await;

    let brief = name("brief");
    let removed = path
        .origin
        .with(move |swarm| swarm.behaviour_mut().remove_service(&brief));
    assert!(removed.await);
    let mut after = path.send_anew("GET", "/", "").await;
    let mut other = path.accepted().await;
    read_head(&mut other).await;
    write(&mut other, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
    answer(&mut after).await;

    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
    assert_eq!(path.answer().await.1, "ok");
    within(served)
        .await
        .expect("ends once the last exchange has");
}
