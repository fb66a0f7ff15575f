//! Two swarms: requests by events, by client handles and by request streams.

mod support;

use std::{pin::pin, time::Duration};

use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt,
    future::{join_all, select_all},
};
use libp2p_http_proxy::{
    Body, Config, Event, InboundFailure, OutboundFailure, Payload, Request, Requests, Response,
    Switch,
    h1::{Fields, Length, RequestHead, ResponseHead},
};

use self::support::{Node, Wire, name, within};

fn get(target: &str) -> Request<Payload> {
    Request::new("GET", target, "test", ()).expect("is a request")
}

/// A client and a server that knows nothing of it.
async fn pair(config: Config) -> (Node, Node) {
    pair_over(Wire::Memory, config).await
}

async fn pair_over(wire: Wire, config: Config) -> (Node, Node) {
    let idle = Duration::from_secs(60);
    let client = Node::start(wire, config.clone(), idle).await;
    let server = Node::start(wire, config, idle).await;
    client.knows(&server).await;
    (client, server)
}

/// Answers every request with what it was, until the service is removed.
fn echo(mut requests: Requests) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            tokio::spawn(async move {
                let target = inbound.request.head.target().to_owned();
                let method = inbound.request.head.method().to_owned();
                let body = inbound.request.body.collect(1 << 20).await.expect("a body");
                let text = format!("{method} {target} {}", String::from_utf8_lossy(&body));
                let response = Response::new(200, text).expect("is a response");
                inbound.responder.send(response).await.expect("is sent");
            });
        }
    })
}

async fn text(response: Response<libp2p_http_proxy::Body>) -> String {
    let body = within(response.body.collect(1 << 20))
        .await
        .expect("a body");
    String::from_utf8(body.to_vec()).expect("is text")
}

#[tokio::test]
async fn a_request_is_answered_from_swarm_events() {
    let (mut client, mut server) = pair(Config::default()).await;
    server.add_service(&name("app")).await;
    let peer = server.peer;

    let id = client
        .with(move |swarm| {
            let request = Request::new("POST", "/a?b=c", "test", "ping").expect("is a request");
            swarm
                .behaviour_mut()
                .send_request(peer, name("app"), request)
        })
        .await;

    let Event::Request {
        peer,
        service,
        request,
        responder,
        ..
    } = server.event().await
    else {
        panic!("a request comes first");
    };
    assert_eq!(peer, client.peer);
    assert_eq!(service, name("app"));
    assert_eq!(request.head.method(), "POST");
    assert_eq!(request.head.target(), "/a?b=c");
    let body = within(request.body.collect(100)).await.expect("a body");
    assert_eq!(body, "ping");
    server
        .with(|swarm| {
            let response = Response::new(201, "pong").expect("is a response");
            let response = response.with_field("X-Test", "1").expect("is a field");
            swarm.behaviour_mut().respond(responder, response);
        })
        .await;

    let Event::Response {
        request_id,
        response,
        peer,
        ..
    } = client.event().await
    else {
        panic!("a response comes back");
    };
    assert_eq!(request_id, id);
    assert_eq!(peer, server.peer);
    assert_eq!(response.head.status(), 201);
    assert_eq!(response.head.fields().get("x-test"), Some(&b"1"[..]));
    assert_eq!(text(response).await, "pong");
}

#[tokio::test]
async fn tasks_exchange_over_every_transport() {
    for wire in [Wire::Memory, Wire::Tcp, Wire::Quic] {
        let (client, server) = pair_over(wire, Config::default()).await;
        echo(server.accept(&name("app")).await);
        for round in 0..20 {
            let request = Request::new("PUT", &format!("/{round}"), "test", vec![b'x'; round])
                .expect("is a request");
            let response = within(client.client.send(server.peer, name("app"), request))
                .await
                .expect("a response");
            let expected = format!("PUT /{round} {}", "x".repeat(round));
            assert_eq!(text(response).await, expected, "over {wire:?}");
        }
    }
}

#[tokio::test]
async fn many_requests_share_few_streams_in_turn() {
    let config = Config::default().with_max_outbound_streams(4);
    let (client, server) = pair(config).await;
    echo(server.accept(&name("app")).await);
    let sent = (0..500).map(|round| {
        let client = client.client.clone();
        async move {
            let target = format!("/{round}");
            let response = client.send(server.peer, name("app"), get(&target)).await;
            text(response.expect("a response")).await
        }
    });
    let answers = within(join_all(sent)).await;
    for (round, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, format!("GET /{round} "));
    }
}

