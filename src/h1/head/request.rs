//! What is in the head of a request?

use std::{fmt, mem::MaybeUninit, sync::Arc};

use httparse::{Header, Status};

use super::{
    super::{
        diagnose,
        error::{Error, InvalidField, InvalidHead, shown},
        fields::{Fields, Kind, Lines, Span},
        limits::{FIELDS_CEILING, Limits},
        target,
        traits::{Seen, Traits},
        version::Version,
    },
    ordinary::{self, Prefix},
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
    /// [`Sending`](crate::h1::Sending).
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

    /// Whether the connection is to end after the exchange.
    pub(crate) fn asks_close(&self) -> bool {
        self.traits.close
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
