//! Which side of a connection are we? Server and client share all but the start line.

use std::fmt;

use super::{
    error::Error,
    framing::{
        CloseReason, Framing, RequestContext, interim_close, request_framing, response_close,
        response_framing,
    },
    head::{Prefix, RequestHead, ResponseHead},
    limits::Limits,
};

/// Which side of a connection we are: [`Server`] or [`Client`].
pub trait Role: sealed::Side + Send + Sync + Unpin + 'static {
    /// The head that this side receives.
    type Incoming: Clone + fmt::Debug + PartialEq + Send;
    /// The head that this side sends.
    type Outgoing: Clone + fmt::Debug + PartialEq;
}

/// The side that receives requests and sends responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {}

/// The side that sends requests and receives responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {}

impl Role for Server {
    type Incoming = RequestHead;
    type Outgoing = ResponseHead;
}

impl Role for Client {
    type Incoming = ResponseHead;
    type Outgoing = RequestHead;
}

/// What comes behind a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Another head, and behind the last one the end of the connection if there is a reason.
    Head(Option<CloseReason>),
    /// The body, perhaps an empty one, and then the end of the connection if there is a reason.
    Body(Framing, Option<CloseReason>),
    /// Another protocol.
    Switch,
}

pub(super) mod sealed {
    use super::*;

    /// What differs between the two sides. Nobody else can be one.
    pub trait Side: Sized {
        const IS_SERVER: bool;

        fn parse(text: &[u8], limits: &Limits) -> Result<Self::Incoming, Error>
        where
            Self: Role;

        /// Reads the head that `input` begins with, if it is whole and an ordinary one.
        fn ordinary(input: &[u8], limits: &Limits) -> Result<(usize, Self::Incoming), Prefix>
        where
            Self: Role;

        /// What a response must know of `head`, if that is a request.
        fn context(head: &Self::Incoming) -> Option<RequestContext>
        where
            Self: Role;

        /// What comes behind `head`; for a client, where it answers `request`, which no longer expects what has come.
        fn follow(head: &Self::Incoming, request: &mut RequestContext) -> Result<Follow, Error>
        where
            Self: Role;
    }
}

impl sealed::Side for Server {
    const IS_SERVER: bool = true;

    fn parse(text: &[u8], limits: &Limits) -> Result<RequestHead, Error> {
        RequestHead::parse(text, limits)
    }

    fn ordinary(input: &[u8], limits: &Limits) -> Result<(usize, RequestHead), Prefix> {
        RequestHead::ordinary(input, limits)
    }

    fn context(head: &RequestHead) -> Option<RequestContext> {
        Some(head.context())
    }

    fn follow(head: &RequestHead, _: &mut RequestContext) -> Result<Follow, Error> {
        Ok(Follow::Body(request_framing(head), head.close_reason()))
    }
}

impl sealed::Side for Client {
    const IS_SERVER: bool = false;

    fn parse(text: &[u8], limits: &Limits) -> Result<ResponseHead, Error> {
        ResponseHead::parse(text, limits)
    }

    fn ordinary(input: &[u8], limits: &Limits) -> Result<(usize, ResponseHead), Prefix> {
        ResponseHead::ordinary(input, limits)
    }

    fn context(_: &ResponseHead) -> Option<RequestContext> {
        None
    }

    fn follow(head: &ResponseHead, request: &mut RequestContext) -> Result<Follow, Error> {
        if head.status() == 100 {
            request.expect_continue = false;
        }
        match head.status() {
            101 if request.upgrade => Ok(Follow::Switch),
            101 => Err(Error::UnsolicitedSwitch),
            // RFC 9112, section 9.6: whichever head says `close`, no request may follow.
            _ if head.is_interim() => Ok(Follow::Head(interim_close(head))),
            _ => {
                let framing = response_framing(head, request);
                Ok(Follow::Body(
                    framing,
                    response_close(head, framing, request),
                ))
            }
        }
    }
}
