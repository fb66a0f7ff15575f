//! Which proxies a request has passed through, and is this one of them? (RFC 9110, section 7.6.3)

use libp2p_identity::PeerId;

use crate::h1::{Kind, RequestHead, Version};

pub(super) const VIA: &str = "Via";

/// What names a proxy of this crate, as a text and as what it writes into `Via`.
#[derive(Clone, Debug)]
pub(crate) struct Pseudonym {
    http10: Box<str>,
    http11: Box<str>,
}

impl Pseudonym {
    /// One that no other proxy has: `part` is what the node does here, in one word.
    pub(crate) fn new(part: &'static str, node: &PeerId) -> Self {
        Self {
            http10: format!("1.0 {part}-{node}").into(),
            http11: format!("1.1 {part}-{node}").into(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.http11["1.1 ".len()..]
    }

    /// The item for a message that was received in this version.
    pub(super) fn received(&self, version: Version) -> &[u8] {
        let item = match version {
            Version::Http10 => &self.http10,
            Version::Http11 => &self.http11,
        };
        item.as_bytes()
    }
}

/// Whether the request has passed through the proxy with this pseudonym before, by its `Via` fields (RFC 9110, section
/// 7.6.3).
#[must_use]
pub fn is_loop(head: &RequestHead, pseudonym: &str) -> bool {
    let mut lines = head.fields().values(Kind::Via);
    lines
        .any(|line| ViaNames::new(line).any(|name| name.eq_ignore_ascii_case(pseudonym.as_bytes())))
}

/// The names of the proxies in one line of `Via`: `protocol name (comment), …`. Time is linear in the line.
#[derive(Clone)]
struct ViaNames<'a> {
    rest: &'a [u8],
    /// Whether parentheses still mean something: not after one that is never closed, or a client could hide what
    /// other proxies append to its line.
    comments: bool,
}

impl<'a> ViaNames<'a> {
    fn new(line: &'a [u8]) -> Self {
        Self {
            rest: line,
            comments: true,
        }
    }
}

impl<'a> Iterator for ViaNames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut words = 0;
        let mut name = None;
        while let [first, after @ ..] = self.rest {
            match first {
                b',' => {
                    self.rest = after;
                    if name.is_some() {
                        break;
                    }
                    words = 0;
                }
                b' ' | b'\t' => self.rest = after,
                b'(' => {
                    let comment = self.comments.then(|| skip_comment(self.rest)).flatten();
                    self.comments = comment.is_some();
                    self.rest = comment.unwrap_or(after);
                }
                _ => {
                    let ends = |byte: &u8| matches!(byte, b',' | b' ' | b'\t' | b'(');
                    let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
                    let (word, after) = self.rest.split_at(end);
                    self.rest = after;
                    words += 1;
                    if words == 2 {
                        name = Some(word);
                    }
                }
            }
        }
        name
    }
}

/// What follows the comment at the beginning of `text`; `None` if it is not closed. Comments nest, and a backslash takes
/// the meaning from the byte after it (RFC 9110, section 5.6.5).
fn skip_comment(text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0usize;
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(&text[at + 1..]),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        h1::{Limits, ResponseHead},
        rewrite::{RequestRewrite, ResponseRewrite},
    };

    #[test]
    fn what_a_proxy_has_ready_is_what_it_would_write() {
        let peer = PeerId::random();
        let own = Pseudonym::new("gateway", &peer);
        assert_eq!(own.as_str(), format!("gateway-{peer}"));
        let limits = Limits::default();
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            let request = format!("GET / {version}\r\nHost: h\r\n\r\n");
            let request = RequestHead::parse(request.as_bytes(), &limits).expect("is a request");
            let mut rewrite = RequestRewrite::new(&request);
            let joined = rewrite.clone().with_via(own.as_str());
            rewrite.set_own_via(&own);
            assert!(rewrite.fields().eq(joined.fields()));

            let response = format!("{version} 200 OK\r\n\r\n");
            let response =
                ResponseHead::parse(response.as_bytes(), &limits).expect("is a response");
            let mut rewrite = ResponseRewrite::new(&response);
            let joined = rewrite.clone().with_via(own.as_str());
            rewrite.set_own_via(&own);
            assert!(rewrite.fields().eq(joined.fields()));
            assert_eq!(joined.fields().count(), 1);
        }
    }

    #[test]
    fn a_proxy_recognises_itself() {
        let deep = format!("1.1 a {}{}, 1.1 us", "(".repeat(9), ")".repeat(9));
        let open = format!("1.1 a {}, 1.1 us", "(".repeat(9_000));
        for (line, expected) in [
            ("1.1 us", true),
            ("1.1 US", true),
            ("HTTP/1.1 us", true),
            ("1.0 a, 1.1 us (x), 2 b", true),
            ("1.0 a,1.1\tus(x)", true),
            (", ,1.1  us", true),
            ("1.1 a (x, 1.1 y), 1.1 us", true),
            ("1.1 a (x \\) ( ), 1.1 us), 1.1 us", true),
            ("1.1 a (, 1.1 us", true),
            ("1.1 a ), 1.1 us", true),
            (&deep, true),
            (&open, true),
            ("", false),
            ("us", false),
            ("1.1 a us", false),
            ("1.1 use", false),
            ("1.1 us:80", false),
            ("1.1 a (1.1 us)", false),
            ("1.1 a (x, 1.1 us)", false),
            ("1.1 a ((x), 1.1 us)", false),
            ("1.1 a (\\), 1.1 us)", false),
        ] {
            let head = RequestHead::new("GET", "/").unwrap();
            let head = head.with_field("Via", "1.1 b").unwrap();
            let head = head.with_field("Via", line).unwrap();
            assert_eq!(is_loop(&head, "us"), expected, "{line}");
        }
    }
}
