//! How are the clients of the admin address served? A few at a time.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service as _;

/// Connections at a time. A browser has 6, one of which waits for events; more wait to be accepted.
const CLIENTS: usize = 64;

/// How long a request head may take, from the accepted connection or the end of the exchange before.
const HEAD: Duration = Duration::from_secs(30);

/// How long answers that are on their way may take at the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long to wait before accepting again where the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until asked to stop.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(CLIENTS));
    let clients = TaskTracker::new();
    let accept = async {
        loop {
            let place = Arc::clone(&room).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, address)) => {
                    let client = client(stream, address, router.clone(), shutdown.clone());
                    clients.spawn(async move {
                        client.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client of the admin address");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown.cancelled() => {}
    }
    drop(listener);
    clients.close();
    clients.wait().await;
}

async fn client(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    shutdown: CancellationToken,
) {
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(address);
        // A router is always ready.
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client of the admin address has gone");
    }
}
