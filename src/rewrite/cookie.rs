//! How do the cookies of one service stay with it? To a user agent a cookie belongs to hosts and paths, and whoever sets
//! it says to which (RFC 6265, sections 8.5 and 8.6).

use std::borrow::Cow;

use crate::{
    h1::{Fields, Kind, trim_ows},
    route::excerpt,
};

/// The longest value of an attribute that user agents look at
/// ([RFC 6265bis](https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis), section 5.6).
const MAX_ATTRIBUTE: usize = 1024;

/// Where user agents may send the cookies that a response sets.
///
/// What they read in `Set-Cookie` is changed as little as that needs: all else in it is passed on byte for byte.
///
/// ```
/// use libp2p_http_proxy::{
///     h1::ResponseHead,
///     rewrite::{CookieScope, ResponseRewrite},
/// };
///
/// let cookie = "id=7; Domain=example.com; Path=/shop; Secure";
/// let head = ResponseHead::new(200)?.with_field("Set-Cookie", cookie)?;
/// for (scope, expected) in [
///     (CookieScope::host_only(), "id=7; Path=/shop; Secure"),
///     (CookieScope::below("/http/12D3/app")?, "id=7; Path=/http/12D3/app/shop; Secure"),
/// ] {
///     let rewrite = ResponseRewrite::new(&head).with_cookie_scope(scope);
///     assert_eq!(rewrite.fields().next().map(|field| field.value), Some(expected.as_bytes()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CookieScope<'a> {
    /// The path below which they stay, if there is one, in two parts.
    prefix: Option<[&'a str; 2]>,
    /// Whether there is nowhere that they may be sent.
    is_empty: bool,
}

impl<'a> CookieScope<'a> {
    /// Only to the host that set them. For a service that has a host of its own.
    ///
    /// Every `Domain` is dropped, as without it a cookie is not sent to the hosts below (RFC 6265, section 5.3, step 6). That
    /// also makes a cookie work that a server sets for the domain that it has elsewhere.
    #[must_use]
    pub fn host_only() -> Self {
        Self {
            prefix: None,
            is_empty: false,
        }
    }

    /// Only to the host that set them, and there to no other path than those below `prefix`. For a service that shares its
    /// host with others.
    ///
    /// Beside `Domain` every `Path` is dropped but the one that counts, and `prefix` is written before the value of
    /// that. Where none counts, a user agent takes the path of the request up to its last slash (RFC 6265, section
    /// 5.1.4). So `prefix` has to be what the path of the request begins with **to the user agent**, the part of it included
    /// that a server around the gateway takes off.
    ///
    /// A cookie whose name begins with `__Host-` has to have `Path=/`, and is refused by user agents then: it cannot
    /// belong to a part of a host.
    ///
    /// # Errors
    ///
    /// If `prefix` does not begin with a slash, ends with one, has a dot segment, or holds a character that no path of
    /// a cookie has. What [`Route::prefix`](crate::route::Route::prefix) holds is always right.
    pub fn below(prefix: &'a str) -> Result<Self, InvalidCookiePrefix> {
        let is_foreign = |byte: u8| byte <= b' ' || matches!(byte, b';' | b'?' | b'#' | 0x7f);
        let is_path = prefix.starts_with('/') && !prefix.ends_with('/');
        if !is_path || prefix.bytes().any(is_foreign) || has_dot_segment(prefix.as_bytes()) {
            let prefix = excerpt(prefix);
            return Err(InvalidCookiePrefix { prefix });
        }
        Ok(Self::below_route(prefix, ""))
    }

