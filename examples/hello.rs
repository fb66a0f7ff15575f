//! Two nodes in one process: one answers HTTP requests from its swarm events, the other one asks.
//!
//! Run it with `cargo run --example hello`.

use std::error::Error;

use futures::StreamExt;
use libp2p::{Swarm, SwarmBuilder, noise, swarm::SwarmEvent, tcp, yamux};
use libp2p_http_proxy::{Config, Event, HttpProxyBehaviour, Request, Response, ServiceName};

fn node() -> Result<Swarm<HttpProxyBehaviour>, Box<dyn Error>> {
    Ok(SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default(),
            noise::Config::new,
            yamux::Config::default,
        )?
        .with_behaviour(|key| {
            HttpProxyBehaviour::new(key.public().to_peer_id(), Config::default())
        })?
        .build())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hello: ServiceName = "hello".parse()?;
    let (mut server, mut client) = (node()?, node()?);
    let server_id = *server.local_peer_id();

    server.behaviour_mut().add_service(hello.clone())?;
    server.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;

    loop {
        tokio::select! {
            event = server.select_next_some() => match event {
                SwarmEvent::NewListenAddr { address, .. } => {
                    println!("{server_id} listens on {address}");
                    let request = Request::new("GET", "/world?lang=en", "hello", ())?;
                    client.behaviour_mut().add_peer_address(server_id, address);
                    client.behaviour_mut().send_request(server_id, &hello, request);
                }
                SwarmEvent::Behaviour(Event::Request { peer, request, responder, .. }) => {
                    println!("{peer} asks for {}", request.head.target());
                    let text = format!("Hello {peer}, you asked for {}\n", request.head.target());
                    let response = Response::new(200, text)?.with_field("Content-Type", "text/plain")?;
                    server.behaviour_mut().respond(responder, response);
                }
                _ => {}
            },
            event = client.select_next_some() => match event {
                SwarmEvent::Behaviour(Event::Response { response, .. }) => {
                    println!("status {}", response.head.status());
                    // Reading the body reads the stream, so it is for a task beside the swarm.
                    let body = tokio::spawn(response.body.collect(1024 * 1024));
                    tokio::spawn(async move { while let Some(_event) = server.next().await {} });
                    tokio::spawn(async move { while let Some(_event) = client.next().await {} });
                    print!("{}", String::from_utf8_lossy(&body.await??));
                    return Ok(());
                }
                SwarmEvent::Behaviour(Event::OutboundFailure { error, .. }) => return Err(error.into()),
                _ => {}
            },
        }
    }
}
