//! What follows from what the behaviours report?

use std::{io, time::Instant};

use libp2p::{
    Multiaddr, PeerId, autonat, dcutr, identify, kad, mdns, ping, relay,
    swarm::{ConnectionId, SwarmEvent},
    upnp,
};
use libp2p_http_proxy::Event;

use super::{Node, behaviour::BehaviourEvent, reach::Reach, routes};

impl Node {
    pub(super) fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Http(Event::AddressesWanted { peer }) => {
                let is_contact = self.contacts.includes(&peer);
                let behaviour = self.swarm.behaviour_mut();
                self.finder.begin(behaviour, peer, is_contact);
            }
            BehaviourEvent::Identify(identify::Event::Received {
                connection_id,
                peer_id,
                info,
            }) => {
                self.learn(connection_id, peer_id, &info);
            }
            BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(failure),
            }) => self.on_unanswered(peer, connection, &failure),
            BehaviourEvent::Kad(event) => self.on_kad(event),
            BehaviourEvent::Mdns(mdns::Event::Discovered(peers)) => {
                tracing::debug!(?peers, "announced on the local network");
                self.finder.announced(self.swarm.behaviour_mut(), peers);
            }
            BehaviourEvent::RelayClient(event) => self.on_relay_client(&event),
            BehaviourEvent::RelayServer(event) => on_relay_server(&event),
            BehaviourEvent::HolePunching(event) => self.on_hole_punched(&event),
            BehaviourEvent::AutonatClient(event) => on_probed(&event),
            BehaviourEvent::Upnp(event) => on_upnp(&event),
            event => tracing::trace!(?event),
        }
    }

    /// Takes note of where a peer says that it is. Not of one that a client has led this node to: it could have the node
    /// dial addresses that the client may not name, when the client next asks for it.
    fn learn(&mut self, connection: ConnectionId, peer: PeerId, info: &identify::Info) {
        if self.told.contains(&connection) {
            return;
        }
        let via = self.reach_of(connection);
        if let Some(table) = self.swarm.behaviour_mut().kad.as_mut() {
            routes::learn(table, peer, info, via);
        }
        for address in routes::usable(peer, &info.listen_addrs, via) {
            self.swarm.add_peer_address(peer, address);
        }
    }

    /// Ends a connection over which nothing comes back. Where the peer, or a router in between, went without a word, TCP tells
    /// a quarter of an hour later, or never, and until then every request would wait on it in vain, and a relay for nobody.
    fn on_unanswered(&mut self, peer: PeerId, connection: ConnectionId, failure: &ping::Failure) {
        if !is_silence(failure) {
            return;
        }
        tracing::info!(%peer, %failure, "nothing comes back over a connection; it is closed");
        self.swarm.close_connection(connection);
    }

    fn on_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::OutboundQueryProgressed {
                id,
                result: kad::QueryResult::GetClosestPeers(result),
                stats,
                step: kad::ProgressStep { last: true, .. },
            } => {
                let behaviour = self.swarm.behaviour_mut();
                self.finder
                    .answered(behaviour, id, stats.num_successes(), result);
            }
            kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::Bootstrap(result),
                step: kad::ProgressStep { last: true, .. },
                ..
            } => {
                self.bootstrapping = false;
                if let Err(error) = result {
                    tracing::warn!(%error, "no bootstrap peer answers");
                }
            }
            kad::Event::RoutingUpdated {
                peer,
                addresses,
                is_new_peer,
                ..
            } => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                tracing::debug!(%peer, ?addresses, is_new_peer, "can lead others to a peer");
            }
            event => tracing::trace!(?event),
        }
    }

    fn on_relay_client(&mut self, event: &relay::client::Event) {
        use relay::client::Event as E;
        let (E::ReservationReqAccepted { limit, .. }
        | E::OutboundCircuitEstablished { limit, .. }
        | E::InboundCircuitEstablished { limit, .. }) = event;
        // The circuit relay specification has 0 for no limit.
        let bytes = limit
            .as_ref()
            .and_then(|limit| limit.data_in_bytes())
            .filter(|bytes| *bytes > 0);
        let seconds = limit
            .as_ref()
            .and_then(|limit| limit.duration())
            .map(|limit| limit.as_secs());
        match event {
            E::ReservationReqAccepted {
                relay_peer_id,
                renewal: false,
                ..
            } => {
                tracing::info!(relay = %relay_peer_id, bytes, seconds, "a relay listens for this node")
            }
            E::ReservationReqAccepted { .. } => {}
            E::OutboundCircuitEstablished { relay_peer_id, .. } => {
                self.http().set_relay_limit(*relay_peer_id, bytes);
                tracing::info!(relay = %relay_peer_id, bytes, seconds, "connected through a relay");
            }
            E::InboundCircuitEstablished { src_peer_id, .. } => {
                tracing::info!(peer = %src_peer_id, bytes, seconds, "a peer came through a relay");
            }
        }
    }

    fn on_hole_punched(&self, event: &dcutr::Event) {
        let peer = event.remote_peer_id;
        match &event.result {
            Ok(_) => tracing::info!(%peer, "connected directly, past the relay"),
            // Both sides dial, and where there is no NAT in between one of them has no success.
            Err(error) if self.direct.values().any(|(known, _)| *known == peer) => {
                tracing::debug!(%peer, %error, "connected directly by the other side");
            }
            Err(error) => tracing::info!(%peer, %error, "stays behind the relay"),
        }
    }

    /// How far a connection reaches. Nothing is known of the other end of a relayed one.
    fn reach_of(&self, connection: ConnectionId) -> Reach {
        let known = self.direct.get(&connection);
        known.map_or(Reach::World, |(_, reach)| *reach)
    }

    /// Counts an address among those that others reach. One of this machine alone is left out as soon as there is another.
    fn tell_outside(&mut self, address: &Multiaddr) {
        let here: Vec<_> = self
            .swarm
            .external_addresses()
            .filter(|known| Reach::of(known) == Reach::Machine)
            .cloned()
            .collect();
        if Reach::of(address) > Reach::Machine {
            for local in here {
                self.swarm.remove_external_address(&local);
            }
        } else if here.len() < self.swarm.external_addresses().count() {
            return;
        }
        self.swarm.add_external_address(address.clone());
    }

    /// Takes note of what comes and goes, for those who wait for it.
    pub(super) fn take_note(&mut self, event: &SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                let behaviour = self.swarm.behaviour_mut();
                self.finder.connected(behaviour, peer_id);
                if !endpoint.is_relayed() {
                    let reach = Reach::of(endpoint.get_remote_address());
                    self.direct.insert(*connection_id, (*peer_id, reach));
                    let listeners = self.contacts.connected(&mut self.swarm, peer_id);
                    self.wait_for(listeners);
                }
            }
            SwarmEvent::Dialing { connection_id, .. } => {
                let http = &self.swarm.behaviour().http;
                if http.is_dial_of_request(*connection_id) {
                    self.told.insert(*connection_id);
                }
            }
            SwarmEvent::ConnectionClosed {
                connection_id,
                peer_id,
                num_established,
                ..
            } => {
                self.direct.remove(connection_id);
                self.told.remove(connection_id);
                if *num_established == 0 {
                    self.contacts.disconnected(peer_id, Instant::now());
                }
            }
            SwarmEvent::NewListenAddr { address, .. } if self.is_outside => {
                self.tell_outside(address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } if self.is_outside => {
                self.swarm.remove_external_address(address);
            }
            _ => {}
        }
    }
}

