//! What is an observer told of the exchanges of gateway and forward, and of the nested gateway?

#![cfg(all(feature = "axum", feature = "tokio"))]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, http};
use futures::channel::oneshot;
use http_body_util::BodyExt as _;
use libp2p_http_proxy::{
    Config, Exchange, ForwardConfig, ForwardRules, Gateway, GatewayConfig, Observer, Side,
};
use libp2p_identity::PeerId;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower::ServiceExt as _;

use self::support::{
    Node, name,
    path::{Path, Setup, read_head, read_to_end, read_until, write},
    within,
};

/// What is kept of an exchange.
#[derive(Debug)]
struct Told {
    id: u64,
    side: Side,
    peer: Option<PeerId>,
    service: Option<String>,
    asked: (String, String),
    status: Option<u16>,
    bytes: (u64, u64),
    /// Whether the time was told that it took to connect, to get the head, and to pass the body.
    timed: (bool, bool, bool),
    reused: Option<bool>,
    cause: Option<&'static str>,
    error: Option<String>,
}

struct Teller {
    begun: AtomicUsize,
    told: mpsc::Sender<Told>,
}

impl Observer for Teller {
    fn began(&self, _: Side) -> bool {
        self.begun.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn ended(&self, exchange: &Exchange<'_>) {
        let stages = exchange.stages;
        let parts = [stages.connect, stages.head, stages.body];
        let sum: Duration = parts.into_iter().flatten().sum();
        assert!(sum <= stages.total, "{stages:?}");
        let [connect, head, body] = parts.map(|part| part.is_some());
        let told = Told {
            id: exchange.id,
            side: exchange.side,
            peer: exchange.peer,
            service: exchange.service.map(ToString::to_string),
            asked: (exchange.method.to_owned(), exchange.path.to_owned()),
            status: exchange.status,
            bytes: (exchange.request_bytes, exchange.response_bytes),
            timed: (connect, head, body),
            reused: exchange.reused,
            cause: exchange.cause,
            error: exchange.error.map(str::to_owned),
        };
        self.told.try_send(told).expect("the test reads on");
    }
}

/// An observer, and what it hears.
struct Ear {
    teller: Arc<Teller>,
    told: mpsc::Receiver<Told>,
}

impl Ear {
    fn new() -> Self {
        let (sender, told) = mpsc::channel(64);
        let begun = AtomicUsize::new(0);
        let teller = Arc::new(Teller {
            begun,
            told: sender,
        });
        Self { teller, told }
    }

    async fn next(&mut self) -> Told {
        within(self.told.recv()).await.expect("more is told")
    }

