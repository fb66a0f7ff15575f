//! Outbound requests, from any task.

use std::{error::Error, fmt, sync::Arc};

use futures::channel::oneshot;
use libp2p_identity::PeerId;

use crate::{
    body::Body,
    config::Config,
    destination::Destination,
    event::OutboundFailure,
    h1::RequestHead,
    message::{Request, Response, Switch},
    outbound::{Acquired, Lent, Reuse},
    outgoing::{Answered, Failed, Outgoing},
    payload::Payload,
    service::Protocol,
    shared::Shared,
    stats::Stats,
};

/// Sends requests to services of peers, from any task.
///
/// Made by [`HttpProxyBehaviour::client`](crate::HttpProxyBehaviour::client); clones share their streams. A request
/// goes out on an idle stream, or on one that is opened for it; the peer is dialled if need be. More requests than
/// [`Config::max_outbound_streams`](crate::Config::max_outbound_streams) wait for their turn.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Sends a request and waits for the head of its response. Interim responses are passed over. It goes to a peer, which
    /// may come with addresses where it is dialled for this request, too: see [`Destination`].
    ///
    /// A request that fails on a reused stream before any byte of a response came is sent once more on a fresh one,
    /// if nothing of it was sent or its method is idempotent (RFC 9110 section 9.2.2), and its body is in memory.
    ///
    /// The body leaves with the head, also after `Expect: 100-continue`; what is left of it when the response comes is sent while
    /// the body of that is read. Dropping the future, or the body of the response, gives the exchange up: a stream that it
    /// has is reset, so that the peer notices, and nothing else is affected.
    ///
    /// # Errors
    ///
    /// The peer cannot be reached or does not offer the service, a limit or timeout of
    /// [`Config`] was hit, or the exchange failed on its stream.
    pub async fn send(
        &self,
        to: impl Into<Destination>,
        service: impl Into<Protocol>,
        request: Request<impl Into<Payload>>,
    ) -> Result<Response<Body>, OutboundFailure> {
        self.send_noting(to.into(), service.into(), request, |_| {})
            .await
    }

    /// As [`send`](Self::send), and says whenever there is a stream for the request, and whether it is a reused one.
    pub(crate) async fn send_noting(
        &self,
        to: Destination,
        service: Protocol,
        request: Request<impl Into<Payload>>,
        connected: impl FnMut(bool),
    ) -> Result<Response<Body>, OutboundFailure> {
        let driver = Driver::Caller(Outgoing::new(request.head, None));
        let answered = self.exchange(to, &service, driver, request.body.into(), connected);
        Ok(answered.await?.into_response())
    }

    /// As [`send`](Self::send), but the task of the connection moves the bytes, for callers that must not be kept
    /// busy with them.
    pub(crate) async fn send_on_connection(
        self,
        to: Destination,
        protocol: Protocol,
        head: RequestHead,
        payload: Payload,
    ) -> Result<Response<Body>, OutboundFailure> {
        let driver = Driver::Connection(Arc::new(Outgoing::new(head, None)));
        let answered = self.exchange(to, &protocol, driver, payload, |_| {});
        Ok(answered.await?.into_response())
    }

    /// Asks the service to switch to `protocol`, such as `websocket` (RFC 9110 section 7.8). The fields that the new
    /// protocol needs are the caller's to set; `Connection` and `Upgrade` are written here.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). A refusal by the service is not an error but [`Switch::Refused`].
    pub async fn upgrade(
        &self,
        to: impl Into<Destination>,
        service: impl Into<Protocol>,
        head: RequestHead,
        protocol: &str,
    ) -> Result<Switch<Body>, OutboundFailure> {
        self.upgrade_noting(to.into(), service.into(), head, protocol, |_| {})
            .await
    }

    /// As [`upgrade`](Self::upgrade), and says whenever there is a stream for the request, and whether it is a reused one.
    pub(crate) async fn upgrade_noting(
        &self,
        to: Destination,
        service: Protocol,
        head: RequestHead,
        protocol: &str,
        connected: impl FnMut(bool),
    ) -> Result<Switch<Body>, OutboundFailure> {
        let driver = Driver::Caller(Outgoing::new(head, Some(protocol.to_owned())));
        let answered = self.exchange(to, &service, driver, Payload::empty(), connected);
        Ok(answered.await?.into_switch())
    }

    /// How many streams and waiting requests the behaviour has, and has had. To count them takes a moment for each peer that
    /// is in use.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            inbound_streams: self.shared.admission.count(),
            ..self.shared.outbound.stats()
        }
    }

    async fn exchange(
        &self,
        to: Destination,
        protocol: &Protocol,
        driver: Driver,
        payload: Payload,
        mut connected: impl FnMut(bool),
    ) -> Result<Answered, OutboundFailure> {
        let half_close = self.shared.config.half_close(protocol);
        let spare = payload.try_clone();
        let lent = self.acquire(&to, protocol, Reuse::Allowed).await?;
        let reused = lent.reused;
        connected(reused);
        let failed = match driver.send(lent, payload, half_close).await {
            Ok(answered) => return Ok(answered),
            Err(failed) => failed,
        };
        match spare {
            Some(payload) if reused && failed.may_retry => {
                let peer = to.peer();
                tracing::debug!(%peer, %protocol, error = &failed.error as &dyn Error, "sending again");
                let lent = self.acquire(&to, protocol, Reuse::Refused).await?;
                connected(false);
                let sent = driver.send(lent, payload, half_close).await;
                sent.map_err(|failed| OutboundFailure::of(failed.error, protocol))
            }
            _ => Err(OutboundFailure::of(failed.error, protocol)),
        }
    }

    /// A stream to the service: idle, or the next that becomes available within
    /// [`Config::dial_timeout`](crate::Config::dial_timeout).
    pub(crate) async fn acquire(
        &self,
        to: &Destination,
        protocol: &Protocol,
        reuse: Reuse,
    ) -> Result<Lent, OutboundFailure> {
        let acquired = if to.addresses().is_empty() {
            match self.shared.outbound.acquire(to.peer(), protocol, reuse)? {
                // Here and not by the function, as each layer of futures copies what comes through it.
                Acquired::Now(lent) => return Ok(lent),
                later => later.granted().await,
            }
        } else {
            // On the heap, as few requests come with addresses and all would have to be as large as those.
            Box::pin(self.acquire_at(to, protocol, reuse)).await
        };
        match acquired {
            // The stream that was dead has ended with its connection, before the swarm said so.
            Err(OutboundFailure::ConnectionClosed) if reuse == Reuse::Refused => {
                Box::pin(self.acquire_at(to, protocol, reuse)).await
            }
            acquired => acquired,
        }
    }

    /// As [`acquire`](Self::acquire), once, of a peer that may be at the addresses of its destination, too. Whichever
    /// way leads to it first is taken, and the request fails if none does.
    async fn acquire_at(
        &self,
        to: &Destination,
        protocol: &Protocol,
        reuse: Reuse,
    ) -> Result<Lent, OutboundFailure> {
        let outbound = &self.shared.outbound;
        let attempted = outbound.dial_at(to)?;
        let known = outbound.acquire(to.peer(), protocol, reuse)?;
        match (known.granted().await, attempted) {
            (Err(known), Some(attempted)) if known.is_of_dial() => match attempted.await {
                Ok(()) => {
                    let acquired = outbound.acquire(to.peer(), protocol, reuse)?;
                    acquired.granted().await
                }
                Err(error) => Err(error.and(known)),
            },
            (known, _) => known,
        }
    }

    /// An id for an exchange that is not made by [`send`](Self::send).
    pub(crate) fn next_id(&self) -> u64 {
        self.shared.ids.outbound().value()
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.shared.config
    }

    /// Whether this is the peer id of the node itself.
    pub(crate) fn is_local(&self, peer: PeerId) -> bool {
        self.shared.local_peer == peer
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A request, and who moves its bytes.
enum Driver {
    /// The task that makes the request.
    Caller(Outgoing),
    /// The task of the connection.
    Connection(Arc<Outgoing>),
}

impl Driver {
    async fn send(
        &self,
        lent: Lent,
        payload: Payload,
        half_close: bool,
    ) -> Result<Answered, Failed> {
        match self {
            Self::Caller(outgoing) => outgoing.send(lent, payload, half_close).await,
            Self::Connection(outgoing) => {
                let outgoing = Arc::clone(outgoing);
                let link = Arc::clone(lent.seat.link());
                let (reply, answer) = oneshot::channel();
                link.leave(|inbox| {
                    inbox.jobs.push(Box::pin(async move {
                        // Where nobody waits any more, dropping the response is all there is to do.
                        let _ = reply.send(outgoing.send(lent, payload, half_close).await);
                    }));
                });
                // A job is dropped only with its connection.
                answer.await.unwrap_or_else(|_| Err(Failed::closed()))
            }
        }
    }
}
