//! The requester's side: a service of a peer as a `tower` service.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderMap, header, request::Parts};
use thiserror::Error;
use tower_service::Service;

use crate::{
    body::Body,
    client::Client,
    destination::Destination,
    error::ExchangeError,
    event::OutboundFailure,
    h1::{InvalidHead, RequestHead, ResponseHead},
    message::{Request, Response, Switch},
    service::Protocol,
    tower::{BoxError, convert},
    tunnel::Upgraded,
};

/// Why a request by [`ToService`] got no response.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is one that HTTP/1.1 cannot carry.
    #[error("the request cannot be sent")]
    Request(#[source] InvalidHead),
    /// The peer gave no response.
    #[error("the peer gave no response")]
    Outbound(#[from] OutboundFailure),
}

impl From<ExchangeError> for Error {
    fn from(error: ExchangeError) -> Self {
        Self::Outbound(error.into())
    }
}

/// Sends requests to one service of a peer, as a [`tower_service::Service`].
///
/// ```no_run
/// # use libp2p_http_proxy::{HttpProxyBehaviour, ServiceName, tower::ToService};
/// # use tower::ServiceExt as _;
/// # async fn example(behaviour: &HttpProxyBehaviour, peer: libp2p_identity::PeerId) -> Result<(), Box<dyn std::error::Error>> {
/// let app: ServiceName = "app".parse()?;
/// let service = ToService::new(behaviour.client(), peer, &app);
/// let request = http::Request::get("http://app/hello").body(String::new())?;
/// let response = service.oneshot(request).await?;
/// # Ok(())
/// # }
/// ```
///
/// The path and query of the URI are the target, `*` included. Its authority is the `Host`, unless the request has that
/// field; without both, the id of the peer is.
///
/// It is always ready: waiting for a free stream, or for a connection to the peer, is part of the call, as streams are
/// shared with everything that uses the same behaviour. To bound the calls of one user, put a `ConcurrencyLimit` around
/// it. Dropping the future of a call, or the body of its response, ends the exchange.
///
/// A request is sent a second time as by [`Client::send`], and only without a body: one that was read is gone.
///
/// To switch protocols, set `Connection: Upgrade` and `Upgrade`; the tunnel behind a 101 is [`upgraded`].
#[derive(Clone, Debug)]
pub struct ToService {
    client: Client,
    to: Destination,
    protocol: Protocol,
}

impl ToService {
    /// Sends requests to `service` of a peer, which is `to`, or may be found where that says.
    #[must_use]
    pub fn new(client: Client, to: impl Into<Destination>, service: impl Into<Protocol>) -> Self {
        Self {
            client,
            to: to.into(),
            protocol: service.into(),
        }
    }

    /// The head of a request, and the protocol that it asks to switch to.
    fn head(&self, parts: &Parts) -> Result<(RequestHead, Option<String>), Error> {
        let mut head = RequestHead::new(parts.method.as_str(), convert::target(&parts.uri))
            .map_err(Error::Request)?;
        // RFC 9110, section 7.2: Host should be the first field.
        if !parts.headers.contains_key(header::HOST) {
            let host = convert::host(&parts.uri).unwrap_or_else(|| self.to.peer().to_string());
            head = head
                .with_field("Host", host)
                .map_err(|error| Error::Request(error.into()))?;
        }
        convert::push_fields(head.fields_mut(), &parts.headers).map_err(ExchangeError::Misuse)?;
        head.traits.te_trailers = convert::lists(&parts.headers, header::TE, "trailers");
        Ok((head, wanted_protocol(&parts.headers)))
    }
}

impl<B> Service<http::Request<B>> for ToService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let (head, wanted) = this.head(&parts)?;
            let Self {
                client,
                to,
                protocol,
            } = this;
            let length = convert::request_length(&body, &parts);
            if let Some(wanted) = wanted
                && length.is_bodiless()
            {
                return match client.upgrade(to, protocol, head, &wanted).await? {
                    Switch::Switched(head, stream) => switched(head, stream),
                    Switch::Refused(response) => received(response),
                };
            }
            let body = convert::payload(body, length);
            received(client.send(to, protocol, Request { head, body }).await?)
        })
    }
}

/// Takes the stream behind a response of [`ToService`] with the status 101; `None` for any other response, and the second
/// time.
pub fn upgraded<B>(response: &mut http::Response<B>) -> Option<Upgraded> {
    let Tunnel(stream) = response.extensions_mut().remove()?;
    stream.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A stream, in a form that extensions can hold.
#[derive(Clone)]
struct Tunnel(Arc<Mutex<Option<Upgraded>>>);

fn received(response: Response<Body>) -> Result<http::Response<Body>, Error> {
    let Response { head, body } = response;
    let parts = convert::response_parts(&head, head.fields().iter());
    let parts = parts.map_err(ExchangeError::Malformed)?;
    Ok(parts.map(|()| body))
}

fn switched(head: ResponseHead, stream: Upgraded) -> Result<http::Response<Body>, Error> {
    let body = Body::empty();
    let mut response = received(Response { head, body })?;
    let tunnel = Tunnel(Arc::new(Mutex::new(Some(stream))));
    response.extensions_mut().insert(tunnel);
    Ok(response)
}

/// The value of the `Upgrade` field where `Connection` asks for one (RFC 9110, section 7.8).
fn wanted_protocol(headers: &HeaderMap) -> Option<String> {
    let asks = convert::lists(headers, header::CONNECTION, "upgrade");
    let wanted = headers.get(header::UPGRADE).filter(|_| asks)?;
    wanted.to_str().ok().map(str::to_owned)
}
