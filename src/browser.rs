//! What does a browser say of a request: whose page sent it, and what is to become of the response?
//!
//! Browsers send `Origin` ([Fetch](https://fetch.spec.whatwg.org/#origin-header)) and the fields of
//! [Fetch Metadata](https://www.w3.org/TR/fetch-metadata/) by themselves, and let no page set them. Other clients send
//! none of them, and need not: only a browser lends its place in the network to whoever wrote a page.

mod cors;

pub use self::cors::{AllowedOrigin, InvalidOrigin};
pub(crate) use self::cors::{allows, preflight};
use crate::{
    accept::prefers_html,
    h1::{Entry, RequestHead},
};

/// What becomes of a response that a browser asks for as one of these: a page, or a worker, whose scripts run in the
/// origin that it came from.
const RUNS_SCRIPTS: [&[u8]; 9] = [
    b"document",
    b"embed",
    b"fencedframe",
    b"frame",
    b"iframe",
    b"object",
    b"serviceworker",
    b"sharedworker",
    b"worker",
];

/// What a request says about the page it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fetch<'a> {
    /// `Origin`: scheme, host and port of the page, or `null`.
    pub(crate) origin: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`: how that origin and the addressed one relate.
    site: Option<&'a [u8]>,
    /// `Sec-Fetch-Mode`
    mode: Option<&'a [u8]>,
    /// `Sec-Fetch-Dest`: what the response is for.
    destination: Option<&'a [u8]>,
}

impl<'a> Fetch<'a> {
    /// Reads the fields of a request.
    pub(crate) fn of(head: &'a RequestHead) -> Self {
        let mut fetch = Self::default();
        for entry in head.fields().entries() {
            // Few fields have names as long as these, which is told without looking at them.
            match entry.name_length() {
                6 if entry.is("Origin") => fetch.origin = Some(entry.value()),
                14 => fetch.set(entry),
                _ => {}
            }
        }
        fetch
    }

    fn set(&mut self, entry: Entry<'a>) {
        if entry.is("Sec-Fetch-Site") {
            self.site = Some(entry.value());
        } else if entry.is("Sec-Fetch-Mode") {
            self.mode = Some(entry.value());
        } else if entry.is("Sec-Fetch-Dest") {
            self.destination = Some(entry.value());
        }
    }

    /// Whether the request comes from a page of another origin than the one at `authority`, the host and port that the
    /// request names.
    ///
    /// A page of another service counts as foreign though all services of a gateway are one "site" to a browser, and so
    /// do pages of the opaque origin `null`.
    pub(crate) fn is_foreign(&self, authority: Option<&str>) -> bool {
        if let Some(site) = self.site {
            return !matches!(site, b"same-origin" | b"none");
        }
        // Browsers leave the fields out on a connection that they do not trust, plain HTTP but to this machine. Then
        // Origin alone tells. Its scheme is not compared: TLS may end in front of the gateway.
        let Some(origin) = self.origin else {
            return false;
        };
        let names = |authority: &str| {
            let scheme_end = memchr::memmem::find(origin, b"://");
            scheme_end
                .is_some_and(|end| origin[end + 3..].eq_ignore_ascii_case(authority.as_bytes()))
        };
        !authority.is_some_and(names)
    }

    /// Whether a browser sends the request, for all that it says.
    pub(crate) fn is_of_browser(&self) -> bool {
        self.site.is_some() || self.origin.is_some()
    }

    /// The same, or a browser that says nothing of itself may.
    pub(crate) fn may_be_of_browser(&self, head: &RequestHead) -> bool {
        self.is_of_browser() || self.runs_scripts(head)
    }

    /// Whether the request opens a page in a tab of its own, as a link does. Its response is shown, and told to no other
    /// page.
    pub(crate) fn opens_page(&self, method: &str) -> bool {
        matches!(method, "GET" | "HEAD")
            && self.mode == Some(b"navigate")
            && self.destination == Some(b"document")
    }

    /// Whether scripts in the response to this request, with `head`, would run in the origin that it addresses.
    pub(crate) fn runs_scripts(&self, head: &RequestHead) -> bool {
        match self.destination {
            Some(destination) => RUNS_SCRIPTS.contains(&destination),
            // Browsers before Fetch Metadata, and connections without it: pages are asked for as HTML.
            None => head.fields().get("Accept").is_some_and(prefers_html),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead::new("GET", "/").unwrap();
        for (name, value) in fields {
            head = head.with_field(name, value).unwrap();
        }
        head
    }

    #[test]
    fn pages_of_other_origins_are_foreign() {
        let own = "app.peer.p2p.localhost:8080";
        #[rustfmt::skip]
        let cases: [(&[(&str, &str)], bool); 18] = [
            (&[], false),
            (&[("Sec-Fetch-Site", "none")], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("Sec-Fetch-Site", "same-site")], true),
            (&[("Sec-Fetch-Site", "cross-site")], true),
            // Nobody knows what a later browser means by it.
            (&[("Sec-Fetch-Site", "other")], true),
            (&[("Sec-Fetch-Site", "")], true),
            (&[("Sec-Fetch-Site", "SAME-ORIGIN")], true),
            // A page that does not say who refers to it has the origin "null" in its forms.
            (&[("Sec-Fetch-Site", "same-origin"), ("Origin", "null")], false),
            (&[("Sec-Fetch-Site", "cross-site"), ("Origin", "http://app.peer.p2p.localhost:8080")], true),
            (&[("Origin", "http://app.peer.p2p.localhost:8080")], false),
            (&[("Origin", "https://APP.peer.p2p.localhost:8080")], false),
            (&[("Origin", "http://app.peer.p2p.localhost")], true),
            (&[("Origin", "http://other.peer.p2p.localhost:8080")], true),
            (&[("Origin", "http://app.peer.p2p.localhost:80800")], true),
            (&[("Origin", "null")], true),
            (&[("Origin", "")], true),
            (&[("Origin", "app.peer.p2p.localhost:8080")], true),
        ];
        for (fields, expected) in cases {
            let head = head(fields);
            let fetch = Fetch::of(&head);
            assert_eq!(fetch.is_foreign(Some(own)), expected, "{fields:?}");
        }
        // Without a host there is nothing that an origin could be equal to.
        let head = head(&[("Origin", "http://a")]);
        assert!(Fetch::of(&head).is_foreign(None));
    }

    #[test]
    fn what_runs_scripts() {
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        const PIP: &str = "application/vnd.pypi.simple.v1+json, text/html; q=0.01";
        #[rustfmt::skip]
        let cases: [(&[(&str, &str)], bool); 12] = [
            (&[], false),
            (&[("Accept", "*/*")], false),
            (&[("Accept", BROWSER)], true),
            (&[("Accept", PIP)], false),
            (&[("Sec-Fetch-Dest", "document")], true),
            (&[("Sec-Fetch-Dest", "iframe")], true),
            (&[("Sec-Fetch-Dest", "serviceworker")], true),
            (&[("Sec-Fetch-Dest", "worker")], true),
            (&[("Sec-Fetch-Dest", "script")], false),
            (&[("Sec-Fetch-Dest", "image")], false),
            (&[("Sec-Fetch-Dest", "empty"), ("Accept", BROWSER)], false),
            (&[("Sec-Fetch-Dest", "object"), ("Accept", "*/*")], true),
        ];
        for (fields, expected) in cases {
            let head = head(fields);
            let runs = Fetch::of(&head).runs_scripts(&head);
            assert_eq!(runs, expected, "{fields:?}");
        }
    }

    #[test]
    fn a_link_opens_a_page() {
        let fields =
            |mode, destination| head(&[("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", destination)]);
        for (method, mode, destination, expected) in [
            ("GET", "navigate", "document", true),
            ("HEAD", "navigate", "document", true),
            ("POST", "navigate", "document", false),
            ("GET", "navigate", "iframe", false),
            ("GET", "no-cors", "document", false),
            ("GET", "no-cors", "script", false),
        ] {
            let head = fields(mode, destination);
            let opens = Fetch::of(&head).opens_page(method);
            assert_eq!(opens, expected, "{method} {mode} {destination}");
        }
    }
}
