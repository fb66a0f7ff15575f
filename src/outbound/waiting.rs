//! A request that waits for its turn to get a stream: its place in the queue, and its own end of the wait.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use futures::{FutureExt, channel::oneshot};

use crate::{event::OutboundFailure, outbound::Granted};

/// The place of a request in the queue.
pub(super) struct Waiter {
    /// Tells who came first, over all lanes.
    pub(super) ticket: u64,
    /// When the request has waited for too long; `None` if that is beyond what the clock can count.
    pub(super) due: Option<Instant>,
    pub(super) reply: Reply,
}

impl Waiter {
    pub(super) fn is_given_up(&self) -> bool {
        self.reply.is_canceled()
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

/// Answers a waiting request.
pub(super) type Reply = oneshot::Sender<Granted>;

/// Resolves when it is the turn of a request, or when it has waited for too long. Dropping it gives up the wait.
pub(crate) struct Awaited {
    granted: oneshot::Receiver<Granted>,
    /// How many have been given up, until the queue counts them itself. `None` once this one is over.
    given_up: Option<Arc<AtomicUsize>>,
}

/// The two ends of a wait.
pub(super) fn wait(given_up: &Arc<AtomicUsize>) -> (Reply, Awaited) {
    let (reply, granted) = oneshot::channel();
    let given_up = Some(Arc::clone(given_up));
    (reply, Awaited { granted, given_up })
}

/// Fails a request.
pub(super) fn refuse(reply: Reply, error: OutboundFailure) {
    // Whoever no longer waits needs no answer.
    let _ = reply.send(Err(error));
}

impl Future for Awaited {
    type Output = Granted;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Granted> {
        let granted = ready!(self.granted.poll_unpin(cx));
        self.given_up = None;
        // The queue is dropped only with everything else.
        Poll::Ready(granted.unwrap_or(Err(OutboundFailure::SwarmEnded)))
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        // Closed before it is looked into, so that nothing can come in between.
        self.granted.close();
        if let Ok(Some(Ok(lent))) = self.granted.try_recv() {
            lent.give_back();
        } else if let Some(given_up) = &self.given_up {
            given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}
