//! How does the node take part in the network? Its listeners, and what happens on them.

mod behaviour;
mod build;
mod contacts;
mod events;
mod figures;
mod finder;
mod listeners;
mod offers;
mod probe;
mod reach;
mod reason;
mod routes;
mod settings;
mod told;

use std::{
    collections::{HashMap, HashSet},
    future::{self, Future},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures::StreamExt;
use libp2p::{
    PeerId, Swarm,
    core::transport::ListenerId,
    identity::Keypair,
    swarm::{ConnectionId, SwarmEvent},
};
use libp2p_http_proxy::{HttpProxyBehaviour, Observer};
use prometheus_client::registry::Registry;
use tokio::{
    sync::mpsc,
    time::{self, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::{
    behaviour::{Behaviour, BehaviourEvent},
    contacts::Contacts,
    figures::Figures,
    finder::Finder,
    listeners::Listener,
    offers::Change,
    reach::Reach,
};
pub(crate) use self::{
    offers::Offers,
    probe::{Met, Unmet},
    settings::{Kad, RelayLimits, Role, Settings},
};
use crate::{
    output::{self, Fact},
    status::Status,
};

/// How long closing the connections may take at exit; after this the peers find out by themselves.
const GOODBYE: Duration = Duration::from_secs(3);

/// How often the node looks whether something is due. It does so only if it finds peers or has contacts.
const TICK: Duration = Duration::from_secs(1);

/// How long the node tries to get in touch before it goes on without. As long as a dial may take.
const JOIN: Duration = Duration::from_secs(10);

/// A node in the network: a swarm that must be polled, which [`Node::run_until`] does.
pub(crate) struct Node {
    swarm: Swarm<Behaviour>,
    /// Every listener that is open and is to stay so.
    listeners: HashMap<ListenerId, Listener>,
    contacts: Contacts,
    finder: Finder,
    /// The direct connections: to whom, and how far they reach.
    direct: HashMap<ConnectionId, (PeerId, Reach)>,
    /// Dials at addresses that came with a request, which concern nobody else, and the connections that came of them.
    told: HashSet<ConnectionId>,
    /// Whether others reach the addresses on which this node listens, as its operator says.
    is_outside: bool,
    /// Whether those through which others find this node are still to hear of it.
    bootstrapping: bool,
    clock: Option<Interval>,
    changes: mpsc::Receiver<Change>,
    offers: Offers,
    status: Status,
    figures: Figures,
}

impl Node {
    /// A node that can dial and does not listen yet.
    ///
    /// # Errors
    ///
    /// Fails if the transports or protocols cannot be set up.
    pub(crate) fn new(keypair: Keypair, settings: &Settings) -> Result<Self> {
        let mut swarm = build::swarm(keypair, settings)?;
        let mut registry = Registry::default();
        let figures = Figures::new(&mut registry, swarm.behaviour().http.client());
        let status = Status::new(*swarm.local_peer_id(), registry);
        for address in &settings.external {
            swarm.add_external_address(address.clone());
        }
        let (offers, changes) = Offers::new(status.clone());
        let node = Self {
            swarm,
            listeners: HashMap::new(),
            contacts: Contacts::new(settings),
            finder: Finder::default(),
            direct: HashMap::new(),
            told: HashSet::new(),
            is_outside: settings.relay_server.is_some() && settings.external.is_empty(),
            bootstrapping: false,
            clock: settings.has_chores().then(clock),
            changes,
            offers,
            status,
            figures,
        };
        node.tell_addresses();
        Ok(node)
    }

    /// Prints its peer id.
    pub(crate) fn introduce(&self) {
        output::print(&Fact::Peer(self.peer()));
    }

    pub(crate) fn peer(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    pub(crate) fn http(&mut self) -> &mut HttpProxyBehaviour {
        &mut self.swarm.behaviour_mut().http
    }

    /// What is known of the node.
    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// Who is to be told of every exchange.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.figures.observer(&self.status)
    }

    /// A handle for tasks that offer services.
    pub(crate) fn offers(&self) -> Offers {
        self.offers.clone()
    }

    /// Gets in touch with the peers that were named, and waits until this node can be found through them, or not. They are
    /// told where it listens, so the listeners come first.
    ///
    /// # Errors
    ///
    /// Fails if a listener closes.
    pub(crate) async fn join(&mut self, shutdown: &CancellationToken) -> Result<()> {
        let table = self.swarm.behaviour_mut().kad.as_mut();
        let begun = table.is_some_and(|table| table.bootstrap().is_ok());
        self.bootstrapping = begun && self.contacts.is_found();
        self.do_chores();
        let deadline = time::sleep(JOIN);
        let mut deadline = pin!(deadline);
        while self.is_joining() {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event)?,
                () = shutdown.cancelled() => return Ok(()),
                () = &mut deadline => {
                    tracing::warn!("not every peer that was named has answered; trying on");
                    return Ok(());
                }
            }
        }
        Ok(())
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
                () = tick(&mut self.clock) => self.do_chores(),
                Some(change) = self.changes.recv() => {
                    let status = self.status.clone();
                    change.make(self.http(), &status);
                }
            }
        }
    }

    fn is_joining(&self) -> bool {
        let silent = self.listeners.values().any(Listener::is_silent);
        self.bootstrapping || silent || self.contacts.is_waiting()
    }

    /// What has to be done from time to time.
    fn do_chores(&mut self) {
        let now = Instant::now();
        self.finder.expire(self.swarm.behaviour_mut(), now);
        let listeners = self.contacts.keep(&mut self.swarm, now);
        self.wait_for(listeners);
    }

    /// Notes that listeners have yet to tell their addresses.
    fn wait_for(&mut self, listeners: Vec<ListenerId>) {
        let silent = |listener| (listener, Listener::default());
        self.listeners.extend(listeners.into_iter().map(silent));
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
        self.take_note(&event);
        self.tell(&event);
        self.figures.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => {
                if let Some(listener) = self.listeners.get_mut(&listener_id) {
                    listener.on_address();
                }
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
            SwarmEvent::OutgoingConnectionError {
                peer_id,
                error,
                connection_id,
            } => self.on_dial_failed(peer_id, connection_id, &reason::of_dial(&error)),
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

    fn on_dial_failed(&mut self, peer: Option<PeerId>, dial: ConnectionId, error: &str) {
        let is_told = self.told.remove(&dial);
        // Most peers of a hash table are behind a NAT or long gone. Where a request said that its peer is, it is told, and the
        // line about the request has it.
        let mut matters = !is_told && !self.swarm.behaviour().kad.is_enabled();
        if let Some(peer) = peer.as_ref().filter(|_| !is_told) {
            self.finder.dial_failed(peer, error);
            if let Some(is_new) = self.contacts.dial_failed(peer) {
                matters = is_new;
            }
        }
        let peer = peer.map(tracing::field::display);
        if matters {
            tracing::warn!(peer, error, "cannot connect");
        } else {
            tracing::debug!(peer, error, "cannot connect");
        }
    }
}

/// Fires when something may be due; never, where nothing ever is.
async fn tick(clock: &mut Option<Interval>) {
    match clock {
        Some(clock) => {
            clock.tick().await;
        }
        None => future::pending().await,
    }
}

fn clock() -> Interval {
    let mut clock = time::interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}
