//! The body of a received message: whoever reads it polls the stream itself.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, FutureExt, Stream, future::BoxFuture};

use crate::{
    error::ExchangeError,
    h1::{self, Fields, Framing, Role},
    hop::{Reader, Source},
    lease::{Lease, Seat},
};

/// The body of a request or response that was received.
///
/// No task and no channel stands behind it: reading it reads the libp2p stream, so a body that nobody reads
/// stops its sender. A body that ends too early is an error and never looks complete.
///
/// Dropping a body that was not read to its end gives up what is left of it; the stream cannot carry another
/// exchange then, but the response to the request can still be sent.
///
/// It can be read as [`AsyncRead`], as a [`Stream`] of [`Bytes`], chunk by chunk, or at once by
/// [`collect`](Self::collect). Nothing is lost where a future that waits for a part of it is dropped. The stream ends after an
/// error; [`is_over`](Self::is_over) tells that from the end of the body.
pub struct Body {
    /// `None` once the body is over.
    source: Option<Box<dyn Source + Send>>,
    length: Option<u64>,
    /// Bytes that were read of it.
    read: u64,
    /// Whether it was cut short, or has ended as a [`Stream`] by an error. Then it is never over.
    failed: bool,
    /// Boxed, as few have any, and bodies move.
    trailers: Option<Box<Fields>>,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self {
            source: None,
            length: Some(0),
            read: 0,
            failed: false,
            trailers: None,
        }
    }

    /// Lends the reading half of a stream until the body is over. Whoever reads the body also drives `upload`,
    /// what is left of the request that it answers.
    pub(crate) fn lend<R: Role, S: Seat<R>>(
        reader: Box<Reader<R>>,
        lease: Lease<R, S>,
        upload: Option<Upload>,
    ) -> Self {
        let length = match reader.decoder().framing() {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            _ => None,
        };
        let mut lent = Lent {
            reader: Some(reader),
            lease,
            upload,
        };
        // A body that is already here in full, such as none at all, needs no stream any more.
        if length == Some(0) && lent.upload.is_none() && lent.finish_buffered() {
            return Self::empty();
        }
        Self {
            source: Some(Box::new(lent)),
            length,
            read: 0,
            failed: false,
            trailers: None,
        }
    }

    /// A body that another library has read.
    #[cfg(all(feature = "tokio", feature = "tower"))]
    pub(crate) fn from_source(source: impl Source + Send + 'static, length: Option<u64>) -> Self {
        if length == Some(0) {
            return Self::empty();
        }
        Self {
            source: Some(Box::new(source)),
            length,
            read: 0,
            failed: false,
            trailers: None,
        }
    }

    /// The length in bytes, where the message declares it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// How much of it is still to be read, where the message declares it.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.length.map(|length| length.saturating_sub(self.read))
    }

    /// Whether the body was read to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.source.is_none()
    }

    /// The trailers behind a chunked body that was read to its end (RFC 9112 section 7.1.2).
    #[must_use]
    pub fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_deref()
    }

    /// The next part of the body, of whatever size has arrived; `None` at its end.
    ///
    /// # Errors
    ///
    /// The body was cut short, is malformed, or paused for longer than
    /// [`Config::body_gap_timeout`](crate::Config::body_gap_timeout).
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Reads the whole body into memory, at most `limit` bytes. Beside it, the method of that name of `http_body_util` is
    /// called as `BodyExt::collect(body)`.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::BodyTooLarge`] for a body above `limit`, told from its declared length before any of it
    /// is read where there is one; otherwise as [`chunk`](Self::chunk).
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, ExchangeError> {
        let too_large = ExchangeError::BodyTooLarge { limit };
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(too_large);
        }
        let mut all = BytesMut::new();
        while poll_fn(|cx| self.poll_fill(cx)).await? {
            let data = self.data();
            if all.len() + data.len() > limit {
                return Err(too_large);
            }
            all.extend_from_slice(data);
            let count = data.len();
            self.consume(count);
        }
        Ok(all.freeze())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ExchangeError>> {
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(None));
        }
        let chunk = Bytes::copy_from_slice(self.data());
        self.consume(chunk.len());
        Poll::Ready(Ok(Some(chunk)))
    }
}

impl Source for Body {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(Ok(false));
        };
        let more = match ready!(source.poll_fill(cx)) {
            // What has failed has no end, though the stream has one.
            Ok(false) if self.failed => Err(ExchangeError::Malformed(h1::Error::Truncated)),
            more => more,
        };
        // Where the request that it answers failed at its source, the response may still be whole.
        self.failed |= matches!(&more, Err(error) if !matches!(error, ExchangeError::Source(_)));
        let more = more?;
        if !more {
            self.trailers = source.take_trailers().map(Box::new);
            self.source = None;
        }
        Poll::Ready(Ok(more))
    }

    fn data(&self) -> &[u8] {
        self.source.as_ref().map_or(&[], |source| source.data())
    }

    fn consume(&mut self, count: usize) {
        if let Some(source) = &mut self.source {
            source.consume(count);
            self.read += count as u64;
        }
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take().map(|trailers| *trailers)
    }
}

