//! Addresses that a request to a gateway names for its peer: where they are taken, and for what.

#![cfg(feature = "tokio")]

mod support;

use std::{future::pending, net::SocketAddr, time::Duration};

use futures::future::join_all;
use libp2p_http_proxy::{
    Config, Forward, ForwardConfig, Gateway, GatewayConfig, GatewayRules, Protocol, Request, Rules,
    route::RequestAddresses,
};
use tokio::net::{TcpListener, TcpStream};

use self::support::{
    Node, Wire, name,
    path::{read_head, read_to_end, values, write},
    within,
};

/// A gateway that knows no peer, and a peer whose services answer with the head that they got.
struct Path {
    near: Node,
    origin: Node,
    gateway: SocketAddr,
    rules: Rules<GatewayRules>,
}

impl Path {
    async fn new() -> Self {
        Self::with(GatewayRules::default().with_request_addresses(RequestAddresses::Any)).await
    }

    async fn with(rules: GatewayRules) -> Self {
        let node = |config| Node::start(Wire::Tcp, config, Duration::from_secs(60));
        let near = node(Config::default()).await;
        let config = Config::default().with_alias(Protocol::Libp2pHttp, name("spec"));
        let origin = node(config).await;
        for service in ["app", "spec"] {
            let requests = origin.accept(&name(service)).await;
            let target = format!("http://{}", mirror().await);
            let target = target.parse().expect("is a target");
            let forward = Forward::new(target, origin.peer, ForwardConfig::default());
            tokio::spawn(forward.serve(requests, pending()));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("is bound");
        let config = GatewayConfig::default().with_rules(rules);
        let gateway = Gateway::new(near.client.clone(), near.peer, config);
        let rules = gateway.rules();
        tokio::spawn(gateway.serve(listener, pending()));
        Self {
            near,
            origin,
            gateway: address,
            rules,
        }
    }

    /// The field that says where the peer is.
    fn field(&self) -> String {
        format!("X-Libp2p-Addrs: {}\n", self.origin.address)
    }

    fn route(&self) -> String {
        format!("/http/{}/app/a%2Fb?q", self.origin.peer)
    }

    /// The address of the peer, with its id.
    fn address(&self) -> String {
        format!("{}/p2p/{}", self.origin.address, self.origin.peer)
    }

    /// Sends a request for `target`, and reads the whole answer.
    async fn get(&self, target: &str, fields: &str) -> String {
        self.get_of("localhost", target, fields).await
    }

    async fn get_of(&self, host: &str, target: &str, fields: &str) -> String {
        let mut client = TcpStream::connect(self.gateway).await.expect("connects");
        let text = format!("GET {target} HTTP/1.1\nHost: {host}\nConnection: close\n{fields}\n");
        write(&mut client, &text).await;
        read_to_end(&mut client).await.expect("ends in order")
    }

    /// The same for one that is refused, with a part of the reason.
    async fn refused(&self, target: &str, fields: &str, status: u16, reason: &str) {
        let answer = self.get(target, fields).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(reason),
            "{target} {fields}: {answer}"
        );
        assert!(!self.is_connected().await, "{target} {fields}");
    }

    /// The request as the server of the peer got it.
    async fn passed(&self, target: &str, fields: &str) -> String {
        let answer = self.get(target, fields).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = body.to_ascii_lowercase().replace('_', "-");
        assert!(
            !seen.contains("libp2p-addrs") && !seen.contains("libp2p-multiaddr"),
            "{body}"
        );
        body.to_owned()
    }

    async fn is_connected(&self) -> bool {
        let peer = self.origin.peer;
        self.near.with(move |swarm| swarm.is_connected(&peer)).await
    }
}

/// A server that answers every request with its head, and sets a cookie.
async fn mirror() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                let length = head.len();
                let fields = "Set-Cookie: a=1; Path=/\nContent-Type: text/html\nConnection: close";
                let answer = format!("HTTP/1.1 200 OK\nContent-Length: {length}\n{fields}\n\n");
                write(&mut stream, &answer).await;
                tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
                    .await
                    .expect("is taken");
            });
        }
    });
    address
}

#[tokio::test]
async fn nobody_looks_at_the_field_unless_it_is_asked_for() {
    let path = Path::with(GatewayRules::default()).await;
    let (route, field, address) = (path.route(), path.field(), path.address());
    let unknown = "give the node one";
    path.refused(&route, "", 502, unknown).await;
    let unused = "this gateway uses none that requests name";
    for field in [&field, "X-Libp2p-Addrs: nonsense\n"] {
        path.refused(&route, field, 502, unused).await;
    }
    let off = "does not dial addresses that requests name";
    path.refused(&format!("multiaddr:{address}"), "", 403, off)
        .await;
    let field = format!("X-Libp2p-Multiaddr: {address}\n");
    path.refused("/http/multiaddr/app/", &field, 403, off).await;

    path.near.knows(&path.origin).await;
    let seen = path
        .passed(
            &route,
            "x_libp2p_addrs: a\nX-Libp2p-Addrs: b\nX-Libp2p-Multiaddr: c\n",
        )
        .await;
    assert!(seen.starts_with("GET /a%2Fb?q HTTP/1.1\r\n"), "{seen}");
}

