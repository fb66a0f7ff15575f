//! What is in the head of a response?

use std::{fmt, mem::MaybeUninit, sync::Arc};

use httparse::{Header, Status};

use super::{
    super::{
        diagnose,
        error::{Error, InvalidField, InvalidHead},
        fields::{Fields, Lines, Span},
        limits::{FIELDS_CEILING, Limits},
        status::{is_status, reason_phrase},
        syntax::{digits, is_text},
        traits::{Seen, Traits},
        version::Version,
    },
    ordinary::{self, Prefix},
};

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
