//! Applications of `tower` on both ends of a stream: an axum router answers, and `oneshot` asks.

#![cfg(feature = "axum")]

mod support;

use std::{
    convert::Infallible,
    error::Error as _,
    future::{pending, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, Request as AxumRequest, WebSocketUpgrade, ws},
    response::{AppendHeaders, IntoResponse},
    routing::{any, get, post},
};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use libp2p_http_proxy::{
    Body, Config, Destination, Event, InboundFailure, OutboundFailure, Payload,
    h1::{Fields, RequestHead},
    tower::{Caller, Error, Serve, ToService, upgraded},
};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use tokio_util::compat::FuturesAsyncReadCompatExt as _;
use tower::{ServiceExt as _, service_fn};

use self::support::{Node, Wire, name, within};

const MIB: u64 = 1024 * 1024;

/// A node that answers by an application, and one that asks it.
struct Pair {
    near: Node,
    origin: Node,
    service: ToService,
}

impl Pair {
    async fn new(app: Router) -> Self {
        Self::serve(Serve::new(app)).await
    }

    async fn serve(serve: Serve<Router>) -> Self {
        let (near, origin) = (
            Node::memory(Config::default()).await,
            Node::memory(Config::default()).await,
        );
        near.knows(&origin).await;
        let requests = origin.accept(&name("app")).await;
        tokio::spawn(serve.run(requests, pending()));
        Self {
            service: ToService::new(near.client.clone(), origin.peer, name("app")),
            near,
            origin,
        }
    }

    async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    {
        let response = within(self.service.clone().oneshot(request)).await;
        response.expect("is answered")
    }

    async fn get(&self, target: &str) -> Response<Body> {
        self.call(request(target, Empty::new())).await
    }
}

fn request<B>(target: &str, body: B) -> Request<B> {
    Request::builder().uri(target).body(body).expect("is valid")
}

async fn bytes<B: http_body::Body<Error: std::fmt::Debug>>(body: B) -> Bytes {
    within(body.collect()).await.expect("is whole").to_bytes()
}

/// `total` bytes in chunks of 16 KiB; `made` counts them.
fn chunks(
    total: u64,
    made: Arc<AtomicU64>,
) -> impl futures::Stream<Item = Result<Bytes, Infallible>> {
    let chunk = Bytes::from(vec![7; 16 * 1024]);
    stream::iter(0..total / 16 / 1024).map(move |_| {
        made.fetch_add(16 * 1024, Ordering::SeqCst);
        Ok(chunk.clone())
    })
}

/// Says when it is dropped.
struct OnDrop(Option<oneshot::Sender<()>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.take().map(|sender| sender.send(()));
    }
}

