//! Does what has no end by itself pass at once: events, and a WebSocket?

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use axum::{
    body::Bytes,
    http::{Method, StatusCode, header},
};
use futures::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    super::client::{empty, field},
    Site, connect,
};
use crate::demo::pattern;

/// Time between the events of the clock, and the most that one may be late: an event that waits for the next is buffered
/// somewhere.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn events(site: &Site) -> Result<String> {
    const EVENTS: u32 = 5;
    let mut connection = connect(site).await?;
    let path = site.path(format_args!("clock?every={}", TICK.as_millis()));
    let request = connection
        .request(Method::GET, &path)
        .header(header::ACCEPT, "text/event-stream")
        .body(empty())?;
    let (head, mut body) = connection.send(request).await?.into_parts();
    ensure!(head.status == StatusCode::OK, "status {}", head.status);
    ensure!(
        field(&head.headers, header::CONTENT_TYPE)? == "text/event-stream",
        "not an event stream"
    );
    let (mut text, mut seen, mut slowest) = (String::new(), 0, Duration::ZERO);
    while seen < EVENTS {
        let piece = body.frame().await.context("the stream ended")??;
        text.push_str(&String::from_utf8_lossy(
            piece.data_ref().unwrap_or(&Bytes::new()),
        ));
        while let Some((event, rest)) = text.split_once("\n\n") {
            seen += 1;
            let late = lateness(event, seen)?;
            ensure!(
                late < TICK,
                "event {seen} was held back for {} ms",
                late.as_millis()
            );
            slowest = slowest.max(late);
            text = rest.to_owned();
        }
    }
    Ok(format!(
        "{EVENTS} events, each on its own, at most {} ms late",
        slowest.as_millis()
    ))
}

/// How long ago the event was sent, if it is the one with this number.
fn lateness(event: &str, number: u32) -> Result<Duration> {
    let value = |name| {
        event
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    ensure!(
        value("id") == Some(&number.to_string()),
        "expected event {number}, got {event:?}"
    );
    let sent = value("data")
        .and_then(|data| data.parse().ok())
        .context("an event without a time")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.saturating_sub(Duration::from_millis(sent)))
}

pub(super) async fn web_socket(site: &Site) -> Result<String> {
    let stream = TcpStream::connect(site.gateway).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(site.url("echo", "echo"), stream)
        .await
        .context("no WebSocket")?;
    let binary: Bytes = pattern::pieces(200_000).flatten().collect();
    for message in [
        Message::text("hello, peer ✓"),
        Message::Binary(binary),
        Message::text(""),
    ] {
        socket.send(message.clone()).await?;
        ensure!(
            next(&mut socket).await? == message,
            "another message came back"
        );
    }
    let bye = CloseFrame {
        code: CloseCode::Normal,
        reason: "done".into(),
    };
    socket.close(Some(bye.clone())).await?;
    match next(&mut socket).await? {
        Message::Close(Some(frame)) if frame.code == bye.code => {}
        other => bail!("expected the close to be answered, got {other:?}"),
    }
    ensure!(
        socket.next().await.is_none(),
        "the connection goes on after the close"
    );
    Ok("text and 200 kB binary came back, close was answered".to_owned())
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Result<Message> {
    socket
        .next()
        .await
        .context("the WebSocket ended")?
        .context("the WebSocket broke")
}
