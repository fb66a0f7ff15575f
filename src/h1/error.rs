//! Which rule was broken, by whom, and what is the answer to it?
//!
//! [`Error`] is the peer's fault, [`Misuse`], [`InvalidField`] and [`InvalidHead`] are the local
//! caller's.

/// The peer broke a rule of RFC 9110 or RFC 9112, or exceeded one of the [`Limits`](super::Limits).
///
/// A decoder that returned one repeats it on every later call: after it nothing that the peer sends
/// has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first line is neither a request line nor a status line (RFC 9112, sections 3 and 4).
    #[error("the start line is malformed")]
    StartLine,
    /// The message begins like TLS, which no message of HTTP/1.1 does.
    #[error("it is TLS, and HTTP is spoken here without (http:// instead of https://)")]
    Tls,
    /// The method is not a token, or differs from `HEAD` or `CONNECT` only in case.
    #[error("the method is not one that every recipient reads alike")]
    Method,
    /// The method is `CONNECT`, which is for forward proxies.
    #[error("the method CONNECT is not offered here")]
    ConnectMethod,
    /// The target holds a control byte or bytes that are not UTF-8, or its authority is malformed.
    #[error("the request target is malformed")]
    Target,
    /// The target has none of the forms of RFC 9112, section 3.2, that its method allows.
    #[error("the request target is neither a path nor an absolute URI")]
    TargetForm,
    /// The target has a fragment, which is never sent (RFC 9110, section 7.1).
    #[error("the request target has a fragment")]
    Fragment,
    /// The target is longer than the limit.
    #[error("the request target is longer than {limit} bytes")]
    TargetTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    #[error("the HTTP version is neither 1.0 nor 1.1")]
    Version,
    /// The status is outside of 100 to 599 (RFC 9110, section 15).
    #[error("the status is not within 100 to 599")]
    Status,

    /// A line ends in LF without CR. RFC 9112, section 2.2, lets a recipient refuse it.
    #[error("a line ends in LF without CR")]
    BareLf,
    /// A CR is not followed by LF (RFC 9112, section 2.2).
    #[error("a CR is not followed by LF")]
    BareCr,
    /// A NUL or another control byte is in the head (RFC 9110, section 5.5).
    #[error("a control byte is in the head")]
    ControlByte,
    /// White space stands between the start line and the first field (RFC 9112, section 2.2).
    #[error("white space stands before the first field")]
    LeadingSpace,
    /// A field is folded over several lines (RFC 9112, section 5.2).
    #[error("a field is folded over several lines")]
    ObsoleteFolding,
    /// A field name is empty or not a token (RFC 9110, section 5.1), or its line has no colon.
    #[error("a field name is not a token")]
    FieldName,
    /// White space stands between a field name and its colon (RFC 9112, section 5.1).
    #[error("white space stands between a field name and its colon")]
    FieldNameSpace,
    /// The head has more fields than the limit.
    #[error("the head has more than {limit} fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// The head is larger than the limit.
    #[error("the head is larger than {limit} bytes")]
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },

    /// An HTTP/1.1 request has no Host (RFC 9112, section 3.2).
    #[error("the request has no Host field")]
    MissingHost,
    /// A request has more than one Host (RFC 9112, section 3.2).
    #[error("the request has more than one Host field")]
    RepeatedHost,
    /// The Host is not a host with an optional port (RFC 9110, section 7.2).
    #[error("the Host field is not a host with an optional port")]
    InvalidHost,
    /// The authority of an absolute target and the Host name two sites (RFC 9112, section 3.2.2).
    #[error("the Host field and the request target name different hosts")]
    HostConflict,

    /// A Content-Length is not one plain decimal number (RFC 9110, section 8.6).
    #[error("the Content-Length is not one plain decimal number")]
    ContentLength,
    /// There is more than one Content-Length, alike or not (RFC 9112, section 6.3).
    #[error("the Content-Length is repeated")]
    RepeatedContentLength,
    /// Both Content-Length and Transfer-Encoding are present (RFC 9112, section 6.3).
    #[error("both Content-Length and Transfer-Encoding are present")]
    LengthAndTransferEncoding,
    /// The Transfer-Encoding is not exactly one `chunked` (RFC 9112, section 6.1).
    #[error("the Transfer-Encoding is not exactly one `chunked`")]
    TransferEncoding,
    /// A well-formed Transfer-Encoding names codings other than `chunked` (RFC 9112, section 6.1).
    #[error("the Transfer-Encoding has a coding that is not supported")]
    TransferCoding,
    /// An HTTP/1.0 message has a Transfer-Encoding (RFC 9112, section 6.1).
    #[error("an HTTP/1.0 message has a Transfer-Encoding")]
    TransferEncodingOnHttp10,
    /// The Expect field asks for something other than `100-continue` (RFC 9110, section 10.1.1).
    #[error("the expectation is not `100-continue`")]
    Expectation,

    /// A chunk size is empty, signed, not hexadecimal, or followed by junk (RFC 9112, section 7.1).
    #[error("a chunk size is malformed")]
    ChunkSize,
    /// A chunk size has more than 16 digits.
    #[error("a chunk size has more than 16 digits")]
    ChunkSizeOverflow,
    /// A chunk extension holds a control byte (RFC 9112, section 7.1.1).
    #[error("a chunk extension holds a control byte")]
    ChunkExtension,
    /// A chunk-size line with its extensions is longer than the limit.
    #[error("a chunk-size line is longer than {limit} bytes")]
    ChunkLineTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The data of a chunk are not followed by CRLF (RFC 9112, section 7.1).
    #[error("the data of a chunk are not followed by CRLF")]
    ChunkDataEnd,
    /// A trailer is for framing, routing, authentication or content format (RFC 9110, section
    /// 6.5.1).
    #[error("a field is not allowed as a trailer")]
    ForbiddenTrailer,
    /// There are more trailers than the limit.
    #[error("there are more than {limit} trailers")]
    TooManyTrailers {
        /// The limit.
        limit: usize,
    },
    /// The trailer section is larger than the limit.
    #[error("the trailer section is larger than {limit} bytes")]
    TrailersTooLarge {
        /// The limit in bytes.
        limit: usize,
    },

    /// An interim response announces a body (RFC 9112, section 6.1 and RFC 9110, section 8.6).
    #[error("an interim response announces a body")]
    InterimBody,
    /// There are more interim responses than the limit.
    #[error("more than {limit} interim responses came before the final one")]
    TooManyInterim {
        /// The limit.
        limit: usize,
    },
    /// A 101 answers a request that did not ask for an upgrade (RFC 9110, section 15.2.2).
    #[error("the protocol was switched without being asked for")]
    UnsolicitedSwitch,
    /// A 101 does not say to which protocol it switches (RFC 9110, section 7.8).
    #[error("a 101 response lacks `Connection: Upgrade` or a valid Upgrade field")]
    MalformedSwitch,

    /// The input ended inside a head, or before the end of a body (RFC 9112, section 8).
    #[error("the message was cut short")]
    Truncated,
    /// Bytes came after the end of a response, or before a request was sent (RFC 9112, section
    /// 9.2).
    #[error("bytes came that belong to no response")]
    Surplus,
}

