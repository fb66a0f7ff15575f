//! Can a node listen there, and if not, who does?

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol, swarm::dial_opts::DialOpts};

use super::{Scout, report::Finding, server};
use crate::{address::names_other, args::To, gateway, port::Port};

/// A path that a gateway answers by itself, and with an error: there is no such peer.
const NO_PEER: &str = "/http/doctor/doctor/";

/// What is found where peers are to connect. `scout` looks who is there; `own` is the node that is looked at.
pub(super) async fn for_peers(
    address: &Multiaddr,
    own: Option<PeerId>,
    scout: &mut Scout,
    limit: Duration,
) -> Finding {
    let what = format!("listen {address}");
    let Some(port) = Port::of(address) else {
        let found = "a node cannot listen there; write it as /ip4/0.0.0.0/tcp/4001, /ip4/0.0.0.0/udp/4001/quic-v1, or the same with ip6";
        return Finding::problem(what, found);
    };
    if port.is_quic && scout.is_private {
        let found = "private networks have no QUIC; leave it out, or the swarm key";
        return Finding::problem(what, found);
    }
    if let Some(other) = own.and_then(|own| names_other(address, own)) {
        let found = format!(
            "it is an address of {other}, and the node of this identity is another one; leave out /p2p/{other}"
        );
        return Finding::problem(what, found);
    }
    match port.try_bind() {
        Ok(()) => Finding::ok(what, free(port.address)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let there = DialOpts::unknown_peer_id().address(near(address));
            match scout.node.meet(there.build(), limit).await {
                Ok(met) if Some(met.peer) == own => {
                    Finding::ok(what, "the node of this identity runs, and listens there")
                }
                Ok(met) => Finding::problem(what, taken(&format!("another libp2p node, {met}"))),
                Err(_) => Finding::problem(what, taken("another program")),
            }
        }
        Err(error) => Finding::problem(what, cannot_bind(port.address, &error)),
    }
}

/// What is found where HTTP clients are to connect, to a gateway or to the admin page.
pub(super) async fn for_http(address: SocketAddr, purpose: &str, limit: Duration) -> Finding {
    let what = format!("listen {address} for {purpose}");
    let Err(error) = gateway::listen(address) else {
        return Finding::ok(what, free(address));
    };
    if error.kind() != io::ErrorKind::AddrInUse {
        return Finding::problem(what, cannot_bind(address, &error));
    }
    let there = SocketAddr::new(reachable(address.ip()), address.port());
    match server::head(&To::Tcp(there.to_string()), NO_PEER, limit).await {
        Ok(head) if server::is_node(&head) => Finding::warning(
            what,
            "a node of p2p-http has it; if that is not the one that is looked at, choose another port for one of them",
        ),
        Ok(_) => Finding::problem(what, taken("another program that speaks HTTP")),
        Err(_) => Finding::problem(what, taken("another program")),
    }
}

fn free(address: SocketAddr) -> &'static str {
    match address.port() {
        0 => "the system chooses a free port",
        _ => "free",
    }
}

fn taken(by: &str) -> String {
    format!("{by} has the port; stop that, or choose another port (0 lets the system choose)")
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "this user may not listen on port {}, as those below 1024 need a right; choose another, or give the program CAP_NET_BIND_SERVICE",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable if address.ip().is_ipv6() && is_general(address.ip()) => {
            "this machine has no IPv6; leave the address out".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine does not have the address {}; write one that it has, or {} for all",
            address.ip(),
            if address.is_ipv4() { "0.0.0.0" } else { "::" },
        ),
        _ if address.is_ipv6() && gateway::listen((Ipv6Addr::LOCALHOST, 0).into()).is_err() => {
            "this machine has no IPv6; leave the address out".to_owned()
        }
        _ => format!("cannot listen: {error}; choose another address or port"),
    }
}

/// Whether every machine has the address.
fn is_general(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_loopback()
}

/// The same port, at an address that can be dialled from here.
fn near(address: &Multiaddr) -> Multiaddr {
    let parts = address.iter().map(|part| match part {
        Protocol::Ip4(ip) => reachable(ip.into()).into(),
        Protocol::Ip6(ip) => reachable(ip.into()).into(),
        other => other,
    });
    parts.collect()
}

fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_found_on_this_machine() {
        for (text, expected) in [
            ("/ip4/0.0.0.0/tcp/1", "/ip4/127.0.0.1/tcp/1"),
            ("/ip6/::/udp/1/quic-v1", "/ip6/::1/udp/1/quic-v1"),
            ("/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/1"),
        ] {
            assert_eq!(near(&text.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn why_a_port_cannot_be_opened() {
        for (kind, address, said) in [
            (
                io::ErrorKind::PermissionDenied,
                "127.0.0.1:80",
                "CAP_NET_BIND_SERVICE",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "192.0.2.1:1",
                "0.0.0.0 for all",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "[2001:db8::1]:1",
                ":: for all",
            ),
            (io::ErrorKind::AddrNotAvailable, "[::1]:1", "no IPv6"),
            (io::ErrorKind::OutOfMemory, "127.0.0.1:1", "cannot listen"),
        ] {
            let found = cannot_bind(address.parse().unwrap(), &kind.into());
            assert!(found.contains(said), "{found}");
        }
    }
}
