//! How is this crate used? As its README says.

use std::{future::pending, net::SocketAddr};

use anyhow::{Context, Result};
use futures::StreamExt;
use libp2p::{Multiaddr, identity::Keypair};
use libp2p_http_proxy::{
    Config, Event, Forward, ForwardConfig, Gateway, GatewayConfig, HttpProxyBehaviour, Payload,
    Response, ServiceName,
};
use tokio::net::TcpListener;

use super::service;
use crate::{pattern::piece, server::SMALL, swarm};

fn behaviour(keypair: &Keypair) -> HttpProxyBehaviour {
    HttpProxyBehaviour::new(keypair.public().to_peer_id(), Config::default())
}

pub(super) async fn gateway(
    listener: TcpListener,
    origin: &Multiaddr,
    service: &str,
) -> Result<()> {
    let mut swarm = swarm::new(None, behaviour)?;
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
    let mut swarm = swarm::new(None, behaviour)?;
    for number in 1..=services {
        let requests = swarm.behaviour_mut().accept(service(number).parse()?)?;
        let target = format!("http://{server}").parse()?;
        let forward = Forward::new(target, *swarm.local_peer_id(), ForwardConfig::default());
        tokio::spawn(forward.serve(requests, pending()));
    }
    let address = swarm::listen(&mut swarm).await?;
    swarm::run(swarm);
    Ok(address)
}

/// Answers requests in tasks.
pub(super) async fn accept() -> Result<Multiaddr> {
    let mut swarm = swarm::new(None, behaviour)?;
    let mut requests = swarm.behaviour_mut().accept(service(1).parse()?)?;
    let address = swarm::listen(&mut swarm).await?;
    swarm::run(swarm);
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            tokio::spawn(async move { inbound.responder.send(small()?).await.context("not sent") });
        }
    });
    Ok(address)
}

/// Answers requests as events of the swarm.
pub(super) async fn events() -> Result<Multiaddr> {
    let mut swarm = swarm::new(None, behaviour)?;
    swarm.behaviour_mut().add_service(service(1).parse()?)?;
    let address = swarm::listen(&mut swarm).await?;
    swarm::run_with(swarm, |behaviour, event| {
        if let Event::Request { responder, .. } = event
            && let Ok(response) = small()
        {
            behaviour.respond(responder, response);
        }
    });
    Ok(address)
}

fn small() -> Result<Response<Payload>> {
    Ok(Response::new(200, piece(0, SMALL))?)
}
