//! What is in a head? Start line and fields of a request and of a response, parsed or made.
//!
//! A parsed head is one allocation of its exact size: it does not keep the read buffer alive, and
//! to clone it is to count a reference.

mod ordinary;

use std::{fmt, mem::MaybeUninit, sync::Arc};

use httparse::{Header, Status};

pub(crate) use self::ordinary::Prefix;
use super::{
    diagnose,
    error::{Error, InvalidField, InvalidHead, shown},
    fields::{Fields, Kind, Lines, Span},
    limits::{FIELDS_CEILING, Limits},
    status::{is_status, reason_phrase},
    syntax::{digits, is_text},
    target,
    traits::{Seen, Traits},
    version::Version,
};

/// The head of a request (RFC 9112, section 3).
#[derive(Clone)]
pub struct RequestHead {
    text: Arc<[u8]>,
    method: Span,
    target: Span,
    version: Version,
    fields: Fields,
    pub(crate) traits: Traits,
    /// Whether the head is as it was parsed.
    is_unchanged: bool,
}

impl RequestHead {
    /// A head of an HTTP/1.1 request without fields.
    ///
    /// What its fields say about framing counts only in parsed heads: who sends a head says it in
    /// [`Sending`](super::Sending).
    ///
    /// # Errors
    ///
    /// If the method is not a token, or the target is none that this method can have.
    pub fn new(method: &str, target: &str) -> Result<Self, InvalidHead> {
        target::check_method(method.as_bytes()).map_err(|_| InvalidHead::Method {
            method: shown(method.as_bytes()),
        })?;
        target::form(method.as_bytes(), target.as_bytes()).map_err(|reason| {
            InvalidHead::Target {
                target: shown(target.as_bytes()),
                reason,
            }
        })?;
        let end = method.len() + target.len();
        Ok(Self {
            text: Arc::from([method.as_bytes(), target.as_bytes()].concat()),
            method: Span::new(0, method.len()),
            target: Span::new(method.len(), end),
            version: Version::Http11,
            fields: Fields::default(),
            traits: Traits::default(),
            is_unchanged: false,
        })
    }

    /// Appends a field.
    ///
    /// # Errors
    ///
    /// If the name or the value is one that no message can carry.
    pub fn with_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        self.fields_mut().push(name, value)?;
        Ok(self)
    }

    /// The method. It is case-sensitive.
    pub fn method(&self) -> &str {
        str::from_utf8(self.method.of(&self.text)).unwrap_or_default()
    }

    pub(crate) fn method_bytes(&self) -> &[u8] {
        self.method.of(&self.text)
    }

    /// Whether the target is this one, and was read as that of an HTTP/1.1 request: it was checked
    /// together with the Host then, and nothing was changed since.
    pub(crate) fn has_checked(&self, target: &str) -> bool {
        self.is_unchanged
            && self.version == Version::Http11
            && target.as_bytes() == self.target.of(&self.text)
    }

    /// Whether it is known that no Connection option names a field that would not end at this hop
    /// anyway.
    pub(crate) fn nominates_none(&self) -> bool {
        self.is_unchanged && !self.traits.nominates
    }

    /// Whether the method is HEAD.
    pub(crate) fn is_head(&self) -> bool {
        self.method_bytes() == b"HEAD"
    }

    /// The target, byte for byte as it was sent.
    pub fn target(&self) -> &str {
        str::from_utf8(self.target.of(&self.text)).unwrap_or_default()
    }

    /// The version that the client sent.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The fields, to be changed. What they said about framing when they were parsed stays as it
    /// was.
    pub fn fields_mut(&mut self) -> &mut Fields {
        self.is_unchanged = false;
        &mut self.fields
    }

    /// The value of the Host field.
    pub fn host(&self) -> Option<&[u8]> {
        self.fields.values(Kind::Host).next()
    }

    /// Whether the client said that it takes trailers (`TE: trailers`, RFC 9110, section 10.1.4).
    pub fn takes_trailers(&self) -> bool {
        self.traits.te_trailers
    }

    /// Parses one whole head, which ends with its empty line and has CRLF at the end of every line.
    pub(crate) fn parse(text: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut table = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS_CEILING];
        let mut parsed = httparse::Request::new(&mut []);
        let table = &mut table[..limits.fields().min(FIELDS_CEILING)];
        match parsed.parse_with_uninit_headers(text, table) {
            Ok(Status::Complete(end)) if end == text.len() => {}
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Error::TooManyFields {
                    limit: limits.fields(),
                });
            }
            _ => return Err(diagnose::request(text)),
        }
        let (method, target) = (
            parsed.method.unwrap_or_default(),
            parsed.path.unwrap_or_default(),
        );
        let version = Version::from_minor(parsed.version)?;
        // One space at either side of the target (RFC 9112, section 3), and nothing before the
        // method: httparse has switches for more, and skips empty lines.
        let target_start = method.len() + 1;
        let line = target_start + target.len() + " HTTP/1.1".len();
        if text.get(line..line + 2) != Some(b"\r\n") || !text.starts_with(method.as_bytes()) {
            return Err(Error::StartLine);
        }
        let fields = Fields::parsed(text, parsed.headers);
        Self::of(
            method.len(),
            target_start + target.len(),
            version,
            fields,
            limits,
        )
    }

    /// Reads the head that `input` begins with, if it is whole and an ordinary one: otherwise what
    /// is to be said about it is left to [`parse`](Self::parse).
    pub(crate) fn ordinary(input: &[u8], limits: &Limits) -> Result<(usize, Self), Prefix> {
        let input = &input[..input.len().min(limits.head_size())];
        let line = ordinary::RequestLine::read(input).ok_or(Prefix::default())?;
        let mut lines = Lines::up_to(limits.fields());
        let end = ordinary::fields(input, line.end + 2, &mut lines)?;
        let fields = Fields::found(&input[..end], &lines);
        let head = Self::of(line.method, line.target, Version::Http11, fields, limits);
        head.map(|head| (end, head)).map_err(|_| Prefix::default())
    }

    /// The head whose text `fields` has, with a method and a target that end there, and one space
    /// between them.
    fn of(
        method: usize,
        target: usize,
        version: Version,
        fields: Fields,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let text = Arc::clone(fields.text());
        let (method, target) = (Span::new(0, method), Span::new(method + 1, target));
        target::check_method(method.of(&text))?;
        if target.of(&text).len() > limits.target() {
            return Err(Error::TargetTooLong {
                limit: limits.target(),
            });
        }
        let form = target::form(method.of(&text), target.of(&text))?;
        let traits = request_traits(&fields, form, version)?;
        Ok(Self {
            text,
            method,
            target,
            version,
            fields,
            traits,
            is_unchanged: true,
        })
    }
}

