//! How does the node find and reach peers? The file's table `[network]`.

use std::path::PathBuf;

use libp2p::{StreamProtocol, kad};
use serde::Deserialize;

use super::{
    file::External,
    limits::Limits,
    values::{Count, Seconds, SizeOrNone, Text},
};
use crate::{
    address::PeerAddress,
    args::protocol_name,
    swarm::{Kad, RelayLimits, Role, Settings},
};

/// The switches of the command line, under the same names.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table, [network]")]
pub(super) struct Network {
    bootstrap: Vec<Text<PeerAddress>>,
    kad_protocol: Option<Text<ProtocolName>>,
    /// As `p2p-http meet` is one.
    meeting_point: bool,
    relays: Vec<Text<PeerAddress>>,
    hole_punching: Option<bool>,
    relay_server: Option<RelayServer>,
    mdns: bool,
    autonat: bool,
    upnp: bool,
    external: Vec<Text<External>>,
    pub(super) swarm_key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table, {} for the defaults"
)]
struct RelayServer {
    reservations: Option<Count<1_000_000>>,
    circuits: Option<Count<1_000_000>>,
    bytes: Option<SizeOrNone>,
    duration: Option<Seconds<{ RelayLimits::MOST_SECONDS }>>,
}

#[derive(Debug)]
struct ProtocolName(StreamProtocol);

impl std::str::FromStr for ProtocolName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        protocol_name(text).map(Self)
    }
}

impl Network {
    /// What the table means for a node that offers services, or none.
    pub(super) fn settings(self, limits: Limits, offers: bool) -> Settings {
        let role = match offers || self.meeting_point {
            true => Role::Server,
            false => Role::Client,
        };
        let takes_part = self.meeting_point || !self.bootstrap.is_empty();
        let protocol = match self.kad_protocol {
            Some(Text(ProtocolName(name))) => name,
            None => kad::PROTOCOL_NAME,
        };
        let all = |addresses: Vec<Text<PeerAddress>>| {
            let addresses = addresses.into_iter();
            addresses.map(|Text(address)| address).collect::<Vec<_>>()
        };
        let bootstrap = all(self.bootstrap);
        Settings {
            limits,
            kad: takes_part.then_some(Kad {
                protocol,
                bootstrap,
                role,
            }),
            relays: all(self.relays),
            relay_server: self.relay_server.map(RelayServer::limits),
            hole_punching: self.hole_punching.unwrap_or(true),
            mdns: self.mdns,
            autonat: self.autonat,
            upnp: self.upnp,
            external: self
                .external
                .into_iter()
                .map(|Text(External(address))| address)
                .collect(),
            swarm_key: None,
        }
    }
}

impl RelayServer {
    fn limits(self) -> RelayLimits {
        let RelayLimits {
            reservations,
            circuits,
            bytes,
            duration,
        } = RelayLimits::DEFAULT;
        RelayLimits {
            reservations: self.reservations.map_or(reservations, |Count(count)| count),
            circuits: self.circuits.map_or(circuits, |Count(count)| count),
            bytes: self.bytes.map_or(bytes, |SizeOrNone(bytes)| bytes),
            duration: self.duration.map_or(duration, |Seconds(time)| time),
        }
    }
}
