//! Where does a request go: to which peer, and where may that be found?

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;

/// The peer that a request is for, and where it may be found for this request.
///
/// A peer id is a destination. What is known of the peer anyway is dialled as always: by
/// [`add_peer_address`](crate::HttpProxyBehaviour::add_peer_address), by other behaviours, by a
/// [lookup](crate::Config::with_peer_lookup). Addresses that come with a request are dialled beside that, if there is no
/// connection to the peer, and whichever connection comes first is used. They are for this request only: not
/// remembered, and no other request waits for them, unless it names the same ones. The connection that comes of it is one as any other.
///
/// ```
/// use libp2p_http_proxy::Destination;
/// # use libp2p_identity::PeerId;
/// # fn example(peer: PeerId) -> Result<Destination, Box<dyn std::error::Error>> {
/// let found = Destination::new(peer).with_addresses(["/ip4/192.0.2.7/tcp/4001".parse()?]);
/// // client.send(found, service, request).await
/// # Ok(found)
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    peer: PeerId,
    addresses: Vec<Multiaddr>,
}

impl Destination {
    /// A peer, wherever it is.
    #[must_use]
    pub fn new(peer: PeerId) -> Self {
        Self {
            peer,
            addresses: Vec::new(),
        }
    }

    /// Where the peer may be found, with or without its own id as the last part. Another id there fails the request.
    ///
    /// Nothing else is checked: what a stranger says has to go through
    /// [`RequestAddresses::read`](crate::route::RequestAddresses::read) first.
    #[must_use]
    pub fn with_addresses(mut self, addresses: impl IntoIterator<Item = Multiaddr>) -> Self {
        self.addresses.extend(addresses);
        self
    }

    /// The peer.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Where it may be found for this request.
    #[must_use]
    pub fn addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }
}

impl From<PeerId> for Destination {
    fn from(peer: PeerId) -> Self {
        Self::new(peer)
    }
}
