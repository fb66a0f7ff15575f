//! What does hyper write, and what was meant by it?

use std::convert::Infallible;

use futures::stream;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body, Bytes, Frame},
    header::HeaderValue,
};

use super::{
    hyper_reader::{written_request, written_response},
    reading::{Kind, Lines, Message},
};

/// A body that hyper sends, and what is to be read.
struct Sent {
    body: BoxBody<Bytes, Infallible>,
    content: &'static [u8],
    trailers: bool,
    /// What the message ends in.
    tail: &'static [u8],
}

/// Bodies of every framing.
fn bodies() -> Vec<Sent> {
    let chunks = |trailers: bool| {
        let mut frames = vec![
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x0\r\n\r\n"))),
            Ok(Frame::data(Bytes::from_static(b"GET / HTTP/1.1\r\n"))),
        ];
        if trailers {
            let mut fields = HeaderMap::new();
            fields.insert("x-sum", HeaderValue::from_static("1 2"));
            frames.push(Ok(Frame::trailers(fields)));
        }
        StreamBody::new(stream::iter(frames)).boxed()
    };
    let chunked = b"x0\r\n\r\nGET / HTTP/1.1\r\n";
    vec![
        Sent {
            body: Empty::new().boxed(),
            content: b"",
            trailers: false,
            tail: b"\r\n\r\n",
        },
        Sent {
            body: Full::new(Bytes::from_static(b"hello\r\n\r\n")).boxed(),
            content: b"hello\r\n\r\n",
            trailers: false,
            tail: b"hello\r\n\r\n",
        },
        Sent {
            body: chunks(false),
            content: chunked,
            trailers: false,
            tail: b"\r\n0\r\n\r\n",
        },
        Sent {
            body: chunks(true),
            content: chunked,
            trailers: true,
            tail: b"\r\n0\r\nx-sum: 1 2\r\n\r\n",
        },
    ]
}

/// The requests of a client of hyper.
pub(crate) async fn requests() -> Vec<(Vec<u8>, Message)> {
    let mut written = Vec::new();
    for method in ["GET", "HEAD", "POST", "PUT", "X-ODD"] {
        // A GET or HEAD of hyper has no body of unknown length.
        let bodies = bodies().into_iter().filter(|sent| {
            !matches!(method, "GET" | "HEAD")
                || sent.body.is_end_stream()
                || sent.body.size_hint().exact().is_some()
        });
        for sent in bodies {
            let request = Request::builder()
                .method(method)
                .uri("/a//b/../c?d=%2f&e")
                .header("Host", "a.example:8080")
                .header(
                    "X-Text",
                    HeaderValue::from_bytes(b"caf\xe9 \t!").expect("valid"),
                )
                .header("Trailer", "x-sum")
                .body(sent.body)
                .expect("a valid request");
            let start = format!("{method} /a//b/../c?d=%2f&e HTTP/1.1");
            let fields: [(&str, &[u8]); 2] =
                [("Host", b"a.example:8080"), ("X-Text", b"caf\xe9 \t!")];
            let meant = message(start, Lines::new(fields), sent.content, sent.trailers);
            written.push((written_request(request, sent.tail).await, meant));
        }
    }
    written
}

/// The responses of a server of hyper.
pub(crate) async fn responses() -> Vec<(Kind, Vec<u8>, Message)> {
    const REQUESTS: [(Kind, &str); 3] = [
        (
            Kind::ToGet,
            "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
        ),
        (Kind::ToHead, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (Kind::ToGet, "GET / HTTP/1.0\r\n\r\n"),
    ];

    let mut written = Vec::new();
    for (kind, request) in REQUESTS {
        for status in [200, 204, 304, 404, 599] {
            for sent in bodies() {
                let no_body = kind == Kind::ToHead || matches!(status, 204 | 304);
                let is_http10 = request.contains("HTTP/1.0");
                let response = Response::builder()
                    .status(StatusCode::from_u16(status).expect("valid"))
                    .header("Date", "now")
                    .header("Trailer", "x-sum")
                    .body(sent.body)
                    .expect("a valid response");
                let version = if is_http10 { "HTTP/1.0" } else { "HTTP/1.1" };
                let content = if no_body { b"" } else { sent.content };
                let meant = message(
                    format!("{version} {status}"),
                    Lines::new([("Date", "now")]),
                    content,
                    sent.trailers && !no_body && !is_http10,
                );
                let input = written_response(request.as_bytes(), response).await;
                written.push((kind, input, meant));
            }
        }
    }
    written
}

fn message(start: String, fields: Lines, content: &[u8], trailers: bool) -> Message {
    let trailers = trailers.then_some(("X-Sum", "1 2"));
    Message {
        body: content.to_vec(),
        trailers: Lines::new(trailers),
        complete: true,
        ..Message::begin(start, fields)
    }
}
