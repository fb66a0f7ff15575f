//! Which pages of other origins may use a gateway, and what is a browser told about it?
//! ([CORS](https://fetch.spec.whatwg.org/#http-cors-protocol))

use std::{fmt, str::FromStr};

use super::Fetch;
use crate::{
    failure::Page,
    h1::{Fields, RequestHead, is_authority, is_scheme},
    route::excerpt,
};

/// Seconds for which a browser need not ask again. Long enough for a page's work, short enough for a change of settings.
const PREFLIGHT_AGE: &str = "600";

/// An origin whose pages may use a gateway from within a browser: `https://app.example`, or `*` for every one.
///
/// ```
/// use libp2p_http_proxy::AllowedOrigin;
///
/// let origin: AllowedOrigin = "https://App.example:8443".parse()?;
/// assert_eq!(origin.to_string(), "https://app.example:8443");
/// assert!("app.example/page".parse::<AllowedOrigin>().is_err());
/// # Ok::<(), libp2p_http_proxy::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedOrigin(Box<str>);

impl AllowedOrigin {
    fn is_any(&self) -> bool {
        &*self.0 == "*"
    }
}

impl FromStr for AllowedOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self(text.into()));
        }
        let invalid = || InvalidOrigin {
            text: excerpt(text),
        };
        let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
        // The authority is held to the rules for Host. Schemes may be those of browser extensions.
        // Browsers leave the default port out.
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let is_written_out = !default_port.is_empty() && authority.ends_with(default_port);
        if is_scheme(scheme.as_bytes()) && is_authority(authority) && !is_written_out {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text is not the origin of a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not an origin: write scheme and host as a browser does, without path and default port, such as \
     https://app.example or http://localhost:3000, or * for every page"
)]
pub struct InvalidOrigin {
    /// The text, escaped, and cut if it is long.
    text: String,
}

/// Whether pages of the origin of `fetch` are among `allowed`.
pub(crate) fn allows(allowed: &[AllowedOrigin], fetch: &Fetch<'_>) -> bool {
    allowed.iter().any(|one| {
        // "null" is the origin of every page in a sandbox, whoever wrote it: only "every one" holds it.
        let is_it = |origin: &[u8]| origin == one.0.as_bytes();
        one.is_any() || fetch.origin.is_some_and(is_it)
    })
}

/// The answer to a question of a browser whether a page may send a request, for a page that may
/// ([CORS-preflight](https://fetch.spec.whatwg.org/#cors-preflight-fetch)). `None` if this is no such question.
pub(crate) fn preflight(head: &RequestHead, fetch: &Fetch<'_>) -> Option<Page> {
    let method = head.fields().get("Access-Control-Request-Method")?;
    if head.method() != "OPTIONS" || fetch.origin.is_none() {
        return None;
    }
    let names = head.fields().get("Access-Control-Request-Headers");
    let lines = [
        ("Access-Control-Allow-Methods", Some(method)),
        ("Access-Control-Allow-Headers", names),
        ("Access-Control-Max-Age", Some(PREFLIGHT_AGE.as_bytes())),
    ];
    let mut fields = Fields::default();
    for (name, value) in lines {
        // What came as the value of a field can be sent as one.
        let _valid = value.map(|value| fields.push(name, value));
    }
    Some(Page {
        status: 204,
        fields,
        body: Default::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for text in [
            "*",
            "http://localhost:3000",
            "https://app.example",
            "http://[::1]:8080",
            "chrome-extension://abcdef",
        ] {
            assert_eq!(text.parse::<AllowedOrigin>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "null",
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example?",
            "https://user@app.example",
            "https://app.example:443",
            "http://app.example:80",
            "http://[::1]:80800",
            "1http://a",
            "ht tp://a",
            "https://a,https://b",
            "https://a\r\nX: y",
        ] {
            let error = text.parse::<AllowedOrigin>().unwrap_err().to_string();
            assert!(error.contains("is not an origin"), "{text}: {error}");
            assert!(error.is_ascii() && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn only_those_on_the_list_may() {
        let list = ["https://app.example".parse().unwrap()];
        let any = ["*".parse().unwrap()];
        for (origin, listed) in [
            (Some("https://app.example"), true),
            (Some("http://app.example"), false),
            (Some("https://app.example:1"), false),
            (Some("https://app.example.evil"), false),
            (Some("null"), false),
            (None, false),
        ] {
            let fetch = Fetch {
                origin: origin.map(str::as_bytes),
                ..Fetch::default()
            };
            assert_eq!(allows(&list, &fetch), listed, "{origin:?}");
            assert!(allows(&any, &fetch));
            assert!(!allows(&[], &fetch));
        }
    }

    #[test]
    fn a_preflight_is_answered_with_what_it_asks_for() {
        let ask = |method, asked: &[(&str, &str)]| {
            let mut head = RequestHead::new(method, "/").unwrap();
            for (name, value) in asked {
                head = head.with_field(name, value).unwrap();
            }
            preflight(&head, &Fetch::of(&head))
        };
        let origin = ("Origin", "https://a");
        let put = ("Access-Control-Request-Method", "PUT");
        let names = ("Access-Control-Request-Headers", "x-a, x-b");
        let page = ask("OPTIONS", &[origin, put, names]).unwrap();
        assert_eq!((page.status, page.body.len()), (204, 0));
        for (name, value) in [
            ("Access-Control-Allow-Methods", Some("PUT")),
            ("Access-Control-Allow-Headers", Some("x-a, x-b")),
            ("Access-Control-Max-Age", Some("600")),
            ("Access-Control-Allow-Credentials", None),
        ] {
            assert_eq!(page.fields.get(name), value.map(str::as_bytes), "{name}");
        }
        let page = ask("OPTIONS", &[origin, put]).unwrap();
        assert!(!page.fields.contains("Access-Control-Allow-Headers"));
        assert!(ask("OPTIONS", &[origin]).is_none());
        assert!(ask("OPTIONS", &[put]).is_none());
        assert!(ask("PUT", &[origin, put]).is_none());
    }
}