#[tokio::test]
async fn a_router_answers_with_all_its_extractors() {
    let app = Router::new().route(
        "/users/{id}",
        post(
            async |Path(id): Path<u32>,
                   Query(query): Query<Vec<(String, String)>>,
                   caller: Caller,
                   Extension(extension): Extension<Caller>,
                   headers: HeaderMap,
                   Json(body): Json<serde_json::Value>| {
                assert_eq!(caller, extension);
                assert_eq!(headers["x-libp2p-peer"], caller.peer.to_string());
                Json(serde_json::json!({
                    "id": id, "query": query, "body": body, "peer": caller.peer.to_string(),
                }))
            },
        ),
    );
    let pair = Pair::new(app).await;
    let request = Request::post("http://app.example/users/7?a=1&b=%2F")
        .header("Content-Type", "application/json")
        .header("X-Libp2p-Peer", "spoof")
        .header("x_libp2p_peer", "spoof")
        .body(Full::from(r#"{"name":"x"}"#))
        .expect("valid");
    let response = pair.call(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        response.body().size_hint().exact(),
        response.body().length()
    );
    let body: serde_json::Value = serde_json::from_slice(&bytes(response).await).expect("is JSON");
    let expected = serde_json::json!({
        "id": 7, "query": [["a", "1"], ["b", "%2F"]], "body": {"name": "x"},
        "peer": pair.near.peer.to_string(),
    });
    assert_eq!(body["id"], expected["id"]);
    assert_eq!(body["query"], serde_json::json!([["a", "1"], ["b", "/"]]));
    assert_eq!(body["body"], expected["body"]);
    assert_eq!(body["peer"], expected["peer"]);
}

#[tokio::test]
async fn no_field_is_lost() {
    let app = Router::new().fallback(async |request: AxumRequest| {
        let headers = request.headers();
        let seen: Vec<_> = headers.get_all("x-many").iter().cloned().collect();
        assert_eq!(seen, ["1", "", "3"]);
        assert_eq!(headers["x-obs"].as_bytes(), b"caf\xe9");
        assert_eq!(headers["host"], "app.example:81");
        let obs = HeaderValue::from_bytes(b"na\xefve").expect("obs-text");
        let cookies = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")];
        let own = [
            ("Connection", "X-Own"),
            ("Transfer-Encoding", "chunked"),
            ("X-Own", "1"),
        ];
        (AppendHeaders(cookies), own, [("X-Obs", obs)], "hello")
    });
    let pair = Pair::new(app).await;
    let request = Request::get("http://app.example:81/")
        .header("X-Many", "1")
        .header(
            "X-Obs",
            HeaderValue::from_bytes(b"caf\xe9").expect("obs-text"),
        )
        .header("X-Many", "")
        .header("X-Many", "3")
        .body(Empty::new())
        .expect("valid");
    let response = pair.call(request).await;
    let headers = response.headers();
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
    assert_eq!(headers["x-obs"].as_bytes(), b"na\xefve");
    assert_eq!(headers["x-own"], "1");
    assert_eq!(headers["content-length"], "5");
    assert!(!headers.contains_key("transfer-encoding") && !headers.contains_key("connection"));
}

#[tokio::test]
async fn targets_arrive_byte_for_byte() {
    let app =
        Router::new().fallback(async |method: http::Method, uri: Uri| format!("{method} {uri}"));
    let pair = Pair::new(app).await;
    let (client, peer, app) = (&pair.near.client, pair.origin.peer, name("app"));
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/a%2Fb//../c?x=%zz&y=?|{}"),
        ("GET", "//double/slash"),
        ("GET", "/é?ü"),
        ("OPTIONS", "*"),
        ("M-SEARCH", "http://app/absolute?x"),
    ] {
        let mut request =
            libp2p_http_proxy::Request::new(method, target, "app", ()).expect("is valid");
        request.head = request.head.with_field("X", "y").expect("is valid");
        let response = within(client.send(peer, &app, request))
            .await
            .expect("is answered");
        let seen = bytes(response.body).await;
        assert_eq!(seen, format!("{method} {target}"), "{target}");
    }
    // And by URIs, of which a server gets path and query.
    for (uri, seen) in [
        ("http://app/a?b", "GET /a?b"),
        ("http://app", "GET /"),
        ("/only/path", "GET /only/path"),
    ] {
        assert_eq!(bytes(pair.get(uri).await).await, seen, "{uri}");
    }
    let star = Request::options("*").body(Empty::new()).expect("valid");
    assert_eq!(bytes(pair.call(star).await).await, "OPTIONS *");
}

#[tokio::test]
async fn a_target_that_http_cannot_hold_is_refused_with_the_reason() {
    let pair = Pair::new(Router::new().fallback(async || "reached")).await;
    let request = libp2p_http_proxy::Request::new("GET", "/a<b", "app", ()).expect("is valid");
    let client = &pair.near.client;
    let app = name("app");
    let sent = client.send(pair.origin.peer, &app, request);
    let response = within(sent).await.expect("is answered");
    assert_eq!(response.head.status(), 400);
    let body = bytes(response.body).await;
    assert!(
        String::from_utf8_lossy(&body).contains("percent-encode"),
        "{body:?}"
    );
    assert_eq!(bytes(pair.get("/ab").await).await, "reached");
}

#[tokio::test]
async fn requests_without_a_host_name_the_peer() {
    let app = Router::new().fallback(async |headers: HeaderMap| {
        let host = headers.get("host").expect("is there").as_bytes().to_vec();
        assert!(!headers.contains_key("content-length"));
        host
    });
    let pair = Pair::new(app).await;
    let host = bytes(pair.get("/").await).await;
    assert_eq!(host, pair.origin.peer.to_string());
    let host = bytes(pair.get("http://user@[::1]:80/").await).await;
    assert_eq!(host, "[::1]:80");
}

/// A body that nobody may wait for the end of.
fn endless() -> axum::body::Body {
    let chunks = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[7; 1024])));
    axum::body::Body::from_stream(chunks)
}

