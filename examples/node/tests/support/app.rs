//! What do the ordinary tests serve? An application that was written without a thought of proxies.

use std::{convert::Infallible, net::SocketAddr, path::Path};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{
        HeaderMap, StatusCode, Uri,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
    response::IntoResponse,
    routing::{any, get},
};
use futures::{StreamExt, stream};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

use super::data::{self, Hash};

/// Serves files of `directory`, and:
/// `/sum` answers what a body was declared as, and its length and SHA-256, `/chunked` has a body of unknown length, `/back` sends the body back as
/// it comes, `/say/…` answers its own path and query. Returns what `--to` takes.
pub(crate) async fn start(directory: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/sum", any(sum))
        .route("/chunked", get(chunked))
        .route("/back", any(back))
        .route("/say/{*anything}", any(say))
        .fallback_service(ServeDir::new(directory));
    tokio::spawn(async { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// What `/sum` answers to a body.
pub(crate) fn receipt(declared: &str, length: u64, sha256: &str) -> String {
    format!("{declared} {length} {sha256}")
}

/// What `/chunked` sends.
pub(crate) fn pieces() -> impl Iterator<Item = Bytes> {
    let all = Bytes::from(data::bytes(1_000_000));
    (0..100).map(move |piece| all.slice(piece * 10_000..(piece + 1) * 10_000))
}

async fn sum(request: Request) -> impl IntoResponse {
    let fields = request.headers();
    let declared = fields.get(CONTENT_LENGTH);
    let declared = declared.or_else(|| fields.get(TRANSFER_ENCODING)).cloned();
    let mut body = request.into_body().into_data_stream();
    let (mut length, mut hash) = (0, Hash::default());
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else {
            return (StatusCode::BAD_REQUEST, "the body was cut".to_owned());
        };
        length += piece.len() as u64;
        hash.update(&piece);
    }
    let declared = declared.as_ref().and_then(|value| value.to_str().ok());
    let receipt = receipt(declared.unwrap_or_default(), length, &hash.finish());
    (StatusCode::OK, receipt)
}

async fn chunked() -> Body {
    Body::from_stream(stream::iter(pieces().map(Ok::<_, Infallible>)))
}

async fn back(request: Request) -> Body {
    request.into_body()
}

async fn say(uri: Uri, fields: HeaderMap) -> String {
    let tag = fields.get("x-tag").and_then(|value| value.to_str().ok());
    format!("{uri} {}", tag.unwrap_or_default())
}
