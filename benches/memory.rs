//! How much memory does an idle stream hold? What the heap has more of at either node, counted and not sampled.
//!
//! ```sh
//! cargo bench --bench memory
//! ```
//!
//! Two nodes, each in a thread of its own, over TCP, noise and yamux. As many exchanges as there may be streams run at
//! once, so that each has a stream of its own, and end. What the streams still hold then is compared with bare streams of
//! libp2p-stream that have carried as much: the difference is this crate's.

use std::{
    error::Error,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use allocation_counter::measure;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, channel::oneshot, future::try_join_all};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder,
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use libp2p_http_proxy::{
    Client, Config, HttpProxyBehaviour, InboundRequest, Request, Response, ServiceName,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Barrier,
    time::sleep,
};

/// As many as there are to a peer at most.
const STREAMS: usize = 128;

/// How long the streams are left alone before what they hold is counted: buffers are given back by then.
const QUIET: Duration = Duration::from_secs(12);

const PROTOCOL: StreamProtocol = StreamProtocol::new("/x/http/bench");

/// What is asked, and what is answered.
const ASKED: [u8; 64] = [b'x'; 64];
const ANSWER: [u8; 1024] = [b'x'; 1024];

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Clone, Copy)]
enum Kind {
    Bare,
    Ours,
}

fn main() -> Result<()> {
    let (bare, ours) = (each(Kind::Bare)?, each(Kind::Ours)?);
    println!("| an idle stream holds, bytes | requesting node | answering node |");
    println!("| --- | --- | --- |");
    println!("| bare stream | {:.0} | {:.0} |", bare[0], bare[1]);
    println!("| ours | {:.0} | {:.0} |", ours[0], ours[1]);
    let more = [0, 1].map(|node| ours[node] - bare[node]);
    println!("| ours, more | {:.0} | {:.0} |", more[0], more[1]);
    Ok(())
}

