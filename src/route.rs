//! Which peer and which service a request to the gateway is for, and what is left of its target for that service.

mod path;
mod peer;

pub(crate) use self::path::split_absolute;
pub use self::{
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
