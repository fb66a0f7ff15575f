//! What does a node with many peers cost? All of them in one process, connected through memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::{future::try_join_all, try_join};
use libp2p::PeerId;
use libp2p_http_proxy::{Client, Request, ServiceName};

use super::{ours, service};
use crate::{
    pattern::piece,
    server::SMALL,
    swarm::{self, Transport},
};

/// How many requests are on their way at any time.
const AT_ONCE: usize = 32;

/// A node, and its peers.
pub(crate) struct Hub {
    client: Client,
    id: PeerId,
    peers: Vec<PeerId>,
    /// The client of the first peer.
    first: Client,
    service: ServiceName,
}

impl Hub {
    /// Starts a node with so many peers.
    pub(crate) async fn start(count: usize) -> Result<Arc<Self>> {
        let service: ServiceName = service(1).parse()?;
        let mut hub = swarm::new(Transport::Memory, ours::behaviour)?;
        tokio::spawn(ours::answer_all(
            hub.behaviour_mut().accept(service.clone())?,
        ));
        let (client, id) = (hub.behaviour().client(), *hub.local_peer_id());
        let (mut peers, mut first) = (Vec::with_capacity(count), None);
        for _ in 0..count {
            let mut peer = swarm::new(Transport::Memory, ours::behaviour)?;
            let requests = peer.behaviour_mut().accept(service.clone())?;
            tokio::spawn(ours::answer_all(requests));
            let address = swarm::listen(&mut peer, Transport::Memory).await?;
            first.get_or_insert_with(|| peer.behaviour().client());
            let (id, _) = try_join!(
                swarm::connect(&mut hub, &address),
                swarm::connected(&mut peer)
            )?;
            peers.push(id);
            swarm::run(peer);
        }
        swarm::run(hub);
        Ok(Arc::new(Self {
            client,
            id,
            peers,
            first: first.context("a node without peers has nobody to ask")?,
            service,
        }))
    }

    /// Carries out an order, `one $seconds`, `all $seconds` or `asks $seconds`: requests to one peer, to all in turn, or
    /// from one peer. Says how many requests were answered, and in how many seconds.
    pub(crate) async fn obey(self: Arc<Self>, order: String) -> Result<String> {
        let (who, seconds) = order.split_once(' ').context("the order is too short")?;
        let (client, peers) = match who {
            "one" => (&self.client, self.peers[..1].to_vec()),
            "all" => (&self.client, self.peers.clone()),
            "asks" => (&self.first, vec![self.id]),
            other => bail!("{other} is nobody"),
        };
        let begin = Instant::now();
        let end = begin + Duration::from_secs_f64(seconds.parse()?);
        let peers: Arc<[PeerId]> = peers.into();
        let turn = Arc::new(AtomicUsize::new(0));
        let tasks = (0..AT_ONCE).map(|_| {
            let (client, peers, turn) = (client.clone(), Arc::clone(&peers), Arc::clone(&turn));
            let service = self.service.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while Instant::now() < end {
                    let peer = peers[turn.fetch_add(1, Ordering::Relaxed) % peers.len()];
                    request(&client, peer, &service).await?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        });
        let mut requests = 0;
        for count in try_join_all(tasks).await? {
            requests += count?;
        }
        Ok(format!("{requests} {}", begin.elapsed().as_secs_f64()))
    }
}

async fn request(client: &Client, peer: PeerId, service: &ServiceName) -> Result<()> {
    let request = Request::new("GET", "/small", "bench.example", ())?;
    let response = client.send(peer, service, request).await?;
    let body = response.body.collect(SMALL as usize).await?;
    ensure!(body == piece(0, SMALL), "other bytes than were sent");
    Ok(())
}
