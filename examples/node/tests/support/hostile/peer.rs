//! A libp2p peer that sends and answers whatever bytes a test likes.

use std::time::Duration;

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, multiaddr, noise, swarm::SwarmEvent,
    tcp, yamux,
};
use tokio_util::compat::FuturesAsyncReadCompatExt;

use super::{Bytes, Door, watcher::Watcher};
use crate::support::{node::Node, within};

/// What a service is negotiated as.
const PROTOCOL: StreamProtocol = StreamProtocol::new("/x/http/app");

pub(crate) struct Peer {
    pub(crate) id: PeerId,
    /// Where it listens, with its id, as `--peer` takes it.
    pub(crate) address: Multiaddr,
    control: libp2p_stream::Control,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// A peer that listens at `listen` and knows nobody.
    pub(crate) async fn start(listen: &str) -> Self {
        Self::run(swarm(), listen).await
    }

    /// A peer that is connected to a node.
    pub(crate) async fn of(node: &Node, listen: &str) -> PeerOf {
        let address: Multiaddr = node.fact("listening ").parse().unwrap();
        let Some(multiaddr::Protocol::P2p(node)) = address.iter().last() else {
            panic!("{address} has no peer id");
        };
        let mut swarm = swarm();
        swarm.dial(address).unwrap();
        let connected = async {
            while !swarm.is_connected(&node) {
                swarm.next().await;
            }
        };
        within("a connection to a node", connected).await;
        PeerOf {
            peer: Self::run(swarm, listen).await,
            node,
        }
    }

    async fn run(mut swarm: Swarm<libp2p_stream::Behaviour>, listen: &str) -> Self {
        swarm.listen_on(listen.parse().unwrap()).unwrap();
        let id = *swarm.local_peer_id();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address.with(multiaddr::Protocol::P2p(id));
            }
        };
        Self {
            id,
            address,
            control: swarm.behaviour().new_control(),
            task: tokio::spawn(async move { while swarm.next().await.is_some() {} }),
        }
    }

    /// Has every stream that is opened to it watched, and its requests answered.
    pub(crate) fn offer(&mut self, watcher: &Watcher) {
        let mut streams = self.control.accept(PROTOCOL).unwrap();
        let watcher = watcher.clone();
        tokio::spawn(async move {
            while let Some((_, stream)) = streams.next().await {
                watcher.watch(stream.compat());
            }
        });
    }
}

/// A peer with a connection to a node, whose service it can open streams to.
pub(crate) struct PeerOf {
    peer: Peer,
    node: PeerId,
}

impl Door for PeerOf {
    async fn open(&mut self) -> Box<dyn Bytes> {
        let opened = self.peer.control.open_stream(self.node, PROTOCOL);
        let stream = within("a stream to a node", opened).await.unwrap();
        Box::new(stream.compat())
    }
}

fn swarm() -> Swarm<libp2p_stream::Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_quic()
        .with_behaviour(|_| libp2p_stream::Behaviour::new())
        .unwrap()
        // The test decides when it is over.
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build()
}