#[tokio::test]
async fn a_head_has_the_fields_of_a_get_and_no_body() {
    let app = Router::new()
        .route("/axum", get(async || "hello"))
        .route(
            "/own",
            any(async || Response::new(axum::body::Body::from("hello"))),
        )
        .route("/none", get(async || (StatusCode::NO_CONTENT, endless())))
        .route(
            "/same",
            get(async || (StatusCode::NOT_MODIFIED, [("ETag", "1")])),
        );
    let pair = Pair::new(app).await;
    for (method, path, status, length) in [
        ("GET", "/axum", 200, Some("5")),
        ("HEAD", "/axum", 200, Some("5")),
        ("HEAD", "/own", 200, Some("5")),
        ("GET", "/none", 204, None),
        ("GET", "/same", 304, None),
        ("GET", "/axum", 200, Some("5")),
    ] {
        let request = Request::builder().method(method).uri(path);
        let response = pair.call(request.body(Empty::new()).expect("valid")).await;
        assert_eq!(response.status(), status, "{method} {path}");
        let found = response.headers().get("content-length");
        assert_eq!(
            found.map(HeaderValue::as_bytes),
            length.map(str::as_bytes),
            "{method} {path}"
        );
        let text = if method == "GET" && path == "/axum" {
            "hello"
        } else {
            ""
        };
        assert_eq!(bytes(response).await, text, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_streams_down_without_being_buffered() {
    let made = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&made);
    let app = Router::new().fallback(move || {
        let body = chunks(100 * MIB, Arc::clone(&counter));
        async { axum::body::Body::from_stream(body) }
    });
    let pair = Pair::new(app).await;
    let mut response = pair.get("/").await;
    let mut ahead = Ahead::default();
    while let Some(frame) = within(response.frame()).await {
        let data = frame.expect("is whole").into_data().expect("is data");
        assert!(data.iter().all(|&byte| byte == 7));
        ahead.read(data.len(), &made);
    }
    assert_eq!(ahead.read, 100 * MIB);
    assert!(ahead.is_bounded(), "{ahead:?}");
}

/// How far the maker of a body is ahead of its reader: as far as the window of the stream, which yamux doubles each time
/// it is used up within two round trips, and these may be long on a busy machine.
#[derive(Debug, Default)]
struct Ahead {
    read: u64,
    /// The most while the first MiB was read, over which the window can grow to 2 MiB.
    at_first: u64,
    most: u64,
}

impl Ahead {
    fn read(&mut self, count: usize, made: &AtomicU64) {
        self.read += count as u64;
        self.most = self.most.max(made.load(Ordering::SeqCst) - self.read);
        if self.read <= MIB {
            self.at_first = self.most;
        }
    }

    fn is_bounded(&self) -> bool {
        self.at_first < 3 * MIB && self.most < 50 * MIB
    }
}

#[tokio::test]
async fn a_body_streams_up_without_being_buffered() {
    let made = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&made);
    let app = Router::new().fallback(async move |request: AxumRequest| {
        let mut ahead = Ahead::default();
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let data = frame.expect("is whole").into_data().expect("is data");
            ahead.read(data.len(), &counter);
        }
        format!("{} {}", ahead.read, ahead.is_bounded())
    });
    let pair = Pair::new(app).await;
    let body = StreamBody::new(chunks(100 * MIB, made).map_ok(Frame::data));
    let response = pair.call(request("/", body)).await;
    assert_eq!(bytes(response).await, format!("{} true", 100 * MIB));
}

