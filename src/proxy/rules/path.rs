//! Which paths lie below a prefix, whoever reads them?

use std::{fmt, str::FromStr};

use crate::{
    h1::hex_digits,
    route::{excerpt, split_query},
};

/// How often a path may be escaped over and over. Nobody means to do it more than twice.
const MAX_LAYERS: usize = 4;

/// The beginning of the paths that a rule allows: `/api` holds `/api`, `/api/` and `/api/x`, and not `/apis`.
///
/// Paths are compared as they came, byte by byte and by whole segments: `/%61pi` is not below `/api`, though a server may
/// take both for the same, and `//api` is not either. What decides is the path that is sent to the server; it is not
/// changed by the comparison.
///
/// A path below a prefix must not lead out of it in the eyes of a server that reads more into it than was compared. So no
/// path is below any prefix but `/` if a segment of it consists of dots only (`.`, `..`), however it is written: with
/// escaped dots or slashes (`%2e%2e`, `..%2f`), escaped again (`%252e`), with a backslash for the slash, with parameters
/// (`..;x`), an escaped query or fragment (`..%3fx`) behind them, with spaces or control characters (`..%00x`), with overlong
/// UTF-8 (`%c0%ae`), or with escapes that are none (`%u002e`).
/// The prefix `/` holds every path, and nothing is asked of it.
///
/// ```
/// use libp2p_http_proxy::PathPrefix;
///
/// let prefix: PathPrefix = "/api/v1/".parse()?;
/// assert!(prefix.holds("/api/v1") && prefix.holds("/api/v1/items?page=2"));
/// for path in ["/api/v10", "/api", "/api/v1/../admin", "/api/v1/%2e%2e/admin", "/api//v1"] {
///     assert!(!prefix.holds(path), "{path}");
/// }
/// # Ok::<(), libp2p_http_proxy::InvalidPathPrefix>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPrefix(
    /// Without a slash at its end.
    Box<str>,
);

impl PathPrefix {
    /// Whether a path, with or without a query behind it, lies below the prefix for every server.
    #[must_use]
    pub fn holds(&self, path_and_query: &str) -> bool {
        let (path, _) = split_query(path_and_query);
        let Some(rest) = path.strip_prefix(&*self.0) else {
            return false;
        };
        match rest.as_bytes().first() {
            None => true,
            Some(b'/') => self.0.is_empty() || is_plain(path),
            Some(_) => false,
        }
    }
}

impl FromStr for PathPrefix {
    type Err = InvalidPathPrefix;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix = text.strip_suffix('/').unwrap_or(text);
        let segments = || prefix.split('/').skip(1);
        let is_printable = |byte: u8| byte.is_ascii_graphic() && !b"?#\\;".contains(&byte);
        let is_path = text.starts_with('/')
            && prefix.bytes().all(is_printable)
            && segments().all(|segment| !segment.is_empty())
            && is_plain(prefix);
        if is_path {
            Ok(Self(prefix.into()))
        } else {
            Err(InvalidPathPrefix {
                text: excerpt(text),
            })
        }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// A text cannot be the beginning of a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not the beginning of a path: write whole segments with a slash before each, such as /api/v1, as clients \
     send them, without '.', '..', '?' and '#'"
)]
pub struct InvalidPathPrefix {
    /// The text, escaped, and cut if it is long.
    text: String,
}

/// Whether no server reads a segment of `path` as one of dots.
fn is_plain(path: &str) -> bool {
    if memchr::memchr(b'%', path.as_bytes()).is_none() {
        return has_no_dots(path.as_bytes());
    }
    let Some(mut layer) = unescaped(path.as_bytes(), true) else {
        return false;
    };
    for _ in 0..MAX_LAYERS {
        if !has_no_dots(&layer) {
            return false;
        }
        match unescaped(&layer, false) {
            Some(next) if next.len() < layer.len() => layer = next,
            Some(_) => return true,
            None => return false,
        }
    }
    false
}

/// Whether no segment consists of dots, whichever of the slashes is one, and whatever is cut off or left out of it.
fn has_no_dots(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\'))
        .all(|segment| !is_dots(segment))
}

/// Whether some reader sees nothing but dots in a segment: one that leaves out spaces and control characters, or ends a name at
/// them, as all do that is written in C at a NUL; one that cuts parameters off; or one that has resolved the escapes, and looks
/// for a query or a fragment then.
fn is_dots(segment: &[u8]) -> bool {
    let mut has_dots = false;
    for &byte in segment {
        match byte {
            b'.' => has_dots = true,
            b' ' => {}
            b';' | b'?' | b'#' => break,
            _ if byte.is_ascii_control() && has_dots => break,
            _ if byte.is_ascii_control() => {}
            _ => return false,
        }
    }
    has_dots
}

