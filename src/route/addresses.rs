//! Which addresses may a request name as those of its peer?

use std::net::IpAddr;

use libp2p_core::{
    Multiaddr,
    multiaddr::{Iter, Protocol as Part},
};
use libp2p_identity::PeerId;

use super::{excerpt, public::is_public};
use crate::h1::trim_ows;

/// The field in which a request names addresses of its peer, with commas between them, and in several lines if need be.
pub const ADDRESSES_FIELD: &str = "X-Libp2p-Addrs";

/// Addresses in one request. More than a peer has that is to be reached, and few enough to be dialled all at once.
const MAX_ADDRESSES: usize = 16;

/// The longest text that is read as one address: one through a relay with two certificate hashes has about 400 bytes.
/// Base58 takes time in the square of the length.
const MAX_ADDRESS: usize = 512;

/// What a gateway does with the addresses that a request names for its peer, in the field
/// [`X-Libp2p-Addrs`](ADDRESSES_FIELD) or by a [multiaddr](super::MultiaddrRoute).
///
/// Who may name addresses makes this node connect to them. So the default is not to look at them, and the next best to
/// take only public ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestAddresses {
    /// The field is removed and means nothing; targets that name a multiaddr are refused with 403.
    #[default]
    Ignored,
    /// Public IP addresses are dialled, those of relays included; others are refused with 403, and so are names (`/dns`),
    /// as nobody can tell where a name leads before it is dialled.
    ///
    /// Refused are loopback, private, link-local and shared ranges (RFC 6890), multicast, those for documentation and
    /// benchmarks, all that is not given out to anybody, and what a translator turns into one of these. The global addresses
    /// of this node's own network, as IPv6 has them, are public: a firewall has to know who may reach those.
    Public,
    /// All IP addresses and names are dialled. For clients that may use every network that this node is in.
    Any,
}

impl RequestAddresses {
    /// Reads the values of the lines of [`X-Libp2p-Addrs`](ADDRESSES_FIELD) in a request for `peer`. There is nothing in them
    /// for [`Ignored`](Self::Ignored).
    ///
    /// The addresses come without the id of the peer at their end. There are at most 16 of at most 512 bytes, and each is an
    /// IP address or a name, TCP or UDP with a port, and perhaps QUIC, WebSocket, TLS, WebTransport or WebRTC, all of it
    /// perhaps that of a relay (`/p2p/RELAY/p2p-circuit`).
    ///
    /// # Errors
    ///
    /// An address is none, is not of that form, is that of another peer, or may not be dialled.
    pub fn read<'v>(
        self,
        peer: &PeerId,
        values: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<Vec<Multiaddr>, AddressError> {
        let mut read = Vec::new();
        if self == Self::Ignored {
            return Ok(read);
        }
        let items = values
            .into_iter()
            .flat_map(|line| line.split(|byte| *byte == b','));
        // RFC 9110, section 5.6.1.2: empty elements mean nothing.
        for item in items.map(trim_ows).filter(|item| !item.is_empty()) {
            if read.len() == MAX_ADDRESSES {
                return Err(AddressError::TooMany);
            }
            let (address, named) = self.read_one(&String::from_utf8_lossy(item))?;
            if let Some(named) = named.filter(|named| named != peer) {
                return Err(AddressError::OtherPeer { named, peer: *peer });
            }
            read.push(address);
        }
        Ok(read)
    }

    /// Reads one address; gives it without the peer at its end, and that peer.
    pub(super) fn read_one(self, text: &str) -> Result<(Multiaddr, Option<PeerId>), AddressError> {
        let shown = || excerpt(text);
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong { address: shown() });
        }
        let invalid = |reason| AddressError::Invalid {
            address: shown(),
            reason,
        };
        let mut address: Multiaddr = text
            .parse()
            .map_err(|_| invalid("it cannot be read as /ip4/ADDRESS/tcp/PORT or the like"))?;
        let named = check_form(&mut address.iter()).map_err(invalid)?;
        if self == Self::Public {
            let refuse = |what| AddressError::NotPublic {
                address: shown(),
                what,
            };
            address
                .iter()
                .try_for_each(|part| check_public(&part))
                .map_err(refuse)?;
        }
        if named.is_some() {
            address.pop();
        }
        Ok((address, named))
    }
}