#[tokio::test]
async fn an_echo_streams_in_both_directions_at_once() {
    let app = Router::new().fallback(async |request: AxumRequest| request.into_body());
    let pair = Pair::new(app).await;
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let items = stream::unfold(receiver, async |mut receiver| {
        let item = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(item)), receiver))
    });
    // The answer begins before anything of the request's body was sent.
    let mut response = pair.call(request("/", StreamBody::new(items))).await;
    for text in ["one", "two", "three"] {
        sender.send(Bytes::from(text)).await.expect("is taken");
        let frame = within(response.frame())
            .await
            .expect("goes on")
            .expect("is whole");
        assert_eq!(frame.into_data().expect("is data"), text);
    }
    drop(sender);
    assert!(within(response.frame()).await.is_none());
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let app = Router::new().fallback(async |request: AxumRequest| {
        assert_eq!(request.headers()["te"], "trailers");
        let collected = request.into_body().collect().await.expect("is whole");
        let mut trailers = collected.trailers().expect("trailers came").clone();
        trailers.insert("content-length", HeaderValue::from_static("1"));
        let announced = [("Trailer", "X-Sum")];
        let body = Full::new(collected.to_bytes());
        let body = body.with_trailers(async move { Some(Ok(trailers)) });
        (announced, axum::body::Body::new(body))
    });
    let pair = Pair::new(app).await;
    let mut trailers = HeaderMap::new();
    trailers.append("x-sum", HeaderValue::from_static("1"));
    trailers.append("x-sum", HeaderValue::from_static("2"));
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from("body"))),
        Ok(Frame::trailers(trailers.clone())),
    ];
    let mut request = request("/", StreamBody::new(stream::iter(frames)));
    request
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    let collected = within(pair.call(request).await.collect())
        .await
        .expect("is whole");
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "body");
}

#[tokio::test]
async fn a_peer_claims_nothing_in_trailers() {
    let app = Router::new().fallback(async |request: AxumRequest| {
        let collected = request.into_body().collect().await.expect("is whole");
        format!("{:?}", collected.trailers())
    });
    let pair = Pair::new(app).await;
    let mut trailers = Fields::new();
    for name in ["X-Libp2p-Peer", "x_libp2p_peer", "X-Sum"] {
        trailers.push(name, "1").expect("is a field");
    }
    let body = Payload::reader(futures::io::Cursor::new(b"body".to_vec()), None);
    let request = libp2p_http_proxy::Request::new("POST", "/", "app", body.with_trailers(trailers));
    let request = request.expect("is a request");
    let sent = pair
        .near
        .client
        .send(pair.origin.peer, name("app"), request);
    let response = within(sent).await.expect("comes");
    let seen = within(response.body.collect(1024)).await.expect("is whole");
    assert_eq!(seen, "Some({\"x-sum\": \"1\"})");
}

#[tokio::test]
async fn a_panic_is_a_500_and_its_connection_goes_on() {
    let broken = || {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from("part"))]);
        let rest = stream::once(async {
            tokio::task::yield_now().await; // what was made until here leaves
            panic!("in a body")
        });
        axum::body::Body::from_stream(first.chain(rest))
    };
    let app = Router::new()
        .route(
            "/panic",
            get(async || {
                if true {
                    panic!("in a handler")
                }
            }),
        )
        .route("/cut", get(async move || broken()))
        .route(
            "/",
            get(async |caller: Caller| format!("{:?}", caller.connection_id)),
        );
    for spawn in [false, true] {
        let mut serve = Serve::new(app.clone());
        if spawn {
            serve = serve.with_spawn(|task| drop(tokio::spawn(task)));
        }
        let mut pair = Pair::serve(serve).await;
        let before = bytes(pair.get("/").await).await;
        assert_eq!(pair.get("/panic").await.status(), 500);
        let event = pair.origin.event().await;
        let omitted = matches!(
            event,
            Event::InboundFailure {
                error: InboundFailure::ResponseOmitted,
                ..
            }
        );
        assert!(omitted, "{event:?}");
        let cut = within(pair.get("/cut").await.collect()).await;
        assert!(cut.is_err(), "a cut body must not look complete");
        assert_eq!(bytes(pair.get("/").await).await, before);
    }
}

#[tokio::test]
async fn an_application_that_fails_is_a_500() {
    let (near, origin) = (
        Node::memory(Config::default()).await,
        Node::memory(Config::default()).await,
    );
    near.knows(&origin).await;
    let failing = service_fn(async |_: Request<Body>| {
        Err::<Response<Empty<Bytes>>, _>(std::io::Error::other("the database is away"))
    });
    let requests = origin.accept(&name("app")).await;
    tokio::spawn(libp2p_http_proxy::tower::serve(
        requests,
        failing,
        pending(),
    ));
    let service = ToService::new(near.client.clone(), origin.peer, name("app"));
    let response = within(service.oneshot(request("/", Empty::<Bytes>::new()))).await;
    let response = response.expect("is answered");
    assert_eq!(response.status(), 500);
    assert!(!String::from_utf8_lossy(&bytes(response).await).contains("database"));
}

