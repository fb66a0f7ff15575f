//! How does the node take part in the network? Its transports, its behaviours and its listeners.

use std::{collections::HashMap, future::Future, pin::pin, time::Duration};

use anyhow::{Context, Result, bail};
use futures::{FutureExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder,
    connection_limits::{self, ConnectionLimits},
    core::transport::ListenerId,
    identify,
    identity::{Keypair, PublicKey},
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use libp2p_http_proxy::{Coalescing, Config, HttpProxyBehaviour};

use crate::{
    logging,
    output::{self, Fact},
};

/// How long a connection without exchanges stays. Above the 60 s that its pooled streams live, and above the pause between
/// two clicks of somebody who reads, so that the next click costs no handshake; short enough that a node with many visitors
/// forgets them.
const IDLE: Duration = Duration::from_secs(120);

/// Handshakes at a time. Each costs public-key operations and memory before the peer has said who it is.
const MAX_PENDING_INCOMING: u32 = 128;

/// Visitors at a time. With some 100 KiB for an idle connection this is 100 MiB at worst, and below the usual 1,024
/// open files.
const MAX_ESTABLISHED_INCOMING: u32 = 900;

/// A peer needs one connection, and a second while both sides dial at once or a direct one replaces a relayed one.
const MAX_ESTABLISHED_PER_PEER: u32 = 8;

/// How long closing the connections may take at exit; after this the peers find out by themselves.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the node does on its connections.
#[derive(NetworkBehaviour)]
struct Behaviour {
    /// First, as it refuses connections for all.
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    http: HttpProxyBehaviour,
}

/// A node in the network: a swarm that must be polled, which [`Node::run_until`] does.
pub(crate) struct Node {
    swarm: Swarm<Behaviour>,
    /// Every open listener, and whether it has told an address yet.
    listeners: HashMap<ListenerId, bool>,
}

impl Node {
    /// A node that can dial and does not listen yet. Prints its peer id.
    ///
    /// # Errors
    ///
    /// Fails if the transports cannot be set up.
    pub(crate) fn new(keypair: Keypair) -> Result<Self> {
        let swarm = SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            .with_tcp(
                tcp::Config::default().nodelay(true),
                noise::Config::new,
                // A gateway has many small exchanges at once on one connection.
                || Coalescing::new(yamux::Config::default()),
            )
            .context("cannot set up encryption for this identity")?
            .with_quic()
            .with_dns()
            .context("cannot read the DNS configuration of this system (/etc/resolv.conf)")?
            .with_behaviour(|keypair| Behaviour::new(keypair.public()))
            .context("cannot set up the protocols")?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
            .build();
        let node = Self {
            swarm,
            listeners: HashMap::new(),
        };
        output::print(&Fact::Peer(node.peer()));
        Ok(node)
    }

    pub(crate) fn peer(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    pub(crate) fn http(&mut self) -> &mut HttpProxyBehaviour {
        &mut self.swarm.behaviour_mut().http
    }

    /// Opens a listener. Its addresses are known, and printed, once [`Node::listening`] is through.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken, is not one of this machine, or has no transport.
    pub(crate) fn listen(&mut self, address: &Multiaddr) -> Result<()> {
        let listener = self.swarm.listen_on(address.clone()).with_context(|| {
            format!("cannot listen on {address}; choose another address or port (0 lets the system choose)")
        })?;
        self.listeners.insert(listener, false);
        Ok(())
    }

    /// Waits until every listener has told its addresses, and returns them all.
    ///
    /// # Errors
    ///
    /// Fails if a listener closes instead.
    pub(crate) async fn listening(&mut self) -> Result<Vec<Multiaddr>> {
        while self.listeners.values().any(|told| !told) {
            let event = self.swarm.select_next_some().await;
            self.on_event(event)?;
        }
        // A listener on all interfaces tells one address after another, without a mark at the last.
        while let Some(event) = self.swarm.select_next_some().now_or_never() {
            self.on_event(event)?;
        }
        Ok(self.swarm.listeners().cloned().collect())
    }

    /// Takes part in the network until `work` is done.
    ///
    /// # Errors
    ///
    /// Fails if the last listener of the node closes.
    pub(crate) async fn run_until<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                event = self.swarm.select_next_some() => self.on_event(event)?,
            }
        }
    }

    /// Closes every connection in order, so that what was written last is not lost and peers need no timeout to notice.
    pub(crate) async fn close(mut self) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // Fails only if the peer went in the meantime.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let gone = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE, gone).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) -> Result<()> {
        match event {
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => {
                self.listeners.insert(listener_id, true);
                // The address stays as it is if it names a peer already.
                let address = address
                    .with_p2p(self.peer())
                    .unwrap_or_else(|address| address);
                output::print(&Fact::Listening(&address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                tracing::info!(%address, "no longer listening")
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener cannot accept")
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                addresses,
                reason,
            } => {
                return self.on_listener_closed(listener_id, &addresses, reason);
            }
            SwarmEvent::ConnectionEstablished {
                peer_id, endpoint, ..
            } => {
                tracing::info!(peer = %peer_id, address = %endpoint.get_remote_address(), "connected");
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                cause,
                ..
            } => {
                tracing::info!(peer = %peer_id, cause = ?cause.map(|cause| cause.to_string()), "disconnected");
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                let peer = peer_id.map(tracing::field::display);
                let error = logging::one_line(&error.to_string());
                tracing::warn!(peer, error, "cannot connect");
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => {
                tracing::debug!(address = %send_back_addr, %error, "refused a connection");
            }
            event => tracing::trace!(?event),
        }
        Ok(())
    }

    fn on_listener_closed(
        &mut self,
        listener: ListenerId,
        addresses: &[Multiaddr],
        reason: Result<(), std::io::Error>,
    ) -> Result<()> {
        let told = self.listeners.remove(&listener).unwrap_or_default();
        if let Err(error) = reason {
            tracing::error!(?addresses, %error, "a listener closed");
            if !told || self.listeners.is_empty() {
                bail!("peers cannot reach this node: its listener closed: {error}");
            }
        }
        Ok(())
    }
}

impl Behaviour {
    fn new(key: PublicKey) -> Self {
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_PENDING_INCOMING))
            .with_max_established_incoming(Some(MAX_ESTABLISHED_INCOMING))
            .with_max_established_per_peer(Some(MAX_ESTABLISHED_PER_PEER));
        let http = HttpProxyBehaviour::new(key.to_peer_id(), Config::default());
        let identify = identify::Config::new("/p2p-http/1".to_owned(), key)
            .with_agent_version(concat!("p2p-http/", env!("CARGO_PKG_VERSION")).to_owned());
        Self {
            limits: connection_limits::Behaviour::new(limits),
            identify: identify::Behaviour::new(identify),
            http,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_listener_tells_a_dialable_address() {
        let mut node = Node::new(Keypair::generate_ed25519()).unwrap();
        for address in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
            node.listen(&address.parse().unwrap()).unwrap();
        }
        let addresses = node.listening().await.unwrap();
        assert_eq!(addresses.len(), 2, "{addresses:?}");
        assert!(
            addresses
                .iter()
                .all(|address| !address.to_string().contains("/0")),
            "{addresses:?}"
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
        let mut node = Node::new(Keypair::generate_ed25519()).unwrap();
        let error = node.listen(&address.parse().unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains(&address), "{error:#}");
    }
}
