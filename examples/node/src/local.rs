//! Did a request come from a program of this machine?

use std::net::SocketAddr;

use axum::http::HeaderMap;

/// Fields of proxies. What comes through one is from elsewhere, wherever the proxy itself is.
const FORWARDED: [&str; 5] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-libp2p-peer",
    "x-real-ip",
];

/// Whether the client is on this machine, and no proxy for others as far as it tells.
pub(crate) fn is_local(client: Option<&SocketAddr>, fields: &HeaderMap) -> bool {
    let is_here = client.is_some_and(|client| client.ip().to_canonical().is_loopback());
    is_here && !FORWARDED.iter().any(|name| fields.contains_key(*name))
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
            (Some("127.0.0.1:1"), Some("x-libp2p-peer"), false),
            (Some("127.0.0.1:1"), Some("accept"), true),
        ] {
            let client = client.map(|client| client.parse().unwrap());
            let mut fields = HeaderMap::new();
            if let Some(name) = field {
                fields.insert(name, HeaderValue::from_static("a"));
            }
            assert_eq!(is_local(client.as_ref(), &fields), local, "{client:?}");
        }
    }
}
