//! The body of a message that is to be sent.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures::AsyncRead;

use crate::{
    body::Body,
    error::ExchangeError,
    h1::{Fields, Length},
    hop::Source,
};

/// What one read takes from a source that is not in memory.
const READ: usize = 64 * 1024;

/// The body of a message that is to be sent: nothing, bytes in memory, or anything that can be read.
#[derive(Default)]
pub struct Payload {
    source: PayloadSource,
    length: Length,
}

/// Where the bytes of a [`Payload`] come from.
#[derive(Default)]
pub(crate) struct PayloadSource {
    kind: Kind,
    /// Boxed, as few have any, and payloads move.
    trailers: Option<Box<Fields>>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Reader {
        reader: Pin<Box<dyn AsyncRead + Send>>,
        buffer: Box<[u8]>,
        start: usize,
        end: usize,
    },
    Body(Box<Body>),
    #[cfg(feature = "tower")]
    Other(Box<dyn Source + Send>),
}

impl Payload {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads the body from `reader` as it is sent, in the task that sends it. With a `length` in bytes the message
    /// declares it, and a source that yields less or more is an error; without, the body is sent chunked.
    pub fn reader(reader: impl AsyncRead + Send + 'static, length: Option<u64>) -> Self {
        let kind = Kind::Reader {
            reader: Box::pin(reader),
            buffer: vec![0; READ].into_boxed_slice(),
            start: 0,
            end: 0,
        };
        Self::new(kind, length.map_or(Length::Chunked, Length::Known))
    }

    /// Sends `trailers` behind the body, which makes it chunked (RFC 9112 section 7.1.2). A peer that speaks
    /// HTTP/1.0 does not receive them.
    #[must_use]
    pub fn with_trailers(mut self, trailers: Fields) -> Self {
        self.length = Length::Chunked;
        self.source.trailers = Some(Box::new(trailers));
        self
    }

    /// Sends what `source` yields.
    #[cfg(feature = "tower")]
    pub(crate) fn source(source: impl Source + Send + 'static, length: Length) -> Self {
        Self::new(Kind::Other(Box::new(source)), length)
    }

    /// Declares a length and has no bytes, for a response that only describes its body.
    #[cfg(feature = "tower")]
    pub(crate) fn declared(length: Length) -> Self {
        Self::new(Kind::Empty, length)
    }

    fn new(kind: Kind, length: Length) -> Self {
        Self {
            source: PayloadSource {
                kind,
                trailers: None,
            },
            length,
        }
    }

    /// How the length of this body is told to the peer.
    #[must_use]
    pub fn length(&self) -> Length {
        self.length
    }

    /// A second payload with the same bytes, where they are all in memory.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        let kind = match &self.source.kind {
            Kind::Empty => Kind::Empty,
            Kind::Bytes(bytes) => Kind::Bytes(bytes.clone()),
            Kind::Reader { .. } | Kind::Body(_) => return None,
            #[cfg(feature = "tower")]
            Kind::Other(_) => return None,
        };
        let mut clone = Self::new(kind, self.length);
        clone.source.trailers.clone_from(&self.source.trailers);
        Some(clone)
    }

    pub(crate) fn into_source(self) -> PayloadSource {
        self.source
    }
}

impl Source for PayloadSource {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ExchangeError>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(Ok(false)),
            Kind::Bytes(bytes) => Poll::Ready(Ok(!bytes.is_empty())),
            Kind::Reader {
                reader,
                buffer,
                start,
                end,
            } => {
                if start == end {
                    *start = 0;
                    *end = 0;
                    *end = ready!(reader.as_mut().poll_read(cx, buffer))
                        .map_err(ExchangeError::Source)?;
                }
                Poll::Ready(Ok(start < end))
            }
            Kind::Body(body) => body
                .poll_fill(cx)
                .map_err(|error| ExchangeError::Source(io::Error::from(error))),
            #[cfg(feature = "tower")]
            Kind::Other(source) => source.poll_fill(cx),
        }
    }

    fn data(&self) -> &[u8] {
        match &self.kind {
            Kind::Empty => &[],
            Kind::Bytes(bytes) => bytes,
            Kind::Reader {
                buffer, start, end, ..
            } => &buffer[*start..*end],
            Kind::Body(body) => body.data(),
            #[cfg(feature = "tower")]
            Kind::Other(source) => source.data(),
        }
    }

    fn consume(&mut self, count: usize) {
        match &mut self.kind {
            Kind::Empty => {}
            Kind::Bytes(bytes) => bytes.advance(count),
            Kind::Reader { start, .. } => *start += count,
            Kind::Body(body) => body.consume(count),
            #[cfg(feature = "tower")]
            Kind::Other(source) => source.consume(count),
        }
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        match (self.trailers.take(), &mut self.kind) {
            (Some(trailers), _) => Some(*trailers),
            (None, Kind::Body(body)) => body.take_trailers(),
            #[cfg(feature = "tower")]
            (None, Kind::Other(source)) => source.take_trailers(),
            (None, _) => None,
        }
    }
}

impl From<()> for Payload {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self::new(Kind::Bytes(bytes), Length::Known(length))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

/// Passes a received body on, or what is left of it, with its length and its trailers.
impl From<Body> for Payload {
    fn from(body: Body) -> Self {
        let length = body.remaining().map_or(Length::Chunked, Length::Known);
        Self::new(Kind::Body(Box::new(body)), length)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
