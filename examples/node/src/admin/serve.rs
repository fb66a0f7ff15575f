//! How are the clients of the admin address served? A few at a time.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use libp2p_http_proxy::client_of;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service as _;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 64;

/// Connections of one client at a time, so that nobody has all of them; one more is closed. A browser has 6, and this machine is
/// one client, with all of its browsers and programs.
const OF_ONE_CLIENT: usize = 16;

/// How long a request head may take, from the accepted connection or the end of the exchange before. Who says nothing is in the
/// way of others, and who comes back connects again.
const HEAD: Duration = Duration::from_secs(5);

/// How long answers that are on their way may take at the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long to wait before accepting again where the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until asked to stop.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut places = Places::default();
    let clients = TaskTracker::new();
    let accept = async {
        loop {
            let place = Arc::clone(&room).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, address)) => {
                    let Some(own) = places.take(address.ip()) else {
                        tracing::debug!(%address, "a client of the admin address has too many connections");
                        continue;
                    };
                    let client = client(stream, address, router.clone(), shutdown.clone());
                    clients.spawn(async move {
                        client.await;
                        drop((place, own));
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
        biased;
        // Who comes now is for what goes on at this port.
        () = shutdown.cancelled() => {}
        () = accept => {}
    }
    drop(listener);
    clients.close();
    clients.wait().await;
}

/// The places of each client that has a connection.
#[derive(Default)]
struct Places(HashMap<IpAddr, Arc<Semaphore>>);

impl Places {
    /// A place for a connection, unless its client has as many as it may.
    fn take(&mut self, address: IpAddr) -> Option<OwnedSemaphorePermit> {
        self.0
            .retain(|_, places| places.available_permits() < OF_ONE_CLIENT);
        let places = self.0.entry(client_of(address));
        let places = places.or_insert_with(|| Arc::new(Semaphore::new(OF_ONE_CLIENT)));
        Arc::clone(places).try_acquire_owned().ok()
    }
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpSocket,
        time::Instant,
    };

    use super::*;

    /// A server that answers, but for `/wait`.
    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/wait", get(pending::<()>));
        tokio::spawn(serve(listener, router, CancellationToken::new()));
        address
    }

    /// A client at an address of this machine that has asked for something.
    async fn ask(from: &str, at: SocketAddr, path: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        let mut stream = socket.connect(at).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// What it is answered: nothing, if it is closed.
    async fn answer(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_has_to_go_soon() {
        let began = Instant::now();
        let silent = TcpStream::connect(start().await).await.unwrap();
        assert_eq!(answer(silent).await, "");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
    }

    /// Other systems have a single IPv4 address of their own.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn one_client_leaves_places_to_others() {
        const ONE: &str = "127.0.0.1:0";
        let address = start().await;
        let mut waiting = Vec::new();
        for _ in 0..OF_ONE_CLIENT {
            waiting.push(ask(ONE, address, "/wait").await);
        }
        for _ in OF_ONE_CLIENT..CONNECTIONS {
            assert_eq!(answer(ask(ONE, address, "/").await).await, "");
        }
        let other = answer(ask("127.0.0.2:0", address, "/").await);
        let other = timeout(Duration::from_secs(60), other).await.unwrap();
        assert!(other.ends_with("here"), "{other}");

        // A place is free again once its connection is closed.
        waiting.pop();
        while answer(ask(ONE, address, "/").await).await.is_empty() {}
    }
}
