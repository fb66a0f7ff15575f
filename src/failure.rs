//! What went wrong on the way, and what the client is told about it.

mod answer;
mod capacity;
mod page;

use std::time::Duration;

use libp2p_identity::PeerId;

use self::page::printable;
pub use self::{capacity::Capacity, page::Page};
use crate::{
    h1,
    rewrite::InvalidMaxForwards,
    route::{HostError, RouteError, split_query},
    service::{Protocol, ServiceName},
};

/// Why a request gets an answer from the proxy itself.
///
/// A failure knows the [status](Self::status), the [error type](Self::proxy_error) of
/// [RFC 9209](https://www.rfc-editor.org/rfc/rfc9209), and the whole [page](Self::respond). Its `Display` is for the
/// log of the node on which it happened: one sentence with what failed and what helps. The client is told
/// [`detail`](Self::detail), which leaves out where a service's local server is: the client may be any peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The request breaks a rule of HTTP/1.1 or exceeds a limit.
    #[error("the request is malformed: {0}")]
    BadRequest(h1::Error),

    /// The path is not a route of the gateway, or lacks a slash at its end.
    #[error(transparent)]
    BadRoute(#[from] RouteError),

    /// The host looks like that of a service, and is none.
    #[error(transparent)]
    BadHost(#[from] HostError),

    /// The request does not say clearly how many proxies it may pass.
    #[error(transparent)]
    BadMaxForwards(#[from] InvalidMaxForwards),

    /// The rest of the request did not come in time.
    #[error("the request did not arrive within {} s: send it faster, or raise the timeout", seconds(.limit))]
    RequestTimeout {
        /// The timeout that passed.
        limit: Duration,
    },

    /// The body of the request is larger than what is accepted.
    #[error("the request body is larger than {limit} bytes: send less, or raise the limit")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },

    /// The body of the request cannot come through the relay between this node and the peer.
    #[error(
        "the request body has {length} bytes, and the relay between here and the peer carries {limit} at most: try again, as there may be a direct connection by then, or use another relay"
    )]
    RequestBeyondRelay {
        /// The declared length of the body.
        length: u64,
        /// The bytes that the relay carries, in both directions together.
        limit: u64,
    },

    /// The body of the response cannot come through the relay between this node and the peer.
    #[error(
        "the response body has {length} bytes, and the relay between here and the peer carries {limit} at most: try again, as there may be a direct connection by then, or use another relay"
    )]
    ResponseBeyondRelay {
        /// The declared length of the body.
        length: u64,
        /// The bytes that the relay carries, in both directions together.
        limit: u64,
    },

    /// The service has a web origin of its own, where its pages are to be opened.
    #[error("the pages of this service have an origin of their own: {}", without_query(.location))]
    OwnOrigin {
        /// The same target there, as a reference for a `Location` field: `//host:port/path`.
        location: String,
    },

    /// The request names a host that the gateway does not answer for.
    #[error(
        "this gateway does not answer for the host '{host}': use its own address, or add the host's domain to its settings"
    )]
    HostNotAllowed {
        /// What the request names, as it came.
        host: String,
    },

    /// The request comes from a web page that may not use the gateway.
    #[error("{} may not send this request through the gateway: open the address by itself, or add the page's origin to the settings", page_of(.origin.as_deref()))]
    OriginNotAllowed {
        /// The origin of the page, as it came; `None` if the browser only said that it is another one.
        origin: Option<String>,
    },

    /// The peer may not use the service.
    #[error("the peer {peer} may not use the service {service}: its owner can allow it")]
    NotAllowed {
        /// The peer that sent the request.
        peer: PeerId,
        /// The service.
        service: ServiceName,
    },

    /// The peers may not send requests with this method to the service.
    #[error("peers may not use the method {method} with the service {service}: its owner allows {}", if .allowed.is_empty() { "none" } else { .allowed })]
    MethodNotAllowed {
        /// The service.
        service: ServiceName,
        /// The method of the request, cut if it is long.
        method: String,
        /// Those that are allowed, as an `Allow` field has them.
        allowed: String,
    },

    /// The peers may not ask the service for this path.
    #[error(
        "peers may not ask the service {service} for the path '{path}': it is below none that its owner allows, or has segments of dots or escapes that could lead out of one"
    )]
    PathNotAllowed {
        /// The service.
        service: ServiceName,
        /// The path of the request, escaped, and cut if it is long.
        path: String,
    },

    /// The clients of the gateway may not use this service of this peer.
    #[error(
        "this gateway lets nobody use {protocol} of the peer {peer}: its owner can add the pair to the services that it allows"
    )]
    PairNotAllowed {
        /// The peer.
        peer: PeerId,
        /// What was asked for.
        protocol: Protocol,
    },

    /// The clients of the gateway may not open tunnels.
    #[error(
        "this gateway opens no tunnels, as WebSockets and other upgrades are: its owner can allow them"
    )]
    TunnelNotAllowed,

    /// No address of the peer is known.
    #[error(
        "no address of the peer {peer} is known: give the node one, as /ip4/ADDRESS/tcp/PORT/p2p/{peer}"
    )]
    NoAddresses {
        /// The peer.
        peer: PeerId,
    },

    /// No address of the peer is known, and the gateway does not use those that the request names.
    #[error(
        "no address of the peer {peer} is known, and this gateway uses none that requests name: its owner can allow that, or \
         give it one, as /ip4/ADDRESS/tcp/PORT/p2p/{peer}"
    )]
    AddressesIgnored {
        /// The peer.
        peer: PeerId,
    },

    /// No address of the peer is known, and none was found.
    #[error("the peer {peer} was not found: {tried}; is it running, and known there?")]
    PeerNotFound {
        /// The peer.
        peer: PeerId,
        /// Where it was looked for.
        tried: String,
    },

    /// No address of the peer could be dialled.
    #[error(
        "the peer {peer} could not be reached: {reason}; is it running, and are its addresses current?"
    )]
    PeerUnreachable {
        /// The peer.
        peer: PeerId,
        /// What the dial ended with.
        reason: String,
    },

    /// Another peer answered at the address.
    #[error(
        "another peer, {obtained}, answers at the address of {peer}: correct the address or the peer id"
    )]
    WrongPeerId {
        /// The peer that was expected.
        peer: PeerId,
        /// The peer that answered.
        obtained: PeerId,
    },

    /// The peer was reached and does not speak the protocol.
    #[error(
        "the peer {peer} does not offer {protocol}: check the name of the service, and that it is being served"
    )]
    ServiceNotOffered {
        /// The peer.
        peer: PeerId,
        /// What was asked for.
        protocol: Protocol,
    },

    /// This node itself is asked, and offers no such service.
    #[error(
        "the peer {peer} is this node itself, and it does not offer {protocol}: check the name of the service; if another \
         node offers it, that has the same key, and needs one of its own"
    )]
    UnknownService {
        /// This node.
        peer: PeerId,
        /// What was asked for.
        protocol: Protocol,
    },

    /// The connection to the peer or the stream ended before a response came.
    #[error(
        "the peer {peer} ended the stream before it answered: {reason}; is the server behind the service running?"
    )]
    ConnectionTerminated {
        /// The peer.
        peer: PeerId,
        /// How it ended.
        reason: String,
    },

    /// The local server of the service refuses connections.
    #[error("the server at {target} refuses connections: {reason}; is it running?")]
    TargetRefused {
        /// Where the server should be.
        target: String,
        /// What the system said.
        reason: String,
    },

    /// The host name of the service's server cannot be resolved.
    #[error(
        "the name of the server at {target} cannot be resolved: {reason}; correct the target of the service"
    )]
    TargetNotFound {
        /// Where the server should be.
        target: String,
        /// What the resolver said.
        reason: String,
    },

    /// The service's server cannot be connected to, for another reason than a refusal.
    #[error(
        "the server at {target} cannot be reached: {reason}; correct the target of the service"
    )]
    TargetUnreachable {
        /// Where the server should be.
        target: String,
        /// What the system said.
        reason: String,
    },

    /// The service's server ended the connection before it answered.
    #[error(
        "the server at {target} ended the connection before it answered: {reason}; its own log may tell why"
    )]
    TargetTerminated {
        /// Where the server is.
        target: String,
        /// How it ended.
        reason: String,
    },

    /// The response breaks a rule of HTTP/1.1 or exceeds a limit.
    #[error("the response is malformed: {0}; the server behind the service has to be corrected")]
    InvalidResponse(h1::Error),

    /// The response ended before it was complete.
    #[error("the response ended before it was complete: the server or the peer went away")]
    ResponseIncomplete,

    /// The response ended before it was complete, and came through a relay that carries a limited number of bytes.
    #[error(
        "the response ended before it was complete: it came through a relay, which carries {limit} bytes for one connection and then ends it"
    )]
    CutByRelay {
        /// The bytes that the relay carries, in both directions together.
        limit: u64,
    },

    /// Something that is limited is used up.
    #[error("there are too many {what} at the moment: try again, or raise the limit")]
    NoCapacity {
        /// What is used up.
        what: Capacity,
    },

    /// The peer was not reached in time.
    #[error("the peer {peer} was not reached within {} s: is it running, and are its addresses current?", seconds(.limit))]
    DialTimeout {
        /// The peer.
        peer: PeerId,
        /// The timeout that passed.
        limit: Duration,
    },

    /// The peer was reached and did not agree on a protocol in time.
    #[error("the peer {peer} did not open a stream for {protocol} within {} s: it may be overloaded", seconds(.limit))]
    NegotiationTimeout {
        /// The peer.
        peer: PeerId,
        /// What was asked for.
        protocol: Protocol,
        /// The timeout that passed.
        limit: Duration,
    },

    /// The service's server was not reached in time.
    #[error("the server at {target} was not reached within {} s: correct the target of the service", seconds(.limit))]
    TargetTimeout {
        /// Where the server should be.
        target: String,
        /// The timeout that passed.
        limit: Duration,
    },

    /// The request was passed on, and no response came in time.
    #[error("no response came within {} s: the server is slow, or the timeout is too short for it", seconds(.limit))]
    ResponseTimeout {
        /// The timeout that passed.
        limit: Duration,
    },

    /// The next hop did not take the body of the request in time.
    #[error("the request body was not taken for {} s: the server is slow, or has stopped reading", seconds(.limit))]
    SendTimeout {
        /// The timeout that passed.
        limit: Duration,
    },

    /// The request has already passed through this proxy.
    #[error("the request has been here before: a service points back at this gateway")]
    LoopDetected,

    /// The protocol was not switched as the request asked.
    #[error("the switch of protocols failed: {reason}")]
    UpgradeFailed {
        /// What was wrong.
        reason: String,
    },

    /// The proxy takes no new requests, as it is about to end.
    #[error("the proxy is shutting down: try again once it is back")]
    ShuttingDown,

    /// The application that answers for the service, or that the proxy is a part of, did not do its part.
    #[error(
        "the application failed: {reason}; its own log may tell why, and its owner can correct it"
    )]
    Application {
        /// What it did, or did not do.
        reason: String,
    },

    /// The proxy itself failed.
    #[error("the proxy failed: {reason}; please report it")]
    Internal {
        /// What went wrong.
        reason: String,
    },
}

