//! Which peer and which service a request to the gateway is for, by the path of its target or by the name of its host.
//!
//! A service can be named in two ways:
//!
//! | form | example | read by |
//! | --- | --- | --- |
//! | path | `http://localhost:8080/http/12D3…/blog/` | [`Route`] |
//! | host | `http://blog.k51….p2p.localhost:8080/` | [`Domain`] |
//!
//! A program that knows an address of a peer and not how to split it names the whole address instead, as [`MultiaddrRoute`] has it.
//!
//! The path form is for programs. For a browser all paths of a gateway are one web origin, whose pages may read each other;
//! a service host is an origin of its own.

mod addresses;
mod domain;
mod host;
mod multiaddr;
mod path;
mod peer;
mod public;

pub(crate) use self::path::{split_absolute, split_query};
pub use self::{
    addresses::{ADDRESSES_FIELD, AddressError, RequestAddresses},
    domain::{Domain, InvalidDomain},
    host::HostError,
    multiaddr::{MULTIADDR_FIELD, MultiaddrRoute},
    path::{Route, RouteError},
    peer::{InvalidPeerId, parse_peer_id, peer_cid},
};

/// Bytes of a request that an error message repeats.
const MAX_EXCERPT: usize = 64;

/// The beginning of a text from a request, safe to show: escaped to printable ASCII, and of bounded length.
pub(crate) fn excerpt(text: &str) -> String {
    let bytes = text.as_bytes();
    if bytes.len() <= MAX_EXCERPT {
        return bytes.escape_ascii().to_string();
    }
    format!("{}...", bytes[..MAX_EXCERPT].escape_ascii())
}
