//! Do cookies stay with the service that sets them? Judged by what a user agent makes of them (RFC 6265, section 5).

#[path = "../fuzz/cookies.rs"]
mod cookies;

use std::fmt;

use libp2p_http_proxy::{
    h1::{Field, ResponseHead},
    rewrite::{CookieScope, ResponseRewrite},
};
use quickcheck::{Arbitrary, Gen, QuickCheck};

const PREFIX: &str = "/http/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5/app";

/// What cookies are made of, and what tells parsers of them apart.
const FRAGMENTS: &[&str] = &[
    "a=b",
    "a",
    "",
    "=",
    ";",
    ";",
    ";",
    "; ",
    " ;",
    "\t",
    " ",
    ",",
    "\"",
    "=",
    "/",
    "/",
    "Path",
    "path",
    "pAtH",
    "Path=",
    "; Path=/",
    ";path=/a",
    "; PATH = /a/b",
    ";Path=",
    "; Path",
    "; Path=x",
    "; Path=\"/\"",
    ";\u{a0}Path=/",
    "; Path\t=\t/",
    "Domain",
    "; Domain=example.com",
    ";DOMAIN",
    "; domain=.localhost",
    ";\u{a0}Domain=a",
    "; Domain \t= a",
    "; Domain=",
    "; Secure",
    "; HttpOnly",
    "; SameSite=Lax",
    "; Max-Age=1",
    "; Expires=Sun, 22 Nov 2026 12:00:00 GMT",
    ".",
    "..",
    "/..",
    "/../",
    "/./",
    "%2e",
    "%",
    "2E",
    "%2E.",
    "\\",
    "\\..\\",
    "/http/",
    "app",
    "2",
    "\u{e9}",
    "%41",
    "?",
    "#",
];

#[derive(Clone)]
struct AnyCookie(Vec<u8>);

impl fmt::Debug for AnyCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Arbitrary for AnyCookie {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut text = String::from(*g.choose(&["a=b", "", "a"]).expect("not empty"));
        for _ in 0..usize::arbitrary(g) % 12 {
            text += g.choose(FRAGMENTS).expect("not empty");
        }
        if usize::arbitrary(g) % 20 == 0 {
            let length = 900 + usize::arbitrary(g) % 200;
            text += &format!("; Path=/{}; a", "x".repeat(length));
        }
        // One byte for a character, so that it is not UTF-8 either.
        let bytes: Vec<u8> = text.chars().filter_map(|c| u8::try_from(c).ok()).collect();
        Self(bytes.trim_ascii().to_vec())
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let bytes = self.0.clone();
        Box::new((0..bytes.len()).map(move |place| {
            let mut shorter = bytes.clone();
            shorter.remove(place);
            Self(shorter.trim_ascii().to_vec())
        }))
    }
}

fn passed_on(cookie: &[u8], scope: CookieScope<'_>) -> Vec<u8> {
    let head = ResponseHead::new(200).expect("a status");
    let head = head.with_field("Set-Cookie", cookie).expect("a value");
    let rewrite = ResponseRewrite::new(&head).with_cookie_scope(scope);
    let fields: Vec<Field<'_>> = rewrite.fields().collect();
    match fields.as_slice() {
        [field] if field.name == "Set-Cookie" => field.value.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_cookie_stays() {
    fn property(AnyCookie(cookie): AnyCookie) -> bool {
        let below = CookieScope::below(PREFIX).expect("a path");
        cookies::check(&cookie, &passed_on(&cookie, CookieScope::host_only()), None);
        cookies::check(&cookie, &passed_on(&cookie, below), Some(PREFIX));
        true
    }
    QuickCheck::new()
        .tests(20_000)
        .quickcheck(property as fn(AnyCookie) -> bool);
}

/// The judge itself: it must refuse what a proxy must not do.
#[test]
fn what_does_not_stay_is_noticed() {
    for (came, passed) in [
        ("a=b; Path=/", "a=b; Path=/"),
        ("a=b; Path=/x", "a=b; Path=/http/x/app2/x"),
        ("a=b; Path=/x", &format!("a=b; Path={PREFIX}2")),
        ("a=b; Path=/x", &format!("a=b; Path={PREFIX}/x; Path=/")),
        ("a=b; Path=/x", &format!("a=b; Path={PREFIX}/y")),
        ("a=b; Path=/../x", &format!("a=b; Path={PREFIX}/../x")),
        ("a=b; Domain=x", "a=b; Domain=x"),
        ("a=b; Domain=x", "a=b;\u{a0}domain=x"),
        ("a=b; Domain=x; Secure", "a=b"),
        ("a=b; Secure", "a=c; Secure"),
    ] {
        let judged = std::panic::catch_unwind(|| {
            let one_byte_each = |text: &str| -> Vec<u8> {
                text.chars().filter_map(|c| u8::try_from(c).ok()).collect()
            };
            cookies::check(&one_byte_each(came), &one_byte_each(passed), Some(PREFIX));
        });
        assert!(judged.is_err(), "{came} -> {passed}");
    }
}
