//! Who may look? Programs of this machine, and the page itself; with a token whoever knows it. Nobody changes anything.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    local::{is_local, names_this_machine},
    own::SAFE,
    token::{self, Token},
};

/// The pages that may be opened by a link from elsewhere.
const FRONT: &str = "/";

/// Who may look.
pub(super) struct Guard {
    token: Option<Token>,
}

impl Guard {
    pub(super) fn new(token: Option<Token>) -> Self {
        Self { token }
    }

    fn check(&self, request: &Request) -> Result<(), Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allow = [(header::ALLOW, "GET, HEAD")];
            let text = "nothing can be changed here, only read: GET and HEAD\n";
            return Err((StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response());
        }
        let fields = request.headers();
        if is_foreign(fields) && !opens_page(request) {
            return Err(refuse(
                StatusCode::FORBIDDEN,
                "pages of other origins may not read this",
            ));
        }
        match &self.token {
            Some(token) => check_token(token, fields),
            None => check_local(request),
        }
    }
}

/// Passes on what is allowed, and adds to every answer what keeps it safe.
pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused,
    };
    let fields = response.headers_mut();
    for (name, value) in SAFE {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.insert(header::SERVER, HeaderValue::from_static("p2p-http"));
    response
}

/// Whether a browser sends a request for a page of another origin; those of services and gateways on this machine are others.
/// See the specification of [Fetch Metadata](https://www.w3.org/TR/fetch-metadata/).
fn is_foreign(fields: &HeaderMap) -> bool {
    match fields.get("sec-fetch-site") {
        Some(site) => !matches!(site.as_bytes(), b"same-origin" | b"none"),
        // Older browsers tell the origin where they ask to read across origins.
        None => fields.contains_key(header::ORIGIN),
    }
}

/// Whether somebody follows a link to the page, of which the linking page sees nothing.
fn opens_page(request: &Request) -> bool {
    let fields = request.headers();
    let is = |name: &str, value: &[u8]| {
        fields
            .get(name)
            .is_some_and(|found| found.as_bytes() == value)
    };
    request.uri().path() == FRONT
        && is("sec-fetch-mode", b"navigate")
        && is("sec-fetch-dest", b"document")
        && !fields.contains_key(header::ORIGIN)
}

/// No page can know the token, so whatever name it has made point here is of no use to it.
fn check_token(token: &Token, fields: &HeaderMap) -> Result<(), Response> {
    let claimed = fields.get(header::AUTHORIZATION);
    let is_known = claimed.is_some_and(|value| {
        token::bearer(value).is_some_and(|claimed| token.is(claimed))
            || token::password(value).is_some_and(|claimed| token.is(&claimed))
    });
    if is_known {
        return Ok(());
    }
    let mut refused = refuse(
        StatusCode::UNAUTHORIZED,
        "this needs the token of the node (--admin-token): as Authorization: Bearer TOKEN, or as the password",
    );
    for scheme in ["Bearer", "Basic realm=\"p2p-http\", charset=\"UTF-8\""] {
        let value = HeaderValue::from_static(scheme);
        refused
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, value);
    }
    Err(refused)
}

