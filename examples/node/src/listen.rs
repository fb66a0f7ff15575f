//! `/http/listen/NAME` of a gateway: how do local programs become services of the node without listening anywhere?

mod allowed;
mod names;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use futures::{AsyncRead, AsyncWrite};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use libp2p_http_proxy::ServiceName;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::server::create_response_with_body, protocol::Role},
};

use self::names::{Held, Names, Refused};
pub(crate) use self::{allowed::Allowed, names::Site};
use crate::{
    local::{is_local, names_this_machine},
    token::{self, Token},
    wire::{self, Asks, Leave, Opener, SUBPROTOCOL, Socket, Streams},
};

/// How long the answer to a handshake may take to leave.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How a browser, which cannot set fields, gives a token: as a subprotocol with this in front.
const BEARER: &str = "bearer.";

/// Where programs become services.
pub(crate) const PATH: &str = "/http/listen/{name}";

const HOW: &str = "\
A program becomes a service of this node by a WebSocket to this address: `p2p-http attach` does it,
and `p2p-http attach --help` tells how others do.
";

/// What the page knows.
struct Page {
    names: Arc<Names>,
    token: Option<Token>,
}

/// The page among those of a gateway. Without a token it is for clients of this machine.
pub(crate) fn page(site: Site, token: Option<Token>) -> Router {
    let names = Names::new(site);
    Router::new()
        .route(PATH, any(listen))
        .with_state(Arc::new(Page { names, token }))
}

async fn listen(
    State(page): State<Arc<Page>>,
    Path(name): Path<String>,
    mut request: Request,
) -> Response {
    if request.method() != Method::GET {
        let allow = [(header::ALLOW, "GET")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, HOW).into_response();
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let Some(upgrade) = upgrade.filter(|_| asks_for_web_socket(request.headers())) else {
        // RFC 9110, section 15.5.22.
        let fields = [
            (header::UPGRADE, "websocket"),
            (header::CONNECTION, "Upgrade"),
        ];
        return (StatusCode::UPGRADE_REQUIRED, fields, HOW).into_response();
    };
    if let Err(refused) = page.admit(&request) {
        return refused;
    }
    let name: ServiceName = match name.parse() {
        Ok(name) => name,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let mut response = match handshake(&request) {
        Ok(response) => response,
        Err(reason) => return refuse(StatusCode::BAD_REQUEST, reason),
    };
    let share = match shares(request.uri().query()) {
        Ok(share) => share,
        Err(reason) => return refuse(StatusCode::BAD_REQUEST, reason),
    };
    let (opener, asks) = Opener::new();
    match page.names.hold(name, share, opener).await {
        Ok(held) => {
            tokio::spawn(serve(upgrade, asks, held));
        }
        Err(refused) => response = refused.into_response(),
    }
    response
}

/// The listener, until it goes.
async fn serve(upgrade: OnUpgrade, asks: Asks, held: Held) {
    let Ok(Ok(upgraded)) = timeout(HANDSHAKE, upgrade).await else {
        return held.release().await;
    };
    let name = held.name().clone();
    tracing::info!(%name, "a listener came");
    let io = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(wire::config())).await;
    let leave = Leave::default();
    let mut streams = Streams::opening(Socket::new(socket, leave.clone()), asks);
    let opener = held.opener();
    let ended = tokio::select! {
        reason = end(&mut streams, held.over()) => Some(reason),
        () = leave.known() => None,
    };
    // From here on the name is for others.
    streams.open_no_more();
    held.release().await;
    let reason = match ended {
        Some(reason) => reason,
        None => {
            tracing::info!(%name, "a listener takes no more requests");
            end(&mut streams, opener.unused()).await
        }
    };
    tracing::info!(%name, reason, "a listener has gone");
    // Nobody waits for its word of goodbye.
    let _ = timeout(HANDSHAKE, streams.close()).await;
}

/// Moves what a listener sends and gets until it is `over`, or the listener has gone; says why.
async fn end<T>(streams: &mut Streams<T>, over: impl Future<Output = ()>) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    tokio::select! {
        ended = streams.next() => match ended {
            Ok(None) => "it closed the connection".to_owned(),
            Ok(Some(_)) => "it opened a stream, which is the gateway's part".to_owned(),
            Err(error) => error.to_string(),
        },
        () = over => "no exchange needs it any more".to_owned(),
    }
}

impl Page {
    /// Whether the sender of a request may become a service.
    fn admit(&self, request: &Request) -> Result<(), Response> {
        let fields = request.headers();
        let Some(token) = &self.token else {
            return admit_local(request);
        };
        let authorization = fields.get(header::AUTHORIZATION);
        let claimed = authorization.and_then(token::bearer);
        let offered = subprotocols(fields).find_map(|name| name.strip_prefix(BEARER));
        if claimed.or(offered).is_some_and(|claimed| token.is(claimed)) {
            return Ok(());
        }
        let ask = [(header::WWW_AUTHENTICATE, "Bearer")];
        let text = "listeners of this gateway need its token: Authorization: Bearer TOKEN\n";
        Err((StatusCode::UNAUTHORIZED, ask, text).into_response())
    }
}

/// Without a token only this machine may, by its own name, and no page in a browser, whatever the gateway lets it do
/// otherwise. A proxy that adds no field and is asked by a domain of the gateway looks like this machine in all but the name.
fn admit_local(request: &Request) -> Result<(), Response> {
    let fields = request.headers();
    let client = request.extensions().get::<SocketAddr>();
    let is_from_here = is_local(client, fields) && !fields.contains_key(header::ORIGIN);
    if !is_from_here || !names_this_machine(request) {
        let reason = "without a token (--listen-token) only programs of this machine can be services, by its IP address or localhost";
        return Err(refuse(StatusCode::FORBIDDEN, reason));
    }
    Ok(())
}

fn asks_for_web_socket(fields: &HeaderMap) -> bool {
    let value = fields.get(header::UPGRADE);
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The subprotocols that a client offers (RFC 6455, section 11.3.4).
fn subprotocols(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = fields.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let lists = lists.filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',').map(str::trim))
}

/// The answer to a handshake (RFC 6455, section 4.2.2).
fn handshake(request: &Request) -> Result<Response, String> {
    if !subprotocols(request.headers()).any(|name| name == SUBPROTOCOL) {
        return Err(format!("offer the subprotocol {SUBPROTOCOL}"));
    }
    let response = create_response_with_body(request, Body::empty);
    let mut response = response.map_err(|error| error.to_string())?;
    let chosen = HeaderValue::from_static(SUBPROTOCOL);
    response
        .headers_mut()
        .insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(response)
}

/// Whether a name is to be shared, as the query says.
fn shares(query: Option<&str>) -> Result<bool, &'static str> {
    match query.unwrap_or_default() {
        "" | "share=0" => Ok(false),
        "share=1" => Ok(true),
        _ => Err("the query can be share=1, and nothing else"),
    }
}

fn refuse(status: StatusCode, reason: impl std::fmt::Display) -> Response {
    (status, format!("{reason}\n")).into_response()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Taken => refuse(
                StatusCode::CONFLICT,
                "the name is taken; it can be shared if all of its listeners ask for that (?share=1)",
            ),
            Self::TooMany | Self::Stopping => {
                let reason = match self {
                    Self::TooMany => "there are too many listeners; try again\n",
                    _ => "the gateway is shutting down; try again\n",
                };
                let later = [(header::RETRY_AFTER, "5")];
                (StatusCode::SERVICE_UNAVAILABLE, later, reason).into_response()
            }
        }
    }
}
