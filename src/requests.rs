//! Inbound requests as a stream, for tasks that answer a service beside the swarm's event loop.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, channel::mpsc};

use crate::{
    event::ServiceTaken,
    inbound::{Inbound, InboundRequest},
    service::ServiceName,
    shared::Shared,
};

/// The requests of one service, past the swarm's event loop: a slow loop does not slow the service.
///
/// Made by [`HttpProxyBehaviour::accept`](crate::HttpProxyBehaviour::accept). Dropping it removes the service;
/// exchanges that have begun go on.
pub struct Requests {
    receiver: mpsc::Receiver<Box<Inbound>>,
    name: ServiceName,
    generation: u64,
    shared: Arc<Shared>,
}

impl Requests {
    pub(crate) fn new(shared: Arc<Shared>, name: ServiceName) -> Result<Self, ServiceTaken> {
        let (generation, receiver) = shared.services.add_queue(name.clone())?;
        shared.outbound.wake_links();
        Ok(Self {
            receiver,
            name,
            generation,
            shared,
        })
    }

    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.name
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(crate) fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<Box<Inbound>>> {
        self.receiver.poll_next_unpin(cx)
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
        if self
            .shared
            .services
            .remove(&self.name, Some(self.generation))
        {
            self.shared.outbound.wake_links();
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("service", &self.name)
            .finish_non_exhaustive()
    }
}
