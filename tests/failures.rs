//! What happens when something goes wrong: one test for every failure that is reported, each with the fault injected.

mod support;

use std::{pin::pin, time::Duration};

use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt,
    future::{join_all, select},
};
use libp2p::{
    Swarm,
    connection_limits::{self, ConnectionLimits},
    swarm::{NetworkBehaviour, SwarmEvent},
};
use libp2p_http_proxy::{
    Body, Config, Event, ExchangeError, HttpProxyBehaviour, InboundFailure, OutboundFailure,
    Payload, Request, Requests, Responder, Response, Upgraded, Wait,
    h1::{self, Length, Limits, ResponseHead},
};
use libp2p_identity::PeerId;
use libp2p_swarm_test::SwarmExt as _;
use tokio::net::TcpListener;

use self::support::{Node, Wire, name, within};

const SHORT: Duration = Duration::from_millis(200);

fn get(target: &str) -> Request<Payload> {
    Request::new("GET", target, "test", ()).expect("is a request")
}

async fn pair(config: Config) -> (Node, Node) {
    let client = Node::memory(config.clone()).await;
    let server = Node::memory(config).await;
    client.knows(&server).await;
    (client, server)
}

fn send(
    from: &Node,
    to: &Node,
) -> impl Future<Output = Result<Response<Body>, OutboundFailure>> + use<> {
    let (client, peer) = (from.client.clone(), to.peer);
    async move { within(client.send(peer, name("app"), get("/"))).await }
}

#[tokio::test]
async fn a_peer_without_an_address() {
    let (client, stranger) = (
        Node::memory(Config::default()).await,
        Node::memory(Config::default()).await,
    );
    assert!(matches!(
        send(&client, &stranger).await,
        Err(OutboundFailure::NoAddresses)
    ));
}

#[tokio::test]
async fn a_peer_that_is_not_there() {
    let client = Node::start(Wire::Tcp, Config::default(), Duration::from_secs(60)).await;
    let gone = Node::start(Wire::Tcp, Config::default(), Duration::from_secs(60)).await;
    client.knows(&gone).await;
    let peer = gone.peer;
    gone.stop().await;
    let error = within(client.client.send(peer, name("app"), get("/"))).await;
    let Err(OutboundFailure::DialFailure { reason }) = error else {
        panic!("unexpected {error:?}");
    };
    assert!(reason.contains("127.0.0.1"), "names the address: {reason}");
    assert!(!reason.contains('\n'), "one line: {reason}");
}

/// A node that lets no connection of others in, and makes none.
#[derive(NetworkBehaviour)]
struct Closed {
    http: HttpProxyBehaviour,
    limits: connection_limits::Behaviour,
}

fn closed() -> Swarm<Closed> {
    let none = ConnectionLimits::default()
        .with_max_established_incoming(Some(0))
        .with_max_established_outgoing(Some(0));
    Swarm::new_ephemeral_tokio(|key| Closed {
        http: HttpProxyBehaviour::new(key.public().to_peer_id(), Config::default()),
        limits: connection_limits::Behaviour::new(none),
    })
}

#[tokio::test]
async fn a_dial_that_another_behaviour_refuses() {
    let mut client = closed();
    let server = Node::memory(Config::default()).await;
    let (peer, address) = (server.peer, server.address.clone());
    client.behaviour_mut().http.add_peer_address(peer, address);
    let requests = client.behaviour().http.client();
    tokio::spawn(client.loop_on_next());
    let error = within(requests.send(peer, name("app"), get("/"))).await;
    let Err(OutboundFailure::DialFailure { reason }) = error else {
        panic!("unexpected {error:?}");
    };
    assert!(reason.contains("limit"), "says why: {reason}");
}