/// Whether nothing came for a ping. A peer that knows no pings, or resets their streams as it has too many, is there.
fn is_silence(failure: &ping::Failure) -> bool {
    match failure {
        ping::Failure::Timeout => true,
        ping::Failure::Unsupported => false,
        ping::Failure::Other { error } => error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut),
    }
}

fn on_relay_server(event: &relay::Event) {
    match event {
        relay::Event::ReservationReqAccepted {
            src_peer_id,
            renewed: false,
        } => tracing::info!(peer = %src_peer_id, "relays to a peer"),
        relay::Event::ReservationReqDenied {
            src_peer_id,
            status,
        } => tracing::warn!(peer = %src_peer_id, ?status, "does not relay to a peer"),
        relay::Event::CircuitReqDenied {
            src_peer_id,
            dst_peer_id,
            status,
        } => {
            tracing::warn!(from = %src_peer_id, to = %dst_peer_id, ?status, "refused a circuit");
        }
        relay::Event::CircuitReqAccepted {
            src_peer_id,
            dst_peer_id,
        } => tracing::info!(from = %src_peer_id, to = %dst_peer_id, "relays"),
        event => tracing::debug!(?event),
    }
}

fn on_probed(event: &autonat::v2::client::Event) {
    let address = &event.tested_addr;
    match &event.result {
        Ok(()) => tracing::info!(%address, by = %event.server, "is reached from outside"),
        Err(error) => {
            tracing::info!(%address, by = %event.server, %error, "is not reached from outside");
        }
    }
}

