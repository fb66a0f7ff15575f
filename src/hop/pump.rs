//! Moves a body from where it comes from to the stream that it goes to, in the task that wants it moved.

use std::{
    io,
    task::{Context, Poll, ready},
};

use crate::{
    error::ExchangeError,
    h1::{Fields, Role},
    hop::{reader::Reader, writer::Writer},
};

/// How often a body that is always ready moves on before other work of the task gets its turn: with buffers of
/// 64 KiB, at most 1 MiB.
const ROUNDS: usize = 16;

/// Where body bytes come from: they are lent, and taken when they have been used.
pub(crate) trait Source {
    /// Waits until there are bytes, `true`, or the body is over, `false`.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>>;

    /// The bytes at hand.
    fn data(&self) -> &[u8];

    fn consume(&mut self, count: usize);

    /// The trailers of a body that is over.
    fn take_trailers(&mut self) -> Option<Fields> {
        None
    }

    /// Reads as [`AsyncRead`](futures::AsyncRead) does.
    fn poll_copy(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(0));
        }
        let data = self.data();
        let count = data.len().min(buffer.len());
        buffer[..count].copy_from_slice(&data[..count]);
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}

impl<R: Role> Source for Reader<R> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
        self.poll_body(cx)
    }

    fn data(&self) -> &[u8] {
        Reader::data(self)
    }

    fn consume(&mut self, count: usize) {
        Reader::consume(self, count);
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        // Left where they are: a request whose hop turns out to be dead is moved a second time.
        self.trailers().cloned()
    }
}

/// Which end of the move failed.
#[derive(Debug)]
pub(crate) enum PumpError {
    Source(ExchangeError),
    Sink(ExchangeError),
}

impl From<PumpError> for ExchangeError {
    fn from(error: PumpError) -> Self {
        match error {
            PumpError::Source(error) | PumpError::Sink(error) => error,
        }
    }
}

/// How far the move of one body has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pump {
    #[default]
    Moving,
    /// All was taken from the source and is on its way to the stream.
    Flushing,
    Done,
}

impl Pump {
    /// Moves what can be moved. Ready when the whole message has left.
    pub(crate) fn poll<R: Role>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl Source + ?Sized),
        sink: &mut Writer<R>,
        filter: impl Fn(Fields) -> Option<Fields>,
    ) -> Poll<Result<(), PumpError>> {
        for _ in 0..ROUNDS {
            match self {
                Self::Done => return Poll::Ready(Ok(())),
                Self::Flushing => {
                    ready!(sink.poll_flush(cx)).map_err(PumpError::Sink)?;
                    *self = Self::Done;
                }
                Self::Moving => match source.poll_fill(cx).map_err(PumpError::Source)? {
                    Poll::Ready(true) => {
                        let sent = sink.poll_data(cx, source.data());
                        let count = ready!(sent).map_err(PumpError::Sink)?;
                        source.consume(count);
                    }
                    Poll::Ready(false) => {
                        let trailers = source.take_trailers().and_then(&filter);
                        sink.end(trailers.as_ref()).map_err(PumpError::Sink)?;
                        *self = Self::Flushing;
                    }
                    Poll::Pending => {
                        // Nothing more for now: what is buffered must not wait for it.
                        if let Poll::Ready(result) = sink.poll_flush(cx) {
                            result.map_err(PumpError::Sink)?;
                        }
                        return Poll::Pending;
                    }
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
