//! How does a side go without cutting what runs? It says so, is opened no more streams, and waits for those that there are.

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What the ping says. To those who do not know it, it is a ping as any other.
pub(super) const LEAVING: &[u8] = b"leaving";

/// What both sides of a connection know of the end that is to come. Clones are of the same connection.
#[derive(Clone, Default)]
pub(crate) struct Leave {
    asked: CancellationToken,
    known: CancellationToken,
}

impl Leave {
    /// Tells the other side that no more streams are taken.
    pub(crate) fn ask(&self) {
        self.asked.cancel();
    }

    pub(super) fn asked(&self) -> WaitForCancellationFutureOwned {
        self.asked.clone().cancelled_owned()
    }

    /// Both sides know it: a ping that says so has come, or the answer to ours.
    pub(super) fn know(&self) {
        self.known.cancel();
    }

    /// Done when both sides know. Streams that were opened before have come by then.
    pub(crate) async fn known(&self) {
        self.known.cancelled().await;
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known.is_cancelled()
    }
}
