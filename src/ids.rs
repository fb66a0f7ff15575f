//! How exchanges are told apart.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// Identifies an inbound request for the life of the behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboundRequestId(u64);

/// Identifies an outbound request for the life of the behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboundRequestId(u64);

impl fmt::Display for InboundRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for OutboundRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl InboundRequestId {
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

impl OutboundRequestId {
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// Gives every request an id of its own.
#[derive(Default)]
pub(crate) struct Ids(AtomicU64);

impl Ids {
    pub(crate) fn inbound(&self) -> InboundRequestId {
        InboundRequestId(self.next())
    }

    pub(crate) fn outbound(&self) -> OutboundRequestId {
        OutboundRequestId(self.next())
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
