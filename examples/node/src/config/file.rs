//! Which keys does the file have? Its tables, as they are written.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr};

use libp2p::{Multiaddr, PeerId};
use libp2p_http_proxy::{
    AllowedMethod, AllowedOrigin, PathPrefix, Protocol, ServiceName, Target,
    rewrite::HostValue,
    route::{Domain, InvalidPeerId, parse_peer_id},
};
use serde::Deserialize;
use toml::Spanned;

use super::{
    admin::Admin,
    limits::Limits,
    network::Network,
    values::{Count, Drain, Named, OneOrMore, Text, Tunnels},
};
use crate::{
    address::{PeerAddress, listen_address, multiaddr},
    args::MOST_THREADS,
    logging::parse_filter,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) identity: Option<PathBuf>,
    pub(super) listen: Option<Vec<Text<Listen>>>,
    pub(super) peers: Vec<Text<PeerAddress>>,
    pub(super) service: Named<ServiceName, Service>,
    pub(super) gateway: OneOrMore<Gateway>,
    pub(super) forward: OneOrMore<Forward>,
    pub(super) admin: Option<Admin>,
    pub(super) network: Network,
    pub(super) limits: Limits,
    pub(super) drain: Option<Drain>,
    pub(super) log: Option<Text<Filter>>,
    pub(super) threads: Option<Count<{ MOST_THREADS as u32 }>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as [service.app]")]
pub(super) struct Service {
    pub(super) to: Text<Target>,
    pub(super) allow: Option<Vec<Text<Peer>>>,
    pub(super) methods: Option<Vec<Text<AllowedMethod>>>,
    pub(super) paths: Option<Vec<Text<PathPrefix>>>,
    #[serde(default)]
    pub(super) host: Host,
    pub(super) forwarded: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Host {
    #[default]
    Preserve,
    Target,
    Fixed(Text<HostValue>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table, [gateway]")]
pub(super) struct Gateway {
    pub(super) listen: Option<Spanned<Text<HttpAddress>>>,
    pub(super) public: Option<Spanned<bool>>,
    pub(super) allow: Option<Vec<Pair>>,
    pub(super) domains: Vec<Text<Domain>>,
    pub(super) allow_origins: Vec<Text<AllowedOrigin>>,
    pub(super) behind_proxy: bool,
    pub(super) request_addresses: Option<Spanned<Addresses>>,
    pub(super) tunnels: Option<Spanned<Tunnels>>,
    pub(super) exchanges_per_client: Option<NonZeroUsize>,
    pub(super) attach: Option<Spanned<Attach>>,
}

/// Which addresses are dialled that requests name for their peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Addresses {
    None,
    Public,
    Any,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table, {} for the defaults"
)]
pub(super) struct Attach {
    pub(super) token: Option<PathBuf>,
    pub(super) allow: Option<Vec<Text<Peer>>>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, { peer = PEER, service = NAME }"
)]
pub(super) struct Pair {
    pub(super) peer: Text<Peer>,
    pub(super) service: Text<Offered>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, [[forward]]")]
pub(super) struct Forward {
    pub(super) listen: Spanned<Text<HttpAddress>>,
    pub(super) peer: Text<Peer>,
    pub(super) service: Text<ServiceName>,
    #[serde(default)]
    pub(super) domains: Vec<Text<Domain>>,
    #[serde(default)]
    pub(super) allow_origins: Vec<Text<AllowedOrigin>>,
    #[serde(default)]
    pub(super) behind_proxy: bool,
    pub(super) tunnels: Option<Tunnels>,
    pub(super) exchanges_per_client: Option<NonZeroUsize>,
}

/// What to log.
#[derive(Debug)]
pub(super) struct Filter(pub(super) String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_filter(text).map(Self)
    }
}

/// Where peers reach this node.
#[derive(Debug)]
pub(super) struct Listen(pub(super) Multiaddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = listen_address(text).map(Self);
        address.map_err(|why| format!("{text:?} is {why}"))
    }
}

/// Where peers are told that they reach this node.
#[derive(Debug)]
pub(super) struct External(pub(super) Multiaddr);

impl FromStr for External {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = multiaddr(text).map(Self);
        address.map_err(|why| format!("{text:?} is {why}"))
    }
}

/// A peer id, in any of the forms that a path takes.
#[derive(Debug)]
pub(super) struct Peer(pub(super) PeerId);

impl FromStr for Peer {
    type Err = InvalidPeerId;

    fn from_str(text: &str) -> Result<Self, InvalidPeerId> {
        parse_peer_id(text).map(Self)
    }
}

/// What a peer offers: a service by its name, or by the whole name of its protocol.
#[derive(Debug)]
pub(super) struct Offered(pub(super) Protocol);

impl FromStr for Offered {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Protocol::from_stream_protocol(text).map(Self).ok_or_else(|| {
                format!("{text:?} is not a protocol for HTTP; write for example \"/http\", or the name of a service")
            });
        }
        let name = text.parse::<ServiceName>();
        name.map(|name| Self(name.into()))
            .map_err(|error| error.to_string())
    }
}

/// Where HTTP clients connect.
#[derive(Clone, Copy, Debug)]
pub(super) struct HttpAddress(pub(super) SocketAddr);

impl FromStr for HttpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let remedy =
            "not an IP address with a port; write for example \"127.0.0.1:8080\" or \"[::1]:8080\"";
        text.parse()
            .map(Self)
            .map_err(|_| format!("{text:?} is {remedy}"))
    }
}
