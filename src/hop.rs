//! One HTTP/1.1 connection: a byte stream with a half that reads messages and a half that writes them.

mod buffer;
mod pump;
mod reader;
mod spare;
mod writer;

use std::{future::poll_fn, sync::Arc, time::Duration};

use crate::{
    config::Config,
    error::ExchangeError,
    h1::{self, CloseReason, Role, Server},
    io::{Io, Transport},
};

pub(crate) use self::{
    buffer::ReadBuffer,
    pump::{Pump, PumpError, Source},
    reader::Reader,
    writer::Writer,
};

/// How long a peer has, at the end of a service, to get the last bytes of a response: what has not arrived is lost with the
/// connection, which may end next. A peer that has them closes its stream within [two seconds](crate::exchanges).
pub(crate) const LINGER: Duration = Duration::from_secs(10);

/// How much is read of what nobody will answer, so that an orderly end arrives at who sends it.
const LINGERING_BYTES: usize = 4 * 1024 * 1024;

/// A hop that nobody has lent out.
///
/// Its halves are boxed once for the life of the stream, because they move a lot: between the handler, queues and the
/// futures of exchanges, each of which would otherwise have room for all of it.
pub(crate) struct Hop<R: Role> {
    pub(crate) reader: Box<Reader<R>>,
    pub(crate) writer: Box<Writer<R>>,
}

impl<R: Role> Hop<R> {
    pub(crate) fn new(transport: impl Transport, config: &Arc<Config>) -> Self {
        let (read, write) = Io::pair(transport);
        Self {
            reader: Box::new(Reader::new(read, Arc::clone(config))),
            writer: Box::new(Writer::new(write, Arc::clone(config))),
        }
    }

    /// Whether another exchange may follow on this stream, and why not.
    pub(crate) fn reuse(&self) -> Result<(), CloseReason> {
        h1::reuse(self.reader.decoder(), self.writer.encoder())?;
        self.writer.check_sent()
    }

    /// Makes ready for the next exchange. Only after [`reuse`](Self::reuse) allowed it.
    pub(crate) fn begin(&mut self) {
        self.reader.begin();
        self.writer.begin();
    }

    /// Gives back the buffers, which are not needed between two exchanges.
    pub(crate) fn rest(&mut self) {
        self.reader.rest();
        self.writer.rest();
    }

    /// Gives back what is not needed while nobody waits on the hop, either.
    pub(crate) fn sleep(&mut self) {
        self.rest();
        self.reader.forget_waiting();
        self.writer.forget_waiting();
    }

    /// As [`try_close`](Self::try_close), of a stream that has nobody left to tell if it fails.
    pub(crate) async fn close(self) {
        if let Err(error) = self.try_close().await {
            tracing::debug!(%error, "stream failed while it was closed");
        }
    }

    /// Ends the stream in order: what was written arrives, and then the end.
    pub(crate) async fn try_close(mut self) -> Result<(), ExchangeError> {
        poll_fn(|cx| self.writer.poll_close(cx)).await
    }

    /// Ends the stream in order, and waits until the other side has ended it, too: for at most `limit` since the wait
    /// for it [began](Reader::start_waiting). Whatever carries the stream may throw away what has not arrived if it is
    /// closed or reset before, as the kernel and QUIC do.
    pub(crate) async fn linger(mut self, limit: Duration) -> Result<(), ExchangeError> {
        poll_fn(|cx| self.writer.poll_close(cx)).await?;
        let mut left = LINGERING_BYTES;
        poll_fn(|cx| self.reader.poll_last(cx, limit, &mut left)).await;
        Ok(())
    }
}

impl Hop<Server> {
    /// Makes ready for the next request. Only on a fresh stream, or after [`reuse`](Self::reuse) allowed it.
    pub(crate) fn begin_request(&mut self) {
        if self.reader.decoder().is_complete() {
            self.reader.decoder_mut().next_request();
        }
        self.begin();
        self.rest();
    }
}
