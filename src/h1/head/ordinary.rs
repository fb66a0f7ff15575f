//! Is a head like nearly all heads? One pass reads such a head, and finds its end on the way.
//!
//! Ordinary is what nobody can read in two ways: lines that end in CRLF, names of letters, digits,
//! `-` and `_`, one space behind the colon, none behind the value. Everything else is left to the
//! careful way, by httparse and the rules around it, which accepts more and knows what to call what
//! it refuses.

use super::super::{
    fields::Lines,
    syntax::{find, is_control, is_ows},
};

/// How far a head was ordinary, if not to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Where the first line begins that is not complete, or not ordinary.
    pub end: usize,
    /// How many lines are before it.
    pub lines: usize,
}

/// The start line of an ordinary request: where its method and its target end, and the line end
/// begins.
pub(super) struct RequestLine {
    pub(super) method: usize,
    pub(super) target: usize,
    pub(super) end: usize,
}

impl RequestLine {
    /// The request line that `input` begins with, if it is an ordinary one.
    pub(super) fn read(input: &[u8]) -> Option<Self> {
        let method = find(input, |byte| !byte.is_ascii_uppercase())?;
        let rest = input.get(method..)?.strip_prefix(b" ")?;
        let target = method + 1 + find(rest, |byte| !(b'!'..0x7f).contains(&byte))?;
        let is_complete = method > 0 && input.get(target..)?.starts_with(b" HTTP/1.1\r\n");
        is_complete.then_some(Self {
            method,
            target,
            end: target + b" HTTP/1.1".len(),
        })
    }
}

/// Where the status line ends that `input` begins with, if it is an ordinary one.
pub(super) fn status_line_end(input: &[u8]) -> Option<usize> {
    let (code, reason) = ("HTTP/1.1 ".len(), "HTTP/1.1 200 ".len());
    if !input.starts_with(b"HTTP/1.1 ") || input.get(reason - 1) != Some(&b' ') {
        return None;
    }
    // A line end among them would be passed over, unseen by whoever looks for line ends from here on.
    if !input[code..reason - 1].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let end = reason + find(input.get(reason..)?, is_control)?;
    input.get(end..)?.starts_with(b"\r\n").then_some(end)
}

/// Reads the fields behind a start line of which `start` is the end, and returns the end of the
/// head.
pub(super) fn fields(input: &[u8], start: usize, lines: &mut Lines) -> Result<usize, Prefix> {
    let mut at = start;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        if rest.starts_with(b"\r\n") {
            return Ok(at + 2);
        }
        let line = field_line(rest)
            .and_then(|(colon, end)| lines.push(&rest[..colon], at, at + end).map(|()| end));
        let Some(end) = line else {
            return Err(Prefix {
                end: at,
                lines: lines.len() + 1,
            });
        };
        at += end + 2;
    }
}

