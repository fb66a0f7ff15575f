//! Which fields go no further than this hop, and which may only be set by a proxy?

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::via::VIA;
use crate::{
    date::DATE,
    h1::{Entry, Fields, Kind, is_allowed_trailer, tokens},
    route::{ADDRESSES_FIELD, MULTIADDR_FIELD},
};

/// The field that tells a service which peer sent the request. Its value is proved by the connection to that peer.
pub const PEER_FIELD: &str = "X-Libp2p-Peer";

pub(super) const FORWARDED_FOR: &str = "X-Forwarded-For";
pub(super) const FORWARDED_HOST: &str = "X-Forwarded-Host";
pub(super) const FORWARDED_PROTO: &str = "X-Forwarded-Proto";
/// How the names of the three before begin, and of others that proxies add: `-Port`, `-Prefix`, `-Server`.
const FORWARDED_BEGINNING: &str = "X-Forwarded-";
/// What nginx and others tell the address of the client by.
const REAL_IP: &str = "X-Real-IP";
/// What all of these are called in RFC 7239.
const FORWARDED: &str = "Forwarded";

/// Fields that a `Connection` option never removes, beside those [about the client](is_of_client). Who could make a proxy
/// drop them would change where a request goes or how far, or hide where or when it came from.
const PROTECTED: [&str; 7] = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Max-Forwards",
    DATE,
    FORWARDED,
    VIA,
];

/// Fields that a proxy refuses as trailers, beside those that no recipient takes and those [about the
/// client](is_of_client): a server that merges trailers into the head would act on them for routing, caching and control
/// (RFC 9110, section 6.5.1).
const NOT_IN_TRAILERS: [&str; 11] = [
    "Age",
    DATE,
    "Expires",
    "Location",
    "Pragma",
    "Proxy-Authentication-Info",
    "Retry-After",
    "Vary",
    "Warning",
    FORWARDED,
    VIA,
];

/// The trailers that may be passed on: those that mean nothing to the framing, the routing, or the identity of anybody
/// (RFC 9110, section 6.5.1).
#[must_use]
pub fn allowed_trailers(trailers: Fields) -> Fields {
    if trailers.iter().all(|field| may_be_trailer(field.name)) {
        return trailers;
    }
    let mut allowed = Fields::default();
    for field in trailers.iter().filter(|field| may_be_trailer(field.name)) {
        allowed
            .push(field.name, field.value)
            .expect("a field of one list is valid in another");
    }
    allowed
}

/// Whether a server may take the field for [`PEER_FIELD`].
#[cfg(feature = "tower")]
pub(crate) fn is_peer_claim(name: &str) -> bool {
    is_peer_field(name.as_bytes())
}

/// Whether a field called `name` may stand behind a body that is passed on.
pub(crate) fn may_be_trailer(name: &str) -> bool {
    let is_refused = || {
        NOT_IN_TRAILERS
            .iter()
            .any(|one| one.eq_ignore_ascii_case(name))
    };
    let is_own = || {
        let name = name.as_bytes();
        is_peer_field(name) || is_route_field(name) || is_of_client(name)
    };
    is_allowed_trailer(name) && !is_own() && !is_refused()
}

/// Whether a field concerns one hop (RFC 9110, section 7.6.1) or the framing, which the encoder writes anew for the next
/// hop.
pub(super) fn ends_at_hop(kind: Kind) -> bool {
    kind.is_reserved()
        || matches!(
            kind,
            Kind::ProxyAuthenticate | Kind::ProxyAuthenticationInfo | Kind::ProxyAuthorization
        )
}

/// Whether a server may take `name` for [`PEER_FIELD`]. That begins with `X`, as do all that may be taken for it: other
/// kinds than [`Kind::Extension`] need not be asked.
pub(super) fn is_peer_field(name: &[u8]) -> bool {
    is_alike(name, PEER_FIELD.as_bytes())
}

/// Whether a server may take `name` for one of the fields by which a client tells its gateway where the peer is. They are
/// nobody else's affair, and begin with `X`, too.
pub(super) fn is_route_field(name: &[u8]) -> bool {
    [ADDRESSES_FIELD, MULTIADDR_FIELD]
        .into_iter()
        .any(|own| is_alike(name, own.as_bytes()))
}

/// Whether a server may take `name` for a field by which proxies tell about the client, other than `Forwarded`. They begin
/// with `X`, too.
pub(super) fn is_of_client(name: &[u8]) -> bool {
    let beginning = name.get(..FORWARDED_BEGINNING.len());
    beginning.is_some_and(|beginning| is_alike(beginning, FORWARDED_BEGINNING.as_bytes()))
        || is_alike(name, REAL_IP.as_bytes())
}

/// Which of the fields that a gateway sets about the client a server may take `name` for.
pub(super) fn forwarded_field(name: &[u8]) -> Option<&'static str> {
    [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO]
        .into_iter()
        .find(|own| is_alike(name, own.as_bytes()))
}

/// Whether a server may take `name` for `own`. Through CGI, and in all that learned from it, `-` and `_` are the same
/// in a name, and to some servers so is every other character that is no letter or digit.
fn is_alike(name: &[u8], own: &[u8]) -> bool {
    name.len() == own.len()
        && name.iter().zip(own).all(|(one, other)| {
            one.eq_ignore_ascii_case(other) || (*other == b'-' && !one.is_ascii_alphanumeric())
        })
}

