//! A stream that is lent out for one exchange, half by half, and finds its way home.

use std::{
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};

use crate::{
    error::{ExchangeError, Wait},
    h1::Role,
    hop::{Hop, Reader, Writer},
    io::Io,
    timer::Watchdog,
    wake::{Side, Sides},
};

/// The place that a stream holds among the streams of its connection. Dropping it frees the place.
pub(crate) trait Seat<R: Role>: Send + 'static {
    /// Whether the stream is to end with the exchange.
    fn is_last(&self) -> bool {
        false
    }

    /// Both halves are back, whatever became of the exchange: reusable, to be closed, or to be reset.
    fn returned(self, hop: Hop<R>);
}

/// Joins the two halves of a stream again once both have been given back.
pub(crate) struct Lease<R: Role, S>(Arc<Mutex<Parts<R, S>>>);

struct Parts<R: Role, S> {
    reader: Option<Box<Reader<R>>>,
    writer: Option<Box<Writer<R>>>,
    seat: Option<S>,
    /// Whether the client waits for the word that its body is wanted (`Expect: 100-continue`, RFC 9110 section 10.1.1).
    expects: bool,
    interim: Interim,
    /// Whoever waits for the reading half to come back, to watch the peer by it.
    watcher: Option<Waker>,
}

/// Interim responses that leave before anything else is written. Either half of the stream may bring them on their way, and
/// one half may be waited for in vain.
#[derive(Default)]
struct Interim {
    unsent: BytesMut,
    /// Whether some of it may not have left yet.
    pending: bool,
    watchdog: Watchdog,
    waiting: Sides,
}