#[tokio::test]
async fn a_requester_that_leaves_frees_the_application() {
    let (sender, mut freed) = mpsc::unbounded_channel();
    let app = Router::new()
        .route(
            "/quiet",
            get({
                let sender = sender.clone();
                async move || {
                    let (dropped, free) = oneshot::channel();
                    let _ = sender.send(free);
                    let _guard = OnDrop(Some(dropped));
                    pending::<()>().await;
                }
            }),
        )
        .route(
            "/body",
            get(async move || {
                let (dropped, free) = oneshot::channel();
                let _ = sender.send(free);
                let guard = OnDrop(Some(dropped));
                let first = stream::iter([Ok::<_, Infallible>(Bytes::from("part"))]);
                let quiet = stream::once(async move {
                    let _guard = guard;
                    pending().await
                });
                axum::body::Body::from_stream(first.chain(quiet))
            }),
        );
    let pair = Pair::new(app).await;
    // While the application thinks.
    let call = pair
        .service
        .clone()
        .oneshot(request("/quiet", Empty::<Bytes>::new()));
    let task = tokio::spawn(call);
    let free = within(freed.recv()).await.expect("is reached");
    task.abort();
    within(free).await.expect("is dropped");
    // In the middle of a body that is quiet.
    let mut response = pair.get("/body").await;
    let frame = within(response.frame())
        .await
        .expect("begins")
        .expect("is whole");
    assert_eq!(frame.into_data().expect("is data"), "part");
    let free = within(freed.recv()).await.expect("is reached");
    drop(response);
    within(free).await.expect("is dropped");
}

#[tokio::test]
async fn a_requester_that_stops_sending_is_an_error_of_the_body() {
    let (report, mut ended) = mpsc::unbounded_channel();
    let app = Router::new().fallback(async move |request: AxumRequest| {
        let _ = report.send(request.into_body().collect().await.is_err());
    });
    let pair = Pair::new(app).await;
    let reached = Arc::new(Notify::new());
    let sent = Arc::clone(&reached);
    let body = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("part")))]);
    let body = body.chain(stream::once(async move {
        sent.notify_one();
        pending().await
    }));
    let task = tokio::spawn(
        pair.service
            .clone()
            .oneshot(request("/", StreamBody::new(body))),
    );
    within(reached.notified()).await;
    task.abort();
    assert_eq!(within(ended.recv()).await, Some(true));
}

#[tokio::test]
async fn a_slow_application_stops_nobody() {
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let app = Router::new()
        .route("/slow", get(async move || wait.notified().await))
        .route("/", get(async || "quick"));
    let pair = Pair::new(app).await;
    let slow: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn(
                pair.service
                    .clone()
                    .oneshot(request("/slow", Empty::<Bytes>::new())),
            )
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(bytes(pair.get("/").await).await, "quick");
    }
    for task in slow {
        assert!(!task.is_finished());
        go.notify_one();
        let response = within(task).await.expect("runs").expect("is answered");
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn running_exchanges_end_after_the_shutdown_and_no_new_one_begins() {
    let (near, origin) = (
        Node::memory(Config::default()).await,
        Node::memory(Config::default()).await,
    );
    near.knows(&origin).await;
    let (go, reached) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, tell) = (Arc::clone(&go), Arc::clone(&reached));
    let app = Router::new().fallback(async move || {
        tell.notify_one();
        wait.notified().await;
        "done"
    });
    let requests = origin.accept(&name("app")).await;
    let (shutdown, asked) = oneshot::channel::<()>();
    let serving = tokio::spawn(Serve::new(app).run(requests, async {
        let _ = asked.await;
    }));
    let service = ToService::new(near.client.clone(), origin.peer, name("app"));
    let running = tokio::spawn(service.clone().oneshot(request("/", Empty::<Bytes>::new())));
    within(reached.notified()).await;
    drop(shutdown);
    // The service is taken back when the shutdown begins.
    while near_refuses(&service).await.is_none() {}
    go.notify_one();
    let response = within(running).await.expect("runs").expect("is answered");
    assert_eq!(bytes(response).await, "done");
    within(serving).await.expect("ends");
}

