//! Which peer and which service does a request target name, and what is left of it for that service?

use libp2p_identity::PeerId;

use super::{
    addresses::AddressError,
    excerpt,
    peer::{InvalidPeerId, parse_peer_id},
};
use crate::service::{InvalidServiceName, Protocol, ServiceName};

/// What a multiaddr URI begins with.
pub(super) const MULTIADDR_SCHEME: &str = "multiaddr:";

/// Where a gateway sends a request, read from its target.
///
/// These targets are routes, with or without a query, and in origin-form or absolute-form:
///
/// | path | protocol |
/// | --- | --- |
/// | `/http/$peer/$name/…` | [`Protocol::Service`] |
/// | `/http/proxy/$peer/$name/…` | the same |
/// | `/p2p/$peer/http/…` | [`Protocol::Kubo`] |
/// | `/p2p/$peer/x/$name/http/…` | [`Protocol::KuboService`] |
///
/// Nothing below `/http/listen` is a route: a gateway may have a page of its own there. Targets that name a multiaddr in the place
/// of the peer are read by [`MultiaddrRoute`](super::MultiaddrRoute).
///
/// `$peer` is a peer id as base58 text (`12D3…`, `Qm…`) or as a CID in any multibase encoding (`k51…`, `bafz…`). No part
/// of the target is decoded, normalised or collapsed, neither what is read here nor what is sent on.
///
/// ```
/// use libp2p_http_proxy::route::Route;
///
/// let peer = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
/// let target = format!("/http/{peer}/blog/a%2Fb//c?q=1");
/// let route = Route::parse(&target)?;
/// assert_eq!(route.peer.to_string(), peer);
/// assert_eq!(route.protocol.to_string(), "/x/http/blog");
/// assert_eq!(route.target, "/a%2Fb//c?q=1");
/// # Ok::<(), libp2p_http_proxy::route::RouteError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route<'a> {
    /// The peer that offers the service.
    pub peer: PeerId,
    /// The protocol to negotiate with it.
    pub protocol: Protocol,
    /// The path and query for the service, in origin-form and byte for byte as they came: always begins with a slash.
    pub target: &'a str,
    /// The part of the path before `target`, without a slash at its end.
    pub prefix: &'a str,
}

impl<'a> Route<'a> {
    /// Reads the target of a request.
    ///
    /// # Errors
    ///
    /// [`RouteError::MissingSlash`] if the path ends with the service, so that links relative to the page would leave
    /// it: the client is to be sent to the location in the error. Every other error is a bad request.
    pub fn parse(request_target: &'a str) -> Result<Self, RouteError> {
        let path_and_query = path_and_query(request_target)?;
        let (path, query) = split_query(path_and_query);
        let mut segments = Segments { path, read: 0 };
        let (peer, protocol) = match segments.next() {
            Some("http") => service_route(&mut segments)?,
            Some("p2p") => kubo_route(&mut segments)?,
            _ => {
                return Err(RouteError::NotARoute {
                    path: excerpt(path),
                });
            }
        };
        let prefix = &path[..segments.read];
        if prefix.len() == path.len() {
            let location = format!("{prefix}/{query}");
            return Err(RouteError::MissingSlash { location });
        }
        Ok(Self {
            peer,
            protocol,
            target: &path_and_query[prefix.len()..],
            prefix,
        })
    }
}

/// The path and query of a target in origin-form or absolute-form (RFC 9112, sections 3.2.1 and 3.2.2).
pub(super) fn path_and_query(target: &str) -> Result<&str, RouteError> {
    check_characters(target)?;
    if target.starts_with('/') {
        return Ok(target);
    }
    if is_multiaddr(target) {
        return Err(RouteError::ByMultiaddr);
    }
    let form = || RouteError::TargetForm {
        target: excerpt(target),
    };
    let (_, rest) = split_absolute(target).ok_or_else(form)?;
    if rest.starts_with('/') {
        Ok(rest)
    } else {
        // RFC 9110, section 4.2.3: an empty path is the path "/".
        Err(RouteError::NotARoute { path: "/".into() })
    }
}

/// A gateway reads heads whose targets cannot hold these. A caller may have any text, and the location in an error must be
/// fit for a field.
pub(super) fn check_characters(target: &str) -> Result<(), RouteError> {
    let unfit = |byte: &u8| *byte <= b' ' || *byte == 0x7f || *byte == b'#';
    match target.bytes().find(unfit) {
        Some(byte) => Err(RouteError::Character { byte }),
        None => Ok(()),
    }
}

