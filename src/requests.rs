//! Inbound requests as a stream, for tasks that answer a service beside the swarm's event loop.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt, Stream, StreamExt, channel::mpsc};

use crate::{
    event::ServiceTaken,
    h1::{RequestHead, Server},
    hop::Hop,
    inbound::{Inbound, InboundRequest},
    link::{Arrival, InboundSeat, Link},
    members::Waiting,
    parking::{Arrived, Parking, refuse_unread},
    service::ServiceName,
    services::Service,
    shared::Shared,
};

/// The requests of one service, past the swarm's event loop: a slow loop does not slow the service.
///
/// Made by [`HttpProxyBehaviour::accept`](crate::HttpProxyBehaviour::accept). Dropping it removes the service;
/// exchanges that have begun go on, and requests that were not taken are answered as if they had come later. It ends when the
/// service is removed, and with the behaviour.
///
/// The task that polls this also reads the requests, but for the first one of every stream: those come read, and wait in
/// a queue of [`Config::max_queued_requests`](crate::Config::max_queued_requests); what does not fit there is answered
/// with 503. A task that polls seldom thus slows down those who send to it, and holds up neither the connections nor the
/// other services. How many streams can wait is bounded by the limits on inbound streams.
///
/// Answers that take little time cost least in the task that reads the requests, many at once; those that take long
/// belong into tasks of their own.
///
/// ```
/// use futures::StreamExt;
/// use libp2p_http_proxy::{Requests, Response};
///
/// async fn greet(requests: Requests) {
///     requests
///         .for_each_concurrent(None, |inbound| async move {
///             let response = Response::new(200, "hello").expect("200 is a status");
///             if let Err(error) = inbound.responder.send(response).await {
///                 eprintln!("{} does not listen: {error}", inbound.peer);
///             }
///         })
///         .await;
/// }
/// ```
pub struct Requests {
    /// The first requests of new streams.
    receiver: mpsc::Receiver<Box<Inbound>>,
    /// Where the other streams wait.
    parking: Arc<Parking>,
    service: Arc<Service>,
    shared: Arc<Shared>,
    /// Whose turn it is, so that neither kind of streams keeps the other waiting.
    new_first: bool,
}

impl Requests {
    pub(crate) fn new(shared: Arc<Shared>, name: ServiceName) -> Result<Self, ServiceTaken> {
        let queue = shared.services.add_queue(name)?;
        Ok(Self::from_queue(shared, queue))
    }

    pub(crate) fn replacing(shared: Arc<Shared>, name: ServiceName) -> Self {
        let queue = shared.services.replace_queue(name);
        Self::from_queue(shared, queue)
    }

    fn from_queue(
        shared: Arc<Shared>,
        (service, receiver): (Arc<Service>, mpsc::Receiver<Box<Inbound>>),
    ) -> Self {
        shared.outbound.each_link(Link::wake);
        Self {
            receiver,
            parking: service.parking().map(Arc::clone).unwrap_or_default(),
            service,
            shared,
            new_first: false,
        }
    }

    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service.name
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn is_replaced(&self) -> bool {
        self.service.is_replaced()
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Removes the service, and waits until its peers have what was sent to them. By then the swarm may be dropped, over
    /// which until then what is on its way could be lost (QUIC throws it away).
    ///
    /// The service is removed by the call itself. Idle streams end now, those that carry an exchange after it, and they
    /// have gone once the peer has ended them, too, or ten seconds after their last exchange. The swarm has to be polled
    /// for that. There is no limit for exchanges that run on; those that became a tunnel are not waited for. Dropping the
    /// future changes nothing. For services that are answered by swarm events
    /// [`close_service`](crate::HttpProxyBehaviour::close_service) is the same.
    ///
    /// Who sent the requests that wait here is told that the service is not offered, as where `Requests` are dropped.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use libp2p_http_proxy::{Requests, Response};
    ///
    /// async fn greet(mut requests: Requests, shutdown: impl Future<Output = ()>) {
    ///     let greeted = requests.by_ref().take_until(Box::pin(shutdown));
    ///     greeted
    ///         .for_each_concurrent(None, |inbound| async move {
    ///             let response = Response::new(200, "hello").expect("200 is a status");
    ///             if let Err(error) = inbound.responder.send(response).await {
    ///                 eprintln!("{} does not listen: {error}", inbound.peer);
    ///             }
    ///         })
    ///         .await;
    ///     requests.close().await;
    /// }
    /// ```
    pub fn close(self) -> impl Future<Output = ()> + Send + 'static {
        let service = Arc::clone(&self.service);
        service.end_streams();
        drop(self);
        poll_fn(move |cx| service.poll_gone(cx, Waiting::Task))
    }

    pub(crate) fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<Box<Inbound>>> {
        self.new_first = !self.new_first;
        if self.new_first
            && let Poll::Ready(inbound) = self.receiver.poll_next_unpin(cx)
        {
            return Poll::Ready(inbound);
        }
        while let Poll::Ready(Arrived { read, hop, seat }) = self.parking.poll_next(cx) {
            match read {
                Ok(head) => return Poll::Ready(Some(self.begin(head, hop, seat))),
                Err(error) => refuse_unread(hop, seat, error),
            }
        }
        if self.new_first {
            return Poll::Pending;
        }
        self.receiver.poll_next_unpin(cx)
    }

    fn begin(
        &self,
        head: RequestHead,
        hop: Hop<Server>,
        mut seat: Box<InboundSeat>,
    ) -> Box<Inbound> {
        let request_id = self.shared.ids.inbound();
        seat.request_id = Some(request_id);
        seat.running = Some(seat.link.run());
        Box::new(Inbound {
            request_id,
            service: Arc::clone(&self.service),
            head,
            hop,
            seat,
            config: Arc::clone(&self.shared.config),
        })
    }
}

impl Stream for Requests {
    type Item = InboundRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_inbound(cx)
            .map(|inbound| inbound.map(|inbound| inbound.into_request()))
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let name = &self.service.name;
        if self.shared.services.remove(name, Some(&self.service)) {
            self.shared.outbound.each_link(Link::wake);
        }
        // The queue takes no more. Who asked is told, or is answered by the service that has taken the place of this one.
        self.receiver.close();
        while let Some(Some(inbound)) = self.receiver.next().now_or_never() {
            let Inbound {
                head, hop, seat, ..
            } = *inbound;
            Arrival { head, hop, seat }.hand_back();
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("service", &self.service.name)
            .finish_non_exhaustive()
    }
}
