//! On what terms does a gateway give a browser the response of a service?

use std::borrow::Cow;

use super::{added::Added, cookie::CookieScope};
use crate::h1::{Entry, Fields, ResponseHead};

/// Keeps a page in an origin of its own that is equal to no other, where it can neither read what other services stored
/// nor send requests as a page of the gateway.
const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials";

/// What a gateway adds to a response on behalf of a browser. By default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms<'a> {
    /// The origin of another site whose page may read the response.
    pub(crate) reader: Option<&'a [u8]>,
    /// Whether a browser takes the response for one of the gateway's own origin, which others share: a page in it must not
    /// get that, nor does the service get what the browser keeps for it.
    pub(crate) shares_origin: bool,
    /// Where the cookies that the response sets may be sent, if not wherever the service says.
    pub(crate) cookies: Option<CookieScope<'a>>,
}

impl<'a> Terms<'a> {
    /// Adds them to an answer of the gateway's own, which holds no scripts.
    pub(crate) fn add_to(&self, fields: &mut Fields) {
        for (name, value) in self.reading() {
            // What came as the value of a field can be sent as one.
            let _valid = fields.push(name, value);
        }
    }

    /// Adds them to the response of a service, unless that has said the same itself.
    /// Returns whether the service's word on who may read it is to go.
    pub(super) fn add(&self, head: &ResponseHead, added: &mut Added<'a>) -> bool {
        // Not only in what is opened as a page now: a browser may have kept the response of an earlier request.
        if self.shares_origin {
            added.push("Content-Security-Policy", SANDBOX.as_bytes());
        }
        if self.reader.is_none() {
            return false;
        }
        let said = head.fields().get(ALLOW_ORIGIN);
        if said == self.reader || said == Some(b"*") {
            return false;
        }
        for (name, value) in self.reading() {
            added.push(name, Cow::Borrowed(value));
        }
        true
    }

    /// Tells the browser which page may read the response
    /// ([CORS](https://fetch.spec.whatwg.org/#http-cors-protocol)).
    fn reading(&self) -> impl Iterator<Item = (&'static str, &'a [u8])> {
        let lines = self.reader.map(|origin| {
            [
                (ALLOW_ORIGIN, origin),
                ("Access-Control-Expose-Headers", b"*"),
                // A cache must not give one page what another was told.
                ("Vary", b"Origin"),
            ]
        });
        lines.into_iter().flatten()
    }
}

/// Fields that speak for everything at the origin of the response: they delete what is stored there, put paths beyond their
/// own under a worker, say how it is to be reached or what it is told by browsers, whom browsers tell of its faults, or ask
/// for credentials that a browser keeps for all of it, or to name what it has kept of one path when it asks for others.
const FOR_ORIGIN: [&str; 15] = [
    "Accept-CH",
    "Alt-Svc",
    "Clear-Site-Data",
    "Critical-CH",
    "NEL",
    "Origin-Agent-Cluster",
    "Report-To",
    "Reporting-Endpoints",
    "Sec-Session-Registration",
    "Secure-Session-Registration",
    "Service-Worker-Allowed",
    "Set-Login",
    "Strict-Transport-Security",
    "Use-As-Dictionary",
    "WWW-Authenticate",
];

/// Whether a field speaks for everything at the origin of the response.
pub(super) fn speaks_for_origin(field: &Entry<'_>) -> bool {
    FOR_ORIGIN.iter().any(|name| field.is(name))
}

/// Whether a field, beside `Authorization`, holds what the browser keeps for everything at an origin, and may so be meant for
/// another.
pub(super) fn is_of_origin(field: &Entry<'_>) -> bool {
    field.is("Cookie")
}

/// Whether a field says to which other origins a response may be read: the gateway's word then, not the service's, as
/// browsers take only one, and credentials that were meant for one page are not for another.
pub(super) fn grants_reading(field: &Entry<'_>) -> bool {
    field.is(ALLOW_ORIGIN) || field.is(ALLOW_CREDENTIALS)
}