#[tokio::test]
async fn a_connection_that_another_behaviour_refuses_takes_no_requests_with_it() {
    let mut client = closed();
    let (address, _) = client.listen().await;
    let server = Node::memory(Config::default()).await;
    // Takes connections, and says nothing.
    let hole = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = hole.local_addr().expect("is bound").port();
    let silent = format!("/ip4/127.0.0.1/tcp/{port}");
    let silent = silent.parse().expect("is an address");
    let http = &mut client.behaviour_mut().http;
    http.add_peer_address(server.peer, silent);
    let requests = http.client();
    let mut sent = pin!(requests.send(server.peer, name("app"), get("/")));
    let refused = async {
        while !matches!(client.next_swarm_event().await, SwarmEvent::Dialing { .. }) {}
        let dialled = server.with(move |swarm| swarm.dial(address)).await;
        dialled.expect("is an address");
        while !matches!(
            client.next_swarm_event().await,
            SwarmEvent::IncomingConnectionError { .. }
        ) {}
    };
    within(select(sent.as_mut(), pin!(refused))).await;
    assert!(sent.now_or_never().is_none(), "the own dial goes on");
}

#[tokio::test]
async fn another_peer_at_the_address() {
    let client = Node::memory(Config::default()).await;
    let (expected, obtained) = (
        Node::memory(Config::default()).await,
        Node::memory(Config::default()).await,
    );
    let (peer, address) = (expected.peer, obtained.address.clone());
    client
        .with(move |swarm| swarm.behaviour_mut().add_peer_address(peer, address))
        .await;
    let error = send(&client, &expected).await;
    let Err(OutboundFailure::WrongPeerId { obtained: found }) = error else {
        panic!("unexpected {error:?}");
    };
    assert_eq!(found, obtained.peer);
}

#[tokio::test]
async fn a_swarm_that_is_not_driven_does_not_dial_in_time() {
    let config = Config::default().with_dial_timeout(SHORT);
    let behaviour = HttpProxyBehaviour::new(PeerId::random(), config);
    let (client, peer) = (behaviour.client(), PeerId::random());
    let sent = (0..3).map(|_| within(client.send(peer, name("app"), get("/"))));
    for result in join_all(sent).await {
        assert!(matches!(result, Err(OutboundFailure::DialTimeout)));
    }
}

