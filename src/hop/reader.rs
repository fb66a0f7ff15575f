//! The half of a hop that receives.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    config::Config,
    error::{ExchangeError, Wait},
    h1::{Decoder, Eof, Fields, Role, Step},
    hop::buffer::ReadBuffer,
    io::Io,
    timer::Watchdog,
};

/// How often a half-closed stream is probed for a reset, which nothing else tells of.
const PROBE: Duration = Duration::from_secs(1);

/// Reads messages from a byte stream: heads as a whole, bodies as slices of the read buffer.
pub(crate) struct Reader<R: Role> {
    io: Io,
    config: Arc<Config>,
    decoder: Decoder<R>,
    buffer: ReadBuffer,
    /// Bytes at the front of the buffer that are body and were not consumed yet.
    data: usize,
    trailers: Option<Fields>,
    watchdog: Watchdog,
    /// How long the body may be silent, if not as long as any other.
    silence: Option<Duration>,
    /// Whether any byte has arrived in this exchange.
    begun: bool,
    /// Whether any byte of the head that is awaited has arrived.
    in_head: bool,
    /// We closed our own direction.
    half_closed: bool,
    /// The peer closed its direction while nothing was read from it.
    ended: bool,
    end_means_gone: bool,
}

impl<R: Role> Reader<R> {
    pub(crate) fn new(io: Io, config: Arc<Config>) -> Self {
        Self {
            io,
            decoder: Decoder::new(Arc::clone(config.limits())),
            config,
            buffer: ReadBuffer::default(),
            data: 0,
            trailers: None,
            watchdog: Watchdog::default(),
            silence: None,
            begun: false,
            in_head: false,
            half_closed: false,
            ended: false,
            end_means_gone: false,
        }
    }

    pub(crate) fn decoder(&self) -> &Decoder<R> {
        &self.decoder
    }

    pub(crate) fn decoder_mut(&mut self) -> &mut Decoder<R> {
        &mut self.decoder
    }

    pub(crate) fn io(&self) -> &Io {
        &self.io
    }

