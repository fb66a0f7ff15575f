//! Can a local program be a service of a node without listening anywhere, and only one that may?

use std::{fs, net::SocketAddr, path::Path};

use futures::{SinkExt, StreamExt, future::poll_fn};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};
use tokio_util::{
    compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt},
    io::{CopyToBytes, SinkWriter, StreamReader},
};

use support::{
    data,
    node::Node,
    program,
    wire::{Conn, Message as Http, Server},
    within,
};

mod support;

const PROTOCOL: &str = "libp2p-http-listen.1";

type Socket = WebSocketStream<TcpStream>;

/// Asks a gateway for a name; what else the handshake says is `fields`.
async fn ask(gateway: &Node, target: &str, fields: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let address = gateway.http("gateway ");
    let mut request = format!("ws://{address}/http/listen/{target}")
        .into_client_request()
        .unwrap();
    for (name, value) in fields {
        request
            .headers_mut()
            .insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    match within("a handshake", client_async(request, stream)).await {
        Ok((socket, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], PROTOCOL);
            Ok(socket)
        }
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

const OFFER: (&str, &str) = ("sec-websocket-protocol", PROTOCOL);

async fn listener(gateway: &Node, target: &str) -> Result<Socket, u16> {
    ask(gateway, target, &[OFFER]).await
}

/// Asks until the name is had: it is free a moment after the last listener has gone.
async fn at_last(gateway: &Node, target: &str) -> Socket {
    let asking = async {
        loop {
            match listener(gateway, target).await {
                Ok(socket) => return socket,
                Err(409) => tokio::task::yield_now().await,
                Err(status) => panic!("{status}"),
            }
        }
    };
    within("the name to be free", asking).await
}

/// A listener that answers every request by its own words, in as few lines as they need.
fn answer_all(socket: Socket, words: &'static str) {
    let (sink, stream) = socket.split();
    let bytes = stream.filter_map(async |message| match message {
        Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
        Ok(_) => None,
        Err(error) => Some(Err(std::io::Error::other(error))),
    });
    let sink = sink
        .with(async |bytes| Ok::<_, Error>(Message::Binary(bytes)))
        .sink_map_err(std::io::Error::other);
    let io = tokio::io::join(
        StreamReader::new(Box::pin(bytes)),
        Box::pin(SinkWriter::new(CopyToBytes::new(sink))),
    );
    let config = yamux::Config::default();
    let mut connection = yamux::Connection::new(io.compat(), config, yamux::Mode::Server);
    tokio::spawn(async move {
        while let Some(Ok(stream)) = poll_fn(|cx| connection.poll_next_inbound(cx)).await {
            tokio::spawn(async move {
                let service = hyper::service::service_fn(async |_| {
                    Ok::<_, std::convert::Infallible>(axum::http::Response::new(words.to_owned()))
                });
                let io = hyper_util::rt::TokioIo::new(stream.compat());
                let _ended = hyper::server::conn::http1::Builder::new()
                    .serve_connection(io, service)
                    .await;
            });
        }
    });
}

/// Asks another node for a page of a service of this one.
async fn get(from: &Node, of: &Node, rest: &str) -> Http {
    let path = format!("/http/{}/{rest}", of.fact("peer "));
    Conn::connect(from.http("gateway ")).await.get(&path).await
}

/// A client of one node that asks the service of another in this version of HTTP, and the connection that the server behind it
/// has got the request on.
async fn asked(from: &Node, to: &Node, server: &Server, version: &str) -> (Conn, Conn) {
    let mut client = Conn::connect(from.http("gateway ")).await;
    let path = format!("/http/{}/app/", to.fact("peer "));
    let head = format!("GET {path} HTTP/{version}\r\nHost: localhost\r\n\r\n");
    client.send(head).await;
    let mut conn = server.accept().await;
    conn.message().await;
    (client, conn)
}

/// The same at the node itself.
async fn held(gateway: &Node, server: &Server) -> (Conn, Conn) {
    asked(gateway, gateway, server, "1.1").await
}

#[tokio::test]
async fn a_server_that_is_attached_answers_another_node() {
    let server = Server::bind().await;
    let gateway = Node::listening(&[]).await;
    let to = server.address().to_string();
    let _attached = Node::attach(&gateway, "app", &to, &[]).await;
    let other = Node::gateway(&gateway, &[]).await;

    let page = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let (response, (mut conn, request)) =
        tokio::join!(get(&other, &gateway, "app/a%2Fb?c"), server.answer(page));
    assert_eq!((response.status(), response.text().as_str()), (200, "hi"));
    assert_eq!(request.line, "GET /a%2Fb?c HTTP/1.1");
    assert_eq!(request.all("X-Libp2p-Peer"), [other.fact("peer ")]);

    // The next request goes over the same connection.
    let again = async {
        let request = conn.message().await;
        conn.send(page).await;
        request
    };
    let (response, request) = tokio::join!(get(&other, &gateway, "app/again"), again);
    assert_eq!(response.text(), "hi");
    assert_eq!(request.line, "GET /again HTTP/1.1");
}

#[tokio::test]
async fn what_attached_programs_answer_is_on_the_admin_page() {
    let gateway = Node::listening(&["--admin", "127.0.0.1:0"]).await;
    answer_all(listener(&gateway, "app").await.unwrap(), "one");
    let other = Node::gateway(&gateway, &[]).await;
    let admin = gateway.http("admin ");
    let mut events = Conn::connect(admin).await;
    events
        .send(format!("GET /api/events HTTP/1.1\r\nHost: {admin}\r\n\r\n"))
        .await;
    events.head().await;
    assert_eq!(get(&other, &gateway, "app/page").await.text(), "one");
    let wanted = ["\"side\":\"origin\"", "\"path\":\"/page\""];
    let told = async {
        loop {
            let chunk = events.chunk().await;
            let news = String::from_utf8_lossy(&chunk);
            if wanted.iter().all(|part| news.contains(part)) {
                break;
            }
        }
    };
    within("the exchange to be shown", told).await;
    let figures = Conn::connect(admin).await.get("/metrics").await.text();
    let counted = "libp2p_http_exchanges_total{side=\"origin\"";
    assert!(figures.contains(counted), "{figures}");
}

#[tokio::test]
async fn a_web_socket_goes_through_the_web_socket() {
    let server = Server::bind().await;
    let gateway = Node::listening(&[]).await;
    let _attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
    let other = Node::gateway(&gateway, &[]).await;
    let address = other.http("gateway ");
    let url = format!("ws://{address}/http/{}/app/socket", gateway.fact("peer "));
    let client = async {
        let stream = TcpStream::connect(address).await.unwrap();
        client_async(url, stream).await.unwrap().0
    };
    let serve = async {
        let stream = server.accept().await.into_stream();
        accept_async(stream).await.unwrap()
    };
    let (mut client, mut served) =
        within("the handshake", async { tokio::join!(client, serve) }).await;
    for message in [
        Message::text("hello"),
        Message::binary(data::bytes(3_000_000)),
    ] {
        let (sent, got) = within("a message", async {
            tokio::join!(client.send(message.clone()), served.next())
        })
        .await;
        sent.unwrap();
        assert!(got.unwrap().unwrap() == message);
        let (sent, got) = within("a message", async {
            tokio::join!(served.send(message.clone()), client.next())
        })
        .await;
        sent.unwrap();
        assert!(got.unwrap().unwrap() == message);
    }
    // The end of one is the end of the other.
    drop(served);
    let ended = within("the end", client.next()).await;
    assert!(
        matches!(ended, None | Some(Err(_) | Ok(Message::Close(_)))),
        "{ended:?}"
    );
}

#[tokio::test]
async fn bodies_arrive_whole_and_more_requests_than_streams_wait() {
    let directory = tempfile::tempdir().unwrap();
    let target = support::app::start(directory.path()).await;
    let gateway = Node::listening(&[]).await;
    let _attached = Node::attach(&gateway, "app", &target, &[]).await;
    let (length, body) = (5_000_000, data::bytes(5_000_000));
    let mut hash = data::Hash::default();
    hash.update(&body);
    let expected = support::app::receipt(&length.to_string(), length, &hash.finish());

    // To ourselves, which needs no other node.
    let address = gateway.http("gateway ");
    let path = format!("/http/{}/app", gateway.fact("peer "));
    let mut conn = Conn::connect(address).await;
    let head =
        format!("POST {path}/sum HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    conn.send([head.as_bytes(), &body].concat()).await;
    assert_eq!(conn.message().await.text(), expected);
    let response = conn.get(&format!("{path}/chunked")).await;
    assert!(response.body == support::app::pieces().collect::<Vec<_>>().concat());

    let many = (0..400).map(async |number| {
        let mut conn = Conn::connect(address).await;
        let response = conn.get(&format!("{path}/say/{number}")).await;
        assert_eq!(response.text().trim(), format!("/say/{number}"));
    });
    within("many requests", futures::future::join_all(many)).await;
}

#[tokio::test]
async fn without_the_option_there_is_no_such_page() {
    let gateway = Node::start(&["gateway", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(listener(&gateway, "app").await.err(), Some(404));
    let url = gateway.fact("gateway ");
    let output = program::command(env!("CARGO_BIN_EXE_p2p-http"))
        .args([
            "attach",
            "--gateway",
            url,
            "--name",
            "app",
            "--to",
            "127.0.0.1:1",
        ])
        .output();
    let output = within("the end of attach", output).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let remedy = "the gateway answers 404 Not Found: no program may become a service of this gateway: start it with --allow-listen";
    assert!(error.contains(remedy), "{error}");
}

#[tokio::test]
async fn a_name_has_one_listener_and_is_free_when_that_has_gone() {
    let gateway = Node::listening(&[]).await;
    let first = listener(&gateway, "app").await.unwrap();
    assert_eq!(listener(&gateway, "app").await.err(), Some(409));
    // Whoever wants to share a name cannot share one that somebody has alone.
    assert_eq!(listener(&gateway, "app?share=1").await.err(), Some(409));
    let _other = listener(&gateway, "other").await.unwrap();
    drop(first);
    let mut second = at_last(&gateway, "app").await;
    second.close(None).await.unwrap();
    let _third = at_last(&gateway, "app").await;
}

#[tokio::test]
async fn peers_find_a_service_only_while_there_is_a_listener() {
    let mut gateway = Node::listening(&[]).await;
    let other = Node::gateway(&gateway, &[]).await;
    assert_eq!(get(&other, &gateway, "app/").await.status(), 502);
    answer_all(listener(&gateway, "app").await.unwrap(), "one");
    assert_eq!(get(&other, &gateway, "app/").await.text(), "one");

    let server = Server::bind().await;
    let attached = Node::attach(&gateway, "two", &server.target(), &[]).await;
    gateway.until("listener two").await;
    attached.kill().await;
    gateway.until("gone two").await;
    assert_eq!(get(&other, &gateway, "two/").await.status(), 502);
    assert_eq!(get(&other, &gateway, "app/").await.text(), "one");
}

#[tokio::test]
async fn a_shared_name_has_several_listeners() {
    let gateway = Node::listening(&[]).await;
    let one = Server::bind().await;
    let two = Server::bind().await;
    let first = Node::attach(&gateway, "app", &one.target(), &["--share"]).await;
    let _second = Node::attach(&gateway, "app", &two.target(), &["--share"]).await;
    assert_eq!(listener(&gateway, "app").await.err(), Some(409));

    // Two requests at a time: each has its own.
    let hi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let both = async {
        let mut held = one.accept().await;
        let mut other = two.accept().await;
        for conn in [&mut held, &mut other] {
            conn.message().await;
            conn.send(hi).await;
        }
    };
    let (a, b, ()) = within("both", async {
        tokio::join!(
            get(&gateway, &gateway, "app/"),
            get(&gateway, &gateway, "app/"),
            both
        )
    })
    .await;
    assert_eq!((a.status(), b.status()), (200, 200));

    // One goes, and the other has all of it.
    first.kill().await;
    gateway.logged(&["a listener has gone"]).await;
    let (response, _) = tokio::join!(get(&gateway, &gateway, "app/"), two.answer(hi));
    assert_eq!(response.status(), 200);
}

fn write_token(directory: &Path, token: &str) -> String {
    let path = directory.join("token");
    fs::write(&path, format!("{token}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn with_a_token_only_those_who_know_it_may() {
    const TOKEN: &str = "correct-horse-battery-staple";
    let directory = tempfile::tempdir().unwrap();
    let file = write_token(directory.path(), TOKEN);
    let gateway = Node::listening(&["--listen-token", &file]).await;
    for wrong in [
        None,
        Some("Bearer correct-horse-battery-stapl"),
        Some("Bearer correct-horse-battery-staplex"),
        Some("Basic correct-horse-battery-staple"),
        Some("correct-horse-battery-staple"),
    ] {
        let mut fields = vec![OFFER];
        fields.extend(wrong.map(|value| ("authorization", value)));
        assert_eq!(
            ask(&gateway, "app", &fields).await.err(),
            Some(401),
            "{wrong:?}"
        );
    }
    let bearer = format!("bearer {TOKEN}");
    let fields = [OFFER, ("authorization", bearer.as_str())];
    drop(ask(&gateway, "app", &fields).await.unwrap());
    let offer = format!("{PROTOCOL}, bearer.{TOKEN}");
    drop(
        ask(
            &gateway,
            "page",
            &[("sec-websocket-protocol", offer.as_str())],
        )
        .await
        .unwrap(),
    );

    let server = Server::bind().await;
    Node::attach(&gateway, "app", &server.target(), &["--token", &file]).await;
}

/// Has a node read its file again, which it takes.
#[cfg(unix)]
async fn reload(node: &mut Node) {
    node.signal("HUP").await;
    node.until("reloaded").await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_reload_takes_the_new_token_and_leaves_who_is_attached() {
    const OLD: &str = "correct-horse-battery-staple";
    const NEW: &str = "tr0ub4dor-and-another-three";
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("node.toml");
    let text =
        "listen = []\n[gateway]\nlisten = \"127.0.0.1:0\"\n[gateway.attach]\ntoken = \"token\"\n";
    fs::write(&config, text).unwrap();
    write_token(directory.path(), OLD);
    let mut gateway = Node::start(&["run", "--config", config.to_str().unwrap()]).await;
    let offers = [OLD, NEW].map(|token| format!("{PROTOCOL}, bearer.{token}"));
    let [old, new] = offers
        .each_ref()
        .map(|offer| [("sec-websocket-protocol", offer.as_str())]);
    answer_all(ask(&gateway, "app", &old).await.unwrap(), "still here");

    write_token(directory.path(), NEW);
    reload(&mut gateway).await;
    assert_eq!(ask(&gateway, "other", &old).await.err(), Some(401));
    drop(ask(&gateway, "other", &new).await.unwrap());
    assert_eq!(get(&gateway, &gateway, "app/").await.text(), "still here");

    // One that is none changes nothing.
    write_token(directory.path(), "short");
    gateway.signal("HUP").await;
    let said = ["not reloaded, and all stays as it was", "is not one"];
    gateway.logged(&said).await;
    assert_eq!(ask(&gateway, "another", &old).await.err(), Some(401));
    drop(ask(&gateway, "another", &new).await.unwrap());
    assert_eq!(get(&gateway, &gateway, "app/").await.text(), "still here");
}

#[tokio::test]
async fn without_a_token_only_programs_of_this_machine_may() {
    let gateway = Node::listening(&["--allow-origin", "*", "--domain", "gate.example"]).await;
    let own = format!("http://{}", gateway.http("gateway "));
    for (name, value) in [
        // One that adds nothing, asked by a name that others have, too.
        ("host", "gate.example"),
        ("host", "gate.example:8080"),
        // A page, even of an origin that may use services.
        ("origin", "https://evil.example"),
        ("origin", own.as_str()),
        ("origin", "null"),
        // What a proxy beside the gateway passes on, a service of a peer included.
        ("x-forwarded-for", "203.0.113.9"),
        ("via", "1.1 proxy"),
        ("x-libp2p-peer", "12D3"),
        ("forwarded", "for=203.0.113.9"),
        ("x-forwarded-host", "gate.example"),
        ("x-forwarded-proto", "https"),
        ("x-client-ip", "203.0.113.9"),
        ("cf-connecting-ip", "203.0.113.9"),
    ] {
        let status = ask(&gateway, "app", &[OFFER, (name, value)]).await.err();
        assert_eq!(status, Some(403), "{name}: {value}");
    }
    drop(
        ask(&gateway, "here", &[OFFER, ("host", "localhost")])
            .await
            .unwrap(),
    );
    let closed = Node::listening(&[]).await;
    let foreign = [OFFER, ("origin", "https://evil.example")];
    assert_eq!(ask(&closed, "app", &foreign).await.err(), Some(403));
}

#[tokio::test]
async fn what_is_no_handshake_is_told_what_would_be() {
    let gateway = Node::listening(&[]).await;
    let address: SocketAddr = gateway.http("gateway ");
    let mut conn = Conn::connect(address).await;
    let response = conn.get("/http/listen/app").await;
    assert_eq!(response.status(), 426);
    assert_eq!(response.all("Upgrade"), ["websocket"]);
    assert!(
        response.text().contains("p2p-http attach"),
        "{}",
        response.text()
    );

    let mut conn = Conn::connect(address).await;
    conn.send("POST /http/listen/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(conn.message().await.status(), 405);

    assert_eq!(
        ask(&gateway, "app", &[]).await.err(),
        Some(400),
        "no subprotocol"
    );
    let other = [("sec-websocket-protocol", "libp2p-http-listen.2")];
    assert_eq!(ask(&gateway, "app", &other).await.err(), Some(400));
    for target in ["a!b", "app?share=2", "app?name=x"] {
        assert_eq!(
            listener(&gateway, target).await.err(),
            Some(400),
            "{target}"
        );
    }
    assert_eq!(ask(&gateway, "a/b", &[OFFER]).await.err(), Some(400));
    // What the gateway has no page for is answered as without any.
    let response = Conn::connect(address).await.get("/nothing").await;
    assert_eq!(response.status(), 400);
    assert!(
        response.text().contains("/http/PEER/SERVICE/PATH"),
        "{}",
        response.text()
    );
    assert_eq!(response.all("Proxy-Status").len(), 1);
}

#[tokio::test]
async fn a_listener_that_breaks_the_rules_loses_its_name() {
    // The head of a yamux frame: version, type, flags, stream, length.
    let opens_a_stream = [0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0];
    let gateway = Node::listening(&[]).await;
    for (message, said) in [
        (Message::text("hello"), "text message"),
        (Message::binary(vec![0xff; 12]), ""),
        (Message::binary(opens_a_stream.to_vec()), "opened a stream"),
        (
            Message::binary(vec![0; 1024 * 1024 + 1]),
            "Message too long",
        ),
    ] {
        let mut socket = at_last(&gateway, "app").await;
        // The gateway may not even wait for the end of it.
        let _sent = socket.send(message).await;
        let end = async { while let Some(Ok(_)) = socket.next().await {} };
        within("the end of a listener", end).await;
        gateway.logged(&["a listener has gone", said]).await;
    }
    answer_all(at_last(&gateway, "app").await, "still here");
    assert_eq!(get(&gateway, &gateway, "app/").await.text(), "still here");
}

#[tokio::test]
async fn a_response_whose_listener_dies_is_cut_and_never_looks_complete() {
    for head in [
        "Content-Length: 10\r\n",
        "Transfer-Encoding: chunked\r\n",
        "",
    ] {
        let server = Server::bind().await;
        let gateway = Node::listening(&[]).await;
        let attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
        let (mut client, mut conn) = held(&gateway, &server).await;
        conn.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n")).await;
        let part = if head.contains("chunked") {
            "4\r\npart\r\n"
        } else {
            "part"
        };
        conn.send(part).await;
        let response = client.head().await;
        assert_eq!(response.status(), 200);
        client.exactly(4).await;
        attached.kill().await;
        let rest = client.rest().await;
        let whole = rest.as_ref().is_ok_and(|rest| {
            response.all("Content-Length").is_empty() && rest.ends_with(b"0\r\n\r\n")
        });
        assert!(!whole, "{head:?}: {rest:?}");
    }
}

#[tokio::test]
async fn attach_comes_back_after_the_gateway_was_gone() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("node.key");
    let more = ["--identity", key.to_str().unwrap()];
    let server = Server::bind().await;
    let gateway = Node::listening(&more).await;
    let address = gateway.http("gateway ").to_string();
    let mut attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
    gateway.kill().await;
    attached.logged(&["trying again"]).await;

    let args = [
        "gateway",
        "--listen",
        &address,
        "--allow-listen",
        "--p2p-listen",
        support::node::TCP,
    ];
    let gateway = Node::start(&[&args[..], &more[..]].concat()).await;
    assert_eq!(attached.line().await, "attached app");
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback";
    let (response, _) = tokio::join!(get(&gateway, &gateway, "app/"), server.answer(page));
    assert_eq!(response.text(), "back");

    attached.signal("TERM").await;
    assert_eq!(attached.exit_code().await, Some(0));
    drop(at_last(&gateway, "app").await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_reload_lets_running_exchanges_end_and_others_go_by_the_new_rules() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("node.toml");
    let text =
        |port: &str| format!("listen = []\n[gateway]\nlisten = \"{port}\"\n[gateway.attach]\n");
    fs::write(&config, text("127.0.0.1:0")).unwrap();
    let run = ["run", "--drain", "0", "--config", config.to_str().unwrap()];
    let mut gateway = Node::start(&run).await;
    let server = Server::bind().await;
    let _attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
    let (mut client, mut conn) = held(&gateway, &server).await;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla")
        .await;
    assert_eq!(client.head().await.status(), 200);

    let port = gateway.http("gateway ").to_string();
    fs::write(&config, text(&port) + "allow = []\n").unwrap();
    reload(&mut gateway).await;
    // The program stays, and only who may use it is new.
    assert_eq!(get(&gateway, &gateway, "app/").await.status(), 403);
    conn.send("s").await;

    // Nor is the exchange cut where programs may no longer become services at all.
    let none = text(&port).replace("[gateway.attach]\n", "");
    fs::write(&config, none).unwrap();
    reload(&mut gateway).await;
    assert_eq!(get(&gateway, &gateway, "app/").await.status(), 404);
    conn.send("t").await;
    assert_eq!(client.exactly(4).await, b"last");
}

/// Cut, and not taken for a whole response whose end is the end of the connection.
#[tokio::test]
async fn a_gateway_that_stops_cuts_the_exchange_that_takes_too_long() {
    let server = Server::bind().await;
    let mut gateway = Node::listening(&["--drain", "0"]).await;
    let _attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
    let other = Node::gateway(&gateway, &[]).await;
    let (mut client, mut conn) = asked(&other, &gateway, &server, "1.0").await;
    conn.send("HTTP/1.1 200 OK\r\n\r\npart").await;
    assert_eq!(client.head().await.status(), 200);
    client.exactly(4).await;
    gateway.signal("TERM").await;
    assert_eq!(gateway.exit_code().await, Some(0));
    let rest = client.rest().await;
    assert!(rest.is_err(), "{rest:?}");
}

#[tokio::test]
async fn attach_waits_for_the_gateway_behind_what_answers_nothing() {
    let server = Server::bind().await;
    let gateway = Node::listening(&[]).await;
    let address = gateway.http("gateway ");
    let mut attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
    gateway.kill().await;

    // It takes what was sent, and closes in order; a second try shows that the first was not the last.
    let front = Server::new(TcpListener::bind(address).await.unwrap());
    for _ in 0..2 {
        front.accept().await.head().await;
    }
    // What answers and is no gateway will not become one.
    front
        .answer("HTTP/1.1 101 Switching Protocols\r\n\r\n")
        .await;
    assert_eq!(attached.exit_code().await, Some(1));
    attached.logged(&["error:", "is no gateway"]).await;
}

#[tokio::test]
async fn what_stands_for_a_gateway_does_nothing_to_the_terminal() {
    let front = Server::bind().await;
    let url = front.target();
    let args = [
        "attach",
        "--gateway",
        &url,
        "--name",
        "app",
        "--to",
        "127.0.0.1:1",
    ];
    let output = program::command(env!("CARGO_BIN_EXE_p2p-http"))
        .args(args)
        .output();
    let answer =
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 15\r\n\r\n\u{1b}]0;owned\u{7}\u{1b}[2J!";
    let (output, _) = tokio::join!(within("the end of attach", output), front.answer(answer));
    let error = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(error.contains(r"\u{1b}]0;owned\u{7}\u{1b}[2J!"), "{error}");
    assert!(!error.trim_end().contains(char::is_control), "{error:?}");
}

#[tokio::test]
async fn a_gateway_that_stops_lets_the_last_exchange_end() {
    let server = Server::bind().await;
    let mut gateway = Node::listening(&[]).await;
    let _attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
    let (mut client, mut conn) = held(&gateway, &server).await;
    gateway.signal("TERM").await;
    gateway.logged(&["running exchanges may finish"]).await;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
        .await;
    assert_eq!(client.message().await.text(), "last");
    assert_eq!(gateway.exit_code().await, Some(0));
}

const NO_MORE: &str = "a listener takes no more requests";

#[tokio::test]
async fn attach_that_stops_lets_the_last_exchange_end_and_takes_no_more() {
    let server = Server::bind().await;
    let gateway = Node::listening(&[]).await;
    let mut attached = Node::attach(&gateway, "app", &server.target(), &[]).await;
    let (mut client, mut conn) = held(&gateway, &server).await;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla")
        .await;
    assert_eq!(client.head().await.status(), 200);
    assert_eq!(client.exactly(2).await, b"la");
    attached.signal("TERM").await;
    gateway.logged(&[NO_MORE]).await;

    // The name is for others, and their requests are.
    answer_all(listener(&gateway, "app").await.unwrap(), "the next");
    let response = get(&gateway, &gateway, "app/").await;
    assert_eq!(response.text(), "the next");

    conn.send("st").await;
    assert_eq!(client.exactly(2).await, b"st");
    assert_eq!(attached.exit_code().await, Some(0));
    let response = get(&gateway, &gateway, "app/").await;
    assert_eq!(response.text(), "the next");
}

#[tokio::test]
async fn who_shares_a_name_takes_over_from_one_that_stops() {
    let (one, two) = (Server::bind().await, Server::bind().await);
    let gateway = Node::listening(&[]).await;
    let mut first = Node::attach(&gateway, "app", &one.target(), &["--share"]).await;
    let (mut client, mut conn) = held(&gateway, &one).await;
    let _second = Node::attach(&gateway, "app", &two.target(), &["--share"]).await;
    first.signal("TERM").await;
    gateway.logged(&[NO_MORE]).await;
    for _ in 0..3 {
        let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
        let (response, _) = tokio::join!(get(&gateway, &gateway, "app/"), two.answer(last));
        assert_eq!(response.text(), "hi");
    }
    conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast")
        .await;
    assert_eq!(client.message().await.text(), "last");
    drop(conn);
    assert_eq!(first.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_listener_that_leaves_and_stays_is_closed() {
    let gateway = Node::listening(&[]).await;
    let _other = listener(&gateway, "app?share=1").await.unwrap();
    let mut socket = listener(&gateway, "app?share=1").await.unwrap();
    let leaving = Message::Ping("leaving".into());
    socket.send(leaving).await.unwrap();
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    within("the end of a listener", end).await;
    gateway
        .logged(&["a listener has gone", "no exchange"])
        .await;
}

#[tokio::test]
async fn attach_cuts_what_runs_at_the_end_of_the_drain_or_at_a_second_signal() {
    for (drain, signals, code) in [("0", 1, 0), ("3600", 2, 130)] {
        let server = Server::bind().await;
        let gateway = Node::listening(&[]).await;
        let more = ["--drain", drain];
        let mut attached = Node::attach(&gateway, "app", &server.target(), &more).await;
        let (mut client, _conn) = held(&gateway, &server).await;
        attached.signal("TERM").await;
        if signals == 2 {
            gateway.logged(&[NO_MORE]).await;
            attached.signal("TERM").await;
        }
        assert_eq!(attached.exit_code().await, Some(code));
        assert_eq!(client.message().await.status(), 502);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_502() {
    let gateway = Node::listening(&[]).await;
    let free = Server::bind().await.address().to_string();
    let _attached = Node::attach(&gateway, "app", &free, &[]).await;
    assert_eq!(get(&gateway, &gateway, "app/").await.status(), 502);
}