#[tokio::test]
async fn a_stream_that_does_not_become_free_in_time() {
    let config = Config::default()
        .with_max_outbound_streams(1)
        .with_dial_timeout(2 * SHORT);
    let (client, server) = pair(config).await;
    let mut requests = server.accept(&name("app")).await;
    let first = tokio::spawn(send(&client, &server));
    let inbound = within(requests.next()).await.expect("a request");

    let waiting = (0..3).map(|_| send(&client, &server));
    for result in join_all(waiting).await {
        assert!(matches!(result, Err(OutboundFailure::StreamTimeout)));
    }
    // The stream is none the worse for it, and goes to the next.
    let next = tokio::spawn(send(&client, &server));
    let answer = |responder: Responder| async move {
        let response = Response::new(200, "done").expect("is a response");
        within(responder.send(response)).await.expect("is sent");
    };
    answer(inbound.responder).await;
    let response = first.await.expect("no panic").expect("a response");
    drop(response);
    let inbound = within(requests.next()).await.expect("a request");
    answer(inbound.responder).await;
    assert!(next.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn a_connection_that_ends_fails_the_requests_on_it_at_once() {
    let (client, server) = pair(Config::default().with_max_outbound_streams(1)).await;
    let mut requests = server.accept(&name("app")).await;
    // One is running, and two wait for its stream.
    let sent: Vec<_> = (0..3).map(|_| send(&client, &server)).collect();
    let killed = async {
        let _inbound = requests.next().await.expect("a request");
        let peer = client.peer;
        let closed = server
            .with(move |swarm| swarm.disconnect_peer_id(peer))
            .await;
        closed.expect("is connected");
        // Held until here, so that the responder does not answer.
        drop(requests);
    };
    let (results, ()) = within(async { tokio::join!(join_all(sent), killed) }).await;
    for result in results {
        assert!(
            matches!(
                result,
                Err(OutboundFailure::ConnectionClosed
                    | OutboundFailure::Exchange(ExchangeError::Closed | ExchangeError::Io(_)))
            ),
            "unexpected {result:?}"
        );
    }
}

#[tokio::test]
async fn a_response_to_a_peer_that_does_not_wait_any_more() {
    let (client, mut server) = pair(Config::default()).await;
    server.add_service(&name("app")).await;
    let sent = tokio::spawn(send(&client, &server));
    let Event::Request {
        request_id,
        mut responder,
        ..
    } = server.event().await
    else {
        panic!("a request comes first");
    };
    sent.abort();
    within(responder.gone()).await;
    let response = Response::new(200, "late").expect("is a response");
    server
        .with(|swarm| swarm.behaviour_mut().respond(responder, response))
        .await;
    let event = server.event().await;
    let Event::InboundFailure {
        request_id: Some(failed),
        error: InboundFailure::ResponseIncomplete,
        ..
    } = event
    else {
        panic!("unexpected {event:?}");
    };
    assert_eq!(failed, request_id);
}

#[tokio::test]
async fn a_peer_that_goes_while_there_is_nothing_to_write() {
    let (client, server) = pair(Config::default()).await;
    let mut requests = server.accept(&name("app")).await;
    let (sent, inbound) = within(async {
        tokio::join!(send(&client, &server), async {
            let inbound = requests.next().await.expect("a request");
            let head = ResponseHead::new(200).expect("is a status");
            let mut writer = inbound.responder.start(head, Length::Chunked).await?;
            writer.flush().await?;
            Ok::<_, ExchangeError>(writer)
        })
    })
    .await;
    let mut writer = inbound.expect("the peer listens");
    tokio::time::timeout(SHORT, writer.gone())
        .await
        .expect_err("it still does");
    drop(sent.expect("a response"));
    within(writer.gone()).await;
}

#[tokio::test]
async fn a_response_that_does_not_come() {
    let (client, server) = pair(Config::default().with_response_timeout(Some(SHORT))).await;
    let mut requests = server.accept(&name("app")).await;
    let (result, inbound) = tokio::join!(send(&client, &server), requests.next());
    drop(inbound);
    assert!(matches!(
        result,
        Err(OutboundFailure::Exchange(ExchangeError::Timeout {
            wait: Wait::Response,
            limit: SHORT
        }))
    ));
}

#[tokio::test]
async fn a_body_that_pauses_for_too_long() {
    let (client, server) = pair(Config::default().with_body_gap_timeout(SHORT)).await;
    let mut requests = server.accept(&name("app")).await;
    let serve = tokio::spawn(async move {
        let inbound = requests.next().await.expect("a request");
        let head = ResponseHead::new(200).expect("is a head");
        let started = inbound.responder.start(head, Length::Known(10)).await;
        let mut body = started.expect("is sent");
        body.write_all(b"12345").await.expect("is taken");
        body.flush().await.expect("is sent");
        std::future::pending::<()>().await;
        drop(body);
    });
    let mut body = send(&client, &server).await.expect("a response").body;
    let first = within(body.chunk()).await.expect("a chunk");
    assert_eq!(first.as_deref(), Some(&b"12345"[..]));
    assert!(matches!(
        within(body.chunk()).await,
        Err(ExchangeError::Timeout {
            wait: Wait::Body,
            ..
        })
    ));
    serve.abort();
}

#[tokio::test]
async fn a_cut_body_never_looks_complete() {
    for wire in [Wire::Memory, Wire::Tcp, Wire::Quic] {
        for length in [Length::Known(10), Length::Chunked] {
            let config = Config::default();
            let client = Node::start(wire, config.clone(), Duration::from_secs(60)).await;
            let mut server = Node::start(wire, config, Duration::from_secs(60)).await;
            client.knows(&server).await;
            server.add_service(&name("app")).await;
            let peer = server.peer;
            let serve = async {
                let Event::Request { responder, .. } = server.event().await else {
                    panic!("a request comes first");
                };
                let head = ResponseHead::new(200).expect("is a head");
                let mut body = responder.start(head, length).await.expect("is sent");
                body.write_all(b"12345").await.expect("is taken");
                body.flush().await.expect("is sent");
                drop(body);
                let Event::InboundFailure { error, .. } = server.event().await else {
                    panic!("the cut is reported");
                };
                assert!(matches!(error, InboundFailure::ResponseIncomplete));
            };
            let sent = client.client.send(peer, name("app"), get("/"));
            let receive = async {
                let response = sent.await.expect("a response");
                response.body.collect(100).await
            };
            let (result, ()) = within(async { tokio::join!(receive, serve) }).await;
            assert!(
                matches!(
                    result,
                    Err(ExchangeError::Malformed(h1::Error::Truncated) | ExchangeError::Io(_))
                ),
                "{wire:?} {length:?}: {result:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_peer_that_dies_in_the_middle_of_a_body() {
    for wire in [Wire::Tcp, Wire::Quic] {
        let config = Config::default();
        let client = Node::start(wire, config.clone(), Duration::from_secs(60)).await;
        let server = Node::start(wire, config, Duration::from_secs(60)).await;
        client.knows(&server).await;
        let mut requests = server.accept(&name("app")).await;
        let sent = client.client.send(server.peer, name("app"), get("/"));
        let serve = async {
            let inbound = requests.next().await.expect("a request");
            let head = ResponseHead::new(200).expect("is a head");
            let mut body = inbound
                .responder
                .start(head, Length::Chunked)
                .await
                .expect("is sent");
            body.write_all(b"12345").await.expect("is taken");
            body.flush().await.expect("is sent");
            body
        };
        let (response, writer) = within(async { tokio::join!(sent, serve) }).await;
        let mut body = response.expect("a response").body;
        let first = within(body.chunk()).await.expect("a chunk");
        assert_eq!(first.as_deref(), Some(&b"12345"[..]));
        server.stop().await;
        drop(writer);
        let rest = within(body.chunk()).await;
        assert!(rest.is_err(), "{wire:?}: a cut body ended with {rest:?}");
    }
}

#[tokio::test]
async fn a_body_that_was_given_up_closes_the_stream_after_the_response() {
    let (client, server) = pair(Config::default()).await;
    let mut requests = server.accept(&name("app")).await;
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            drop(inbound.request.body);
            let response = Response::new(413, "too much").expect("is a response");
            inbound.responder.send(response).await.expect("is sent");
        }
    });
    for _ in 0..3 {
        // More than any window on the way, so that it cannot all have arrived.
        let endless = Payload::reader(futures::io::repeat(b'x'), None);
        let request = Request::new("POST", "/", "test", endless).expect("is a request");
        let sent = client.client.send(server.peer, name("app"), request);
        let response = within(sent).await.expect("a response");
        assert_eq!(response.head.status(), 413);
        let close = response.head.fields().get("Connection");
        assert_eq!(
            close,
            Some(&b"close"[..]),
            "the stream cannot be used again"
        );
    }
}

#[tokio::test]
async fn more_requests_than_may_wait() {
    let config = Config::default()
        .with_max_outbound_streams(1)
        .with_max_waiting_requests(2);
    let (client, server) = pair(config).await;
    let mut requests = server.accept(&name("app")).await;
    let sent: Vec<_> = (0..6).map(|_| send(&client, &server)).collect();
    let serve = async {
        for _ in 0..2 {
            let inbound = requests.next().await.expect("a request");
            let response = Response::new(200, ()).expect("is a response");
            inbound.responder.send(response).await.expect("is sent");
        }
    };
    let (results, ()) = within(async { tokio::join!(join_all(sent), serve) }).await;
    let refused = |result: &&Result<_, _>| matches!(result, Err(OutboundFailure::TooManyWaiting));
    assert_eq!(results.iter().filter(refused).count(), 4);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
}

#[tokio::test]
async fn more_requests_than_a_service_queues() {
    let (client, mut server) = pair(Config::default().with_max_queued_requests(1)).await;
    let mut requests = server.accept(&name("app")).await;
    let sent = [send(&client, &server), send(&client, &server)].map(Box::pin);
    // Nobody takes the one that came first, so the other one finds the queue full.
    let (refused, _, waiting) = within(futures::future::select_all(sent)).await;
    let refused = refused.expect("a response");
    assert_eq!(refused.head.status(), 503);
    let retry = refused.head.fields().get("Retry-After");
    assert_eq!(retry, Some(&b"1"[..]));
    let inbound = within(requests.next()).await.expect("a request");
    let response = Response::new(200, ()).expect("is a response");
    within(inbound.responder.send(response))
        .await
        .expect("is sent");
    for answered in join_all(waiting).await {
        assert_eq!(answered.expect("a response").head.status(), 200);
    }
    let Event::InboundFailure { error, .. } = server.event().await else {
        panic!("the refusal is reported");
    };
    assert!(matches!(error, InboundFailure::QueueFull));
}

#[tokio::test]
async fn more_streams_than_a_limit_allows() {
    let limits = [
        Config::default().with_max_inbound_streams_per_connection(2),
        Config::default().with_max_inbound_streams_per_peer(2),
        Config::default().with_max_inbound_streams(2),
    ];
    for config in limits {
        let client = Node::memory(Config::default()).await;
        let mut server = Node::memory(config).await;
        client.knows(&server).await;
        let mut requests = server.accept(&name("app")).await;
        let sent: Vec<_> = (0..5).map(|_| send(&client, &server)).collect();
        let serve = async {
            let first = requests.next().await.expect("a request");
            let second = requests.next().await.expect("a request");
            for _ in 0..3 {
                let Event::InboundFailure { error, .. } = server.event().await else {
                    panic!("refusals are reported");
                };
                assert!(matches!(error, InboundFailure::TooManyStreams));
            }
            for inbound in [first, second] {
                let response = Response::new(200, ()).expect("is a response");
                inbound.responder.send(response).await.expect("is sent");
            }
        };
        let sent = join_all(sent);
        let (results, ()) = within(async { tokio::join!(sent, serve) }).await;
        let mut statuses: Vec<_> = results
            .iter()
            .map(|result| result.as_ref().expect("a response").head.status())
            .collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 503, 503, 503]);
    }
}

