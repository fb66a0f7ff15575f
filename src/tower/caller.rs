//! Which peer sent the request that an application answers?

use http::{HeaderName, HeaderValue, request::Parts};
use libp2p_identity::PeerId;
use libp2p_swarm::ConnectionId;

use crate::rewrite::is_peer_claim;

/// The peer that sent a request, as the connection that it came on has proved.
///
/// Every request that [`serve`](crate::tower::serve()) hands out has one in its [`http::Extensions`], so in axum it is
/// the extractor `Extension<Caller>`. With the feature `axum` it is an extractor by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Caller {
    /// The authenticated peer.
    pub peer: PeerId,
    /// The connection that the request came on. Requests of this node itself have an id that none of the swarm has.
    pub connection_id: ConnectionId,
}

impl Caller {
    /// Writes who calls into a request: here, and as `X-Libp2p-Peer` for applications that know only fields. What the
    /// peer itself claimed there, in any spelling, goes.
    pub(super) fn sign(self, parts: &mut Parts, text: &HeaderValue) {
        let is_claim = |name: &&HeaderName| is_peer_claim(name.as_str());
        let claims: Vec<HeaderName> = parts.headers.keys().filter(is_claim).cloned().collect();
        for name in claims {
            parts.headers.remove(name);
        }
        let name = HeaderName::from_static("x-libp2p-peer");
        parts.headers.insert(name, text.clone());
        parts.extensions.insert(self);
    }
}

/// Refuses with a 500 where the request did not come from a peer: the route is wrong, not the client.
#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for Caller {
    type Rejection = (http::StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or((
            http::StatusCode::INTERNAL_SERVER_ERROR,
            "this route answers peers only",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_claims_to_be_is_dropped() {
        assert!(is_peer_claim("x-libp2p-peer"));
        let (mut parts, ()) = http::Request::builder()
            .header("X-Libp2p-Peer", "spoof")
            .header("x-libp2p-peer", "spoof")
            .header("x_libp2p_peer", "spoof")
            .header("X-Libp2p_Peer", "spoof")
            .header("x-libp2p-peers", "other")
            .body(())
            .expect("valid")
            .into_parts();
        let caller = Caller {
            peer: PeerId::random(),
            connection_id: ConnectionId::new_unchecked(7),
        };
        caller.sign(&mut parts, &HeaderValue::from_static("me"));
        assert_eq!(parts.headers.len(), 2);
        assert_eq!(parts.headers["x-libp2p-peer"], "me");
        assert_eq!(parts.extensions.get::<Caller>(), Some(&caller));
    }
}
