//! Pages that the application has on the gateway's own host, beside the routes to services.

use std::{
    convert::Infallible,
    fmt,
    future::poll_fn,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, StatusCode};
use tower_service::Service;

use crate::{
    body::Body,
    h1::{Fields, Server},
    hop::Hop,
    proxy::{exchange::Asked, gateway::Gateway, record::Record},
    rewrite::Terms,
    tower::{BoxError, Frames, answer_one, convert},
    tunnel::Upgraded,
};

type Call = dyn Fn(http::Request<Body>) -> BoxFuture<'static, http::Response<Body>> + Send + Sync;

/// Whoever answers what is no route.
#[derive(Clone)]
pub(super) struct Own(Arc<Call>);

impl Gateway {
    /// Has `service`, such as an axum `Router`, answer the requests to the gateway's own host that are no
    /// [`Route`](crate::route::Route): a page at `/`, for example. What is below `/http/` and `/p2p/` stays the gateway's,
    /// but for `/http/listen`. Default: they are answered with 400. (Feature `tower`.)
    ///
    /// The rules about hosts and origins hold for these pages, too: no page of another origin reads them or opens a WebSocket
    /// to them, unless [`GatewayConfig::with_allowed_origin`](crate::GatewayConfig::with_allowed_origin) lets it in.
    ///
    /// The extensions of a request hold the [`SocketAddr`] of the client where it came by [`Gateway::serve`]. Upgrades work as
    /// in [`tower::serve`](crate::tower::serve()), and a stream that has become a WebSocket is the service's: it is neither
    /// counted among the clients nor waited for at the end. Fields that say who asks, `X-Libp2p-Peer` too, are what the client
    /// wrote there: an application that answers peers as well is to go by [`tower::Caller`](crate::tower::Caller). An error
    /// or a panic of the service is answered with 500.
    #[must_use]
    pub fn with_own<S, B>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        self.settings.own = Some(Own(Arc::new(move |request| {
            let answered = AssertUnwindSafe(call(service.clone(), request)).catch_unwind();
            Box::pin(answered.map(|answered| {
                let reason = match answered {
                    Ok(Ok(response)) => return response.map(body),
                    Ok(Err(error)) => error.to_string(),
                    // The panic itself has gone to the panic hook, with where it happened.
                    Err(_) => "it panicked".to_owned(),
                };
                tracing::error!(reason, "a page of the gateway failed");
                let mut response = http::Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }))
        })));
        self
    }
}

async fn call<S>(mut service: S, request: http::Request<Body>) -> Result<S::Response, BoxError>
where
    S: Service<http::Request<Body>>,
    S::Error: Into<BoxError>,
{
    let ready = poll_fn(|cx| service.poll_ready(cx)).await;
    ready.map_err(Into::into)?;
    service.call(request).await.map_err(Into::into)
}

impl Own {
    /// Answers a request. Upgrades are for whoever made the request of what hyper has read.
    pub(super) async fn call(&self, request: http::Request<Body>) -> http::Response<Body> {
        (self.0)(request).await
    }

    /// Answers a request that was read from the connection of a client. Nothing else is read from it then: all that
    /// follows is hyper's.
    pub(super) async fn serve(
        &self,
        hop: Hop<Server>,
        asked: Asked<'_>,
        client: SocketAddr,
        record: &mut Record,
    ) {
        let config = Arc::clone(hop.reader.config());
        let stream = Upgraded::new(hop, Arc::clone(&config), Box::new(()));
        let status = AtomicU16::new(0);
        let answer = |request: http::Request<hyper::body::Incoming>| {
            let mut request = request.map(body);
            request.extensions_mut().insert(client);
            let status = &status;
            async move {
                let mut response = self.call(request).await;
                status.store(response.status().as_u16(), Ordering::Relaxed);
                add_terms(&asked.terms, response.headers_mut());
                Ok::<_, Infallible>(response)
            }
        };
        answer_one(asked.head, stream, None, config, answer).await;
        record.status = status.into_inner();
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Own").finish()
    }
}

/// A body of another library, as one of this crate.
pub(super) fn body<B>(body: B) -> Body
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let length = body.size_hint().exact();
    Body::from_source(Frames::new(body), length)
}

/// Adds what a browser is to be told with the response.
pub(super) fn add_terms(terms: &Terms<'_>, headers: &mut HeaderMap) {
    let mut fields = Fields::new();
    terms.add_to(&mut fields);
    // The fields are this crate's own.
    headers.extend(convert::header_map(fields.iter()).unwrap_or_default());
}
