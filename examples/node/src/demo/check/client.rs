//! How do the checks speak HTTP? With hyper, on connections that they open themselves, so that reuse is seen and not assumed.

use std::{convert::Infallible, net::SocketAddr};

use anyhow::{Context, Result, bail};
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header, request},
};
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type RequestBody = BoxBody<Bytes, Infallible>;

/// One HTTP/1.1 connection; requests go one after the other.
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    host: String,
}

/// A response that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
}

impl Connection {
    /// Connects; the connection lives until it is dropped, or the server closes it.
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // What ends the connection is told to the request that is waiting; between requests nobody needs to know.
        tokio::spawn(async { drop(connection.await) });
        Ok(Self {
            sender,
            host: address.to_string(),
        })
    }

    /// A request for a path, to be completed.
    pub(super) fn request(&self, method: Method, path: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
    }

    /// Sends, and returns as soon as the head of the response is here.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>> {
        // Fails if the server closed the connection, which the checks do not expect between requests.
        self.sender
            .ready()
            .await
            .context("the gateway closed the connection")?;
        self.sender
            .send_request(request)
            .await
            .context("no response")
    }

    /// Sends, and reads the response to its end.
    pub(super) async fn answer(&mut self, request: Request<RequestBody>) -> Result<Answer> {
        let (head, body) = self.send(request).await?.into_parts();
        let body = body
            .collect()
            .await
            .context("the body ended early")?
            .to_bytes();
        Ok(Answer {
            status: head.status,
            fields: head.headers,
            body,
        })
    }

    /// Names another host in the requests that follow.
    pub(super) fn at(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Answer> {
        let request = self.request(Method::GET, path).body(empty())?;
        self.answer(request).await
    }
}

impl Answer {
    /// The answer, if it has this status.
    pub(super) fn expect(self, status: StatusCode) -> Result<Self> {
        if self.status != status {
            bail!(
                "expected {status}, got {}: {}",
                self.status,
                self.text().trim()
            );
        }
        Ok(self)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn field(&self, name: HeaderName) -> Result<&str> {
        field(&self.fields, name)
    }
}

/// The value of a field that must be there, once.
pub(super) fn field(fields: &HeaderMap, name: HeaderName) -> Result<&str> {
    let mut values = fields.get_all(&name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .with_context(|| format!("{name} is not text")),
        (None, _) => bail!("the field {name} is missing"),
        (Some(_), Some(_)) => bail!("the field {name} is there more than once"),
    }
}

pub(super) fn empty() -> RequestBody {
    full(Bytes::new())
}

/// A body whose length is known.
pub(super) fn full(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).boxed()
}

/// A body whose length is not known, sent piece by piece.
pub(super) fn streamed(pieces: impl Iterator<Item = Bytes> + Send + Sync + 'static) -> RequestBody {
    StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece))))).boxed()
}