/// The fields that the `Connection` of a message names, and which therefore end at this hop (RFC 9110, section 7.6.1).
#[derive(Clone, Debug, Default)]
pub(super) struct Nominated<'a> {
    /// Sorted, so that a head full of options costs no more than its length and a logarithm.
    pub(super) names: SmallVec<[&'a [u8]; 4]>,
}

impl<'a> Nominated<'a> {
    pub(super) fn new(fields: &'a Fields) -> Self {
        let is_protected = |option: &[u8]| {
            let mut protected = PROTECTED.iter();
            protected.any(|one| option.eq_ignore_ascii_case(one.as_bytes())) || is_of_client(option)
        };
        let mut names = SmallVec::<[&[u8]; 4]>::new();
        for value in fields.values(Kind::Connection) {
            // Most options are the names of fields that end at this hop without being named.
            let named = tokens(value).filter(|option| !ends_at_hop(Kind::of(option)));
            names.extend(named.filter(|option| !is_protected(option)));
        }
        names.sort_unstable_by(|one, other| compare(one, other));
        Self { names }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    #[inline]
    pub(super) fn contains(&self, field: &Entry<'_>) -> bool {
        !self.names.is_empty() && self.holds(field.name())
    }

    #[inline(never)]
    fn holds(&self, name: &[u8]) -> bool {
        let found = self.names.binary_search_by(|option| compare(option, name));
        found.is_ok()
    }
}

/// The order of names without regard to case.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let other = other.iter().map(u8::to_ascii_lowercase);
    one.iter().map(u8::to_ascii_lowercase).cmp(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field that ends at a hop.
    const OF_HOPS: [&str; 10] = [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Upgrade",
        "Transfer-Encoding",
        "Content-Length",
        "Proxy-Authenticate",
        "Proxy-Authentication-Info",
        "Proxy-Authorization",
    ];

    #[test]
    fn fields_of_hops_and_of_proxies() {
        for name in OF_HOPS {
            assert!(ends_at_hop(Kind::of(name.as_bytes())), "{name}");
        }
        for name in [
            "Host",
            "Via",
            "Expect",
            "Forwarded",
            "Trailer",
            "X-TE",
            "TE2",
        ] {
            assert!(!ends_at_hop(Kind::of(name.as_bytes())), "{name}");
        }
        let own_field = |name: &[u8]| {
            let peer = is_peer_field(name).then_some(PEER_FIELD);
            let route = [ADDRESSES_FIELD, MULTIADDR_FIELD]
                .into_iter()
                .find(|own| is_route_field(name) && own.len() == name.len());
            peer.or(route).or(forwarded_field(name))
        };
        for own in [
            PEER_FIELD,
            ADDRESSES_FIELD,
            MULTIADDR_FIELD,
            FORWARDED_FOR,
            FORWARDED_HOST,
            FORWARDED_PROTO,
        ] {
            for name in [
                own.to_owned(),
                own.to_uppercase(),
                own.to_lowercase(),
                own.replace('-', "_"),
                own.replacen('-', "!", 1),
            ] {
                assert_eq!(own_field(name.as_bytes()), Some(own), "{name}");
                // Who asks looks at no other kind.
                assert_eq!(Kind::of(name.as_bytes()), Kind::Extension, "{name}");
            }
            for name in [
                format!("{own}s"),
                own.replace('-', "a"),
                own[1..].to_owned(),
            ] {
                assert_eq!(own_field(name.as_bytes()), None, "{name}");
            }
        }
    }

    #[test]
    fn what_tells_about_a_client() {
        for name in [
            FORWARDED_FOR,
            "x_FORWARDED_proto",
            "X-Forwarded-",
            "X-Forwarded-Port",
            "X.Forwarded.Prefix",
            REAL_IP,
            "x_real_ip",
        ] {
            assert!(is_of_client(name.as_bytes()), "{name}");
            assert_eq!(Kind::of(name.as_bytes()), Kind::Extension, "{name}");
        }
        for name in [
            "X-Forwarded",
            "X-Forwarder-For",
            "X-Real-IPs",
            "X-Real",
            "X",
        ] {
            assert!(!is_of_client(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn trailers_that_are_passed_on() {
        let mut trailers = Fields::default();
        for name in ["X-Sum", "grpc-status", "ETag", "x-sum", "Server-Timing"] {
            trailers.push(name, "1").unwrap();
        }
        assert_eq!(allowed_trailers(trailers.clone()), trailers);
        let expected = trailers.clone();
        let ours = [
            PEER_FIELD,
            "x_libp2p_peer",
            "x-libp2p-addrs",
            "X_Libp2p_Multiaddr",
            "cOOkie",
            FORWARDED_FOR,
            FORWARDED_HOST,
            FORWARDED_PROTO,
            "x-forwarded_port",
            REAL_IP,
        ];
        for name in OF_HOPS.iter().chain(&NOT_IN_TRAILERS).chain(&ours) {
            trailers.push(name, "1").unwrap();
        }
        assert_eq!(allowed_trailers(trailers), expected);
    }

    /// Many options times many fields must not multiply.
    #[test]
    fn options_are_looked_up_not_walked_through() {
        let options: Vec<_> = (0..5_000).rev().map(|n| format!("o{n:04}")).collect();
        let mut fields = Fields::default();
        fields.push("Connection", options.join(",")).unwrap();
        let nominated = Nominated::new(&fields);
        assert_eq!(nominated.names.len(), 5_000);
        assert!(nominated.names.is_sorted());
        for (name, expected) in [
            ("O0000", true),
            ("o4999", true),
            ("o5000", false),
            ("o", false),
        ] {
            assert_eq!(nominated.holds(name.as_bytes()), expected, "{name}");
        }
    }
}