/// The path with its escapes resolved once. What only looks like an escape stays as it is, or is none if it `must_be` one;
/// and overlong UTF-8 has none, as readers that take it nevertheless see a dot or a slash in it.
fn unescaped(path: &[u8], must_be: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        let escape = match (first, after) {
            (b'%', [high, low, after @ ..]) => hex_digits(&[*high, *low]).zip(Some(after)),
            _ => None,
        };
        match escape {
            Some((value, after)) => {
                out.push(u8::try_from(value).ok()?);
                rest = after;
            }
            None if must_be && *first == b'%' => return None,
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    (!has_overlong(&out)).then_some(out)
}

/// Whether there are bytes that say in two or more what takes fewer (RFC 3629, section 3), or that UTF-8 never has.
fn has_overlong(text: &[u8]) -> bool {
    let after = |at: usize| text.get(at + 1).copied().unwrap_or_default();
    text.iter().enumerate().any(|(at, byte)| match byte {
        0xc0 | 0xc1 | 0xf8.. => true,
        0xe0 => matches!(after(at), 0x80..0xa0),
        0xf0 => matches!(after(at), 0x80..0x90),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_whole_segments() {
        for (text, shown) in [
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a.b/..c/~d", "/a.b/..c/~d"),
            ("/my%20files/@x:y=1", "/my%20files/@x:y=1"),
        ] {
            let prefix: PathPrefix = text.parse().unwrap();
            assert_eq!(prefix.to_string(), shown);
        }
        for text in [
            "",
            "a",
            "a/b",
            "//",
            "/a//",
            "//a",
            "/a//b",
            "/.",
            "/a/..",
            "/a/%2e",
            "/a/%2E%2e/b",
            "/a%",
            "/a%zz",
            "/a?b",
            "/a#",
            "/a b",
            "/\u{e9}",
            "/a\\b",
            "/a;b",
            "http://a/",
            "*",
            "/a\n",
        ] {
            let error = text.parse::<PathPrefix>().unwrap_err().to_string();
            assert!(
                error.contains("such as /api/v1") && error.is_ascii(),
                "{error}"
            );
        }
    }

    #[test]
    fn paths_below_a_prefix() {
        let api: PathPrefix = "/api/v1".parse().unwrap();
        for path in [
            "/api/v1",
            "/api/v1/",
            "/api/v1?q=/../",
            "/api/v1/a.b/..c/...d/e..",
            "/api/v1//x",
            "/api/v1/a%20b/100%25/%E2%82%AC/%2f",
            "/api/v1/%E0%A4%85/%F0%9F%8E%89/%ED%95%9C",
            "/api/v1/%255",
            "/api/v1/x;y=..",
            "/api/v1/...%20and%20more/.x%00/.x%3f",
            "/api/v1/x?y=%zz",
        ] {
            assert!(api.holds(path), "{path}");
        }
        for path in [
            "/",
            "*",
            "",
            "/api",
            "/api/",
            "/api/v1x",
            "/api/v1;x",
            "/api/v1%2fx",
            "/api/v1.",
            "/API/v1",
            "/api//v1",
            "//api/v1",
            "/%61pi/v1",
            "/api/v1%3f",
            "/api/v1#",
            "/x/../api/v1",
        ] {
            assert!(!api.holds(path), "{path}");
        }
    }

    #[test]
    fn no_spelling_of_dots_leads_out_of_a_prefix() {
        let prefix: PathPrefix = "/a".parse().unwrap();
        for up in [
            "..",
            ".",
            "../",
            "...",
            "%2e%2e",
            "%2E.",
            ".%2e",
            "%252e%252e",
            "%25252e.",
            "%2525252e.",
            "..%2f",
            "..%2F..",
            "x%2f..%2f..",
            "..%5c",
            "x%5c..",
            "..\\",
            "x\\..\\..",
            "..;",
            "..;x=1",
            "..%3bx",
            "%2e%2e%3b",
            "..%00",
            "..%00x",
            ".%00x",
            "%00..",
            "..%0ax.html",
            "..%3fx",
            "..%3Fx=1",
            "%2e%2e%3f",
            "..%23x",
            "..%253fx",
            "..%20",
            "%20..",
            "..%09",
            ".%0d.",
            "%c0%ae%c0%ae",
            "%C0%AE.",
            "x%c1%9c..",
            "%e0%80%ae%e0%80%ae",
            "%f0%80%80%ae.",
            "%f8%80%80%80%ae.",
            "%25c0%25ae%25c0%25ae",
            "%25c0/%252e%252e",
            "%e0%2580%ae",
            "%u002e%u002e",
            "%",
            "%2",
            "x%zz",
            "%%32%65.",
            "%25%32%65.",
        ] {
            for path in [
                format!("/a/{up}"),
                format!("/a/{up}/b"),
                format!("/a/b/{up}/c?q"),
                format!("/a/{up}?"),
            ] {
                assert!(!prefix.holds(&path), "{path}");
            }
        }
        let all: PathPrefix = "/".parse().unwrap();
        assert!(all.holds("/a/../b") && all.holds("/%zz"));
    }

    #[test]
    fn a_path_of_escapes_is_not_read_for_ever() {
        let prefix: PathPrefix = "/a".parse().unwrap();
        assert!(!prefix.holds(&format!("/a/%{}", "25".repeat(8_000))));
    }
}
