//! Do nodes find each other by their ids alone, and again after a restart?

mod support;

use std::{fs, path::Path};

use self::support::{
    node::{Node, QUIC, TCP},
    wire::{Conn, Server},
};

/// A peer id that nobody has.
const STRANGER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// A meeting point, and what `--bootstrap` takes.
async fn meet(more: &[&str]) -> (Node, String) {
    let args = ["meet", "--listen", TCP, "--log", "info,p2p_http=debug"];
    let node = Node::start(&[&args[..], more].concat()).await;
    let address = node.fact("listening ").to_owned();
    (node, address)
}

/// A gateway that knows nobody but this peer.
async fn gateway(bootstrap: &str) -> Node {
    Node::start(&[
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--bootstrap",
        bootstrap,
    ])
    .await
}

/// Waits until the meeting point can lead others to a node.
async fn is_known(meet: &Node, node: &Node) {
    let port = node.fact("listening ").split("/p2p/").next().unwrap();
    meet.logged(&["can lead others", node.fact("peer "), port])
        .await;
}

#[tokio::test]
async fn two_nodes_that_know_only_ids_find_each_other_through_a_third() {
    let server = Server::bind().await;
    let (meet, bootstrap) = meet(&[]).await;
    for transport in [TCP, QUIC] {
        let origin = Node::serve_on(
            transport,
            &[("app", &server.target())],
            &["--bootstrap", &bootstrap],
        )
        .await;
        is_known(&meet, &origin).await;
        let peer = origin.fact("peer ");

        let gateway = gateway(&bootstrap).await;
        let mut client = Conn::connect(gateway.http("gateway ")).await;
        let path = format!("/http/{peer}/app/found");
        let (response, (_, request)) = tokio::join!(client.get(&path), server.answer(OK));
        assert_eq!(response.text(), "ok");
        assert_eq!(request.line, "GET /found HTTP/1.1");

        let args = [
            "forward",
            "--listen",
            "127.0.0.1:0",
            "--name",
            "app",
            "--peer",
            peer,
            "--bootstrap",
            &bootstrap,
        ];
        let forward = Node::start(&args).await;
        let mut client = Conn::connect(forward.http("forward ")).await;
        let (response, _) = tokio::join!(client.get("/"), server.answer(OK));
        assert_eq!(response.text(), "ok");
    }
}

#[tokio::test]
async fn a_peer_is_found_over_several_others() {
    let server = Server::bind().await;
    let (_first, address) = meet(&[]).await;
    let (middle, _) = meet(&["--bootstrap", &address]).await;
    let (last, last_address) = meet(&["--bootstrap", middle.fact("listening ")]).await;
    let origin = Node::serve(
        &[("app", &server.target())],
        &["--bootstrap", &last_address],
    )
    .await;
    is_known(&last, &origin).await;
    // The gateway asks one who is not the one that the origin has named.
    let gateway = gateway(&address).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

#[tokio::test]
async fn an_origin_that_moved_to_another_port_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("origin.key");
    let key = key.to_str().unwrap();
    let server = Server::bind().await;
    let (meet, bootstrap) = meet(&[]).await;
    let gateway = gateway(&bootstrap).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let mut ports = Vec::new();
    for signal in ["KILL", "TERM", "KILL"] {
        let more = ["--identity", key, "--bootstrap", &bootstrap];
        let mut origin = Node::serve(&[("app", &server.target())], &more).await;
        is_known(&meet, &origin).await;
        ports.push(origin.fact("listening ").to_owned());

        let path = format!("/http/{}/app/", origin.fact("peer "));
        let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
        assert_eq!(response.text(), "ok", "{signal}");
        origin.signal(signal).await;
        origin.exit_code().await;
    }
    ports.dedup();
    assert_eq!(ports.len(), 3, "{ports:?}");
}

#[tokio::test]
async fn a_peer_that_nobody_knows_is_an_answer_that_says_what_was_tried() {
    let (meet, bootstrap) = meet(&[]).await;
    let gateway = gateway(&bootstrap).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let response = client.get(&format!("/http/{STRANGER}/app/")).await;
    assert_eq!(response.status(), 502);
    let text = response.text();
    assert!(
        text.contains(STRANGER) && text.contains("Kademlia"),
        "{text}"
    );

    meet.kill().await;
    let response = client.get(&format!("/http/{STRANGER}/app/")).await;
    assert_eq!(response.status(), 502);
    let text = response.text();
    assert!(text.contains("no peer of the Kademlia network"), "{text}");
}

#[tokio::test]
async fn a_meeting_point_that_was_restarted_learns_who_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("meet.key");
    let key = ["--identity", key.to_str().unwrap()];
    let server = Server::bind().await;
    let (first, bootstrap) = meet(&key).await;
    let origin = Node::serve(&[("app", &server.target())], &["--bootstrap", &bootstrap]).await;
    is_known(&first, &origin).await;
    let place = bootstrap.split("/p2p/").next().unwrap().to_owned();
    first.kill().await;

    let args = ["meet", "--listen", &place, "--log", "info,p2p_http=debug"];
    let second = Node::start(&[&args[..], &key].concat()).await;
    is_known(&second, &origin).await;
    let gateway = gateway(&bootstrap).await;
    let mut client = Conn::connect(gateway.http("gateway ")).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");
}

/// The key of a private network, as kubo writes it.
fn swarm_key(directory: &Path, digit: char) -> String {
    let path = directory.join(format!("{digit}.key"));
    let digits = digit.to_string().repeat(64);
    fs::write(
        &path,
        format!("/key/swarm/psk/1.0.0/\n/base16/\n{digits}\n"),
    )
    .unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_private_network_keeps_to_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        swarm_key(directory.path(), '1'),
        swarm_key(directory.path(), '2'),
    );
    let server = Server::bind().await;
    let (meet, bootstrap) = meet(&["--swarm-key", &ours]).await;
    let more = ["--bootstrap", &bootstrap, "--swarm-key", &ours];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    is_known(&meet, &origin).await;
    let path = format!("/http/{}/app/", origin.fact("peer "));
    let args = [
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--bootstrap",
        &bootstrap,
    ];

    let inside = Node::start(&[&args[..], &["--swarm-key", &ours]].concat()).await;
    let mut client = Conn::connect(inside.http("gateway ")).await;
    let (response, _) = tokio::join!(client.get(&path), server.answer(OK));
    assert_eq!(response.text(), "ok");

    let other = Node::start(&[&args[..], &["--swarm-key", &theirs]].concat()).await;
    let public = Node::start(&args).await;
    for outside in [other, public] {
        let mut client = Conn::connect(outside.http("gateway ")).await;
        let response = client.get(&path).await;
        assert!(matches!(response.status(), 502 | 504), "{response:?}");
    }
}

#[tokio::test]
async fn a_node_learns_that_it_is_reached() {
    let server = Server::bind().await;
    let (_meet, address) = meet(&["--autonat"]).await;
    let more = ["--autonat", "--bootstrap", &address];
    let origin = Node::serve(&[("app", &server.target())], &more).await;
    let port = origin.fact("listening ").split("/p2p/").next().unwrap();
    origin.logged(&["is reached from outside", port]).await;
}