#[tokio::test]
async fn the_last_response_arrives_before_the_node_goes() {
    for wire in [Wire::Tcp, Wire::Quic] {
        let idle = Duration::from_secs(60);
        let near = Node::start(wire, Config::default(), idle).await;
        let origin = Node::start(wire, Config::default(), idle).await;
        near.knows(&origin).await;
        let service = ToService::new(near.client.clone(), origin.peer, name("app"));
        let reached = Arc::new(Notify::new());
        let tell = Arc::clone(&reached);
        let app = Router::new().fallback(async move || {
            tell.notify_one();
            axum::body::Body::from(vec![7; MIB as usize])
        });
        let requests = origin.accept(&name("app")).await;
        let serving = async {
            Serve::new(app).run(requests, reached.notified()).await;
            origin.stop().await;
        };
        let asked = async {
            let response = service.oneshot(request("/", Empty::<Bytes>::new())).await;
            let body = bytes(response.expect("is answered")).await;
            assert_eq!(body.len() as u64, MIB, "{wire:?}");
        };
        within(async { tokio::join!(serving, asked) }).await;
    }
}

#[tokio::test]
async fn a_peer_is_found_where_its_destination_says() {
    let idle = Duration::from_secs(60);
    let near = Node::start(Wire::Tcp, Config::default(), idle).await;
    let origin = Node::start(Wire::Tcp, Config::default(), idle).await;
    let app = Router::new().route(
        "/",
        get(async |headers: HeaderMap| format!("{:?}", headers["host"])),
    );
    let requests = origin.accept(&name("app")).await;
    tokio::spawn(Serve::new(app).run(requests, pending()));
    let ask = async |to| {
        let service = ToService::new(near.client.clone(), to, name("app"));
        within(service.oneshot(request("/", Empty::<Bytes>::new()))).await
    };
    let nowhere = Destination::new(origin.peer);
    assert!(matches!(
        ask(nowhere.clone()).await,
        Err(Error::Outbound(OutboundFailure::NoAddresses))
    ));
    let there = nowhere.with_addresses([origin.address.clone()]);
    let response = ask(there).await.expect("is answered");
    assert_eq!(bytes(response).await, format!("\"{}\"", origin.peer));
}

#[tokio::test]
async fn a_drain_may_be_without_a_limit() {
    let origin = Node::memory(Config::default()).await;
    let requests = origin.accept(&name("app")).await;
    let serve = Serve::new(Router::new()).with_drain_timeout(Duration::MAX);
    let serving = tokio::spawn(serve.run(requests, async {}));
    within(serving).await.expect("ends");
}

#[tokio::test]
async fn exchanges_that_outlast_the_drain_are_cut() {
    for spawn in [false, true] {
        let (near, origin) = (
            Node::memory(Config::default()).await,
            Node::memory(Config::default()).await,
        );
        near.knows(&origin).await;
        let (sender, mut freed) = mpsc::unbounded_channel();
        let app = Router::new().fallback(async move || {
            let (dropped, free) = oneshot::channel();
            let _ = sender.send(free);
            let _guard = OnDrop(Some(dropped));
            pending::<()>().await;
        });
        let mut serve = Serve::new(app).with_drain_timeout(Duration::ZERO);
        if spawn {
            serve = serve.with_spawn(|task| drop(tokio::spawn(task)));
        }
        let requests = origin.accept(&name("app")).await;
        let (shutdown, asked) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve.run(requests, async {
            let _ = asked.await;
        }));
        let service = ToService::new(near.client.clone(), origin.peer, name("app"));
        let call = tokio::spawn(service.oneshot(request("/", Empty::<Bytes>::new())));
        let free = within(freed.recv()).await.expect("is reached");
        drop(shutdown);
        within(serving).await.expect("ends");
        within(free).await.expect("is dropped");
        // Whoever waits is told.
        let response = within(call).await.expect("runs").expect("is answered");
        assert_eq!(response.status(), 500);
    }
}

