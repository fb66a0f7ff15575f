//! Does the gateway say what is wrong, and go on?

use anyhow::{Result, ensure};
use axum::http::{HeaderName, StatusCode};
use libp2p::PeerId;

use super::{super::client::field, Site, connect};

pub(super) async fn unknown_service(site: &Site) -> Result<String> {
    refused(
        site,
        &format!("/http/{}/no-such-service/", site.origin),
        StatusCode::BAD_GATEWAY,
    )
    .await
}

pub(super) async fn unknown_peer(site: &Site) -> Result<String> {
    refused(
        site,
        &format!("/http/{}/demo/", PeerId::random()),
        StatusCode::BAD_GATEWAY,
    )
    .await
}

pub(super) async fn wrong_path(site: &Site) -> Result<String> {
    refused(site, "/http/not-a-peer/demo/", StatusCode::BAD_REQUEST).await
}

/// The gateway says what is wrong, and goes on serving the connection.
async fn refused(site: &Site, path: &str, status: StatusCode) -> Result<String> {
    let mut connection = connect(site).await?;
    let answer = connection.get(path).await?.expect(status)?;
    ensure!(!answer.body.is_empty(), "there is no explanation");
    let cause = field(&answer.fields, HeaderName::from_static("proxy-status"))?;
    connection
        .get(&site.path(""))
        .await?
        .expect(StatusCode::OK)?;
    // What follows is the explanation, which is long.
    Ok(cause.split("; details").next().unwrap_or(cause).to_owned())
}
