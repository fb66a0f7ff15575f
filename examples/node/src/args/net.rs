//! How are peers found and reached whose addresses nobody has told?

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use libp2p::{Multiaddr, StreamProtocol, kad, pnet::PreSharedKey};

use crate::{
    address::{PeerAddress, listen_address, multiaddr},
    read,
    swarm::{Kad, RelayLimits, Role, Settings},
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Finding and reaching peers")]
pub(crate) struct NetArgs {
    /// Peer through which others are found, and find this node, by their ids alone (Kademlia); repeatable
    ///
    /// There is none by default: without this option the node takes part in no network. Those who look for each other
    /// have to name the same peer, or peers of the same network. `p2p-http meet` is one.
    ///
    /// Example: --bootstrap /ip4/192.0.2.7/tcp/4001/p2p/12D3…
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<PeerAddress>,

    /// Name of the Kademlia protocol
    ///
    /// The default is that of the public network. A network of one's own, with its own --bootstrap peers, keeps to itself
    /// by a name of its own.
    ///
    /// Example: --kad-protocol /example/kad/1.0.0
    #[arg(
        long,
        value_name = "NAME",
        default_value_t = kad::PROTOCOL_NAME,
        value_parser = protocol_name
    )]
    kad_protocol: StreamProtocol,

    /// Relay that is to pass connections on to this node, which then can be reached behind a NAT; repeatable
    ///
    /// A relay carries little by default, 128 KiB in two minutes. Both ends try to connect directly as soon as they are
    /// connected through it (see --no-hole-punching).
    ///
    /// Example: --relay /ip4/192.0.2.7/tcp/4001/p2p/12D3…
    #[arg(long = "relay", value_name = "MULTIADDR")]
    relays: Vec<PeerAddress>,

    /// Do not try to replace relayed connections by direct ones (DCUtR)
    ///
    /// Example: --no-hole-punching
    #[arg(long)]
    no_hole_punching: bool,

    /// Find peers of the local network, and be found there (mDNS)
    ///
    /// Announces this node's peer id and addresses to everybody on the network.
    ///
    /// Example: --mdns
    #[arg(long)]
    mdns: bool,

    /// Find out from peers whether this node is reached from outside, and tell peers that ask (AutoNAT)
    ///
    /// Peers learn the addresses that are tried.
    ///
    /// Example: --autonat
    #[arg(long)]
    autonat: bool,

    /// Ask the router to pass connections on to this node (UPnP)
    ///
    /// Example: --upnp
    #[arg(long)]
    upnp: bool,

    /// Address under which this node is reached from outside, for peers to be told; repeatable
    ///
    /// For a port that a router or a container passes on. Addresses on which the node listens need not be named.
    ///
    /// Example: --external /dns/example.com/tcp/4001
    #[arg(long, value_name = "MULTIADDR", value_parser = multiaddr)]
    external: Vec<Multiaddr>,

    /// File with the key of a private network, in the form of kubo's swarm.key; others are not talked to
    ///
    /// Holds for TCP only, so addresses with QUIC do not work.
    ///
    /// Example: --swarm-key swarm.key
    #[arg(long, value_name = "FILE")]
    swarm_key: Option<PathBuf>,

    #[command(flatten)]
    relay: RelayArgs,
}

#[derive(Debug, clap::Args)]
struct RelayArgs {
    /// Pass connections on to peers that name this node as their --relay
    ///
    /// Whoever reaches this node may use it, within the limits below. The addresses on which it listens have to be
    /// reachable, or those of --external.
    ///
    /// Example: --relay-server
    #[arg(long)]
    relay_server: bool,

    /// Peers that the relay listens for, at most
    ///
    /// Example: --relay-reservations 1000
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = RelayLimits::DEFAULT.reservations,
        requires = "relay_server"
    )]
    relay_reservations: usize,

    /// Connections that the relay passes on at the same time, at most
    ///
    /// Example: --relay-circuits 100
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = RelayLimits::DEFAULT.circuits,
        requires = "relay_server"
    )]
    relay_circuits: usize,

    /// Bytes that the relay passes on for one connection, in both directions together; 0 for no limit
    ///
    /// Example: --relay-bytes 10000000
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = RelayLimits::DEFAULT.bytes,
        requires = "relay_server"
    )]
    relay_bytes: u64,

    /// Seconds after which the relay ends a connection, 1 to 86400
    ///
    /// Example: --relay-seconds 3600
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = RelayLimits::DEFAULT_SECONDS,
        value_parser = clap::value_parser!(u32).range(1..=RelayLimits::MOST_SECONDS.into()),
        requires = "relay_server"
    )]
    relay_seconds: u32,
}