/// Whether a target is a [multiaddr URI](https://github.com/libp2p/specs/blob/master/http/README.md#multiaddr-uri-scheme).
fn is_multiaddr(target: &str) -> bool {
    let scheme = target.get(..MULTIADDR_SCHEME.len());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(MULTIADDR_SCHEME))
}

/// Splits a target into the path, and the query with its question mark, if there is one.
pub(crate) fn split_query(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

/// Splits a target in absolute-form into its authority and what follows, which may be empty or begin with a query.
/// `None` if it is in another form or for another scheme.
pub(crate) fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    // RFC 9110, section 4.2.3: schemes are compared without regard to case.
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    (end > 0).then(|| rest.split_at(end))
}

/// Walks over the segments of a path, and knows how much of it was read.
pub(super) struct Segments<'a> {
    pub(super) path: &'a str,
    /// The length of what was read; the path ends here or goes on with a slash.
    pub(super) read: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.path[self.read..].strip_prefix('/')?;
        let segment = rest.split('/').next().unwrap_or(rest);
        self.read += 1 + segment.len();
        Some(segment)
    }
}

/// `$peer/$name`, after `/http/` or `/http/proxy/`.
fn service_route(segments: &mut Segments<'_>) -> Result<(PeerId, Protocol), RouteError> {
    let mut peer = segments.next();
    // No peer id reads "proxy", "listen" or "multiaddr", in whatever encoding, so the forms cannot be confused.
    match peer {
        Some("multiaddr") => return Err(RouteError::ByMultiaddr),
        Some("proxy") => peer = segments.next(),
        // Kept free for a page of the gateway's own.
        Some("listen") => {
            return Err(RouteError::NotARoute {
                path: excerpt(segments.path),
            });
        }
        _ => {}
    }
    let peer = route_peer(peer)?;
    let name = route_service(segments.next())?;
    Ok((peer, Protocol::Service(name)))
}

/// `$peer/http` or `$peer/x/$name/http`, after `/p2p/`.
fn kubo_route(segments: &mut Segments<'_>) -> Result<(PeerId, Protocol), RouteError> {
    let peer = route_peer(segments.next())?;
    match segments.next() {
        Some("http") => Ok((peer, Protocol::Kubo)),
        Some("x") => {
            let name = route_service(segments.next())?;
            if segments.next() != Some("http") {
                return Err(RouteError::KuboForm);
            }
            Ok((peer, Protocol::KuboService(name)))
        }
        _ => Err(RouteError::KuboForm),
    }
}

fn route_peer(segment: Option<&str>) -> Result<PeerId, RouteError> {
    match segment {
        None | Some("") => Err(RouteError::MissingPeer),
        Some(text) => Ok(parse_peer_id(text)?),
    }
}

pub(super) fn route_service(segment: Option<&str>) -> Result<ServiceName, RouteError> {
    match segment {
        None | Some("") => Err(RouteError::MissingService),
        Some(name) => Ok(ServiceName::new(name)?),
    }
}

