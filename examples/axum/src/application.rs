//! The application of the first node, as any other of axum.

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    response::{Html, Response},
    routing::{any, get},
};
use libp2p_http_proxy::tower::Caller;

const PAGE: &str = r#"<!doctype html>
<title>No port</title>
<p>This page comes from an axum router that listens nowhere: <a href="/whoami">who am I to it?</a>
<form><input autofocus placeholder="say something"> <output></output></form>
<script>
  const socket = new WebSocket(`ws://${location.host}/echo`);
  const form = document.forms[0];
  form.onsubmit = () => { socket.send(form[0].value); form[0].value = ""; return false; };
  socket.onmessage = (event) => { form.querySelector("output").textContent = event.data; };
</script>
"#;

pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/whoami", get(whoami))
        .route("/echo", any(echo))
}

/// The connection has proved who calls; nothing in the request can change that.
async fn whoami(caller: Caller) -> String {
    format!("you are {}\n", caller.peer)
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}
