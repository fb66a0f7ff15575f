//! What does the demo serve? A small web application that knows nothing of libp2p, except the field that tells who calls.
//!
//! It has one of each kind of traffic: a page with relative links, a form, server-sent events, a WebSocket, and bodies of
//! any size in both directions.

use std::{
    convert::Infallible,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use axum::{
    Form, Json, Router,
    body::Body,
    extract::{
        DefaultBodyLimit, Query, Request, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Response, Sse, sse::Event},
    routing::{any, get, post},
};
use futures::{Stream, StreamExt, stream};
use libp2p::PeerId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, time};
use tokio_util::sync::CancellationToken;

use super::{
    guestbook::{GuestBook, Note},
    pattern,
    template::{escape, fill},
};

/// Who calls: set by the origin's node from the authenticated connection.
pub(super) const PEER_FIELD: &str = "x-libp2p-peer";

/// Everything the page loads comes from beside it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The guest book on the page, seen from beside the page.
const BOOK: &str = "./#guestbook";

/// A filled-in form is far below this.
const MAX_FORM: usize = 16 * 1024;

/// The largest WebSocket message that is echoed; it is held in memory.
const MAX_MESSAGE: usize = 1024 * 1024;

/// The application, before it serves.
pub(super) struct App {
    origin: PeerId,
    address: SocketAddr,
}

/// What the handlers share.
struct Shared {
    origin: PeerId,
    address: SocketAddr,
    book: Mutex<GuestBook>,
    shutdown: CancellationToken,
}

impl App {
    /// The application that `origin` offers, listening at `address`.
    pub(super) fn new(origin: PeerId, address: SocketAddr) -> Self {
        Self { origin, address }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until asked to stop; then ends what has no end by itself, and waits for the rest.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let router = self.router(shutdown.clone());
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .context("the application cannot accept requests any more")
    }

    fn router(self, shutdown: CancellationToken) -> Router {
        let shared = Shared {
            origin: self.origin,
            address: self.address,
            book: Mutex::default(),
            shutdown,
        };
        Router::new()
            .route("/", get(page))
            .route("/page.css", get(style))
            .route("/page.js", get(script))
            .route(
                "/guestbook",
                post(sign).get(book).layer(DefaultBodyLimit::max(MAX_FORM)),
            )
            .route("/clock", get(clock))
            .route("/echo", any(echo))
            .route("/download", get(download))
            .route("/upload", post(upload).put(upload))
            .route("/inspect/{*anything}", any(inspect))
            .with_state(Arc::new(shared))
    }
}

async fn page(State(shared): State<Arc<Shared>>, fields: HeaderMap) -> impl IntoResponse {
    let entries = shared
        .book
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .html();
    let page = fill(
        include_str!("page.html"),
        &[
            ("origin", &shared.origin.to_string()),
            ("address", &shared.address.to_string()),
            ("caller", &escape(&caller(&fields))),
            (
                "host",
                &escape(&text_of(&fields, header::HOST).unwrap_or_default()),
            ),
            ("entries", &entries),
        ],
    );
    let fields = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (fields, Html(page))
}

async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("page.css"),
    )
}

async fn script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        include_str!("page.js"),
    )
}

/// Where a reader of the guest book finds it.
async fn book() -> impl IntoResponse {
    (StatusCode::SEE_OTHER, [(header::LOCATION, BOOK)])
}

/// Answers with a redirect that is relative, as this application does not know under which path it is seen.
async fn sign(
    State(shared): State<Arc<Shared>>,
    fields: HeaderMap,
    Form(note): Form<Note>,
) -> Response {
    let mut book = shared.book.lock().unwrap_or_else(PoisonError::into_inner);
    if book.add(&note, &caller(&fields)) {
        (StatusCode::SEE_OTHER, [(header::LOCATION, BOOK)]).into_response()
    } else {
        (StatusCode::UNPROCESSABLE_ENTITY, "write a message first\n").into_response()
    }
}

#[derive(Deserialize)]
struct Clock {
    /// Milliseconds between events.
    #[serde(default = "one_second")]
    every: u64,
}

fn one_second() -> u64 {
    1000
}

/// The time as server-sent events: the data is milliseconds since 1970, so that a reader can tell how long it travelled.
async fn clock(
    State(shared): State<Arc<Shared>>,
    Query(Clock { every }): Query<Clock>,
) -> Response {
    if !(20..=10_000).contains(&every) {
        return (
            StatusCode::BAD_REQUEST,
            "every: milliseconds between events, 20 to 10000\n",
        )
            .into_response();
    }
    let ticks =
        ticks(Duration::from_millis(every)).take_until(shared.shutdown.clone().cancelled_owned());
    Sse::new(ticks).into_response()
}

fn ticks(every: Duration) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(
        (time::interval(every), 1_u64),
        |(mut interval, id)| async move {
            interval.tick().await;
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis();
            let event = Event::default().id(id.to_string()).data(now.to_string());
            Some((Ok(event), (interval, id + 1)))
        },
    )
}

async fn echo(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| echo_messages(socket, shared))
}

async fn echo_messages(mut socket: WebSocket, shared: Arc<Shared>) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = shared.shutdown.cancelled() => {
                let going = CloseFrame { code: close_code::AWAY, reason: "the demo ends".into() };
                // The other side may be gone already.
                let _ = socket.send(Message::Close(Some(going))).await;
                return;
            }
        };
        let sent = match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                socket.send(message).await
            }
            // Answered by the library, a close included: after it there is no further message.
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

#[derive(Deserialize)]
struct Download {
    #[serde(default)]
    bytes: u64,
    #[serde(default)]
    chunked: u8,
}

/// The first `bytes` of the pattern, with their length in the head unless `chunked=1`.
async fn download(Query(Download { bytes, chunked }): Query<Download>) -> Response {
    let pieces = stream::iter(pattern::pieces(bytes).map(Ok::<_, Infallible>));
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"pattern.bin\"",
        )
        .header(header::CACHE_CONTROL, "no-store");
    if chunked != 1 {
        response = response.header(header::CONTENT_LENGTH, bytes);
    }
    match response.body(Body::from_stream(pieces)) {
        Ok(response) => response,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// What arrived of an upload.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Receipt {
    /// Bytes of the body.
    pub(super) bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub(super) sha256: String,
    /// The length that the head declared, if it did.
    pub(super) declared: Option<u64>,
}

/// Counts and hashes a body of any size; a body that is cut short has no receipt.
async fn upload(request: Request) -> Response {
    let declared =
        text_of(request.headers(), header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let mut body = request.into_body().into_data_stream();
    let (mut bytes, mut hash) = (0, Sha256::new());
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => {
                bytes += piece.len() as u64;
                hash.update(&piece);
            }
            Err(error) => {
                return (
                    StatusCode::BAD_REQUEST,
                    format!("the body ended early: {error}\n"),
                )
                    .into_response();
            }
        }
    }
    Json(Receipt {
        bytes,
        sha256: pattern::hex(&hash.finalize()),
        declared,
    })
    .into_response()
}

/// The head of the request as it arrived here, as text.
async fn inspect(request: Request) -> impl IntoResponse {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}: {}", value.as_bytes().escape_ascii());
    }
    ([(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text)
}

fn caller(fields: &HeaderMap) -> String {
    text_of(fields, HeaderName::from_static(PEER_FIELD))
        .unwrap_or_else(|| "nobody: asked without libp2p".to_owned())
}

fn text_of(fields: &HeaderMap, name: HeaderName) -> Option<String> {
    fields
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
