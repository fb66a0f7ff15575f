//! Bodies as `http_body` has them: those that were received, and those that are to be sent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures::Stream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use crate::{
    body::Body,
    error::ExchangeError,
    h1::Fields,
    hop::Source,
    rewrite::may_be_trailer,
    tower::{BoxError, convert},
};

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = ExchangeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        if let Some(chunk) = ready!(self.as_mut().poll_next(cx)) {
            return Poll::Ready(Some(chunk.map(Frame::data)));
        }
        let trailers = self.take_trailers().map(|trailers| {
            // What an application believes in a head must not come behind the body, where nobody has looked at it.
            let allowed = trailers.iter().filter(|field| may_be_trailer(field.name));
            Ok(Frame::trailers(convert::header_map(allowed)?))
        });
        Poll::Ready(trailers)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over() && self.trailers().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.remaining() {
            Some(left) => SizeHint::with_exact(left),
            None if self.is_over() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}

/// A body of an application, as a message to be sent takes it.
pub(crate) struct Frames<B: http_body::Body> {
    body: Pin<Box<B>>,
    data: Option<B::Data>,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl<B: http_body::Body> Frames<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            body: Box::pin(body),
            data: None,
            trailers: None,
            ended: false,
        }
    }
}

impl<B> Source for Frames<B>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
        loop {
            if !self.data().is_empty() {
                return Poll::Ready(Ok(true));
            }
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            match ready!(self.body.as_mut().poll_frame(cx)) {
                None => self.ended = true,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.data = Some(data),
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        self.ended = self.trailers.is_some();
                    }
                },
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Err(ExchangeError::Source(io::Error::other(error))));
                }
            }
        }
    }

    fn data(&self) -> &[u8] {
        self.data.as_ref().map_or(&[], Buf::chunk)
    }

    fn consume(&mut self, count: usize) {
        if let Some(data) = &mut self.data {
            data.advance(count);
        }
    }

    /// Those that may stand there (RFC 9110, section 6.5.1): one that is for the framing or the routing must not fail the
    /// whole message when all of its body has left.
    fn take_trailers(&mut self) -> Option<Fields> {
        let mut fields = Fields::new();
        let trailers = self.trailers.take()?;
        for (name, value) in trailers
            .iter()
            .filter(|(name, _)| may_be_trailer(name.as_str()))
        {
            // What `http` holds is valid here.
            let pushed = fields.push(name.as_str(), value.as_bytes().trim_ascii());
            debug_assert!(pushed.is_ok());
        }
        Some(fields)
    }
}