impl AsyncRead for Body {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_copy(cx, buffer)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, ExchangeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_chunk(cx)).transpose();
        self.failed = matches!(item, Some(Err(_)));
        Poll::Ready(item)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("length", &self.length)
            .field("over", &self.is_over())
            .finish_non_exhaustive()
    }
}

/// What remains to be sent of a request while its response is already being read.
pub(crate) type Upload = BoxFuture<'static, Result<(), ExchangeError>>;

/// A reading half away from home.
struct Lent<R: Role, S: Seat<R>> {
    /// `None` only while it is dropped.
    reader: Option<Box<Reader<R>>>,
    lease: Lease<R, S>,
    upload: Option<Upload>,
}

impl<R: Role, S: Seat<R>> Lent<R, S> {
    fn finish_buffered(&mut self) -> bool {
        self.reader
            .as_mut()
            .is_some_and(|reader| reader.finish_buffered())
    }
}

impl<R: Role, S: Seat<R>> Source for Lent<R, S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(Ok(false));
        };
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(result) = upload.poll_unpin(cx)
        {
            self.upload = None;
            result?;
        }
        // The sender may be waiting for the word that its body is wanted.
        ready!(self.lease.poll_continue(cx, reader))?;
        reader.poll_body(cx)
    }

    fn data(&self) -> &[u8] {
        self.reader.as_ref().map_or(&[], |reader| reader.data())
    }

    fn consume(&mut self, count: usize) {
        if let Some(reader) = &mut self.reader {
            reader.consume(count);
        }
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.reader
            .as_mut()
            .and_then(|reader| reader.take_trailers())
    }
}

impl<R: Role, S: Seat<R>> Drop for Lent<R, S> {
    fn drop(&mut self) {
        if let Some(mut reader) = self.reader.take() {
            // What has arrived in full needs nobody to read it for the stream to stay useful.
            reader.finish_buffered();
            self.lease.return_reader(reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::{AsyncReadExt, StreamExt, executor::block_on};

    use super::*;
    use crate::{h1::Length, payload::Payload};

    /// Comes to these ends, one behind the other.
    struct Ends(VecDeque<Result<bool, ExchangeError>>);

    impl Source for Ends {
        fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
            Poll::Ready(self.0.pop_front().unwrap_or(Ok(false)))
        }

        fn data(&self) -> &[u8] {
            b"part"
        }

        fn consume(&mut self, _: usize) {}
    }

    fn body(ends: impl IntoIterator<Item = Result<bool, ExchangeError>>) -> Body {
        Body {
            source: Some(Box::new(Ends(ends.into_iter().collect()))),
            ..Body::empty()
        }
    }

    #[test]
    fn a_body_that_was_cut_is_never_over() {
        let mut cut = body([Ok(true), Err(ExchangeError::Closed)]);
        let chunks: Vec<_> = block_on(StreamExt::by_ref(&mut cut).collect());
        assert!(matches!(chunks[..], [Ok(_), Err(ExchangeError::Closed)]));
        assert!(!cut.is_over());
        assert!(block_on(cut.chunk()).is_err());
        assert!(block_on(cut.read(&mut [0])).is_err());

        let mut cut = body([Err(ExchangeError::Closed)]);
        for _ in 0..3 {
            assert!(block_on(cut.chunk()).is_err());
            assert!(!cut.is_over());
        }
        assert!(block_on(cut.next()).is_none(), "the stream has ended");
    }

    #[test]
    fn what_is_left_of_a_body_can_be_passed_on() {
        let mut body = Body {
            length: Some(12),
            ..body([Ok(true)])
        };
        assert!(block_on(body.chunk()).is_ok_and(|chunk| chunk.is_some()));
        assert_eq!(Payload::from(body).length(), Length::Known(8));
    }

    #[test]
    fn a_response_is_whole_where_only_its_request_failed() {
        let source = || Err(ExchangeError::Source(io::Error::other("gone")));
        let mut body = body([source(), Ok(true), Ok(false)]);
        assert!(block_on(body.chunk()).is_err());
        assert!(block_on(body.chunk()).is_ok_and(|chunk| chunk.is_some()));
        assert!(block_on(body.chunk()).is_ok_and(|chunk| chunk.is_none()));
        assert!(body.is_over());
    }
}
