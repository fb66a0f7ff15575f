//! What do the bytes mean that a peer sent? One direction of a connection, message after message.

use std::{marker::PhantomData, sync::Arc};

use super::{
    chunked::{Chunks, Part},
    error::Error,
    fields::Fields,
    framing::{CloseReason, Framing, RequestContext},
    head::Prefix,
    limits::Limits,
    role::{Client, Follow, Role, Server},
    scan::{Bounds, Scan},
};

/// What a [`Decoder`] found in its input.
#[allow(
    clippy::large_enum_variant,
    reason = "a return value, matched at once and never stored"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'i, H> {
    /// The input was used as far as possible: go on when there is more of it.
    NeedMore,
    /// A head. For a client it may be an interim one, behind which another follows.
    Head(H),
    /// Bytes of the body: the last ones of those that were used, and never none.
    Data(&'i [u8]),
    /// The message is complete. A chunked one may have had trailers.
    End(Option<Fields>),
    /// The message is over, or none is due, or the protocol was switched: what is in the input does
    /// not belong to the decoder now, and none of it was used.
    Paused,
}

/// What the end of the input means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eof {
    /// It came between two messages.
    Clean,
    /// It is the end of the message, as if the decoder had given [`Step::End`].
    EndOfBody,
}

/// Reads the messages of one direction. It holds no bytes: the caller does.
///
/// ```
/// use std::sync::Arc;
/// use libp2p_http_proxy::h1::{Decoder, Limits, Server, Step};
///
/// let mut decoder = Decoder::<Server>::new(Arc::new(Limits::default()));
/// let mut input = &b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET"[..];
///
/// let (used, Step::Head(head)) = decoder.decode(input)? else { panic!("a whole head") };
/// assert_eq!(head.method(), "POST");
/// input = &input[used..];
/// assert_eq!(decoder.decode(input)?, (2, Step::Data(b"hi")));
/// input = &input[2..];
/// assert_eq!(decoder.decode(input)?, (0, Step::End(None)));
/// // The next request waits until it is asked for.
/// assert_eq!(decoder.decode(input)?, (0, Step::Paused));
/// decoder.next_request();
/// assert_eq!(decoder.decode(input)?, (0, Step::NeedMore));
/// # Ok::<(), libp2p_http_proxy::h1::Error>(())
/// ```
#[derive(Debug)]
pub struct Decoder<R> {
    limits: Arc<Limits>,
    state: State,
    framing: Framing,
    /// What the response is to, for a client.
    request: RequestContext,
    interim: usize,
    close: Option<CloseReason>,
    /// The first error, which is repeated for ever.
    error: Option<Error>,
    examined: u64,
    role: PhantomData<R>,
}

/// How TLS begins (RFC 8446, section 5.1): a client by a handshake, a server that was asked in HTTP by an alert.
const TLS: [u8; 2] = [22, 21];

#[derive(Clone, Copy, Debug)]
enum State {
    /// No message is due: a client before its request.
    Idle,
    Head(Scan),
    Length {
        left: u64,
    },
    Chunked(Chunks),
    UntilClose,
    /// The message is over, which is still to be said.
    Ending,
    Complete,
    Switched,
}

impl State {
    fn first<R: Role>() -> Self {
        // Only a server is spoken to without having asked.
        if R::IS_SERVER {
            Self::Head(Scan::default())
        } else {
            Self::Idle
        }
    }
}

