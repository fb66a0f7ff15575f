//! Who sends bytes that no HTTP library would send, and who watches what becomes of them?

pub(crate) mod nodes;
pub(crate) mod peer;
pub(crate) mod requests;
pub(crate) mod responses;
pub(crate) mod watcher;

use std::{future::Future, io};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::support::within;

/// A byte stream of any kind.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Bytes for T {}

/// Opens byte streams to one place.
pub(crate) trait Door {
    fn open(&mut self) -> impl Future<Output = Box<dyn Bytes>>;
}

/// Sends everything, if the other side is still there: it may have refused what it read before.
pub(crate) async fn send(stream: &mut (impl Bytes + ?Sized), bytes: impl AsRef<[u8]>) {
    let sent = async {
        stream.write_all(bytes.as_ref()).await?;
        stream.flush().await
    };
    let _: io::Result<()> = within("the other side to read", sent).await;
}

/// Reads until the stream ends, in whatever way. Says what came, and whether the end was orderly.
pub(crate) async fn rest(stream: &mut (impl Bytes + ?Sized)) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let end = within("the end of a stream", stream.read_to_end(&mut bytes)).await;
    (bytes, end.is_ok())
}

/// Reads one response. It panics where there is none, or bytes came behind it.
pub(crate) async fn response(stream: &mut (impl Bytes + ?Sized)) -> Response {
    let mut bytes = Vec::new();
    loop {
        match Response::parse(&bytes) {
            Some((response, used)) if used == bytes.len() => return response,
            Some(_) => panic!("more than one response: \"{}\"", bytes.escape_ascii()),
            None => {
                let read = within("a response", stream.read_buf(&mut bytes)).await;
                let more = read.is_ok_and(|count| count > 0);
                assert!(more, "a response was cut: \"{}\"", bytes.escape_ascii());
            }
        }
    }
}

/// Sends a GET that nobody can find fault with, and returns its response.
pub(crate) async fn get(stream: &mut (impl Bytes + ?Sized), target: &str) -> Response {
    send(
        stream,
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    )
    .await;
    response(stream).await
}

/// A whole response, as the simplest of readers finds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// All of the head, interim ones before it included.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first response in `bytes`, if it is whole, and how long it is. One that only the end of the connection ends
    /// is never whole: no node sends that to a client that speaks HTTP/1.1.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let head = head_end(bytes)?;
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let status: u16 = text.get(9..12)?.parse().ok()?;
        if matches!(status, 100 | 102..=199) {
            let (mut response, length) = Self::parse(&bytes[head..])?;
            response.head.insert_str(0, &text);
            return Some((response, head + length));
        }
        let (body, length) = if matches!(status, 101 | 204 | 304) {
            (Vec::new(), 0)
        } else {
            body(&text, &bytes[head..])?
        };
        let response = Self {
            status,
            head: text,
            body,
        };
        Some((response, head + length))
    }

    /// Whether it says that the connection ends.
    pub(crate) fn closes(&self) -> bool {
        let head = self.head.to_ascii_lowercase();
        head.contains("\r\nconnection: close\r\n")
    }
}

/// Where a head ends, if it does.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

/// The value of a field of a head, the name in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    lines
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The body behind a head that a node wrote, which is canonical, and how many bytes it takes; `None` where it is cut.
fn body(head: &str, mut bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let all = bytes.len();
    if field(head, "transfer-encoding").is_none() {
        let length = field(head, "content-length")?.parse().ok()?;
        return Some((bytes.get(..length)?.to_vec(), length));
    }
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = str::from_utf8(&bytes[..line]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        bytes = &bytes[line + 2..];
        if size == 0 {
            let end = if bytes.starts_with(b"\r\n") {
                2
            } else {
                head_end(bytes)?
            };
            return Some((body, all - bytes.len() + end));
        }
        body.extend(bytes.get(..size)?);
        bytes = bytes.get(size + 2..)?;
    }
}
