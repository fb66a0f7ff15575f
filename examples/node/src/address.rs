//! Which peer does a multiaddr name, and where is it?

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use anyhow::{Error, Result, bail};
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use libp2p_http_proxy::route::parse_peer_id;

/// A multiaddr, of whom is left open.
///
/// # Errors
///
/// Says how one is written.
pub(crate) fn multiaddr(text: &str) -> Result<Multiaddr, String> {
    Use::Reach.parse(text)
}

/// A multiaddr to listen on.
///
/// # Errors
///
/// Says how one is written.
pub(crate) fn listen_address(text: &str) -> Result<Multiaddr, String> {
    Use::Listen.parse(text)
}

/// What a multiaddr is for, and so how one is written.
#[derive(Clone, Copy)]
enum Use {
    /// To say where something is.
    Reach,
    /// To say where a peer is, and which.
    ReachPeer,
    Listen,
}

impl Use {
    fn parse(self, text: &str) -> Result<Multiaddr, String> {
        text.parse().map_err(|_| self.explain(text))
    }

    /// Why a text is no multiaddr, and what may be meant.
    fn explain(self, text: &str) -> String {
        let mut parts = text.split('/');
        while let Some(part) = parts.next() {
            let port = match part {
                "tcp" | "udp" => parts.next().unwrap_or_default(),
                _ => continue,
            };
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            if is_number && port.parse::<u16>().is_err() {
                return format!(
                    "not a multiaddr: {port} is no port, of which there are 0 to 65535"
                );
            }
        }
        match self.written_anew(text) {
            Some(meant) => format!("not a multiaddr; write it as {meant}"),
            None => format!("not a multiaddr; write for example {}", self.examples()),
        }
    }

    fn examples(self) -> &'static str {
        match self {
            Self::Reach => "/ip4/0.0.0.0/tcp/4001 or /dns/example.com/tcp/4001",
            Self::ReachPeer => "/ip4/192.0.2.7/tcp/4001/p2p/12D3…",
            Self::Listen => "/ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/udp/4001/quic-v1",
        }
    }

    /// The multiaddr of a host and a port, as other programs write them.
    fn written_anew(self, text: &str) -> Option<String> {
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match (bare, host.parse::<Ipv4Addr>()) {
            (Some(bare), _) => format!("/ip6/{}", bare.parse::<Ipv6Addr>().ok()?),
            (None, Ok(ip)) => format!("/ip4/{ip}"),
            (None, Err(_)) if host.contains(['/', ':']) => return None,
            (None, Err(_)) if host == "localhost" => "/ip4/127.0.0.1".to_owned(),
            (None, Err(_)) => match self {
                // Names are nothing to listen on.
                Self::Listen => "/ip4/0.0.0.0".to_owned(),
                Self::Reach | Self::ReachPeer => format!("/dns/{host}"),
            },
        };
        let peer = match self {
            Self::ReachPeer => "/p2p/PEER",
            Self::Reach | Self::Listen => "",
        };
        Some(format!("{host}/tcp/{port}{peer}"))
    }
}

/// Whose address it is that says it, where that is somebody else than this node.
pub(crate) fn names_other(address: &Multiaddr, own: PeerId) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) if peer != own => Some(peer),
        _ => None,
    }
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

    /// A peer, and where it is said to be, whether this node has a transport for that or not.
    ///
    /// # Errors
    ///
    /// Says how it is written.
    pub(crate) fn anywhere(text: &str) -> Result<Self> {
        let id = text.strip_prefix("/p2p/").unwrap_or(text);
        match parse_peer_id(id) {
            Ok(peer) => Ok(Self::Unknown(peer)),
            Err(_) => PeerAddress::anywhere(text).map(Self::At),
        }
    }
}

impl FromStr for PeerPlace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let place = Self::anywhere(text)?;
        if let Self::At(known) = &place {
            known.check_transport()?;
        }
        Ok(place)
    }
}