/// Why the target of a request is not a [`Route`].
///
/// Every message is short, whatever the request holds, and repeats nothing of it that is not escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The path ends with the service; `/` has to follow.
    #[error("the path of a service goes on with a slash: add one after the name")]
    MissingSlash {
        /// The same target with the slash, as a reference for a `Location` field: an absolute path and the query. It
        /// begins with `/http/` or `/p2p/`, so it stays on this gateway.
        location: String,
    },

    /// The target is neither in origin-form nor in absolute-form with the scheme `http` or `https`.
    #[error("the request target '{target}' is not a path: request /http/PEER/SERVICE/PATH")]
    TargetForm {
        /// The target, escaped, and cut if it is long.
        target: String,
    },

    /// The target holds a control character, a space or a fragment.
    #[error("the request target holds the character '{}': percent-encode it", .byte.escape_ascii())]
    Character {
        /// The first byte that a target cannot hold.
        byte: u8,
    },

    /// The path is none that the gateway serves.
    #[error(
        "this gateway serves /http/PEER/SERVICE/PATH, /http/proxy/PEER/SERVICE/PATH, /p2p/PEER/http/PATH and \
         /p2p/PEER/x/SERVICE/http/PATH, not '{path}'"
    )]
    NotARoute {
        /// The path, escaped, and cut if it is long.
        path: String,
    },

    /// The path ends before the peer id.
    #[error("the path names no peer: request /http/PEER/SERVICE/PATH")]
    MissingPeer,

    /// What stands in the place of the peer id is none.
    #[error("{0}; request /http/PEER/SERVICE/PATH with the id of the peer that offers the service")]
    InvalidPeer(#[from] InvalidPeerId),

    /// The path ends before the service name.
    #[error("the path names no service: request /http/PEER/SERVICE/PATH")]
    MissingService,

    /// What stands in the place of the service name is none.
    #[error("{0}; request /http/PEER/SERVICE/PATH with a service that the peer offers")]
    InvalidService(#[from] InvalidServiceName),

    /// The target names a multiaddr in the place of a peer: [`MultiaddrRoute`](super::MultiaddrRoute) reads it.
    #[error("the target names its peer by a multiaddr, which is not read here")]
    ByMultiaddr,

    /// A target that is to name a multiaddr names none, or two.
    #[error(
        "the request names {}: give one, with /p2p/PEER at its end, as ?multiaddr=... in percent-encoding or in the field \
         X-Libp2p-Multiaddr", if *.is_repeated { "two different multiaddrs" } else { "no multiaddr" }
    )]
    OneMultiaddr {
        /// Whether there are several.
        is_repeated: bool,
    },

    /// A text in percent-encoding is none, or holds what must not be there.
    #[error("'{text}' {reason}")]
    Encoding {
        /// The text, escaped, and cut if it is long.
        text: String,
        /// What is wrong, and the remedy.
        reason: &'static str,
    },

    /// What the request says of where its peer is.
    #[error(transparent)]
    InvalidAddress(#[from] AddressError),

    /// A path that begins with `/p2p/$peer` does not go on as kubo's gateway has it.
    #[error(
        "below /p2p/ this gateway serves /p2p/PEER/http/PATH and /p2p/PEER/x/SERVICE/http/PATH"
    )]
    KuboForm,
}

