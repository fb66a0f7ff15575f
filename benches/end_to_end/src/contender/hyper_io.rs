//! How is hyper run on a socket and on a stream?

use std::{convert::Infallible, future::Future, net::SocketAddr};

use anyhow::Result;
use http_body_util::{Either, Empty, Full};
use hyper::{
    Request, Response,
    body::{Body, Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header::CONNECTION,
    server::conn::http1::Builder,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{pattern::piece, server::SMALL};

/// The body of a request: what came, or none in a request that is made anew to be tried once more.
pub(super) type RequestBody = Either<Incoming, Empty<Bytes>>;

/// What takes requests for the next hop.
pub(super) type Sender = SendRequest<RequestBody>;

/// Serves one connection until it ends.
pub(super) async fn serve<B, F>(
    io: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    B: Body<Error = hyper::Error> + 'static,
    F: Future<Output = Result<Response<B>>>,
{
    // A client whose connection closes without an answer counts that: nothing is lost by not logging it here.
    let _ = server()
        .serve_connection(TokioIo::new(io), service_fn(answer))
        .await;
}

/// Serves one connection until it ends, always with the small answer.
pub(super) async fn serve_small(io: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|_| async {
        let body = Full::new(Bytes::from_static(piece(0, SMALL)));
        Ok::<_, Infallible>(Response::new(body))
    });
    let _ = server().serve_connection(TokioIo::new(io), service).await;
}

/// What answers by itself has no clock to tell, as the other contenders have none.
fn server() -> Builder {
    let mut builder = Builder::new();
    builder.auto_date_header(false);
    builder
}

/// Begins to send requests over `io`.
pub(super) async fn client(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Sender> {
    let (sender, connection) = handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Connects to the server.
pub(super) async fn connect(server: SocketAddr) -> Result<Sender> {
    let socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    client(socket).await
}

/// What came over one hop, for the next one: a `Connection` is about the hop that it came over.
pub(super) fn for_next_hop(mut request: Request<Incoming>) -> Request<RequestBody> {
    request.headers_mut().remove(CONNECTION);
    request.map(Either::Left)
}
