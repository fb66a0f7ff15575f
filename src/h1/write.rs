//! What are the bytes of a head and of a chunk? Every field that frames a message is written here
//! only.

mod fields;

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};

pub(crate) use self::fields::FieldWriter;
use super::{
    chunked::is_allowed_trailer,
    error::{InvalidField, Misuse, shown},
    fields::{Field, Fields},
    framing::Length,
    head::{RequestHead, ResponseHead},
    syntax::{is_field_value, is_protocol_list, is_text, is_token},
    version::Version,
};

/// Room for the size line of a chunk, of up to 16 digits, and its two line ends.
const CHUNK_OVERHEAD: usize = 20;

/// The start line of a request. Its version is always HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a str,
    /// The target.
    pub target: &'a str,
}

impl<'a> From<&'a RequestHead> for RequestLine<'a> {
    fn from(head: &'a RequestHead) -> Self {
        Self {
            method: head.method(),
            target: head.target(),
        }
    }
}

/// The start line of a request, and what is known of it.
pub(crate) struct Start<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    /// Whether it is that of a head that was parsed as an HTTP/1.1 request, and is passed on with the
    /// Host of that head, so that nothing has to be checked again.
    pub(crate) is_checked: bool,
}

impl<'a> Start<'a> {
    /// That of `head` with `target`. With `keeps_host` its Host is passed on as it came.
    pub(crate) fn passed(head: &'a RequestHead, target: &'a str, keeps_host: bool) -> Self {
        Self {
            method: head.method_bytes(),
            target: target.as_bytes(),
            is_checked: keeps_host && head.has_checked(target),
        }
    }
}

impl<'a> From<RequestLine<'a>> for Start<'a> {
    fn from(line: RequestLine<'a>) -> Self {
        Self {
            method: line.method.as_bytes(),
            target: line.target.as_bytes(),
            is_checked: false,
        }
    }
}

/// The start line of a response. Its version is always HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLine<'a> {
    /// The status, from 100 to 599.
    pub status: u16,
    /// The reason phrase, which may be empty.
    pub reason: &'a [u8],
}

impl<'a> From<&'a ResponseHead> for StatusLine<'a> {
    fn from(head: &'a ResponseHead) -> Self {
        Self {
            status: head.status(),
            reason: head.reason(),
        }
    }
}

/// How a message is sent: all that its hop-by-hop fields say.
///
/// From this the encoder writes `Content-Length`, `Transfer-Encoding`, `Connection`, `Upgrade` and
/// `TE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sending<'a> {
    /// The length of the body. A request with [`Length::Absent`] has none; a response with it has
    /// an empty one, unless its status or its request says that it has none.
    pub length: Length,
    /// Whether the connection is to end after this exchange.
    pub close: bool,
    /// The protocols to switch to: the value of the Upgrade field.
    pub upgrade: Option<&'a [u8]>,
    /// Whether to say that trailers are welcome (`TE: trailers`), in a request.
    pub te_trailers: bool,
}

/// Runs `write`, and takes back what it wrote if it fails.
pub(crate) fn all_or_nothing<T>(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<T, Misuse>,
) -> Result<T, Misuse> {
    let before = out.len();
    let result = write(out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

pub(crate) fn request_line(start: &Start<'_>, out: &mut BytesMut) {
    put_all(out, &[start.method, b" ", start.target, b" HTTP/1.1\r\n"]);
}

pub(crate) fn status_line(start: StatusLine<'_>, out: &mut BytesMut) -> Result<(), Misuse> {
    if !is_text(start.reason) {
        return Err(Misuse::Reason);
    }
    out.put_slice(b"HTTP/1.1 ");
    put_decimal(u64::from(start.status), out);
    put_all(out, &[b" ", start.reason, b"\r\n"]);
    Ok(())
}

fn put_checked(field: Field<'_>, out: &mut BytesMut) -> Result<(), Misuse> {
    if !is_token(field.name.as_bytes()) {
        return Err(InvalidField::name(field.name).into());
    }
    if !is_field_value(field.value) {
        return Err(InvalidField::value(field.name).into());
    }
    put(field, out);
    Ok(())
}

fn put(field: Field<'_>, out: &mut BytesMut) {
    out.reserve(field.name.len() + field.value.len() + 4);
    put_all(out, &[field.name.as_bytes(), b": ", field.value, b"\r\n"]);
}

pub(crate) fn length(length: Length, out: &mut BytesMut) {
    match length {
        Length::Absent => {}
        Length::Known(length) => {
            out.put_slice(b"Content-Length: ");
            put_decimal(length, out);
            out.put_slice(b"\r\n");
        }
        Length::Chunked => out.put_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

/// Writes Connection and the fields that it must name (RFC 9110, section 7.6.1). `client` is the
/// version of the request that a response is to.
pub(crate) fn connection(options: &Sending<'_>, client: Option<Version>, out: &mut BytesMut) {
    let keep_alive = client == Some(Version::Http10) && !options.close;
    if !(options.close || keep_alive || options.upgrade.is_some() || options.te_trailers) {
        return;
    }
    let listed = [
        (options.close, "close"),
        (keep_alive, "keep-alive"),
        (options.upgrade.is_some(), "Upgrade"),
        (options.te_trailers, "TE"),
    ];
    let mut before = "Connection: ";
    for (_, option) in listed.iter().filter(|(wanted, _)| *wanted) {
        put_all(out, &[before.as_bytes(), option.as_bytes()]);
        before = ", ";
    }
    out.put_slice(b"\r\n");
    if let Some(protocols) = options.upgrade {
        put_all(out, &[b"Upgrade: ", protocols, b"\r\n"]);
    }
    if options.te_trailers {
        out.put_slice(b"TE: trailers\r\n");
    }
}

/// The line that ends a head.
pub(crate) fn empty_line(out: &mut BytesMut) {
    out.put_slice(b"\r\n");
}

/// Writes data, which must not be empty, as one chunk (RFC 9112, section 7.1).
pub(crate) fn chunk(data: &[u8], out: &mut BytesMut) {
    out.reserve(data.len() + CHUNK_OVERHEAD);
    put_hex(data.len(), out);
    put_all(out, &[b"\r\n", data, b"\r\n"]);
}

/// Writes the chunk that ends a body, and the trailers.
pub(crate) fn last_chunk(trailers: Option<&Fields>, out: &mut BytesMut) -> Result<(), Misuse> {
    all_or_nothing(out, |out| {
        out.put_slice(b"0\r\n");
        for field in trailers.into_iter().flat_map(Fields::iter) {
            if !is_allowed_trailer(field.name) {
                return Err(Misuse::ForbiddenTrailer {
                    name: shown(field.name.as_bytes()),
                });
            }
            put_checked(field, out)?;
        }
        out.put_slice(b"\r\n");
        Ok(())
    })
}

pub(crate) fn check_upgrade(protocols: Option<&[u8]>) -> Result<(), Misuse> {
    match protocols {
        Some(value) if !is_protocol_list(value) || !is_field_value(value) => {
            Err(InvalidField::value("Upgrade").into())
        }
        _ => Ok(()),
    }
}

fn put_all(out: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        out.put_slice(part);
    }
}

fn put_decimal(mut number: u64, out: &mut BytesMut) {
    // Of the largest number.
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.put_slice(&digits[first..]);
}

fn put_hex(number: usize, out: &mut BytesMut) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{number:x}");
}
