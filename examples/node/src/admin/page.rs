//! What is the page made of? Files of this program.

use axum::{Router, http::header, routing::get};

use crate::own::ICON;

/// Each file with its type and what is in it.
const FILES: [(&str, &str, &str); 8] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/page.html"),
    ),
    ("/icon.svg", "image/svg+xml", ICON),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    (
        "/requests.css",
        "text/css; charset=utf-8",
        include_str!("page/requests.css"),
    ),
    (
        "/page.js",
        "text/javascript; charset=utf-8",
        include_str!("page/page.js"),
    ),
    (
        "/node.js",
        "text/javascript; charset=utf-8",
        include_str!("page/node.js"),
    ),
    (
        "/requests.js",
        "text/javascript; charset=utf-8",
        include_str!("page/requests.js"),
    ),
    (
        "/dom.js",
        "text/javascript; charset=utf-8",
        include_str!("page/dom.js"),
    ),
];

/// The files.
pub(super) fn files() -> Router {
    FILES
        .into_iter()
        .fold(Router::new(), |router, (path, kind, text)| {
            let file = ([(header::CONTENT_TYPE, kind)], text);
            router.route(path, get(async move || file))
        })
}