impl Error {
    /// The status with which a server answers a request that broke this rule.
    ///
    /// For a response that broke it, a gateway answers its own client with 502 instead.
    pub fn status(&self) -> u16 {
        match self {
            Self::TargetTooLong { .. } => 414,
            Self::Expectation => 417,
            Self::TooManyFields { .. }
            | Self::HeadTooLarge { .. }
            | Self::TooManyTrailers { .. }
            | Self::TrailersTooLarge { .. } => 431,
            Self::ConnectMethod | Self::TransferCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// A local caller asked an encoder for something that would not be valid on the wire.
///
/// Nothing was written and the state is what it was before the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The field is written by the encoder itself, from the arguments that describe the framing.
    #[error(
        "the field {name} is written by the encoder: leave it out, set the length, close or upgrade option"
    )]
    ReservedField {
        /// Its name.
        name: String,
    },
    /// A field has a name or a value that no message can carry.
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    /// A start line, or the head as a whole, would be refused by a strict recipient.
    #[error("a strict recipient would refuse this head: {0}")]
    Malformed(Error),
    /// The status cannot be sent in this way: `interim` is for 100 and 102 to 199, `response` for
    /// the others.
    #[error(
        "the status {status} cannot be sent here: interim is for 1xx other than 101, response for the rest"
    )]
    Status {
        /// The status.
        status: u16,
    },
    /// The reason phrase holds a control byte.
    #[error("the reason phrase holds a control byte")]
    Reason,
    /// A head was already sent in this exchange.
    #[error("a head was already sent: call next() first, once the exchange is complete")]
    HeadAlreadySent,
    /// Data or an end came before the head.
    #[error("the head must be sent first")]
    HeadNotSent,
    /// Data or an end came after the end.
    #[error("the message has already ended")]
    AlreadyEnded,
    /// The body is longer than the head declared.
    #[error("the body is longer than the declared {declared} bytes")]
    BodyTooLong {
        /// The declared length.
        declared: u64,
    },
    /// The body ended before the declared length.
    #[error("the body ended {missing} bytes before its declared length")]
    BodyTooShort {
        /// How many bytes are missing.
        missing: u64,
    },
    /// The field must not be sent as a trailer (RFC 9110, section 6.5.1).
    #[error("the field {name} must not be sent as a trailer")]
    ForbiddenTrailer {
        /// Its name.
        name: String,
    },
    /// An upgrade was asked for in a request with a body.
    #[error("a request that asks for an upgrade must have no body")]
    UpgradeWithBody,
    /// A 101 was sent to a request that did not ask for it, or without naming the protocol.
    #[error("a 101 needs a request that asked for an upgrade, and the `upgrade` option")]
    SwitchNotAsked,
    /// The protocol was switched: the connection carries no HTTP any more.
    #[error("the protocol was switched, no further message can be sent")]
    Switched,
    /// The connection cannot carry another exchange.
    #[error("the connection cannot be reused for another exchange")]
    NotReusable,
}

