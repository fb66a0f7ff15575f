//! Where do peers reach the node, and what becomes of its listeners?

use anyhow::{Context, Result, anyhow, bail};
use futures::{FutureExt, StreamExt};
use libp2p::{Multiaddr, core::transport::ListenerId};

use super::{Node, reason};
use crate::{address::names_other, logging::one_line, port::Port};

/// A listener that is open and is to stay so.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// What was asked for; nothing of one at a relay that the node keeps in touch with.
    wanted: Option<Multiaddr>,
    /// Whether it has told an address yet.
    told: bool,
}

impl Listener {
    pub(super) fn is_silent(&self) -> bool {
        !self.told
    }

    pub(super) fn on_address(&mut self) {
        self.told = true;
    }
}

impl Node {
    /// Opens a listener. Its addresses are known, and printed, once [`Node::listening`] is through.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken, is not one of this machine, or has no transport.
    pub(crate) fn listen(&mut self, address: &Multiaddr) -> Result<ListenerId> {
        let checked = self
            .check_peer(address)
            .and_then(|()| self.check_port(address));
        let listener = checked.and_then(|()| {
            let listener = self.swarm.listen_on(address.clone());
            listener.map_err(|error| anyhow!(reason::of_transport(&error)))
        });
        let listener = listener.with_context(|| {
            format!("cannot listen on {address}; choose another address or port (0 lets the system choose)")
        })?;
        let wanted = Some(address.clone());
        let silent = Listener {
            wanted,
            told: false,
        };
        self.listeners.insert(listener, silent);
        Ok(listener)
    }

    /// Fails if an address ends with the id of another peer, which nobody is to take for this one's.
    fn check_peer(&self, address: &Multiaddr) -> Result<()> {
        let own = self.peer();
        if let Some(peer) = names_other(address, own) {
            bail!("it is an address of {peer}, and this node is {own}: leave out /p2p/{peer}");
        }
        Ok(())
    }

    /// Fails if another process has the port. libp2p shares TCP ports among all nodes of a user that want the same, and peers would
    /// get to any of them.
    fn check_port(&self, address: &Multiaddr) -> Result<()> {
        let wanted = Port::of(address).filter(|port| !port.is_quic);
        let own = self.swarm.listeners().filter_map(Port::of);
        let is_own = |wanted: &Port| {
            own.into_iter()
                .any(|own| !own.is_quic && own.address.port() == wanted.address.port())
        };
        match wanted.filter(|wanted| !is_own(wanted)) {
            Some(port) => Ok(port.try_bind()?),
            None => Ok(()),
        }
    }

    /// Whether a listener has not closed.
    pub(crate) fn is_listening(&self, listener: ListenerId) -> bool {
        self.listeners.contains_key(&listener)
    }

    /// Closes a listener. Connections that came through it stay.
    pub(crate) fn unlisten(&mut self, listener: ListenerId) {
        self.listeners.remove(&listener);
        // Closed by itself, it is no longer there.
        self.swarm.remove_listener(listener);
    }

    /// Waits until every listener has told its addresses, and returns them all.
    ///
    /// # Errors
    ///
    /// Fails if a listener closes instead.
    pub(crate) async fn listening(&mut self) -> Result<Vec<Multiaddr>> {
        while self.listeners.values().any(Listener::is_silent) {
            let event = self.swarm.select_next_some().await;
            self.on_event(event)?;
        }
        // A listener on all interfaces tells one address after another, without a mark at the last.
        while let Some(event) = self.swarm.select_next_some().now_or_never() {
            self.on_event(event)?;
        }
        Ok(self.swarm.listeners().cloned().collect())
    }

    pub(super) fn on_listener_closed(
        &mut self,
        listener: ListenerId,
        addresses: &[Multiaddr],
        reason: Result<(), std::io::Error>,
    ) -> Result<()> {
        let closed = self.listeners.remove(&listener);
        if self.contacts.listener_closed(listener) {
            let error = reason.err().map(|error| error.to_string());
            if closed.is_some_and(|closed| closed.told) {
                tracing::warn!(?addresses, error, "a relay listens for this node no longer");
            } else {
                tracing::warn!(error, "a relay does not listen for this node");
            }
            return Ok(());
        }
        for address in addresses {
            tracing::info!(%address, "no longer listening");
        }
        // Otherwise this node has closed it.
        let Some(Listener { wanted, told }) = closed else {
            return Ok(());
        };
        let wanted = wanted.map(|address| address.to_string());
        let wanted = wanted.unwrap_or_else(|| "a relay".to_owned());
        let (is_error, why) = match reason {
            Ok(()) => (false, "it has ended".to_owned()),
            Err(error) => (true, one_line(&reason::deepest(&error))),
        };
        if !told {
            bail!("cannot listen on {wanted}: {why}");
        }
        if is_error && self.listeners.is_empty() {
            bail!(
                "peers cannot reach this node any more: its last listener, on {wanted}, closed: {why}"
            );
        }
        tracing::error!(
            address = wanted,
            why,
            "peers cannot reach this node there any more"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;
    use crate::swarm::Settings;

    #[tokio::test]
    async fn every_listener_tells_a_dialable_address() {
        let mut node = node();
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

    fn node() -> Node {
        Node::new(Keypair::generate_ed25519(), &Settings::default()).unwrap()
    }

    #[tokio::test]
    async fn an_address_of_another_peer_is_none_of_this_node() {
        let mut node = node();
        let (own, other) = (node.peer(), libp2p::PeerId::random());
        let at = |peer| format!("/ip4/127.0.0.1/tcp/0/p2p/{peer}").parse().unwrap();
        let error = format!("{:#}", node.listen(&at(other)).unwrap_err());
        assert!(
            error.contains(&format!("leave out /p2p/{other}")),
            "{error}"
        );
        node.listen(&at(own)).unwrap();
        assert_eq!(node.listening().await.unwrap().len(), 1);

        // Its port is one of this machine as any other.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{own}");
        node.listen(&address.parse().unwrap()).unwrap_err();
    }

    #[tokio::test]
    async fn why_an_address_cannot_be_listened_on_is_told_once() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = socket.local_addr().unwrap();
        let in_use = std::net::UdpSocket::bind(taken).unwrap_err().to_string();
        for (address, why) in [
            (
                format!("/ip4/127.0.0.1/udp/{}/quic-v1", taken.port()),
                &*in_use,
            ),
            ("/memory/1".to_owned(), "no transport"),
        ] {
            let error = node().listen(&address.parse().unwrap()).unwrap_err();
            let error = format!("{error:#}");
            assert_eq!(error.matches(why).count(), 1, "{error}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let by_other = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
        // libp2p itself would share the port with this one.
        let mut first = node();
        first
            .listen(&"/ip4/127.0.0.1/tcp/0".parse().unwrap())
            .unwrap();
        let by_node = first.listening().await.unwrap()[0].clone();
        for address in [by_other.parse().unwrap(), by_node.clone()] {
            let error = node().listen(&address).unwrap_err();
            assert!(
                format!("{error:#}").contains(&address.to_string()),
                "{error:#}"
            );
        }
        // A node that goes over to other addresses of its port has it already.
        let everywhere = by_node.to_string().replace("127.0.0.1", "0.0.0.0");
        first.listen(&everywhere.parse().unwrap()).unwrap();
    }
}
