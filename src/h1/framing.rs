//! How is a body delimited, and can the connection be used again? (RFC 9112, sections 6.3 and 9.3)

use super::{
    error::Error,
    head::{RequestHead, ResponseHead},
    version::Version,
};

/// What a head declares about its body, or what a sender wants it to declare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// Nothing. A request that was received has no body then, a response one that ends with the
    /// connection; what is sent has none, or an empty one.
    #[default]
    Absent,
    /// `Content-Length`
    Known(u64),
    /// `Transfer-Encoding: chunked`
    Chunked,
}

impl Length {
    /// Whether a request with it has no body, or an empty one.
    pub(crate) fn is_bodiless(self) -> bool {
        matches!(self, Self::Absent | Self::Known(0))
    }
}

/// How the body of a received message is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// It has this many bytes.
    Length(u64),
    /// It consists of chunks, the last of which is empty.
    Chunked,
    /// It ends where the connection ends.
    UntilClose,
}

/// Why a connection cannot carry another exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent `Connection: close`.
    #[error("the peer asked to close the connection")]
    PeerAskedClose,
    /// We sent `Connection: close`.
    #[error("we asked to close the connection")]
    LocalAskedClose,
    /// The peer speaks HTTP/1.0 and did not ask to keep the connection.
    #[error("the peer speaks HTTP/1.0 without keep-alive")]
    Http10,
    /// The end of the connection is the end of the body.
    #[error("the body ends with the connection")]
    UntilClose,
    /// The protocol was switched (101).
    #[error("the protocol was switched")]
    Switched,
    /// The client asked for an upgrade and got something else. What it sent behind its request may
    /// be meant for the other protocol, so none of it is read as a request.
    #[error("the upgrade that was asked for was not granted")]
    UpgradeRefused,
    /// The request was not read to its end.
    #[error("the request was not read to its end")]
    BodyUnread,
    /// The request was not sent to its end, because the response came early.
    #[error("the request was not sent to its end")]
    RequestUnfinished,
    /// The response is not complete.
    #[error("the response is not complete")]
    ResponseUnfinished,
    /// A 204 came with fields that announce a body. Whether one follows is anybody's guess.
    #[error("a response that must not have a body announced one")]
    AmbiguousBody,
    /// The client was to wait for `100 Continue`, and the final response came without it. Whether the server takes what
    /// follows for the body or for the next request, nobody knows.
    #[error("the response came without a word on whether the body is wanted")]
    ContinueOmitted,
    /// Bytes came that belong to no response.
    #[error("bytes came that belong to no response")]
    Surplus,
    /// The peer has ended its side.
    #[error("the peer ended the connection")]
    PeerEnded,
    /// The peer broke a rule.
    #[error("the peer broke a rule: {0}")]
    Error(Error),
}

/// What must be known of a request to read, or to write, its response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestContext {
    /// Whether the method is HEAD, to which no response has a body.
    pub head_method: bool,
    /// The version of the request.
    pub version: Version,
    /// Why the connection cannot be kept after the response, if so.
    pub close: Option<CloseReason>,
    /// Whether the client asked to switch the protocol, in a request without a body.
    pub upgrade: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
}

impl RequestContext {
    /// The context for the answer to a request that could not be read: it closes the connection.
    pub fn unreadable(error: Error) -> Self {
        Self {
            close: Some(CloseReason::Error(error)),
            ..Self::default()
        }
    }
}

impl RequestHead {
    /// What the head declares about its body. [`Length::Absent`] for a head that was not parsed.
    pub fn declared_length(&self) -> Length {
        declared(self.traits.chunked, self.traits.content_length)
    }

