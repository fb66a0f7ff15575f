//! The origin's side: an application of `tower` answers the requests of a service.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use futures::{
    FutureExt, StreamExt,
    channel::oneshot,
    future::{AbortHandle, BoxFuture, Either, abortable, pending, select},
    stream::FuturesUnordered,
};
use futures_timer::Delay;
use http::HeaderValue;
use libp2p_identity::PeerId;
use tower_service::Service;

use crate::{
    body::Body,
    driven::Spawn,
    failure::Failure,
    hop::LINGER,
    inbound::{Inbound, InboundRequest},
    message::Response,
    requests::Requests,
    responder::Responder,
    tower::{BoxError, Caller, convert, switch},
};

/// What answers of this side name as the one that failed.
const NAME: &str = "p2p-origin";

/// Serves `requests` by `service`, as [`Serve`] with its default settings does.
///
/// ```no_run
/// # use libp2p_http_proxy::{HttpProxyBehaviour, ServiceTaken, tower};
/// # async fn example(behaviour: &mut HttpProxyBehaviour) -> Result<(), Box<dyn std::error::Error>> {
/// let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// let requests = behaviour.accept("app".parse()?)?;
/// tokio::spawn(tower::serve(requests, app, std::future::pending()));
/// # Ok(())
/// # }
/// ```
pub async fn serve<S, B>(requests: Requests, service: S, shutdown: impl Future<Output = ()>)
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    Serve::new(service).run(requests, shutdown).await;
}

/// Answers the requests of a service by an application: any [`tower_service::Service`] of [`http::Request`]s, an axum
/// `Router` as it is.
///
/// Every request is answered by a clone of the application, at the same time as all others: one that waits stops
/// nobody. How many run at a time is bounded by the limits on inbound streams of [`Config`](crate::Config).
///
/// Needs no particular runtime. All exchanges run in the one task that runs [`run`](Self::run), so that an application
/// that computes for long, or blocks its thread, holds up the others; give them tasks of their own by
/// [`with_spawn`](Self::with_spawn) to use all threads of a runtime.
///
/// # What the application sees
///
/// Every request has a [`Caller`] in its extensions and `X-Libp2p-Peer` among its fields, both from the authenticated
/// connection. A `100 Continue` is sent when the application begins to read a body whose sender waits for it.
///
/// # When something fails
///
/// An error of the application, or its panic, is answered with 500 and reported as
/// [`InboundFailure::ResponseOmitted`](crate::InboundFailure::ResponseOmitted); a panic or error of the body of a
/// response that has begun resets its stream, so that it never looks complete. The connection and its other streams go
/// on in either case; a request that asks to switch protocols gets no answer then but a reset. The future of an
/// application whose peer has gone is dropped.
#[derive(Clone)]
pub struct Serve<S> {
    service: S,
    drain_timeout: Duration,
    spawn: Option<Spawn>,
}

impl<S> Serve<S> {
    /// Answers by `service`.
    #[must_use]
    pub fn new(service: S) -> Self {
        Self {
            service,
            drain_timeout: Duration::from_secs(30),
            spawn: None,
        }
    }

    /// How long running exchanges may go on after the shutdown began. Default: 30 s.
    #[must_use]
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Runs every exchange in a task of its own, which `spawn` starts: `|task| drop(tokio::spawn(task))`. Default: all in
    /// the task that serves. Dropping that one ends these in either case.
    #[must_use]
    pub fn with_spawn(
        mut self,
        spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) -> Self {
        self.spawn = Some(Arc::new(spawn));
        self
    }