/// What each idle stream holds at the node that asks, and at the one that answers.
fn each(kind: Kind) -> Result<[f64; 2]> {
    let (tell, told) = mpsc::channel();
    let (begin, begun) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let answering = thread::spawn(move || {
        let runtime = runtime()?;
        tell.send(runtime.block_on(answerer(kind))?)?;
        runtime.block_on(begun)?;
        let mut result = Ok(());
        let info = measure(|| result = runtime.block_on(ended));
        result?;
        Result::Ok(info.bytes_current)
    });
    let runtime = runtime()?;
    let mut asker = runtime.block_on(Asker::connect(kind, told.recv()?))?;
    // What the first exchange holds, the node has for all.
    runtime.block_on(asker.exchanges(1))?;
    begin
        .send(())
        .map_err(|()| "the answering node has ended")?;
    let mut result: Result<()> = Ok(());
    let info = measure(|| {
        result = runtime.block_on(async {
            asker.exchanges(STREAMS).await?;
            sleep(QUIET).await;
            Ok(())
        });
    });
    result?;
    end.send(()).map_err(|()| "the answering node has ended")?;
    let answered = answering
        .join()
        .map_err(|_| "the answering node panicked")??;
    let more = (STREAMS - 1) as f64;
    Ok([info.bytes_current, answered].map(|bytes| bytes as f64 / more))
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Starts the node that answers, and says where it is.
async fn answerer(kind: Kind) -> Result<Multiaddr> {
    match kind {
        Kind::Bare => {
            let swarm = swarm(|_| libp2p_stream::Behaviour::new())?;
            let mut streams = swarm.behaviour().new_control().accept(PROTOCOL)?;
            tokio::spawn(async move {
                while let Some((_, stream)) = streams.next().await {
                    tokio::spawn(answer(stream));
                }
            });
            listen(swarm).await
        }
        Kind::Ours => {
            let mut swarm = swarm(behaviour)?;
            let mut requests = swarm.behaviour_mut().accept(service()?)?;
            tokio::spawn(async move {
                // The first is alone; the others wait for each other.
                if let Some(first) = requests.next().await {
                    tokio::spawn(respond(first, None));
                }
                let all = Arc::new(Barrier::new(STREAMS));
                while let Some(inbound) = requests.next().await {
                    tokio::spawn(respond(inbound, Some(Arc::clone(&all))));
                }
            });
            listen(swarm).await
        }
    }
}

async fn answer(mut stream: Stream) -> Result<()> {
    let mut asked = ASKED;
    loop {
        stream.read_exact(&mut asked).await?;
        stream.write_all(&ANSWER).await?;
        stream.flush().await?;
    }
}

async fn respond(inbound: InboundRequest, all: Option<Arc<Barrier>>) -> Result<()> {
    if let Some(all) = all {
        all.wait().await;
    }
    let response = Response::new(200, &ANSWER[..])?;
    Ok(inbound.responder.send(response).await?)
}

/// The node that asks.
enum Asker {
    Bare {
        control: libp2p_stream::Control,
        peer: PeerId,
        streams: Vec<Stream>,
    },
    Ours {
        client: Client,
        peer: PeerId,
    },
}

impl Asker {
    async fn connect(kind: Kind, address: Multiaddr) -> Result<Self> {
        match kind {
            Kind::Bare => {
                let swarm = swarm(|_| libp2p_stream::Behaviour::new())?;
                Ok(Self::Bare {
                    control: swarm.behaviour().new_control(),
                    peer: connect(swarm, address).await?,
                    streams: Vec::with_capacity(STREAMS),
                })
            }
            Kind::Ours => {
                let swarm = swarm(behaviour)?;
                Ok(Self::Ours {
                    client: swarm.behaviour().client(),
                    peer: connect(swarm, address).await?,
                })
            }
        }
    }

    /// Has so many streams carry an exchange each.
    async fn exchanges(&mut self, count: usize) -> Result<()> {
        match self {
            Self::Bare {
                control,
                peer,
                streams,
            } => {
                while streams.len() < count {
                    let stream = control.open_stream(*peer, PROTOCOL).await;
                    let mut stream = stream.map_err(|error| error.to_string())?;
                    stream.write_all(&ASKED).await?;
                    stream.flush().await?;
                    let mut answer = ANSWER;
                    stream.read_exact(&mut answer).await?;
                    streams.push(stream);
                }
            }
            Self::Ours { client, peer } => {
                let service = service()?;
                let exchanges = (0..count).map(|_| exchange(client, *peer, &service));
                try_join_all(exchanges).await?;
            }
        }
        Ok(())
    }
}

async fn exchange(client: &Client, peer: PeerId, service: &ServiceName) -> Result<()> {
    let request = Request::new("GET", "/", "bench.example", ())?;
    let response = client.send(peer, service, request).await?;
    let body = response.body.collect(ANSWER.len()).await?;
    assert_eq!(body, &ANSWER[..]);
    Ok(())
}

fn service() -> Result<ServiceName> {
    Ok("bench".parse()?)
}

fn behaviour(key: &Keypair) -> HttpProxyBehaviour {
    // No streams but those that the exchanges are on.
    let config = Config::default().with_spare_streams(0);
    HttpProxyBehaviour::new(key.public().to_peer_id(), config)
}

fn swarm<B: NetworkBehaviour>(behaviour: impl FnOnce(&Keypair) -> B) -> Result<Swarm<B>> {
    Ok(SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )?
        .with_behaviour(behaviour)?
        // Idle streams keep no connection alive, and it is their memory that is asked for.
        .with_swarm_config(|config| config.with_idle_connection_timeout(10 * QUIET))
        .build())
}

async fn listen<B: NetworkBehaviour>(mut swarm: Swarm<B>) -> Result<Multiaddr>
where
    Swarm<B>: Send + 'static,
{
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address.with(Protocol::P2p(*swarm.local_peer_id()));
        }
    };
    run(swarm);
    Ok(address)
}

async fn connect<B: NetworkBehaviour>(mut swarm: Swarm<B>, address: Multiaddr) -> Result<PeerId>
where
    Swarm<B>: Send + 'static,
{
    swarm.dial(address)?;
    let peer = loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            break peer_id;
        }
    };
    run(swarm);
    Ok(peer)
}

fn run<B: NetworkBehaviour>(mut swarm: Swarm<B>)
where
    Swarm<B>: Send + 'static,
{
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
}
