//! What do the contenders without this crate stand on? Streams of libp2p-stream.

use anyhow::{Result, anyhow};
use futures::StreamExt;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use libp2p_stream::{Behaviour, Control, IncomingStreams};

use super::service;
use crate::swarm::{self, Transport};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/x/http/bench");

/// Opens streams to one peer.
#[derive(Clone)]
pub(super) struct Opener {
    control: Control,
    peer: PeerId,
}

impl Opener {
    /// Connects to the node at `address`.
    pub(super) async fn connect(address: &Multiaddr) -> Result<Self> {
        let mut swarm = swarm::new(Transport::Tcp, |_| Behaviour::new())?;
        let control = swarm.behaviour().new_control();
        let peer = swarm::connect(&mut swarm, address).await?;
        swarm::run(swarm);
        Ok(Self { control, peer })
    }

    pub(super) async fn open(&self) -> Result<Stream> {
        let mut control = self.control.clone();
        let opened = control.open_stream(self.peer, PROTOCOL).await;
        opened.map_err(|error| anyhow!("no stream: {error}"))
    }
}

/// Starts a node, and hands every stream of the last of so many protocols to `serve`. Says where the node is.
pub(super) async fn accept(
    protocols: usize,
    mut serve: impl FnMut(Stream) + Send + 'static,
) -> Result<Multiaddr> {
    let mut swarm = swarm::new(Transport::Tcp, |_| Behaviour::new())?;
    let mut control = swarm.behaviour().new_control();
    let others = (1..protocols).map(|number| {
        let protocol = StreamProtocol::try_from_owned(format!("/x/http/{}", service(number)))?;
        Ok(control.accept(protocol)?)
    });
    let others = others.collect::<Result<Vec<IncomingStreams>>>()?;
    let mut streams = control.accept(PROTOCOL)?;
    let address = swarm::listen(&mut swarm, Transport::Tcp).await?;
    swarm::run(swarm);
    tokio::spawn(async move {
        // They are offered for as long as somebody could take their streams.
        let _others = others;
        while let Some((_, stream)) = streams.next().await {
            serve(stream);
        }
    });
    Ok(address)
}
