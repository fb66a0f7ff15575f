//! Is the application a site of its own to a browser, and safe from all others?

use anyhow::{Result, ensure};
use axum::http::{Method, StatusCode, header};

use super::{super::client::empty, Site, connect};

const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

pub(super) async fn own_host(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?.at(&site.host);
    let page = connection.get("/").await?.expect(StatusCode::OK)?;
    ensure!(
        page.text().contains(&site.origin.to_string()),
        "the page does not name the origin"
    );
    connection.get("/page.css").await?.expect(StatusCode::OK)?;
    Ok(format!("http://{}:{}/", site.host, site.gateway.port()))
}

pub(super) async fn redirect(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?;
    let request = connection
        .request(Method::GET, &site.path("?a=b"))
        .header(header::ACCEPT, PAGE)
        .body(empty())?;
    let answer = connection
        .answer(request)
        .await?
        .expect(StatusCode::TEMPORARY_REDIRECT)?;
    let location = answer.field(header::LOCATION)?;
    let expected = format!("//{}:{}/?a=b", site.host, site.gateway.port());
    ensure!(location == expected, "redirected to {location}");
    Ok("a page asked for by its path opens at its host".to_owned())
}

pub(super) async fn foreign_page(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?.at(&site.host);
    for method in [Method::GET, Method::POST] {
        let request = connection
            .request(method, "/guestbook")
            .header(header::ORIGIN, "http://evil.example")
            .body(empty())?;
        let answer = connection.answer(request).await?;
        answer.expect(StatusCode::FORBIDDEN)?;
    }
    Ok("it can neither read nor write".to_owned())
}

pub(super) async fn unknown_host(site: &Site) -> Result<String> {
    let mut connection = connect(site).await?.at("evil.example");
    let answer = connection.get(&site.path("")).await?;
    answer.expect(StatusCode::MISDIRECTED_REQUEST)?;
    Ok("a name that was made to point here is refused".to_owned())
}