    /// Why the connection cannot be kept after the response, if so.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        persistence(self.version(), self.traits.close, self.traits.keep_alive)
    }

    /// What must be known of this request to answer it.
    pub fn context(&self) -> RequestContext {
        let traits = &self.traits;
        let is_http11 = self.version() == Version::Http11;
        let has_body = !matches!(request_framing(self), Framing::None | Framing::Length(0));
        RequestContext {
            head_method: self.is_head(),
            version: self.version(),
            close: self.close_reason(),
            // RFC 9110, section 7.8: an upgrade may be ignored, and in HTTP/1.0 must be. Behind a
            // body the place where the new protocol begins would be one more thing to disagree
            // about.
            upgrade: traits.upgrade && is_http11 && !has_body,
            // RFC 9110, section 10.1.1: in HTTP/1.0 it must be ignored; without a body nobody
            // waits.
            expect_continue: traits.expect_continue && is_http11 && has_body,
        }
    }
}

impl ResponseHead {
    /// What the head declares about its body. [`Length::Absent`] for a head that was not parsed,
    /// and for a body that ends with the connection.
    pub fn declared_length(&self) -> Length {
        declared(self.traits.chunked, self.traits.content_length)
    }
}

/// How the body of a request is delimited (RFC 9112, section 6.3).
///
/// Malformed and contradicting declarations (cases 3 to 5) were refused when the head was parsed.
pub fn request_framing(head: &RequestHead) -> Framing {
    match head.declared_length() {
        // Case 4.
        Length::Chunked => Framing::Chunked,
        // Case 6.
        Length::Known(length) => Framing::Length(length),
        // Case 7.
        Length::Absent => Framing::None,
    }
}

/// How the body of the response to a request is delimited (RFC 9112, section 6.3).
///
/// Malformed and contradicting declarations (cases 3 to 5) were refused when the head was parsed.
pub fn response_framing(head: &ResponseHead, request: &RequestContext) -> Framing {
    // Case 1.
    if request.head_method || matches!(head.status(), 100..=199 | 204 | 304) {
        return Framing::None;
    }
    // Case 2 is about CONNECT, which is never sent.
    match head.declared_length() {
        // Case 4.
        Length::Chunked => Framing::Chunked,
        // Case 6.
        Length::Known(length) => Framing::Length(length),
        // Case 8.
        Length::Absent => Framing::UntilClose,
    }
}

/// What an interim response says about keeping the connection (RFC 9112, section 9.3).
pub(crate) fn interim_close(head: &ResponseHead) -> Option<CloseReason> {
    persistence(head.version(), head.traits.close, head.traits.keep_alive)
}

/// What the final response to a request says about keeping the connection (RFC 9112, section 9.3).
pub(crate) fn response_close(
    head: &ResponseHead,
    framing: Framing,
    request: &RequestContext,
) -> Option<CloseReason> {
    let traits = &head.traits;
    if framing == Framing::UntilClose {
        return Some(CloseReason::UntilClose);
    }
    // RFC 9110, section 8.6, and RFC 9112, section 6.1, forbid a 204 to have either field. Length 0
    // is common and clear. Anything else is not, so nothing is read behind it.
    let announces = traits.chunked || traits.content_length.is_some_and(|length| length > 0);
    if head.status() == 204 && announces {
        return Some(CloseReason::AmbiguousBody);
    }
    // RFC 9110, section 10.1.1: the server need not read the body then, and only should say whether it does.
    let omits = request
        .expect_continue
        .then_some(CloseReason::ContinueOmitted);
    persistence(head.version(), traits.close, traits.keep_alive).or(omits)
}

fn declared(chunked: bool, content_length: Option<u64>) -> Length {
    match content_length {
        _ if chunked => Length::Chunked,
        Some(length) => Length::Known(length),
        None => Length::Absent,
    }
}

/// RFC 9112, section 9.3.
fn persistence(version: Version, close: bool, keep_alive: bool) -> Option<CloseReason> {
    match version {
        _ if close => Some(CloseReason::PeerAskedClose),
        Version::Http10 if !keep_alive => Some(CloseReason::Http10),
        _ => None,
    }
}
