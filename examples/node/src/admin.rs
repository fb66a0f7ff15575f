//! The admin address: what does the node show to whoever runs it?
//!
//! A page, and the data behind it: `/api/state` has all of it at once, `/api/events` goes on with what changes. `/metrics` has
//! the figures for Prometheus. Nothing can be changed from there.

mod events;
mod guard;
mod page;
mod qr;
mod serve;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::serve::serve;
use self::{events::events, guard::Guard};
use crate::{
    status::{News, Status},
    token::Token,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    status: Status,
    /// Ends what has no end by itself.
    shutdown: CancellationToken,
}

/// All that is at the admin address. Without a token it is for clients of this machine.
pub(crate) fn router(status: Status, token: Option<Token>, shutdown: CancellationToken) -> Router {
    let shared = Shared { status, shutdown };
    let guard = Arc::new(Guard::new(token));
    Router::new()
        .route("/api/state", get(state))
        .route("/api/events", get(events))
        .route("/metrics", get(metrics))
        .route("/qr.svg", get(qr::qr))
        .with_state(shared)
        .merge(page::files())
        .fallback(nothing)
        .layer(middleware::from_fn_with_state(guard, guard::guard))
}

async fn nothing() -> impl IntoResponse {
    let text = "there are /, /api/state, /api/events and /metrics\n";
    (StatusCode::NOT_FOUND, text)
}

/// All that is known.
async fn state(State(shared): State<Shared>) -> Json<News> {
    Json(shared.status.since(0).0)
}

/// The figures, in the format of [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/).
async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.status.figures() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
