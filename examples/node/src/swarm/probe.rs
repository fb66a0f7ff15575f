//! Who is there? A node looks at single peers, without taking part in anything.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, TransportError,
    core::{ConnectedPoint, transport::timeout::TransportTimeoutError},
    identify, ping,
    swarm::{ConnectionId, DialError, SwarmEvent, dial_opts::DialOpts},
};
use libp2p_http_proxy::{Event, OutboundFailure, Request, ServiceName};
use tokio::time::timeout;

use super::{GOODBYE, Node, behaviour::BehaviourEvent, reason::deepest, tick};

/// How long a peer that was reached may take to say what it is. It does so at once if it does at all.
const INTRODUCTION: Duration = Duration::from_secs(3);

/// A service that nobody offers: who is asked for it has to be found and reached first, and nothing follows from it.
const NOBODYS: &str = "p2p-http.doctor.nobodys";

/// A peer that was reached.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) peer: PeerId,
    connection: ConnectionId,
    pub(crate) address: Multiaddr,
    pub(crate) is_relayed: bool,
    /// How long it took to get there.
    pub(crate) took: Duration,
    /// How long a ping takes there and back, if the peer answers pings.
    pub(crate) round_trip: Option<Duration>,
    /// What it says that it is, if it does.
    pub(crate) agent: Option<String>,
    /// The names of the protocols that it says that it speaks.
    pub(crate) protocols: Vec<StreamProtocol>,
}

/// Why a peer was not reached.
#[derive(Debug)]
pub(crate) enum Unmet {
    /// The node itself is there.
    Itself,
    /// Another peer is there.
    Other(PeerId),
    /// Nobody knows where it is. Holds what was tried.
    Unknown(String),
    /// There was no answer in time.
    Silent,
    /// The node has no transport for the address.
    NoTransport,
    /// The connection was refused.
    Refused,
    /// Something answers, and is no libp2p node that this one can talk to.
    Stranger(String),
    /// Anything else.
    Failed(String),
}

impl Node {
    /// Connects, and returns who is there.
    ///
    /// # Errors
    ///
    /// Says why there is no connection.
    pub(crate) async fn meet(&mut self, whom: DialOpts, limit: Duration) -> Result<Met, Unmet> {
        let (began, connection) = (Instant::now(), whom.connection_id());
        self.swarm.dial(whom).map_err(|error| Unmet::from(&error))?;
        let met = self.until(limit, |event| match event {
            SwarmEvent::ConnectionEstablished {
                connection_id,
                peer_id,
                endpoint,
                ..
            } if *connection_id == connection => Some(Ok(Met::new(
                *peer_id,
                connection,
                endpoint,
                began.elapsed(),
            ))),
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } if *connection_id == connection => Some(Err(Unmet::from(error))),
            _ => None,
        });
        let met = met.await.unwrap_or(Err(Unmet::Silent))?;
        Ok(self.introduced(met, limit).await)
    }

    /// Finds a peer by its id and connects to it.
    ///
    /// # Errors
    ///
    /// Says what was tried.
    pub(crate) async fn find(&mut self, peer: PeerId, limit: Duration) -> Result<Met, Unmet> {
        self.forget(peer).await;
        let began = Instant::now();
        let request = (|| -> anyhow::Result<_> {
            let name: ServiceName = NOBODYS.parse()?;
            Ok((name, Request::new("HEAD", "/", NOBODYS, ())?))
        })();
        let (name, request) = request.map_err(|error| Unmet::Failed(error.to_string()))?;
        let asked = self.http().send_request(peer, name, request);
        let met = self.until(limit, |event| match event {
            SwarmEvent::ConnectionEstablished {
                connection_id,
                peer_id,
                endpoint,
                ..
            } if *peer_id == peer => Some(Ok(Met::new(
                peer,
                *connection_id,
                endpoint,
                began.elapsed(),
            ))),
            SwarmEvent::Behaviour(BehaviourEvent::Http(Event::OutboundFailure {
                request_id,
                error,
                ..
            })) if *request_id == asked => Some(Err(Unmet::from(error))),
            _ => None,
        });
        let met = met.await.unwrap_or(Err(Unmet::Silent))?;
        Ok(self.introduced(met, limit).await)
    }

    /// Ends the connection to a peer that was reached, so that nothing more is sent on it.
    pub(crate) async fn part(&mut self, met: Met) {
        if self.swarm.close_connection(met.connection) {
            let ended = self.until(GOODBYE, |event| match event {
                SwarmEvent::ConnectionClosed { connection_id, .. } => {
                    (*connection_id == met.connection).then_some(())
                }
                _ => None,
            });
            // One that lingers on is of no consequence.
            let _ = ended.await;
        }
    }

    /// Ends all connections to a peer, so that it can be found anew.
    async fn forget(&mut self, peer: PeerId) {
        if self.swarm.disconnect_peer_id(peer).is_ok() {
            let ended = self.until(GOODBYE, |event| match event {
                SwarmEvent::ConnectionClosed {
                    peer_id,
                    num_established: 0,
                    ..
                } => (*peer_id == peer).then_some(()),
                _ => None,
            });
            let _ = ended.await;
        }
    }

    /// Adds what a peer says of itself, and how far away it is.
    async fn introduced(&mut self, mut met: Met, limit: Duration) -> Met {
        let connection = met.connection;
        let (mut said, mut pinged) = (None, None);
        let both = self.until(limit.min(INTRODUCTION), |event| {
            match event {
                SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                    connection_id,
                    info,
                    ..
                })) if *connection_id == connection => {
                    said = Some((info.agent_version.clone(), info.protocols.clone()));
                }
                SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                    connection: pinged_on,
                    result,
                    ..
                })) if *pinged_on == connection => pinged = Some(result.as_ref().ok().copied()),
                SwarmEvent::ConnectionClosed { connection_id, .. }
                    if *connection_id == connection =>
                {
                    return Some(());
                }
                _ => {}
            }
            (said.is_some() && pinged.is_some()).then_some(())
        });
        // What it has not said by now is left out.
        let _ = both.await;
        met.round_trip = pinged.flatten();
        if let Some((agent, protocols)) = said {
            met.agent = Some(agent);
            met.protocols = protocols;
        }
        met
    }

    /// Takes part in the network until `pick` finds what it looks for; `None` once the time is over.
    async fn until<T>(
        &mut self,
        limit: Duration,
        mut pick: impl FnMut(&SwarmEvent<BehaviourEvent>) -> Option<T>,
    ) -> Option<T> {
        let picked = async {
            loop {
                tokio::select! {
                    event = self.swarm.select_next_some() => {
                        let picked = pick(&event);
                        // Fails where a listener closes, and this node has none.
                        if let Err(error) = self.on_event(event) {
                            tracing::debug!(%error, "while looking");
                        }
                        if picked.is_some() {
                            return picked;
                        }
                    }
                    () = tick(&mut self.clock) => self.do_chores(),
                }
            }
        };
        timeout(limit, picked).await.ok().flatten()
    }
}