#[tokio::test]
async fn services_share_the_streams_of_a_peer_fairly() {
    let config = Config::default().with_max_outbound_streams(2);
    let (client, server) = pair(config).await;
    let names: Vec<_> = (0..5).map(|n| name(&format!("app{n}"))).collect();
    for service in &names {
        echo(server.accept(service).await);
    }
    let sent = (0..200).map(|round| {
        let client = client.client.clone();
        let service = names[round % names.len()].clone();
        async move {
            let response = client.send(server.peer, service, get("/")).await;
            text(response.expect("a response")).await
        }
    });
    let answers = within(join_all(sent)).await;
    assert!(answers.iter().all(|answer| answer == "GET / "));
}

#[tokio::test]
async fn a_stream_carries_many_exchanges() {
    // One stream per connection, so every request that follows must come on the same one, or be refused.
    let config = Config::default()
        .with_max_outbound_streams(1)
        .with_max_inbound_streams_per_connection(1);
    let (client, mut server) = pair(config).await;
    server.add_service(&name("app")).await;
    for _ in 0..50 {
        let sent = client.client.send(server.peer, name("app"), get("/"));
        let answered = async {
            let Event::Request { responder, .. } = server.event().await else {
                panic!("nothing but requests");
            };
            responder
                .send(Response::new(204, ()).expect("is a response"))
                .await
                .expect("is sent");
        };
        let (response, ()) = tokio::join!(sent, answered);
        assert_eq!(response.expect("a response").head.status(), 204);
    }
}

#[tokio::test]
async fn bodies_trailers_and_interim_responses_stream() {
    let (client, server) = pair(Config::default()).await;
    let mut requests = server.accept(&name("app")).await;
    tokio::spawn(async move {
        let mut inbound = requests.next().await.expect("a request");
        let hints = ResponseHead::new(103).expect("is a head");
        inbound
            .responder
            .send_interim(&hints)
            .await
            .expect("is sent");
        let head = ResponseHead::new(200).expect("is a head");
        let mut body = inbound
            .responder
            .start(head, Length::Chunked)
            .await
            .expect("is sent");
        body.flush().await.expect("is sent");
        // Each part is answered before the next one is sent, so nothing may wait for more.
        let mut upload = inbound.request.body;
        while let Some(chunk) = upload.chunk().await.expect("a chunk") {
            body.write_all(&chunk).await.expect("is taken");
            body.flush().await.expect("is sent");
        }
        let mut trailers = Fields::new();
        trailers.push("X-Sum", "42").expect("is a field");
        body.finish(Some(trailers)).await.expect("is sent");
    });

    let (reader, mut writer) = piper::pipe(1024);
    let request =
        Request::new("POST", "/", "test", Payload::reader(reader, None)).expect("is a request");
    let mut response = within(client.client.send(server.peer, name("app"), request))
        .await
        .expect("a response");
    for part in ["one", "two", "three"] {
        writer.write_all(part.as_bytes()).await.expect("is taken");
        let chunk = within(response.body.chunk()).await.expect("a chunk");
        assert_eq!(chunk.as_deref(), Some(part.as_bytes()));
    }
    drop(writer);
    assert_eq!(within(response.body.chunk()).await.expect("an end"), None);
    let trailers = response.body.trailers().expect("trailers");
    assert_eq!(trailers.get("x-sum"), Some(&b"42"[..]));
}

#[tokio::test]
async fn large_bodies_cross_in_both_directions() {
    for wire in [Wire::Tcp, Wire::Quic] {
        let (client, server) = pair_over(wire, Config::default()).await;
        let mut requests = server.accept(&name("app")).await;
        tokio::spawn(async move {
            while let Some(inbound) = requests.next().await {
                let body = inbound.request.body;
                let response = Response::new(200, body).expect("is a response");
                tokio::spawn(inbound.responder.send(response));
            }
        });
        let data: Vec<u8> = (0..8u32 << 20).map(|n| (n % 251) as u8).collect();
        let request = Request::new("POST", "/", "test", data.clone()).expect("is a request");
        let response = within(client.client.send(server.peer, name("app"), request))
            .await
            .expect("a response");
        assert_eq!(response.body.length(), Some(data.len() as u64));
        let back = within(response.body.collect(data.len()))
            .await
            .expect("a body");
        assert!(back == data, "bytes changed over {wire:?}");
    }
}

#[tokio::test]
async fn an_upgrade_gives_both_sides_a_tunnel() {
    let (client, server) = pair(Config::default()).await;
    let mut requests = server.accept(&name("app")).await;
    tokio::spawn(async move {
        let inbound = requests.next().await.expect("a request");
        assert!(inbound.responder.can_upgrade());
        let tunnel = inbound.responder.upgrade("echo", &Fields::new()).await;
        let (mut reader, mut writer) = tunnel.expect("switches").split();
        writer.write_all(b"welcome").await.expect("is taken");
        futures::io::copy(&mut reader, &mut writer)
            .await
            .expect("echoes");
        writer.close().await.expect("closes");
    });
    let switch = switch_to_echo(&client, &server, "/").await;
    let mut tunnel = switch.into_upgraded().expect("switches");
    tunnel.write_all(b", friend").await.expect("is taken");
    tunnel.close().await.expect("closes");
    let mut all = String::new();
    within(tunnel.read_to_string(&mut all))
        .await
        .expect("reads");
    assert_eq!(all, "welcome, friend");
}

