//! The gateway inside of an axum application: beside its other routes, and by itself.

#![cfg(all(feature = "axum", feature = "tokio"))]

mod support;

use std::{
    convert::Infallible,
    future::pending,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ::tower::ServiceExt as _;
use axum::{
    Router,
    extract::{ConnectInfo, Request as AxumRequest, WebSocketUpgrade},
    response::AppendHeaders,
    routing::{any, get},
};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use libp2p_http_proxy::{
    Config, Gateway, GatewayBody, GatewayConfig, GatewayRules, GatewayService, Tunnels,
    rewrite::ForwardedMode,
    route::{Domain, RequestAddresses},
    tower,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use self::support::{Node, Wire, exchange, name, within};

/// A node with the gateway, and one with an application.
struct Path {
    near: Node,
    origin: Node,
    gateway: GatewayService,
    /// The path of the application's service.
    prefix: String,
}

impl Path {
    async fn new(app: Router) -> Self {
        Self::with(app, GatewayConfig::default()).await
    }

    async fn with(app: Router, config: GatewayConfig) -> Self {
        let near = Node::memory(Config::default()).await;
        let origin = Node::memory(Config::default()).await;
        near.knows(&origin).await;
        let requests = origin.accept(&name("app")).await;
        tokio::spawn(tower::serve(requests, app, pending()));
        Self {
            gateway: Gateway::new(near.client.clone(), near.peer, config).into_service(),
            prefix: format!("/http/{}/app", origin.peer),
            near,
            origin,
        }
    }

    /// Starts a server with an API, and the gateway below `/p2p`.
    async fn listen(&self) -> SocketAddr {
        let address = |parts: &http::request::Parts| -> Option<IpAddr> {
            let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
            info.map(|info| info.0.ip())
        };
        let gateway = self.gateway.clone().with_client_address(address);
        let gateway = gateway.with_prefix("/p2p").expect("is a path");
        let app = Router::new()
            .route("/api", get(async || "api"))
            .nest_service("/p2p", gateway)
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("is bound");
        tokio::spawn(axum::serve(listener, app).into_future());
        address
    }

    async fn call<B>(&self, request: Request<B>) -> Response<GatewayBody>
    where
        B: http_body::Body<Data = Bytes, Error: Into<::tower::BoxError>> + Send + 'static,
    {
        let called = self.gateway.clone().oneshot(request);
        within(called).await.unwrap_or_else(|never| match never {})
    }

    fn request(&self, target: &str) -> http::request::Builder {
        let uri = format!("{}{target}", self.prefix);
        Request::builder().uri(uri).header("Host", "here.localhost")
    }
}

/// An application that says what it sees.
fn mirror() -> Router {
    Router::new().fallback(async |request: AxumRequest| {
        let mut seen = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            seen += &format!("{name}: {}\n", value.as_bytes().escape_ascii());
        }
        let own = AppendHeaders([
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2; Path=/"),
            ("Keep-Alive", "9"),
        ]);
        let body = request.into_body().collect().await.expect("is whole");
        (own, seen + &String::from_utf8_lossy(&body.to_bytes()))
    })
}

#[tokio::test]
async fn below_a_prefix_and_beside_an_api() {
    let path = Path::new(mirror()).await;
    let address = path.listen().await;
    let (api, _) = exchange(
        address,
        "GET /api HTTP/1.1\nHost: localhost\nConnection: close\n\n",
    )
    .await;
    assert!(
        api.starts_with("HTTP/1.1 200 OK") && api.ends_with("\r\n\r\napi"),
        "{api}"
    );
    let request = format!(
        "POST /p2p{}/a%2Fb//../c?x=%zz HTTP/1.1\nHost: here.localhost\nConnection: X-Hop, close\nX-Hop: gone\n\
         X-Libp2p-Peer: spoof\nX-Forwarded-For: 1.2.3.4\nContent-Length: 4\n\nbody",
        path.prefix
    );
    let (answer, _) = exchange(address, &request).await;
    let (head, seen) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let confined = format!(
        "\r\nset-cookie: a=1\r\nset-cookie: b=2; Path=/p2p{}/\r\n",
        path.prefix
    );
    assert!(head.contains(&confined), "{head}");
    assert!(
        head.contains("\r\nvia: 1.1 gateway-") && !head.contains("keep-alive: 9"),
        "{head}"
    );
    assert!(seen.starts_with("POST /a%2Fb//../c?x=%zz\n"), "{seen}");
    for line in [
        "host: here.localhost\n",
        "x-forwarded-for: 127.0.0.1\n",
        "x-forwarded-host: here.localhost\n",
        "x-forwarded-proto: http\n",
        "content-length: 4\n",
        &format!("via: 1.1 gateway-{}\n", path.near.peer),
        &format!("x-libp2p-peer: {}\n", path.near.peer),
    ] {
        assert!(seen.contains(line), "{line}{seen}");
    }
    assert!(seen.ends_with("\nbody"), "{seen}");
    for gone in ["spoof", "x-hop", "1.2.3.4"] {
        assert!(!seen.contains(gone), "{gone}: {seen}");
    }
}

#[tokio::test]
async fn a_missing_slash_redirects_below_any_prefix() {
    let path = Path::new(mirror()).await;
    let address = path.listen().await;
    let request = format!(
        "GET /p2p{}?q=1 HTTP/1.1\nHost: localhost\nConnection: close\n\n",
        path.prefix
    );
    let (answer, _) = exchange(address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains("\r\nlocation: ./app/?q=1\r\n"), "{answer}");
}

#[tokio::test]
async fn failures_are_pages_that_name_the_hop() {
    let path = Path::new(mirror()).await;
    let nobody = libp2p_identity::PeerId::random();
    for (uri, accept, status, error) in [
        ("/nothing".to_owned(), "*/*", 400, "http_request_error"),
        (
            format!("/http/{nobody}/app/"),
            "application/problem+json",
            502,
            "destination_not_found",
        ),
        (
            format!("/http/{}/other/", path.origin.peer),
            "*/*",
            502,
            "connection_refused",
        ),
    ] {
        let request = Request::get(&uri)
            .header("Host", "localhost")
            .header("Accept", accept);
        let response = path.call(request.body(Empty::new()).expect("valid")).await;
        assert_eq!(response.status(), status, "{uri}");
        let proxy_status = response.headers()["proxy-status"]
            .to_str()
            .expect("is text");
        assert!(
            proxy_status.starts_with(&format!("p2p-gateway; error={error};")),
            "{proxy_status}"
        );
        let json = response.headers()["content-type"] == "application/problem+json";
        assert_eq!(json, accept.contains("json"), "{uri}");
        let body = response.collect().await.expect("is whole").to_bytes();
        assert_eq!(body.starts_with(b"{"), json, "{body:?}");
    }
    let looped = path
        .request("/")
        .header("Via", format!("1.1 gateway-{}", path.near.peer));
    let response = path.call(looped.body(Empty::new()).expect("valid")).await;
    assert_eq!(response.status(), 508);
    let two = path.request("/").header("Host", "other");
    let response = path.call(two.body(Empty::new()).expect("valid")).await;
    assert_eq!(response.status(), 400, "what is ambiguous is not passed on");
}

#[tokio::test]
async fn pages_of_services_are_not_pages_of_the_application() {
    let path = Path::new(mirror()).await;
    let page = path.request("/").header("Accept", "text/html");
    let response = path.call(page.body(Empty::new()).expect("valid")).await;
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str();
    assert!(policy.is_ok_and(|policy| policy.starts_with("sandbox ")));
    let other = path.request("/").header("Accept", "*/*");
    let response = path.call(other.body(Empty::new()).expect("valid")).await;
    assert!(!response.headers().contains_key("content-security-policy"));

    let cookies = |response: Response<GatewayBody>| {
        let cookies = response.headers().get_all("set-cookie");
        let cookies = cookies
            .iter()
            .map(|value| value.to_str().expect("is text").to_owned());
        cookies.collect::<Vec<_>>()
    };
    let request = || {
        path.request("/cookie")
            .body(Empty::<Bytes>::new())
            .expect("valid")
    };
    let (own, prefix) = (path.call(request()).await, &path.prefix);
    assert_eq!(
        cookies(own),
        ["a=1".to_owned(), format!("b=2; Path={prefix}/")]
    );
    let gateway = path.gateway.clone().with_prefix("/p2p").expect("is a path");
    let below = within(gateway.oneshot(request()))
        .await
        .unwrap_or_else(|never| match never {});
    assert_eq!(
        cookies(below),
        ["a=1".to_owned(), format!("b=2; Path=/p2p{prefix}/")]
    );
    assert!(path.gateway.clone().with_prefix("p2p/").is_err());

    // Whoever looked before may have believed either name.
    let target = format!("http://evil.example{}/", path.prefix);
    let conflict = Request::get(target).header("Host", "localhost");
    let conflict = conflict.body(Empty::<Bytes>::new()).expect("valid");
    assert_eq!(path.call(conflict).await.status(), 400);

    for (name, value, status) in [
        ("Host", "evil.example", 421),
        ("Origin", "http://evil.example", 403),
        ("Sec-Fetch-Site", "same-site", 403),
    ] {
        let mut request = path
            .request("/")
            .body(Empty::<Bytes>::new())
            .expect("valid");
        let headers = request.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(path.call(request).await.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn hosts_of_services_reach_a_nested_gateway_where_the_server_passes_them_on() {
    let config = GatewayConfig::default()
        .with_allowed_origin("https://page.example".parse().expect("is an origin"));
    let path = Path::with(mirror(), config).await;
    let own = Domain::localhost().host_of(&path.origin.peer, &name("app"));
    let own = own.expect("is a label");
    let at = |host: &str, target: &str| Request::get(target).header("Host", host.to_owned());

    let request = at(&own, "/x").body(Empty::<Bytes>::new()).expect("valid");
    assert!(!path.gateway.is_addressed_by(&request));
    assert_eq!(path.call(request.clone()).await.status(), 421);

    let gateway = path.gateway.clone().with_service_hosts();
    for (host, target, expected) in [
        (own.as_str(), "/x", true),
        (&own.to_uppercase(), "/x", true),
        ("app.nobody.p2p.localhost", "/", true),
        ("localhost", "/http/x/y/", false),
        ("here.example", "/", false),
        ("here.example", &format!("http://{own}/"), true),
        (&own, "http://here.example/", false),
    ] {
        let request = at(host, target).body(()).expect("valid");
        let addressed = gateway.is_addressed_by(&request);
        assert_eq!(addressed, expected, "{host} {target}");
    }
    let call = async |request| {
        let called = gateway.clone().oneshot(request);
        within(called).await.unwrap_or_else(|never| match never {})
    };
    let response = call(request).await;
    assert_eq!(response.status(), 200);
    let seen = response.collect().await.expect("is whole").to_bytes();
    assert!(seen.starts_with(b"GET /x\n"), "{seen:?}");

    let page = path.request("/x?y").header("Accept", "text/html");
    let response = call(page.body(Empty::new()).expect("valid")).await;
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], format!("//{own}/x?y"));

    let preflight = at(&own, "/")
        .method("OPTIONS")
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "PUT");
    let response = call(preflight.body(Empty::new()).expect("valid")).await;
    assert_eq!(response.status(), 204);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-methods"], "PUT");
    assert_eq!(
        headers["access-control-allow-origin"],
        "https://page.example"
    );
}

#[tokio::test]
async fn requests_of_http_2_become_those_of_http_1() {
    let path = Path::new(mirror()).await;
    let request = Request::builder()
        .version(Version::HTTP_2)
        .uri(format!("https://there.localhost{}/x?y", path.prefix))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Empty::<Bytes>::new());
    let gateway = path.gateway.clone().with_https();
    let response = within(gateway.oneshot(request.expect("valid"))).await;
    let body = response
        .unwrap_or_else(|never| match never {})
        .collect()
        .await;
    let seen = String::from_utf8_lossy(&body.expect("is whole").to_bytes()).into_owned();
    assert!(seen.starts_with("GET /x?y\n"), "{seen}");
    for line in [
        "cookie: a=1; b=2\n",
        "host: there.localhost\n",
        "x-forwarded-for: unknown\n",
        "x-forwarded-proto: https\n",
    ] {
        assert!(seen.contains(line), "{line}{seen}");
    }
}