/// The word that a body is wanted.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<R: Role, S> Clone for Lease<R, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Role, S: Seat<R>> Lease<R, S> {
    pub(crate) fn new(seat: S, expects_continue: bool) -> Self {
        Self(Arc::new(Mutex::new(Parts {
            reader: None,
            writer: None,
            seat: Some(seat),
            expects: expects_continue,
            interim: Interim::default(),
            watcher: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Parts<R, S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn return_reader(&self, reader: Box<Reader<R>>) {
        self.give_back(|parts| parts.reader = Some(reader));
    }

    pub(crate) fn return_writer(&self, writer: Box<Writer<R>>) {
        self.give_back(|parts| parts.writer = Some(writer));
    }

    fn give_back(&self, put: impl FnOnce(&mut Parts<R, S>)) {
        let mut parts = self.lock();
        put(&mut parts);
        if parts.reader.is_none() || parts.writer.is_none() {
            let watcher = parts.watcher.take();
            drop(parts);
            if let Some(watcher) = watcher {
                watcher.wake();
            }
            return;
        }
        let halves = (parts.reader.take(), parts.writer.take(), parts.seat.take());
        let interim = mem::take(&mut parts.interim.unsent);
        // The seat has locks of its own.
        drop(parts);
        if let (Some(reader), Some(mut writer), Some(seat)) = halves {
            writer.go_on_with(interim);
            seat.returned(Hop { reader, writer });
        }
    }

    /// Takes the reading half and the seat for good, for an exchange that became a tunnel. `None` while somebody
    /// still reads.
    pub(crate) fn take_for_tunnel(&self) -> Option<(Box<Reader<R>>, S)> {
        let mut parts = self.lock();
        let reader = parts.reader.take()?;
        Some((reader, parts.seat.take()?))
    }

    /// Whether the reading half has come back complete; `None` while somebody still reads.
    pub(crate) fn is_read(&self) -> Option<bool> {
        let parts = self.lock();
        let reader = parts.reader.as_ref()?;
        Some(reader.decoder().is_complete())
    }

    /// Waits until the peer is gone, as far as that can be told: not before its message was read to its end.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<ExchangeError> {
        let mut parts = self.lock();
        match &mut parts.reader {
            Some(reader) if reader.decoder().is_complete() => reader.poll_gone(cx),
            Some(_) => Poll::Pending, // given up: what the peer still sends, nobody reads
            None => {
                parts.watcher = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Tells a waiting client to go on, because its body is wanted.
    pub(crate) fn poll_continue(
        &self,
        cx: &Context<'_>,
        reader: &Reader<R>,
    ) -> Poll<Result<(), ExchangeError>> {
        let mut parts = self.lock();
        if mem::take(&mut parts.expects) {
            parts.interim.add(CONTINUE);
        }
        let limit = reader.config().body_gap_timeout();
        parts
            .interim
            .poll_sent(cx, Side::Reader, reader.io(), limit)
    }

    /// Sends an interim response with the next [`poll_settle`](Self::poll_settle).
    pub(crate) fn add_interim(&self, head: &[u8]) {
        self.lock().interim.add(head);
    }

    /// Finishes the interim responses that were begun, before anything else is written.
    pub(crate) fn poll_settle(
        &self,
        cx: &Context<'_>,
        writer: &Writer<R>,
    ) -> Poll<Result<(), ExchangeError>> {
        let limit = writer.config().body_gap_timeout();
        let mut parts = self.lock();
        parts
            .interim
            .poll_sent(cx, Side::Writer, writer.io(), limit)
    }

    /// A final response begins. Whether it is the last of the stream: because that is to end, because a body was given
    /// up, whose bytes no next request can follow, or because the client still waits for the word that its body is wanted,
    /// as the response answers that, and nobody can know then if it sends its body.
    pub(crate) fn begin_final(&self) -> bool {
        let mut parts = self.lock();
        let given_up = |reader: &Reader<R>| !reader.decoder().is_complete();
        mem::take(&mut parts.expects)
            || parts.reader.as_deref().is_some_and(given_up)
            || parts.seat.as_ref().is_some_and(Seat::is_last)
    }
}

impl Interim {
    fn add(&mut self, head: &[u8]) {
        self.unsent.extend_from_slice(head);
        self.pending = true;
    }

    fn poll_sent(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        io: &Io,
        limit: Duration,
    ) -> Poll<Result<(), ExchangeError>> {
        if !self.pending {
            return Poll::Ready(Ok(()));
        }
        let waker = self.waiting.waker(cx, side);
        let cx = &mut Context::from_waker(&waker);
        let sent = self.poll_leave(cx, io);
        self.watchdog.watch(cx, (Wait::Body, limit), sent)
    }

    fn poll_leave(&mut self, cx: &mut Context<'_>, io: &Io) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let count = ready!(io.poll_write(cx, &self.unsent))?;
            self.unsent.advance(count);
            self.watchdog.progress();
        }
        ready!(io.poll_flush(cx))?;
        self.pending = false;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, executor::block_on};

    use super::*;
    use crate::{
        arrival::await_request,
        body::Body,
        config::Config,
        h1::Server,
        io::stub::{Manner, Stub},
    };

    const LIMIT: Duration = Duration::from_millis(50);

    struct Nowhere;

    impl Seat<Server> for Nowhere {
        fn returned(self, _: Hop<Server>) {}
    }

    /// A request whose client waits for the word that its body is wanted, and takes so many bytes.
    fn asked(room: usize) -> (Stub, Lease<Server, Nowhere>, Hop<Server>) {
        let head =
            b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        let stream = Stub::new(Manner {
            input: head.to_vec(),
            room,
            ..Manner::default()
        });
        let config = Config::default().with_body_gap_timeout(LIMIT);
        let mut hop = Hop::new(stream.clone(), &Arc::new(config));
        let head = block_on(await_request(&mut hop)).expect("is read");
        assert!(head.context().expect_continue);
        (stream, Lease::new(Nowhere, true), hop)
    }

    #[test]
    fn a_client_that_does_not_take_the_word_is_not_waited_for() {
        let (_stream, lease, hop) = asked(3);
        let mut body = Body::lend(hop.reader, lease.clone(), None);
        let chunk = block_on(body.chunk());
        assert!(
            matches!(chunk, Err(ExchangeError::Timeout { .. })),
            "{chunk:?}"
        );
        drop(hop.writer);
    }

    #[test]
    fn interim_responses_of_both_halves_leave_one_after_the_other() {
        let (stream, lease, hop) = asked(20);
        let mut body = Body::lend(hop.reader, lease.clone(), None);
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        lease.add_interim(hints);
        let cx = Context::from_waker(Waker::noop());
        assert!(lease.poll_settle(&cx, &hop.writer).is_pending());
        stream.manner().room = usize::MAX;
        assert!(body.chunk().now_or_never().is_none(), "the body is to come");
        assert!(lease.poll_settle(&cx, &hop.writer).is_ready());
        assert_eq!(stream.manner().taken, [&hints[..], CONTINUE].concat());
        assert!(!lease.begin_final());
    }

    /// Keeps the stream for the test.
    struct Kept(std::sync::mpsc::Sender<Hop<Server>>);

    impl Seat<Server> for Kept {
        fn returned(self, hop: Hop<Server>) {
            self.0.send(hop).expect("the test goes on");
        }
    }

    #[test]
    fn an_interim_response_that_was_begun_is_finished_by_whoever_has_the_stream_next() {
        let (stream, _, hop) = asked(20);
        let (sender, receiver) = std::sync::mpsc::channel();
        let lease = Lease::new(Kept(sender), false);
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        lease.add_interim(hints);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(lease.poll_settle(cx, &hop.writer).is_pending());
        lease.return_reader(hop.reader);
        lease.return_writer(hop.writer);
        let mut hop = receiver.recv().expect("is back");
        stream.manner().room = usize::MAX;
        assert!(hop.writer.poll_flush(cx).is_ready());
        assert_eq!(stream.manner().taken, hints);
    }
}
