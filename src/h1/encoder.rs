//! How is a message written? One direction of a connection, with exactly one framing per message.

mod request;
mod response;

use std::marker::PhantomData;

use bytes::BytesMut;

use super::{error::Misuse, fields::Fields, framing::CloseReason, write};

/// Writes the messages of one direction. What it writes is appended to a buffer of the caller.
///
/// A call that fails has written nothing and changed nothing.
#[derive(Debug)]
pub struct Encoder<R> {
    state: State,
    close: Option<CloseReason>,
    role: PhantomData<R>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Length {
        declared: u64,
        left: u64,
    },
    Chunked,
    UntilClose,
    /// A response to HEAD, a 204 or a 304: what is given as its body is dropped.
    Suppressed,
    Complete,
    Switched,
}

impl<R> Default for Encoder<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Encoder<R> {
    /// An encoder at the beginning of a connection.
    pub fn new() -> Self {
        Self {
            state: State::Idle,
            close: None,
            role: PhantomData,
        }
    }

    /// Writes a piece of the body. An empty piece writes nothing.
    ///
    /// # Errors
    ///
    /// If there is no head yet, the message has ended, or the body would exceed its declared
    /// length.
    pub fn data(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        match self.state {
            // An empty chunk would be the last one.
            State::Chunked if data.is_empty() => {}
            State::Chunked => write::chunk(data, out),
            _ => {
                if self.account(data.len())? {
                    out.extend_from_slice(data);
                }
            }
        }
        Ok(())
    }

    /// Counts `length` bytes of the body that the caller writes itself, unframed and without a
    /// copy.
    ///
    /// Returns whether it may: not if the body is chunked or not sent, when [`data`](Self::data) is
    /// to be used.
    ///
    /// # Errors
    ///
    /// As for [`data`](Self::data).
    pub fn direct(&mut self, length: usize) -> Result<bool, Misuse> {
        match self.state {
            State::Chunked | State::Suppressed => Ok(false),
            _ => self.account(length),
        }
    }

    /// Whether `length` more bytes of the body may follow. Nothing is counted.
    ///
    /// # Errors
    ///
    /// As for [`data`](Self::data).
    pub fn check(&self, length: usize) -> Result<(), Misuse> {
        match self.state {
            State::Length { declared, left } if length as u64 > left => {
                Err(Misuse::BodyTooLong { declared })
            }
            State::Idle => Err(Misuse::HeadNotSent),
            State::Switched => Err(Misuse::Switched),
            State::Complete if length > 0 => Err(Misuse::AlreadyEnded),
            _ => Ok(()),
        }
    }

    /// Ends the message. Trailers go out only if it is chunked and sent, otherwise they are
    /// dropped.
    ///
    /// # Errors
    ///
    /// If there is no head yet, the message has ended, bytes of the declared length are missing, or
    /// a field must not be a trailer.
    pub fn end(&mut self, trailers: Option<&Fields>, out: &mut BytesMut) -> Result<(), Misuse> {
        match self.state {
            State::Idle => return Err(Misuse::HeadNotSent),
            State::Complete => return Err(Misuse::AlreadyEnded),
            State::Switched => return Err(Misuse::Switched),
            State::Length { left, .. } if left > 0 => {
                return Err(Misuse::BodyTooShort { missing: left });
            }
            State::Chunked => write::last_chunk(trailers, out)?,
            State::Length { .. } | State::UntilClose | State::Suppressed => {}
        }
        self.state = State::Complete;
        Ok(())
    }

    /// Whether the head was sent.
    pub fn is_started(&self) -> bool {
        self.state != State::Idle
    }

    /// Whether the message was sent to its end.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Whether the body is chunked, so that trailers can be sent behind it.
    pub fn is_chunked(&self) -> bool {
        self.state == State::Chunked
    }

    /// Whether the end of this message is the end of the connection.
    pub fn is_until_close(&self) -> bool {
        self.close == Some(CloseReason::UntilClose)
    }

    /// Whether the protocol was switched: nothing can be written any more.
    pub fn is_switched(&self) -> bool {
        self.state == State::Switched
    }