    /// All that began has been told, and nothing else.
    fn is_done(&mut self, count: usize) {
        assert_eq!(self.teller.begun.load(Ordering::Relaxed), count);
        assert!(self.told.try_recv().is_err());
    }
}

/// A gateway and an origin that tell what they do.
async fn path(rules: ForwardRules) -> (Path, Ear, Ear) {
    let (near, far) = (Ear::new(), Ear::new());
    let setup = Setup {
        gateway: GatewayConfig::default().with_observer(near.teller.clone()),
        forward: ForwardConfig::default()
            .with_rules(rules)
            .with_observer(far.teller.clone()),
        ..Setup::default()
    };
    (Path::new(setup).await, near, far)
}

#[tokio::test]
async fn both_sides_tell_of_an_exchange() {
    let (mut path, mut near, mut far) = path(ForwardRules::default()).await;
    let mut client = path
        .request("POST {}/a?b HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello")
        .await;
    let mut server = path.accepted().await;
    read_until(&mut server, "hello").await;
    write(
        &mut server,
        "HTTP/1.1 201 Created\nContent-Length: 3\n\nyes",
    )
    .await;
    read_until(&mut client, "yes").await;
    let (local, remote) = (near.next().await, far.next().await);
    let target = format!("{}/a?b", path.prefix);
    for (told, side, peer, target) in [
        (&local, Side::Gateway, path.origin.peer, target.as_str()),
        (&remote, Side::Origin, path.near.peer, "/a?b"),
    ] {
        assert_eq!(told.side, side);
        assert_eq!(told.peer, Some(peer));
        assert_eq!(told.service.as_deref(), Some("/x/http/app"));
        assert_eq!(told.asked, ("POST".to_owned(), target.to_owned()));
        assert_eq!(told.status, Some(201));
        assert_eq!(told.bytes, (5, 3));
        assert_eq!(told.timed, (true, true, true));
        assert_eq!(told.reused, Some(false));
        assert_eq!((told.cause, &told.error), (None, &None));
    }

    write(
        &mut client,
        &format!("GET {}/ HTTP/1.1\nHost: localhost\n\n", path.prefix),
    )
    .await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 204 No Content\n\n").await;
    read_head(&mut client).await;
    let (local_again, remote_again) = (near.next().await, far.next().await);
    assert_eq!(local_again.reused, Some(true));
    assert_eq!(remote_again.reused, Some(true));
    assert_ne!(local.id, local_again.id);
    assert_ne!(remote.id, remote_again.id);
    near.is_done(2);
    far.is_done(2);
}

#[tokio::test]
async fn what_is_refused_has_its_cause() {
    let rules = ForwardRules::default().with_allowed_peers([]);
    let (path, mut near, mut far) = path(rules).await;
    for (request, status, cause) in [
        (
            "GET {}/ HTTP/1.1\nHost: localhost\nConnection: close\n\n",
            403,
            None,
        ),
        (
            "GET /nowhere HTTP/1.1\nHost: localhost\nConnection: close\n\n",
            400,
            Some("http_request_error"),
        ),
        (
            "GET {}/ HTTP/1.1\nHost: elsewhere\nConnection: close\n\n",
            421,
            Some("http_request_denied"),
        ),
        (
            "GET / HTTP/1.1\nHost: localhost\nContent-Length: x\n\n",
            400,
            Some("http_request_error"),
        ),
    ] {
        let mut client = path.request(request).await;
        let answer = read_to_end(&mut client).await.expect("is whole");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let told = near.next().await;
        assert_eq!((told.status, told.cause), (Some(status), cause), "{told:?}");
        assert_eq!(told.error.is_some(), cause.is_some(), "{told:?}");
        let is_read = !request.contains('x');
        assert_eq!(told.asked.0, if is_read { "GET" } else { "-" }, "{told:?}");
    }
    let told = far.next().await;
    assert_eq!(
        (told.status, told.cause),
        (Some(403), Some("http_request_denied"))
    );
    assert_eq!(told.timed, (false, false, false));
    near.is_done(4);
    far.is_done(1);
}

#[tokio::test]
async fn a_tunnel_is_told_when_it_ends() {
    let (mut path, mut near, mut far) = path(ForwardRules::default()).await;
    let mut client = path
        .request("GET {}/ HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: echo\n\n")
        .await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(
        &mut server,
        "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: echo\n\n",
    )
    .await;
    read_head(&mut client).await;
    write(&mut client, "there").await;
    read_until(&mut server, "there").await;
    write(&mut server, "and back").await;
    read_until(&mut client, "and back").await;
    assert!(near.told.try_recv().is_err(), "it goes on");
    drop((client, server));
    for ear in [&mut near, &mut far] {
        let told = ear.next().await;
        assert_eq!(told.status, Some(101));
        assert_eq!(told.bytes, (5, 8));
        ear.is_done(1);
    }
}

#[tokio::test]
async fn who_leaves_is_no_failure_of_the_node() {
    let (mut path, mut near, mut far) = path(ForwardRules::default()).await;
    let client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    drop(client);
    for ear in [&mut near, &mut far] {
        let told = ear.next().await;
        assert_eq!((told.status, told.cause), (None, None), "{told:?}");
        assert!(told.error.is_some());
        assert_eq!(told.timed, (true, false, false));
    }
}

#[tokio::test]
async fn what_the_end_of_a_proxy_cuts_is_told() {
    let mut ear = Ear::new();
    let node = Node::memory(Config::default()).await;
    let other = Node::memory(Config::default()).await;
    node.knows(&other).await;
    let mut requests = other.accept(&name("app")).await;
    let config = GatewayConfig::default()
        .with_drain_timeout(Duration::from_millis(10))
        .with_observer(ear.teller.clone());
    let gateway = Gateway::new(node.client.clone(), node.peer, config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    let (shutdown, asked) = oneshot::channel::<()>();
    let served = tokio::spawn(gateway.serve(listener, async {
        let _ = asked.await;
    }));
    let mut client = TcpStream::connect(address).await.expect("connects");
    let target = format!("/http/{}/app/", other.peer);
    let request = format!("GET {target} HTTP/1.1\nHost: localhost\n\n");
    write(&mut client, &request).await;
    let _unanswered = within(futures::StreamExt::next(&mut requests)).await;
    drop(shutdown);
    let told = ear.next().await;
    assert_eq!(told.status, None);
    assert_eq!(told.asked, ("GET".to_owned(), target));
    assert_eq!(told.peer, Some(other.peer));
    assert!(told.error.is_some_and(|error| error.contains("ended")));
    within(served).await.expect("no panic").expect("serves");
    ear.is_done(1);
    let mut rest = Vec::new();
    let _cut = client.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_nested_gateway_tells_the_same() {
    let (mut path, _near, mut far) = path(ForwardRules::default()).await;
    let mut ear = Ear::new();
    let config = GatewayConfig::default().with_observer(ear.teller.clone());
    let client = path.near.client.clone();
    let gateway = Gateway::new(client, path.near.peer, config).into_service();
    let uri = format!("{}/?q", path.prefix);
    let request = http::Request::get(&uri)
        .header("Host", "localhost")
        .body(Body::empty());
    let answer = gateway.clone().oneshot(request.expect("is a request"));
    let answer = tokio::spawn(answer);
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 3\n\nyes").await;
    let answer = within(answer).await.expect("no panic").expect("answers");
    answer.into_body().collect().await.expect("is whole");
    let told = ear.next().await;
    assert_eq!((told.side, told.status), (Side::Gateway, Some(200)));
    assert_eq!(told.asked.1, uri);
    assert_eq!((told.bytes, told.reused), ((0, 3), Some(false)));
    assert_eq!(told.timed, (true, true, true));
    assert_eq!(told.service.as_deref(), Some("/x/http/app"));

    let request = http::Request::get("/nowhere")
        .header("Host", "localhost")
        .body(Body::empty());
    let answer = gateway.oneshot(request.expect("is a request"));
    drop(within(answer).await);
    let told = ear.next().await;
    assert_eq!(told.cause, Some("http_request_error"));
    ear.is_done(2);
    far.next().await;
}
