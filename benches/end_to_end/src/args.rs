//! What is asked for on the command line?

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use libp2p::Multiaddr;

/// Measures libp2p-http-proxy against what one would build instead.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// The cases to measure, each by the beginning of its name; all if none is given
    pub(crate) cases: Vec<String>,

    /// How long each contender is loaded in each round, in seconds
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,

    /// How often the contenders take turns
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,

    /// Measures only these contenders, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Contender>,

    /// Writes every value that was measured to this file
    #[arg(long)]
    pub(crate) csv: Option<PathBuf>,

    /// Draws the curves of the growth cases into this file
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,

    /// Writes what is printed to this file, too; if it has a place for it, only there (see benches/RESULTS.md)
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,

    /// What the connections between the nodes of all contenders are; if nothing is said, libp2p's for the others
    #[arg(long)]
    pub(crate) connection: Option<Connection>,

    /// How many threads the nodes of all contenders have
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,

    /// Lists the cases and ends
    #[arg(long)]
    pub(crate) list: bool,

    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What stands between the load and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Contender {
    /// Nothing: no peers at all.
    Direct,
    /// Streams of libp2p-stream between two nodes, and neither clients nor servers around them.
    Bare,
    /// Every TCP connection spliced onto a stream of libp2p-stream, and no HTTP understood.
    Raw,
    /// hyper at both ends of libp2p-stream, a stream and a connection to the server for every request.
    Diy,
    /// The same with pools of streams and connections.
    Pool,
    /// This crate.
    Ours,
    /// This crate, answering by swarm events.
    OursEvents,
    /// This crate, answering by a `tower` service.
    OursTower,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare stream",
            Self::Raw => "raw",
            Self::Diy => "diy",
            Self::Pool => "diy+pool",
            Self::Ours => "ours",
            Self::OursEvents => "ours, events",
            Self::OursTower => "ours, tower",
        }
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursEvents | Self::OursTower)
    }
}

/// One process of a case. Started by this program itself.
#[derive(Subcommand)]
pub(crate) enum Role {
    /// Answers HTTP as fast as it can
    #[command(hide = true)]
    Server,
    /// Passes TCP on, later
    #[command(hide = true)]
    Relay {
        to: SocketAddr,
        #[arg(value_parser = millis)]
        delay: Duration,
    },
    /// The node that offers the service
    #[command(hide = true)]
    Origin(OriginArgs),
    /// The node that takes HTTP clients
    #[command(hide = true)]
    Gateway(GatewayArgs),
    /// The node that asks another one for bodies, without HTTP clients
    #[command(hide = true)]
    Requester(GatewayArgs),
    /// A node and its peers
    #[command(hide = true)]
    Peers {
        #[command(flatten)]
        node: NodeArgs,
        count: usize,
    },
}

/// Where a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To who asked for it.
    Down,
    /// With the request.
    Up,
}

/// How a connection between nodes is encrypted, and how its streams are told apart.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Connection {
    /// noise and yamux.
    Libp2p,
    /// libp2p's TLS and yamux.
    Libp2pTls,
    /// noise and this crate's multiplexer, which lets the frames of many streams leave together.
    Coalescing,
    /// This crate's TLS and multiplexer.
    Ours,
}

/// What is set for a node of any contender.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct NodeArgs {
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// What its connections are
    #[arg(long)]
    pub(crate) connection: Connection,
    /// Streams of a connection at most
    #[arg(long)]
    pub(crate) streams: Option<usize>,
}

#[derive(clap::Args)]
pub(crate) struct OriginArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[arg(value_enum)]
    pub(crate) contender: Contender,
    /// The server; without it the node answers by itself
    #[arg(long)]
    pub(crate) server: Option<SocketAddr>,
    /// How many services the node offers; the requests go to the last one
    #[arg(long, default_value_t = 1)]
    pub(crate) services: usize,
}

#[derive(clap::Args)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[arg(value_enum)]
    pub(crate) contender: Contender,
    /// The node that offers the service
    pub(crate) origin: Multiaddr,
    /// The name of the service
    pub(crate) service: String,
}

impl Role {
    /// What is set for the node that this is.
    pub(crate) fn node(&self) -> Option<NodeArgs> {
        match self {
            Self::Server | Self::Relay { .. } => None,
            Self::Origin(OriginArgs { node, .. })
            | Self::Gateway(GatewayArgs { node, .. })
            | Self::Requester(GatewayArgs { node, .. })
            | Self::Peers { node, .. } => Some(*node),
        }
    }
}

fn millis(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
