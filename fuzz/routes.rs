//! What must hold of paths and hosts that name services, whatever the input? Called by the fuzz targets, and by a test that
//! replays their seeds.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

use std::{fmt::Display, net::IpAddr};

use libp2p_http_proxy::{
    Protocol, ServiceName,
    failure::Failure,
    h1::RequestHead,
    route::{Domain, MultiaddrRoute, RequestAddresses, Route, parse_peer_id, peer_cid},
};

const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";

/// Any target is a route or an error that is fit to be shown.
///
/// A route is made of the bytes of its target, none decoded and none lost, and its canonical form is the same route. A
/// location stays on this gateway and is a route itself.
pub(crate) fn route(data: &[u8]) {
    let Ok(target) = str::from_utf8(data) else {
        return;
    };
    match Route::parse(target) {
        Ok(route) => {
            assert!(target.ends_with(&format!("{}{}", route.prefix, route.target)));
            assert!(route.prefix.starts_with("/http/") || route.prefix.starts_with("/p2p/"));
            assert!(route.target.starts_with('/'));
            let (peer, rest) = (route.peer, route.target);
            let canonical = match &route.protocol {
                Protocol::Service(name) => format!("/http/{peer}/{name}{rest}"),
                Protocol::KuboService(name) => format!("/p2p/{peer}/x/{name}/http{rest}"),
                Protocol::Kubo => format!("/p2p/{peer}/http{rest}"),
                other => panic!("no route leads to {other}"),
            };
            let again = Route::parse(&canonical).expect("the canonical form is a route");
            assert_eq!(
                (again.peer, again.protocol, again.target),
                (peer, route.protocol.clone(), rest)
            );
            RequestHead::new("GET", rest).expect("what is left is a target");
        }
        Err(error) => {
            if let Some(location) = error.location() {
                assert!(location.starts_with("/http/") || location.starts_with("/p2p/"));
                Route::parse(location).expect("a location is a route");
            }
            check_message(&error);
            let is_redirect = error.location().is_some();
            let page = Failure::from(error).respond("p2p-fuzz", Some(b"application/json"));
            assert_eq!(page.status, if is_redirect { 308 } else { 400 });
            assert_eq!(page.fields.contains("Location"), is_redirect);
            assert!(page.body.is_ascii());
        }
    }
}

/// Any text is the host of a service, or none, or an error that is fit to be shown.
///
/// A service has one host in each form, and the one that it is given leads back to it. Any text is also a domain, which
/// reads as it is shown, or an error that is fit to be shown.
pub(crate) fn host(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    for domain in ["localhost", "example.com", "a--b.p2p.localhost"] {
        check_host(&domain.parse().expect("a domain"), text);
    }
    match text.parse::<Domain>() {
        Ok(domain) => check_domain(&domain, text),
        Err(error) => check_message(&error),
    }
}

fn check_host(domain: &Domain, text: &str) {
    match domain.read(text) {
        None => {}
        Some(Err(error)) => check_message(&error),
        Some(Ok((peer, service))) => {
            let host = domain.host_of(&peer, &service).expect("it has a host");
            assert_eq!(domain.read(&host), Some(Ok((peer, service.clone()))));
            let has_name_length = host.len() <= 253;
            assert!(has_name_length && host.split('.').all(is_label), "{host}");

            let text = text.to_ascii_lowercase();
            let text = text.trim_end_matches(|c: char| c.is_ascii_digit());
            let text = text.strip_suffix(':').unwrap_or(text);
            let name = text.strip_suffix('.').unwrap_or(text);
            let other = format!("{service}.{}.p2p.{domain}", peer_cid(&peer));
            assert!(name == host || name == other, "{name} is another spelling");
        }
    }
}

fn check_domain(domain: &Domain, text: &str) {
    let shown = domain.to_string();
    assert_eq!(shown.parse().as_ref(), Ok(domain));
    assert!(
        shown.len() <= 253 && shown.split('.').all(is_label),
        "{shown}"
    );
    assert!(domain.is(text) && domain.is(&format!("{shown}.:80")));
    let peer = parse_peer_id(PEER).expect("a peer id");
    let service: ServiceName = "web".parse().expect("a name");
    if let Some(host) = domain.host_of(&peer, &service) {
        assert_eq!(domain.read(&host), Some(Ok((peer, service))));
    }
}

