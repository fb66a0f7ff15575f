//! The writing half of an inbound exchange: how a request is answered.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use futures::AsyncWrite;

use crate::{
    config::Config,
    date::put_date,
    error::ExchangeError,
    h1::{Fields, Length, RequestContext, ResponseHead, Sending, Server, StatusLine, Version},
    hop::{Hop, Pump, Writer},
    ids::InboundRequestId,
    lease::Lease,
    link::{InboundSeat, Link},
    message::Response,
    payload::Payload,
    tunnel::Upgraded,
};

/// Answers one request, from any task.
///
/// Dropping it unanswered makes the node answer 500 on its behalf and report
/// [`InboundFailure::ResponseOmitted`](crate::InboundFailure::ResponseOmitted), so that a requester never waits in
/// vain.
#[must_use = "a responder that is dropped answers the request with 500"]
pub struct Responder {
    half: Half,
    context: RequestContext,
    link: Arc<Link>,
    config: Arc<Config>,
    request_id: InboundRequestId,
}

/// The lent half, which goes home when it is dropped.
struct Half {
    /// `None` only once it has gone.
    writer: Option<Box<Writer<Server>>>,
    lease: Lease<Server, Box<InboundSeat>>,
}

impl Half {
    fn writer(&mut self) -> &mut Writer<Server> {
        self.writer.as_mut().expect("only dropping takes it")
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.lease.return_writer(writer);
        }
    }
}

impl Responder {
    pub(crate) fn lend(
        writer: Box<Writer<Server>>,
        lease: Lease<Server, Box<InboundSeat>>,
        context: RequestContext,
        link: Arc<Link>,
        config: Arc<Config>,
        request_id: InboundRequestId,
    ) -> Self {
        Self {
            half: Half {
                writer: Some(writer),
                lease,
            },
            context,
            link,
            config,
            request_id,
        }
    }

    /// The request that this answers.
    #[must_use]
    pub fn request_id(&self) -> InboundRequestId {
        self.request_id
    }

    /// Whether the request asks to switch protocols, so that [`upgrade`](Self::upgrade) may answer it.
    #[must_use]
    pub fn can_upgrade(&self) -> bool {
        self.context.upgrade
    }

    /// Sends a whole response. The future is done when the stream has taken all of it. Dropped before, it ends the exchange as a
    /// responder or a [`BodyWriter`] does that is dropped.
    ///
    /// # Errors
    ///
    /// The stream failed or stopped taking bytes, the source of the body failed, or the head holds fields that are
    /// not the application's to set (those of framing and of the connection).
    pub fn send(
        mut self,
        response: Response<impl Into<Payload>>,
    ) -> impl Future<Output = Result<(), ExchangeError>> + Send {
        let head = response.head;
        let payload: Payload = response.body.into();
        let length = payload.length();
        let mut source = payload.into_source();
        // Not an `async fn`, whose future would have room for all of this twice: it moves into a task for each request.
        async move {
            self.begin(&head, length).await?;
            let mut pump = Pump::default();
            let Half { writer, lease } = &mut self.half;
            let writer = writer.as_mut().expect("only dropping takes it");
            poll_fn(|cx| match pump.poll(cx, &mut source, writer, Some) {
                Poll::Ready(moved) => Poll::Ready(moved.map_err(ExchangeError::from)),
                // A body may be quiet for long, and nobody should be kept busy for a peer that has gone.
                Poll::Pending => lease.poll_gone(cx).map(Err),
            })
            .await
        }
    }

    /// Waits until the peer is gone, so that work on an answer that nobody waits for can be given up: its stream was
    /// reset, or has failed. Not before its request was read to its end; until then, reading tells.
    ///
    /// A peer that only ended its own direction waits for the answer and is not gone. Dropping the future loses nothing.
    pub async fn gone(&mut self) -> ExchangeError {
        poll_fn(|cx| self.poll_gone(cx)).await
    }

    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<ExchangeError> {
        self.half.lease.poll_gone(cx)
    }

