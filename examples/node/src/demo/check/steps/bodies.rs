//! Do large bodies arrive unchanged, in both directions and framings?

use anyhow::{Context, Result, bail, ensure};
use axum::http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

use super::{
    super::client::{empty, field, streamed},
    Site, connect,
};
use crate::demo::{app::Receipt, pattern};

/// Size of the bodies. Not a multiple of any buffer.
pub(super) const BODY: u64 = 10_000_000;

pub(super) async fn download(site: &Site, chunked: bool) -> Result<String> {
    let mut connection = connect(site).await?;
    let path = site.path(format_args!(
        "download?bytes={BODY}&chunked={}",
        u8::from(chunked)
    ));
    let request = connection.request(Method::GET, &path).body(empty())?;
    let (head, body) = connection.send(request).await?.into_parts();
    ensure!(head.status == StatusCode::OK, "status {}", head.status);
    let framing = framing(&head.headers)?;
    let expected = if chunked {
        "chunked".to_owned()
    } else {
        format!("Content-Length: {BODY}")
    };
    ensure!(framing == expected, "the body is framed by {framing}");
    let (bytes, hash) = hash(body).await?;
    ensure!(bytes == BODY, "{bytes} bytes arrived");
    ensure!(
        hash == pattern::sha256(BODY),
        "the bytes are not those that were sent"
    );
    Ok(format!("{framing}, SHA-256 as computed here"))
}

pub(super) async fn upload(site: &Site, chunked: bool) -> Result<String> {
    let mut connection = connect(site).await?;
    let mut request = connection.request(Method::POST, &site.path("upload"));
    if !chunked {
        request = request.header(header::CONTENT_LENGTH, BODY);
    }
    let request = request.body(streamed(pattern::pieces(BODY)))?;
    let answer = connection.answer(request).await?.expect(StatusCode::OK)?;
    let receipt: Receipt =
        serde_json::from_slice(&answer.body).context("the receipt is not JSON")?;
    let declared = (!chunked).then_some(BODY);
    let expected = Receipt {
        bytes: BODY,
        sha256: pattern::sha256(BODY),
        declared,
    };
    ensure!(receipt == expected, "the application received {receipt:?}");
    Ok(format!(
        "{}, SHA-256 as computed there",
        if chunked { "chunked" } else { "Content-Length" }
    ))
}

/// The one way in which the end of a body is told.
fn framing(fields: &HeaderMap) -> Result<String> {
    match (
        field(fields, header::CONTENT_LENGTH),
        field(fields, header::TRANSFER_ENCODING),
    ) {
        (Ok(length), Err(_)) => Ok(format!("Content-Length: {length}")),
        (Err(_), Ok(coding)) => Ok(coding.to_owned()),
        (Ok(_), Ok(_)) => bail!("the body is framed twice"),
        (Err(_), Err(_)) => bail!("the body is not framed"),
    }
}

/// Reads a body to its end: how many bytes, and their SHA-256.
async fn hash(mut body: Incoming) -> Result<(u64, String)> {
    let (mut bytes, mut hash) = (0, Sha256::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.context("the body ended early")?.into_data() {
            bytes += data.len() as u64;
            hash.update(&data);
        }
    }
    Ok((bytes, pattern::hex(&hash.finalize())))
}
