//! What becomes of requests whose streams fail while they are negotiated, or before they are?

mod support;

use std::{
    collections::BTreeSet,
    future::poll_fn,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future::join_all};
use libp2p::{
    Multiaddr, PeerId, SwarmBuilder, Transport,
    core::{
        muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox},
        transport::{ListenerId, TransportEvent},
        upgrade::Version,
    },
    identity::Keypair,
    noise, tcp, yamux,
};
use libp2p_http_proxy::{
    Config, Destination, Driven, HttpProxyBehaviour, OutboundFailure, Payload, Protocol, Request,
};
use tokio::sync::mpsc;

use self::support::{Node, Wire, name, spawn, within};

/// A peer that negotiates by itself, as go-libp2p does: it reads on after a proposal that it has refused, whatever was in it.
struct Peer {
    id: PeerId,
    address: Multiaddr,
    manner: Arc<Mutex<Manner>>,
    /// What came on streams behind their negotiation, with its protocol.
    requests: mpsc::UnboundedReceiver<(String, String)>,
}

/// What a peer does.
#[derive(Default)]
struct Manner {
    offered: BTreeSet<String>,
    /// How many streams have come.
    streams: usize,
    /// The streams that are dropped before a word is said.
    dropped: BTreeSet<usize>,
    /// The connection is dropped when this stream comes.
    lost_with_stream: Option<usize>,
    /// The connection is dropped when this request comes.
    lost_with_request: Option<String>,
}

/// What a connection of such a peer has.
#[derive(Clone)]
struct Served {
    manner: Arc<Mutex<Manner>>,
    requests: mpsc::UnboundedSender<(String, String)>,
    lost: mpsc::UnboundedSender<()>,
}