    /// Nowhere. For a service at a path that is that of others another time: every cookie is dropped.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            prefix: None,
            is_empty: true,
        }
    }

    /// As [`below`](Self::below) the path `route` below the path `base`, both of which are known to be right. `base` may be
    /// empty.
    #[must_use]
    pub(crate) fn below_route(base: &'a str, route: &'a str) -> Self {
        Self {
            prefix: Some([base, route]),
            is_empty: false,
        }
    }

    /// The fields of a response with their cookies confined; `None` if all may stay as they are.
    #[inline(never)]
    pub(super) fn confine(self, fields: &Fields) -> Option<Fields> {
        let mut cookies = fields.values(Kind::SetCookie);
        if cookies.all(|cookie| self.allows(cookie)) {
            return None;
        }
        let mut confined = Fields::default();
        for entry in fields.entries() {
            let field = entry.field();
            let value: Cow<'_, [u8]> = match entry.kind() {
                Kind::SetCookie if self.is_empty => continue,
                Kind::SetCookie => self.confine_one(field.value).into(),
                _ => field.value.into(),
            };
            confined
                .push(field.name, value)
                .expect("a part of a value, and a path, are valid in a value");
        }
        Some(confined)
    }

    /// Whether a cookie may stay as it is.
    fn allows(self, cookie: &[u8]) -> bool {
        !self.is_empty && attributes(cookie).all(|attribute| self.leaves(attribute))
    }

    /// Whether an attribute may stay as it is.
    fn leaves(self, attribute: Attribute<'_>) -> bool {
        let is_path = attribute.may_be(b"path");
        !attribute.may_be(b"domain") && (!is_path || self.prefix.is_none())
    }

    fn confine_one(self, cookie: &[u8]) -> Vec<u8> {
        let path = self.prefix.zip(path_that_counts(cookie));
        let mut confined = name_and_value(cookie).to_vec();
        for (place, attribute) in attributes(cookie).enumerate() {
            match path {
                Some(([base, route], counting)) if place == counting => {
                    let (before, value) = attribute.split_at_value();
                    for part in [b";", before, base.as_bytes(), route.as_bytes(), value] {
                        confined.extend_from_slice(part);
                    }
                }
                _ if self.leaves(attribute) => {
                    confined.push(b';');
                    confined.extend_from_slice(attribute.text);
                }
                _ => {}
            }
        }
        // White space before an attribute that was dropped stands at the end now, where no value has any.
        let length = trim_ows(&confined).len();
        confined.truncate(length);
        confined
    }
}

/// What stands before the attributes (RFC 6265, section 5.2, step 1).
fn name_and_value(cookie: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', cookie).unwrap_or(cookie.len());
    &cookie[..end]
}

/// The attributes as a user agent finds them (RFC 6265, section 5.2): what follows each semicolon. Nothing quotes one.
fn attributes(cookie: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let parts = cookie.split(|&byte| byte == b';').skip(1);
    parts.map(|text| Attribute { text })
}

/// The place of the attribute that user agents take the path from: the last `Path` (RFC 6265, section 5.3, step 7), if it
/// has an absolute path (section 5.2.4).
///
/// A path with dot segments does not count either. User agents compare paths as they are, and ask for none with such
/// segments, so it is of no use; and one that resolved them would be led out of the prefix.
fn path_that_counts(cookie: &[u8]) -> Option<usize> {
    let paths = attributes(cookie).enumerate().filter(|(_, attribute)| {
        attribute.name().eq_ignore_ascii_case(b"path") && attribute.value().len() <= MAX_ATTRIBUTE
    });
    let (place, path) = paths.last()?;
    let is_absolute = path.value().starts_with(b"/");
    (is_absolute && !has_dot_segment(path.value())).then_some(place)
}

/// Whether a path has a segment that URLs resolve away: `.` or `..`, escaped or not, between slashes of either kind
/// ([URL, section 4.1](https://url.spec.whatwg.org/#single-dot-path-segment)).
fn has_dot_segment(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| matches!(byte, b'/' | b'\\'));
    segments.any(|segment| matches!(count_dots(segment), Some(1 | 2)))
}

/// How many dots there are in a segment, if there is nothing else. Tabs are taken out of URLs before all else.
fn count_dots(segment: &[u8]) -> Option<usize> {
    let mut bytes = segment.iter().filter(|byte| **byte != b'\t');
    let mut dots = 0;
    while let Some(first) = bytes.next() {
        let is_dot = match first {
            b'.' => true,
            b'%' => bytes.next() == Some(&b'2') && matches!(bytes.next(), Some(b'e' | b'E')),
            _ => false,
        };
        if !is_dot {
            return None;
        }
        dots += 1;
    }
    Some(dots)
}

/// An attribute of a cookie, without the semicolon before it.
#[derive(Clone, Copy)]
struct Attribute<'c> {
    text: &'c [u8],
}

