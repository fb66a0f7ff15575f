//! Which proxies a request has passed through, and is this one of them? (RFC 9110, section 7.6.3)

use crate::h1::{Kind, RequestHead};

pub(super) const VIA: &str = "Via";

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
