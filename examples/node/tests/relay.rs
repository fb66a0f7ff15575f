//! Do nodes reach each other through a relay, and past it?

mod support;

use futures::StreamExt;
use libp2p::{
    Multiaddr, SwarmBuilder, multiaddr::Protocol, noise, relay, swarm::SwarmEvent, tcp, yamux,
};

use self::support::{
    data,
    node::{Node, TCP},
    wire::{Conn, Server},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// A relay that says of itself that it is reached at `address`, and what `--relay` takes.
async fn liar(address: Multiaddr) -> String {
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|key| relay::Behaviour::new(key.public().to_peer_id(), Default::default()))
        .unwrap()
        .build();
    swarm.add_external_address(address);
    swarm.listen_on(TCP.parse().unwrap()).unwrap();
    let at = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break format!("{address}/p2p/{}", swarm.local_peer_id());
        }
    };
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    at
}

/// A relay, and what `--relay` takes.
async fn relay(more: &[&str]) -> (Node, String) {
    let args = ["meet", "--listen", TCP, "--relay-server"];
    let node = Node::start(&[&args[..], more].concat()).await;
    let address = node.fact("listening ").to_owned();
    (node, address)
}

/// Where a relay passes connections on to a node.
fn through(relay: &str, node: &Node) -> String {
    format!("{relay}/p2p-circuit/p2p/{}", node.fact("peer "))
}

async fn gateway(peer: &str, more: &[&str]) -> Node {
    let args = ["gateway", "--listen", "127.0.0.1:0", "--peer", peer];
    Node::start(&[&args[..], more].concat()).await
}

#[tokio::test]
async fn a_relay_tells_its_limits() {
    let (relay, _) = relay(&["--relay-bytes", "1000000", "--relay-seconds", "60"]).await;
    assert_eq!(
        relay.fact("relay "),
        "reservations=128 circuits=16 bytes=1000000 seconds=60"
    );
}

#[tokio::test]
async fn an_origin_is_reached_through_its_relay() {
    let server = Server::bind().await;
    let (_relay, address) = relay(&[]).await;
    let more = ["--relay", &address, "--no-hole-punching"];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    let gateway = gateway(&through(&address, &origin), &["--no-hole-punching"]).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
    gateway.logged(&["connected through a relay"]).await;
}

#[tokio::test]
async fn a_body_that_the_relay_cannot_carry_is_refused_and_not_cut() {
    const LIMIT: &str = "20000";
    let server = Server::bind().await;
    let (_relay, address) = relay(&["--relay-bytes", LIMIT]).await;
    let more = ["--relay", &address, "--no-hole-punching"];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    let gateway = gateway(&through(&address, &origin), &["--no-hole-punching"]).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));

    let large = "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n";
    let (response, _) = tokio::join!(client.get(&path), server.answer(large));
    assert_eq!(response.status(), 502);
    let [proxy_status] = response.all("Proxy-Status")[..] else {
        panic!("{response:?}")
    };
    assert!(
        proxy_status.contains("http_response_body_size"),
        "{proxy_status}"
    );
    assert!(response.text().contains(LIMIT), "{}", response.text());

    // The response to HEAD has no body, whatever it declares.
    let head = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.send(head).await;
    let (response, _) = tokio::join!(client.head(), server.answer(large));
    assert!(response.line.contains(" 200 "), "{response:?}");

    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let upload =
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n");
    client.send(upload).await;
    let response = client.message().await;
    assert_eq!(response.status(), 413);
    assert!(response.text().contains(LIMIT), "{}", response.text());

    // What fits comes through.
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn a_body_that_the_relay_cuts_is_told_as_that() {
    const LIMIT: &str = "20000";
    let server = Server::bind().await;
    let (_relay, address) = relay(&["--relay-bytes", LIMIT]).await;
    let more = ["--relay", &address, "--no-hole-punching"];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    let gateway = gateway(&through(&address, &origin), &["--no-hole-punching"]).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    client
        .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .await;
    // Its length is not declared, so that nobody knows before.
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe first part";
    let (mut conn, _) = server.answer(head).await;
    let head = client.head().await;
    assert_eq!(head.all("Transfer-Encoding"), ["chunked"]);
    conn.send(data::bytes(100_000)).await;
    drop(conn);
    let rest = client.rest().await.unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "looks complete");
    gateway.logged(&["came through a relay", LIMIT]).await;
}

