//! Which streams come back to a parking, and has the last of them gone?

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::task::AtomicWaker;

use super::Parking;

/// The parking that a stream comes back to between two requests, which counts it.
pub(crate) struct Home(Arc<Parking>);

/// How many streams there are that come back, lent ones included.
#[derive(Default)]
pub(super) struct Streams {
    count: AtomicUsize,
    /// Whoever waits until there is none.
    waiting: AtomicWaker,
}

impl Home {
    pub(crate) fn new(parking: &Arc<Parking>) -> Self {
        parking.streams.count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(parking))
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, parking: &Arc<Parking>) -> bool {
        Arc::ptr_eq(&self.0, parking)
    }
}

impl Deref for Home {
    type Target = Arc<Parking>;

    fn deref(&self) -> &Arc<Parking> {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let streams = &self.0.streams;
        if streams.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            streams.waiting.wake();
        }
    }
}

impl Streams {
    /// Waits until there is no stream left.
    pub(super) fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        self.waiting.register(cx.waker());
        match self.count.load(Ordering::Acquire) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}
