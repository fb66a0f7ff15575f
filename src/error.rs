//! What can go wrong while the bytes of one exchange move.

use std::{io, time::Duration};

use libp2p_core::upgrade::NegotiationError;
use thiserror::Error;

use crate::h1;

/// Why an exchange could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The peer broke a rule of HTTP/1.1, or ended in the middle of a message.
    #[error("the peer's message is malformed")]
    Malformed(#[source] h1::Error),
    /// The stream failed.
    #[error("the stream failed")]
    Io(#[source] io::Error),
    /// The stream was closed between two messages, where a message was expected.
    #[error("the stream was closed before a message began")]
    Closed,
    /// The peer took longer than a timeout of [`Config`](crate::Config) allows.
    #[error("{wait} took longer than {limit:?}")]
    Timeout {
        /// What was waited for.
        wait: Wait,
        /// The timeout that passed.
        limit: Duration,
    },
    /// The message that was to be sent cannot be sent as it is.
    #[error("the message cannot be sent")]
    Misuse(#[source] h1::Misuse),
    /// A body was to be collected and is larger than the caller's limit.
    #[error("the body is larger than the limit of {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body of the response has more bytes than the relay carries through which the peer is reached. See
    /// [`HttpProxyBehaviour::set_relay_limit`](crate::HttpProxyBehaviour::set_relay_limit).
    #[error(
        "the response body has {length} bytes, and the relay to the peer carries {limit} at most"
    )]
    ResponseBeyondRelay {
        /// The declared length of the body.
        length: u64,
        /// The bytes that the relay carries, in both directions together.
        limit: u64,
    },
    /// The same for the body of the request, of which nothing was sent.
    #[error(
        "the request body has {length} bytes, and the relay to the peer carries {limit} at most"
    )]
    RequestBeyondRelay {
        /// The declared length of the body.
        length: u64,
        /// The bytes that the relay carries, in both directions together.
        limit: u64,
    },
    /// The source of a body that was to be sent failed.
    #[error("the source of the body failed")]
    Source(#[source] io::Error),
    /// The response switched no protocol, or the other half of the stream is still in use.
    #[error("the exchange did not switch protocols")]
    NotSwitched,
}

/// What an exchange was waiting for when it timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The next request on an idle stream.
    KeepAlive,
    /// The rest of a message head.
    Head,
    /// The head of the response.
    Response,
    /// The next bytes of a body, or room to send some.
    Body,
    /// Bytes in a tunnel.
    Tunnel,
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::KeepAlive => "the next request on an idle stream",
            Self::Head => "the head of a message",
            Self::Response => "the response",
            Self::Body => "the next part of a body",
            Self::Tunnel => "the next byte in a tunnel",
        })
    }
}

impl From<h1::Error> for ExchangeError {
    fn from(error: h1::Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<h1::Misuse> for ExchangeError {
    fn from(misuse: h1::Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ExchangeError> for io::Error {
    fn from(error: ExchangeError) -> Self {
        let kind = match &error {
            ExchangeError::Io(error) | ExchangeError::Source(error) => error.kind(),
            ExchangeError::Malformed(h1::Error::Truncated) | ExchangeError::Closed => {
                io::ErrorKind::UnexpectedEof
            }
            ExchangeError::Malformed(_) => io::ErrorKind::InvalidData,
            ExchangeError::Timeout { .. } => io::ErrorKind::TimedOut,
            ExchangeError::Misuse(_) | ExchangeError::NotSwitched => io::ErrorKind::InvalidInput,
            ExchangeError::BodyTooLarge { .. }
            | ExchangeError::RequestBeyondRelay { .. }
            | ExchangeError::ResponseBeyondRelay { .. } => io::ErrorKind::FileTooLarge,
        };
        io::Error::new(kind, error)
    }
}

/// The peer has refused what it accepted before. It has understood nothing of what was sent.
#[derive(Clone, Copy, Debug, Error)]
#[error("the peer does not offer the service any more")]
pub(crate) struct Refused;

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        io::Error::new(io::ErrorKind::Unsupported, refused)
    }
}

impl ExchangeError {
    /// Whether the peer did not take the stream for the service.
    pub(crate) fn is_refusal(&self) -> bool {
        let Self::Io(error) = self else {
            return false;
        };
        error.get_ref().is_some_and(|error| {
            let lazily = error.downcast_ref();
            // A swarm whose negotiations are lazy says so itself.
            error.is::<Refused>() || matches!(lazily, Some(NegotiationError::Failed))
        })
    }
}

/// An error and its causes in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