/// What only a request has to fulfil, beyond its framing.
fn request_traits(
    fields: &Fields,
    form: target::Form<'_>,
    version: Version,
) -> Result<Traits, Error> {
    let seen = Seen::read(fields)?;
    if seen.traits.chunked && version == Version::Http10 {
        return Err(Error::TransferEncodingOnHttp10);
    }
    if seen.hosts > 1 {
        return Err(Error::RepeatedHost);
    }
    target::check_host(form, seen.host, version == Version::Http11)?;
    // An HTTP/1.0 client cannot expect anything (RFC 9110, section 10.1.1).
    if seen.foreign_expectation && version == Version::Http11 {
        return Err(Error::Expectation);
    }
    Ok(seen.traits)
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("version", &self.version)
            .field("fields", &self.fields)
            .finish()
    }
}

impl PartialEq for RequestHead {
    fn eq(&self, other: &Self) -> bool {
        self.method() == other.method()
            && self.target() == other.target()
            && self.version == other.version
            && self.fields == other.fields
    }
}

impl Eq for RequestHead {}

/// The head of a response (RFC 9112, section 4).
#[derive(Clone)]
pub struct ResponseHead {
    text: Arc<[u8]>,
    status: u16,
    reason: Span,
    version: Version,
    fields: Fields,
    pub(crate) traits: Traits,
    /// Whether the head is as it was parsed.
    is_unchanged: bool,
}

impl ResponseHead {
    /// A head of an HTTP/1.1 response without fields, with the registered reason phrase.
    ///
    /// # Errors
    ///
    /// If the status is not within 100 to 599.
    pub fn new(status: u16) -> Result<Self, InvalidHead> {
        if !is_status(status) {
            return Err(InvalidHead::Status { status });
        }
        let reason = reason_phrase(status).as_bytes();
        Ok(Self {
            text: Arc::from(reason),
            status,
            reason: Span::new(0, reason.len()),
            version: Version::Http11,
            fields: Fields::default(),
            traits: Traits::default(),
            is_unchanged: false,
        })
    }

