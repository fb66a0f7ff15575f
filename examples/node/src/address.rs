//! Which peer does a multiaddr name, and where is it?

use std::str::FromStr;

use anyhow::{Context, bail};
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use libp2p_http_proxy::route::parse_peer_id;

/// A multiaddr, of whom is left open.
///
/// # Errors
///
/// Says how one is written.
pub(crate) fn multiaddr(text: &str) -> Result<Multiaddr, &'static str> {
    text.parse().map_err(
        |_| "not a multiaddr; write for example /ip4/0.0.0.0/tcp/4001 or /dns/example.com/tcp/4001",
    )
}

/// A multiaddr that ends in `/p2p/PEER`: where a peer is, and whom to expect there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerAddress {
    pub(crate) peer: PeerId,
    /// Without the `/p2p/PEER` at its end.
    pub(crate) address: Multiaddr,
}

/// A peer, and where it is unless it is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerPlace {
    At(PeerAddress),
    Unknown(PeerId),
}

impl PeerPlace {
    pub(crate) fn peer(&self) -> PeerId {
        match self {
            Self::At(known) => known.peer,
            Self::Unknown(peer) => *peer,
        }
    }

    pub(crate) fn address(self) -> Option<PeerAddress> {
        match self {
            Self::At(known) => Some(known),
            Self::Unknown(_) => None,
        }
    }
}

impl FromStr for PeerPlace {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = text.strip_prefix("/p2p/").unwrap_or(text);
        match parse_peer_id(id) {
            Ok(peer) => Ok(Self::Unknown(peer)),
            Err(_) => text.parse().map(Self::At),
        }
    }
}

impl FromStr for PeerAddress {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut address: Multiaddr = text
            .parse()
            .context("not a multiaddr; write for example /ip4/192.0.2.7/tcp/4001/p2p/12D3…")?;
        let Some(Protocol::P2p(peer)) = address.pop() else {
            bail!(
                "it does not say which peer to expect; append /p2p/PEER, as the other node prints it after `listening`"
            );
        };
        if address.is_empty() {
            bail!("it does not say where the peer is; put its address before /p2p/{peer}");
        }
        Ok(Self { peer, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW";

    #[test]
    fn the_last_part_names_the_peer() {
        for place in [
            "/ip4/127.0.0.1/tcp/4001",
            "/ip6/::1/udp/4001/quic-v1",
            "/dns/example.com/tcp/1",
        ] {
            let parsed: PeerAddress = format!("{place}/p2p/{PEER}").parse().unwrap();
            assert_eq!(parsed.peer.to_string(), PEER);
            assert_eq!(parsed.address.to_string(), place);
        }
    }

    #[test]
    fn a_relayed_address_names_the_peer_behind_the_relay() {
        let relay = PeerId::random();
        let text = format!("/ip4/127.0.0.1/tcp/1/p2p/{relay}/p2p-circuit/p2p/{PEER}");
        let parsed: PeerAddress = text.parse().unwrap();
        assert_eq!(parsed.peer.to_string(), PEER);
    }

    #[test]
    fn a_peer_may_be_named_without_its_place() {
        for text in [PEER.to_owned(), format!("/p2p/{PEER}")] {
            let parsed: PeerPlace = text.parse().unwrap();
            assert_eq!(parsed.peer().to_string(), PEER);
            assert_eq!(parsed.address(), None);
        }
        let cid = "k51qzi5uqu5dhre4vvvuki6vlja6xdntocu7slrv5q3up6cxtl41rjjq5e7hit";
        let parsed: PeerPlace = cid.parse().unwrap();
        assert_eq!(parsed.peer(), parse_peer_id(cid).unwrap());
        let parsed: PeerPlace = format!("/ip4/127.0.0.1/tcp/1/p2p/{PEER}").parse().unwrap();
        assert_eq!(parsed.peer().to_string(), PEER);
        assert!(parsed.address().is_some());
        let error = "somebody".parse::<PeerPlace>().unwrap_err().to_string();
        assert!(error.contains("not a multiaddr"), "{error}");
    }

    #[test]
    fn errors_say_what_is_missing() {
        for (text, said) in [
            ("127.0.0.1:4001", "not a multiaddr"),
            ("", "which peer"),
            ("/ip4/127.0.0.1/tcp/4001", "append /p2p/"),
            (&format!("/p2p/{PEER}"), "where the peer is"),
        ] {
            let error = text.parse::<PeerAddress>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