    /// Whether any byte has arrived in this exchange.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The trailers behind a body that was read to its end, until the next message begins.
    pub(crate) fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_ref()
    }

    /// The same, given away.
    pub(crate) fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }

    /// We closed our direction, so writing can no longer tell a reset from an orderly end.
    pub(crate) fn half_closed(&mut self) {
        self.half_closed = true;
    }

    /// Makes ready for the next message on this stream.
    pub(crate) fn begin(&mut self) {
        self.trailers = None;
        self.begun = !self.buffer.is_empty();
        self.in_head = self.begun;
        self.watchdog.progress();
    }

    /// A wait for the peer begins now, whatever was waited for before.
    pub(crate) fn start_waiting(&mut self) {
        self.watchdog.progress();
    }

    /// Lets the body that follows be silent for so long, or as long as any other.
    pub(crate) fn allow_silence(&mut self, silence: Option<Duration>) {
        self.silence = silence;
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Gives back what an idle hop does not need.
    pub(crate) fn rest(&mut self) {
        self.buffer.release();
    }

    /// Lets go of the task that waited last.
    pub(crate) fn forget_waiting(&mut self) {
        self.watchdog.rest();
    }

    /// Waits for a head: at most `patience` for its first byte, and [`Config::head_timeout`] from there.
    ///
    /// A head can be followed by its own body (also an empty one), or, if it is interim, by another head.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        (wait, patience): (Wait, Option<Duration>),
    ) -> Poll<Result<R::Incoming, ExchangeError>> {
        loop {
            let (used, step) = self.decoder.decode(self.buffer.filled())?;
            let head = match step {
                Step::Head(head) => Some(head),
                Step::NeedMore => None,
                // Not in a state to receive a head: the callers wait for their turn.
                Step::Data(_) | Step::End(_) | Step::Paused => {
                    return Poll::Ready(Err(ExchangeError::Closed));
                }
            };
            self.buffer.consume(used);
            if let Some(head) = head {
                self.in_head = !self.buffer.is_empty();
                self.watchdog.progress();
                return Poll::Ready(Ok(head));
            }
            let limit = if self.in_head {
                Some((Wait::Head, self.config.head_timeout()))
            } else {
                patience.map(|limit| (wait, limit))
            };
            if ready!(self.poll_more(cx, limit))? == 0 {
                if self.in_head {
                    self.decoder.end_of_input(self.buffer.filled().len())?;
                }
                return Poll::Ready(Err(ExchangeError::Closed));
            }
            self.begun = true;
            if !self.in_head {
                self.in_head = true;
                self.watchdog.progress();
            }
        }
    }

    /// Waits until body bytes are there, `true`, or the body is over, `false`.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
        loop {
            if self.advance()? {
                return Poll::Ready(Ok(self.data > 0));
            }
            let silence = self.silence.unwrap_or(self.config.body_gap_timeout());
            let limit = (Wait::Body, silence);
            if ready!(self.poll_more(cx, Some(limit)))? == 0 {
                let leftover = self.buffer.filled().len();
                if self.decoder.check_end(leftover) == Ok(Eof::EndOfBody) {
                    // Before the decoder takes it for the end, also when it is asked again.
                    self.check_orderly_end(cx)?;
                }
                if self.decoder.end_of_input(leftover)? == Eof::Clean {
                    return Poll::Ready(Err(ExchangeError::Closed));
                }
            }
            self.watchdog.progress();
        }
    }

    /// Finds what the buffer already holds; `false` where more must be read.
    fn advance(&mut self) -> Result<bool, ExchangeError> {
        while self.data == 0 && !self.decoder.is_complete() {
            let (used, step) = self.decoder.decode(self.buffer.filled())?;
            match step {
                Step::Data(data) => {
                    self.data = data.len();
                    self.buffer.consume(used - self.data);
                }
                Step::End(trailers) => {
                    self.trailers = trailers;
                    self.buffer.consume(used);
                }
                Step::NeedMore => {
                    self.buffer.consume(used);
                    return Ok(false);
                }
                Step::Head(_) | Step::Paused => return Err(ExchangeError::Closed),
            }
        }
        Ok(true)
    }

    /// Whether all of a body that has arrived was read, and no more of it is to come.
    pub(crate) fn is_over(&mut self) -> bool {
        // An error is found again by whoever reads the body.
        let is_found = matches!(self.advance(), Ok(true));
        is_found && self.data == 0
    }

    /// Whether a message was read to its end, and nothing arrived behind it.
    pub(crate) fn is_drained(&self) -> bool {
        self.decoder.is_complete() && self.buffer.is_empty()
    }

    /// Ends a body without reading from the stream, if all that is left of it has already arrived.
    pub(crate) fn finish_buffered(&mut self) -> bool {
        loop {
            self.consume(self.data);
            match self.advance() {
                Ok(true) if self.data == 0 => return true,
                Ok(true) => {}
                Ok(false) | Err(_) => return false,
            }
        }
    }

    /// The body bytes at hand.
    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer.filled()[..self.data]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.data);
        self.data -= count;
        self.buffer.consume(count);
    }

    /// Reads once more; the number of bytes that came, 0 at the end of the input.
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        limit: Option<(Wait, Duration)>,
    ) -> Poll<Result<usize, ExchangeError>> {
        let limits = self.config.limits();
        // One more than the largest unit that must be complete to be understood.
        let most = limits.head_size().max(limits.trailers_size()) + 1;
        if let Poll::Ready(count) = self.buffer.poll_fill(&self.io, cx, most)? {
            return Poll::Ready(Ok(count));
        }
        let Some((wait, limit)) = limit else {
            return Poll::Pending;
        };
        ready!(self.watchdog.poll_expired(cx, limit));
        Poll::Ready(Err(ExchangeError::Timeout { wait, limit }))
    }

    /// A stream of libp2p that was reset reads like one that ended, and only a write tells: without this, a cut
    /// close-delimited body would look complete.
    fn check_orderly_end(&self, cx: &mut Context<'_>) -> Result<(), ExchangeError> {
        if self.half_closed {
            return Ok(());
        }
        match self.io.poll_write(cx, &[]) {
            Poll::Ready(Err(error)) => Err(ExchangeError::Io(error)),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        }
    }

    /// Looks whether an idle stream is still open and silent. Anything else makes it useless.
    pub(crate) fn poll_idle_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Surplus bytes, which nobody asked for, or the end behind the last message.
        if !self.buffer.is_empty() || self.buffer.is_last() {
            return Poll::Ready(());
        }
        let mut byte = [0; 1];
        self.io.poll_read(cx, &mut byte).map(|_| ())
    }

    /// From here on, a peer that ends its direction has gone and waits for nothing. Without this it may have half-closed
    /// behind its request, as clients of go-libp2p and js-libp2p do.
    pub(crate) fn end_means_gone(&mut self) {
        self.end_means_gone = true;
    }

    /// Waits until the peer is gone, while nothing is to be read from it: its request is complete, and its response is
    /// not.
    ///
    /// What arrives meanwhile is the next request and stays buffered, up to a few KiB.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<ExchangeError> {
        if !self.buffer.is_empty() {
            return Poll::Pending;
        }
        if !self.ended {
            match ready!(self.buffer.poll_fill(&self.io, cx, 0)) {
                Ok(0) if self.end_means_gone => return Poll::Ready(ExchangeError::Closed),
                Ok(0) => self.ended = true,
                Ok(_) => return Poll::Pending,
                Err(error) => return Poll::Ready(ExchangeError::Io(error)),
            }
            self.watchdog.progress();
        }
        // A stream that was reset reads like one that was half-closed, at once or later, and only a write tells.
        loop {
            if let Err(error) = self.check_orderly_end(cx) {
                return Poll::Ready(error);
            }
            ready!(self.watchdog.poll_expired(cx, PROBE));
            self.watchdog.progress();
        }
    }

    /// Throws away what the peer still sends, until it ends its direction or `left` bytes have come; for at most `limit`
    /// since the wait [began](Self::start_waiting).
    pub(crate) fn poll_last(
        &mut self,
        cx: &mut Context<'_>,
        limit: Duration,
        left: &mut usize,
    ) -> Poll<()> {
        let mut scratch = [0; 4096];
        while !self.ended && !self.buffer.is_last() {
            match self.io.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(count)) if count > 0 && count < *left => *left -= count,
                Poll::Ready(_) => break,
                Poll::Pending => return self.watchdog.poll_expired(cx, limit),
            }
        }
        Poll::Ready(())
    }

    /// Takes the half apart: the stream and the bytes that were read ahead.
    pub(crate) fn into_parts(self) -> (Io, ReadBuffer) {
        (self.io, self.buffer)
    }
}
