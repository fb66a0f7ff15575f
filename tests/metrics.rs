//! Do the figures say what happened?

#![cfg(all(feature = "metrics", feature = "tokio"))]

mod support;

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use libp2p_http_proxy::{
    Config, Event, ForwardConfig, GatewayConfig, Request, h1::RequestHead, metrics::Metrics,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::time::timeout;

use self::support::{
    Node, name,
    path::{Path, read_head, read_to_end, read_until, serve, server, write},
    within,
};

struct Figures {
    registry: Registry,
    metrics: Arc<Metrics>,
}

impl Figures {
    fn of(node: &Node) -> Self {
        let mut registry = Registry::default();
        let metrics = Arc::new(Metrics::new(&mut registry, node.client.clone()));
        Self { registry, metrics }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("is text");
        text
    }

    /// The figure behind `series`.
    fn of_series(&self, series: &str) -> Option<f64> {
        let text = self.text();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|figure| figure.parse().expect("is a number"))
    }

    /// Waits until the figure behind `series` is the expected one: it is counted behind the last byte of a response.
    async fn becomes(&self, series: &str, expected: f64) {
        let series = format!("libp2p_http_{series}");
        let counted = async {
            while self.of_series(&series) != Some(expected) {
                tokio::task::yield_now().await;
            }
        };
        if timeout(Duration::from_secs(20), counted).await.is_err() {
            panic!("{series} is not {expected}: {}", self.text());
        }
    }
}

fn get() -> Request<Vec<u8>> {
    let mut head = RequestHead::new("GET", "/").expect("is valid");
    let added = head.fields_mut().push("Host", "localhost");
    added.expect("is valid");
    Request {
        head,
        body: Vec::new(),
    }
}

#[tokio::test]
async fn exchanges_are_counted_on_both_sides() {
    let config = Config::default().with_spare_streams(0);
    let near = Node::memory(config.clone()).await;
    let origin = Node::memory(config).await;
    near.knows(&origin).await;
    let (figures, theirs) = (Figures::of(&near), Figures::of(&origin));
    let (target, server) = server().await;
    let forward = ForwardConfig::default().with_observer(theirs.metrics.clone());
    serve(&origin, &name("app"), target, forward).await;
    let gateway = GatewayConfig::default().with_observer(figures.metrics.clone());
    let mut path = Path::between(near, origin, server, gateway).await;

    let mut client = path
        .request("POST {}/ HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello")
        .await;
    let mut server = path.accepted().await;
    read_until(&mut server, "hello").await;
    figures
        .becomes(r#"exchanges_running{side="gateway"}"#, 1.0)
        .await;
    theirs
        .becomes(r#"exchanges_running{side="origin"}"#, 1.0)
        .await;
    figures.becomes(r#"streams{state="busy"}"#, 1.0).await;
    theirs.becomes(r#"streams{state="inbound"}"#, 1.0).await;
    write(
        &mut server,
        "HTTP/1.1 404 Not Found\nContent-Length: 3\n\nyes",
    )
    .await;
    read_until(&mut client, "yes").await;
    let again = format!("GET {}/ HTTP/1.1\nHost: localhost\n\n", path.prefix);
    write(&mut client, &again).await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 204 No Content\n\n").await;
    read_head(&mut client).await;
    let refused = "GET /nowhere HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    let mut other = path.request(refused).await;
    read_to_end(&mut other).await.expect("is whole");

    for (series, expected) in [
        (
            r#"exchanges_total{side="gateway",service="",status="2xx"}"#,
            1.0,
        ),
        (
            r#"exchanges_total{side="gateway",service="",status="4xx"}"#,
            2.0,
        ),
        (r#"exchanges_running{side="gateway"}"#, 0.0),
        (
            r#"failures_total{side="gateway",cause="http_request_error"}"#,
            1.0,
        ),
        (
            r#"body_bytes_total{side="gateway",direction="request"}"#,
            5.0,
        ),
        (r#"stage_seconds_count{side="gateway",stage="total"}"#, 3.0),
        (r#"stage_seconds_count{side="gateway",stage="head"}"#, 2.0),
        (r#"streams{state="idle"}"#, 1.0),
        (r#"streams{state="busy"}"#, 0.0),
        ("streams_reused_total", 1.0),
        ("waiting_requests", 0.0),
    ] {
        figures.becomes(series, expected).await;
    }
    for (series, expected) in [
        (
            r#"exchanges_total{side="origin",service="/x/http/app",status="2xx"}"#,
            1.0,
        ),
        (
            r#"exchanges_total{side="origin",service="/x/http/app",status="4xx"}"#,
            1.0,
        ),
        (
            r#"body_bytes_total{side="origin",direction="response"}"#,
            3.0,
        ),
        (r#"exchanges_running{side="origin"}"#, 0.0),
    ] {
        theirs.becomes(series, expected).await;
    }
    assert_eq!(figures.of_series("libp2p_http_nothing"), None);
}

#[tokio::test]
async fn streams_are_counted_beyond_the_peer_that_had_them() {
    let config = Config::default().with_spare_streams(0);
    let near = Node::memory(config.clone()).await;
    let origin = Node::memory(config).await;
    near.knows(&origin).await;
    let figures = Figures::of(&near);
    let origin_peer = origin.peer;
    let mut requests = origin.accept(&name("app")).await;
    let client = near.client.clone();
    let sent = tokio::spawn(async move { client.send(origin_peer, name("app"), get()).await });
    drop(within(requests.next()).await.expect("a request"));
    drop(within(sent).await.expect("no panic").expect("a response"));
    let opened = figures.of_series("libp2p_http_streams_opened_total");
    assert!(opened >= Some(1.0), "{opened:?}");
    origin.stop().await;
    figures.becomes(r#"streams{state="idle"}"#, 0.0).await;
    figures.becomes(r#"streams{state="busy"}"#, 0.0).await;
    assert_eq!(
        figures.of_series("libp2p_http_streams_opened_total"),
        opened
    );
}

#[tokio::test]
async fn failures_among_the_events_are_counted() {
    let mut near = Node::memory(Config::default()).await;
    let figures = Figures::of(&near);
    let nobody = libp2p_identity::PeerId::random();
    near.with(move |swarm| {
        swarm
            .behaviour_mut()
            .send_request(nobody, name("app"), get())
    })
    .await;
    let event = near.event().await;
    assert!(matches!(event, Event::OutboundFailure { .. }), "{event:?}");
    figures.metrics.record(&event);
    figures
        .becomes(r#"outbound_failures_total{cause="no_addresses"}"#, 1.0)
        .await;
}