impl<R: Role> Decoder<R> {
    /// A decoder at the beginning of a connection.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self {
            limits,
            state: State::first::<R>(),
            framing: Framing::None,
            request: RequestContext::default(),
            interim: 0,
            close: None,
            error: None,
            examined: 0,
            role: PhantomData,
        }
    }

    /// Reads on. Returns how many bytes of `input` were used, and what they were.
    ///
    /// The caller drops the used bytes and calls again with the rest, or with the rest and more. As
    /// long as a head or the trailers are incomplete they stay in the input, which therefore never
    /// needs room for more than the size limit and one byte. Every byte is looked at a fixed number
    /// of times, however the input is cut.
    ///
    /// # Errors
    ///
    /// If the peer broke a rule. Every later call returns the same error.
    pub fn decode<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Step<'i, R::Incoming>), Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let result = self.step(input);
        match &result {
            Ok((used, Step::End(_))) if *used < input.len() => self.on_surplus(),
            Ok(_) => {}
            Err(error) => self.error = Some(*error),
        }
        result
    }

    /// Says that the input has ended, with `leftover` bytes of it unused. To be called when the
    /// decoder has answered [`Step::NeedMore`] or [`Step::Paused`] and there is no more.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if that was inside of a message, or the error of an earlier call.
    pub fn end_of_input(&mut self, leftover: usize) -> Result<Eof, Error> {
        let result = self.check_end(leftover);
        match result {
            Ok(Eof::EndOfBody) => self.state = State::Complete,
            Ok(Eof::Clean) => {}
            Err(error) => self.error = Some(error),
        }
        self.close.get_or_insert(CloseReason::PeerEnded);
        result
    }

    /// What the end of the input would mean now, with `leftover` bytes of it unused.
    ///
    /// # Errors
    ///
    /// As for [`end_of_input`](Self::end_of_input).
    pub fn check_end(&self, leftover: usize) -> Result<Eof, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match &self.state {
            // RFC 9112, section 8: only a message that has no other end ends like this.
            State::UntilClose | State::Ending => Ok(Eof::EndOfBody),
            State::Idle | State::Complete | State::Switched => Ok(Eof::Clean),
            State::Head(scan) if R::IS_SERVER && leftover <= scan.start() => Ok(Eof::Clean),
            State::Head(_) | State::Length { .. } | State::Chunked(_) => Err(Error::Truncated),
        }
    }

    /// How the body of the current message is delimited.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the current message was read to its end.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Whether the decoder is between two messages: nothing of the next one was seen.
    pub fn is_idle(&self) -> bool {
        match &self.state {
            State::Idle | State::Complete => true,
            State::Head(scan) => R::IS_SERVER && scan.is_untouched(),
            _ => false,
        }
    }

    /// Whether the protocol was switched: all further input belongs to the other protocol.
    pub fn is_switched(&self) -> bool {
        matches!(self.state, State::Switched)
    }

    /// Why the connection cannot be kept, as far as this direction knows.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.error.map(CloseReason::Error).or(match self.state {
            State::Switched => Some(CloseReason::Switched),
            _ => self.close,
        })
    }

    /// How many bytes were looked at so far; one that was looked at twice counts twice.
    #[doc(hidden)]
    pub fn examined(&self) -> u64 {
        self.examined
    }

    /// Forgets a message that was read to its end. Does nothing before.
    pub(crate) fn next_message(&mut self) {
        if self.is_complete() {
            self.state = State::first::<R>();
            self.framing = Framing::None;
        }
    }

    fn step<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Step<'i, R::Incoming>), Error> {
        match &mut self.state {
            // Whoever waits for a head asks at every look, and there is seldom anything before it comes whole.
            State::Head(_) if input.is_empty() => Ok((0, Step::NeedMore)),
            State::Head(_) => self.head(input),
            State::Length { left } => {
                let length = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                if length == 0 {
                    return Ok((0, Step::NeedMore));
                }
                *left -= length as u64;
                if *left == 0 {
                    self.state = State::Ending;
                }
                Ok((length, Step::Data(&input[..length])))
            }
            State::Chunked(chunks) => {
                let before = chunks.examined();
                let result = chunks.decode(input, &self.limits);
                self.examined += chunks.examined() - before;
                let (used, part) = result?;
                let step = match part {
                    Part::NeedMore => Step::NeedMore,
                    Part::Data(data) => Step::Data(data),
                    Part::End(trailers) => {
                        self.state = State::Complete;
                        Step::End(trailers)
                    }
                };
                Ok((used, step))
            }
            State::UntilClose if input.is_empty() => Ok((0, Step::NeedMore)),
            State::UntilClose => Ok((input.len(), Step::Data(input))),
            State::Ending => {
                self.state = State::Complete;
                Ok((0, Step::End(None)))
            }
            State::Idle | State::Complete => {
                if !input.is_empty() {
                    self.on_surplus();
                }
                Ok((0, Step::Paused))
            }
            State::Switched => Ok((0, Step::Paused)),
        }
    }

    fn head<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Step<'i, R::Incoming>), Error> {
        let State::Head(scan) = &mut self.state else {
            return Ok((0, Step::NeedMore));
        };
        // Most heads come in one piece, and are as others are. What speaks against that is told by
        // the careful way, which is the only one for the pieces of a head.
        let ordinary = if scan.is_fresh() {
            R::ordinary(input, &self.limits)
        } else {
            Err(Prefix::default())
        };
        let (end, head) = match ordinary {
            Ok((end, head)) => {
                self.examined += end as u64;
                (end, head)
            }
            Err(prefix) => match self.careful_head(input, prefix)? {
                Some(found) => found,
                None => return Ok((0, Step::NeedMore)),
            },
        };
        match R::follow(&head, &mut self.request)? {
            Follow::Head(close) => {
                self.close = self.close.or(close);
                self.on_interim()?;
            }
            Follow::Switch => self.state = State::Switched,
            Follow::Body(framing, close) => {
                self.close = self.close.or(close);
                self.begin_body(framing);
            }
        }
        Ok((end, Step::Head(head)))
    }

    /// Looks for the end of a head, of which `prefix` was looked at already, and then at all that
    /// is in it.
    fn careful_head(
        &mut self,
        input: &[u8],
        prefix: Prefix,
    ) -> Result<Option<(usize, R::Incoming)>, Error> {
        let State::Head(scan) = &mut self.state else {
            return Ok(None);
        };
        // Told by its first byte: no line of it may ever end, and both sides would wait.
        if input.first().is_some_and(|first| TLS.contains(first)) {
            return Err(Error::Tls);
        }
        let bounds = Bounds {
            size: self.limits.head_size(),
            // The start line, too.
            lines: self.limits.fields() + 1,
            too_large: Error::HeadTooLarge {
                limit: self.limits.head_size(),
            },
            too_many: Error::TooManyFields {
                limit: self.limits.fields(),
            },
        };
        let before = scan.examined();
        if scan.is_fresh() {
            scan.begin_behind(prefix.end, prefix.lines);
        }
        // RFC 9112, section 2.2: a server should skip an empty line before a request.
        let end = scan.find_end(input, &bounds, R::IS_SERVER);
        self.examined += scan.examined() - before;
        let end = match end {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(None),
            // Not even the start line has ended.
            Err(Error::HeadTooLarge { .. }) if R::IS_SERVER && scan.lines() == 0 => {
                return Err(Error::TargetTooLong {
                    limit: self.limits.target(),
                });
            }
            Err(error) => return Err(error),
        };
        let text = &input[scan.start()..end];
        self.examined += text.len() as u64;
        Ok(Some((end, R::parse(text, &self.limits)?)))
    }

    fn on_interim(&mut self) -> Result<(), Error> {
        let limit = self.limits.interim_responses();
        self.interim += 1;
        if self.interim > limit {
            return Err(Error::TooManyInterim { limit });
        }
        self.state = State::Head(Scan::default());
        Ok(())
    }

    /// Bytes came while no message is due. From a client they are its next request. From a server
    /// they answer nothing, and must not become the answer to the next request (RFC 9112, section
    /// 9.2).
    fn on_surplus(&mut self) {
        if !R::IS_SERVER {
            self.close = Some(CloseReason::Surplus);
        }
    }

    fn begin_body(&mut self, framing: Framing) {
        self.framing = framing;
        self.state = match framing {
            Framing::None | Framing::Length(0) => State::Ending,
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Chunked(Chunks::new()),
            Framing::UntilClose => State::UntilClose,
        };
    }
}

