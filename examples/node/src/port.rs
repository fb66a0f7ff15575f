//! Which port of this machine does an address for peers name, and is it free?

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use libp2p::{Multiaddr, multiaddr::Protocol};
use socket2::{Domain, Socket, Type};

/// Where peers connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    pub(crate) is_quic: bool,
}

impl Port {
    /// The port that a node opens for an address, if it has a transport for it.
    pub(crate) fn of(address: &Multiaddr) -> Option<Self> {
        // Whose address it is makes no difference to the port.
        let is_place = |part: &Protocol<'_>| !matches!(part, Protocol::P2p(_));
        let mut parts = address.iter().filter(is_place);
        let ip: IpAddr = match parts.next()? {
            Protocol::Ip4(ip) => ip.into(),
            Protocol::Ip6(ip) => ip.into(),
            _ => return None,
        };
        let (port, is_quic) = match (parts.next()?, parts.next(), parts.next()) {
            (Protocol::Tcp(port), None, None) => (port, false),
            (Protocol::Udp(port), Some(Protocol::QuicV1), None) => (port, true),
            _ => return None,
        };
        let address = SocketAddr::new(ip, port);
        Some(Self { address, is_quic })
    }

    /// Opens the port and closes it again. Not by libp2p, which shares TCP ports with others that do, and so finds none taken.
    pub(crate) fn try_bind(self) -> io::Result<()> {
        let kind = if self.is_quic {
            Type::DGRAM
        } else {
            Type::STREAM
        };
        let socket = Socket::new(Domain::for_address(self.address), kind, None)?;
        if self.address.is_ipv6() {
            // As libp2p does: the IPv4 port of the same number is another one.
            socket.set_only_v6(true)?;
        }
        if self.is_quic {
            return socket.bind(&self.address.into());
        }
        // Connections that have just ended do not keep it from a node either.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&self.address.into())?;
        socket.listen(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_a_node_has_a_transport_for() {
        for (text, expected) in [
            ("/ip4/127.0.0.1/tcp/1", Some(("127.0.0.1:1", false))),
            ("/ip6/::/udp/2/quic-v1", Some(("[::]:2", true))),
            (
                "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW",
                Some(("127.0.0.1:1", false)),
            ),
            ("/ip4/127.0.0.1/udp/1", None),
            ("/ip4/127.0.0.1/tcp/1/ws", None),
            ("/dns/localhost/tcp/1", None),
            ("/tcp/1", None),
            ("/ip4/127.0.0.1", None),
        ] {
            let expected = expected.map(|(address, is_quic)| Port {
                address: address.parse().unwrap(),
                is_quic,
            });
            assert_eq!(Port::of(&text.parse().unwrap()), expected, "{text}");
        }
    }
}
