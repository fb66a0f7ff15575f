//! The HTTP server of the second node: an API, and the gateway on the same port.

use std::net::{IpAddr, SocketAddr};

use axum::{Json, Router, extract::ConnectInfo, http::request::Parts, routing::get};
use libp2p::PeerId;
use libp2p_http_proxy::Gateway;

pub(crate) fn router(gateway: Gateway, peer: PeerId) -> Router {
    let peer = peer.to_string();
    let status = async move || Json(serde_json::json!({ "peer": peer }));
    let gateway = gateway.into_service().with_client_address(client_address);
    Router::new()
        .route("/api/status", get(status))
        .nest_service("/p2p", gateway)
}

/// What `into_make_service_with_connect_info` has put there.
fn client_address(parts: &Parts) -> Option<IpAddr> {
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0.ip())
}