#[tokio::test]
async fn a_peer_that_nobody_knows_is_reached_by_the_field() {
    let path = Path::new().await;
    let (route, field) = (path.route(), path.field());
    path.refused(&route, "", 502, "no address of the peer")
        .await;
    let seen = path.passed(&route, &field).await;
    assert!(seen.starts_with("GET /a%2Fb?q HTTP/1.1\r\n"), "{seen}");
    // It is connected now, and what is named is only looked at.
    path.passed(&route, "").await;
    path.passed(&route, "X-Libp2p-Addrs: /ip4/127.0.0.1/tcp/1\n")
        .await;
    let wrong = path.get(&route, "X-Libp2p-Addrs: /ip4/127.0.0.1\n").await;
    assert!(wrong.starts_with("HTTP/1.1 400 "), "{wrong}");
}

#[tokio::test]
async fn what_is_wrong_or_private_is_refused_before_anything_is_dialled() {
    let path = Path::new().await;
    let route = path.route();
    let (peer, other) = (path.origin.peer, path.near.peer);
    let at = |rest: &str| {
        format!(
            "{}X-Libp2p-Addrs: /ip4/127.0.0.1/tcp/1{rest}\n",
            path.field()
        )
    };
    path.refused(&route, &at("/memory/1"), 400, "does not dial")
        .await;
    path.refused(
        &route,
        &at(&format!("/p2p/{other}")),
        400,
        "correct one of them",
    )
    .await;
    let relayed = at(&format!("/p2p/{peer}/p2p-circuit/p2p/{other}"));
    path.refused(&route, &relayed, 400, "correct one of them")
        .await;

    let public = GatewayRules::default().with_request_addresses(RequestAddresses::Public);
    path.rules.set(public.clone());
    path.refused(
        &route,
        &path.field(),
        403,
        "127.0.0.1, which is no public address",
    )
    .await;
    let named = "X-Libp2p-Addrs: /dns4/localhost/tcp/1\n";
    path.refused(&route, named, 403, "a name, which may lead anywhere")
        .await;
    let target = format!("multiaddr:{}", path.address());
    path.refused(&target, "", 403, "no public address").await;

    // Who may not use the service may not have it dialled either.
    path.rules.set(
        public
            .with_request_addresses(RequestAddresses::Any)
            .with_allowed_services([(other, name("app"))]),
    );
    path.refused(&route, &path.field(), 403, "lets nobody use")
        .await;
    path.refused(&target, "", 403, "lets nobody use").await;
}

#[tokio::test]
async fn another_peer_at_the_address_is_a_502() {
    let path = Path::new().await;
    let stranger = Node::start(Wire::Tcp, Config::default(), Duration::from_secs(60)).await;
    let field = format!("X-Libp2p-Addrs: {}\n", stranger.address);
    let reason = format!("another peer, {}", stranger.peer);
    path.refused(&path.route(), &field, 502, &reason).await;
    let gone = "X-Libp2p-Addrs: /ip4/127.0.0.1/tcp/1\n";
    path.refused(&path.route(), gone, 502, "could not be reached")
        .await;
}

#[tokio::test]
async fn a_hundred_clients_at_once_are_few_dials() {
    let path = Path::new().await;
    let (route, field) = (path.route(), path.field());
    join_all((0..100).map(|_| path.passed(&route, &field))).await;
    let connections = path.origin.with(|swarm| swarm.network_info().num_peers());
    assert_eq!(connections.await, 1);
    let counted = path
        .origin
        .with(|swarm| swarm.network_info().connection_counters().num_established());
    assert_eq!(counted.await, 1);
}

#[tokio::test]
async fn a_multiaddr_names_the_peer_in_the_path_form() {
    let path = Path::new().await;
    let encoded = path.address().replace('/', "%2F");
    let target = format!("/http/multiaddr/app/a%2Fb?x=%2F&multiaddr={encoded}&y");
    let seen = path.passed(&target, "").await;
    assert!(
        seen.starts_with("GET /a%2Fb?x=%2F&y HTTP/1.1\r\n"),
        "{seen}"
    );
    assert_eq!(values(&seen, "X-Libp2p-Peer"), [path.near.peer.to_string()]);
    let field = format!("X-Libp2p-Multiaddr: {}\n", path.address());
    let seen = path.passed("/http/multiaddr/app/?x", &field).await;
    assert!(seen.starts_with("GET /?x HTTP/1.1\r\n"), "{seen}");
    let both = path
        .get(&target, "X-Libp2p-Multiaddr: /ip4/127.0.0.1/tcp/1\n")
        .await;
    assert!(both.starts_with("HTTP/1.1 400 "), "{both}");
    // The same path is that of others, too, and so no cookie may stay there.
    let answer = path.get(&target, "").await;
    assert_eq!(values(&answer, "Set-Cookie"), [""; 0], "{answer}");

    let bare = format!("/http/multiaddr/app?multiaddr={encoded}");
    let answer = path.get(&bare, "").await;
    let location = bare.replace("app?", "app/?");
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert_eq!(values(&answer, "Location"), [location]);
}