    /// Why the connection cannot be kept, as far as this direction knows.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.state {
            State::Switched => Some(CloseReason::Switched),
            _ => self.close,
        }
    }

    /// Makes ready for the next message, once the current one was sent to its end. Does nothing
    /// before.
    ///
    /// Whether the connection may carry one is decided by [`reuse`](super::reuse).
    pub fn next(&mut self) {
        if self.is_complete() {
            self.state = State::Idle;
        }
    }

    /// Says that the protocol was switched by the other direction: a client received a 101.
    pub fn switched(&mut self) {
        self.state = State::Switched;
    }

    /// Whether `length` bytes go out as they are.
    fn account(&mut self, length: usize) -> Result<bool, Misuse> {
        match &mut self.state {
            State::Idle => Err(Misuse::HeadNotSent),
            State::Switched => Err(Misuse::Switched),
            State::Complete if length == 0 => Ok(false),
            State::Complete => Err(Misuse::AlreadyEnded),
            State::Length { declared, left } => {
                let declared = *declared;
                *left = left
                    .checked_sub(length as u64)
                    .ok_or(Misuse::BodyTooLong { declared })?;
                Ok(true)
            }
            State::UntilClose => Ok(true),
            State::Chunked | State::Suppressed => Ok(false),
        }
    }

    fn check_ready(&self) -> Result<(), Misuse> {
        match self.state {
            State::Switched => Err(Misuse::Switched),
            State::Idle if self.close.is_some() => Err(Misuse::NotReusable),
            State::Idle => Ok(()),
            _ => Err(Misuse::HeadAlreadySent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{Client, Field, Length, RequestLine, Sending};

    /// An encoder that has sent the head of a request with a body of `length`.
    fn started(length: Length) -> Encoder<Client> {
        let mut encoder = Encoder::new();
        let start = RequestLine {
            method: "POST",
            target: "/",
        };
        let host = Field {
            name: "Host",
            value: b"h",
        };
        let options = Sending {
            length,
            ..Sending::default()
        };
        encoder
            .request(start, [host], options, &mut BytesMut::new())
            .expect("a valid head");
        encoder
    }

    #[test]
    fn a_body_has_the_length_that_was_declared() {
        let mut out = BytesMut::new();
        let mut encoder = started(Length::Known(3));

        assert_eq!(
            encoder.data(b"abcd", &mut out),
            Err(Misuse::BodyTooLong { declared: 3 })
        );
        assert_eq!(encoder.direct(4), Err(Misuse::BodyTooLong { declared: 3 }));
        assert_eq!(encoder.data(b"ab", &mut out), Ok(()));
        assert_eq!(
            encoder.end(None, &mut out),
            Err(Misuse::BodyTooShort { missing: 1 })
        );
        assert_eq!(encoder.direct(1), Ok(true));
        assert_eq!(encoder.end(None, &mut out), Ok(()));
        assert_eq!(out, "ab");

        let mut encoder = started(Length::Absent);
        assert_eq!(
            encoder.data(b"a", &mut out),
            Err(Misuse::BodyTooLong { declared: 0 })
        );
        assert_eq!(encoder.data(b"", &mut out), Ok(()));
        assert_eq!(encoder.end(None, &mut out), Ok(()));
    }

    #[test]
    fn chunks_end_only_with_the_end() {
        let mut out = BytesMut::new();
        let mut encoder = started(Length::Chunked);
        let mut trailers = Fields::default();
        trailers.push("X-Sum", "1").expect("a valid field");

        assert!(encoder.is_chunked());
        assert_eq!(encoder.direct(1), Ok(false));
        encoder.data(&[b'x'; 17], &mut out).expect("room");
        encoder.data(b"", &mut out).expect("room");
        let mut forbidden = trailers.clone();
        forbidden
            .push("Content-Length", "1")
            .expect("a valid field");
        let before = out.clone();
        let misuse = Misuse::ForbiddenTrailer {
            name: "Content-Length".to_owned(),
        };
        assert_eq!(encoder.end(Some(&forbidden), &mut out), Err(misuse));
        assert_eq!(out, before, "nothing is written");
        encoder.end(Some(&trailers), &mut out).expect("room");
        assert_eq!(out, "11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\nX-Sum: 1\r\n\r\n");
    }

    #[test]
    fn everything_has_its_turn() {
        let out = &mut BytesMut::new();
        let mut encoder = Encoder::<Client>::new();
        assert_eq!(encoder.data(b"", out), Err(Misuse::HeadNotSent));
        assert_eq!(encoder.direct(0), Err(Misuse::HeadNotSent));
        assert_eq!(encoder.end(None, out), Err(Misuse::HeadNotSent));
        encoder.next();
        assert!(!encoder.is_started());

        let start = RequestLine {
            method: "GET",
            target: "/",
        };
        let host = [Field {
            name: "Host",
            value: b"h",
        }];
        let close = Sending {
            close: true,
            ..Sending::default()
        };
        encoder
            .request(start, host, close, out)
            .expect("a valid head");
        assert_eq!(
            encoder.request(start, host, close, out),
            Err(Misuse::HeadAlreadySent)
        );
        encoder.next();
        assert!(encoder.is_started(), "the message has not ended");
        encoder.end(None, out).expect("nothing is missing");
        assert_eq!(encoder.end(None, out), Err(Misuse::AlreadyEnded));
        assert_eq!(encoder.data(b"x", out), Err(Misuse::AlreadyEnded));
        encoder.next();
        assert_eq!(
            encoder.request(start, host, close, out),
            Err(Misuse::NotReusable)
        );

        encoder.switched();
        assert_eq!(encoder.close_reason(), Some(CloseReason::Switched));
        assert_eq!(
            encoder.request(start, host, close, out),
            Err(Misuse::Switched)
        );
        assert_eq!(encoder.data(b"x", out), Err(Misuse::Switched));
        assert_eq!(encoder.end(None, out), Err(Misuse::Switched));
    }
}
