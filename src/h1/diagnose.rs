//! Why was a head refused? The cold path behind httparse, whose errors do not name the rule.

use super::{
    error::Error,
    syntax::{is_control, is_ows, is_token},
};

/// Which rule the request head `text` breaks. All its lines end in CRLF.
pub(crate) fn request(text: &[u8]) -> Error {
    let (start, fields) = first_line(text);
    request_line(start)
        .and_then(|()| field_lines(fields))
        .err()
        .unwrap_or(Error::StartLine)
}

/// Which rule the response head `text` breaks. All its lines end in CRLF.
pub(crate) fn response(text: &[u8]) -> Error {
    let (start, fields) = first_line(text);
    status_line(start)
        .and_then(|()| field_lines(fields))
        .err()
        .unwrap_or(Error::StartLine)
}

/// Which rule the field lines `text` break. All of them end in CRLF.
pub(crate) fn fields(text: &[u8]) -> Error {
    field_lines(text).err().unwrap_or(Error::FieldName)
}

/// The first line of `text` without its CRLF, and the rest.
fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
    let (line, rest) = text.split_at(end);
    (line.strip_suffix(b"\r\n").unwrap_or(line), rest)
}

/// RFC 9112, section 3: `method SP request-target SP HTTP-version`.
fn request_line(line: &[u8]) -> Result<(), Error> {
    controls(line)?;
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(_), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error::StartLine);
    };
    if !is_token(method) {
        return Err(Error::Method);
    }
    http_version(version)?;
    // What httparse checks besides is the target.
    Ok(())
}

/// RFC 9112, section 4: `HTTP-version SP status-code SP [ reason-phrase ]`.
fn status_line(line: &[u8]) -> Result<(), Error> {
    controls(line)?;
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    http_version(parts.next().unwrap_or_default())?;
    match parts.next() {
        Some([b'0'..=b'9', b'0'..=b'9', b'0'..=b'9']) => Ok(()),
        _ => Err(Error::Status),
    }
}

/// RFC 9112, section 2.3: a version that is well formed but another one is told from garbage.
fn http_version(version: &[u8]) -> Result<(), Error> {
    match version {
        b"HTTP/1.0" | b"HTTP/1.1" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Error::Version),
        _ => Err(Error::StartLine),
    }
}

/// RFC 9112, section 5.
fn field_lines(text: &[u8]) -> Result<(), Error> {
    let mut rest = text;
    let mut first = true;
    while !rest.is_empty() {
        let (line, after) = first_line(rest);
        match line {
            [] => return Ok(()),
            [byte, ..] if is_ows(*byte) => {
                return Err(if first {
                    Error::LeadingSpace
                } else {
                    Error::ObsoleteFolding
                });
            }
            _ => field_line(line)?,
        }
        rest = after;
        first = false;
    }
    Ok(())
}

fn field_line(line: &[u8]) -> Result<(), Error> {
    controls(line)?;
    let colon = memchr::memchr(b':', line).ok_or(Error::FieldName)?;
    let name = &line[..colon];
    if name.last().is_some_and(|&byte| is_ows(byte)) {
        return Err(Error::FieldNameSpace);
    }
    if is_token(name) {
        Ok(())
    } else {
        Err(Error::FieldName)
    }
}

fn controls(line: &[u8]) -> Result<(), Error> {
    match line.iter().find(|&&byte| is_control(byte)) {
        Some(b'\r') => Err(Error::BareCr),
        Some(_) => Err(Error::ControlByte),
        None => Ok(()),
    }
}
