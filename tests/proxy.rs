//! A client of the gateway, two nodes, and a local server that does exactly what a test says.

#![cfg(feature = "tokio")]

mod support;

use std::time::Duration;

use libp2p_http_proxy::{
    Config, ForwardConfig, Gateway, GatewayConfig,
    rewrite::{ForwardedMode, HostPolicy},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use self::support::{
    Node, name,
    path::{Path, Setup, read_head, read_to_end, read_until, serve, values, write},
    within,
};

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_but_for_what_a_proxy_must_change() {
    let mut path = Path::new(Setup::default()).await;
    let mut client = path
        .request(
            "POST {}/a%2Fb//../c?x=%zz&y HTTP/1.1\nHost: here.localhost:80\nX-Zebra: 1\nx-alpha: 2\nX-Zebra: 3\n\
             Connection: X-Hop, keep-alive\nX-Hop: gone\nX-Libp2p-Peer: spoof\nx_libp2p_peer: spoof\n\
             X-Forwarded-For: 1.2.3.4\nContent-Length: 4\n\nbody",
        )
        .await;
    let mut server = path.accepted().await;
    let head = read_head(&mut server).await;
    assert!(
        head.starts_with("POST /a%2Fb//../c?x=%zz&y HTTP/1.1\r\n"),
        "{head}"
    );
    let fields: Vec<_> = head.lines().skip(1).take(4).collect();
    assert_eq!(
        fields,
        [
            "Host: here.localhost:80",
            "X-Zebra: 1",
            "x-alpha: 2",
            "X-Zebra: 3"
        ]
    );
    assert_eq!(values(&head, "X-Libp2p-Peer"), [path.near.peer.to_string()]);
    assert_eq!(values(&head, "X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(values(&head, "X-Forwarded-Host"), ["here.localhost:80"]);
    assert_eq!(values(&head, "X-Forwarded-Proto"), ["http"]);
    assert_eq!(values(&head, "Content-Length"), ["4"]);
    assert_eq!(values(&head, "Via").len(), 2);
    assert!(!head.contains("spoof") && !head.contains("X-Hop"), "{head}");
    read_until(&mut server, "body").await;

    write(
        &mut server,
        "HTTP/1.1 103 Early Hints\nLink: </a.css>\n\nHTTP/1.1 201 Made\nSet-Cookie: a=1\nSet-Cookie: b=2\n\
         Connection: X-Back\nX-Back: gone\nTransfer-Encoding: chunked\n\n5;ext=1\nhello\n0\nX-Sum: 5\n\n",
    )
    .await;
    let hints = read_head(&mut client).await;
    assert!(
        hints.starts_with("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n"),
        "{hints}"
    );
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 201 Made\r\n"), "{head}");
    assert_eq!(values(&head, "Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(values(&head, "Transfer-Encoding"), ["chunked"]);
    assert!(!head.contains("X-Back"), "{head}");
    let body = read_head(&mut client).await;
    assert_eq!(body, "5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n");
}

#[tokio::test]
async fn a_gateway_may_have_any_number_of_clients() {
    let near = Node::memory(Config::default()).await;
    let config = GatewayConfig::default().with_max_clients(usize::MAX);
    let gateway = Gateway::new(near.client.clone(), near.peer, config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let served = gateway.serve(listener, std::future::ready(()));
    within(served).await.expect("the listener is good");
}

#[tokio::test]
async fn the_host_that_the_server_sees_is_the_origins_choice() {
    let fixed = HostPolicy::Fixed("app.example".parse().expect("is a host"));
    for (policy, expected) in [
        (HostPolicy::Preserve, Some("asked.localhost")),
        (HostPolicy::Target, None),
        (fixed, Some("app.example")),
    ] {
        let mut path = Path::new(Setup {
            forward: ForwardConfig::default().with_host(policy),
            ..Setup::default()
        })
        .await;
        let _client = path
            .request("GET {}/ HTTP/1.1\nHost: asked.localhost\n\n")
            .await;
        let mut server = path.accepted().await;
        let own = server.local_addr().expect("is connected").to_string();
        let head = read_head(&mut server).await;
        assert_eq!(values(&head, "Host"), [expected.unwrap_or(&own)]);
    }
}

/// Whose first message ends in no line would wait for an answer, and be waited for.
#[tokio::test]
async fn who_speaks_tls_is_told_at_once_that_this_is_http() {
    let path = Path::new(Setup::default()).await;
    let mut client = path.connect().await;
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    client.write_all(hello).await.expect("is taken");
    let answer = read_to_end(&mut client).await.expect("is whole");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("http:// instead of https://"), "{answer}");
}

#[tokio::test]
async fn forwarded_fields_can_be_appended_to() {
    let mut path = Path::new(Setup {
        gateway: GatewayConfig::default().with_forwarded(ForwardedMode::Append),
        ..Setup::default()
    })
    .await;
    let text = "GET {}/ HTTP/1.1\nHost: localhost\nX-Forwarded-For: 1.2.3.4\n\
         X-Forwarded-Proto: https\n\n";
    let _client = path.request(text).await;
    let mut server = path.accepted().await;
    let head = read_head(&mut server).await;
    assert_eq!(values(&head, "X-Forwarded-For"), ["1.2.3.4, 127.0.0.1"]);
    assert_eq!(values(&head, "X-Forwarded-Host"), ["localhost"]);
    assert_eq!(values(&head, "X-Forwarded-Proto"), ["https"]);
}

#[tokio::test]
async fn events_may_be_silent_for_longer_than_other_bodies() {
    let nodes = Config::default().with_body_gap_timeout(Duration::from_millis(100));
    let mut path = Path::new(Setup {
        nodes,
        ..Setup::default()
    })
    .await;
    let get = "GET {}/ HTTP/1.1\nHost: localhost\n\n";
    let mut begun = Vec::new();
    for kind in ["text/event-stream", "text/plain"] {
        let mut client = path.request(get).await;
        let mut server = path.accepted().await;
        read_head(&mut server).await;
        let head = format!("HTTP/1.1 200 OK\nContent-Type: {kind}\nTransfer-Encoding: chunked\n\n");
        write(&mut server, &head).await;
        read_head(&mut client).await;
        begun.push((client, server));
    }
    let [(mut events, mut server), (mut plain, _idle)] = begun.try_into().expect("are two");
    // The plain one began later, and was silent for too long.
    assert!(read_to_end(&mut plain).await.is_err());
    write(&mut server, "4\nhi\n\n0\n\n").await;
    read_until(&mut events, "0\r\n\r\n").await;
}

#[tokio::test]
async fn hops_are_reused_on_both_sides() {
    let mut path = Path::new(Setup::default()).await;
    let mut client = path.connect().await;
    let request = format!("GET {}/ HTTP/1.1\r\nHost: localhost\r\n\r\n", path.prefix);
    client
        .write_all(request.as_bytes())
        .await
        .expect("is taken");
    let mut server = path.accepted().await;
    for _ in 0..5 {
        read_head(&mut server).await;
        write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
        read_until(&mut client, "\r\n\r\nok").await;
        client
            .write_all(request.as_bytes())
            .await
            .expect("is taken");
    }
    assert!(path.server.try_recv().is_err(), "one connection is enough");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let mut path = Path::new(Setup::default()).await;
    let mut client = path.connect().await;
    let request = format!("GET {}/ HTTP/1.1\r\nHost: localhost\r\n\r\n", path.prefix);
    for _ in 0..3 {
        client
            .write_all(request.as_bytes())
            .await
            .expect("is taken");
        let mut server = path.accepted().await;
        read_head(&mut server).await;
        write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
        let answer = read_until(&mut client, "\r\n\r\nok").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        // Without a word, as servers do after their keep-alive timeout.
        drop(server);
    }
}

#[tokio::test]
async fn a_close_delimited_response_is_framed_and_a_cut_one_never_complete() {
    for cut in [false, true] {
        let mut path = Path::new(Setup::default()).await;
        let mut client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
        let mut server = path.accepted().await;
        read_head(&mut server).await;
        write(&mut server, "HTTP/1.0 200 OK\n\nhello").await;
        let head = read_head(&mut client).await;
        assert_eq!(values(&head, "Transfer-Encoding"), ["chunked"]);
        read_until(&mut client, "5\r\nhello\r\n").await;
        if cut {
            server.set_zero_linger().expect("is a socket");
        }
        drop(server);
        if cut {
            let rest = read_to_end(&mut client).await;
            assert!(rest.as_ref().map_or(true, String::is_empty), "{rest:?}");
        } else {
            read_until(&mut client, "0\r\n\r\n").await;
        }
    }
}

#[tokio::test]
async fn a_response_that_turns_out_to_be_broken_is_502_while_nothing_of_it_has_left() {
    for interim in [false, true] {
        let mut path = Path::new(Setup::default()).await;
        let mut client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
        let mut server = path.accepted().await;
        read_head(&mut server).await;
        if interim {
            write(&mut server, "HTTP/1.1 103 Early Hints\n\n").await;
            let head = read_head(&mut client).await;
            assert!(head.starts_with("HTTP/1.1 103 "), "{head}");
        }
        let forbidden =
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\nHost: evil\n\n";
        write(&mut server, forbidden).await;
        let head = read_head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        let status = values(&head, "Proxy-Status").join(",");
        assert!(
            status.starts_with("p2p-origin; error=http_protocol_error"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_what_it_can_read() {
    let mut path = Path::new(Setup::default()).await;
    let mut client = path.request("GET {}/ HTTP/1.0\n\n").await;
    let mut server = path.accepted().await;
    let head = read_head(&mut server).await;
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    assert_eq!(values(&head, "Host").len(), 1, "HTTP/1.1 requires one");
    write(
        &mut server,
        "HTTP/1.1 103 Early Hints\n\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n",
    )
    .await;
    let all = read_to_end(&mut client).await.expect("an orderly end");
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
    assert!(!all.contains("Transfer-Encoding"), "{all}");
    assert!(all.ends_with("\r\n\r\nhello"), "{all}");
}

#[tokio::test]
async fn a_cut_body_is_reset_for_a_client_of_http_1_0() {
    let mut path = Path::new(Setup::default()).await;
    let mut client = path.request("GET {}/ HTTP/1.0\n\n").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(
        &mut server,
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n",
    )
    .await;
    read_until(&mut client, "\r\n\r\nhello").await;
    drop(server);
    let end = read_to_end(&mut client).await;
    assert!(
        end.is_err(),
        "the end of the connection would look like the end of the body"
    );
}

#[tokio::test]
async fn an_early_response_ends_the_upload() {
    let mut path = Path::new(Setup::default()).await;
    let text = "POST {}/ HTTP/1.1\nHost: localhost\nContent-Length: 1000000\n\nbegin";
    let mut client = path.request(text).await;
    let mut server = path.accepted().await;
    read_until(&mut server, "begin").await;
    write(
        &mut server,
        "HTTP/1.1 413 Too Large\nConnection: close\nContent-Length: 2\n\nno",
    )
    .await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 413 Too Large\r\n"), "{head}");
    assert_eq!(values(&head, "Connection"), ["close"]);
    read_until(&mut client, "no").await;
}

#[tokio::test]
async fn a_tunnel_carries_what_came_early_first() {
    let mut path = Path::new(Setup::default()).await;
    let text = "GET {}/ HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: echo\n\nearly";
    let mut client = path.request(text).await;
    let mut server = path.accepted().await;
    let head = read_head(&mut server).await;
    assert_eq!(values(&head, "Upgrade"), ["echo"]);
    assert_eq!(values(&head, "Connection"), ["Upgrade"]);
    // The head and the first bytes of the new protocol in one piece.
    write(
        &mut server,
        "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: echo\n\nfirst",
    )
    .await;
    read_until(&mut server, "early").await;
    read_until(&mut client, "\r\n\r\nfirst").await;
    client.write_all(b"ping").await.expect("is taken");
    read_until(&mut server, "ping").await;
    // Each direction ends by itself.
    server.shutdown().await.expect("half-closes");
    assert_eq!(read_to_end(&mut client).await.expect("an orderly end"), "");
    client.write_all(b"last").await.expect("is taken");
    client.shutdown().await.expect("half-closes");
    assert_eq!(
        read_to_end(&mut server).await.expect("an orderly end"),
        "last"
    );
}

/// The ends of an exchange that asks for `echo`, whose server switches to `protocol`.
async fn switched_to(protocol: &str) -> (Path, TcpStream, TcpStream) {
    let mut path = Path::new(Setup::default()).await;
    let text = "GET {}/ HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: echo\n\n";
    let client = path.request(text).await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    let text =
        format!("HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: {protocol}\n\n");
    write(&mut server, &text).await;
    (path, client, server)
}

#[tokio::test]
async fn the_end_of_a_tunnel_takes_nothing_from_a_client_that_reads_slowly() {
    const SIZE: usize = 4 << 20;
    let (_path, mut client, mut server) = switched_to("echo").await;
    read_head(&mut client).await;
    client.shutdown().await.expect("half-closes");
    assert_eq!(read_to_end(&mut server).await.expect("an orderly end"), "");
    tokio::spawn(async move {
        server.write_all(&vec![b'x'; SIZE]).await.expect("is taken");
        server.shutdown().await.expect("closes");
    });
    let mut read = 0;
    let mut bit = vec![0; 64 * 1024];
    loop {
        tokio::time::sleep(Duration::from_millis(2)).await;
        match within(client.read(&mut bit)).await {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) => panic!("{error} after {read} bytes"),
        }
    }
    assert_eq!(read, SIZE);
}

#[tokio::test]
async fn a_switch_that_was_not_offered_is_refused() {
    let (_path, mut client, _server) = switched_to("other").await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
}

#[tokio::test]
async fn a_loop_is_answered_508() {
    let near = Node::memory(Config::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    let gateway = Gateway::new(near.client.clone(), near.peer, GatewayConfig::default())
        .for_service(near.peer, name("app"));
    tokio::spawn(gateway.serve(listener, std::future::pending()));
    // The service's own server is the gateway.
    serve(&near, &name("app"), address, ForwardConfig::default()).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    write(&mut client, "GET / HTTP/1.1\nHost: localhost\n\n").await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 508 "), "{head}");
    let status = values(&head, "Proxy-Status").join(",");
    assert!(status.contains("error=proxy_loop_detected"), "{head}");
}

#[tokio::test]
async fn failures_say_which_hop_it_was() {
    let path = Path::new(Setup::default()).await;
    serve(
        &path.origin,
        &name("down"),
        // A port that was free a moment ago, with nobody behind it.
        TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port")
            .local_addr()
            .expect("is bound"),
        ForwardConfig::default(),
    )
    .await;
    let peer = path.origin.peer;
    let stranger = libp2p::PeerId::random();
    for (target, status, error) in [
        (
            format!("/http/{peer}/down/"),
            502,
            "p2p-origin; error=connection_refused",
        ),
        (
            format!("/http/{peer}/none/"),
            502,
            "p2p-gateway; error=connection_refused",
        ),
        (
            format!("/http/{}/none/", path.near.peer),
            404,
            "p2p-gateway; error=destination_not_found",
        ),
        (
            format!("/http/{stranger}/app/"),
            502,
            "p2p-gateway; error=destination_not_found",
        ),
        (
            "/http/nobody/app/".to_owned(),
            400,
            "p2p-gateway; error=http_request_error",
        ),
        (
            format!("/http/{peer}/app"),
            308,
            "p2p-gateway; error=proxy_internal_response",
        ),
    ] {
        let mut client = path
            .request(&format!(
                "GET {target} HTTP/1.1\nHost: localhost\nAccept: application/problem+json\n\n"
            ))
            .await;
        let head = read_head(&mut client).await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {head}"
        );
        assert!(
            values(&head, "Proxy-Status")[0].starts_with(error),
            "{target}: {head}"
        );
        assert_eq!(values(&head, "Content-Type"), ["application/problem+json"]);
        assert!(values(&head, "Connection").is_empty(), "goes on: {head}");
    }
}

#[tokio::test]
async fn a_peer_that_is_not_allowed_gets_403() {
    let stranger = libp2p::PeerId::random();
    let mut path = Path::new(Setup {
        forward: ForwardConfig::default().with_allowed_peers([stranger]),
        ..Setup::default()
    })
    .await;
    let mut client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    let length: usize = values(&head, "Content-Length")[0]
        .parse()
        .expect("a length");
    let mut body = vec![0; length];
    within(client.read_exact(&mut body)).await.expect("a body");
    let body = String::from_utf8(body).expect("is text");
    assert!(body.contains(&path.near.peer.to_string()), "{body}");
    assert!(path.server.try_recv().is_err(), "the server is not asked");
}

#[tokio::test]
async fn a_client_that_sends_its_head_too_slowly_gets_408() {
    let short = Duration::from_millis(200);
    let path = Path::new(Setup {
        nodes: Config::default().with_head_timeout(short),
        ..Setup::default()
    })
    .await;
    let mut client = path.request("GET {}/ HTTP/1.1\nHos").await;
    // One byte well within the timeout changes nothing: it is for the head as a whole.
    tokio::time::sleep(short / 2).await;
    client.write_all(b"t").await.expect("is taken");
    let answer = read_to_end(&mut client).await.expect("an orderly end");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_504() {
    let mut path = Path::new(Setup {
        nodes: Config::default().with_response_timeout(Some(Duration::from_millis(200))),
        ..Setup::default()
    })
    .await;
    let mut client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
}

#[tokio::test]
async fn a_server_is_left_alone_when_its_client_has_gone() {
    for begun in [false, true] {
        let mut path = Path::new(Setup::default()).await;
        let client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
        let mut server = path.accepted().await;
        read_head(&mut server).await;
        let mut client = client;
        if begun {
            write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 9\n\npart").await;
            read_until(&mut client, "part").await;
        }
        // In order, as a browser does whose tab is closed.
        drop(client);
        let end = read_to_end(&mut server).await;
        assert!(end.as_ref().map_or(true, String::is_empty), "{end:?}");
    }
}

#[tokio::test]
async fn a_half_closed_client_is_answered_where_that_is_asked_for() {
    let mut path = Path::new(Setup {
        gateway: GatewayConfig::default().with_half_closed_clients(true),
        ..Setup::default()
    })
    .await;
    let mut client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
    client.shutdown().await.expect("half-closes");
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok").await;
    let answer = read_to_end(&mut client).await.expect("an orderly end");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}