    /// Appends a field.
    ///
    /// # Errors
    ///
    /// If the name or the value is one that no message can carry.
    pub fn with_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        self.fields_mut().push(name, value)?;
        Ok(self)
    }

    /// Replaces the reason phrase.
    ///
    /// # Errors
    ///
    /// If the phrase holds a control byte.
    pub fn with_reason(mut self, reason: impl AsRef<[u8]>) -> Result<Self, InvalidHead> {
        let reason = reason.as_ref();
        if !is_text(reason) {
            return Err(InvalidHead::Reason);
        }
        self.text = Arc::from(reason);
        self.reason = Span::new(0, reason.len());
        Ok(self)
    }

    /// The status, from 100 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase. It may be empty, and may hold bytes that are not UTF-8.
    pub fn reason(&self) -> &[u8] {
        self.reason.of(&self.text)
    }

    /// The version that the server sent.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The fields, to be changed. What they said about framing when they were parsed stays as it
    /// was.
    pub fn fields_mut(&mut self) -> &mut Fields {
        self.is_unchanged = false;
        &mut self.fields
    }

    /// Whether it is known that no Connection option names a field that would not end at this hop
    /// anyway.
    pub(crate) fn nominates_none(&self) -> bool {
        self.is_unchanged && !self.traits.nominates
    }

    /// Whether another response follows to the same request (RFC 9110, section 15.2). A 101 is
    /// final.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// Parses one whole head, which ends with its empty line and has CRLF at the end of every line.
    pub(crate) fn parse(text: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut table = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS_CEILING];
        let mut parsed = httparse::Response::new(&mut []);
        let table = &mut table[..limits.fields().min(FIELDS_CEILING)];
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut parsed, text, table) {
            Ok(Status::Complete(end)) if end == text.len() => {}
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Error::TooManyFields {
                    limit: limits.fields(),
                });
            }
            _ => return Err(diagnose::response(text)),
        }
        let version = Version::from_minor(parsed.version)?;
        Self::of(version, Fields::parsed(text, parsed.headers))
    }

    /// Reads the head that `input` begins with, if it is whole and an ordinary one: otherwise what
    /// is to be said about it is left to [`parse`](Self::parse).
    pub(crate) fn ordinary(input: &[u8], limits: &Limits) -> Result<(usize, Self), Prefix> {
        let input = &input[..input.len().min(limits.head_size())];
        let line = ordinary::status_line_end(input).ok_or(Prefix::default())?;
        let mut lines = Lines::up_to(limits.fields());
        let end = ordinary::fields(input, line + 2, &mut lines)?;
        let fields = Fields::found(&input[..end], &lines);
        let head = Self::of(Version::Http11, fields);
        head.map(|head| (end, head)).map_err(|_| Prefix::default())
    }

    /// The head whose text `fields` has.
    fn of(version: Version, fields: Fields) -> Result<Self, Error> {
        let text = Arc::clone(fields.text());
        let (status, reason) = status_line(&text)?;
        let traits = Seen::read(&fields)?.traits;
        if traits.chunked && version == Version::Http10 {
            return Err(Error::TransferEncodingOnHttp10);
        }
        let head = Self {
            text,
            status,
            reason,
            version,
            fields,
            traits,
            is_unchanged: true,
        };
        head.check_informational()?;
        Ok(head)
    }

    /// A 1xx response has no body, so it must not announce one (RFC 9110, section 8.6, and RFC
    /// 9112, section 6.1). Some servers send `Content-Length: 0` with a 101, which is harmless.
    fn check_informational(&self) -> Result<(), Error> {
        let announces = self.traits.chunked || self.traits.content_length.is_some_and(|n| n > 0);
        if self.status < 200 && announces {
            return Err(Error::InterimBody);
        }
        if self.status == 101 && !(self.traits.upgrade && self.version == Version::Http11) {
            return Err(Error::MalformedSwitch);
        }
        Ok(())
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("reason", &format_args!("{}", self.reason().escape_ascii()))
            .field("version", &self.version)
            .field("fields", &self.fields)
            .finish()
    }
}

impl PartialEq for ResponseHead {
    fn eq(&self, other: &Self) -> bool {
        self.status == other.status
            && self.reason() == other.reason()
            && self.version == other.version
            && self.fields == other.fields
    }
}

impl Eq for ResponseHead {}

/// Status and reason phrase of a head that httparse took: `HTTP/1.1 SP 3DIGIT [ SP reason ] CRLF`.
///
/// The second space may be missing, as it is in what many servers send without a reason phrase.
fn status_line(text: &[u8]) -> Result<(u16, Span), Error> {
    let line = text.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let rest = line.get("HTTP/1.1 ".len()..).ok_or(Error::StartLine)?;
    let (code, reason) = rest.split_at_checked(3).ok_or(Error::Status)?;
    let status = digits(code).and_then(|status| u16::try_from(status).ok());
    let status = status
        .filter(|&status| is_status(status))
        .ok_or(Error::Status)?;
    let reason = match reason {
        [] => b"",
        [b' ', reason @ ..] => reason,
        _ => return Err(Error::Status),
    };
    if !is_text(reason) {
        return Err(Error::ControlByte);
    }
    Ok((status, Span::new(line.len() - reason.len(), line.len())))
}