/// For nodes that need not be reached by themselves.
#[derive(Debug, clap::Args)]
pub(crate) struct PortArgs {
    /// Address to listen on for peers, repeatable; none by default, unless the node has services
    ///
    /// It is needed for direct connections to peers behind a NAT, who come to meet this node.
    ///
    /// Example: --p2p-listen /ip4/0.0.0.0/tcp/0 --p2p-listen /ip4/0.0.0.0/udp/0/quic-v1
    #[arg(long, value_name = "MULTIADDR", value_parser = listen_address)]
    pub(crate) p2p_listen: Vec<Multiaddr>,
}

impl NetArgs {
    /// What the options mean for a node of this role.
    ///
    /// # Errors
    ///
    /// Fails if the file with the key of the network cannot be used.
    pub(crate) fn settings(&self, role: Role) -> Result<Settings> {
        let key = self.swarm_key_file().map(swarm_key);
        Ok(Settings {
            swarm_key: key.transpose()?,
            ..self.without_key(role)
        })
    }

    /// As [`settings`](Self::settings), without the key of a private network.
    pub(crate) fn without_key(&self, role: Role) -> Settings {
        Settings {
            kad: (!self.bootstrap.is_empty()).then(|| self.kad(role)),
            relays: self.relays.clone(),
            relay_server: self.relay.limits(),
            hole_punching: !self.no_hole_punching,
            mdns: self.mdns,
            autonat: self.autonat,
            upnp: self.upnp,
            external: self.external.clone(),
            ..Settings::default()
        }
    }

    /// Whether no option says anything.
    pub(crate) fn is_untouched(&self) -> bool {
        let nothing = Settings {
            hole_punching: true,
            ..Settings::default()
        };
        self.swarm_key.is_none() && self.without_key(Role::Client) == nothing
    }

    /// The file with the key of a private network.
    pub(crate) fn swarm_key_file(&self) -> Option<&Path> {
        self.swarm_key.as_deref()
    }

    /// As [`settings`](Self::settings), for a node that is a way to find others even where it knows nobody.
    ///
    /// # Errors
    ///
    /// As [`settings`](Self::settings).
    pub(crate) fn meeting_point(&self) -> Result<Settings> {
        Ok(Settings {
            kad: Some(self.kad(Role::Server)),
            ..self.settings(Role::Server)?
        })
    }

    /// Whether a peer can be found by its id.
    pub(crate) fn finds_peers(&self) -> bool {
        self.mdns || !self.bootstrap.is_empty()
    }

    fn kad(&self, role: Role) -> Kad {
        Kad {
            protocol: self.kad_protocol.clone(),
            bootstrap: self.bootstrap.clone(),
            role,
        }
    }
}

impl RelayArgs {
    fn limits(&self) -> Option<RelayLimits> {
        self.relay_server.then(|| RelayLimits {
            reservations: self.relay_reservations,
            circuits: self.relay_circuits,
            bytes: self.relay_bytes,
            duration: Duration::from_secs(self.relay_seconds.into()),
        })
    }
}

/// Three short lines; more is another file.
const LONGEST_KEY: u64 = 16 * 1024;

/// The key of a private network, in a file.
///
/// # Errors
///
/// Fails if the file cannot be read, or holds something else.
pub(crate) fn swarm_key(path: &Path) -> Result<PreSharedKey> {
    let shown = path.display();
    let text = read::text("key of the network", path, LONGEST_KEY)?;
    text.parse().with_context(|| {
        format!(
            "{shown} is no key of a network: it has three lines, /key/swarm/psk/1.0.0/, /base16/ and 64 hexadecimal digits"
        )
    })
}

/// The name of a protocol.
///
/// # Errors
///
/// Says what it lacks.
pub(crate) fn protocol_name(text: &str) -> Result<StreamProtocol, String> {
    StreamProtocol::try_from_owned(text.to_owned())
        .map_err(|_| "a protocol name begins with a slash, as in /example/kad/1.0.0".to_owned())
}