impl Decoder<Server> {
    /// Begins with the next request, once the current one was read to its end. Does nothing before.
    ///
    /// Whether the connection may carry one is decided by [`reuse`](super::reuse).
    pub fn next_request(&mut self) {
        self.next_message();
    }

    /// Says that a 101 was sent: whatever comes now belongs to the other protocol.
    pub fn switched(&mut self) {
        self.state = State::Switched;
    }
}

impl Decoder<Client> {
    /// Begins with the response to a request that was sent, or begins to be sent. Does nothing
    /// while another response is incomplete, or after a switch.
    ///
    /// If bytes came before this, the next call of [`decode`](Self::decode) fails with
    /// [`Error::Surplus`]: they cannot be the response.
    pub fn expect_response(&mut self, request: RequestContext) {
        if !matches!(self.state, State::Idle | State::Complete) {
            return;
        }
        if self.close == Some(CloseReason::Surplus) {
            self.error.get_or_insert(Error::Surplus);
        }
        self.request = request;
        self.interim = 0;
        self.framing = Framing::None;
        self.state = State::Head(Scan::default());
    }

    /// Says that the response came before its request was sent to its end, so that no other request is to follow.
    pub(crate) fn came_early(&mut self) {
        self.close.get_or_insert(CloseReason::RequestUnfinished);
    }
}