async fn switch_to_echo(client: &Node, server: &Node, target: &str) -> Switch<Body> {
    let head = RequestHead::new("GET", target).expect("is a head");
    let head = head.with_field("Host", "test").expect("is a field");
    let service = name("app");
    let sent = client.client.upgrade(server.peer, service, head, "echo");
    within(sent).await.expect("a response")
}

#[tokio::test]
async fn an_upgrade_may_be_refused() {
    let (client, server) = pair(Config::default()).await;
    echo(server.accept(&name("app")).await);
    let switch = switch_to_echo(&client, &server, "/x").await;
    let Switch::Refused(response) = switch else {
        panic!("the service does not switch");
    };
    assert_eq!(text(response).await, "GET /x ");
}

#[tokio::test]
async fn the_own_peer_is_reached_without_a_connection() {
    let node = Node::memory(Config::default()).await;
    echo(node.accept(&name("app")).await);
    for _ in 0..3 {
        let response = within(node.client.send(node.peer, name("app"), get("/me"))).await;
        assert_eq!(text(response.expect("a response")).await, "GET /me ");
    }
    let missing = within(node.client.send(node.peer, name("other"), get("/"))).await;
    assert!(matches!(
        missing,
        Err(OutboundFailure::UnsupportedProtocol { .. })
    ));
    assert_eq!(node.with(|swarm| swarm.connected_peers().count()).await, 0);
}

#[tokio::test]
async fn requests_end_with_the_swarm() {
    let server = Node::memory(Config::default()).await;
    let mut requests = server.accept(&name("app")).await;
    server.stop().await;
    assert!(within(requests.next()).await.is_none());
}

#[tokio::test]
async fn services_come_and_go_at_run_time() {
    let (client, server) = pair(Config::default()).await;
    let ask = || within(client.client.send(server.peer, name("app"), get("/")));
    assert!(matches!(
        ask().await,
        Err(OutboundFailure::UnsupportedProtocol { .. })
    ));

    let task = echo(server.accept(&name("app")).await);
    assert_eq!(text(ask().await.expect("a response")).await, "GET / ");
    let taken = server
        .with(|swarm| swarm.behaviour_mut().add_service(name("app")))
        .await;
    assert_eq!(taken.expect_err("is taken").0, name("app"));

    task.abort();
    assert!(task.await.expect_err("was aborted").is_cancelled());
    // The idle stream of the last request still exists: it answers that the service is gone, once.
    let gone = ask().await.expect("a response");
    assert_eq!(gone.head.status(), 502);
    drop(gone);
    assert!(matches!(
        ask().await,
        Err(OutboundFailure::UnsupportedProtocol { .. })
    ));

    server.add_service(&name("app")).await;
    let removed = server
        .with(|swarm| swarm.behaviour_mut().remove_service(&name("app")))
        .await;
    assert!(removed);
}

/// Answers the next request of a service.
async fn answer_next(requests: &mut Requests) {
    let inbound = within(requests.next()).await.expect("a request");
    let response = Response::new(200, "done").expect("is a response");
    within(inbound.responder.send(response))
        .await
        .expect("is sent");
}

#[tokio::test]
async fn a_task_that_does_not_ask_for_requests_holds_nobody_else_up() {
    let (client, server) = pair(Config::default().with_spare_streams(0)).await;
    let mut slow = server.accept(&name("slow")).await;
    let _fast = echo(server.accept(&name("fast")).await);
    let ask = |service| within(client.client.send(server.peer, name(service), get("/")));

    let (first, ()) = tokio::join!(ask("slow"), answer_next(&mut slow));
    assert_eq!(text(first.expect("a response")).await, "done");
    let mut second = pin!(ask("slow"));
    for _ in 0..3 {
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(text(ask("fast").await.expect("a response")).await, "GET / ");
    }
    let (second, ()) = tokio::join!(second, answer_next(&mut slow));
    assert_eq!(text(second.expect("a response")).await, "done");

    // What nobody has read when the service goes is told so.
    let mut third = pin!(ask("slow"));
    assert!(third.as_mut().now_or_never().is_none());
    drop(ask("fast").await.expect("a response"));
    let removed = server
        .with(|swarm| swarm.behaviour_mut().remove_service(&name("slow")))
        .await;
    assert!(removed);
    assert_eq!(third.await.expect("a response").head.status(), 502);
    assert!(within(slow.next()).await.is_none());
}

