//! A request that waits for its turn to get a stream: its place in the queue, and its own end of the wait.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
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
pub(crate) struct Awaited(oneshot::Receiver<Granted>);

/// The two ends of a wait.
pub(super) fn wait() -> (Reply, Awaited) {
    let (reply, receiver) = oneshot::channel();
    (reply, Awaited(receiver))
}

/// Fails a request.
pub(super) fn refuse(reply: Reply, error: OutboundFailure) {
    // Whoever no longer waits needs no answer.
    let _ = reply.send(Err(error));
}

impl Future for Awaited {
    type Output = Granted;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Granted> {
        let granted = self.0.poll_unpin(cx);
        // The queue is dropped only with everything else.
        granted.map(|granted| granted.unwrap_or(Err(OutboundFailure::SwarmEnded)))
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        // Closed before it is looked into, so that nothing can come in between.
        self.0.close();
        if let Ok(Some(Ok(lent))) = self.0.try_recv() {
            lent.give_back();
        }
    }
}
