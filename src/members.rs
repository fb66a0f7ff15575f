//! Which streams belong to a service, and has the last of them gone?

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;

/// The streams of one service, idle or lent: from their first request for it on.
#[derive(Default)]
pub(crate) struct Members {
    count: AtomicUsize,
    /// Their exchanges are the last.
    ending: AtomicBool,
    waiting: [AtomicWaker; 2],
}

/// Who waits for the end of a service. Both may, for that of the same.
#[derive(Clone, Copy)]
pub(crate) enum Waiting {
    /// The task that answered for it.
    Task,
    /// The behaviour, to report it.
    Behaviour,
}

/// A stream that belongs to a service, which counts it.
pub(crate) struct Member(Arc<Members>);

impl Members {
    /// Has the streams end, each after the exchange that runs on it.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Waits until there is no stream left.
    pub(crate) fn poll_gone(&self, cx: &Context<'_>, who: Waiting) -> Poll<()> {
        self.waiting[who as usize].register(cx.waker());
        match self.count.load(Ordering::Acquire) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl Member {
    pub(crate) fn new(members: &Arc<Members>) -> Self {
        members.count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(members))
    }

    /// Whether it is one of these.
    pub(crate) fn is_of(&self, members: &Arc<Members>) -> bool {
        Arc::ptr_eq(&self.0, members)
    }

    /// Whether the stream ends with the exchange that runs on it, and now where none does.
    pub(crate) fn is_ending(&self) -> bool {
        self.0.ending.load(Ordering::Acquire)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            for waiting in &self.0.waiting {
                waiting.wake();
            }
        }
    }
}
