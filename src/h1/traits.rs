//! What do the fields of a head say about the message? Read once, while the head is parsed.

use super::{
    error::Error,
    fields::{Entry, Fields, Kind},
    syntax::{digits, is_protocol_list, is_token, tokens},
};

/// What the fields of a received head say about its framing and its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    /// `Connection: close`
    pub(crate) close: bool,
    /// `Connection: keep-alive`
    pub(crate) keep_alive: bool,
    /// `Connection: upgrade` together with a valid Upgrade field
    pub(crate) upgrade: bool,
    /// `Expect: 100-continue`
    pub(crate) expect_continue: bool,
    /// `TE: trailers`
    pub(crate) te_trailers: bool,
    /// A Connection option other than `keep-alive` and `upgrade`, which may name a field
    pub(crate) nominates: bool,
}

/// The fields that are read here, as they were found.
#[derive(Default)]
pub(crate) struct Seen<'a> {
    pub(crate) traits: Traits,
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) hosts: usize,
    /// Whether Expect asks for something that nobody here knows.
    pub(crate) foreign_expectation: bool,
    connection_upgrade: bool,
    upgrades: usize,
    /// Whether an Upgrade field is malformed or names a protocol that must not be tunnelled.
    refused_upgrade: bool,
}

impl<'a> Seen<'a> {
    /// Reads `fields`, every line of every repeated one.
    pub(crate) fn read(fields: &'a Fields) -> Result<Self, Error> {
        let mut seen = Self::default();
        for field in fields.entries() {
            match field.kind() {
                Kind::Te => seen.on_te(field.value()),
                Kind::Host => {
                    seen.host = Some(field.value());
                    seen.hosts += 1;
                }
                Kind::Expect => seen.on_expect(field.value()),
                Kind::Upgrade => seen.on_upgrade(field.value()),
                Kind::Connection => seen.on_connection(field.value()),
                Kind::ContentLength => seen.on_content_length(field.value(), raw(&field))?,
                Kind::TransferEncoding => seen.on_transfer_encoding(field.value(), raw(&field))?,
                _ => {}
            }
        }
        seen.traits.upgrade = seen.connection_upgrade && seen.upgrades > 0 && !seen.refused_upgrade;
        if seen.traits.chunked && seen.traits.content_length.is_some() {
            // RFC 9112, section 6.3, lets Transfer-Encoding win, and calls it a likely attack.
            return Err(Error::LengthAndTransferEncoding);
        }
        Ok(seen)
    }

    /// RFC 9110, section 8.6, and RFC 9112, section 6.3. Stricter than both: a repeat is refused
    /// even if it is the same number, as are leading zeros (octal, to some) and a tab next to the
    /// number.
    fn on_content_length(&mut self, value: &[u8], raw: &[u8]) -> Result<(), Error> {
        if self.traits.content_length.is_some() {
            return Err(Error::RepeatedContentLength);
        }
        let padded = value.len() > 1 && value.starts_with(b"0");
        if padded || raw.contains(&b'\t') {
            return Err(Error::ContentLength);
        }
        self.traits.content_length = Some(digits(value).ok_or(Error::ContentLength)?);
        Ok(())
    }

    /// RFC 9112, section 6.1. Exactly one `chunked`: parsers disagree about everything else. That
    /// goes for a tab next to it, too, which only attacks have.
    fn on_transfer_encoding(&mut self, value: &[u8], raw: &[u8]) -> Result<(), Error> {
        if self.traits.chunked || raw.contains(&b'\t') {
            return Err(Error::TransferEncoding);
        }
        if is(value, b"chunked") {
            self.traits.chunked = true;
            return Ok(());
        }
        let chunked = tokens(value)
            .filter(|coding| is(coding, b"chunked"))
            .count();
        let last = tokens(value)
            .last()
            .is_some_and(|coding| is(coding, b"chunked"));
        let others = tokens(value).count() - chunked;
        if chunked == 1 && last && others > 0 && tokens(value).all(is_token) {
            // A body that could be read, under codings that we do not decode.
            return Err(Error::TransferCoding);
        }
        Err(Error::TransferEncoding)
    }

    /// RFC 9110, section 7.6.1.
    fn on_connection(&mut self, value: &[u8]) {
        for option in tokens(value) {
            match Kind::of(option) {
                Kind::KeepAlive => self.traits.keep_alive = true,
                Kind::Upgrade => self.connection_upgrade = true,
                _ => {
                    self.traits.close |= is(option, b"close");
                    self.traits.nominates = true;
                }
            }
        }
    }

    /// RFC 9110, section 7.8. `h2c` is never granted: it is obsolete (RFC 9113, section 3.1), and
    /// in its tunnel requests would pass that nobody checks.
    fn on_upgrade(&mut self, value: &[u8]) {
        self.upgrades += 1;
        self.refused_upgrade |=
            !is_protocol_list(value) || tokens(value).any(|protocol| is(protocol, b"h2c"));
    }

    /// RFC 9110, section 10.1.1.
    fn on_expect(&mut self, value: &[u8]) {
        if is(value, b"100-continue") {
            self.traits.expect_continue = true;
        } else {
            self.foreign_expectation = true;
        }
    }

    /// RFC 9110, section 10.1.4. Unlike a coding, `trailers` has no weight.
    fn on_te(&mut self, value: &[u8]) {
        self.traits.te_trailers |= tokens(value).any(|coding| is(coding, b"trailers"));
    }
}

/// All that stands between the colon of a field and its line end.
fn raw<'a>(field: &Entry<'a>) -> &'a [u8] {
    let mut lines = field.rest().split(|&byte| byte == b'\r');
    lines.next().unwrap_or_default()
}

fn is(value: &[u8], name: &[u8]) -> bool {
    value.eq_ignore_ascii_case(name)
}