#[tokio::test]
async fn a_gateway_for_one_service_keeps_paths_as_they_are() {
    let path = Path::new(mirror()).await;
    let config = GatewayConfig::default().with_forwarded(ForwardedMode::Off);
    let gateway = Gateway::new(path.near.client.clone(), path.near.peer, config)
        .for_service(path.origin.peer, name("app"))
        .into_service();
    // As the whole application, for any other path.
    let app = Router::new()
        .route("/api", get(async || "api"))
        .fallback_service(gateway);
    let request = Request::get("/static/app.js")
        .header("Host", "localhost")
        .body(axum::body::Body::empty());
    let response = within(app.oneshot(request.expect("valid")))
        .await
        .expect("infallible");
    let body = response
        .into_body()
        .collect()
        .await
        .expect("is whole")
        .to_bytes();
    assert!(body.starts_with(b"GET /static/app.js\n"), "{body:?}");
    assert!(!String::from_utf8_lossy(&body).contains("x-forwarded"));
}

#[tokio::test]
async fn bodies_and_trailers_stream_through() {
    let app = Router::new().fallback(async |request: AxumRequest| {
        let collected = request.into_body().collect().await.expect("is whole");
        let mut trailers = collected.trailers().expect("trailers came").clone();
        assert!(!trailers.contains_key("via") && !trailers.contains_key("x-libp2p-peer"));
        trailers.insert("x-back", HeaderValue::from_static("1"));
        trailers.insert("x-obs", HeaderValue::from_bytes(b"\xe9").expect("obs-text"));
        let frames = [
            Ok::<_, Infallible>(Frame::data(collected.to_bytes())),
            Ok(Frame::trailers(trailers)),
        ];
        axum::body::Body::new(StreamBody::new(stream::iter(frames)))
    });
    let path = Path::new(app).await;
    let mut trailers = HeaderMap::new();
    for name in ["x-sum", "via", "x-libp2p-peer"] {
        trailers.insert(name, HeaderValue::from_static("1"));
    }
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from("bo"))),
        Ok(Frame::data(Bytes::from("dy"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(stream::iter(frames));
    let response = path
        .call(path.request("/").body(body).expect("valid"))
        .await;
    let collected = within(response.collect()).await.expect("is whole");
    let trailers = collected.trailers().expect("trailers came");
    assert_eq!(trailers["x-sum"], "1");
    assert_eq!(trailers["x-back"], "1");
    assert_eq!(trailers["x-obs"].as_bytes(), b"\xe9");
    assert_eq!(trailers.len(), 3);
    assert_eq!(collected.to_bytes(), "body");
}

#[tokio::test]
async fn a_cut_response_does_not_look_complete() {
    let app = Router::new().fallback(async || {
        let first = stream::iter([Ok(Bytes::from("part"))]);
        let rest = stream::once(async {
            tokio::task::yield_now().await; // what was made until here leaves
            Err(std::io::Error::other("disk"))
        });
        axum::body::Body::from_stream(first.chain(rest))
    });
    let path = Path::new(app).await;
    let address = path.listen().await;
    let request = format!(
        "GET /p2p{}/ HTTP/1.1\nHost: localhost\nConnection: close\n\n",
        path.prefix
    );
    let (answer, orderly) = exchange(address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(!orderly || !answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn head_and_unknown_lengths_keep_their_framing() {
    let app = Router::new().route("/known", get(async || "hello")).route(
        "/chunked",
        get(async || {
            let chunk = stream::iter([Ok::<_, Infallible>(Bytes::from("hello"))]);
            axum::body::Body::from_stream(chunk)
        }),
    );
    let path = Path::new(app).await;
    let address = path.listen().await;
    for (method, target, framing, body) in [
        ("GET", "/known", "content-length: 5", "hello"),
        ("HEAD", "/known", "content-length: 5", ""),
        (
            "GET",
            "/chunked",
            "transfer-encoding: chunked",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        let request = format!(
            "{method} /p2p{}{target} HTTP/1.1\nHost: localhost\nConnection: close\n\n",
            path.prefix
        );
        let (answer, _) = exchange(address, &request).await;
        let (head, rest) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(framing), "{method} {target}: {head}");
        assert_eq!(rest, body, "{method} {target}");
    }
}

#[tokio::test]
async fn websockets_pass_through_the_server_of_the_application() {
    let app = Router::new().route(
        "/ws",
        any(async |headers: HeaderMap, upgrade: WebSocketUpgrade| {
            assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
            let echo = upgrade.on_upgrade(async |mut socket| {
                while let Some(Ok(message)) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
            (
                AppendHeaders([("set-cookie", "a=1; Path=/; Domain=localhost")]),
                echo,
            )
        }),
    );
    let path = Path::new(app).await;
    let address = path.listen().await;
    let connect = async |target: &str| {
        let stream = TcpStream::connect(address).await.expect("connects");
        let url = format!("ws://{address}/p2p{}{target}", path.prefix);
        within(tokio_tungstenite::client_async(url, stream)).await
    };
    let (mut socket, response) = connect("/ws").await.expect("is granted");
    assert_eq!(response.status(), 101);
    for size in [0, 1, 100_000] {
        let message = Message::binary(vec![3; size]);
        within(socket.send(message.clone()))
            .await
            .expect("is taken");
        let echo = within(socket.next())
            .await
            .expect("comes back")
            .expect("is whole");
        assert_eq!(echo, message);
    }
    within(socket.close(None)).await.expect("closes");
    while let Some(Ok(_)) = within(socket.next()).await {}

    // A switch sets no cookies beyond the service, either.
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, [&format!("a=1; Path=/p2p{}/", path.prefix)]);

    let refused = connect("/nothing").await;
    assert!(matches!(refused, Err(WsError::Http(response)) if response.status() == 404));
    // A switch that no server can make is an ordinary request.
    let request = path
        .request("/ws")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let response = path
        .call(request.body(Full::<Bytes>::default()).expect("valid"))
        .await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_nested_gateway_goes_by_rules_that_can_be_exchanged() {
    let path = Path::new(mirror()).await;
    let gateway = Gateway::new(
        path.near.client.clone(),
        path.near.peer,
        GatewayConfig::default(),
    );
    let rules = gateway.rules();
    let gateway = gateway.into_service();
    let call = async || {
        let request = path
            .request("/")
            .body(Empty::<Bytes>::new())
            .expect("is a request");
        within(gateway.clone().oneshot(request))
            .await
            .unwrap_or_else(|never| match never {})
    };
    let held = call().await;
    assert_eq!(held.status(), 200);
    rules.set(GatewayRules::default().with_exchanges_per_client(1));
    let first = call().await;
    assert_eq!(first.status(), 200);
    // An exchange lasts until its body has been sent, or was given up.
    assert_eq!(call().await.status(), 503);
    drop(first);
    assert_eq!(call().await.status(), 200);

    let upgrade = path
        .request("/")
        .header("Connection", "upgrade")
        .header("Upgrade", "websocket");
    let upgrade = upgrade.body(Empty::<Bytes>::new()).expect("is a request");
    rules.set(GatewayRules::default().with_tunnels(Tunnels::Refused));
    let refused = within(gateway.clone().oneshot(upgrade))
        .await
        .unwrap_or_else(|never| match never {});
    assert_eq!(refused.status(), 403);

    rules.set(GatewayRules::default().with_allowed_services([(path.near.peer, name("app"))]));
    assert_eq!(call().await.status(), 403);
    let body = held.into_body().collect().await.expect("goes on");
    assert!(!body.to_bytes().is_empty());
}

#[tokio::test]
async fn own_pages_are_answered_beside_the_routes() {
    let mut path = Path::new(mirror()).await;
    let near = &path.near;
    let pages = Router::new().route("/page", get(async || "own"));
    let gateway = Gateway::new(near.client.clone(), near.peer, GatewayConfig::default());
    path.gateway = gateway.with_own(pages).into_service();
    let request = |uri: &str| {
        let request = Request::get(uri).header("Host", "localhost");
        request.body(Empty::<Bytes>::new()).expect("is a request")
    };
    for (uri, status, expected) in [("/page", 200, "own"), ("/none", 404, "")] {
        let response = path.call(request(uri)).await;
        assert_eq!(response.status(), status, "{uri}");
        let body = response.into_body().collect().await.expect("is whole");
        assert_eq!(body.to_bytes(), expected, "{uri}");
    }
    let served = path.call(request(&format!("{}/x", path.prefix))).await;
    assert_eq!(served.status(), 200);
}

#[tokio::test]
async fn addresses_of_the_peer_come_with_the_request() {
    let node = || Node::start(Wire::Tcp, Config::default(), Duration::from_secs(60));
    let (near, origin) = (node().await, node().await);
    let requests = origin.accept(&name("app")).await;
    tokio::spawn(tower::serve(requests, mirror(), pending()));
    let call = |allowed, target: String, field: (&'static str, String)| {
        let config = GatewayConfig::default().with_request_addresses(allowed);
        let gateway = Gateway::new(near.client.clone(), near.peer, config).into_service();
        let request = Request::get(target)
            .header("Host", "here.localhost")
            .header(field.0, field.1)
            .body(Empty::<Bytes>::new())
            .expect("is a request");
        async move {
            let answer = within(gateway.oneshot(request)).await;
            let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
            let body = within(body.collect()).await.expect("is whole").to_bytes();
            (
                parts.status.as_u16(),
                String::from_utf8_lossy(&body).into_owned(),
            )
        }
    };
    let addresses = || ("X-Libp2p-Addrs", origin.address.to_string());
    let route = || format!("/http/{}/app/a?q", origin.peer);
    for (allowed, status) in [
        (RequestAddresses::Ignored, 502),
        (RequestAddresses::Public, 403),
        (RequestAddresses::Any, 200),
    ] {
        let (found, body) = call(allowed, route(), addresses()).await;
        assert_eq!(found, status, "{body}");
        assert!(!body.contains("libp2p-addrs"), "{body}");
    }
    let address = format!("{}/p2p/{}", origin.address, origin.peer);
    let target = format!(
        "/http/multiaddr/app/a?multiaddr={}&q",
        address.replace('/', "%2F")
    );
    let field = || ("x-libp2p-multiaddr", address.clone());
    for (target, expected) in [
        (target, "GET /a?q\n"),
        ("/http/multiaddr/app/b".to_owned(), "GET /b\n"),
    ] {
        let (status, body) = call(RequestAddresses::Any, target, field()).await;
        assert_eq!(status, 200, "{body}");
        assert!(
            body.starts_with(expected) && !body.contains("multiaddr"),
            "{body}"
        );
    }
}