impl<'c> Attribute<'c> {
    /// What user agents read as the name: without the white space around it, and all of the text if it has no `=`.
    fn name(self) -> &'c [u8] {
        let end = memchr::memchr(b'=', self.text).unwrap_or(self.text.len());
        trim_ows(&self.text[..end])
    }

    /// What user agents read as the value.
    fn value(self) -> &'c [u8] {
        trim_ows(self.split_at_value().1)
    }

    /// What stands before the value, the white space there included, and the rest.
    fn split_at_value(self) -> (&'c [u8], &'c [u8]) {
        let behind_sign = memchr::memchr(b'=', self.text).map_or(self.text.len(), |at| at + 1);
        let white = self.text[behind_sign..].iter();
        let white = white
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        self.text.split_at(behind_sign + white)
    }

    /// Whether a user agent may take this for the attribute called `name`: also those that see more white space than SP
    /// and HTAB.
    fn may_be(self, name: &[u8]) -> bool {
        let mut found = self.name();
        while let [b' ' | b'\t' | 0x80.., rest @ ..] | [rest @ .., b' ' | b'\t' | 0x80..] = found {
            found = rest;
        }
        found.eq_ignore_ascii_case(name)
    }
}

/// A text cannot be the path below which the cookies of a service stay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{prefix}' cannot be the path of cookies: begin it with a slash, end it without one, as in /http/PEER/SERVICE, and \
     leave out dot segments, white space and ; ? #"
)]
pub struct InvalidCookiePrefix {
    /// The text, escaped, and cut if it is long.
    prefix: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confined(scope: CookieScope<'_>, cookie: &str) -> String {
        let mut fields = Fields::default();
        fields.push("Set-Cookie", cookie).unwrap();
        let confined = scope.confine(&fields);
        // What may stay is not made anew.
        assert_eq!(confined.is_none(), scope.allows(cookie.as_bytes()));
        let fields = confined.unwrap_or(fields);
        let value = fields.get("Set-Cookie").unwrap();
        String::from_utf8(value.to_vec()).unwrap()
    }

    #[test]
    fn cookies_stay_at_their_host() {
        #[rustfmt::skip]
        let cases = [
            ("", ""),
            ("a=b", "a=b"),
            ("Domain=x", "Domain=x"),
            ("a=b;", "a=b;"),
            ("a=b ;; x", "a=b ;; x"),
            ("a=b; Path=/; Secure;HttpOnly ; SameSite=Lax", "a=b; Path=/; Secure;HttpOnly ; SameSite=Lax"),
            ("a=b; Path=/x; path", "a=b; Path=/x; path"),
            ("a=b; Expires=Sun, 22 Nov 2026 12:00:00 GMT", "a=b; Expires=Sun, 22 Nov 2026 12:00:00 GMT"),
            ("a=b; Domain=example.com", "a=b"),
            ("a=b; Domain=example.com; Path=/", "a=b; Path=/"),
            ("a=b; Path=/; Domain=example.com", "a=b; Path=/"),
            ("a=b \t;\tDOMAIN\t = .example.com", "a=b"),
            ("a=b; Domain", "a=b"),
            ("a=b; Domain=; Secure", "a=b; Secure"),
            ("a=b; domain=a; Secure; dOmAiN=b;", "a=b; Secure;"),
            ("a=\"b; Domain=x; c\"", "a=\"b; c\""),
            ("; Domain=x", ""),
            (";Domain=x;a=b", ";a=b"),
            // Other attributes, with and without a meaning.
            ("a=b; Domains=x; =Domain=x; $Domain=x; Dom ain=x", "a=b; Domains=x; =Domain=x; $Domain=x; Dom ain=x"),
            // White space to some.
            ("a=b;\u{a0}Domain=x;\u{3000} Domain \u{a0}=x", "a=b"),
        ];
        for (cookie, expected) in cases {
            assert_eq!(confined(CookieScope::host_only(), cookie), expected);
        }
    }