/// Where the name and the value end of the field line that `rest` begins with, if it is an ordinary
/// one.
#[inline]
fn field_line(rest: &[u8]) -> Option<(usize, usize)> {
    let colon = find(rest, |byte| {
        !(byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'_'))
    })?;
    let value = rest.get(colon..)?.strip_prefix(b": ")?;
    let length = find(value, is_control)?;
    let (value, behind) = value.split_at(length);
    let is_ordinary = colon > 0
        && behind.starts_with(b"\r\n")
        && value.first().is_some_and(|&byte| !is_ows(byte))
        && value.last().is_some_and(|&byte| !is_ows(byte));
    is_ordinary.then_some((colon, colon + 2 + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::{Limits, RequestHead, ResponseHead};

    const START: &str = "GET /a?b HTTP/1.1\r\nHost: h\r\n";

    /// Where the head ends, or how much of it is ordinary.
    fn read(text: &str, limits: &Limits) -> Result<usize, Prefix> {
        RequestHead::ordinary(text.as_bytes(), limits).map(|(end, head)| {
            let careful = RequestHead::parse(&text.as_bytes()[..end], limits);
            assert_eq!(careful.as_ref(), Ok(&head), "{text:?}");
            assert_eq!(careful.map(|careful| careful.traits), Ok(head.traits));
            end
        })
    }

    #[test]
    fn what_is_left_to_the_careful_way() {
        let limits = Limits::default();
        for line in [
            "",
            "X-a_1: \u{e9} \t b\r\n",
            "Content-Length: 3\r\nTE: trailers\r\n",
        ] {
            let text = format!("{START}{line}\r\n");
            assert_eq!(read(&format!("{text}more"), &limits), Ok(text.len()));
        }
        let fields_end = Prefix {
            end: START.len(),
            lines: 2,
        };
        for line in [
            "A:b", "A:  b", "A:\tb", "A: b ", "A: b\t", "A: ", "A:", "A : b", " A: b", ": b", "A",
            "A!: b", "A: b\0", "A: b\x7f", "A: b\rc", "A: b\nc",
        ] {
            let text = format!("{START}{line}\r\n\r\n");
            assert_eq!(read(&text, &limits), Err(fields_end), "{line:?}");
        }
        for text in [
            "",
            "GET",
            "GET / HTTP/1.1\r\n\r\n",
            "get / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
            " / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: h\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\nHost: h\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        ] {
            assert_eq!(read(text, &limits), Err(Prefix::default()), "{text:?}");
        }
    }

    #[test]
    fn limits_end_what_is_ordinary() {
        let text = format!("{START}A: b\r\n\r\n");
        for (limits, expected) in [
            (Limits::default().with_fields(2), Ok(text.len())),
            (
                Limits::default().with_fields(1),
                Err(Prefix {
                    end: START.len(),
                    lines: 2,
                }),
            ),
            (Limits::default().with_head_size(text.len()), Ok(text.len())),
            (
                Limits::default().with_head_size(text.len() - 1),
                Err(Prefix {
                    end: text.len() - 2,
                    lines: 3,
                }),
            ),
            (Limits::default().with_target(3), Err(Prefix::default())),
        ] {
            assert_eq!(read(&text, &limits), expected, "{limits:?}");
        }
        let many = format!("{START}{}\r\n", "A: b\r\n".repeat(60));
        assert!(read(&many, &Limits::default()).is_err_and(|prefix| prefix.lines > 16));
    }

    /// What was passed over as ordinary is not looked at again for line ends, even if the head is not whole yet.
    #[test]
    fn no_line_end_hides_in_a_start_line() {
        const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nA: b\r\n";
        for (whole, read) in [
            (START.as_bytes(), request_end as fn(&[u8]) -> Option<usize>),
            (RESPONSE, status_line_end),
        ] {
            let line = read(whole).expect("it is ordinary");
            for at in 0..line {
                for other in *b"\n\r\0" {
                    let mut text = whole.to_vec();
                    text[at] = other;
                    let end = read(&text);
                    assert_eq!(end, None, "{other:#x} at {at}");
                }
            }
        }
    }

    fn request_end(input: &[u8]) -> Option<usize> {
        RequestLine::read(input).map(|line| line.end)
    }

    #[test]
    fn responses() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", true),
            ("HTTP/1.1 599 \r\n\r\n", true),
            ("HTTP/1.1 200\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.1 600 OK\r\n\r\n", false),
            ("HTTP/1.1 2x0 OK\r\n\r\n", false),
            ("HTTP/1.1 200 O\0\r\n\r\n", false),
            ("HTTP/1.1 200 OK\n\r\n", false),
        ] {
            let limits = Limits::default();
            let found = ResponseHead::ordinary(text.as_bytes(), &limits);
            assert_eq!(found.is_ok(), expected, "{text:?}");
            if let Ok((end, head)) = found {
                assert_eq!(end, text.len());
                assert_eq!(ResponseHead::parse(text.as_bytes(), &limits), Ok(head));
            }
        }
    }
}