    /// Serves `requests` until `shutdown` is done or the service is removed, and then lets running exchanges end, for at
    /// most [`with_drain_timeout`](Self::with_drain_timeout). A stream that has become a WebSocket is the application's
    /// and goes on.
    ///
    /// Then it waits until the last responses have arrived, as [`Requests::close`] says, within the same limit. By then the
    /// swarm may be dropped.
    pub async fn run<B>(self, mut requests: Requests, shutdown: impl Future<Output = ()>)
    where
        S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let mut shutdown = pin!(shutdown);
        let mut exchanges = FuturesUnordered::new();
        let mut peer = PeerText::default();
        loop {
            let next = poll_fn(|cx| {
                while let Poll::Ready(Some(())) = exchanges.poll_next_unpin(cx) {}
                if shutdown.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                requests.poll_inbound(cx)
            });
            let Some(inbound) = next.await else {
                break;
            };
            let text = peer.of(inbound.seat.link.peer);
            exchanges.push(self.start(exchange(self.service.clone(), inbound, text)));
        }
        // Peers learn that the service is gone before the last exchanges end.
        let closed = requests.close();
        let limit = match Instant::now().checked_add(self.drain_timeout) {
            Some(_) => Delay::new(self.drain_timeout).left_future(),
            None => pending().right_future(),
        };
        let ended = exchanges.by_ref().collect::<()>();
        let Either::Left(((), limit)) = select(ended, limit).await else {
            tracing::warn!(cut = exchanges.len(), "exchanges did not end in time");
            return;
        };
        let closed = select(closed, Delay::new(LINGER));
        select(closed, limit).await;
    }

    /// Begins an exchange that ends when what is returned is dropped.
    fn start(&self, exchange: impl Future<Output = ()> + Send + 'static) -> BoxFuture<'static, ()> {
        let guarded = AssertUnwindSafe(exchange).catch_unwind().map(|ended| {
            if ended.is_err() {
                // The panic itself has gone to the panic hook, with where it happened.
                tracing::error!("an application panicked");
            }
        });
        let Some(spawn) = &self.spawn else {
            return Box::pin(guarded);
        };
        let (task, abort) = abortable(guarded);
        let (ended, end) = oneshot::channel::<()>();
        spawn(Box::pin(async move {
            let _aborted = task.await;
            drop(ended);
        }));
        let abort = AbortOnDrop(abort);
        Box::pin(async move {
            // Nothing is ever sent: the task has ended, or whoever ran it dropped it.
            let _ended = end.await;
            drop(abort);
        })
    }
}

/// Ends a task that was spawned.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<S: fmt::Debug> fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("service", &self.service)
            .field("drain_timeout", &self.drain_timeout)
            .finish_non_exhaustive()
    }
}

/// The id of the last peer as text: making that takes longer than the rest of a head, and peers come back.
#[derive(Default)]
struct PeerText(Option<(PeerId, HeaderValue)>);

impl PeerText {
    fn of(&mut self, peer: PeerId) -> HeaderValue {
        if self.0.as_ref().is_none_or(|(known, _)| *known != peer) {
            let text = HeaderValue::try_from(peer.to_string()).expect("base58 is ASCII");
            self.0 = Some((peer, text));
        }
        let (_, text) = self.0.as_ref().expect("has just been set");
        text.clone()
    }
}

/// Answers one request.
async fn exchange<S, B>(service: S, inbound: Box<Inbound>, text: HeaderValue)
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let caller = Caller {
        peer: inbound.seat.link.peer,
        connection_id: inbound.seat.link.connection,
    };
    if inbound.head.context().upgrade {
        switch::serve(service, *inbound, caller, text).await;
        return;
    }
    let InboundRequest {
        request, responder, ..
    } = inbound.into_request();
    let mut parts = match convert::request_parts(&request.head) {
        Ok(parts) => parts,
        Err(failure) => return refuse(responder, &failure).await,
    };
    caller.sign(&mut parts, &text);
    let head_method = request.head.method() == "HEAD";
    let request = http::Request::from_parts(parts, request.body);
    answer(service, request, responder, head_method).await;
}

async fn answer<S, B>(
    mut service: S,
    request: http::Request<Body>,
    mut responder: Responder,
    head_method: bool,
) where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let answered = {
        let mut called = pin!(async {
            let ready = poll_fn(|cx| service.poll_ready(cx)).await;
            ready.map_err(Into::<BoxError>::into)?;
            service.call(request).await.map_err(Into::<BoxError>::into)
        });
        poll_fn(|cx| match called.as_mut().poll(cx) {
            Poll::Ready(answered) => Poll::Ready(Ok(answered)),
            Poll::Pending => responder.poll_gone(cx).map(Err),
        })
        .await
    };
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::error!(
                error = &*error as &dyn std::error::Error,
                "an application failed"
            );
            return; // which is answered with a 500
        }
        Err(reason) => {
            tracing::debug!(
                reason = &reason as &dyn std::error::Error,
                "the peer has gone"
            );
            responder.abandon();
            return;
        }
    };
    let sent = match convert::response(response, head_method) {
        Ok(response) => responder.send(response).await,
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "response not sent"
        );
    }
}

/// Answers a request that no application can be asked.
async fn refuse(responder: Responder, failure: &Failure) {
    let page = failure.respond(NAME, None);
    let Ok(mut response) = Response::new(page.status, page.body) else {
        return;
    };
    *response.head.fields_mut() = page.fields;
    if let Err(error) = responder.send(response).await {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "response not sent"
        );
    }
}