impl Met {
    fn new(
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
        took: Duration,
    ) -> Self {
        Self {
            peer,
            connection,
            address: endpoint.get_remote_address().clone(),
            is_relayed: endpoint.is_relayed(),
            took,
            round_trip: None,
            agent: None,
            protocols: Vec::new(),
        }
    }
}

impl fmt::Display for Met {
    /// Who it is: its id, and what it says that it runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.peer)?;
        match &self.agent {
            Some(agent) => write!(f, " ({agent})"),
            None => Ok(()),
        }
    }
}

impl From<&DialError> for Unmet {
    fn from(error: &DialError) -> Self {
        match error {
            DialError::LocalPeerId { .. } => Self::Itself,
            DialError::WrongPeerId { obtained, .. } => Self::Other(*obtained),
            DialError::Transport(attempts) => match attempts.first() {
                Some((_, TransportError::MultiaddrNotSupported(_))) => Self::NoTransport,
                Some((_, TransportError::Other(error))) => Self::of_text(deepest(error)),
                None => Self::Failed(error.to_string()),
            },
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<&OutboundFailure> for Unmet {
    fn from(error: &OutboundFailure) -> Self {
        match error {
            OutboundFailure::WrongPeerId { obtained } => Self::Other(*obtained),
            OutboundFailure::NotFound { tried } => Self::Unknown(tried.clone()),
            OutboundFailure::NoAddresses => Self::Unknown("nothing was tried".to_owned()),
            OutboundFailure::DialTimeout => Self::Silent,
            OutboundFailure::DialFailure { reason } => Self::Failed(reason.clone()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Unmet {
    fn of_text(text: String) -> Self {
        use io::ErrorKind as K;
        match system_error(&text).map(|error| error.kind()) {
            Some(K::ConnectionRefused) => Self::Refused,
            Some(K::TimedOut) => Self::Silent,
            Some(K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::NotConnected) => {
                Self::Stranger(text)
            }
            Some(_) => Self::Failed(text),
            None if text.starts_with("no record") => {
                Self::Failed("its name has no address".to_owned())
            }
            None if text.contains("Unsupported resolved address") => Self::NoTransport,
            None if text == silence() || text.contains("timed out") => Self::Silent,
            // What remains are the steps from a connection to an encrypted one with a known peer.
            None => Self::Stranger(text),
        }
    }
}

/// What the transport says of a connection that takes too long.
fn silence() -> String {
    TransportTimeoutError::<io::Error>::Timeout.to_string()
}

/// The error of the system in a text that ends in `(os error N)`.
fn system_error(text: &str) -> Option<io::Error> {
    let (_, number) = text.strip_suffix(')')?.rsplit_once("(os error ")?;
    number.parse().ok().map(io::Error::from_raw_os_error)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn texts_of_transports_are_understood() {
        let refused = io::Error::from_raw_os_error(rustix::io::Errno::CONNREFUSED.raw_os_error());
        let unreachable =
            io::Error::from_raw_os_error(rustix::io::Errno::NETUNREACH.raw_os_error());
        assert!(matches!(Unmet::of_text(deepest(&refused)), Unmet::Refused));
        assert!(matches!(
            Unmet::of_text(deepest(&io::Error::other(refused))),
            Unmet::Refused
        ));
        assert!(matches!(
            Unmet::of_text(deepest(&unreachable)),
            Unmet::Failed(_)
        ));
        for text in [
            "invalid data",
            "Handshake failed: decrypt error",
            "(os error x)",
        ] {
            assert!(
                matches!(Unmet::of_text(text.to_owned()), Unmet::Stranger(_)),
                "{text}"
            );
        }
        let timeout = io::Error::other(TransportTimeoutError::<io::Error>::Timeout);
        assert!(matches!(Unmet::of_text(deepest(&timeout)), Unmet::Silent));
    }
}