    /// Sends the head of a response whose body is written bit by bit. With [`Length::Known`] exactly so many bytes
    /// must follow; with [`Length::Chunked`] any number, and with [`Length::Absent`] none.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn start(
        mut self,
        head: ResponseHead,
        length: Length,
    ) -> Result<BodyWriter, ExchangeError> {
        self.begin(&head, length).await?;
        Ok(BodyWriter { half: self.half })
    }

    /// Sends an interim response such as 103 Early Hints (RFC 9110 section 15.2) ahead of the final one. Requests
    /// of HTTP/1.0 get none.
    ///
    /// # Errors
    ///
    /// The status is not an interim one, or the stream failed.
    pub async fn send_interim(&mut self, head: &ResponseHead) -> Result<(), ExchangeError> {
        if self.context.version == Version::Http10 {
            return Ok(());
        }
        // Sent as what a reader of the body sends, so that the two cannot come into each other.
        let mut interim = BytesMut::new();
        self.half.writer().encode(|encoder, _| {
            encoder.interim_with(head.into(), &mut interim, |fields| {
                fields.put_all(head.fields())
            })
        })?;
        self.half.lease.add_interim(&interim);
        self.settle().await
    }

    /// Switches protocols: sends `101 Switching Protocols` with `protocol` as its `Upgrade` field and `fields`
    /// beside it, and gives the tunnel.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::NotSwitched`] where the request did not ask for it or its body is still being read;
    /// otherwise as [`send`](Self::send).
    pub async fn upgrade(
        mut self,
        protocol: &str,
        fields: &Fields,
    ) -> Result<Upgraded, ExchangeError> {
        if !self.context.upgrade || self.half.lease.is_read() != Some(true) {
            return Err(ExchangeError::NotSwitched);
        }
        let context = self.context;
        self.settle().await?;
        let writer = self.half.writer();
        writer.encode(|encoder, out| {
            let line = StatusLine {
                status: 101,
                reason: b"Switching Protocols",
            };
            let sending = Sending {
                upgrade: Some(protocol.as_bytes()),
                ..Sending::default()
            };
            encoder.response_with(&context, line, sending, out, |writer| {
                writer.put_all(fields)
            })
        })?;
        poll_fn(|cx| writer.poll_flush(cx)).await?;
        let parts = self.half.lease.take_for_tunnel();
        let (Some((reader, mut seat)), Some(writer)) = (parts, self.half.writer.take()) else {
            return Err(ExchangeError::NotSwitched);
        };
        seat.leave_service();
        Ok(Upgraded::new(
            Hop { reader, writer },
            Arc::clone(&self.config),
            seat,
        ))
    }

    /// Gives the exchange up, for a peer that has gone: the stream is reset, and nobody is told.
    #[cfg(feature = "tower")]
    pub(crate) fn abandon(mut self) {
        self.half.writer = None;
    }

    /// Lets the task that drives the connection send `response`.
    pub(crate) fn send_in_background(self, response: Response<Payload>) {
        let link = Arc::clone(&self.link);
        let id = self.request_id;
        let job = Box::pin(async move {
            if let Err(error) = self.send(response).await {
                tracing::debug!(%id, error = &error as &dyn std::error::Error, "response not sent");
            }
        });
        link.leave(|inbox| inbox.jobs.push(job));
    }

    async fn settle(&mut self) -> Result<(), ExchangeError> {
        let Half { writer, lease } = &mut self.half;
        if let Some(writer) = writer {
            poll_fn(|cx| lease.poll_settle(cx, writer)).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, head: &ResponseHead, length: Length) -> Result<(), ExchangeError> {
        self.settle().await?;
        let context = self.context;
        let close = self.half.lease.begin_final();
        self.half.writer().encode(|encoder, out| {
            let sending = Sending {
                length,
                close,
                ..Sending::default()
            };
            encoder.response_with(&context, head.into(), sending, out, |fields| {
                fields.put_all(head.fields())?;
                put_date(fields, head.fields());
                Ok(())
            })
        })
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Writes the body of a response bit by bit.
///
/// What is written is sent with the next [`flush`](futures::AsyncWriteExt::flush), or when enough of it has come
/// together. The body must be ended by [`finish`](Self::finish) or [`close`](futures::AsyncWriteExt::close):
/// dropping it before resets the stream, so that a cut body never looks complete.
#[must_use = "a body that is dropped unfinished resets the stream"]
pub struct BodyWriter {
    half: Half,
}

impl BodyWriter {
    /// Ends the body, with trailers where the framing carries them.
    ///
    /// # Errors
    ///
    /// Less was written than the head declared, a trailer is one that may not stand there, or the stream failed.
    pub async fn finish(mut self, trailers: Option<Fields>) -> Result<(), ExchangeError> {
        let writer = self.half.writer();
        writer.end(trailers.as_ref())?;
        poll_fn(|cx| writer.poll_flush(cx)).await
    }

    /// Waits until the peer is gone, so that a body of which there is nothing to write for the time being can be given up: as
    /// [`Responder::gone`].
    pub async fn gone(&mut self) -> ExchangeError {
        poll_fn(|cx| self.half.lease.poll_gone(cx)).await
    }
}

impl AsyncWrite for BodyWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(ready!(self.half.writer().poll_data(cx, data))?))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(ready!(self.half.writer().poll_flush(cx))?))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = self.half.writer();
        if !writer.encoder().is_complete() {
            writer.end(None)?;
        }
        Poll::Ready(Ok(ready!(writer.poll_flush(cx))?))
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the future that a function makes.
    fn size<A, F>(_: impl FnOnce(Responder, A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn sending_takes_little_more_room_than_what_is_sent() {
        let sending = size(|responder, response: Response<Payload>| responder.send(response));
        let sent = size_of::<Responder>() + size_of::<Response<Payload>>();
        assert!(sending < sent + 256, "{sending} bytes for {sent}");
    }
}