#[tokio::test]
async fn a_multiaddr_uri_goes_to_the_protocol_of_the_specification() {
    let path = Path::new().await;
    let uri = format!("multiaddr:{}/http-path/a%2Fb%2520c?q=%2F", path.address());
    for host in ["", "localhost", "127.0.0.1"] {
        let answer = path.get_of(host, &uri, "").await;
        let (head, seen) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            seen.starts_with("GET /a/b%20c?q=%2F HTTP/1.1\r\n"),
            "{seen}"
        );
        assert!(!values(seen, "Host")[0].is_empty(), "{seen}");
    }
    let answer = path.get_of("evil.example", &uri, "").await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    // An origin is no proxy.
    let request = Request::new("GET", &uri, "h", ()).expect("is a request");
    let sent = path
        .near
        .client
        .send(path.origin.peer, name("app"), request);
    let refused = within(sent).await.expect("a response");
    assert_eq!(refused.head.status(), 400);
}

#[tokio::test]
async fn pages_of_others_name_no_addresses() {
    const PAGE: &str = "Sec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\n";
    let path = Path::new().await;
    let host = format!(
        "app.{}.p2p.localhost",
        libp2p_http_proxy::route::peer_cid(&path.origin.peer)
    );
    let encoded = path.address().replace('/', "%2F");
    let target = format!("/http/multiaddr/app/?multiaddr={encoded}");
    let link = format!("Sec-Fetch-Site: cross-site\n{PAGE}");
    path.refused(&target, &link, 403, "a page of another origin")
        .await;
    let script = "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nSec-Fetch-Dest: empty\nOrigin: https://evil.example\n";
    let fields = format!("{}{script}", path.field());
    path.refused(&path.route(), &fields, 403, "evil.example")
        .await;
    // A browser asks first, and is not told that it may.
    let asks = format!(
        "{script}Access-Control-Request-Method: GET\nAccess-Control-Request-Headers: x-libp2p-addrs\n"
    );
    let mut client = TcpStream::connect(path.gateway).await.expect("connects");
    let text = format!(
        "OPTIONS {} HTTP/1.1\nHost: localhost\nConnection: close\n{asks}\n",
        path.route()
    );
    write(&mut client, &text).await;
    let answer = read_to_end(&mut client).await.expect("ends in order");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(values(&answer, "Access-Control-Allow-Headers"), [""; 0]);
    // The page of a service, on its own host.
    let own = format!(
        "{}Sec-Fetch-Site: same-origin\nSec-Fetch-Dest: empty\n",
        path.field()
    );
    let answer = path.get_of(&host, "/", &own).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(!path.is_connected().await);
    // Programs, and those who type the address, may.
    let answer = path.get_of(&host, "/", &path.field()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let typed = format!("Sec-Fetch-Site: none\n{PAGE}");
    let answer = path.get(&target, &typed).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let policy = values(&answer, "Content-Security-Policy");
    assert!(policy[0].starts_with("sandbox "), "{answer}");
    // And pages that were let in.
    let origin = "https://app.example";
    let rules = GatewayRules::default().with_request_addresses(RequestAddresses::Any);
    path.rules
        .set(rules.with_allowed_origin(origin.parse().expect("is an origin")));
    let fields = format!(
        "{}{}",
        path.field(),
        script.replace("https://evil.example", origin)
    );
    let answer = path.get(&path.route(), &fields).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_gateway_for_one_service_takes_no_addresses() {
    let path = Path::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    let config = GatewayConfig::default().with_request_addresses(RequestAddresses::Any);
    let gateway = Gateway::new(path.near.client.clone(), path.near.peer, config);
    let gateway = gateway.for_service(path.origin.peer, name("app"));
    tokio::spawn(gateway.serve(listener, pending()));
    for (target, status) in [
        ("/".to_owned(), 502),
        (format!("multiaddr:{}", path.address()), 400),
    ] {
        let mut client = TcpStream::connect(address).await.expect("connects");
        let text = format!(
            "GET {target} HTTP/1.1\nHost: localhost\nConnection: close\n{}\n",
            path.field()
        );
        write(&mut client, &text).await;
        let answer = within(read_to_end(&mut client)).await.expect("ends");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}
