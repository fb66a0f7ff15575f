//! What must hold of whom a gateway answers, whatever a request says of its host and of the page that sent it? Called by a fuzz
//! target, and by a test that replays its seeds.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use futures::FutureExt as _;
use http::{HeaderMap, Request, Response, header};
use libp2p_http_proxy::{
    Config, Gateway, GatewayConfig, HttpProxyBehaviour,
    h1::{Limits, RequestHead},
    route::{Domain, parse_peer_id},
};
use tower_service::Service as _;

use crate::transcript::{self, Found};

const NODE: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
const DOMAIN: &str = "example.com";
const ORIGIN: &str = "https://app.example";

/// What a request is answered with that would have been passed on, had the node not ended.
const PASSED: u16 = 503;

/// The first byte says whose pages may use the gateway, and the rest is a request.
///
/// Nothing is passed on that is for a host of which somebody may have made a name point here, or that comes from a page of
/// another origin, but by a link that opens one. Nobody is let read that was not let in, and a page is sent nowhere but to the
/// host of a service.
pub(crate) fn gateway(data: &[u8]) {
    let Some((&settings, message)) = data.split_first() else {
        return;
    };
    let found = transcript::requests(message, [], &Limits::default()).found;
    let Some(Found::Head(head)) = found.first() else {
        return;
    };
    let Some(request) = request(head) else {
        return;
    };
    let is_allowed = settings & 1 == 1;
    let fields = request.headers().clone();
    let response = answer(is_allowed, request);
    let origin = fields.get_all(header::ORIGIN).iter().next_back();
    let origin = origin.map(|origin| origin.as_bytes());
    let is_let_in = is_allowed && origin == Some(ORIGIN.as_bytes());
    if response.status().as_u16() == PASSED {
        let host = fields.get(header::HOST).and_then(|host| host.to_str().ok());
        assert!(host.is_none_or(is_known_host), "{head:?}");
        assert!(is_let_in || is_own(head, &fields, host), "{head:?}");
    }
    let reader = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    if let Some(reader) = reader {
        assert!(
            is_let_in && Some(reader.as_bytes()) == origin,
            "{response:?}"
        );
    }
    if let Some(location) = response.headers().get(header::LOCATION) {
        // Text as it stands in the target, of which not every client escapes all.
        check_location(str::from_utf8(location.as_bytes()).expect("is text"));
    }
}

/// The same request as an HTTP server has it, if it can have it.
fn request(head: &RequestHead) -> Option<Request<String>> {
    let mut request = Request::builder().method(head.method()).uri(head.target());
    for field in head.fields().iter() {
        request = request.header(field.name, field.value);
    }
    request.body(String::new()).ok()
}

/// What a gateway answers whose node has ended.
fn answer(is_allowed: bool, request: Request<String>) -> Response<()> {
    let node = parse_peer_id(NODE).expect("a peer id");
    let client = HttpProxyBehaviour::new(node, Config::default()).client();
    let mut config = GatewayConfig::default().with_domain(DOMAIN.parse().expect("a domain"));
    if is_allowed {
        config = config.with_allowed_origin(ORIGIN.parse().expect("an origin"));
    }
    let service = Gateway::new(client, node, config).into_service();
    let answer = service.with_service_hosts().call(request).now_or_never();
    let Ok(answer) = answer.expect("nothing is waited for");
    answer.map(|_| ())
}

/// Whether nobody can have made a host point to the gateway who may not: it is an address, or below a name of the gateway.
fn is_known_host(authority: &str) -> bool {
    let authority = authority.to_ascii_lowercase();
    let (host, _) = match authority.rfind(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_address = host.parse::<Ipv4Addr>().is_ok()
        || inner.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_below = |domain: &str| name == domain || name.ends_with(&format!(".{domain}"));
    is_address || is_below("localhost") || is_below(DOMAIN)
}

/// Whether no page of another origin has sent a request, as far as browsers tell, or a link to it was followed.
fn is_own(head: &RequestHead, fields: &HeaderMap, host: Option<&str>) -> bool {
    let last = |name: &str| fields.get_all(name).iter().next_back();
    let is = |name: &str, value: &str| last(name).is_some_and(|found| found == value);
    let is_foreign = match (last("sec-fetch-site"), last("origin")) {
        (Some(site), _) => site != "same-origin" && site != "none",
        (None, Some(origin)) => {
            let named = origin.as_bytes().iter().position(|byte| *byte == b'/');
            let named = named.map(|at| origin.as_bytes()[at..].to_ascii_lowercase());
            let own = host.map(|host| format!("//{}", host.to_ascii_lowercase()).into_bytes());
            named.is_none() || named != own
        }
        (None, None) => false,
    };
    let is_link = matches!(head.method(), "GET" | "HEAD")
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document");
    !is_foreign || is_link
}

fn check_location(location: &str) {
    let Some(elsewhere) = location.strip_prefix("//") else {
        assert!(location.starts_with("./"), "{location}");
        return;
    };
    let (host, _) = elsewhere.split_once('/').expect("a path");
    let domains = ["localhost", DOMAIN].map(|domain| domain.parse::<Domain>().expect("a domain"));
    let is_service = |domain: &Domain| matches!(domain.read(host), Some(Ok(_)));
    assert!(domains.iter().any(is_service), "{location}");
}