#[tokio::test]
async fn a_refused_switch_is_not_written_for_ever_to_a_requester_that_does_not_read() {
    let quick = Config::default().with_body_gap_timeout(Duration::from_millis(100));
    let (near, origin) = (
        Node::memory(Config::default()).await,
        Node::memory(quick).await,
    );
    near.knows(&origin).await;
    let (dropped, free) = oneshot::channel();
    let guard = Arc::new(Mutex::new(Some(OnDrop(Some(dropped)))));
    let app = Router::new().fallback(async move || {
        let guard = guard.lock().expect("not poisoned").take();
        let endless = stream::repeat_with(move || {
            let _guard = &guard;
            Ok::<_, Infallible>(Bytes::from_static(&[7; 16 * 1024]))
        });
        axum::body::Body::from_stream(endless)
    });
    let requests = origin.accept(&name("app")).await;
    tokio::spawn(Serve::new(app).run(requests, pending()));
    let head = RequestHead::new("GET", "/").expect("valid");
    let head = head.with_field("Host", "app").expect("valid");
    let client = &near.client;
    let asked = client.upgrade(origin.peer, name("app"), head, "websocket");
    let _unread = within(asked).await.expect("is answered");
    within(free).await.expect("is dropped");
}

/// Whether the service is not offered any more; a request that still comes in is withdrawn.
async fn near_refuses(service: &ToService) -> Option<()> {
    let call = within(service.clone().oneshot(request("/", Empty::<Bytes>::new()))).await;
    match call {
        Err(Error::Outbound(OutboundFailure::UnsupportedProtocol { .. })) => Some(()),
        Err(error) => panic!("{error}"),
        Ok(response) => (response.status() != 200).then_some(()),
    }
}

#[tokio::test]
async fn a_waiting_requester_is_told_to_go_on_when_its_body_is_wanted() {
    let app = Router::new()
        .route("/read", post(async |body: Bytes| body))
        .route("/refuse", post(async || StatusCode::FORBIDDEN));
    let pair = Pair::new(app).await;
    for (path, status, text) in [("/read", 200, "body"), ("/refuse", 403, "")] {
        let request = Request::post(path)
            .header("Expect", "100-continue")
            .body(Full::from("body"))
            .expect("valid");
        let response = pair.call(request).await;
        assert_eq!(response.status(), status);
        assert_eq!(bytes(response).await, text);
    }
}

