//! How is a client told of a failure? As text, or as a problem document.

use std::fmt::Write as _;

use bytes::Bytes;

use super::Failure;
use crate::{
    accept::prefers_problem,
    h1::{Fields, ResponseHead, is_token},
};

/// Bytes of a detail that a response carries, so that no error can make a page or a field large.
const MAX_DETAIL: usize = 640;

/// The answer to a request that the proxy could not pass on. The framing is left to the encoder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The fields, without those of the framing.
    pub fields: Fields,
    /// The body; a response to HEAD leaves it out.
    pub body: Bytes,
}

impl Failure {
    /// The whole answer: plain text, or a problem document (RFC 9457) if `accept`, the value of the request's `Accept`
    /// field, prefers one.
    ///
    /// `proxy_name` says which proxy speaks, in the `Proxy-Status` field: `p2p-gateway`, for example.
    #[must_use]
    pub fn respond(&self, proxy_name: &str, accept: Option<&[u8]>) -> Page {
        let status = self.status();
        let detail = self.detail();
        let (content_type, body) = if accept.is_some_and(prefers_problem) {
            let document = problem(status, self.proxy_error(), &detail);
            ("application/problem+json", document)
        } else {
            let text = format!("{status} {}\n{detail}\n", title(status));
            ("text/plain; charset=utf-8", text)
        };
        let proxy_status = proxy_status(proxy_name, self.proxy_error(), &detail);
        let retry_after = self.retry_after().map(|seconds| seconds.to_string());
        let location = match self {
            Self::BadRoute(error) => error.location(),
            Self::OwnOrigin { location } => Some(location.as_str()),
            _ => None,
        };
        // RFC 9110, section 15.5.6: a 405 says which methods there are, even if there are none.
        let allow = match self {
            Self::MethodNotAllowed { allowed, .. } => Some(allowed.as_str()),
            _ => None,
        };
        let lines = [
            ("Content-Type", Some(content_type)),
            ("Proxy-Status", Some(proxy_status.as_str())),
            ("Location", location),
            ("Allow", allow),
            ("Retry-After", retry_after.as_deref()),
            ("Cache-Control", Some("no-store")),
            ("X-Content-Type-Options", Some("nosniff")),
        ];
        let mut fields = Fields::default();
        for (name, value) in lines {
            // Refused could only be a location that is not from a route but from a caller: better left out.
            let _refused = value.map(|value| fields.push(name, value));
        }
        Page {
            status,
            fields,
            body: body.into(),
        }
    }
}

/// The reason phrase of a status, as the registry has it.
fn title(status: u16) -> String {
    let head = ResponseHead::new(status);
    head.map_or_else(
        |_| String::new(),
        |head| String::from_utf8_lossy(head.reason()).into_owned(),
    )
}

/// A text as printable ASCII, cut to [`MAX_DETAIL`]. Everything else is escaped, and so are the brackets of HTML: a
/// client that mistakes plain text for a page must find no element in it.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_DETAIL));
    for character in text.chars() {
        let start = out.len();
        match character {
            '<' | '>' => out.extend(character.escape_unicode()),
            ' '..='~' => out.push(character),
            _ => out.extend(character.escape_default()),
        }
        if out.len() > MAX_DETAIL - 3 {
            out.truncate(start);
            out.push_str("...");
            break;
        }
    }
    out
}

/// `p2p-gateway; error=connection_timeout; details="…"` (RFC 9209, section 2).
fn proxy_status(name: &str, error: &str, detail: &str) -> String {
    let mut value = String::new();
    push_token_or_string(&mut value, name);
    value.push_str("; error=");
    value.push_str(error);
    value.push_str("; details=");
    push_string(&mut value, detail);
    value
}

/// An item of RFC 9209 is a token or a string of structured fields (RFC 8941, sections 3.3.3 and 3.3.4).
fn push_token_or_string(out: &mut String, text: &str) {
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'*';
    let goes_on = |byte: u8| byte == b':' || byte == b'/' || is_token(&[byte]);
    if text.as_bytes().first().is_some_and(begins) && text.bytes().all(goes_on) {
        out.push_str(text);
    } else {
        push_string(out, text);
    }
}

/// A structured string: printable ASCII in quotes, with a backslash before each quote and backslash.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push('?'),
        }
    }
    out.push('"');
}