#[tokio::test]
async fn two_nodes_that_know_a_relay_get_past_it() {
    let server = Server::bind().await;
    let (relay, address) = relay(&[]).await;
    let origin = Node::serve(&[("app", &server.target())], &["--relay", &address]).await;
    let gateway = gateway(&through(&address, &origin), &["--p2p-listen", TCP]).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
    gateway.logged(&["connected directly"]).await;

    // The relay would cut this, and is not asked to carry it.
    let large = data::bytes(1_000_000);
    let length = large.len();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
            .into_bytes();
    answer.extend_from_slice(&large);
    let (response, _) = tokio::join!(client.get(&path), server.answer(answer));
    assert!(response.body == large, "another body");

    // Nor is it needed any more.
    relay.kill().await;
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn an_origin_behind_a_relay_is_found_by_its_id() {
    let server = Server::bind().await;
    let (meet, address) = relay(&["--log", "info,p2p_http=debug"]).await;
    let more = ["--relay", &address, "--bootstrap", &address];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    let peer = origin.fact("peer ");
    meet.logged(&["can lead others", peer, "p2p-circuit"]).await;
    let args = [
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--bootstrap",
        &address,
    ];
    let gateway = Node::start(&args).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{peer}/app/");
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn a_relay_that_was_restarted_listens_again() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("relay.key");
    let key = key.to_str().unwrap();
    let server = Server::bind().await;
    let (first, address) = relay(&["--identity", key]).await;
    let more = ["--relay", &address, "--no-hole-punching"];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    origin.logged(&["a relay listens for this node"]).await;
    let place = address.split("/p2p/").next().unwrap();
    first.kill().await;
    origin.logged(&["no longer"]).await;

    let args = [
        "meet",
        "--listen",
        place,
        "--relay-server",
        "--identity",
        key,
    ];
    let second = Node::start(&args).await;
    second.logged(&["relays to a peer"]).await;
    let gateway = gateway(&through(&address, &origin), &["--no-hole-punching"]).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn a_relay_that_is_not_there_does_not_stop_the_node() {
    let server = Server::bind().await;
    let (relay, address) = relay(&[]).await;
    relay.kill().await;
    let origin = Node::serve(&[("app", &server.target())], &["--relay", &address]).await;
    let gateway = gateway(origin.fact("listening "), &[]).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn where_a_relay_says_that_it_is_stays_within_its_line() {
    let name = "a\nready\ngateway http://192.0.2.7\u{1b}[2J\u{202e}";
    let address = Multiaddr::empty()
        .with(Protocol::Dns4(name.into()))
        .with(Protocol::Tcp(1));
    let relay = liar(address).await;
    let server = Server::bind().await;
    let more = ["--relay", &relay, "--no-hole-punching"];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    let own = origin.fact("peer ");
    let facts = origin.facts();
    let told: Vec<_> = facts
        .iter()
        .filter(|fact| fact.contains("p2p-circuit"))
        .collect();
    let ends = format!("/p2p-circuit/p2p/{own}");
    let [told] = told[..] else {
        panic!("{facts:?}")
    };
    assert!(
        told.starts_with(
            "listening /dns4/a ready gateway http://192.0.2.7\\u{1b}[2J\\u{202e}/tcp/1/p2p/"
        ),
        "{told}"
    );
    assert!(told.ends_with(&ends), "{told}");
    let count = |line: &str| facts.iter().filter(|fact| fact.starts_with(line)).count();
    assert_eq!((count("ready"), count("gateway ")), (1, 0), "{facts:?}");
}
