//! Do WebSockets pass gateway and origin, between a client and a server that were written for nothing else?

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{
        Bytes, Error, Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use support::{
    data,
    node::{Node, Pair},
    wire::{Conn, Server},
    within,
};

mod support;

type Socket = WebSocketStream<TcpStream>;

/// A connection from end to end: the client's side and the server's.
async fn connect(pair: &Pair, server: &Server) -> (Socket, Socket) {
    let url = pair.url("/socket?of=test").replace("http://", "ws://");
    let client = async {
        let stream = TcpStream::connect(pair.address()).await.unwrap();
        let connected = client_async(url, stream).await;
        connected.unwrap_or_else(|error| panic!("{error}")).0
    };
    let serve = async {
        let stream = server.accept().await.into_stream();
        accept_async(stream).await.unwrap()
    };
    within("the handshake", async { tokio::join!(client, serve) }).await
}

async fn next(socket: &mut Socket) -> Result<Message, Error> {
    let next = within("a message", socket.next()).await;
    next.expect("the WebSocket is open")
}

#[tokio::test]
async fn messages_of_every_kind_and_size_arrive_in_both_directions() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let (mut client, mut served) = connect(&pair, &server).await;
    let messages = [
        Message::text(""),
        Message::text("hello, peer \u{1f44b}"),
        Message::binary(vec![]),
        Message::binary(data::bytes(125)),
        Message::binary(data::bytes(126)),
        Message::binary(data::bytes(65_535)),
        Message::binary(data::bytes(65_536)),
        Message::binary(data::bytes(1024 * 1024)),
        Message::text("x".repeat(1024 * 1024)),
    ];
    for message in &messages {
        pass(message, &mut client, &mut served).await;
        pass(message, &mut served, &mut client).await;
    }
}

/// Sends a message and receives it at the other end, at the same time: it may be larger than all buffers in between.
async fn pass(message: &Message, from: &mut Socket, to: &mut Socket) {
    let both = async { tokio::join!(from.send(message.clone()), next(to)) };
    let (sent, got) = within("a message", both).await;
    sent.unwrap();
    assert!(got.unwrap() == *message, "another message");
}

#[tokio::test]
async fn pings_are_answered_by_the_other_end() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let (mut client, mut served) = connect(&pair, &server).await;
    ping(&mut client, &mut served).await;
    ping(&mut served, &mut client).await;
}

async fn ping(from: &mut Socket, to: &mut Socket) {
    let payload = Bytes::from_static(b"are you there?");
    from.send(Message::Ping(payload.clone())).await.unwrap();
    // The library answers while it reads.
    assert_eq!(next(to).await.unwrap(), Message::Ping(payload.clone()));
    to.flush().await.unwrap();
    assert_eq!(next(from).await.unwrap(), Message::Pong(payload));
}

#[tokio::test]
async fn many_messages_keep_their_order() {
    const COUNT: u32 = 10_000;
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let (client, mut served) = connect(&pair, &server).await;
    let (mut sending, mut receiving) = client.split();
    let send = async {
        for number in 0..COUNT {
            sending
                .feed(Message::text(number.to_string()))
                .await
                .unwrap();
        }
        sending.flush().await.unwrap();
    };
    let echo = async {
        for _ in 0..COUNT {
            let message = next(&mut served).await.unwrap();
            served.feed(message).await.unwrap();
        }
        served.flush().await.unwrap();
    };
    let receive = async {
        for number in 0..COUNT {
            let message = receiving.next().await.unwrap().unwrap();
            assert_eq!(message, Message::text(number.to_string()));
        }
    };
    within("all messages", async { tokio::join!(send, echo, receive) }).await;
}

#[tokio::test]
async fn either_side_can_close_and_its_reason_arrives() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let reason = CloseFrame {
        code: CloseCode::Away,
        reason: "enough for today".into(),
    };
    for server_closes in [true, false] {
        let (mut client, mut served) = connect(&pair, &server).await;
        let closing = if server_closes {
            &mut served
        } else {
            &mut client
        };
        closing.close(Some(reason.clone())).await.unwrap();
        let (of_client, of_server) = within("the end", async {
            tokio::join!(to_the_end(client), to_the_end(served))
        })
        .await;
        // One is told the reason, the other that it was understood.
        assert_eq!(of_client, [Message::Close(Some(reason.clone()))]);
        assert_eq!(of_server, [Message::Close(Some(reason.clone()))]);
    }
}

