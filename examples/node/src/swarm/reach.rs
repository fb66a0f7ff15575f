//! From where can an address be reached?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::{Multiaddr, multiaddr::Protocol};

/// The part of the world in which an address means the same place to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    Machine,
    Network,
    World,
}

impl Reach {
    /// The reach of the first part that says where something is.
    pub(crate) fn of(address: &Multiaddr) -> Self {
        match address.iter().next() {
            Some(Protocol::Ip4(ip)) => Self::of_ip(ip.into()),
            Some(Protocol::Ip6(ip)) => Self::of_ip(ip.into()),
            Some(
                Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_),
            ) => Self::World,
            _ => Self::Machine,
        }
    }

    fn of_ip(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            return Self::Machine;
        }
        let local = match ip {
            IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || is_shared(ip),
            IpAddr::V6(ip) => is_local_v6(ip),
        };
        if local { Self::Network } else { Self::World }
    }
}

/// RFC 6598: between customers and the NAT of their provider.
fn is_shared(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [100, 64..=127, ..])
}

fn is_local_v6(ip: Ipv6Addr) -> bool {
    ip.is_unique_local() || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_has_its_reach() {
        for (address, reach) in [
            ("/ip4/127.0.0.1/tcp/1", Reach::Machine),
            ("/ip6/::1/tcp/1", Reach::Machine),
            ("/ip6/::ffff:127.0.0.1/tcp/1", Reach::Machine),
            ("/ip4/0.0.0.0/tcp/1", Reach::Machine),
            ("/memory/1", Reach::Machine),
            ("/ip4/192.168.1.1/udp/1/quic-v1", Reach::Network),
            ("/ip4/100.64.0.1/tcp/1", Reach::Network),
            ("/ip4/169.254.0.1/tcp/1", Reach::Network),
            ("/ip6/fd00::1/tcp/1", Reach::Network),
            ("/ip6/fe80::1/tcp/1", Reach::Network),
            ("/ip4/100.128.0.1/tcp/1", Reach::World),
            ("/ip4/192.0.2.1/tcp/1", Reach::World),
            ("/ip6/2001:db8::1/tcp/1", Reach::World),
            ("/dns/example.com/tcp/1", Reach::World),
        ] {
            assert_eq!(Reach::of(&address.parse().unwrap()), reach, "{address}");
        }
    }
}
