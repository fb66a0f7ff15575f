//! Who is told what becomes of the exchanges of a proxy, for pages and figures about them.

use std::{fmt, time::Duration};

use libp2p_identity::PeerId;

use crate::service::Protocol;

/// Is told of every exchange of a [`Gateway`](crate::Gateway) or a [`Forward`](crate::Forward).
///
/// Called by the task of the exchange, which waits for it: whatever takes long belongs elsewhere.
pub trait Observer: Send + Sync {
    /// The head of a request was read. Returns whether to tell how it ends; by default it does. For an exchange that is not to
    /// be told of nothing is noted either.
    fn began(&self, side: Side) -> bool {
        let _ = side;
        true
    }

    /// All is over, tunnels included, or the exchange was given up. Comes exactly once for every exchange that was to be told
    /// of.
    fn ended(&self, exchange: &Exchange<'_>);
}

/// Which proxy an exchange went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Side {
    /// A [`Gateway`](crate::Gateway): requests of local clients to peers.
    Gateway,
    /// A [`Forward`](crate::Forward): requests of peers to a local server.
    Origin,
}

impl Side {
    /// `gateway` or `origin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Origin => "origin",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of an exchange.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// Tells it from the others of the node; the `id` of the access log and of spans.
    pub id: u64,
    /// The proxy that it went through.
    pub side: Side,
    /// The peer at the other end of the libp2p hop. `None` where it did not come to one.
    pub peer: Option<PeerId>,
    /// The protocol of the service. `None` where it did not come to one.
    pub service: Option<&'a Protocol>,
    /// The method; `-` where no request could be read.
    pub method: &'a str,
    /// The target as it came, with its query; `-` where no request could be read.
    pub path: &'a str,
    /// The status of the response. `None` where there was none.
    pub status: Option<u16>,
    /// Bytes of the request's body that were passed on, or sent through a tunnel. Those of a body that came by a
    /// `GatewayService` are its server's to count, and 0 here.
    pub request_bytes: u64,
    /// Bytes of the response's body, or received through a tunnel.
    pub response_bytes: u64,
    /// How long it took.
    pub stages: Stages,
    /// Whether the stream, or the connection to the server, had carried another exchange before. `None` where there was
    /// none, or it is not known.
    pub reused: Option<bool>,
    /// The error type (RFC 9209, section 2.3) of what the proxy refused or what failed. `None` where nothing did, or the
    /// client left.
    pub cause: Option<&'static str>,
    /// What went wrong, for whoever runs the node.
    pub error: Option<&'a str>,
}

/// How long the stages of an exchange took, one behind the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stages {
    /// Until there was a stream to the peer, or a connection to the server: to wait for one, to dial, to negotiate. `None`
    /// where there was none, or it is not known.
    pub connect: Option<Duration>,
    /// From there until the head of the response was read. `None` where none was.
    pub head: Option<Duration>,
    /// From there until the body was passed on, or the tunnel had ended.
    pub body: Option<Duration>,
    /// From the head of the request to the end.
    pub total: Duration,
}