/// A problem document (RFC 9457, section 3). The type `about:blank` means that the title is that of the status;
/// `error` is an extension with the error type of RFC 9209, for programs.
fn problem(status: u16, error: &str, detail: &str) -> String {
    let mut out = String::from(r#"{"type":"about:blank","title":"#);
    push_json(&mut out, &title(status));
    let _infallible = write!(out, r#","status":{status},"detail":"#);
    push_json(&mut out, detail);
    out.push_str(r#","error":"#);
    push_json(&mut out, error);
    out.push_str("}\n");
    out
}

/// A string of JSON (RFC 8259, section 7).
fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\0'..=' ' if character != ' ' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    #[test]
    fn nothing_of_a_request_is_repeated_unescaped() {
        let nasty = "a\r\nSet-Cookie: x=y\0\u{7f}\u{202e}\u{e9}<script>\"\\";
        let failures = [
            Failure::HostNotAllowed { host: nasty.into() },
            Failure::OriginNotAllowed {
                origin: Some(nasty.into()),
            },
            Failure::OwnOrigin {
                location: nasty.into(),
            },
            Failure::UpgradeFailed {
                reason: nasty.into(),
            },
            Failure::Internal {
                reason: nasty.repeat(1_000),
            },
            Failure::from(Route::parse(&format!("/http/{nasty}/")).unwrap_err()),
            Failure::from(Route::parse("/http/<script>alert('x')</script>/").unwrap_err()),
        ];
        for failure in failures {
            for accept in [None, Some(&b"application/problem+json"[..])] {
                let page = failure.respond("p2p\r\n\"x\"", accept);
                let body = str::from_utf8(&page.body).unwrap();
                let is_plain = |byte: u8| byte == b'\n' || (b' '..=b'~').contains(&byte);
                assert!(body.bytes().all(is_plain), "{body:?}");
                assert!(!body.contains('<'), "{body}");
                assert!(body.len() < 2 * MAX_DETAIL, "{body}");
                let status = page.fields.get("Proxy-Status").unwrap();
                assert!(status.starts_with(br#""p2p??\"x\""; error="#), "{failure}");
                assert!(status.len() < 2 * MAX_DETAIL);
            }
        }
    }

    #[test]
    fn a_problem_document_for_who_prefers_one() {
        let failure = Failure::OriginNotAllowed {
            origin: Some("a\"\\b".into()),
        };
        let page = failure.respond("p2p-gateway", Some(b"application/json"));
        assert_eq!(
            page.fields.get("Content-Type"),
            Some(&b"application/problem+json"[..])
        );
        assert_eq!(
            str::from_utf8(&page.body).unwrap(),
            "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\
             \"detail\":\"a page of 'a\\\"\\\\b' may not send this request through the gateway: open the address by itself, \
             or add the page's origin to the settings\",\"error\":\"http_request_denied\"}\n"
        );
    }

    #[test]
    fn strings_of_json_and_of_structured_fields() {
        for (text, json, field) in [
            ("", r#""""#, r#""""#),
            ("a b", r#""a b""#, r#""a b""#),
            (r#"a"b\c/"#, r#""a\"b\\c/""#, r#""a\"b\\c/""#),
            (
                "\0\n\u{1f}\u{7f}",
                "\"\\u0000\\u000a\\u001f\u{7f}\"",
                r#""????""#,
            ),
            ("\u{e9}", "\"\u{e9}\"", r#""?""#),
        ] {
            let mut out = String::new();
            push_json(&mut out, text);
            assert_eq!(out, json);
            out.clear();
            push_string(&mut out, text);
            assert_eq!(out, field);
        }
        for (name, expected) in [
            ("p2p-gateway", "p2p-gateway"),
            ("*a:/b", "*a:/b"),
            ("2p", "\"2p\""),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a,b", "\"a,b\""),
        ] {
            let mut out = String::new();
            push_token_or_string(&mut out, name);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn details_are_cut() {
        let long = printable(&"a".repeat(10_000));
        assert_eq!(long.len(), MAX_DETAIL);
        assert!(long.ends_with("a..."));
        let exact = "a".repeat(MAX_DETAIL - 3);
        assert_eq!(printable(&exact), exact);
        let escapes = printable(&"\u{1F680}".repeat(1_000));
        assert!(escapes.len() <= MAX_DETAIL && escapes.ends_with("}..."));
    }
}