#[tokio::test]
async fn a_request_that_waits_for_a_task_that_goes_is_answered() {
    let (client, server) = pair(Config::default().with_max_queued_requests(1)).await;
    let ask = || client.client.send(server.peer, name("app"), get("/"));
    for replaced in [false, true] {
        let requests = server.accept(&name("app")).await;
        // Once one is refused the other one is in the queue.
        let asked = [ask(), ask()].map(Box::pin);
        let (refused, _, waiting) = within(select_all(asked)).await;
        assert_eq!(refused.expect("a response").head.status(), 503);
        let status = if replaced {
            let replace = server.with(|swarm| swarm.behaviour_mut().replace_service(name("app")));
            drop(echo(replace.await));
            200
        } else {
            502
        };
        drop(requests);
        let response = within(select_all(waiting)).await.0.expect("a response");
        assert_eq!(response.head.status(), status);
    }
}

#[tokio::test]
async fn what_a_service_sent_last_arrives_before_its_end() {
    const LENGTH: usize = 1 << 20;
    for wire in [Wire::Memory, Wire::Tcp, Wire::Quic] {
        let (client, server) = pair_over(wire, Config::default()).await;
        let mut requests = server.accept(&name("app")).await;
        let peer = server.peer;
        let ask = || within(client.client.send(peer, name("app"), get("/")));
        // One stream is idle then.
        let (first, ()) = tokio::join!(ask(), answer_next(&mut requests));
        assert_eq!(text(first.expect("a response")).await, "done");

        let answered = async {
            let inbound = within(requests.next()).await.expect("a request");
            let response = Response::new(200, vec![7; LENGTH]).expect("is a response");
            let sent = tokio::spawn(inbound.responder.send(response));
            within(requests.close()).await;
            within(sent).await.expect("runs").expect("is sent");
            server.stop().await;
        };
        let asked = async {
            let body = ask().await.expect("a response").body;
            let body = within(body.collect(LENGTH)).await;
            assert_eq!(body.expect("is whole").len(), LENGTH, "{wire:?}");
        };
        tokio::join!(asked, answered);
    }
}

#[tokio::test]
async fn a_waiting_client_is_told_to_send_its_body() {
    let (client, server) = pair(Config::default()).await;
    let mut requests = server.accept(&name("app")).await;
    let request = Request::new("POST", "/", "test", "body").expect("is a request");
    let request = request
        .with_field("Expect", "100-continue")
        .expect("is a field");
    let sent = client.client.send(server.peer, name("app"), request);
    let answered = async {
        let inbound = requests.next().await.expect("a request");
        let body = inbound.request.body.collect(100).await.expect("a body");
        assert_eq!(body, "body");
        let response = Response::new(200, "done").expect("is a response");
        inbound.responder.send(response).await.expect("is sent");
    };
    let (response, ()) = within(async { tokio::join!(sent, answered) }).await;
    assert_eq!(text(response.expect("a response")).await, "done");
}

#[tokio::test]
async fn a_waiting_client_may_be_answered_without_its_body() {
    let (client, server) = pair(Config::default()).await;
    let mut requests = server.accept(&name("app")).await;
    let (reader, _writer) = piper::pipe(16);
    let request =
        Request::new("POST", "/", "test", Payload::reader(reader, None)).expect("is a request");
    let request = request
        .with_field("Expect", "100-continue")
        .expect("is a field");
    let sent = client.client.send(server.peer, name("app"), request);
    let answered = async {
        let inbound = requests.next().await.expect("a request");
        let response = Response::new(417, "no").expect("is a response");
        inbound.responder.send(response).await.expect("is sent");
        // Held until here: that the body is still wanted makes no difference.
        drop(inbound.request.body);
    };
    let (response, ()) = within(async { tokio::join!(sent, answered) }).await;
    let response = response.expect("a response");
    let close = response.head.fields().get("Connection");
    assert_eq!(close, Some(&b"close"[..]), "nobody knows what follows");
    assert_eq!(text(response).await, "no");
}

#[tokio::test]
async fn a_responder_that_is_dropped_answers_500() {
    let (client, mut server) = pair(Config::default()).await;
    server.add_service(&name("app")).await;
    let sent = client.client.send(server.peer, name("app"), get("/"));
    let dropped = async {
        let Event::Request { request_id, .. } = server.event().await else {
            panic!("a request comes first");
        };
        let Event::InboundFailure {
            request_id: failed,
            error,
            ..
        } = server.event().await
        else {
            panic!("the loss is reported");
        };
        assert_eq!(failed, Some(request_id));
        assert!(matches!(error, InboundFailure::ResponseOmitted));
    };
    let (response, ()) = within(async { tokio::join!(sent, dropped) }).await;
    let response = response.expect("a response");
    assert_eq!(response.head.status(), 500);
    let told = text(response).await;
    assert!(told.contains("without a response"), "{told}");
    assert!(!told.contains("report"), "is no fault of the proxy: {told}");
}