#[tokio::test]
async fn a_connection_that_ends_gives_its_idle_streams_up_whoever_holds_them() {
    let client = Node::memory(Config::default().with_spare_streams(0)).await;
    let server = Node::memory(Config::default().with_max_inbound_streams(1)).await;
    client.knows(&server).await;
    for _ in 0..3 {
        let mut requests = server.accept(&name("app")).await;
        let (response, inbound) = tokio::join!(send(&client, &server), async {
            let inbound = within(requests.next()).await.expect("a request");
            let response = Response::new(200, ()).expect("is a response");
            inbound.responder.send(response).await
        });
        inbound.expect("is sent");
        assert_eq!(response.expect("a response").head.status(), 200);

        // From here on nobody asks for requests, and the stream is idle.
        let peer = server.peer;
        let closed = client.with(move |swarm| swarm.disconnect_peer_id(peer));
        closed.await.expect("is connected");
        let ended = async {
            while server.with(|swarm| swarm.connected_peers().count()).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        within(ended).await;
        // Only now, so that it is not this that gives the stream up.
        let (response, ()) = tokio::join!(send(&client, &server), async {
            let inbound = within(requests.next()).await.expect("a request");
            let response = Response::new(204, ()).expect("is a response");
            inbound.responder.send(response).await.expect("is sent");
        });
        assert_eq!(response.expect("a response").head.status(), 204);
        drop(requests);
        let closed = client.with(move |swarm| swarm.disconnect_peer_id(peer));
        closed.await.expect("is connected");
    }
}

#[tokio::test]
async fn a_later_request_that_is_too_large_is_refused_and_reported() {
    let client = Node::memory(Config::default().with_spare_streams(0)).await;
    let limits = Limits::default().with_head_size(1024);
    let mut server = Node::memory(Config::default().with_limits(limits)).await;
    client.knows(&server).await;
    let mut requests = server.accept(&name("app")).await;
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            let response = Response::new(200, ()).expect("is a response");
            inbound.responder.send(response).await.expect("is sent");
        }
    });
    let first = send(&client, &server).await.expect("a response");
    assert_eq!(first.head.status(), 200);
    drop(first);
    let request = get("/")
        .with_field("Cookie", vec![b'x'; 2048])
        .expect("is a field");
    let sent = client.client.send(server.peer, name("app"), request);
    let response = within(sent).await.expect("a response");
    assert_eq!(response.head.status(), 431);
    let Event::InboundFailure { error, .. } = server.event().await else {
        panic!("the refusal is reported");
    };
    assert!(matches!(error, InboundFailure::Request(_)));
}

