//! How does a test say and see every byte of HTTP/1.1? With sockets, and no library in between.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, ToSocketAddrs},
};

use super::within;

/// A server that accepts when the test says so.
pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn new(listener: TcpListener) -> Self {
        Self(listener)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// What `--to` takes.
    pub(crate) fn target(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) async fn accept(&self) -> Conn {
        let (stream, _) = within("a connection to the server", self.0.accept())
            .await
            .unwrap();
        Conn::new(stream)
    }

    /// Accepts a connection and answers its first request; returns what it read.
    pub(crate) async fn answer(&self, response: impl AsRef<[u8]>) -> (Conn, Message) {
        let mut conn = self.accept().await;
        let request = conn.message().await;
        conn.send(response).await;
        (conn, request)
    }
}

/// One end of a TCP connection.
pub(crate) struct Conn {
    stream: TcpStream,
    /// What was read and not used.
    buffer: Vec<u8>,
}

/// A head, and the body that it declares.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) line: String,
    /// The fields in their order, names as they were written.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let fields = lines
            .map(|line| line.split_once(':').unwrap_or_else(|| panic!("{line:?}")))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Self {
            line,
            fields,
            body: Vec::new(),
        }
    }

    /// Every value of a field; the case of the name does not matter.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter();
        let same = fields.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// The names of all fields, as they were written.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        let status = self.line.split(' ').nth(1).unwrap_or_default();
        status.parse().unwrap_or_else(|_| panic!("{:?}", self.line))
    }

    /// The body, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Conn {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn connect(address: impl ToSocketAddrs) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    /// Sends everything.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within("the other side to read", self.try_send(bytes))
            .await
            .unwrap();
    }

    /// Sends everything, if the other side is still there.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends a GET and returns its response.
    pub(crate) async fn get(&mut self, target: &str) -> Message {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.send(request).await;
        self.message().await
    }

    /// Reads a head, and nothing behind it.
    pub(crate) async fn head(&mut self) -> Message {
        let end = self.find(b"\r\n\r\n").await;
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        Message::parse(&head)
    }

    /// Reads a head and the body that it declares. Without one there is no body: responses that end by closing, and
    /// those to HEAD, are for the test to read.
    pub(crate) async fn message(&mut self) -> Message {
        let mut message = self.head().await;
        if message.all("Transfer-Encoding") == ["chunked"] {
            loop {
                let chunk = self.chunk().await;
                if chunk.is_empty() {
                    break;
                }
                message.body.extend(chunk);
            }
        } else if let [length] = message.all("Content-Length")[..] {
            message.body = self.exactly(length.parse().unwrap()).await;
        }
        message
    }

    /// Reads a chunk; the last one is empty, and has no trailers here.
    pub(crate) async fn chunk(&mut self) -> Vec<u8> {
        let end = self.find(b"\r\n").await;
        let line: Vec<u8> = self.buffer.drain(..end).collect();
        let size = std::str::from_utf8(&line).unwrap().trim_end();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("chunk {size:?}"));
        let mut chunk = self.exactly(size + 2).await;
        assert_eq!(chunk.split_off(size), b"\r\n");
        chunk
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            let more = within("the rest of a body", self.fill()).await.unwrap();
            assert!(more, "ended after {} of {count} bytes", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    /// Reads until the other side sends no more; an error where it was not an orderly end.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        while within("the end of a connection", self.fill()).await? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// What came and was not asked for.
    pub(crate) fn surplus(&self) -> &[u8] {
        &self.buffer
    }

    /// Sends no more; what comes can still be read.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Ends the connection as a crash does: with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// The socket, where nothing was read ahead.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert_eq!(self.buffer, b"");
        self.stream
    }

    async fn find(&mut self, what: &[u8]) -> usize {
        loop {
            let mut windows = self.buffer.windows(what.len());
            if let Some(start) = windows.position(|window| window == what) {
                return start + what.len();
            }
            let more = within("a head or a chunk", self.fill()).await.unwrap();
            let sofar = self.buffer.escape_ascii();
            assert!(more, "ended where more was expected, after \"{sofar}\"");
        }
    }

    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}
