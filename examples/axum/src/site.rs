//! The HTTP server of the second node: an API, and the gateway on the same port.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request},
    http::request::Parts,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use libp2p::PeerId;
use libp2p_http_proxy::{Gateway, GatewayService};
use tower::ServiceExt;

/// Where the gateway is.
const GATEWAY: &str = "/p2p";

pub(crate) fn router(gateway: Gateway, peer: PeerId) -> anyhow::Result<Router> {
    let peer = peer.to_string();
    let status = async move || Json(serde_json::json!({ "peer": peer }));
    let gateway = gateway
        .into_service()
        .with_client_address(client_address)
        .with_service_hosts()
        .with_prefix(GATEWAY)?;
    Ok(Router::new()
        .route("/api/status", get(status))
        .nest_service(GATEWAY, gateway.clone())
        .layer(middleware::from_fn(move |request, next| {
            by_host(gateway.clone(), request, next)
        })))
}

/// Hosts of services are not this site's, whatever the path.
async fn by_host(gateway: GatewayService, request: Request, next: Next) -> Response {
    if gateway.is_addressed_by(&request) {
        gateway.oneshot(request).await.into_response()
    } else {
        next.run(request).await
    }
}

/// What `into_make_service_with_connect_info` has put there.
fn client_address(parts: &Parts) -> Option<IpAddr> {
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0.ip())
}