/// All messages until both directions ended in order; then the connection is let go.
async fn to_the_end(mut socket: Socket) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(message) = socket.next().await {
        messages.push(message.unwrap());
    }
    messages
}

#[tokio::test]
async fn a_side_that_vanishes_ends_the_other() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    for server_vanishes in [true, false] {
        let (client, served) = connect(&pair, &server).await;
        let (vanishing, mut other) = if server_vanishes {
            (served, client)
        } else {
            (client, served)
        };
        drop(vanishing);
        match within("the end", other.next()).await {
            Some(Err(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    // A tunnel that ended takes nothing with it.
    let (mut client, mut served) = connect(&pair, &server).await;
    client.send(Message::text("still here")).await.unwrap();
    assert_eq!(
        next(&mut served).await.unwrap(),
        Message::text("still here")
    );
}

#[tokio::test]
async fn a_peer_that_is_killed_ends_the_web_socket() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let (mut client, mut served) = connect(&pair, &server).await;
    client.send(Message::text("before")).await.unwrap();
    assert_eq!(next(&mut served).await.unwrap(), Message::text("before"));
    pair.origin.kill().await;
    for socket in [&mut client, &mut served] {
        let ended = within("the end", socket.next()).await;
        assert!(matches!(ended, Some(Err(_))), "{ended:?}");
    }
}

/// What follows the head of the switch in the same write must not get lost in a buffer.
#[tokio::test]
async fn bytes_that_were_read_ahead_are_not_lost() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let target = pair.path("/socket");
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let serve = async {
        let mut conn = server.accept().await;
        let request = conn.head().await;
        let accept = derive_accept_key(request.all("Sec-WebSocket-Key")[0].as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        // A text frame of two letters (RFC 6455 section 5.2) right behind the head.
        conn.send([head.as_bytes(), b"\x81\x02hi"].concat()).await;
        let stream = conn.into_stream();
        (
            request,
            WebSocketStream::from_raw_socket(stream, Role::Server, None).await,
        )
    };
    let ask = async {
        let mut conn = Conn::connect(pair.address()).await;
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        conn.send(head).await;
        let response = conn.head().await;
        (response, conn.exactly(4).await, conn)
    };
    let ((request, mut served), (response, first, mut client)) = tokio::join!(serve, ask);
    assert_eq!(request.all("Upgrade"), ["websocket"]);
    assert_eq!(request.all("Connection"), ["Upgrade"]);
    assert_eq!(response.status(), 101);
    assert_eq!(response.all("Upgrade"), ["websocket"]);
    assert_eq!(response.all("Connection"), ["Upgrade"]);
    assert_eq!(
        response.all("Sec-WebSocket-Accept"),
        ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
    );
    assert_eq!(first, b"\x81\x02hi");
    // And the other way: a masked frame, with a mask of zeros.
    client.send(b"\x81\x82\0\0\0\0ho").await;
    assert_eq!(next(&mut served).await.unwrap(), Message::text("ho"));
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_response() {
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    let stream = TcpStream::connect(pair.address()).await.unwrap();
    let url = pair.url("/socket").replace("http://", "ws://");
    let refuse = server.answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot you");
    let (refused, _) = tokio::join!(client_async(url, stream), refuse);
    let Err(Error::Http(response)) = refused else {
        panic!("{:?}", refused.map(|_| ()))
    };
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn a_forwarded_port_has_web_sockets_at_its_root() {
    let server = Server::bind().await;
    let origin = Node::serve(&[("app", &server.target())], &[]).await;
    let forward = Node::forward(&origin, "app").await;
    let address = forward.http("forward ");
    let client = async {
        let stream = TcpStream::connect(address).await.unwrap();
        client_async(format!("ws://{address}/"), stream)
            .await
            .unwrap()
            .0
    };
    let serve = async {
        accept_async(server.accept().await.into_stream())
            .await
            .unwrap()
    };
    let (mut client, mut served) =
        within("the handshake", async { tokio::join!(client, serve) }).await;
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(next(&mut served).await.unwrap(), Message::text("hello"));
}