    #[test]
    fn cookies_stay_below_their_prefix() {
        let long = "x".repeat(1023);
        #[rustfmt::skip]
        let cases = [
            ("", ""),
            ("a=b", "a=b"),
            ("Path=/", "Path=/"),
            ("a=b; Secure; Max-Age=1", "a=b; Secure; Max-Age=1"),
            ("a=b; Path=/", "a=b; Path=/p/app/"),
            ("a=b; Path=/x", "a=b; Path=/p/app/x"),
            ("a=b; Path=/x/; Secure", "a=b; Path=/p/app/x/; Secure"),
            ("a=b; Path=//x", "a=b; Path=/p/app//x"),
            ("a=b; Path=/p/app/x", "a=b; Path=/p/app/p/app/x"),
            ("a=b;path=/x", "a=b;path=/p/app/x"),
            ("a=b ; \tPATH\t= \t/x y\t; Secure", "a=b ; \tPATH\t= \t/p/app/x y\t; Secure"),
            ("a=b; Domain=x; Path=/; Secure", "a=b; Path=/p/app/; Secure"),
            ("a=b; Path=/%41\u{e9}?x=y#z", "a=b; Path=/p/app/%41\u{e9}?x=y#z"),
            // The last one counts.
            ("a=b; Path=/x; Path=/y", "a=b; Path=/p/app/y"),
            ("a=b; Path=/x; Secure; Path=/y; Domain=z; path=/z", "a=b; Secure; path=/p/app/z"),
            ("a=b; Path=/x; Path", "a=b"),
            ("a=b; Path=/x; Path=; Secure", "a=b; Secure"),
            ("a=b; Path=/x; Path=y", "a=b"),
            // The path of the request counts.
            ("a=b; Path", "a=b"),
            ("a=b; Path=", "a=b"),
            ("a=b; Path= ;", "a=b;"),
            ("a=b; Path=x", "a=b"),
            ("a=b; Path=\"/x\"", "a=b"),
            ("a=b; Path==/x", "a=b"),
            ("a=b; Path=\u{a0}/x", "a=b"),
            ("a=b; Path=\\x", "a=b"),
            // Paths that would be resolved, if at all.
            ("a=b; Path=/..", "a=b"),
            ("a=b; Path=/../app2", "a=b"),
            ("a=b; Path=/x/./y", "a=b"),
            ("a=b; Path=/.%2E/x", "a=b"),
            ("a=b; Path=/%2e", "a=b"),
            ("a=b; Path=/x\\..\\..\\..", "a=b"),
            ("a=b; Path=/.\t./x", "a=b"),
            ("a=b; Path=/%\t2\te./", "a=b"),
            ("a=b; Path=/.../.x/x./%2e%2e%2e/%2f..", "a=b; Path=/p/app/.../.x/x./%2e%2e%2e/%2f.."),
            // White space to some.
            ("a=b; Path=/x;\u{a0}Path=/y", "a=b; Path=/p/app/x"),
            ("a=b;\u{a0}Path=/y", "a=b"),
            // In quotes it counts, too.
            ("a=\"b; Path=/x; c\"", "a=\"b; Path=/p/app/x; c\""),
            // Too long to count.
            (&format!("a=b; Path=/x; Path=/{long}y"), "a=b; Path=/p/app/x"),
            (&format!("a=b; Path=/{long}"), &format!("a=b; Path=/p/app/{long}")),
            (&format!("a=b; Path=/{long}y; Secure"), "a=b; Secure"),
        ];
        let scope = CookieScope::below("/p/app").unwrap();
        for (cookie, expected) in cases {
            assert_eq!(confined(scope, cookie), expected, "{cookie}");
        }
    }

    #[test]
    fn what_cannot_be_a_prefix() {
        for prefix in [
            "",
            "/",
            "p",
            "p/app",
            "/p/",
            "/p/app/",
            "/p;x",
            "/p?x",
            "/p#x",
            "/p x",
            "/p\r\nx",
            "/p\0",
            "/./p",
            "/p/..",
            "/p/%2e./x",
            "/p\\..",
        ] {
            let message = CookieScope::below(prefix).unwrap_err().to_string();
            assert!(message.contains(&excerpt(prefix)) && message.is_ascii());
        }
        for prefix in ["/p", "/p/app", "/http/k51/a.b", "/\u{1F680}/a~"] {
            assert!(CookieScope::below(prefix).is_ok(), "{prefix}");
        }
    }

    #[test]
    fn other_fields_and_their_order_stay() {
        let list = [
            ("Date", "x"),
            ("Set-Cookie", "a=1; Path=/"),
            ("X-A", "a; Path=/; Domain=x"),
            ("set-COOKIE", "b=2"),
            ("Set-Cookie2", "c=3; Path=\"/\"; Domain=x"),
            ("Set-Cookies", "d=4; Path=/"),
            ("SET-COOKIE", "e=5;Path=/"),
            ("Connection", "close"),
        ];
        let mut fields = Fields::default();
        for (name, value) in list {
            fields.push(name, value).unwrap();
        }
        let scope = CookieScope::below("/p").unwrap();
        let confined = scope.confine(&fields).unwrap();
        let mut expected = list;
        expected[1].1 = "a=1; Path=/p/";
        expected[4].1 = "c=3";
        expected[6].1 = "e=5;Path=/p/";
        let found: Vec<_> = confined
            .iter()
            .map(|field| (field.name, str::from_utf8(field.value).unwrap()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(scope.confine(&Fields::default()), None);
    }
}