/// Without a token: this machine, under a name that only this machine has.
fn check_local(request: &Request) -> Result<(), Response> {
    let client = request.extensions().get::<SocketAddr>();
    if !is_local(client, request.headers()) {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "without a token (--admin-token) only programs of this machine may read this",
        ));
    }
    if !names_this_machine(request) {
        return Err(refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "this is at an IP address or localhost, and under no other name",
        ));
    }
    Ok(())
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn status(guard: &Guard, method: &str, target: &str, fields: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let client: SocketAddr = "127.0.0.1:9".parse().unwrap();
        request.extensions_mut().insert(client);
        guard
            .check(&request)
            .map_or_else(|response| response.status().as_u16(), |()| 200)
    }

    #[test]
    fn only_names_that_nobody_else_has() {
        let guard = Guard::new(None);
        for (host, expected) in [
            ("127.0.0.1:8081", 200),
            ("127.0.0.1", 200),
            ("[::1]:8081", 200),
            ("[::1]", 200),
            ("localhost:8081", 200),
            ("LocalHost", 200),
            ("evil.example:8081", 421),
            ("localhost.evil.example", 421),
            ("app.k51.p2p.localhost", 421),
            ("127.0.0.1.evil.example", 421),
            ("evil.example:127.0.0.1", 421),
            ("localhost:8081:evil", 421),
            ("", 421),
        ] {
            let found = status(&guard, "GET", "/", &[("host", host)]);
            assert_eq!(found, expected, "{host}");
        }
        let here = ("host", "localhost");
        assert_eq!(status(&guard, "GET", "/", &[]), 421);
        assert_eq!(
            status(&guard, "GET", "/", &[here, ("host", "evil.example")]),
            421
        );
        assert_eq!(status(&guard, "GET", "http://evil.example/", &[here]), 421);
    }

    #[test]
    fn only_this_machine_reads_and_only_the_page_in_a_browser() {
        let guard = Guard::new(None);
        let here = ("host", "127.0.0.1:8081");
        let site = |site| ("sec-fetch-site", site);
        let link = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        for (method, target, fields, expected) in [
            ("GET", "/api/state", &[][..], 200),
            ("HEAD", "/api/state", &[], 200),
            ("POST", "/api/state", &[], 405),
            ("OPTIONS", "/api/state", &[], 405),
            ("GET", "/api/state", &[site("same-origin")], 200),
            ("GET", "/api/state", &[site("none")], 200),
            // The page of a service, at another port of this machine.
            ("GET", "/api/state", &[site("same-site")], 403),
            ("GET", "/page.js", &[site("cross-site")], 403),
            ("GET", "/api/state", &[("origin", "http://a.example")], 403),
            ("GET", "/", &[site("cross-site"), link[0], link[1]], 200),
            ("GET", "/", &[site("same-site"), link[0]], 403),
            (
                "GET",
                "/api/state",
                &[site("cross-site"), link[0], link[1]],
                403,
            ),
            (
                "GET",
                "/",
                &[site("cross-site"), link[0], ("sec-fetch-dest", "iframe")],
                403,
            ),
            ("GET", "/", &[("via", "1.1 proxy")], 403),
            ("GET", "/", &[("x-libp2p-peer", "12D3")], 403),
        ] {
            let found = status(&guard, method, target, &[&[here], fields].concat());
            assert_eq!(found, expected, "{method} {target} {fields:?}");
        }
        let mut request = Request::new(Body::empty());
        request
            .headers_mut()
            .insert("host", HeaderValue::from_static("127.0.0.1"));
        assert!(guard.check(&request).is_err());
    }

    #[test]
    fn with_a_token_it_is_for_who_knows_it() {
        let token = Token::new("0123456789abcdef").unwrap();
        let guard = Guard::new(Some(token));
        let basic = "Basic YWRtaW46MDEyMzQ1Njc4OWFiY2RlZg==";
        for (fields, expected) in [
            (&[][..], 401),
            (&[("authorization", "Bearer 0123456789abcdef")], 200),
            (&[("authorization", "Bearer 0123456789abcdeg")], 401),
            (&[("authorization", basic)], 200),
            (&[("authorization", "Basic YWRtaW46YWRtaW4=")], 401),
            (
                &[
                    ("authorization", "Bearer 0123456789abcdef"),
                    ("host", "node.example"),
                    ("x-forwarded-for", "192.0.2.1"),
                ],
                200,
            ),
            // The browser adds a password by itself, so this holds with it, too.
            (
                &[("authorization", basic), ("sec-fetch-site", "cross-site")],
                403,
            ),
        ] {
            assert_eq!(
                status(&guard, "GET", "/api/state", fields),
                expected,
                "{fields:?}"
            );
        }
    }
}
