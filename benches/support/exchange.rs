//! How does an exchange go through a whole gateway and a whole origin, without a network between them?
//!
//! One thread runs a client, a gateway, an origin of the same node and a server. Client and server do not allocate, so
//! that what is counted is the proxy's.

use std::future::pending;

use futures::StreamExt;
use libp2p::{SwarmBuilder, noise, swarm::NetworkBehaviour, tcp, yamux};
use libp2p_http_proxy::{
    Config, Forward, ForwardConfig, Gateway, GatewayConfig, HttpProxyBehaviour, ServiceName,
    route::Domain,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

use super::heads::{REQUEST, request_by_host, request_by_path};

/// The name of the service.
const SERVICE: &str = "bench";

/// The pieces that a server writes a body in.
const PIECE: usize = 16 * 1024;

/// What the server answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// 1 KiB with `Content-Length`.
    Small,
    /// So many bytes with `Content-Length`.
    Known(usize),
    /// So many chunks of 16 KiB.
    Chunked(usize),
}

/// How a request says for which service of which peer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Not at all: the gateway is for one only.
    Port,
    Path,
    Host,
}

/// A client of such a gateway.
pub struct Exchange {
    runtime: Runtime,
    client: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// What tells that a response is over.
    answer: Answer,
}

impl Exchange {
    /// Starts everything, for requests to the only service of the gateway.
    pub fn start(answer: Answer) -> Self {
        Self::new(answer, Naming::Port)
    }

    /// Starts everything, for requests that name peer and service like this.
    pub fn start_by(answer: Answer, naming: Naming) -> Self {
        Self::new(answer, naming)
    }

    fn new(answer: Answer, naming: Naming) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there is a thread");
        let (client, peer) = runtime.block_on(async {
            let server = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
            let target = server.local_addr().expect("is bound");
            tokio::spawn(serve(server, answer));

            let mut swarm = SwarmBuilder::with_new_identity()
                .with_tokio()
                .with_tcp(
                    tcp::Config::default(),
                    noise::Config::new,
                    yamux::Config::default,
                )
                .expect("noise takes any key")
                .with_behaviour(|key| {
                    HttpProxyBehaviour::new(key.public().to_peer_id(), Config::default())
                })
                .expect("making a behaviour cannot fail")
                .build();
            let peer = *swarm.local_peer_id();
            let name: ServiceName = SERVICE.parse().expect("is a name");
            let requests = accept(swarm.behaviour_mut(), &name);
            let target = format!("http://{target}").parse().expect("is a target");
            let forward = Forward::new(target, peer, ForwardConfig::default());
            tokio::spawn(forward.serve(requests, pending()));

            let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
            let address = listener.local_addr().expect("is bound");
            let client = swarm.behaviour().client();
            let mut gateway = Gateway::new(client, peer, GatewayConfig::default());
            if naming == Naming::Port {
                gateway = gateway.for_service(peer, name);
            }
            tokio::spawn(gateway.serve(listener, pending()));
            tokio::spawn(async move {
                loop {
                    swarm.select_next_some().await;
                }
            });
            let client = TcpStream::connect(address).await.expect("it listens");
            client.set_nodelay(true).expect("is open");
            (client, peer)
        });
        let name: ServiceName = SERVICE.parse().expect("is a name");
        let request = match naming {
            Naming::Port => REQUEST.to_vec(),
            Naming::Path => request_by_path(&format!("/http/{peer}/{SERVICE}")),
            Naming::Host => {
                let host = Domain::localhost().host_of(&peer, &name);
                request_by_host(&host.expect("the name is a label"))
            }
        };
        Self {
            runtime,
            client,
            request,
            buffer: vec![0; 256 * 1024],
            answer,
        }
    }

    /// Sends one request and reads its answer. Returns how many bytes the answer had, its head included.
    pub fn run(&mut self) -> usize {
        let Self {
            runtime,
            client,
            request,
            buffer,
            answer,
        } = self;
        runtime.block_on(async {
            client.write_all(request).await.expect("is open");
            let mut all = 0;
            let mut end = Seen::default();
            loop {
                let count = client.read(buffer).await.expect("is open");
                assert!(count > 0, "the gateway closed the connection");
                all += count;
                if end.is_over(&buffer[..count], *answer) {
                    return all;
                }
            }
        })
    }
}

fn accept(behaviour: &mut HttpProxyBehaviour, name: &ServiceName) -> libp2p_http_proxy::Requests
where
    HttpProxyBehaviour: NetworkBehaviour,
{
    behaviour.accept(name.clone()).expect("the name is free")
}

/// How far a response was seen.
#[derive(Default)]
struct Seen {
    /// Body bytes that came, once the head is over.
    body: Option<usize>,
    /// The last bytes that came, for an end that is cut in two.
    tail: [u8; 5],
}

impl Seen {
    fn is_over(&mut self, data: &[u8], answer: Answer) -> bool {
        let behind_head = match self.body {
            Some(_) => data.len(),
            None => match data.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => data.len() - at - 4,
                // A head comes in one piece here, as it is written in one.
                None => panic!("the head is cut"),
            },
        };
        let body = self.body.get_or_insert(0);
        *body += behind_head;
        for &byte in &data[data.len().saturating_sub(5)..] {
            self.tail.rotate_left(1);
            self.tail[4] = byte;
        }
        match answer {
            Answer::Small => *body == 1024,
            Answer::Known(length) => *body == length,
            Answer::Chunked(_) => self.tail == *b"0\r\n\r\n",
        }
    }
}

/// Answers every request.
async fn serve(listener: TcpListener, answer: Answer) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("loopback");
        stream.set_nodelay(true).expect("is open");
        tokio::spawn(async move {
            let mut buffer = vec![0; 8 * 1024];
            let piece = vec![b'x'; PIECE];
            let head = match answer {
                Answer::Small => head("Content-Length: 1024"),
                Answer::Known(length) => head(&format!("Content-Length: {length}")),
                Answer::Chunked(_) => head("Transfer-Encoding: chunked"),
            };
            let small = [head.as_bytes(), &piece[..1024]].concat();
            let chunk = [b"4000\r\n", piece.as_slice(), b"\r\n"].concat();
            // A request comes in one piece here, and has no body.
            while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                let sent = match answer {
                    Answer::Small => stream.write_all(&small).await,
                    Answer::Known(length) => {
                        let mut sent = stream.write_all(head.as_bytes()).await;
                        let mut left = length;
                        while left > 0 && sent.is_ok() {
                            let count = left.min(PIECE);
                            sent = stream.write_all(&piece[..count]).await;
                            left -= count;
                        }
                        sent
                    }
                    Answer::Chunked(count) => {
                        let mut sent = stream.write_all(head.as_bytes()).await;
                        for _ in 0..count {
                            if sent.is_ok() {
                                sent = stream.write_all(&chunk).await;
                            }
                        }
                        match sent {
                            Ok(()) => stream.write_all(b"0\r\n\r\n").await,
                            Err(error) => Err(error),
                        }
                    }
                };
                if sent.is_err() {
                    return;
                }
            }
        });
    }
}

fn head(framing: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n"
    )
}
