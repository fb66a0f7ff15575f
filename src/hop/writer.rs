//! The half of a hop that sends.

use std::{
    io, mem,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};

use super::spare;
use crate::{
    config::Config,
    error::{ExchangeError, Wait},
    h1::{CloseReason, Encoder, Fields, Misuse, Role},
    io::Io,
    timer::Watchdog,
};

/// Above this, buffered bytes are written before more are taken.
const HIGH_WATER: usize = 64 * 1024;

/// Body data up to this size joins a head that waits to be written, so that both leave in one write; copying
/// more would cost more than the write that it saves.
const COALESCE: usize = 16 * 1024;

/// Writes messages to a byte stream, in as few writes as possible.
pub(crate) struct Writer<R: Role> {
    io: Io,
    config: Arc<Config>,
    encoder: Encoder<R>,
    buffer: BytesMut,
    watchdog: Watchdog,
    /// Whether any byte of the current message has been handed to the stream.
    begun: bool,
    body_bytes: u64,
}

impl<R: Role> Writer<R> {
    pub(crate) fn new(io: Io, config: Arc<Config>) -> Self {
        Self {
            io,
            config,
            encoder: Encoder::new(),
            buffer: BytesMut::new(),
            watchdog: Watchdog::default(),
            begun: false,
            body_bytes: 0,
        }
    }

    pub(crate) fn encoder(&self) -> &Encoder<R> {
        &self.encoder
    }

    /// Encodes with `write`, which appends to what is to be sent.
    pub(crate) fn encode<T>(
        &mut self,
        write: impl FnOnce(&mut Encoder<R>, &mut BytesMut) -> Result<T, Misuse>,
    ) -> Result<T, ExchangeError> {
        if self.buffer.capacity() == 0 {
            self.buffer = spare::take_write();
        }
        Ok(write(&mut self.encoder, &mut self.buffer)?)
    }

    /// Sends first what was left of an interim response by whoever began to send it. Before anything else is encoded.
    pub(crate) fn go_on_with(&mut self, interim: BytesMut) {
        if !interim.is_empty() {
            debug_assert!(self.buffer.is_empty());
            self.buffer = interim;
        }
    }

    /// Whether all that was encoded has left, and what it is a part of otherwise.
    pub(crate) fn check_sent(&self) -> Result<(), CloseReason> {
        if self.buffer.is_empty() {
            Ok(())
        } else if R::IS_SERVER {
            Err(CloseReason::ResponseUnfinished)
        } else {
            Err(CloseReason::RequestUnfinished)
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn io(&self) -> &Io {
        &self.io
    }

    /// Body bytes sent in this exchange.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Whether any byte of the current message has been handed to the stream.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Makes ready for the next message on this stream.
    pub(crate) fn begin(&mut self) {
        self.encoder.next();
        self.begun = false;
        self.body_bytes = 0;
        self.watchdog.progress();
    }

    /// Gives back what an idle hop does not need.
    pub(crate) fn rest(&mut self) {
        if self.buffer.is_empty() {
            spare::give_write(mem::take(&mut self.buffer));
        }
    }

    /// Lets go of the task that waited last.
    pub(crate) fn forget_waiting(&mut self) {
        self.watchdog.rest();
    }

    /// An interim response has left whole, and nothing of the final one yet.
    pub(crate) fn sent_interim(&mut self) {
        self.begun = false;
    }

    /// Takes a message back, unless a byte of it has been handed to the stream.
    pub(crate) fn retract(&mut self) {
        if !self.begun {
            self.buffer.clear();
            self.encoder = Encoder::new();
        }
    }

    /// Sends some of `data` as body and says how much of it was taken.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, ExchangeError>> {
        if self.buffer.len() >= HIGH_WATER {
            ready!(self.poll_drain(cx))?;
        }
        // Before anything is written.
        self.encoder.check(data.len())?;
        let is_direct = self.encoder.direct(0)?;
        let count = if !is_direct {
            let count = data.len().min(HIGH_WATER);
            self.encoder.data(&data[..count], &mut self.buffer)?;
            if self.buffer.len() >= COALESCE
                && let Poll::Ready(Err(error)) = self.poll_drain(cx)
            {
                return Poll::Ready(Err(error));
            }
            count
        } else if self.buffer.is_empty() {
            let count = ready!(self.poll_write(cx, data))?;
            self.encoder.direct(count)?;
            count
        } else {
            let count = data.len().min(COALESCE);
            self.buffer.extend_from_slice(&data[..count]);
            self.encoder.direct(count)?;
            if count == COALESCE
                && let Poll::Ready(Err(error)) = self.poll_drain(cx)
            {
                return Poll::Ready(Err(error));
            }
            count
        };
        self.body_bytes += count as u64;
        Poll::Ready(Ok(count))
    }

    /// Ends the message. What it wrote leaves with the next [`poll_flush`](Self::poll_flush).
    pub(crate) fn end(&mut self, trailers: Option<&Fields>) -> Result<(), ExchangeError> {
        Ok(self.encoder.end(trailers, &mut self.buffer)?)
    }

    /// Hands everything to the stream and flushes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExchangeError>> {
        ready!(self.poll_drain(cx))?;
        let flushed = self.io.poll_flush(cx);
        self.watched(cx, flushed)
    }

    /// Flushes and ends our direction of the stream.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExchangeError>> {
        ready!(self.poll_drain(cx))?;
        let closed = self.io.poll_close(cx);
        self.watched(cx, closed)
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExchangeError>> {
        while !self.buffer.is_empty() {
            let count = {
                let buffer = std::mem::take(&mut self.buffer);
                let result = self.poll_write(cx, &buffer);
                self.buffer = buffer;
                ready!(result)?
            };
            if count < self.buffer.len() {
                self.buffer.advance(count);
            } else {
                // Unlike a move to the end, this leaves the room as it was.
                self.buffer.clear();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, ExchangeError>> {
        let written = self.io.poll_write(cx, data);
        self.begun |= written.is_ready();
        self.watched(cx, written)
    }

    /// What became of something that the stream does, which may not wait for longer than the gaps of a body.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<Result<T, ExchangeError>> {
        let patience = (Wait::Body, self.config.body_gap_timeout());
        self.watchdog.watch(cx, patience, done)
    }

    /// Takes the half apart: the stream and the bytes that were not written yet.
    pub(crate) fn into_parts(mut self) -> (Io, BytesMut) {
        // Handed on, which is not given up.
        self.encoder = Encoder::new();
        (self.io.clone(), mem::take(&mut self.buffer))
    }

    /// See [`Transport::abort`](crate::io::Transport::abort).
    pub(crate) fn abort(&self) {
        self.io.abort();
    }
}

impl<R: Role> Drop for Writer<R> {
    /// A response that is given up half-way must not look complete, where its end is that of the connection.
    fn drop(&mut self) {
        if R::IS_SERVER && self.encoder.is_started() && !self.encoder.is_complete() {
            self.abort();
        }
    }
}
