//! What must hold? The list of checks; each says what it saw.

use anyhow::Result;
use futures::FutureExt;

use super::{Site, Step, client::Connection};

mod bodies;
mod browser;
mod clients;
mod live;
mod page;
mod refusals;

/// Every check, in an order in which the first that fails tells most.
pub(super) fn all(site: &Site) -> Vec<Step<'_>> {
    vec![
        ("page", page::opens(site).boxed()),
        ("relative links", page::links(site).boxed()),
        ("HEAD", page::head(site).boxed()),
        ("form and redirect", page::form(site).boxed()),
        ("caller's verified peer id", page::caller(site).boxed()),
        ("path and query untouched", page::target(site).boxed()),
        ("download, 10 MB", bodies::download(site, false).boxed()),
        (
            "download, 10 MB, chunked",
            bodies::download(site, true).boxed(),
        ),
        ("upload, 10 MB", bodies::upload(site, false).boxed()),
        ("upload, 10 MB, chunked", bodies::upload(site, true).boxed()),
        ("server-sent events", live::events(site).boxed()),
        ("WebSocket", live::web_socket(site).boxed()),
        ("connection reuse", clients::reuse(site).boxed()),
        ("200 clients at once", clients::at_once(site).boxed()),
        ("a port of its own", clients::own_port(site).boxed()),
        ("a host of its own", browser::own_host(site).boxed()),
        ("pages open there: 307", browser::redirect(site).boxed()),
        (
            "another site's page: 403",
            browser::foreign_page(site).boxed(),
        ),
        ("unknown host: 421", browser::unknown_host(site).boxed()),
        (
            "unknown service: 502",
            refusals::unknown_service(site).boxed(),
        ),
        ("unknown peer: 502", refusals::unknown_peer(site).boxed()),
        ("wrong path: 400", refusals::wrong_path(site).boxed()),
    ]
}

async fn connect(site: &Site) -> Result<Connection> {
    Connection::open(site.gateway).await
}
