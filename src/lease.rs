//! A stream that is lent out for one exchange, half by half, and finds its way home.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use crate::{
    error::ExchangeError,
    h1::Role,
    hop::{Hop, Reader, Writer},
    io::Io,
};

/// The place that a stream holds among the streams of its connection. Dropping it frees the place.
pub(crate) trait Seat<R: Role>: Send + 'static {
    /// Both halves are back, whatever became of the exchange: reusable, to be closed, or to be reset.
    fn returned(self, hop: Hop<R>);
}

/// Joins the two halves of a stream again once both have been given back.
pub(crate) struct Lease<R: Role, S>(Arc<Mutex<Parts<R, S>>>);

struct Parts<R: Role, S> {
    reader: Option<Box<Reader<R>>>,
    writer: Option<Box<Writer<R>>>,
    seat: Option<S>,
    expectation: Expectation,
    /// Whoever waits for the reading half to come back, to watch the peer by it.
    watcher: Option<Waker>,
}

/// Where a client that sent `Expect: 100-continue` stands (RFC 9110 section 10.1.1).
enum Expectation {
    /// It waits for nothing, or no longer.
    None,
    /// It waits for the word that its body is wanted.
    Waiting,
    /// That word is being written; so many bytes of it have been.
    Answering(usize),
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
        let expectation = if expects_continue {
            Expectation::Waiting
        } else {
            Expectation::None
        };
        Self(Arc::new(Mutex::new(Parts {
            reader: None,
            writer: None,
            seat: Some(seat),
            expectation,
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
        // The seat has locks of its own.
        drop(parts);
        if let (Some(reader), Some(writer), Some(seat)) = halves {
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

    /// Tells a waiting client to go on, because its body is wanted. Both halves may drive this, as the stream
    /// takes the few bytes.
    pub(crate) fn poll_continue(&self, cx: &mut Context<'_>, io: &Io) -> Poll<io::Result<()>> {
        let mut parts = self.lock();
        if matches!(parts.expectation, Expectation::Waiting) {
            parts.expectation = Expectation::Answering(0);
        }
        poll_answer(&mut parts.expectation, cx, io)
    }

    /// Finishes the word that was begun, before anything else is written.
    pub(crate) fn poll_settle(&self, cx: &mut Context<'_>, io: &Io) -> Poll<io::Result<()>> {
        poll_answer(&mut self.lock().expectation, cx, io)
    }

    /// A final response answers the expectation. Whether the client was still waiting: nobody can know then if it
    /// sends its body.
    pub(crate) fn end_expectation(&self) -> bool {
        let mut parts = self.lock();
        let waiting = matches!(parts.expectation, Expectation::Waiting);
        if waiting {
            parts.expectation = Expectation::None;
        }
        waiting
    }
}

fn poll_answer(
    expectation: &mut Expectation,
    cx: &mut Context<'_>,
    io: &Io,
) -> Poll<io::Result<()>> {
    let Expectation::Answering(written) = expectation else {
        return Poll::Ready(Ok(()));
    };
    while *written < CONTINUE.len() {
        *written += ready!(io.poll_write(cx, &CONTINUE[*written..]))?;
    }
    ready!(io.poll_flush(cx))?;
    *expectation = Expectation::None;
    Poll::Ready(Ok(()))
}