impl PeerAddress {
    fn anywhere(text: &str) -> Result<Self> {
        let mut address = Use::ReachPeer.parse(text).map_err(Error::msg)?;
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

    /// Whether this node has what the address is for.
    fn check_transport(&self) -> Result<()> {
        let mut parts = self.address.iter().peekable();
        while let Some(part) = parts.next() {
            let is_known = match part {
                Protocol::Ip4(_)
                | Protocol::Ip6(_)
                | Protocol::Ip6zone(_)
                | Protocol::Dns(_)
                | Protocol::Dns4(_)
                | Protocol::Dns6(_)
                | Protocol::Dnsaddr(_)
                | Protocol::Tcp(_)
                | Protocol::QuicV1
                | Protocol::P2p(_)
                | Protocol::P2pCircuit => true,
                // What follows tells which protocol it is.
                Protocol::Udp(_) => parts.peek().is_some(),
                _ => false,
            };
            if !is_known {
                let name = part.tag();
                bail!(
                    "it is for /{name}, and this node has no such transport: there are /tcp/PORT, /udp/PORT/quic-v1 and relays, /p2p-circuit"
                );
            }
        }
        Ok(())
    }
}

impl FromStr for PeerAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::anywhere(text)?;
        known.check_transport()?;
        Ok(known)
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
            (
                "127.0.0.1:4001",
                "write it as /ip4/127.0.0.1/tcp/4001/p2p/PEER",
            ),
            ("[::1]:4001", "write it as /ip6/::1/tcp/4001/p2p/PEER"),
            (
                "a.example:4001",
                "write it as /dns/a.example/tcp/4001/p2p/PEER",
            ),
            (
                "http://a.example:4001",
                "not a multiaddr; write for example",
            ),
            ("::1:4001", "not a multiaddr; write for example"),
            ("", "which peer"),
            ("/ip4/127.0.0.1/tcp/4001", "append /p2p/"),
            (&format!("/p2p/{PEER}"), "where the peer is"),
            ("/ip4/127.0.0.1/tcp/80000", "80000 is no port"),
            ("/ip4/127.0.0.1/udp/65536/quic-v1", "there are 0 to 65535"),
        ] {
            let error = text.parse::<PeerAddress>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn transports_that_this_node_does_not_have_are_named() {
        for (place, name) in [
            ("/ip4/127.0.0.1/tcp/1/ws", "/ws"),
            ("/dns/a.example/tcp/1/wss", "/wss"),
            ("/dns/a.example/tcp/1/tls/ws", "/tls"),
            ("/ip4/127.0.0.1/udp/1/quic", "/quic"),
            ("/ip4/127.0.0.1/udp/1/quic-v1/webtransport", "/webtransport"),
            ("/ip4/127.0.0.1/udp/1/webrtc-direct", "/webrtc-direct"),
            ("/ip4/127.0.0.1/udp/1", "/udp"),
        ] {
            let said = format!("for {name}, and this node has no such transport");
            let peer = format!("{place}/p2p/{PEER}").parse::<PeerAddress>();
            let error = peer.unwrap_err().to_string();
            assert!(error.contains(&said), "{place}: {error}");
            // Who asks what is wrong with it is to be told that, and more.
            PeerPlace::anywhere(&format!("{place}/p2p/{PEER}")).unwrap();
        }
        let relay = PeerId::random();
        for place in [
            "/ip6/::1/udp/1/quic-v1".to_owned(),
            format!("/dnsaddr/a.example/p2p/{relay}/p2p-circuit"),
        ] {
            format!("{place}/p2p/{PEER}")
                .parse::<PeerAddress>()
                .unwrap();
        }
    }

    #[test]
    fn what_other_programs_call_an_address_is_written_for_them() {
        for (text, meant) in [
            ("127.0.0.1:1", "/ip4/127.0.0.1/tcp/1"),
            ("localhost:1", "/ip4/127.0.0.1/tcp/1"),
            ("a.example:1", "/ip4/0.0.0.0/tcp/1"),
            (":1", "/ip4/0.0.0.0/tcp/1"),
            ("[::]:1", "/ip6/::/tcp/1"),
        ] {
            let error = listen_address(text).unwrap_err();
            assert!(error.ends_with(&format!("write it as {meant}")), "{error}");
        }
        let error = multiaddr("a.example:1").unwrap_err();
        assert!(
            error.ends_with("write it as /dns/a.example/tcp/1"),
            "{error}"
        );
    }
}