#[tokio::test]
async fn a_running_exchange_keeps_its_connection_and_an_idle_stream_does_not() {
    let idle = Duration::from_millis(100);
    let client = Node::start(Wire::Tcp, Config::default(), idle).await;
    let server = Node::start(Wire::Tcp, Config::default(), idle).await;
    client.knows(&server).await;
    let mut requests = server.accept(&name("app")).await;

    let sent = client.client.send(server.peer, name("app"), get("/"));
    let serve = async {
        let inbound = requests.next().await.expect("a request");
        // Several times as long as an idle connection lives.
        tokio::time::sleep(5 * idle).await;
        let response = Response::new(200, "late").expect("is a response");
        inbound.responder.send(response).await.expect("is sent");
    };
    let (response, ()) = within(async { tokio::join!(sent, serve) }).await;
    let body = within(response.expect("a response").body.collect(100)).await;
    assert_eq!(body.expect("a body"), "late");

    disconnected(&client, idle).await;
}

/// Waits until a node has no connection any more.
async fn disconnected(node: &Node, idle: Duration) {
    // Polled, since nothing tells of the end of a connection that nobody uses.
    let ended = async {
        while node.with(|swarm| swarm.connected_peers().count()).await > 0 {
            tokio::time::sleep(idle / 10).await;
        }
    };
    within(ended).await;
}

