//! Which nodes stand between a hostile sender and whoever watches?

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::{
    Bytes, Door,
    peer::Peer,
    watcher::{Answer, Request, Script, Then, Watcher},
};
use crate::support::{
    node::{Node, TCP},
    within,
};

/// A server without a fault: it says which target was asked for.
pub(crate) struct Echo;

impl Script for Echo {
    fn answer(&self, request: &Request) -> Answer {
        let target = &request.target;
        let length = target.len();
        let body = if request.method == "HEAD" { "" } else { target };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        Answer {
            bytes: (head + body).into_bytes(),
            then: Then::Next,
        }
    }
}

/// The TCP port of a gateway.
pub(crate) struct Port(pub(crate) SocketAddr);

impl Door for Port {
    async fn open(&mut self) -> Box<dyn Bytes> {
        let stream = within("a connection", TcpStream::connect(self.0))
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Box::new(stream)
    }
}

/// A server that is watched, an origin in front of it, and a gateway.
pub(crate) struct Chain {
    pub(crate) watcher: Watcher,
    pub(crate) origin: Node,
    pub(crate) gateway: Node,
}

impl Chain {
    pub(crate) async fn start(script: impl Script) -> Self {
        Self::start_on(TCP, script).await
    }

    pub(crate) async fn start_on(listen: &str, script: impl Script) -> Self {
        let watcher = Watcher::new(script);
        let target = format!("http://{}", watcher.listen().await);
        let origin = Node::serve_on(listen, &[("app", &target)], &[]).await;
        let gateway = Node::gateway(&origin, &[]).await;
        Self {
            watcher,
            origin,
            gateway,
        }
    }

    pub(crate) fn port(&self) -> Port {
        Port(self.gateway.http("gateway "))
    }

    /// The path of the service at the gateway.
    pub(crate) fn path(&self) -> String {
        format!("/http/{}/app", self.origin.fact("peer "))
    }
}

/// A peer that offers a service and is watched, and a gateway that knows where it is.
pub(crate) struct Foreign {
    pub(crate) watcher: Watcher,
    pub(crate) peer: Peer,
    pub(crate) gateway: Node,
}

impl Foreign {
    pub(crate) async fn start(script: impl Script) -> Self {
        let watcher = Watcher::new(script);
        let mut peer = Peer::start(TCP).await;
        peer.offer(&watcher);
        let address = peer.address.to_string();
        let args = ["gateway", "--listen", "127.0.0.1:0", "--peer", &address];
        let gateway = Node::start(&args).await;
        Self {
            watcher,
            peer,
            gateway,
        }
    }

    pub(crate) fn port(&self) -> Port {
        Port(self.gateway.http("gateway "))
    }

    pub(crate) fn path(&self) -> String {
        format!("/http/{}/app", self.peer.id)
    }
}