fn with<T>(manner: &Mutex<Manner>, action: impl FnOnce(&mut Manner) -> T) -> T {
    action(&mut manner.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Peer {
    async fn start(offered: &[&str]) -> Self {
        let key = Keypair::generate_ed25519();
        let noise = noise::Config::new(&key).expect("takes any key");
        let mut transport = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
            .upgrade(Version::V1)
            .authenticate(noise)
            .multiplex(yamux::Config::default())
            .boxed();
        let any = "/ip4/127.0.0.1/tcp/0".parse().expect("is an address");
        let listens = transport.listen_on(ListenerId::next(), any);
        listens.expect("loopback is there");
        let Some(TransportEvent::NewAddress { listen_addr, .. }) = transport.next().await else {
            panic!("it listens first");
        };
        let manner = Arc::new(Mutex::new(Manner {
            offered: offered.iter().map(ToString::to_string).collect(),
            ..Manner::default()
        }));
        let (sender, requests) = mpsc::unbounded_channel();
        let of_connections = Arc::clone(&manner);
        tokio::spawn(async move {
            while let Some(event) = transport.next().await {
                if let TransportEvent::Incoming { upgrade, .. } = event {
                    let (manner, requests) = (Arc::clone(&of_connections), sender.clone());
                    tokio::spawn(async move {
                        let (_, muxer) = upgrade.await.expect("is set up");
                        serve(muxer, manner, requests).await;
                    });
                }
            }
        });
        Self {
            id: key.public().to_peer_id(),
            address: listen_addr,
            manner,
            requests,
        }
    }

    async fn known_to(&self, node: &Node) {
        let (id, address) = (self.id, self.address.clone());
        node.with(move |swarm| swarm.behaviour_mut().add_peer_address(id, address))
            .await;
    }
}

/// Serves a connection, until it is to be lost.
async fn serve(
    mut muxer: StreamMuxerBox,
    manner: Arc<Mutex<Manner>>,
    requests: mpsc::UnboundedSender<(String, String)>,
) {
    let (lost, mut is_lost) = mpsc::unbounded_channel();
    let served = Served {
        manner,
        requests,
        lost,
    };
    loop {
        let inbound = poll_fn(|cx| {
            // What concerns the whole connection is of no interest here.
            let _ = muxer.poll_unpin(cx);
            muxer.poll_inbound_unpin(cx)
        });
        let stream = tokio::select! {
            Ok(stream) = inbound => stream,
            _ = is_lost.recv() => return,
            else => return,
        };
        let drops = with(&served.manner, |manner| {
            manner.streams += 1;
            if manner.lost_with_stream == Some(manner.streams) {
                return None;
            }
            Some(manner.dropped.contains(&manner.streams))
        });
        match drops {
            None => return,
            Some(true) => drop(stream),
            Some(false) => drop(tokio::spawn(answer(stream, served.clone()))),
        }
    }
}

/// Negotiates a stream, and answers whatever comes then.
async fn answer(mut stream: SubstreamBox, served: Served) -> io::Result<()> {
    const VERSION: &str = "/multistream/1.0.0";
    say(&mut stream, VERSION).await?;
    assert_eq!(hear(&mut stream).await?, VERSION);
    let protocol = loop {
        let proposal = hear(&mut stream).await?;
        if with(&served.manner, |manner| manner.offered.contains(&proposal)) {
            say(&mut stream, &proposal).await?;
            break proposal;
        }
        say(&mut stream, "na").await?;
    };
    let mut data = vec![0; 4096];
    while let count @ 1.. = stream.read(&mut data).await? {
        let request = String::from_utf8_lossy(&data[..count]).into_owned();
        let lost = with(&served.manner, |manner| {
            let lost = manner.lost_with_request.as_ref();
            let lost = lost.is_some_and(|lost| request.starts_with(lost));
            if lost {
                manner.lost_with_request = None;
            }
            lost
        });
        let _ = served.requests.send((protocol.clone(), request));
        if lost {
            let _ = served.lost.send(());
            return Ok(());
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        stream.flush().await?;
    }
    Ok(())
}

/// A message of multistream-select without its line end.
async fn hear(stream: &mut SubstreamBox) -> io::Result<String> {
    let mut length = [0];
    stream.read_exact(&mut length).await?;
    let mut message = vec![0; length[0].into()];
    stream.read_exact(&mut message).await?;
    match message.pop() {
        Some(b'\n') => Ok(String::from_utf8_lossy(&message).into_owned()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn say(stream: &mut SubstreamBox, text: &str) -> io::Result<()> {
    let length = u8::try_from(text.len() + 1).expect("is short");
    let message = [&[length], text.as_bytes(), b"\n"].concat();
    stream.write_all(&message).await?;
    stream.flush().await
}

fn service(service: &str) -> Protocol {
    name(service).into()
}

fn config() -> Config {
    Config::default().with_spare_streams(0)
}

/// A node whose connections are what this crate recommends.
async fn node() -> Node {
    Node::start(Wire::Tcp, config(), Duration::from_secs(60)).await
}

/// A node with nothing but a task of its own for each multiplexer.
fn driven_node(version: Version) -> Node {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            || Driven::new(yamux::Config::default(), spawn),
        )
        .expect("noise takes any key")
        .with_behaviour(|key| HttpProxyBehaviour::new(key.public().to_peer_id(), config()))
        .expect("making a behaviour cannot fail")
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(Duration::from_secs(60))
                .with_substream_upgrade_protocol_override(version)
        })
        .build();
    Node::run(swarm, Multiaddr::empty())
}

fn ask(
    node: &Node,
    to: Destination,
    protocol: Protocol,
    target: &str,
) -> impl Future<Output = Result<u16, OutboundFailure>> + use<> {
    let request = Request::new("GET", target, "test", Payload::empty()).expect("is a request");
    send(node, to, protocol, request)
}

fn send(
    node: &Node,
    to: Destination,
    protocol: Protocol,
    request: Request<Payload>,
) -> impl Future<Output = Result<u16, OutboundFailure>> + use<> {
    let client = node.client.clone();
    async move {
        let sent = client.send(to, protocol, request);
        Ok(within(sent).await?.head.status())
    }
}

#[tokio::test]
async fn a_lost_connection_says_nothing_about_its_services() {
    for node in [node().await, driven_node(Version::V1)] {
        let peer = Peer::start(&["/x/http/app"]).await;
        with(&peer.manner, |manner| manner.lost_with_stream = Some(3));
        peer.known_to(&node).await;
        let asked = (0..20).map(|_| tokio::spawn(ask(&node, peer.id.into(), service("app"), "/")));
        for result in join_all(asked).await {
            let result = result.expect("does not panic");
            assert!(
                matches!(result, Err(OutboundFailure::ConnectionClosed)),
                "{result:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_fails_one_request() {
    for (node, accepted_before) in [(node().await, false), (driven_node(Version::V1), true)] {
        let peer = Peer::start(&["/x/http/app"]).await;
        peer.known_to(&node).await;
        if accepted_before {
            let status = ask(&node, peer.id.into(), service("app"), "/").await;
            assert_eq!(status.expect("is answered"), 204);
        }
        with(&peer.manner, |manner| manner.dropped = [4].into());
        let asked = (0..20).map(|_| tokio::spawn(ask(&node, peer.id.into(), service("app"), "/")));
        let asked = join_all(asked).await.into_iter();
        let results = asked.map(|result| result.expect("does not panic"));
        let (answered, failed): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
        assert_eq!((answered.len(), failed.len()), (19, 1), "{failed:?}");
    }
}

#[tokio::test]
async fn a_service_that_the_peer_does_not_offer_is_refused_at_once_for_all_that_ask() {
    for node in [
        node().await,
        driven_node(Version::V1),
        driven_node(Version::V1Lazy),
    ] {
        let peer = Peer::start(&["/x/http/app"]).await;
        peer.known_to(&node).await;
        let asked = (0..20).map(|_| tokio::spawn(ask(&node, peer.id.into(), service("none"), "/")));
        for result in join_all(asked).await {
            let result = result.expect("does not panic");
            let Err(OutboundFailure::UnsupportedProtocol { protocol }) = result else {
                panic!("{result:?}");
            };
            assert_eq!(protocol, service("none"));
        }
    }
}

#[tokio::test]
async fn a_request_on_a_reused_stream_is_sent_again_where_the_connection_is_lost() {
    for with_address in [false, true] {
        for node in [node().await, driven_node(Version::V1)] {
            let mut peer = Peer::start(&["/x/http/app"]).await;
            let mut to = Destination::from(peer.id);
            if with_address {
                to = to.with_addresses([peer.address.clone()]);
            } else {
                peer.known_to(&node).await;
            }
            let status = ask(&node, to.clone(), service("app"), "/first").await;
            assert_eq!(status.expect("is answered"), 204);
            with(&peer.manner, |manner| {
                manner.lost_with_request = Some("GET /second".to_owned());
            });
            // In a task, which learns of it before the swarm does.
            let again = tokio::spawn(ask(&node, to, service("app"), "/second"));
            let status = again.await.expect("does not panic");
            assert_eq!(status.expect("is answered"), 204);
            for target in ["/first", "/second", "/second"] {
                let (_, request) = within(peer.requests.recv()).await.expect("is served");
                assert!(request.starts_with(&format!("GET {target} ")), "{request}");
            }
        }
    }
}

/// The first byte of each line is the length of a message for whoever has refused a proposal and waits for another: `P` is one of
/// 80 bytes, `H` of 72, and `C` of 67, which end in a line end here.
#[tokio::test]
async fn a_request_cannot_propose_a_service_where_its_own_is_refused() {
    let node = node().await;
    let mut peer = Peer::start(&["/http/1.1", "/x/http/admin"]).await;
    peer.known_to(&node).await;
    let status = ask(&node, peer.id.into(), Protocol::Libp2pHttp, "/").await;
    assert_eq!(status.expect("is answered"), 204);
    within(peer.requests.recv()).await.expect("is served");
    with(&peer.manner, |manner| manner.offered.remove("/http/1.1"));

    let (target, host) = ("a".repeat(64), "b".repeat(65));
    for filler in 0..64 {
        let body = format!(
            "{}\n\x0e/x/http/admin\nGET /stolen HTTP/1.1\r\nHost: test\r\n\r\n",
            "c".repeat(filler)
        );
        let request = Request::new("POST", &format!("/{target}"), &host, body);
        let result = send(
            &node,
            peer.id.into(),
            Protocol::Libp2pHttp,
            request.expect("is one"),
        )
        .await;
        assert!(
            matches!(result, Err(OutboundFailure::UnsupportedProtocol { .. })),
            "{result:?}"
        );
        // Accepted again, for the next one to leave with its negotiation.
        with(&peer.manner, |manner| {
            manner.offered.insert("/http/1.1".to_owned())
        });
        let status = ask(&node, peer.id.into(), Protocol::Libp2pHttp, "/").await;
        assert_eq!(status.expect("is answered"), 204);
        with(&peer.manner, |manner| manner.offered.remove("/http/1.1"));
        let (protocol, request) = within(peer.requests.recv()).await.expect("is served");
        assert_eq!(protocol, "/http/1.1", "{request}");
    }
    peer.requests
        .try_recv()
        .expect_err("nothing else was served");
}