#[tokio::test]
async fn a_tunnel_keeps_its_connection_until_it_is_dropped() {
    let idle = Duration::from_millis(100);
    for wire in [Wire::Tcp, Wire::Quic] {
        let client = Node::start(wire, Config::default(), idle).await;
        let server = Node::start(wire, Config::default(), idle).await;
        client.knows(&server).await;
        let mut requests = server.accept(&name("app")).await;
        let (near, far) = tunnel(&client, &server, &mut requests).await;
        // Several times as long as an idle connection lives.
        tokio::time::sleep(5 * idle).await;
        let count = client.with(|swarm| swarm.connected_peers().count()).await;
        assert_eq!(count, 1, "over {wire:?}");
        drop((near, far));
        disconnected(&client, idle).await;
        disconnected(&server, idle).await;
    }
}

/// Both ends of a request that has become a tunnel.
async fn tunnel(client: &Node, server: &Node, requests: &mut Requests) -> (Upgraded, Upgraded) {
    let head = h1::RequestHead::new("GET", "/").expect("is a head");
    let head = head.with_field("Host", "test").expect("is a field");
    let asked = client
        .client
        .upgrade(server.peer, name("app"), head, "echo");
    let granted = async {
        let inbound = requests.next().await.expect("a request");
        inbound
            .responder
            .upgrade("echo", &h1::Fields::new())
            .await
            .expect("switches")
    };
    let (switch, far) = within(async { tokio::join!(asked, granted) }).await;
    let near = switch
        .expect("a response")
        .into_upgraded()
        .expect("switches");
    (near, far)
}

#[tokio::test]
async fn heads_over_the_limit_are_refused_and_reported() {
    let client = Node::memory(Config::default()).await;
    let limits = Limits::default().with_head_size(1024);
    let mut server = Node::memory(Config::default().with_limits(limits)).await;
    client.knows(&server).await;
    server.add_service(&name("app")).await;
    let request = get("/")
        .with_field("Cookie", vec![b'x'; 2048])
        .expect("is a field");
    let sent = client.client.send(server.peer, name("app"), request);
    let response = within(sent).await.expect("a response");
    assert_eq!(response.head.status(), 431);
    let Event::InboundFailure { error, .. } = server.event().await else {
        panic!("the refusal is reported");
    };
    assert!(matches!(
        error,
        InboundFailure::Request(ExchangeError::Malformed(h1::Error::HeadTooLarge {
            limit: 1024
        }))
    ));
}

#[tokio::test]
async fn a_client_outlives_its_swarm() {
    let node = Node::memory(Config::default()).await;
    let (client, peer) = (node.client.clone(), libp2p::PeerId::random());
    node.stop().await;
    let result = within(client.send(peer, name("app"), get("/"))).await;
    assert!(matches!(result, Err(OutboundFailure::SwarmEnded)));
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let (client, server) = pair(Config::default().with_tunnel_timeout(SHORT)).await;
    let mut requests = server.accept(&name("app")).await;
    let (mut tunnel, _other_end) = tunnel(&client, &server, &mut requests).await;
    let error = within(tunnel.read(&mut [0; 1]))
        .await
        .expect_err("nothing comes");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
