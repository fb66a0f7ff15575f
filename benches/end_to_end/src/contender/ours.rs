//! How is this crate used? As its README says.

use std::{convert::Infallible, future::pending, net::SocketAddr};

use ::tower::service_fn;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http_body_util::Full;
use libp2p::{Multiaddr, PeerId, identity::Keypair};
use libp2p_http_proxy::{
    Body, Client, Config, Event, Forward, ForwardConfig, Gateway, GatewayConfig,
    HttpProxyBehaviour, InboundRequest, Payload, Request, Requests, Response, ServiceName, tower,
};
use tokio::net::TcpListener;

use super::service;
use crate::{
    args::Way,
    pattern::{Pattern, piece, read},
    server::{SMALL, asked},
    swarm::{self, Transport},
    wire::Length,
};

pub(super) fn behaviour(keypair: &Keypair) -> HttpProxyBehaviour {
    HttpProxyBehaviour::new(keypair.public().to_peer_id(), Config::default())
}

pub(super) async fn gateway(
    listener: TcpListener,
    origin: &Multiaddr,
    service: &str,
) -> Result<()> {
    let mut swarm = swarm::new(Transport::Tcp, behaviour)?;
    let peer = swarm::connect(&mut swarm, origin).await?;
    let service: ServiceName = service.parse()?;
    let client = swarm.behaviour().client();
    let gateway = Gateway::new(client, *swarm.local_peer_id(), GatewayConfig::default())
        .for_service(peer, service);
    swarm::run(swarm);
    tokio::spawn(gateway.serve(listener, pending()));
    Ok(())
}

/// Sends requests to a server.
pub(super) async fn forward(server: SocketAddr, services: usize) -> Result<Multiaddr> {
    let mut swarm = swarm::new(Transport::Tcp, behaviour)?;
    for number in 1..=services {
        let requests = swarm.behaviour_mut().accept(service(number).parse()?)?;
        let target = format!("http://{server}").parse()?;
        let forward = Forward::new(target, *swarm.local_peer_id(), ForwardConfig::default());
        tokio::spawn(forward.serve(requests, pending()));
    }
    let address = swarm::listen(&mut swarm, Transport::Tcp).await?;
    swarm::run(swarm);
    Ok(address)
}

/// Answers requests beside the swarm.
pub(super) async fn accept() -> Result<Multiaddr> {
    let mut swarm = swarm::new(Transport::Tcp, behaviour)?;
    let requests = swarm.behaviour_mut().accept(service(1).parse()?)?;
    let address = swarm::listen(&mut swarm, Transport::Tcp).await?;
    swarm::run(swarm);
    // Answers that are at hand need no task each.
    tokio::spawn(requests.for_each_concurrent(None, |inbound| answer(inbound).map(drop)));
    Ok(address)
}

/// Answers each of `requests` in a task of its own.
pub(super) async fn answer_all(mut requests: Requests) {
    while let Some(inbound) = requests.next().await {
        // Who asked sees what failed.
        tokio::spawn(answer(inbound));
    }
}

/// Answers as [the server](crate::server) does.
async fn answer(inbound: InboundRequest) -> Result<()> {
    let Request { head, body } = inbound.request;
    let response = match asked(head.target()) {
        Some(Length::Known(length)) if length != SMALL => {
            Response::new(200, Payload::reader(Pattern::new(length), Some(length)))?
        }
        _ => {
            let length = body.length().unwrap_or_default();
            if length > 0 {
                read(body, length).await?;
            }
            small()?
        }
    };
    inbound.responder.send(response).await.context("not sent")
}

/// Answers requests as events of the swarm.
pub(super) async fn events() -> Result<Multiaddr> {
    let mut swarm = swarm::new(Transport::Tcp, behaviour)?;
    swarm.behaviour_mut().add_service(service(1).parse()?)?;
    let address = swarm::listen(&mut swarm, Transport::Tcp).await?;
    swarm::run_with(swarm, |behaviour, event| {
        if let Event::Request { responder, .. } = event
            && let Ok(response) = small()
        {
            behaviour.respond(responder, response);
        }
    });
    Ok(address)
}

/// Answers requests by a `tower` service.
pub(super) async fn tower() -> Result<Multiaddr> {
    let mut swarm = swarm::new(Transport::Tcp, behaviour)?;
    let requests = swarm.behaviour_mut().accept(service(1).parse()?)?;
    let address = swarm::listen(&mut swarm, Transport::Tcp).await?;
    swarm::run(swarm);
    let app = service_fn(async |_: hyper::Request<Body>| {
        let body = Full::new(Bytes::from_static(piece(0, SMALL)));
        Ok::<_, Infallible>(hyper::Response::new(body))
    });
    tokio::spawn(tower::serve(requests, app, pending()));
    Ok(address)
}

fn small() -> Result<Response<Payload>> {
    Ok(Response::new(200, piece(0, SMALL))?)
}

/// Asks a node for bodies.
pub(crate) struct Requester {
    client: Client,
    peer: PeerId,
    service: ServiceName,
}

impl Requester {
    pub(super) async fn connect(origin: &Multiaddr, service: &str) -> Result<Self> {
        let mut swarm = swarm::new(Transport::Tcp, behaviour)?;
        let peer = swarm::connect(&mut swarm, origin).await?;
        let client = swarm.behaviour().client();
        swarm::run(swarm);
        Ok(Self {
            client,
            peer,
            service: service.parse()?,
        })
    }

    /// Has an exchange carry so many bytes.
    pub(super) async fn carry(&self, way: Way, length: u64) -> Result<()> {
        let host = "bench.example";
        let (request, answer) = match way {
            Way::Down => (
                Request::new("GET", &format!("/length/{length}"), host, ())?,
                length,
            ),
            Way::Up => {
                let payload = Payload::reader(Pattern::new(length), Some(length));
                (Request::new("POST", "/", host, payload)?, SMALL)
            }
        };
        let response = self.client.send(self.peer, &self.service, request).await?;
        ensure!(
            response.head.status() == 200 && response.body.length() == Some(answer),
            "another answer: {:?}",
            response.head
        );
        // Not a byte further than the body is long: the end is known by then, or the stream is not used again.
        read(response.body, answer).await
    }
}