impl RouteError {
    /// The status to answer with: 308 to the target with the slash, 403 for an address that may not be dialled, and 400 for
    /// all else.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::MissingSlash { .. } => 308,
            Self::InvalidAddress(error) => error.status(),
            _ => 400,
        }
    }

    /// Where to send the client instead.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::MissingSlash { location } => Some(location),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
    const RSA: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";

    fn service(name: &str) -> Protocol {
        Protocol::Service(name.parse().unwrap())
    }

    #[test]
    fn routes() {
        let kubo_service = |name: &str| Protocol::KuboService(name.parse().unwrap());
        #[rustfmt::skip]
        let cases = [
            (format!("/http/{ED25519}/web/"), service("web"), "/"),
            (format!("/http/{ED25519}/web/a/b"), service("web"), "/a/b"),
            (format!("/http/{ED25519}/web/?q"), service("web"), "/?q"),
            (format!("/http/{ED25519}/web/a?x=/b//c?d&%00"), service("web"), "/a?x=/b//c?d&%00"),
            (format!("/http/{ED25519}/web//a/../%2e%2E/./b//"), service("web"), "//a/../%2e%2E/./b//"),
            (format!("/http/{ED25519}/web/\u{e9}?\u{20ac}"), service("web"), "/\u{e9}?\u{20ac}"),
            (format!("/http/proxy/{ED25519}/web/a"), service("web"), "/a"),
            (format!("/http/{ED25519}/proxy/a"), service("proxy"), "/a"),
            (format!("/http/proxy/{ED25519}/proxy/proxy"), service("proxy"), "/proxy"),
            (format!("/http/{ED25519}/http/http/"), service("http"), "/http/"),
            (format!("/p2p/{ED25519}/http/"), Protocol::Kubo, "/"),
            (format!("/p2p/{ED25519}/http/a?q"), Protocol::Kubo, "/a?q"),
            (format!("/p2p/{ED25519}/x/web/http/a?q"), kubo_service("web"), "/a?q"),
            (format!("/p2p/{ED25519}/x/x/http/http/x"), kubo_service("x"), "/http/x"),
            (format!("http://localhost:8080/http/{ED25519}/web/a?q"), service("web"), "/a?q"),
            (format!("HTTPS://[::1]/p2p/{ED25519}/http/?http://x/"), Protocol::Kubo, "/?http://x/"),
        ];
        for (text, protocol, target) in cases {
            let route = Route::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(route.peer.to_string(), ED25519, "{text}");
            assert_eq!(route.protocol, protocol, "{text}");
            assert_eq!(route.target, target, "{text}");
            assert!(text.ends_with(&format!("{}{target}", route.prefix)));
            assert!(route.prefix.starts_with("/http/") || route.prefix.starts_with("/p2p/"));
        }
    }

    #[test]
    fn a_path_that_ends_with_the_service_is_completed() {
        for (text, location) in [
            (format!("/http/{RSA}/web"), format!("/http/{RSA}/web/")),
            (
                format!("/http/proxy/{RSA}/web?a=/b"),
                format!("/http/proxy/{RSA}/web/?a=/b"),
            ),
            (format!("/http/{RSA}/web?"), format!("/http/{RSA}/web/?")),
            (format!("/p2p/{RSA}/http?q"), format!("/p2p/{RSA}/http/?q")),
            (
                format!("/p2p/{RSA}/x/web/http"),
                format!("/p2p/{RSA}/x/web/http/"),
            ),
            (
                format!("http://evil.example/http/{RSA}/web"),
                format!("/http/{RSA}/web/"),
            ),
        ] {
            let error = Route::parse(&text).unwrap_err();
            assert_eq!(error.location(), Some(location.as_str()));
            assert_eq!(error.status(), 308);
            assert!(Route::parse(&location).is_ok(), "{location}");
        }
    }

    #[test]
    fn what_is_not_a_route() {
        let long = format!("/http/{}/web/", "\u{1F680}".repeat(5_000));
        #[rustfmt::skip]
        let cases = [
            ("*", "'*' is not a path"),
            ("", "'' is not a path"),
            ("localhost:8080", "'localhost:8080' is not a path"),
            ("ftp://h/http/x", "is not a path"),
            ("http:///http/x", "is not a path"),
            ("http/x", "is not a path"),
            ("http://h", "not '/'"),
            ("http://h?/http/", "not '/'"),
            ("/", "not '/'"),
            ("//http/x", "not '//http/x'"),
            ("/HTTP/x", "not '/HTTP/x'"),
            ("/%68ttp/x", "not '/%68ttp/x'"),
            ("/<script>'\"", r#"not '/<script>\'\"'"#),
            ("/favicon.ico?a", "not '/favicon.ico'"),
            ("/http", "names no peer"),
            ("/http/", "names no peer"),
            ("/http//web", "names no peer"),
            ("/http/proxy", "names no peer"),
            ("/http/proxy/", "names no peer"),
            ("/http/listen/web/?x", "not '/http/listen/web/'"),
            ("/http/listen", "not '/http/listen'"),
            ("/http/proxy/listen/x/", "'listen' is not a peer id"),
            ("/http/proxy/web/", "'web' is not a peer id"),
            ("/http/web/", "'web' is not a peer id"),
            ("/http/proxy/proxy/x/", "'proxy' is not a peer id"),
            ("/http/12D3?/web/", "'12D3' is not a peer id"),
            ("/p2p/", "names no peer"),
            ("/p2p/x/http/", "'x' is not a peer id"),
            ("/http/PEER", "names no service"),
            ("/http/PEER/", "names no service"),
            ("/http/PEER//x", "names no service"),
            ("/http/PEER?/web/", "names no service"),
            ("/http/PEER/we%62/", "'%' at byte 2"),
            ("/http/PEER/../", "cannot be service names"),
            ("/p2p/PEER", "below /p2p/"),
            ("/p2p/PEER/", "below /p2p/"),
            ("/p2p/PEER/web/http/", "below /p2p/"),
            ("/p2p/PEER/x", "names no service"),
            ("/p2p/PEER/x//http/", "names no service"),
            ("/p2p/PEER/x/web", "below /p2p/"),
            ("/p2p/PEER/x/web/", "below /p2p/"),
            ("/p2p/PEER/x/web/http1/", "below /p2p/"),
            ("/p2p/PEER/x/w:b/http/", "':' at byte 1"),
            ("/http/PEER/web/a b", "' '"),
            ("/http/PEER/web/a#b", "'#'"),
            ("/http/PEER/web/\r\n", r"'\r'"),
            ("/http/PEER/web\0", r"'\x00'"),
            (&long, r"'\xf0\x9f\x9a\x80"),
        ];
        for (text, part) in cases {
            let text = text.replace("PEER", ED25519);
            let error = Route::parse(&text).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(part), "{text}: {message}");
            assert!(message.len() < 600, "{message}");
            assert_eq!(error.status(), 400);
            assert_eq!(error.location(), None);
        }
    }
}
