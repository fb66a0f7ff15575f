//! What does whoever stands behind a node see of it? Every byte is written down, and answered as a test says.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Notify, watch},
};

use super::{Bytes, body, field, head_end};
use crate::support::within;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Which stream it came on, in the order in which they were opened.
    pub(crate) stream: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// What follows on an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    Next,
    /// Nothing more; what comes is written down and not answered.
    Stay,
    /// As soon as the test says so, a response that nobody asked for.
    Late,
    /// The orderly end of the stream.
    Close,
    /// The same bytes for ever.
    Again,
}

/// How requests are answered. The first one is asked with the head alone, to answer before the body has come; the second
/// one with the whole request.
pub(crate) trait Script: Send + Sync + 'static {
    fn early(&self, _target: &str) -> Option<Answer> {
        None
    }

    fn answer(&self, request: &Request) -> Answer;
}

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// All requests that came whole, in their order.
    pub(crate) requests: Vec<Request>,
    /// For each stream, what came and is no whole request, and whether the stream has ended.
    pub(crate) streams: Vec<(Vec<u8>, bool)>,
}

impl Seen {
    /// `METHOD target` of every request.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.requests.iter();
        lines
            .map(|request| format!("{} {}", request.method, request.target))
            .collect()
    }

    /// What came and is no whole request, on any stream.
    pub(crate) fn scraps(&self) -> Vec<String> {
        let streams = self.streams.iter().map(|(bytes, _)| bytes);
        let scraps = streams.filter(|bytes| !bytes.is_empty());
        scraps
            .map(|bytes| bytes.escape_ascii().to_string())
            .collect()
    }
}

/// Watches the streams that it is given.
#[derive(Clone)]
pub(crate) struct Watcher {
    seen: watch::Sender<Seen>,
    script: Arc<dyn Script>,
    late: Arc<Notify>,
}

/// A response that nobody asked for.
const LATE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

impl Watcher {
    pub(crate) fn new(script: impl Script) -> Self {
        Self {
            seen: watch::Sender::new(Seen::default()),
            script: Arc::new(script),
            late: Arc::default(),
        }
    }

    /// Watches everything that connects to a new TCP port.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let this = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                this.watch(stream);
            }
        });
        address
    }

    /// Watches a stream, and answers its requests.
    pub(crate) fn watch(&self, stream: impl Bytes) {
        let mut place = 0;
        self.seen.send_modify(|seen| {
            place = seen.streams.len();
            seen.streams.push((Vec::new(), false));
        });
        let this = self.clone();
        tokio::spawn(async move {
            let mut stream = stream;
            // However it ends, it has ended.
            let _ = this.serve(&mut stream, place).await;
            this.seen.send_modify(|seen| seen.streams[place].1 = true);
        });
    }

    /// Has the stream that waits for it send what nobody asked for.
    pub(crate) fn send_late(&self) {
        self.late.notify_one();
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until what was seen is as described.
    pub(crate) async fn until(&self, what: &str, is_it: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let seen = within(what, seen.wait_for(is_it)).await.unwrap();
        seen.clone()
    }

    async fn serve(&self, stream: &mut impl Bytes, place: usize) -> io::Result<()> {
        loop {
            let answer = loop {
                if let Some(answer) = self.answer(place) {
                    break answer;
                }
                if !self.read(stream, place).await? {
                    return Ok(());
                }
            };
            stream.write_all(&answer.bytes).await?;
            stream.flush().await?;
            match answer.then {
                Then::Next => {}
                Then::Late => {
                    self.late.notified().await;
                    stream.write_all(LATE).await?;
                    stream.flush().await?;
                    while self.read(stream, place).await? {}
                }
                Then::Stay => while self.read(stream, place).await? {},
                Then::Close => {
                    stream.shutdown().await?;
                    while self.read(stream, place).await? {}
                }
                Then::Again => loop {
                    stream.write_all(&answer.bytes).await?;
                    stream.flush().await?;
                },
            }
            if answer.then != Then::Next {
                return Ok(());
            }
        }
    }

    /// Reads once more.
    async fn read(&self, stream: &mut impl Bytes, place: usize) -> io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        let count = stream.read(&mut bytes).await?;
        self.seen
            .send_modify(|seen| seen.streams[place].0.extend(&bytes[..count]));
        Ok(count > 0)
    }

    /// The answer to the request that has come, if one has.
    fn answer(&self, place: usize) -> Option<Answer> {
        let mut answer = None;
        self.seen.send_if_modified(|seen| {
            let bytes = &mut seen.streams[place].0;
            let Some((request, used)) = parse(bytes, place) else {
                let target = head_end(bytes).and_then(|end| target(&bytes[..end]));
                answer = target.and_then(|target| self.script.early(&target));
                return false;
            };
            bytes.drain(..used);
            answer = Some(self.script.answer(&request));
            seen.requests.push(request);
            true
        });
        answer
    }
}

fn target(head: &[u8]) -> Option<String> {
    let head = str::from_utf8(head).ok()?;
    head.split(' ').nth(1).map(str::to_owned)
}

/// The first request in `bytes`, if it is whole, and its length. What a node sends is canonical, so this may be simple.
fn parse(bytes: &[u8], stream: usize) -> Option<(Request, usize)> {
    let end = head_end(bytes)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let has_body = ["content-length", "transfer-encoding"]
        .iter()
        .any(|name| field(&head, name).is_some());
    let (body, length) = if has_body {
        body(&head, &bytes[end..])?
    } else {
        (Vec::new(), 0)
    };
    let mut words = head.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let request = Request {
        stream,
        method,
        target,
        head,
        body,
    };
    Some((request, end + length))
}
