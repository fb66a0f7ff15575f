//! Does it hold for many requests: in turn, at once, and at a port of the service's own?

use anyhow::{Result, bail, ensure};
use axum::http::StatusCode;
use futures::future;

use super::{super::client::Connection, Site, connect};

/// Requests that follow each other on one connection.
const IN_A_ROW: usize = 100;

/// Clients that ask at the same time: more than the 128 streams that one peer connection has, so that some must wait.
const AT_ONCE: usize = 200;

pub(super) async fn reuse(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?;
    for i in 0..IN_A_ROW {
        let asked = format!("inspect/{i}");
        let seen = connection
            .get(&site.path(&asked))
            .await?
            .expect(StatusCode::OK)?
            .text();
        ensure!(
            seen.starts_with(&format!("GET /{asked}\n")),
            "request {i} got the answer to another"
        );
    }
    Ok(format!("{IN_A_ROW} requests in turn on one connection"))
}

pub(super) async fn at_once(site: &Site) -> Result<String> {
    let clients = (0..AT_ONCE).map(|i| async move {
        let asked = format!("inspect/{i}");
        let seen = connect(site)
            .await?
            .get(&site.path(&asked))
            .await?
            .expect(StatusCode::OK)?
            .text();
        ensure!(
            seen.starts_with(&format!("GET /{asked}\n")),
            "client {i} got the answer to another"
        );
        Ok(())
    });
    let failures: Vec<_> = future::join_all(clients)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    match failures.first() {
        None => Ok("each got its own answer".to_owned()),
        Some(error) => bail!("{} failed, the first one: {error:#}", failures.len()),
    }
}

pub(super) async fn own_port(site: &Site) -> Result<String> {
    let mut connection = Connection::open(site.forward).await?;
    let page = connection.get("/").await?.expect(StatusCode::OK)?.text();
    ensure!(
        page.contains(&site.origin.to_string()),
        "the page is not that of the origin"
    );
    connection.get("/page.css").await?.expect(StatusCode::OK)?;
    Ok("the page is at /, and so are its links".to_owned())
}
