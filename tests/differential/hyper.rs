//! What does hyper make of some bytes, and what does it write?

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client, server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::reading::{End, Kind, Lines, Message, Reading};

/// More than any message of a test.
const ROOM: usize = 1024 * 1024;

type Found = Arc<Mutex<Vec<Message>>>;

pub(crate) async fn read(kind: Kind, input: &[u8]) -> Reading {
    match kind {
        Kind::Requests => requests(input).await,
        Kind::ToGet => response("GET", input).await,
        Kind::ToHead => response("HEAD", input).await,
    }
}

/// Reads requests as a server that answers each of them at once.
async fn requests(input: &[u8]) -> Reading {
    let (mut client, far) = duplex(ROOM);
    client.write_all(input).await.expect("there is room");
    client.shutdown().await.expect("the other end is there");

    let found = Found::default();
    let service = service_fn(|request: Request<Incoming>| {
        let found = Arc::clone(&found);
        async move {
            let (head, body) = request.into_parts();
            let start = format!("{} {} {:?}", head.method, head.uri, head.version);
            collect(&found, Message::begin(start, lines(&head.headers)), body).await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let served = server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(far), service)
        .await;
    reading(found, served.err())
}

/// Reads one response to a request, behind which the connection ends.
async fn response(method: &str, input: &[u8]) -> Reading {
    let (near, mut server) = duplex(ROOM);
    let found = Found::default();
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(near))
        .await
        .expect("an open stream");
    let request = Request::builder()
        .method(method)
        .uri("/")
        .header("Host", "a")
        .body(Empty::<Bytes>::new())
        .expect("a valid request");
    let answer = async {
        read_to(b"\r\n\r\n", &mut server).await;
        server.write_all(input).await.expect("there is room");
        server.shutdown().await.expect("the other end is there");
        server
    };
    let exchange = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let start = format!("{:?} {}", head.version, head.status.as_u16());
        collect(&found, Message::begin(start, lines(&head.headers)), body).await;
        Ok::<_, hyper::Error>(())
    };
    // What the connection says besides is about what comes behind the response.
    let (_server, _, result) = tokio::join!(answer, connection, exchange);
    reading(found, result.err())
}

async fn collect(found: &Found, message: Message, mut body: Incoming) {
    let place = {
        let mut found = found.lock().expect("nobody panicked");
        found.push(message);
        found.len() - 1
    };
    let complete = loop {
        match body.frame().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(frame)) => {
                let message = &mut found.lock().expect("nobody panicked")[place];
                if let Some(data) = frame.data_ref() {
                    message.body.extend(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    message.trailers = lines(trailers);
                }
            }
        }
    };
    found.lock().expect("nobody panicked")[place].complete = complete;
}

fn lines(fields: &hyper::HeaderMap) -> Lines {
    let fields = fields.iter();
    Lines::new(fields.map(|(name, value)| (name.as_str(), value.as_bytes())))
}

fn reading(found: Found, error: Option<hyper::Error>) -> Reading {
    let messages = std::mem::take(&mut *found.lock().expect("nobody panicked"));
    let end = match error {
        Some(error) if error.is_parse() => End::Refused(format!("{error:?}")),
        // The input ended, which is no fault here.
        Some(_) | None => End::Open,
    };
    Reading { messages, end }
}

async fn read_to(tail: &[u8], stream: &mut DuplexStream) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(tail) {
        read.push(stream.read_u8().await.expect("a whole message"));
    }
    read
}

/// What a client of hyper sends for `request`, which ends in `tail` and has it nowhere else.
pub(crate) async fn written_request<B>(request: Request<B>, tail: &[u8]) -> Vec<u8>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let (near, mut server) = duplex(ROOM);
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(near))
        .await
        .expect("an open stream");
    let answer = async {
        let mut written = read_to(tail, &mut server).await;
        server
            .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            .await
            .expect("there is room");
        server.read_to_end(&mut written).await.expect("its end");
        written
    };
    let (written, _, response) = tokio::join!(answer, connection, async move {
        let response = sender.send_request(request).await;
        drop(sender);
        response
    });
    response.expect("an answer");
    written
}

/// What a server of hyper sends as `response` to the request `input`.
pub(crate) async fn written_response<B>(input: &[u8], response: Response<B>) -> Vec<u8>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let (mut client, far) = duplex(ROOM);
    client.write_all(input).await.expect("there is room");
    client.shutdown().await.expect("the other end is there");
    let response = Mutex::new(Some(response));
    let service = service_fn(|_: Request<Incoming>| {
        let response = response.lock().expect("nobody panicked").take();
        async { Ok::<_, Infallible>(response.expect("one request")) }
    });
    server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(far), service)
        .await
        .expect("a valid exchange");
    let mut written = Vec::new();
    client.read_to_end(&mut written).await.expect("its end");
    written
}
