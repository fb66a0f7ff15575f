//! Swarms that run in tasks of their own, for tests that look at them from outside.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file uses its own part"
)]

pub mod foreign;
#[cfg(feature = "tokio")]
pub mod path;

use std::{net::SocketAddr, time::Duration};

use futures::{StreamExt, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, identity::Keypair, noise, swarm::SwarmEvent, tcp, yamux,
};
use libp2p_http_proxy::{
    Client, Coalescing, Config, Driven, Event, HttpProxyBehaviour, Optimistic, Requests,
    ServiceName,
};
use libp2p_swarm_test::SwarmExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
};

/// How long anything in a test may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What carries the bytes between the nodes of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Memory,
    Tcp,
    Quic,
}

pub fn spawn(task: BoxFuture<'static, ()>) {
    tokio::spawn(task);
}

type Command = Box<dyn FnOnce(&mut Swarm<HttpProxyBehaviour>) + Send>;

/// A node whose swarm runs in a task, until it is dropped.
pub struct Node {
    pub peer: PeerId,
    pub address: Multiaddr,
    pub client: Client,
    pub events: mpsc::UnboundedReceiver<Event>,
    commands: mpsc::UnboundedSender<Command>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    pub async fn memory(config: Config) -> Self {
        Self::start(Wire::Memory, config, Duration::from_secs(60)).await
    }

    pub async fn start(wire: Wire, config: Config, idle: Duration) -> Self {
        let behaviour =
            move |key: &Keypair| HttpProxyBehaviour::new(key.public().to_peer_id(), config);
        let mut swarm = match wire {
            Wire::Memory => {
                let mut swarm = Swarm::new_ephemeral_tokio(|key| behaviour(&key));
                swarm.listen().with_memory_addr_external().await;
                swarm
            }
            Wire::Tcp | Wire::Quic => {
                let mut swarm = SwarmBuilder::with_new_identity()
                    .with_tokio()
                    .with_tcp(
                        tcp::Config::default().nodelay(true),
                        noise::Config::new,
                        || {
                            let muxer = Coalescing::new(yamux::Config::default());
                            Driven::new(Optimistic::new(muxer), spawn)
                        },
                    )
                    .expect("noise takes any key")
                    .with_quic()
                    .with_behaviour(behaviour)
                    .expect("making a behaviour cannot fail")
                    .with_swarm_config(|config| config.with_idle_connection_timeout(idle))
                    .build();
                let address = match wire {
                    Wire::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
                    _ => "/ip4/127.0.0.1/tcp/0",
                };
                swarm
                    .listen_on(address.parse().expect("is an address"))
                    .expect("loopback is there");
                swarm
            }
        };
        let address = loop {
            if let Some(address) = swarm.listeners().next() {
                break address.clone();
            }
            swarm.next_swarm_event().await;
        };
        Self::run(swarm, address)
    }

    pub fn run(mut swarm: Swarm<HttpProxyBehaviour>, address: Multiaddr) -> Self {
        let (event_sender, events) = mpsc::unbounded_channel();
        let (commands, mut command_receiver) = mpsc::unbounded_channel::<Command>();
        let peer = *swarm.local_peer_id();
        let client = swarm.behaviour().client();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => {
                        if let SwarmEvent::Behaviour(event) = event {
                            let _ = event_sender.send(event);
                        }
                    }
                    Some(command) = command_receiver.recv() => command(&mut swarm),
                }
            }
        });
        Self {
            peer,
            address,
            client,
            events,
            commands,
            task,
        }
    }

    /// Does something with the swarm, in its task.
    pub async fn with<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Swarm<HttpProxyBehaviour>) -> T + Send + 'static,
    ) -> T {
        let (reply, answer) = oneshot::channel();
        let command: Command = Box::new(move |swarm| {
            let _ = reply.send(action(swarm));
        });
        assert!(self.commands.send(command).is_ok(), "the swarm runs");
        answer.await.expect("the swarm runs")
    }

    /// Ends the node as if its process had died: no orderly goodbye is waited for.
    pub async fn stop(mut self) {
        self.task.abort();
        // Until the task is gone, the listener is not.
        let _ = (&mut self.task).await;
    }

    /// Lets this node know where the other one is.
    pub async fn knows(&self, other: &Node) {
        let (peer, address) = (other.peer, other.address.clone());
        self.with(move |swarm| swarm.behaviour_mut().add_peer_address(peer, address))
            .await;
    }

    pub async fn accept(&self, service: &ServiceName) -> Requests {
        let service = service.clone();
        self.with(|swarm| swarm.behaviour_mut().accept(service))
            .await
            .expect("the name is free")
    }

    pub async fn add_service(&self, service: &ServiceName) {
        let service = service.clone();
        self.with(|swarm| swarm.behaviour_mut().add_service(service))
            .await
            .expect("the name is free");
    }

    pub async fn event(&mut self) -> Event {
        within(self.events.recv()).await.expect("the swarm runs")
    }
}

/// The result of something that must not hang.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("does not hang")
}

pub fn name(name: &str) -> ServiceName {
    name.parse().expect("is a service name")
}

/// Sends a request over a connection of its own, its lines ended as HTTP wants it. Returns what comes until that ends, and
/// whether it was ended in order.
pub async fn exchange(address: SocketAddr, text: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let text = text.replace('\n', "\r\n");
    stream.write_all(text.as_bytes()).await.expect("is taken");
    let mut answer = Vec::new();
    let end = within(stream.read_to_end(&mut answer)).await;
    (String::from_utf8_lossy(&answer).into_owned(), end.is_ok())
}