/// Seconds without needless digits.
fn seconds(duration: &Duration) -> f64 {
    duration.as_millis() as f64 / 1_000.0
}

/// Failures are shown to more people than requests are, and queries have secrets in them.
fn without_query(location: &str) -> &str {
    split_query(location).0
}

fn page_of(origin: Option<&str>) -> String {
    match origin {
        Some(origin) => format!("a page of '{origin}'"),
        None => "a page of another origin".to_owned(),
    }
}

impl Failure {
    /// What the client is told: one sentence of printable ASCII, at most 640 bytes, whatever the request held.
    ///
    /// It is `Display` without the whereabouts of the local server, which are no business of a peer's.
    #[must_use]
    pub fn detail(&self) -> String {
        let without_target = match self {
            Self::TargetRefused { .. } => "refuses connections: it may not be running",
            Self::TargetNotFound { .. } | Self::TargetUnreachable { .. } => "cannot be reached",
            Self::TargetTerminated { .. } => "ended the connection before it answered",
            Self::TargetTimeout { .. } => "was not reached in time",
            _ => return printable(&self.to_string()),
        };
        format!("the server behind the service {without_target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Domain, Route};

    const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";

    /// One of each, with its status, its error type, and what its message has to name.
    fn table() -> Vec<(Failure, u16, &'static str, &'static str)> {
        use Failure as F;
        let peer = || PEER.parse().unwrap();
        let service: ServiceName = "web".parse().unwrap();
        let protocol = || Protocol::from(&service);
        let target = || "127.0.0.1:3000".to_string();
        let reason = || "no luck".to_string();
        let limit = Duration::from_millis(10_500);
        let route = |target: String| F::from(Route::parse(&target).unwrap_err());
        #[rustfmt::skip]
        let table = vec![
            (F::BadRequest(h1::Error::BareLf), 400, "http_request_error", "LF without CR"),
            (F::BadRequest(h1::Error::TargetTooLong { limit: 9 }), 414, "http_request_error", "9 bytes"),
            (F::BadRequest(h1::Error::Expectation), 417, "http_request_error", "100-continue"),
            (F::BadRequest(h1::Error::HeadTooLarge { limit: 9 }), 431, "http_request_error", "9 bytes"),
            (F::BadRequest(h1::Error::ConnectMethod), 501, "http_request_error", "CONNECT"),
            (F::BadRequest(h1::Error::Version), 505, "http_request_error", "version"),
            (route("/x".into()), 400, "http_request_error", "'/x'"),
            (route("/http/x/".into()), 400, "http_request_error", "'x' is not a peer id"),
            (route(format!("/http/{PEER}/a%20b/")), 400, "http_request_error", "'%' at byte 1"),
            (route(format!("/http/{PEER}/web")), 308, "proxy_internal_response", "slash"),
            (F::RequestTimeout { limit }, 408, "http_request_error", "within 10.5 s"),
            (F::BodyTooLarge { limit: 7 }, 413, "http_request_error", "7 bytes"),
            (Domain::localhost().read("app.x.p2p.localhost").unwrap().unwrap_err().into(), 400, "http_request_error", "'x'"),
            (F::OwnOrigin { location: "//app.peer/x".into() }, 307, "proxy_internal_response", "//app.peer/x"),
            (F::HostNotAllowed { host: "evil".into() }, 421, "http_request_denied", "'evil'"),
            (F::OriginNotAllowed { origin: Some("http://evil".into()) }, 403, "http_request_denied", "'http://evil'"),
            (F::OriginNotAllowed { origin: None }, 403, "http_request_denied", "another origin"),
            (F::NotAllowed { peer: peer(), service: service.clone() }, 403, "http_request_denied", "service web"),
            (F::MethodNotAllowed { service: service.clone(), method: "PUT".into(), allowed: "GET, POST".into() }, 405, "http_request_denied", "allows GET, POST"),
            (F::MethodNotAllowed { service: service.clone(), method: "PUT".into(), allowed: String::new() }, 405, "http_request_denied", "allows none"),
            (F::PathNotAllowed { service: service.clone(), path: "/admin".into() }, 403, "http_request_denied", "'/admin'"),
            (F::PairNotAllowed { peer: peer(), protocol: protocol() }, 403, "http_request_denied", "/x/http/web"),
            (F::TunnelNotAllowed, 403, "http_request_denied", "WebSockets"),
            (F::NoAddresses { peer: peer() }, 502, "destination_not_found", PEER),
            (F::AddressesIgnored { peer: peer() }, 502, "destination_not_found", "none that requests name"),
            (F::RequestBeyondRelay { length: 99, limit: 98 }, 413, "http_request_error", "98"),
            (F::ResponseBeyondRelay { length: 99, limit: 98 }, 502, "http_response_body_size", "99"),
            (F::CutByRelay { limit: 98 }, 502, "http_response_incomplete", "98"),
            (F::PeerNotFound { peer: peer(), tried: "nobody knows".into() }, 502, "destination_not_found", "nobody knows"),
            (F::PeerUnreachable { peer: peer(), reason: reason() }, 502, "destination_unavailable", "no luck"),
            (F::WrongPeerId { peer: peer(), obtained: peer() }, 502, "tls_certificate_error", PEER),
            (F::ServiceNotOffered { peer: peer(), protocol: protocol() }, 502, "connection_refused", "/x/http/web"),
            (F::UnknownService { peer: peer(), protocol: protocol() }, 404, "destination_not_found", "/x/http/web"),
            (F::ConnectionTerminated { peer: peer(), reason: reason() }, 502, "connection_terminated", "no luck"),
            (F::TargetRefused { target: target(), reason: reason() }, 502, "connection_refused", "127.0.0.1:3000"),
            (F::TargetNotFound { target: target(), reason: reason() }, 502, "dns_error", "127.0.0.1:3000"),
            (F::TargetUnreachable { target: target(), reason: reason() }, 502, "destination_unavailable", "no luck"),
            (F::TargetTerminated { target: target(), reason: reason() }, 502, "connection_terminated", "no luck"),
            (F::InvalidResponse(h1::Error::BareLf), 502, "http_protocol_error", "LF without CR"),
            (F::InvalidResponse(h1::Error::Truncated), 502, "http_response_incomplete", "cut short"),
            (F::InvalidResponse(h1::Error::ChunkSize), 502, "http_response_transfer_coding", "chunk size"),
            (F::InvalidResponse(h1::Error::HeadTooLarge { limit: 9 }), 502, "http_response_header_section_size", "9 bytes"),
            (F::InvalidResponse(h1::Error::TooManyTrailers { limit: 9 }), 502, "http_response_trailer_section_size", "9 trailers"),
            (F::InvalidResponse(h1::Error::UnsolicitedSwitch), 502, "http_upgrade_failed", "switched"),
            (F::ResponseIncomplete, 502, "http_response_incomplete", "before it was complete"),
            (F::NoCapacity { what: Capacity::InboundStreams }, 503, "connection_limit_reached", "too many inbound streams"),
            (F::DialTimeout { peer: peer(), limit }, 504, "connection_timeout", "10.5 s"),
            (F::NegotiationTimeout { peer: peer(), protocol: protocol(), limit }, 504, "connection_timeout", "/x/http/web"),
            (F::TargetTimeout { target: target(), limit }, 504, "connection_timeout", "127.0.0.1:3000"),
            (F::ResponseTimeout { limit }, 504, "http_response_timeout", "10.5 s"),
            (F::SendTimeout { limit }, 504, "connection_write_timeout", "10.5 s"),
            (F::LoopDetected, 508, "proxy_loop_detected", "been here before"),
            (F::UpgradeFailed { reason: reason() }, 502, "http_upgrade_failed", "no luck"),
            (F::ShuttingDown, 503, "proxy_internal_response", "shutting down"),
            (F::Application { reason: reason() }, 500, "proxy_internal_error", "the application failed: no luck"),
            (F::Internal { reason: reason() }, 500, "proxy_internal_error", "please report it"),
        ];
        table
    }

    #[test]
    fn every_failure_has_its_answer() {
        for (failure, status, error, named) in table() {
            assert_eq!(failure.status(), status, "{failure}");
            assert_eq!(failure.proxy_error(), error, "{failure}");
            assert!(failure.to_string().contains(named), "{failure}");
            assert_eq!(failure.retry_after().is_some(), status == 503, "{failure}");

            let page = failure.respond("p2p-gateway", None);
            let detail = failure.detail();
            assert_eq!(page.status, status);
            let body = str::from_utf8(&page.body).unwrap();
            assert!(body.starts_with(&format!("{status} ")), "{body}");
            assert!(body.ends_with(&format!("\n{detail}\n")), "{body}");
            let fields = &page.fields;
            let get = |name| fields.get(name).map(<[u8]>::to_vec);
            let proxy_status = format!(
                r#"p2p-gateway; error={error}; details="{}""#,
                escaped(&detail)
            );
            assert_eq!(get("Proxy-Status"), Some(proxy_status.into_bytes()));
            assert_eq!(
                get("Content-Type"),
                Some(b"text/plain; charset=utf-8".to_vec())
            );
            assert_eq!(get("Cache-Control"), Some(b"no-store".to_vec()));
            assert_eq!(get("X-Content-Type-Options"), Some(b"nosniff".to_vec()));
            assert_eq!(fields.contains("Retry-After"), status == 503);
            assert_eq!(fields.contains("Location"), status / 100 == 3);
            assert_eq!(fields.contains("Allow"), status == 405);
        }
    }

    #[test]
    fn a_redirect_keeps_the_query_to_itself() {
        for (location, told) in [
            ("//app.peer/x?token=secret", "//app.peer/x"),
            ("//app.peer?a?b", "//app.peer"),
            ("//app.peer/", "//app.peer/"),
        ] {
            let failure = Failure::OwnOrigin {
                location: location.into(),
            };
            assert!(failure.to_string().ends_with(&format!(": {told}")));
            let page = failure.respond("p2p-gateway", None);
            assert_eq!(page.fields.get("Location"), Some(location.as_bytes()));
        }
    }

    fn escaped(text: &str) -> String {
        text.replace('\\', r"\\").replace('"', r#"\""#)
    }

    #[test]
    fn a_client_does_not_learn_where_the_server_is() {
        for (failure, ..) in table() {
            assert!(!failure.detail().contains("127.0.0.1"), "{failure}");
        }
        let target = "unix:/run/secret.sock".to_string();
        let reason = "No such file or directory".to_string();
        let failure = Failure::TargetRefused { target, reason };
        assert!(failure.to_string().contains("secret.sock"));
        for accept in [None, Some(&b"application/json"[..])] {
            let page = failure.respond("p2p-forward", accept);
            assert!(!format!("{page:?}").contains("secret.sock"));
        }
    }

    #[test]
    fn a_missing_slash_is_a_redirect() {
        let target = format!("http://gateway/http/{PEER}/web?a=\u{e9}");
        let failure = Failure::from(Route::parse(&target).unwrap_err());
        let page = failure.respond("p2p-gateway", None);
        let location = format!("/http/{PEER}/web/?a=\u{e9}");
        assert_eq!(page.fields.get("Location"), Some(location.as_bytes()));
        // What no route can hold, only a caller can have made up.
        let location = "/\r\nSet-Cookie: a=b".to_string();
        let failure = Failure::from(RouteError::MissingSlash { location });
        assert!(!failure.respond("x", None).fields.contains("Location"));
    }
}
