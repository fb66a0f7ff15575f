//! Did a request come from a program of this machine?

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header},
};

/// Fields of proxies, besides all that begin with [`FORWARDED`]. What comes through one is from elsewhere, wherever the
/// proxy itself is.
const PROXIES: [&str; 18] = [
    "cdn-loop",
    "cf-connecting-ip",
    "cf-ray",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-libp2p-peer",
    "x-original-forwarded-for",
    "x-original-host",
    "x-proxyuser-ip",
    "x-real-ip",
];

/// How proxies begin the names of fields that tell what they were asked: `-for`, `-host`, `-proto` and more.
const FORWARDED: &str = "x-forwarded";

/// Whether the client is on this machine, and no proxy for others as far as it tells.
pub(crate) fn is_local(client: Option<&SocketAddr>, fields: &HeaderMap) -> bool {
    let is_here = client.is_some_and(|client| client.ip().to_canonical().is_loopback());
    is_here && !fields.keys().any(is_of_proxy)
}

fn is_of_proxy(name: &HeaderName) -> bool {
    name.as_str().starts_with(FORWARDED) || PROXIES.contains(&name.as_str())
}

/// Whether a request is for this machine by a name that only this machine has: no page can have made that point here, and a
/// proxy for others, which may leave no other trace, is seldom asked by it.
pub(crate) fn names_this_machine(request: &Request) -> bool {
    // The authority of an absolute target replaces the field (RFC 9112, section 3.2.2).
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => sole(request.headers(), header::HOST),
    };
    authority.is_some_and(is_here)
}

/// The value of a field that is there once.
fn sole(fields: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = fields.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether no page can have made the host of an authority point here.
fn is_here(authority: &str) -> bool {
    if authority.parse::<SocketAddr>().is_ok() || authority.parse::<IpAddr>().is_ok() {
        return true;
    }
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost") || bare.unwrap_or(host).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_of_this_machine() {
        for (client, field, local) in [
            (Some("127.0.0.1:1"), None, true),
            (Some("[::1]:1"), None, true),
            (Some("[::ffff:127.0.0.1]:1"), None, true),
            (Some("192.0.2.1:1"), None, false),
            (None, None, false),
            (Some("127.0.0.1:1"), Some("x-forwarded-for"), false),
            (Some("127.0.0.1:1"), Some("x-forwarded-host"), false),
            (Some("127.0.0.1:1"), Some("x-forwarded-proto"), false),
            (Some("127.0.0.1:1"), Some("x-client-ip"), false),
            (Some("127.0.0.1:1"), Some("cf-connecting-ip"), false),
            (Some("127.0.0.1:1"), Some("x-libp2p-peer"), false),
            (Some("127.0.0.1:1"), Some("accept"), true),
        ] {
            let client = client.map(|client| client.parse().unwrap());
            let mut fields = HeaderMap::new();
            if let Some(name) = field {
                fields.insert(name, HeaderValue::from_static("a"));
            }
            assert_eq!(
                is_local(client.as_ref(), &fields),
                local,
                "{client:?} {field:?}"
            );
        }
    }
}
