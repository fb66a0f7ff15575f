//! Does a real browser show what a peer serves?

use std::{convert::Infallible, fs, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{WebSocketUpgrade, ws::WebSocket},
    response::{Html, Sse, sse::Event},
    routing::{any, get, post},
};
use futures::{StreamExt, stream};
use tokio::{net::TcpListener, sync::Notify};

use support::{
    node::{Node, Pair},
    program::{command, python_server, require},
    within,
};

mod support;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The document that a new, headless browser has made of a URL, once all of it is loaded; `None` without a browser.
async fn document(url: &str) -> Option<String> {
    let program = require(&NAMES)?;
    let profile = tempfile::tempdir().unwrap();
    let mut command = command(program);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
    ]);
    command.args(["--no-first-run", "--disable-background-networking"]);
    command.args(["--disable-component-update", "--disable-sync"]);
    command.args(["--disable-dev-shm-usage", "--no-proxy-server"]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.args(["--dump-dom", url]);
    let output = within("the browser", command.output()).await.unwrap();
    let document = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", output.status);
    Some(document)
}

#[tokio::test]
async fn the_page_of_the_demo_is_shown_and_runs() {
    let demo = Node::start(&["demo", "--listen", "127.0.0.1:0"]).await;
    let url = demo.fact("url page ").to_owned();
    let Some(document) = document(&url).await else {
        return;
    };
    let peer = demo.fact("peer ");
    assert!(
        document.contains(&format!("<code>{peer}</code>")),
        "{document}"
    );
    // Written by the script, which came from beside the page.
    assert!(
        document.contains(&format!("<span id=\"location\">{url}</span>")),
        "{document}"
    );
}

#[tokio::test]
async fn a_directory_listing_is_shown_under_both_kinds_of_url() {
    let Some(python) = require(&["python3"]) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a file.txt"), "what is in it\n").unwrap();
    let (_python, target) = python_server(&python, directory.path()).await;
    let pair = Pair::start(&target).await;
    let forward = Node::forward(&pair.origin, "app").await;
    let root = format!("http://{}/", forward.http("forward "));
    for url in [pair.url("/"), root] {
        let Some(document) = document(&url).await else {
            return;
        };
        let link = r#"<a href="a%20file.txt">a file.txt</a>"#;
        assert!(document.contains(link), "{url}: {document}");
    }
}

/// The document is complete when the image is there, and the image comes when the script has told its results.
const LIVE: &str = r#"<!doctype html><title>live</title><p id="results"></p><img src="image"><script>
const socket = new Promise((done) => {
  const socket = new WebSocket(new URL("socket", location.href).href.replace("http", "ws"));
  socket.onopen = () => socket.send("over a socket");
  socket.onmessage = (event) => done(event.data);
  socket.onerror = () => done("no socket");
});
const events = new Promise((done) => {
  const events = new EventSource("events");
  events.onmessage = (event) => { events.close(); done(event.data); };
  events.onerror = () => done("no events");
});
const posted = fetch("back", { method: "POST", body: "in a body" })
  .then((response) => response.text(), () => "no response");
Promise.all([socket, events, posted]).then((results) => {
  document.getElementById("results").textContent = results.join(", ");
  fetch("told", { method: "POST" });
});
</script>"#;

#[tokio::test]
async fn a_page_has_its_socket_its_events_and_its_requests() {
    let told = Arc::new(Notify::new());
    let tell = Arc::clone(&told);
    let app = Router::new()
        .route("/", get(Html(LIVE)))
        .route(
            "/socket",
            any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)),
        )
        .route("/events", get(async || Sse::new(events())))
        .route("/back", post(async |body: Bytes| body))
        .route("/told", post(async move || tell.notify_one()))
        .route("/image", get(async move || told.notified().await));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });
    let pair = Pair::start(&target).await;
    let Some(document) = document(&pair.url("/")).await else {
        return;
    };
    let results = "over a socket, as an event, in a body</p>";
    assert!(document.contains(results), "{document}");
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// One event, and no end.
fn events() -> impl stream::Stream<Item = Result<Event, Infallible>> {
    stream::iter([Ok(Event::default().data("as an event"))]).chain(stream::pending())
}
