//! A peer whose streams carry whatever a test writes.

use std::time::Duration;

use futures::{AsyncReadExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, noise,
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};

use super::{Node, Wire, within};

/// What both sides call the service `app`.
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/x/http/app");

/// A peer that knows nothing of HTTP, until it is dropped.
pub struct Foreign {
    pub peer: PeerId,
    pub control: libp2p_stream::Control,
    address: Multiaddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Foreign {
    pub async fn start(wire: Wire) -> Self {
        let mut swarm: Swarm<libp2p_stream::Behaviour> = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(
                tcp::Config::default().nodelay(true),
                noise::Config::new,
                yamux::Config::default,
            )
            .expect("noise takes any key")
            .with_quic()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .expect("making a behaviour cannot fail")
            .with_swarm_config(|config| {
                config.with_idle_connection_timeout(Duration::from_secs(60))
            })
            .build();
        let address = match wire {
            Wire::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
            _ => "/ip4/127.0.0.1/tcp/0",
        };
        swarm
            .listen_on(address.parse().expect("is an address"))
            .expect("loopback is there");
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        Self {
            peer: *swarm.local_peer_id(),
            control: swarm.behaviour().new_control(),
            address,
            task: tokio::spawn(async move { while let Some(_event) = swarm.next().await {} }),
        }
    }

    /// Treats the first stream with `action`, after it has read the request head.
    pub fn answer<F, Fut>(&mut self, action: F) -> tokio::task::JoinHandle<()>
    where
        F: FnOnce(Stream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let mut streams = self.control.accept(PROTOCOL).expect("nobody else accepts");
        tokio::spawn(async move {
            let (_, mut stream) = streams.next().await.expect("a stream");
            let mut head = Vec::new();
            let mut byte = [0; 1];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).await.expect("a request head");
                head.extend_from_slice(&byte);
            }
            action(stream).await;
        })
    }

    /// Lets a node know where this peer is.
    pub async fn is_known_to(&self, node: &Node) {
        let (peer, address) = (self.peer, self.address.clone());
        node.with(move |swarm| swarm.behaviour_mut().add_peer_address(peer, address))
            .await;
    }

    /// Opens a stream to a node that is not connected to this peer yet.
    pub async fn stream_to(&mut self, node: &Node) -> Stream {
        let (peer, address) = (self.peer, self.address.clone());
        // The listener's own connection serves for streams in both directions.
        node.with(move |swarm| {
            swarm.dial(DialOpts::peer_id(peer).addresses(vec![address]).build())
        })
        .await
        .expect("dials");
        within(async {
            loop {
                match self.control.open_stream(node.peer, PROTOCOL).await {
                    Ok(stream) => break stream,
                    // Not connected yet, and nothing tells when.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        })
        .await
    }
}
