//! Does an IP address lead to the public internet, or to somebody's own network?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network of IPv4: its first address, and how many bits are those of all others.
type V4 = ([u8; 4], u32);
/// The same of IPv6.
type V6 = ([u16; 4], u32);

/// What the IANA registry of special-purpose IPv4 addresses (RFC 6890) has for other uses than to reach somebody, and
/// what is no address of one machine (RFC 5771, RFC 1112).
const NOT_PUBLIC_V4: [V4; 16] = [
    ([0, 0, 0, 0], 8),  // "this network", where 0.0.0.0 is this machine to most systems
    ([10, 0, 0, 0], 8), // private
    ([100, 64, 0, 0], 10), // between the customers of a provider and its NAT
    ([127, 0, 0, 0], 8), // loopback
    ([169, 254, 0, 0], 16), // link-local, where clouds have their metadata
    ([172, 16, 0, 0], 12), // private
    ([192, 0, 0, 0], 24), // protocol assignments
    ([192, 0, 2, 0], 24), // documentation
    ([192, 88, 99, 0], 24), // relays of 6to4, which are no more
    ([192, 168, 0, 0], 16), // private
    ([198, 18, 0, 0], 15), // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24), // documentation
    ([224, 0, 0, 0], 4), // multicast
    ([240, 0, 0, 0], 4), // reserved, broadcast included
    ([255, 255, 255, 255], 32),
];

/// The addresses of IPv6 that are given out (RFC 4291, section 2.4). All else is unspecified, loopback, local, multicast,
/// or has no meaning.
const GLOBAL_V6: V6 = ([0x2000, 0, 0, 0], 3);

/// What is among them for other uses.
const NOT_PUBLIC_V6: [V6; 3] = [
    ([0x2001, 0, 0, 0], 23), // protocol assignments: Teredo, ORCHID, benchmarks
    ([0x2001, 0x0db8, 0, 0], 32), // documentation
    ([0x3fff, 0, 0, 0], 20), // documentation
];

/// Whether everybody on the internet reaches the same machine by this address. An address that a translator turns into one
/// of IPv4 is as public as that.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match embedded(ip) {
            Some(ip) => is_public_v4(ip),
            None => is_public_v6(ip),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let is_in = |(network, bits): &V4| {
        let differ = ip.to_bits() ^ Ipv4Addr::from(*network).to_bits();
        differ.leading_zeros() >= *bits
    };
    !NOT_PUBLIC_V4.iter().any(is_in)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let is_in = |([a, b, c, d], bits): &V6| {
        let network = Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0);
        (ip.to_bits() ^ network.to_bits()).leading_zeros() >= *bits
    };
    is_in(&GLOBAL_V6) && !NOT_PUBLIC_V6.iter().any(is_in)
}

/// The address of IPv4 that a packet to this one of IPv6 gets to.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // Mapped (RFC 4291, section 2.5.5.2).
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        // NAT64 (RFC 6052, section 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // 6to4 (RFC 3056, section 2).
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_reaches() {
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::",
            "2001:db7::1",
            "2001:db9::1",
            "2606:4700::1111",
            "3ffe:ffff::1",
            "3fff:1000::",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(ip.parse().expect("is an address")), "{ip}");
        }
    }

    #[test]
    fn what_is_of_one_network_or_of_nobody() {
        for ip in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.255",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            // Compatible with IPv4, as it was called, whatever that address is.
            "::1.1.1.1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:1.1.1.1",
            "64:ff9b::a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::1:a00:1",
            "64:ff9b:1::101:101",
            "100::1",
            "1fff:ffff::1",
            "2001::1",
            "2001:0:101:101::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2001:db8:ffff::1",
            "2002:a00:1::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "ffff::1",
        ] {
            assert!(!is_public(ip.parse().expect("is an address")), "{ip}");
        }
    }
}