/// Checks that an address is made of what can be dialled, in the order that it has; returns whose it is, if it says that.
fn check_form(parts: &mut Iter<'_>) -> Result<Option<PeerId>, &'static str> {
    const BEHIND_PEER: &str =
        "behind /p2p/PEER there can only be /p2p-circuit, and behind that the peer";
    const TRANSPORT: &str = "behind the place there has to be /tcp/PORT or /udp/PORT";
    match parts.next() {
        Some(Part::Ip4(_) | Part::Ip6(_) | Part::Dns(_) | Part::Dns4(_) | Part::Dns6(_)) => {
            match parts.next() {
                Some(Part::Tcp(0) | Part::Udp(0)) => return Err("it has the port 0"),
                Some(Part::Tcp(_) | Part::Udp(_)) => {}
                _ => return Err(TRANSPORT),
            }
        }
        // It stands for whole addresses.
        Some(Part::Dnsaddr(_)) => {}
        _ => return Err("it has to begin with /ip4, /ip6 or /dns"),
    }
    let peer = loop {
        match parts.next() {
            Some(Part::P2p(peer)) => break peer,
            Some(Part::P2pCircuit) => return Err("before /p2p-circuit there has to be /p2p/RELAY"),
            Some(
                Part::QuicV1
                | Part::Ws(_)
                | Part::Wss(_)
                | Part::Tls
                | Part::Sni(_)
                | Part::WebTransport
                | Part::WebRTCDirect
                | Part::Certhash(_),
            ) => {}
            Some(_) => return Err("it has a part that this gateway does not dial"),
            None => return Ok(None),
        }
    };
    let relayed = match parts.next() {
        None => return Ok(Some(peer)),
        Some(Part::P2pCircuit) => parts.next(),
        Some(_) => return Err(BEHIND_PEER),
    };
    match (relayed, parts.next()) {
        (None, _) => Ok(None),
        (Some(Part::P2p(peer)), None) => Ok(Some(peer)),
        _ => Err(BEHIND_PEER),
    }
}

/// Says what is not public, if the part says where something is.
fn check_public(part: &Part<'_>) -> Result<(), String> {
    let ip = match part {
        Part::Ip4(ip) => IpAddr::from(*ip),
        Part::Ip6(ip) => IpAddr::from(*ip),
        Part::Dns(_) | Part::Dns4(_) | Part::Dns6(_) | Part::Dnsaddr(_) => {
            return Err("a name, which may lead anywhere".to_owned());
        }
        _ => return Ok(()),
    };
    match is_public(ip) {
        true => Ok(()),
        false => Err(format!("{ip}, which is no public address")),
    }
}

/// Why an address that a request names is not dialled.
///
/// Every message is short, whatever the request holds, and repeats nothing of it that is not escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The gateway dials nothing that requests name.
    #[error(
        "this gateway does not dial addresses that requests name: request /http/PEER/SERVICE/PATH, or ask its owner to allow them"
    )]
    NotTaken,

    /// The text is no address that can be dialled.
    #[error("'{address}' is not an address that can be dialled: {reason}")]
    Invalid {
        /// The text, escaped, and cut if it is long.
        address: String,
        /// What is wrong.
        reason: &'static str,
    },

    /// The text is longer than any address.
    #[error("the address '{address}' is longer than any can be: write at most {MAX_ADDRESS} bytes")]
    TooLong {
        /// The beginning of the text, escaped.
        address: String,
    },

    /// The request names too many addresses.
    #[error("the request names more than {MAX_ADDRESSES} addresses: leave some out")]
    TooMany,

    /// The address is that of another peer than the one that the request is for.
    #[error(
        "the request is for the peer {peer}, and names an address of {named}: correct one of them"
    )]
    OtherPeer {
        /// The peer at the end of the address.
        named: PeerId,
        /// The peer of the route.
        peer: PeerId,
    },

    /// The address does not say whose it is.
    #[error("the address '{address}' does not say whose it is: append /p2p/PEER")]
    NoPeer {
        /// The address, escaped, and cut if it is long.
        address: String,
    },

    /// The address is none that the gateway may dial for its clients.
    #[error(
        "the address '{address}' has {what}: this gateway dials only public IP addresses for its clients, unless its owner allows any"
    )]
    NotPublic {
        /// The address, escaped, and cut if it is long.
        address: String,
        /// The part that is not public.
        what: String,
    },
}

