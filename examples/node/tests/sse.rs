//! Do server-sent events arrive one by one and at once, and does the server notice that nobody listens any more?

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use support::{
    node::Pair,
    program::Curl,
    wire::{Conn, Server},
    within,
};

mod support;

/// How old an event may be when it arrives.
const FRESH: Duration = Duration::from_millis(50);

/// How often a machine that is busy with something else may spoil the measurement. What delays events by itself, a
/// buffer or a timer, delays some in every round.
const ROUNDS: usize = 5;

const EVENTS: usize = 50;

/// How an event is framed.
type Frame = fn(&str) -> String;

/// Each way to send a body whose end nobody knows yet, by its fields.
const WAYS: [(&str, Frame); 2] = [
    ("Transfer-Encoding: chunked\r\n", |event| {
        format!("{:x}\r\n{event}\r\n", event.len())
    }),
    ("Connection: close\r\n", str::to_owned),
];

/// A server that sends events, and curl that listens.
async fn listen(
    curl: &Curl,
    pair: &Pair,
    server: &Server,
    fields: &str,
) -> (Conn, Child, Lines<BufReader<ChildStdout>>) {
    let mut child = curl
        .command([
            "--no-buffer",
            "-H",
            "Accept: text/event-stream",
            &pair.url("/events"),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{fields}\r\n");
    let (conn, _) = server.answer(head).await;
    (conn, child, lines)
}

#[tokio::test]
async fn each_event_arrives_within_50_ms_of_being_sent() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    for (fields, frame) in WAYS {
        let mut slowest: Vec<Duration> = Vec::new();
        while slowest.last().is_none_or(|slowest| *slowest > FRESH) {
            assert!(
                slowest.len() < ROUNDS,
                "{fields:?}: the slowest of each round took {slowest:?}"
            );
            let (mut conn, _child, mut lines) = listen(&curl, &pair, &server, fields).await;
            let mut delays = Vec::new();
            for number in 0..EVENTS {
                // The next event is sent when this one has arrived: none can push another out of a buffer.
                let event = format!("data: {number}\n\n");
                let sent = Instant::now();
                conn.send(frame(&event)).await;
                let line = within("an event", lines.next_line()).await.unwrap();
                delays.push(sent.elapsed());
                assert_eq!(line, Some(format!("data: {number}")));
                assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(""));
            }
            slowest.extend(delays.iter().max());
        }
    }
}

#[tokio::test]
async fn the_server_notices_that_the_listener_left() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    for (fields, frame) in WAYS {
        let (mut conn, mut child, mut lines) = listen(&curl, &pair, &server, fields).await;
        conn.send(frame("data: first\n\n")).await;
        let line = within("an event", lines.next_line()).await.unwrap();
        assert_eq!(line.as_deref(), Some("data: first"));
        child.kill().await.unwrap();
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        let noticed = async {
            // As an application would: it sends, now and then.
            while conn.try_send(frame("data: more\n\n")).await.is_ok() {
                pause.tick().await;
            }
        };
        within("the server to notice", noticed).await;
    }
}

#[tokio::test]
async fn the_end_of_the_events_is_the_end_of_the_response() {
    let Some(curl) = Curl::find() else { return };
    let server = Server::bind().await;
    let pair = Pair::start(&server.target()).await;
    for ((fields, frame), end) in WAYS.into_iter().zip(["0\r\n\r\n", ""]) {
        let (mut conn, child, mut lines) = listen(&curl, &pair, &server, fields).await;
        conn.send(frame("data: only\n\n") + end).await;
        drop(conn);
        let line = within("an event", lines.next_line()).await.unwrap();
        assert_eq!(line.as_deref(), Some("data: only"));
        let output = within("curl", child.wait_with_output()).await.unwrap();
        assert!(output.status.success(), "{fields:?}: {:?}", output.status);
    }
}
