//! How are there many streams in one? By yamux, within the limits of both sides.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use yamux::{Config, Connection, ConnectionError, Mode};

/// Streams at a time in one WebSocket. More requests wait for one: yamux ends the whole connection past its limit.
const STREAMS: usize = 256;

/// Streams that yamux counts. One that was dropped counts until the other side has been told.
const COUNTED: usize = 2 * STREAMS;

/// What all streams together may hold that nobody has read yet: the least that yamux takes for so many.
const WINDOW: usize = COUNTED * yamux::DEFAULT_CREDIT as usize;

/// Where streams can be had. Cloned by all who need them.
#[derive(Clone)]
pub(crate) struct Opener {
    asks: mpsc::Sender<oneshot::Sender<yamux::Stream>>,
    room: Arc<Semaphore>,
}

/// The place of a stream among those of its connection.
pub(crate) type Place = OwnedSemaphorePermit;

/// What an [`Opener`] asks for.
pub(crate) type Asks = mpsc::Receiver<oneshot::Sender<yamux::Stream>>;

/// A connection and all that moves on it: it opens streams for an [`Opener`], or takes those of the other side.
pub(crate) struct Streams<T> {
    connection: Connection<T>,
    asks: Asks,
    /// Somebody for whom a stream is being opened.
    waiting: Option<oneshot::Sender<yamux::Stream>>,
    /// For streams of the other side.
    room: Arc<Semaphore>,
}

fn settings() -> Config {
    let mut config = Config::default();
    config.set_max_num_streams(COUNTED);
    config.set_max_connection_receive_window(Some(WINDOW));
    config
}

impl<T: AsyncRead + AsyncWrite + Unpin> Streams<T> {
    /// The side that opens streams, each when somebody asks.
    pub(crate) fn opening(io: T, asks: Asks) -> Self {
        Self::new(io, Mode::Client, asks)
    }

    /// The side that takes streams.
    pub(crate) fn taking(io: T) -> Self {
        let (_, nobody) = mpsc::channel(1);
        Self::new(io, Mode::Server, nobody)
    }

