//! What does a gateway have on its own host, beside the routes to services? A page that says what it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use libp2p_http_proxy::{failure::Failure, route::Route};

use crate::{
    listen,
    local::{is_local, names_this_machine},
    status::Status,
};

const PAGE: &str = include_str!("own/page.html");
const STYLE: &str = include_str!("own/page.css");
pub(crate) const ICON: &str = include_str!("own/icon.svg");

/// What stands in the page for the link to the admin page.
const ADMIN: &str = "<!-- admin -->";

/// For programs that would become services where none may.
const NO_LISTENERS: &str = "\
no program may become a service of this gateway: start it with --allow-listen, or add
[gateway.attach] to its file
";

/// For pages of this program: nothing from elsewhere is loaded, and nothing of it is seen elsewhere.
pub(crate) const SAFE: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// The pages of a gateway, for [`Gateway::with_own`](libp2p_http_proxy::Gateway::with_own), with that by which programs
/// become services where they may.
pub(crate) fn pages(status: Status, listen: Option<Router>) -> Router {
    let refused = || Router::new().route(listen::PATH, any(no_listeners));
    let file = |kind, text| get(async move || (SAFE, [(header::CONTENT_TYPE, kind)], text));
    Router::new()
        .route("/", get(page))
        .route("/p2p-http.css", file("text/css; charset=utf-8", STYLE))
        .route("/p2p-http.svg", file("image/svg+xml", ICON))
        .with_state(status)
        .merge(listen.unwrap_or_else(refused))
        .fallback(not_a_route)
}

/// What this is. Where the node is shown is for those who can look there: not for who comes through a proxy of this machine,
/// which may leave no other trace than the name that it was asked by.
async fn page(State(status): State<Status>, request: Request) -> Response {
    let client = request.extensions().get::<SocketAddr>();
    let admin = status
        .admin()
        .filter(|_| is_local(client, request.headers()) && names_this_machine(&request));
    let link = admin.map(|address| {
        let url = url(address);
        format!("<p>This node: <a href=\"{url}\">{url}</a></p>")
    });
    let page = PAGE.replace(ADMIN, &link.unwrap_or_default());
    let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (SAFE, html, page).into_response()
}

/// The URL of an address at which a server of this machine listens, for a client of this machine.
fn url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("http://{address}/")
}

async fn no_listeners() -> Response {
    (StatusCode::NOT_FOUND, SAFE, NO_LISTENERS).into_response()
}

/// What the gateway says where it has no pages.
async fn not_a_route(request: Request) -> Response {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let Err(error) = Route::parse(target) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accept = request.headers().get(header::ACCEPT);
    let page = Failure::from(error).respond("p2p-gateway", accept.map(HeaderValue::as_bytes));
    axum::http::Response::from(page).map(Body::from)
}
