//! How does a WebSocket carry bytes? In binary messages, with pings to notice that the other side is gone.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite, Sink, Stream};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::{
    Bytes, Error, Message,
    error::ProtocolError,
    protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::leave::{LEAVING, Leave};

/// How often the other side is asked for a sign of life.
const PING: Duration = Duration::from_secs(15);

/// How long it may give none. After that its name must be free for the next.
const DEAD: Duration = Duration::from_secs(45);

/// The largest message. What a message holds is passed on as a whole, so that this is memory.
const MAX_MESSAGE: usize = 1024 * 1024;

/// What is put together for one message before it is sent.
const MESSAGE: usize = 64 * 1024;

/// The limits of both sides.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// A WebSocket as a stream of bytes. Whoever reads it also drives its pings.
pub(crate) struct Socket<S> {
    inner: S,
    /// The rest of the last message.
    read: Bytes,
    /// What is to be sent with the next flush.
    unsent: Vec<u8>,
    heard: Instant,
    /// When the next ping is due.
    ping: Pin<Box<Sleep>>,
    closing: bool,
    leave: Leave,
    /// When we are to say that we leave; `None` once it is said.
    asked: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<S> Socket<S> {
    pub(crate) fn new(inner: S, leave: Leave) -> Self {
        let now = Instant::now();
        Self {
            inner,
            read: Bytes::new(),
            unsent: Vec::new(),
            heard: now,
            ping: Box::pin(sleep_until(now + PING)),
            closing: false,
            asked: Some(Box::pin(leave.asked())),
            leave,
        }
    }
}

impl<S> Socket<S>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    /// Fails if the other side has been silent for too long, asks it for a sign of life from time to time, and tells it that
    /// we leave.
    fn poll_alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.ping.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now - self.heard >= DEAD {
                let silent = format!("nothing was heard of it for {} s", DEAD.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, silent));
            }
            self.ping.as_mut().reset(now + PING);
            // Where there is no room, enough is on its way.
            let _sent = self.poll_ping(cx, &[])?;
        }
        if let Some(asked) = &mut self.asked
            && asked.as_mut().poll(cx).is_ready()
            && self.poll_ping(cx, LEAVING)?.is_ready()
        {
            self.asked = None;
        }
        Ok(())
    }

    /// Sends a ping, if there is room for it.
    fn poll_ping(&mut self, cx: &mut Context<'_>, said: &'static [u8]) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(failed)?;
        let ping = Message::Ping(Bytes::from_static(said));
        Pin::new(&mut self.inner).start_send(ping).map_err(failed)?;
        let _sent = Pin::new(&mut self.inner).poll_flush(cx).map_err(failed)?;
        Poll::Ready(Ok(()))
    }

    /// Makes a message of what is to be sent.
    fn poll_pack(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unsent.is_empty() {
            ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(failed)?;
            let message = Message::binary(std::mem::take(&mut self.unsent));
            Pin::new(&mut self.inner)
                .start_send(message)
                .map_err(failed)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> AsyncRead for Socket<S>
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.poll_alive(cx)?;
        while this.read.is_empty() {
            let message = match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                Some(Ok(message)) => message,
                // Without a word is how a program dies.
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) | None => {
                    return Poll::Ready(Ok(0));
                }
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
            };
            this.heard = Instant::now();
            match message {
                Message::Binary(bytes) => this.read = bytes,
                Message::Close(_) => return Poll::Ready(Ok(0)),
                Message::Text(_) => {
                    let text = "a text message came, where only binary ones mean something";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
                // The library answers pings, with what they said.
                Message::Ping(said) | Message::Pong(said) if said == LEAVING => this.leave.know(),
                _ => {}
            }
        }
        let count = this.read.len().min(buffer.len());
        buffer[..count].copy_from_slice(&this.read.split_to(count));
        Poll::Ready(Ok(count))
    }
}

impl<S> AsyncWrite for Socket<S>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.unsent.len() >= MESSAGE {
            ready!(self.poll_pack(cx))?;
        }
        let count = data.len().min(MESSAGE);
        self.unsent.extend_from_slice(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pack(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx).map_err(failed)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            ready!(self.poll_pack(cx))?;
            ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(failed)?;
            let frame = CloseFrame {
                code: CloseCode::Away,
                reason: "".into(),
            };
            let close = Message::Close(Some(frame));
            Pin::new(&mut self.inner)
                .start_send(close)
                .map_err(failed)?;
            self.closing = true;
        }
        Pin::new(&mut self.inner).poll_flush(cx).map_err(failed)
    }
}

fn failed(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        Error::Capacity(_) => io::Error::new(io::ErrorKind::InvalidData, error),
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt as _, AsyncWriteExt as _, SinkExt as _, StreamExt as _};
    use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

    use super::*;

    type Raw = WebSocketStream<tokio::io::DuplexStream>;

    async fn pair() -> (Socket<Raw>, Raw) {
        let (near, far) = tokio::io::duplex(8 * MAX_MESSAGE);
        let near = WebSocketStream::from_raw_socket(near, Role::Server, Some(config())).await;
        let far = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        (Socket::new(near, Leave::default()), far)
    }

    #[tokio::test]
    async fn bytes_pass_however_they_are_put_into_messages() {
        let (mut near, far) = pair().await;
        let mut far = Socket::new(far, Leave::default());
        let sent: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        let send = async {
            for piece in sent.chunks(70_001) {
                near.write_all(piece).await.unwrap();
            }
            near.close().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = futures::join!(send, far.read_to_end(&mut received));
        read.unwrap();
        assert!(received == sent);
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_is_silent_is_pinged_and_then_given_up() {
        let (mut near, mut far) = pair().await;
        let began = Instant::now();
        // Nobody answers the pings, as nobody polls the other side.
        let error = near.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), DEAD.as_secs());
        for _ in 0..2 {
            let ping = far.next().await.unwrap().unwrap();
            assert_eq!(ping, Message::Ping(Bytes::new()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_answers_pings_is_there() {
        let (mut near, mut far) = pair().await;
        let answering = async { while let Some(Ok(_)) = far.next().await {} };
        let mut byte = [0; 1];
        let reading = tokio::time::timeout(10 * DEAD, near.read(&mut byte));
        tokio::select! {
            () = answering => panic!("the other side was given up"),
            late = reading => assert!(late.is_err(), "{late:?}"),
        }
    }

    #[tokio::test]
    async fn both_sides_know_when_one_leaves() {
        let (mut near, far) = pair().await;
        let mut far = Socket::new(far, Leave::default());
        let (leaving, left) = (near.leave.clone(), far.leave.clone());
        assert!(!leaving.is_known() && !left.is_known());
        leaving.ask();
        let known = async { futures::join!(leaving.known(), left.known()) };
        let (mut one, mut other) = ([0; 1], [0; 1]);
        tokio::select! {
            _ = known => {}
            ended = near.read(&mut one) => panic!("{ended:?}"),
            ended = far.read(&mut other) => panic!("{ended:?}"),
        }
        // Bytes pass as before.
        far.write_all(b"x").await.unwrap();
        far.flush().await.unwrap();
        near.read_exact(&mut one).await.unwrap();
        assert_eq!(one, *b"x");
    }

    #[tokio::test]
    async fn what_is_no_bytes_is_an_error() {
        for message in [
            Message::text("hello"),
            Message::binary(vec![0; MAX_MESSAGE + 1]),
        ] {
            let (mut near, mut far) = pair().await;
            far.send(message).await.unwrap();
            let error = near.read(&mut [0; 1]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let (mut near, far) = pair().await;
        drop(far);
        assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