/// What may be in an address that is dialled for a request.
const PARTS: [&str; 18] = [
    "ip4",
    "ip6",
    "dns",
    "dns4",
    "dns6",
    "dnsaddr",
    "tcp",
    "udp",
    "quic-v1",
    "ws",
    "wss",
    "x-parity-ws",
    "x-parity-wss",
    "tls",
    "sni",
    "webtransport",
    "webrtc-direct",
    "certhash",
];

/// The first line is a target, the rest a list of addresses; each part is also the other.
///
/// What is taken consists of transports that are known, reads again as it is shown, names no other peer and, where only
/// public addresses are, no place that is known not to be. A target becomes one that a request can have. All else is an
/// error that is fit to be shown.
pub(crate) fn addresses(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (target, list) = text.split_once('\n').unwrap_or((&text, &text));
    let peer = parse_peer_id(PEER).expect("a peer id");
    for allowed in [RequestAddresses::Public, RequestAddresses::Any] {
        for line in [list, target] {
            match allowed.read(&peer, [line.as_bytes()]) {
                Ok(read) => {
                    assert!(read.len() <= 16);
                    let shown = read.iter().map(ToString::to_string);
                    shown.for_each(|shown| check_address(&shown, allowed));
                }
                Err(error) => check_refusal(&error, error.status()),
            }
        }
        match MultiaddrRoute::parse(target, [list.as_bytes()], allowed) {
            Ok(route) => {
                assert!(Route::parse(target).is_err());
                assert!(route.target.starts_with('/') && route.target.len() <= target.len());
                RequestHead::new("GET", &route.target).expect("what is left is a target");
                check_address(&route.address.to_string(), allowed);
            }
            Err(error) if error.location().is_some() => assert_eq!(error.status(), 308),
            Err(error) => check_refusal(&error, error.status()),
        }
    }
}

fn check_address(shown: &str, allowed: RequestAddresses) {
    let peer = parse_peer_id(PEER).expect("a peer id");
    let read = |text: &str| allowed.read(&peer, [text.as_bytes()]);
    // Commas part addresses, and a name may have one where an address does not come in a list.
    if !shown.contains(',') && shown.len() < 400 {
        let again = read(shown).expect("reads again");
        assert_eq!(again[0].to_string(), shown);
        let named = read(&format!("{shown}/p2p/{PEER}")).expect("is that of the peer");
        assert_eq!(named, again);
    }
    let mut parts = shown.split('/').skip(1);
    while let Some(part) = parts.next() {
        match part {
            "p2p" => {
                parts.next().expect("an id");
                assert_eq!(parts.next(), Some("p2p-circuit"), "{shown}");
                assert_eq!(parts.next(), None, "{shown}");
            }
            "quic-v1" | "ws" | "wss" | "tls" | "webtransport" | "webrtc-direct" => {}
            _ => {
                assert!(PARTS.contains(&part), "{shown}");
                check_value(part, parts.next().expect("a value"), allowed);
            }
        }
    }
}

fn check_value(part: &str, value: &str, allowed: RequestAddresses) {
    if allowed == RequestAddresses::Any {
        return;
    }
    assert!(!part.starts_with("dns"), "{value}");
    let Ok(ip) = value.parse::<IpAddr>() else {
        return;
    };
    let is_private = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    let ip = ip.to_canonical();
    let is_nobody = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
    assert!(!is_private && !is_nobody, "{ip}");
}

fn check_refusal(error: &impl Display, status: u16) {
    assert!(matches!(status, 400 | 403));
    check_message(error);
}

/// A label of a host in its canonical form.
fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// A message is short and can be shown anywhere.
fn check_message(error: &impl Display) {
    let message = error.to_string();
    assert!(message.len() < 1_000, "{message}");
    assert!(
        message.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{message}"
    );
}