fn on_upnp(event: &upnp::Event) {
    match event {
        upnp::Event::NewExternalAddr { external_addr, .. } => {
            tracing::info!(address = %external_addr, "the router passes connections on");
        }
        upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
            tracing::warn!(address = %external_addr, "the router passes connections on no longer");
        }
        upnp::Event::GatewayNotFound => tracing::warn!("no router of this network speaks UPnP"),
        upnp::Event::NonRoutableGateway => {
            tracing::warn!("the router has no public address itself, so that UPnP is of no use");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{StreamExt as _, future};
    use libp2p::{
        core::Endpoint,
        identity::Keypair,
        swarm::{
            NetworkBehaviour as _,
            dial_opts::{DialOpts, PeerCondition},
        },
    };
    use libp2p_http_proxy::{Destination, Request, ServiceName};

    use super::*;
    use crate::swarm::Settings;

    fn node() -> Node {
        Node::new(Keypair::generate_ed25519(), &Settings::default()).unwrap()
    }

    /// Drives a node until a peer has said what it is, and returns where the node would dial it next.
    async fn introduced(node: &mut Node, peer: PeerId) -> Vec<Multiaddr> {
        loop {
            let event = node.swarm.select_next_some().await;
            let is_last = matches!(
                &event,
                SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                    peer_id, ..
                })) if *peer_id == peer
            );
            node.on_event(event).unwrap();
            if is_last {
                break;
            }
        }
        let behaviour = node.swarm.behaviour_mut();
        let attempt = ConnectionId::new_unchecked(usize::MAX);
        let known = behaviour.handle_pending_outbound_connection(
            attempt,
            Some(peer),
            &[],
            Endpoint::Dialer,
        );
        known.unwrap()
    }

    #[tokio::test]
    async fn a_peer_that_a_client_leads_to_says_nothing_of_where_else_it_is() {
        let mut there = node();
        there
            .listen(&"/ip4/127.0.0.1/tcp/0".parse().unwrap())
            .unwrap();
        let address = there.listening().await.unwrap().remove(0);
        let peer = there.peer();
        let work = async {
            let mut led = node();
            let to = Destination::new(peer).with_addresses([address.clone()]);
            let name: ServiceName = "app".parse().unwrap();
            let request = Request::new("GET", "/", "app", ()).unwrap();
            led.http().send_request(to, name, request);
            assert_eq!(introduced(&mut led, peer).await, []);

            let mut other = node();
            let opts = DialOpts::peer_id(peer).addresses(vec![address.clone()]);
            other.swarm.dial(opts.build()).unwrap();
            let own = address.clone().with_p2p(peer).unwrap();
            assert_eq!(introduced(&mut other, peer).await, [own]);
        };
        tokio::select! {
            () = work => {}
            ended = there.run_until(future::pending::<()>()) => panic!("{ended:?}"),
        }
    }

    #[tokio::test]
    async fn a_connection_over_which_nothing_comes_back_is_closed_and_no_other() {
        let (mut there, mut here) = (node(), node());
        there
            .listen(&"/ip4/127.0.0.1/tcp/0".parse().unwrap())
            .unwrap();
        let address = there.listening().await.unwrap().remove(0);
        let peer = there.peer();
        let work = async {
            let failed = |error: io::Error| ping::Failure::Other {
                error: error.into(),
            };
            let failures = [
                (ping::Failure::Unsupported, false),
                (failed(io::ErrorKind::ConnectionReset.into()), false),
                (failed(io::ErrorKind::TimedOut.into()), true),
                (ping::Failure::Timeout, true),
            ];
            let mut connections = Vec::new();
            for _ in &failures {
                let opts = DialOpts::peer_id(peer)
                    .addresses(vec![address.clone()])
                    .condition(PeerCondition::Always)
                    .build();
                connections.push(opts.connection_id());
                here.swarm.dial(opts).unwrap();
            }
            let mut established = 0;
            while established < connections.len() {
                let event = here.swarm.select_next_some().await;
                let is_one = matches!(event, SwarmEvent::ConnectionEstablished { .. });
                established += usize::from(is_one);
            }
            let mut dead = Vec::new();
            for (connection, (failure, is_dead)) in connections.into_iter().zip(failures) {
                let event = ping::Event {
                    peer,
                    connection,
                    result: Err(failure),
                };
                here.on_behaviour(BehaviourEvent::Ping(event));
                dead.extend(is_dead.then_some(connection));
            }
            while !dead.is_empty() {
                let event = here.swarm.select_next_some().await;
                if let SwarmEvent::ConnectionClosed { connection_id, .. } = event {
                    assert!(dead.contains(&connection_id), "it is alive");
                    dead.retain(|dead| *dead != connection_id);
                }
            }
        };
        tokio::select! {
            () = work => {}
            ended = there.run_until(future::pending::<()>()) => panic!("{ended:?}"),
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("it stays open"),
        }
    }
}