/// A field name or value that no message can carry (RFC 9110, sections 5.1 and 5.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidField {
    /// The name is empty or holds something other than token characters.
    #[error("the field name {name:?} is not a token (letters, digits and !#$%&'*+-.^_`|~)")]
    Name {
        /// The name, cut to a length that can be shown.
        name: String,
    },
    /// The value holds a control byte, or begins or ends with white space.
    #[error(
        "the value of the field {name} holds a control byte, or begins or ends with white space"
    )]
    Value {
        /// The name of the field.
        name: String,
    },
    /// The list of fields would pass 4 GiB.
    #[error("the value of the field {name} is too large")]
    TooLarge {
        /// The name of the field.
        name: String,
    },
}

impl InvalidField {
    pub(crate) fn name(name: &str) -> Self {
        Self::Name {
            name: shown(name.as_bytes()),
        }
    }

    pub(crate) fn value(name: &str) -> Self {
        Self::Value {
            name: shown(name.as_bytes()),
        }
    }

    pub(crate) fn too_large(name: &str) -> Self {
        Self::TooLarge {
            name: shown(name.as_bytes()),
        }
    }
}

/// A start line that no message can carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHead {
    /// The method is not a token (RFC 9110, section 9.1).
    #[error("the method {method:?} is not a token")]
    Method {
        /// The method, cut to a length that can be shown.
        method: String,
    },
    /// The target is not one that a request can have.
    #[error("the request target {target:?} is not valid: {reason}")]
    Target {
        /// The target, cut to a length that can be shown.
        target: String,
        /// The rule that it breaks.
        reason: Error,
    },
    /// The status is outside of 100 to 599.
    #[error("the status {status} is not within 100 to 599")]
    Status {
        /// The status.
        status: u16,
    },
    /// The reason phrase holds a control byte (RFC 9112, section 4).
    #[error("the reason phrase holds a control byte")]
    Reason,
    /// A field that was given with the head is invalid.
    #[error(transparent)]
    Field(#[from] InvalidField),
}

/// How much of an offending text is worth showing: enough to recognise it, too little to flood a
/// log.
const SHOWN: usize = 64;

/// The beginning of `bytes`, without anything that a log or a page could stumble over.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(SHOWN)
        .copied()
        .flat_map(std::ascii::escape_default)
        .map(char::from)
        .collect()
}
