//! What does a proxy answer to a request that may go no further? (RFC 9110, section 7.6.2)

use bytes::Bytes;

use crate::{
    failure::{Failure, Page},
    h1::{Fields, RequestHead},
    rewrite::max_forwards,
};

/// The answer of the proxy called `name`, if the request is to pass no more proxies: as that of a server to which it was
/// addressed.
///
/// # Errors
///
/// If the request does not say clearly how many it may pass.
pub(super) fn answer_as_last(head: &RequestHead, name: &str) -> Result<Option<Page>, Failure> {
    if max_forwards(head)? != Some(0) {
        return Ok(None);
    }
    let proxy_status = format!("{name}; error=proxy_internal_response");
    let mut fields = Fields::new();
    let (status, lines, body) = match head.method() {
        "TRACE" => (200, &TRACED[..], trace(head)),
        _ => (204, &[][..], Bytes::new()),
    };
    let told = [("Proxy-Status", proxy_status.as_str())];
    for (name, value) in told.iter().chain(lines) {
        let _valid = fields.push(name, value);
    }
    Ok(Some(Page {
        status,
        fields,
        body,
    }))
}

/// What is said about the request that came.
const TRACED: [(&str, &str); 3] = [
    ("Content-Type", "message/http"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
];

/// The head as it came, without credentials (RFC 9110, section 9.3.8): a page could get at those of its user that way.
fn trace(head: &RequestHead) -> Bytes {
    let line = format!("{} {} {}", head.method(), head.target(), head.version());
    let mut text = line.into_bytes();
    for field in head.fields().iter().filter(|field| !field.is_secret()) {
        for part in [b"\r\n", field.name.as_bytes(), b": ", field.value] as [&[u8]; 4] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(b"\r\n\r\n");
    text.into()
}