impl AddressError {
    /// The status to answer with: 403 for what is right and not allowed, and 400 for what is wrong.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NotTaken | Self::NotPublic { .. } => 403,
            _ => 400,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
    const RELAY: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    const HASH: &str = "uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g";

    fn read(allowed: RequestAddresses, lines: &[&str]) -> Result<Vec<String>, AddressError> {
        let peer = PEER.parse().expect("is a peer id");
        let lines = lines.iter().map(|line| line.as_bytes());
        let read = allowed.read(&peer, lines)?;
        Ok(read.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn addresses_are_read_in_any_number_of_lines() {
        let relayed = format!("/ip4/1.1.1.1/tcp/1/p2p/{RELAY}/p2p-circuit");
        #[rustfmt::skip]
        let cases: [(&[&str], &[&str]); 7] = [
            (&[], &[]),
            (&["", " , ,"], &[]),
            (&["/ip4/1.1.1.1/tcp/1"], &["/ip4/1.1.1.1/tcp/1"]),
            (&["/ip4/1.1.1.1/tcp/1,\t/ip6/2606::1/udp/2/quic-v1 ,", "/ip4/1.1.1.1/tcp/3/ws"],
                &["/ip4/1.1.1.1/tcp/1", "/ip6/2606::1/udp/2/quic-v1", "/ip4/1.1.1.1/tcp/3/ws"]),
            (&[&format!("/ip4/1.1.1.1/tcp/1/p2p/{PEER}")], &["/ip4/1.1.1.1/tcp/1"]),
            (&[&relayed], &[&relayed]),
            (&[&format!("{relayed}/p2p/{PEER}")], &[&relayed]),
        ];
        for (lines, expected) in cases {
            for allowed in [RequestAddresses::Public, RequestAddresses::Any] {
                let found =
                    read(allowed, lines).unwrap_or_else(|error| panic!("{lines:?}: {error}"));
                assert_eq!(found, expected);
            }
            assert_eq!(read(RequestAddresses::Ignored, lines), Ok(vec![]));
        }
        // Nobody looks at what is not taken.
        assert_eq!(read(RequestAddresses::Ignored, &["\0"]), Ok(vec![]));
    }

    #[test]
    fn every_transport_that_peers_have() {
        for rest in [
            "/tcp/1".to_owned(),
            "/tcp/1/ws".to_owned(),
            "/tcp/443/wss".to_owned(),
            "/tcp/443/tls/ws".to_owned(),
            "/tcp/443/tls/sni/a.libp2p.direct/ws".to_owned(),
            "/udp/1/quic-v1".to_owned(),
            format!("/udp/1/quic-v1/webtransport/certhash/{HASH}/certhash/{HASH}"),
            format!("/udp/1/webrtc-direct/certhash/{HASH}"),
        ] {
            for text in [
                format!("/ip4/1.1.1.1{rest}"),
                format!("/ip6/2606::1{rest}/p2p/{PEER}"),
                format!("/ip6/2606::1{rest}/p2p/{RELAY}/p2p-circuit/p2p/{PEER}"),
            ] {
                assert_eq!(
                    read(RequestAddresses::Public, &[&text]).map(|read| read.len()),
                    Ok(1)
                );
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_culprit() {
        let many = vec!["/ip4/1.1.1.1/tcp/1"; MAX_ADDRESSES + 1].join(",");
        let long = format!("/ip4/1.1.1.1/tcp/1{}", "/ws".repeat(200));
        let base58 = format!("/ip4/1.1.1.1/tcp/1/p2p/{}", "1".repeat(480));
        let at = |rest: &str| format!("/ip4/1.1.1.1/tcp/1{rest}");
        #[rustfmt::skip]
        let cases = [
            ("here".into(), "'here' is not an address"),
            ("/".into(), "'/'"),
            ("/ip4".into(), "'/ip4'"),
            ("/ip4/1.1.1.1".into(), "/tcp/PORT or /udp/PORT"),
            ("/ip4/1.1.1/tcp/1".into(), "cannot be read"),
            ("/ip4/01.1.1.1/tcp/1".into(), "cannot be read"),
            ("/ip4/1.1.1.1/tcp/65536".into(), "cannot be read"),
            ("/ip4/1.1.1.1/tcp/0".into(), "port 0"),
            ("/ip4/1.1.1.1/udp/0/quic-v1".into(), "port 0"),
            ("/ip4/1.1.1.1/sctp/1".into(), "/tcp/PORT or /udp/PORT"),
            ("/memory/1".into(), "has to begin with"),
            ("/unix/run%2Fx".into(), "has to begin with"),
            ("/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234".into(), "has to begin with"),
            ("/ip6zone/eth0/ip6/fe80::1/tcp/1".into(), "has to begin with"),
            (format!("/p2p/{PEER}"), "has to begin with"),
            (format!("/p2p/{RELAY}/p2p-circuit/p2p/{PEER}"), "has to begin with"),
            ("/p2p-circuit".into(), "has to begin with"),
            (at("/http"), "does not dial"),
            (at("/memory/1"), "does not dial"),
            (at("/unix/x"), "does not dial"),
            (at("/ip4/1.1.1.2/tcp/1"), "does not dial"),
            (at("/http-path/x"), "does not dial"),
            (at("/utp"), "does not dial"),
            (at("/p2p-circuit"), "/p2p/RELAY"),
            (at(&format!("/p2p/{PEER}/ws")), "behind /p2p/PEER"),
            (at(&format!("/p2p/{PEER}/p2p/{PEER}")), "behind /p2p/PEER"),
            (at(&format!("/p2p/{RELAY}/p2p-circuit/ip4/10.0.0.1/tcp/1")), "behind /p2p/PEER"),
            (at(&format!("/p2p/{RELAY}/p2p-circuit/p2p/{PEER}/p2p-circuit")), "behind /p2p/PEER"),
            (at(&format!("/p2p/{RELAY}")), RELAY),
            (at(&format!("/p2p/{PEER}/p2p-circuit/p2p/{RELAY}")), RELAY),
            (at("/p2p/PEER"), "cannot be read"),
            (at(" /ws"), "cannot be read"),
            ("/ip4/1.1.1.1/tcp/1, /ip4".into(), "'/ip4'"),
            ("/ip4/1.1.1.1/tcp/1\u{e9}".into(), "cannot be read"),
            (many, "more than 16"),
            (long, "at most 512"),
            (base58, "cannot be read"),
        ];
        for (text, said) in cases {
            for allowed in [RequestAddresses::Public, RequestAddresses::Any] {
                let error = read(allowed, &[&text]).expect_err(&text);
                let message = error.to_string();
                assert!(message.contains(said), "{text}: {message}");
                assert!(message.is_ascii() && message.len() < 400, "{message}");
                assert_eq!(error.status(), 400, "{message}");
            }
        }
        let raw = RequestAddresses::Any.read(&PeerId::random(), [&b"/ip4/\xff"[..]]);
        assert_eq!(raw.expect_err("is no text").status(), 400);
    }

    #[test]
    fn every_place_of_an_address_has_to_be_public() {
        for (text, culprit) in [
            ("/ip4/127.0.0.1/tcp/1".to_owned(), "127.0.0.1"),
            ("/ip4/10.0.0.1/udp/1/quic-v1".to_owned(), "10.0.0.1"),
            ("/ip6/::ffff:10.0.0.1/tcp/1".to_owned(), "::ffff:10.0.0.1"),
            ("/ip6/fd00::1/tcp/1".to_owned(), "fd00::1"),
            ("/dns/example.com/tcp/1".to_owned(), "a name"),
            ("/dns4/example.com/tcp/1".to_owned(), "a name"),
            ("/dns6/example.com/tcp/1".to_owned(), "a name"),
            ("/dnsaddr/example.com".to_owned(), "a name"),
            (
                format!("/ip4/192.168.1.1/tcp/1/p2p/{RELAY}/p2p-circuit/p2p/{PEER}"),
                "192.168.1.1",
            ),
        ] {
            let error = read(RequestAddresses::Public, &["/ip4/1.1.1.1/tcp/1", &text]);
            let error = error.expect_err(&text);
            assert_eq!(error.status(), 403);
            assert!(error.to_string().contains(culprit), "{error}");
            let found = read(RequestAddresses::Any, &[&text]);
            assert_eq!(found.map(|found| found.len()), Ok(1), "{text}");
        }
    }
}
