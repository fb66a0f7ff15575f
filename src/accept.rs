//! What does a client want: text, JSON, or a page?

use crate::h1::{digits, tokens};

/// Whether an `Accept` field ranks a problem document above plain text (RFC 9110, section 12.5.1). A client that
/// asks for JSON without more means this kind, too.
pub(crate) fn prefers_problem(accept: &[u8]) -> bool {
    let (_, problem) = quality(accept, b"application", &[b"json", b"problem+json"]);
    let (_, text) = quality(accept, b"text", &[b"plain"]);
    problem > text
}

/// Whether an `Accept` field asks for HTML by its name and above all else, as that of a browser does for a page. Package
/// managers name it, too, but rank it below what they were made for.
pub(crate) fn prefers_html(accept: &[u8]) -> bool {
    quality(accept, b"text", &[b"html"]) == (NAMED, 1_000)
}

/// How specific a range is that names a media type in full.
const NAMED: usize = 3;

/// How specific the most specific range is that matches a media type, and its weight in thousandths: the largest among
/// equals. `subtypes` are what the type is called, the most specific last. Ranges and weights that are malformed are not
/// there.
fn quality(accept: &[u8], kind: &[u8], subtypes: &[&[u8]]) -> (usize, u16) {
    let mut best = (0, 0);
    for range in tokens(accept) {
        let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let mut media_type = parts
            .next()
            .unwrap_or_default()
            .splitn(2, |&byte| byte == b'/');
        let (Some(range_kind), Some(subtype)) = (media_type.next(), media_type.next()) else {
            continue;
        };
        let named = subtypes
            .iter()
            .position(|one| one.eq_ignore_ascii_case(subtype));
        let specificity = match (range_kind.eq_ignore_ascii_case(kind), named) {
            (true, Some(place)) => NAMED + place,
            (true, None) if subtype == b"*" => 2,
            _ if range_kind == b"*" && subtype == b"*" => 1,
            _ => continue,
        };
        if let Some(weight) = weight(parts) {
            best = best.max((specificity, weight));
        }
    }
    best
}

/// `weight` of RFC 9110, section 12.4.2, among the parameters of a range, in thousandths: 1000 if there is none, `None`
/// if it is malformed.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let value = |parameter: &'a [u8]| match parameter {
        [b'q' | b'Q', b'=', value @ ..] => Some(value),
        _ => None,
    };
    let Some(value) = parameters.find_map(value) else {
        return Some(1_000);
    };
    let (whole, fraction) = match value {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = fraction.get(place).unwrap_or(&b'0');
        thousandths = thousandths * 10 + u16::try_from(digits(&[*digit])?).ok()?;
    }
    match (whole, thousandths) {
        (b'0', thousandths) => Some(thousandths),
        (b'1', 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_prefers() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                false,
            ),
            ("application/json", true),
            ("application/problem+json", true),
            ("APPLICATION/JSON", true),
            ("application/*", true),
            ("application/json, */*;q=0.5", true),
            ("application/json, text/plain, */*", false),
            ("application/json;q=0.9, text/plain;q=0.8", true),
            (
                "application/json ; charset=utf-8 ; Q=0.123,text/plain;q=0.122",
                true,
            ),
            ("text/*;q=0.3, application/problem+json;q=0.4", true),
            ("text/plain;q=0, */*", true),
            ("application/json;q=0, */*", false),
            (
                "application/problem+json;q=0.1, application/json, text/plain;q=0.5",
                false,
            ),
            (
                "application/problem+json;q=0.9, application/json;q=0.1, text/plain;q=0.5",
                true,
            ),
            ("application/json;q=0", false),
            ("application/json;q=2", false),
            ("application/json;q=1.001", false),
            ("application/json;q=0.1234", false),
            ("application/json;q=-1", false),
            ("application/json;q=", false),
            ("application/json;q=.5", false),
            ("application/json;q=1.", true),
            ("application", false),
            ("/", false),
            ("*/json", false),
            (";,;q=1,,/;", false),
        ] {
            assert_eq!(prefers_problem(accept.as_bytes()), expected, "{accept}");
        }
    }

    #[test]
    fn who_asks_for_a_page() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("text/*", false),
            ("text/html", true),
            ("Text/HTML;charset=utf-8", true),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            ("image/avif,image/webp,*/*;q=0.8", false),
            (
                "application/vnd.pypi.simple.v1+json, text/html; q=0.01",
                false,
            ),
            ("application/json, text/html;q=0.999", false),
            ("text/html;q=x", false),
        ] {
            assert_eq!(prefers_html(accept.as_bytes()), expected, "{accept}");
        }
    }
}