    fn new(io: T, mode: Mode, asks: Asks) -> Self {
        Self {
            connection: Connection::new(io, settings(), mode),
            asks,
            waiting: None,
            room: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    /// The next stream of the other side; `None` at the end of the connection. Must be polled for anything to move.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub(crate) async fn next(&mut self) -> Result<Option<MuxStream>, ConnectionError> {
        poll_fn(|cx| {
            self.poll_open(cx)?;
            let stream = ready!(self.connection.poll_next_inbound(cx)).transpose()?;
            Poll::Ready(Ok(stream.map(|stream| {
                let place = Arc::clone(&self.room).try_acquire_owned().ok();
                MuxStream::new(stream, place)
            })))
        })
        .await
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Result<(), ConnectionError> {
        loop {
            if self.waiting.is_none()
                && let Poll::Ready(Some(ask)) = self.asks.poll_recv(cx)
            {
                self.waiting = Some(ask);
            }
            let Some(waiting) = &self.waiting else {
                return Ok(());
            };
            if waiting.is_closed() {
                self.waiting = None;
                continue;
            }
            let Poll::Ready(stream) = self.connection.poll_new_outbound(cx) else {
                return Ok(());
            };
            if let Some(waiting) = self.waiting.take() {
                // Whoever asked may have gone in this moment.
                let _unwanted = waiting.send(stream?);
            }
        }
    }

    /// Opens no more streams. Who still asks for one is told that the connection has ended.
    pub(crate) fn open_no_more(&mut self) {
        self.waiting = None;
        self.asks.close();
        while self.asks.try_recv().is_ok() {}
    }

    /// Ends the connection, and all streams with it.
    pub(crate) async fn close(mut self) {
        if let Err(error) = poll_fn(|cx| self.connection.poll_close(cx)).await {
            tracing::debug!(%error, "a connection failed while it was closed");
        }
    }
}

impl Opener {
    /// For a connection that is still to be made. Who asks meanwhile waits.
    pub(crate) fn new() -> (Self, Asks) {
        let (sender, asks) = mpsc::channel(STREAMS);
        let room = Arc::new(Semaphore::new(STREAMS));
        (Self { asks: sender, room }, asks)
    }

    /// Takes a place for a stream, if there is one.
    pub(crate) fn take_place(&self) -> Option<Place> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Opens a stream, at a place that was taken or when there is one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ConnectionRefused`] if the connection has ended.
    pub(crate) async fn open(&self, place: Option<Place>) -> io::Result<MuxStream> {
        let gone = || io::Error::new(io::ErrorKind::ConnectionRefused, "it has gone");
        let place = match place {
            Some(place) => place,
            None => Arc::clone(&self.room)
                .acquire_owned()
                .await
                .map_err(|_| gone())?,
        };
        let (ask, answer) = oneshot::channel();
        self.asks.send(ask).await.map_err(|_| gone())?;
        let stream = answer.await.map_err(|_| gone())?;
        Ok(MuxStream::new(stream, Some(place)))
    }

    /// How many more streams there is room for.
    pub(crate) fn room(&self) -> usize {
        self.room.available_permits()
    }

    /// Done when no stream is in use. Then a connection that opens no more is of no use either.
    pub(crate) async fn unused(&self) {
        // It fails where the semaphore is closed, which nobody does.
        drop(self.room.acquire_many(STREAMS as u32).await);
    }

    /// Whether the connection has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.asks.is_closed()
    }

    /// Whether both are of one connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.asks.same_channel(&other.asks)
    }
}

/// A stream, which tells a reset from an orderly end.
pub(crate) struct MuxStream {
    stream: yamux::Stream,
    /// We ended our direction.
    closed: bool,
    /// `None` for a stream beyond the limit.
    place: Option<Place>,
}

impl MuxStream {
    fn new(stream: yamux::Stream, place: Option<Place>) -> Self {
        Self {
            stream,
            closed: false,
            place,
        }
    }

    /// Whether it is one of no more than the other side may open.
    pub(crate) fn has_place(&self) -> bool {
        self.place.is_some()
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        // yamux reads a reset as an end. One end closes a half; both are closed by a reset only, unless we ended ours.
        if count == 0 && !buffer.is_empty() && self.stream.is_closed() && !self.closed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    use super::*;

    /// Both sides, driven, and what the taking side takes.
    fn pair() -> (Opener, mpsc::UnboundedReceiver<MuxStream>) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (opener, asks) = Opener::new();
        let mut opening = Streams::opening(near.compat(), asks);
        let mut taking = Streams::taking(far.compat());
        let (sender, taken) = mpsc::unbounded_channel();
        tokio::spawn(async move { drop(opening.next().await) });
        tokio::spawn(async move {
            while let Ok(Some(stream)) = taking.next().await {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        (opener, taken)
    }

    /// A new stream, from both sides.
    async fn stream(
        opener: &Opener,
        taken: &mut mpsc::UnboundedReceiver<MuxStream>,
    ) -> (MuxStream, MuxStream) {
        let mut near = opener.open(None).await.unwrap();
        near.write_all(b"x").await.unwrap();
        let mut far = taken.recv().await.unwrap();
        far.read_exact(&mut [0; 1]).await.unwrap();
        (near, far)
    }

    #[tokio::test]
    async fn an_end_is_told_from_a_reset() {
        let (opener, mut taken) = pair();
        for in_order in [true, false] {
            let (mut near, mut far) = stream(&opener, &mut taken).await;
            far.write_all(b"part").await.unwrap();
            if in_order {
                far.close().await.unwrap();
            }
            drop(far);
            let mut read = Vec::new();
            let end = near.read_to_end(&mut read).await;
            assert_eq!(end.is_ok(), in_order, "{end:?}");
            assert_eq!(read, b"part");
        }
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_wait() {
        let (opener, mut taken) = pair();
        let mut held = Vec::new();
        for _ in 0..STREAMS {
            held.push(stream(&opener, &mut taken).await);
        }
        assert_eq!(opener.room(), 0);
        assert!(futures::poll!(Box::pin(opener.unused())).is_pending());
        let waiting = tokio::spawn({
            let opener = opener.clone();
            async move { opener.open(None).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        held.pop();
        waiting.await.unwrap().unwrap();
        held.clear();
        opener.unused().await;
    }

    #[tokio::test]
    async fn without_the_other_side_there_is_no_stream() {
        let (opener, asks) = Opener::new();
        let waiting = tokio::spawn({
            let opener = opener.clone();
            async move { opener.open(None).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(asks);
        for error in [
            waiting.await.unwrap().unwrap_err(),
            opener.open(None).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
        assert!(opener.is_gone());
    }

    #[tokio::test]
    async fn who_asks_too_late_gets_none() {
        let (near, _far) = tokio::io::duplex(1024);
        let (opener, asks) = Opener::new();
        let mut streams = Streams::opening(near.compat(), asks);
        let early = opener.open(None);
        futures::pin_mut!(early);
        assert!(futures::poll!(&mut early).is_pending());
        streams.open_no_more();
        assert!(opener.is_gone());
        for error in [early.await.err(), opener.open(None).await.err()] {
            let kind = error.map(|error| error.kind());
            assert_eq!(kind, Some(io::ErrorKind::ConnectionRefused));
        }
    }

    #[tokio::test]
    async fn the_end_of_the_connection_is_a_reset_of_its_streams() {
        let (opener, mut taken) = pair();
        let (mut near, far) = stream(&opener, &mut taken).await;
        drop(taken);
        // The task that drives the other side ends with the next stream that nobody takes.
        let mut last = opener.open(None).await.unwrap();
        last.write_all(b"x").await.unwrap();
        let error = near.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        drop(far);
    }
}
