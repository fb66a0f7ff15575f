//! Requests that leave with the negotiation of their stream.

mod support;

use std::{net::SocketAddr, time::Duration};

use futures::StreamExt;
use libp2p_http_proxy::{Config, OutboundFailure, Payload, Protocol, Request, Requests, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use self::support::{Node, Wire, name, within};

/// Each request has a stream of its own, and none is opened ahead.
const PROTOCOL: Protocol = Protocol::Libp2pHttp;

async fn node() -> Node {
    let config = Config::default()
        .with_alias(PROTOCOL, name("app"))
        .with_spare_streams(0);
    Node::start(Wire::Tcp, config, Duration::from_secs(60)).await
}

/// A way to a node, whose answers can be held back.
struct Way {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Way {
    async fn to(node: &Node) -> Self {
        let address = node.address.to_string();
        let port = address.split('/').nth(4).expect("is an address with TCP");
        let to = SocketAddr::new([127, 0, 0, 1].into(), port.parse().expect("is a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("is free");
        let address = listener.local_addr().expect("listens");
        let (open, gate) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(to).await.expect("is reached");
                let ((from_near, to_near), (from_far, to_far)) =
                    (near.into_split(), far.into_split());
                let (_always, is_open) = watch::channel(true);
                tokio::spawn(carry(from_near, to_far, is_open));
                tokio::spawn(carry(from_far, to_near, gate.clone()));
            }
        });
        Self { address, open }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: watch::Receiver<bool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        // Whoever is gone leaves it as it was.
        let _ = open.wait_for(|open| *open).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// A client, a server and the way between them.
async fn ends() -> (Node, Node, Way) {
    let (client, server) = (node().await, node().await);
    let way = Way::to(&server).await;
    let (peer, address) = (server.peer, way.address);
    client
        .with(move |swarm| {
            let address = format!("/ip4/{}/tcp/{}", address.ip(), address.port());
            let address = address.parse().expect("is an address");
            swarm.behaviour_mut().add_peer_address(peer, address)
        })
        .await;
    (client, server, way)
}

fn ask(
    client: &Node,
    server: &Node,
    body: Payload,
) -> impl Future<Output = Result<u16, OutboundFailure>> + use<> {
    let request = Request::new("POST", "/", "test", body).expect("is a request");
    let (client, peer) = (client.client.clone(), server.peer);
    async move {
        let sent = client.send(peer, PROTOCOL, request);
        Ok(within(sent).await?.head.status())
    }
}

async fn answer(requests: &mut Requests) {
    let inbound = within(requests.next()).await.expect("is offered");
    let response = Response::new(204, ()).expect("is a response");
    inbound.responder.send(response).await.expect("is sent");
}

#[tokio::test]
async fn a_request_on_a_new_stream_waits_for_no_answer_where_the_service_was_accepted_before() {
    let (client, server, way) = ends().await;
    let mut requests = server.accept(&name("app")).await;
    let first = tokio::spawn(ask(&client, &server, Payload::empty()));
    answer(&mut requests).await;
    let status = first.await.expect("does not panic").expect("is answered");
    assert_eq!(status, 204);

    way.open.send_replace(false);
    let asked: Vec<_> = (0..20)
        .map(|_| tokio::spawn(ask(&client, &server, "question".into())))
        .collect();
    for _ in 0..asked.len() {
        answer(&mut requests).await;
    }
    way.open.send_replace(true);
    for asked in asked {
        let status = asked.await.expect("does not panic").expect("is answered");
        assert_eq!(status, 204);
    }
}

#[tokio::test]
async fn a_service_that_is_offered_no_more_is_refused_as_ever() {
    let (client, server, _way) = ends().await;
    let endless = Payload::reader(futures::io::repeat(b'x'), None);
    for body in [Payload::empty(), "question".into(), endless] {
        let mut requests = server.accept(&name("app")).await;
        for _ in 0..2 {
            let asked = tokio::spawn(ask(&client, &server, Payload::empty()));
            answer(&mut requests).await;
            asked.await.expect("does not panic").expect("is answered");
        }
        drop(requests);
        // Once in vain, and then after waiting for the answer.
        for body in [body, Payload::empty()] {
            let result = ask(&client, &server, body).await;
            let Err(OutboundFailure::UnsupportedProtocol { protocol }) = result else {
                panic!("{result:?}");
            };
            assert_eq!(protocol, PROTOCOL);
        }
    }
}
