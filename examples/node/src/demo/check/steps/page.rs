//! Does the page work as a web page: its links, its form, and the head of each request?

use anyhow::{Result, ensure};
use axum::http::{Method, StatusCode, header};
use libp2p::PeerId;

use super::{
    super::client::{empty, full},
    Site,
    bodies::BODY,
    connect,
};
use crate::demo::app::PEER_FIELD;

pub(super) async fn opens(site: &Site) -> Result<String> {
    let answer = connect(site)
        .await?
        .get(&site.path(""))
        .await?
        .expect(StatusCode::OK)?;
    let text = answer.text();
    ensure!(
        answer.field(header::CONTENT_TYPE)?.starts_with("text/html"),
        "not HTML"
    );
    ensure!(
        text.contains(&site.origin.to_string()),
        "the page does not name the origin"
    );
    ensure!(
        text.contains(&site.caller.to_string()),
        "the page does not name the caller"
    );
    Ok(format!("{} bytes that name both peers", answer.body.len()))
}

pub(super) async fn links(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?;
    let page = connection
        .get(&site.path(""))
        .await?
        .expect(StatusCode::OK)?
        .text();
    for (link, kind) in [("page.css", "text/css"), ("page.js", "text/javascript")] {
        ensure!(
            page.contains(&format!("=\"{link}\"")),
            "the page does not link to {link}"
        );
        let answer = connection
            .get(&site.path(link))
            .await?
            .expect(StatusCode::OK)?;
        ensure!(
            answer.field(header::CONTENT_TYPE)?.starts_with(kind),
            "{link} is not {kind}"
        );
    }
    Ok("style and script load from beside the page".to_owned())
}

pub(super) async fn head(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?;
    let path = site.path(format_args!("download?bytes={BODY}"));
    let request = connection.request(Method::HEAD, &path).body(empty())?;
    let answer = connection.answer(request).await?.expect(StatusCode::OK)?;
    let length = answer.field(header::CONTENT_LENGTH)?;
    ensure!(length == BODY.to_string(), "Content-Length is {length}");
    ensure!(answer.body.is_empty(), "a response to HEAD has a body");
    // A gateway that does not know that no body follows would answer this one too late or with rubbish.
    connection
        .get(&site.path(""))
        .await?
        .expect(StatusCode::OK)?;
    Ok(format!("Content-Length: {length}, and no body"))
}

pub(super) async fn form(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?;
    let mark = PeerId::random();
    let request = connection
        .request(Method::POST, &site.path("guestbook"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(full(format!("name=check&message=%3Cb%3E{mark}%26")))?;
    let answer = connection
        .answer(request)
        .await?
        .expect(StatusCode::SEE_OTHER)?;
    let location = answer.field(header::LOCATION)?;
    ensure!(
        location == "./#guestbook",
        "the redirect was changed to {location}"
    );
    let page = connection
        .get(&site.path(""))
        .await?
        .expect(StatusCode::OK)?
        .text();
    ensure!(
        page.contains(&format!("&lt;b&gt;{mark}&amp;")),
        "the entry is not on the page"
    );
    Ok(format!("303 to {location}, and the entry is on the page"))
}

pub(super) async fn caller(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?;
    let liar = PeerId::random().to_string();
    let request = connection
        .request(Method::GET, &site.path("inspect/me"))
        .header("X-Libp2p-Peer", &liar)
        .header("x_libp2p_peer", &liar)
        .header("Connection", "X-Libp2p-Peer")
        .body(empty())?;
    let seen = connection
        .answer(request)
        .await?
        .expect(StatusCode::OK)?
        .text();
    ensure!(
        !seen.contains(&liar),
        "a peer id that the client made up arrived"
    );
    let names: Vec<_> = seen
        .lines()
        .filter_map(|line| line.strip_prefix(PEER_FIELD)?.strip_prefix(": "))
        .collect();
    ensure!(
        names == [site.caller.to_string()],
        "the application saw {names:?}"
    );
    Ok("the gateway's id arrived, a made-up one did not".to_owned())
}

pub(super) async fn target(site: &Site) -> Result<String> {
    let asked = "inspect/a%2Fb//c/../%E2%82%AC;x=1?q=%20&r=/x/../?&empty=";
    let seen = connect(site)
        .await?
        .get(&site.path(asked))
        .await?
        .expect(StatusCode::OK)?
        .text();
    let line = seen.lines().next().unwrap_or_default();
    ensure!(
        line == format!("GET /{asked}"),
        "the application saw {line}"
    );
    Ok(line.to_owned())
}