/// Greets, and sends back what comes.
async fn chat_with(caller: Caller, mut socket: ws::WebSocket) {
    let hello = ws::Message::text(caller.peer.to_string());
    socket.send(hello).await.expect("is taken");
    while let Some(Ok(message)) = socket.recv().await {
        if message == ws::Message::text("quit") {
            // What was sent arrives, even if the socket is dropped right behind it.
            let _ = socket.send(ws::Message::text("bye")).await;
            return;
        }
        // The library answers this by itself with its next step.
        let is_close = matches!(message, ws::Message::Close(_));
        if !is_close && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn websockets_of_axum_work_as_they_are() {
    let app = Router::new().route(
        "/ws",
        any(async |caller: Caller, upgrade: WebSocketUpgrade| {
            let chat = upgrade.protocols(["chat"]);
            chat.on_upgrade(move |socket| chat_with(caller, socket))
        }),
    );
    let pair = Pair::new(app).await;
    let upgrade = || {
        Request::get("/ws")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Sec-WebSocket-Protocol", "chat")
            .header("X-Libp2p-Peer", "spoof")
    };
    let mut response = pair
        .call(upgrade().body(Empty::new()).expect("valid"))
        .await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers();
    assert_eq!(
        headers["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(headers["sec-websocket-protocol"], "chat");
    let stream = upgraded(&mut response).expect("is a tunnel");
    assert!(upgraded(&mut response).is_none());
    let mut socket = WebSocketStream::from_raw_socket(stream.compat(), Role::Client, None).await;
    let hello = within(socket.next())
        .await
        .expect("greets")
        .expect("is whole");
    assert_eq!(hello, Message::text(pair.near.peer.to_string()));
    for size in [0, 1, 70_000, 1_000_000] {
        let message = Message::binary(vec![3; size]);
        // Both at once: neither side takes a large message as a whole.
        let (mut sink, mut source) = (&mut socket).split();
        let (sent, received) =
            within(async { tokio::join!(sink.send(message.clone()), source.next()) }).await;
        sent.expect("is taken");
        assert_eq!(received.expect("comes back").expect("is whole"), message);
    }
    within(socket.close(None)).await.expect("closes");
    assert!(matches!(
        within(socket.next()).await,
        Some(Ok(Message::Close(_)))
    ));

    let mut response = pair
        .call(upgrade().body(Empty::new()).expect("valid"))
        .await;
    let stream = upgraded(&mut response).expect("is a tunnel");
    let mut socket = WebSocketStream::from_raw_socket(stream.compat(), Role::Client, None).await;
    within(socket.send(Message::text("quit")))
        .await
        .expect("is taken");
    let heard: Vec<_> = within((&mut socket).take(2).try_collect())
        .await
        .expect("is whole");
    let hello = Message::text(pair.near.peer.to_string());
    assert_eq!(heard, [hello, Message::text("bye")]);

    // One that the application refuses is answered like any other request.
    let refused = upgrade().uri("/nothing").body(Empty::new());
    let response = pair.call(refused.expect("valid")).await;
    assert_eq!(response.status(), 404);
    let plain = pair.get("/ws").await;
    assert_eq!(plain.status(), 400);
}

#[tokio::test]
async fn what_cannot_be_sent_or_reached_is_an_error_with_its_causes() {
    let pair = Pair::new(Router::new()).await;
    let connect = Request::connect("http://app/")
        .body(Empty::<Bytes>::new())
        .expect("valid");
    let error = within(pair.service.clone().oneshot(connect))
        .await
        .expect_err("is refused");
    assert!(
        matches!(error, Error::Request(_)) && error.source().is_some(),
        "{error:?}"
    );

    let nowhere = ToService::new(pair.near.client.clone(), pair.origin.peer, name("nothing"));
    let get = request("/", Empty::<Bytes>::new());
    let error = within(nowhere.oneshot(get)).await.expect_err("is refused");
    let unsupported = OutboundFailure::UnsupportedProtocol {
        protocol: name("nothing").into(),
    };
    assert_eq!(
        error.source().expect("has a cause").to_string(),
        unsupported.to_string()
    );

    let broken = stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("disk"))]);
    let post = request("/", StreamBody::new(broken));
    let error = within(pair.service.clone().oneshot(post))
        .await
        .expect_err("is cut");
    let mut causes = std::iter::successors(error.source(), |&error| error.source());
    assert!(causes.any(|cause| cause.to_string() == "disk"), "{error:?}");
}

/// The whole of a body needs no stream, and its length is known as long as it is read.
#[tokio::test]
async fn the_size_hint_of_a_body_is_what_is_left_of_it() {
    let app = Router::new().fallback(async |request: AxumRequest| {
        let length = request.body().size_hint().exact();
        format!("{length:?}").into_response()
    });
    let pair = Pair::new(app).await;
    assert_eq!(bytes(pair.get("/").await).await, "Some(0)");
    let full = Full::from("12345");
    assert_eq!(bytes(pair.call(request("/", full)).await).await, "Some(5)");
    let head = RequestHead::new("POST", "/")
        .expect("valid")
        .with_field("Host", "app")
        .expect("valid");
    let body = Payload::reader(futures::io::Cursor::new("12345"), None);
    let app = name("app");
    let sent = pair.near.client.send(
        pair.origin.peer,
        &app,
        libp2p_http_proxy::Request { head, body },
    );
    let mut response = within(sent).await.expect("is answered");
    let mut left = vec![response.body.size_hint().exact()];
    while let Some(frame) = within(poll_fn(|cx| Pin::new(&mut response.body).poll_frame(cx))).await
    {
        assert_eq!(frame.expect("whole").into_data().expect("is data"), "None");
        left.push(response.body.size_hint().exact());
    }
    assert_eq!(left, [Some(4), Some(0)]);
    let again = poll_fn(|cx| Poll::Ready(Pin::new(&mut response.body).poll_frame(cx).is_ready()));
    assert!(again.await);
}
