//! A client of the gateway, two nodes, and a local server that does exactly what a test says.

use std::net::SocketAddr;

use libp2p_http_proxy::{Config, Forward, ForwardConfig, Gateway, GatewayConfig, ServiceName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use super::{Node, name, within};

/// A gateway, an origin and what is behind it, until it is dropped.
pub struct Path {
    pub gateway: SocketAddr,
    /// Connections that the origin made to the local server.
    pub server: mpsc::Receiver<TcpStream>,
    pub origin: Node,
    pub near: Node,
    pub prefix: String,
    _shutdown: oneshot::Sender<()>,
}

#[derive(Default)]
pub struct Setup {
    pub nodes: Config,
    pub gateway: GatewayConfig,
    pub forward: ForwardConfig,
}

impl Path {
    pub async fn new(setup: Setup) -> Self {
        let near = Node::memory(setup.nodes.clone()).await;
        let origin = Node::memory(setup.nodes).await;
        near.knows(&origin).await;
        let (target, server) = server().await;
        serve(&origin, &name("app"), target, setup.forward).await;
        Self::between(near, origin, server, setup.gateway).await
    }

    /// With a gateway at `near` to the service of `origin`.
    pub async fn between(
        near: Node,
        origin: Node,
        server: mpsc::Receiver<TcpStream>,
        config: GatewayConfig,
    ) -> Self {
        let (shutdown, asked) = oneshot::channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let gateway = listener.local_addr().expect("is bound");
        let proxy = Gateway::new(near.client.clone(), near.peer, config);
        tokio::spawn(proxy.serve(listener, async {
            let _ = asked.await;
        }));
        Self {
            gateway,
            server,
            prefix: format!("/http/{}/app", origin.peer),
            origin,
            near,
            _shutdown: shutdown,
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.gateway).await.expect("connects")
    }

    /// Sends a request; `{}` stands for the path of the service.
    pub async fn request(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let text = text.replace("{}", &self.prefix).replace('\n', "\r\n");
        stream.write_all(text.as_bytes()).await.expect("is taken");
        stream
    }

    pub async fn accepted(&mut self) -> TcpStream {
        within(self.server.recv()).await.expect("the server runs")
    }
}

/// A local server whose connections a test treats itself.
pub async fn server() -> (SocketAddr, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if sender.send(stream).await.is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

pub async fn serve(origin: &Node, service: &ServiceName, to: SocketAddr, config: ForwardConfig) {
    let requests = origin.accept(service).await;
    let target = format!("http://{to}").parse().expect("is a target");
    let forward = Forward::new(target, origin.peer, config);
    tokio::spawn(forward.serve(requests, std::future::pending()));
}

/// Reads until `end` has come.
pub async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let read = async {
        let mut all = Vec::new();
        while !String::from_utf8_lossy(&all).ends_with(end) {
            let byte = stream.read_u8().await.expect("more comes");
            all.push(byte);
        }
        String::from_utf8(all).expect("is text")
    };
    within(read).await
}

pub async fn read_head(stream: &mut TcpStream) -> String {
    read_until(stream, "\r\n\r\n").await
}

pub async fn read_to_end(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut all = String::new();
    within(stream.read_to_string(&mut all)).await?;
    Ok(all)
}

pub async fn write(stream: &mut TcpStream, text: &str) {
    let text = text.replace('\n', "\r\n");
    stream.write_all(text.as_bytes()).await.expect("is taken");
}

/// The values of a field in a head, in order.
pub fn values<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let named = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value).collect()
}
