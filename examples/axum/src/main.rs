//! Two nodes in one process: one answers by an axum application that listens on no port, the other one is an axum server
//! with an API of its own, and the gateway to services of peers beside it.
//!
//! ```sh
//! cargo run -p axum-example
//! ```
//!
//! prints the URL under which the application of the first node is in the browser, by way of the second.

mod application;
mod node;
mod site;

use std::{future::pending, net::SocketAddr};

use anyhow::Context as _;
use libp2p::PeerId;
use libp2p_http_proxy::{GatewayConfig, ServiceName, tower};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (peer, site) = start("127.0.0.1:8080").await?;
    println!("the application: http://{site}/p2p/http/{peer}/hello/");
    println!("the API beside it: http://{site}/api/status");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Starts both nodes. Returns the id of the first, and where the second one listens.
async fn start(listen: &str) -> anyhow::Result<(PeerId, SocketAddr)> {
    let hello: ServiceName = "hello".parse()?;

    // The first node: an application and no HTTP server at all.
    let mut origin = node::new()?;
    let (origin_id, requests) = (
        *origin.local_peer_id(),
        origin.behaviour_mut().accept(hello)?,
    );
    let answers = tower::Serve::new(application::router());
    // Each request in a task of its own: the application may use all threads.
    let answers = answers.with_spawn(|task| drop(tokio::spawn(task)));
    tokio::spawn(answers.run(requests, pending()));
    let address = node::listen(&mut origin).await?;
    tokio::spawn(node::run(origin));

    // The second node: an HTTP server, and the way to the first.
    let mut gateway = node::new()?;
    let client = gateway.behaviour().client();
    let gateway_id = *gateway.local_peer_id();
    gateway.behaviour_mut().add_peer_address(origin_id, address);
    tokio::spawn(node::run(gateway));
    let gateway = libp2p_http_proxy::Gateway::new(client, gateway_id, GatewayConfig::default());
    let site = site::router(gateway, gateway_id)?;
    let listener = TcpListener::bind(listen).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {listen}; is something else running there?"))?;
    let local = listener.local_addr()?;
    let site = site.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, site).await });
    Ok((origin_id, local))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{SinkExt, StreamExt};
    use libp2p_http_proxy::route::Domain;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    async fn get(site: SocketAddr, path: &str) -> String {
        ask(site, &site.to_string(), path).await
    }

    async fn ask(site: SocketAddr, host: &str, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(site).await.expect("connects");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("is taken");
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(30), read).await;
        read.expect("does not hang").expect("is text");
        answer
    }

    #[tokio::test]
    async fn the_application_and_the_api_answer_on_one_port() {
        let (peer, site) = start("127.0.0.1:0").await.expect("starts");
        let status = get(site, "/api/status").await;
        assert!(status.contains(r#"{"peer":"12D3"#), "{status}");
        let hello = "hello".parse().expect("is a name");
        let host = Domain::localhost().host_of(&peer, &hello);
        let host = host.expect("the name is a label");
        let page = ask(site, &host, "/").await;
        assert!(page.contains("<title>No port</title>"), "{page}");
        let api = ask(site, &host, "/api/status").await;
        assert!(api.starts_with("HTTP/1.1 404 "), "{api}");
        let caller = get(site, &format!("/p2p/http/{peer}/hello/whoami")).await;
        let (_, id) = status.split_once(r#"{"peer":""#).expect("names itself");
        let (id, _) = id.split_once('"').expect("names itself");
        assert!(
            caller.ends_with(&format!("\r\n\r\nyou are {id}\n")),
            "{caller}"
        );
    }

    #[tokio::test]
    async fn its_websocket_goes_through() {
        let (peer, site) = start("127.0.0.1:0").await.expect("starts");
        let url = format!("ws://{site}/p2p/http/{peer}/hello/echo");
        let stream = TcpStream::connect(site).await.expect("connects");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .expect("opens");
        socket.send(Message::text("hello")).await.expect("is taken");
        let echo = tokio::time::timeout(Duration::from_secs(30), socket.next()).await;
        let echo = echo
            .expect("does not hang")
            .expect("comes back")
            .expect("is whole");
        assert_eq!(echo, Message::text("hello"));
    }
}
