//! What has exchanges, and how long do they have at the end?

use anyhow::Result;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::shutdown::{Drain, Tasks};

/// What runs until it is asked to stop, and for as long as its exchanges then have.
pub(super) struct Work {
    pub(super) tasks: Tasks,
    pub(super) shutdown: CancellationToken,
    pub(super) drain: Drain,
}

impl Work {
    /// Runs what has exchanges, which have their time once the process was asked to stop, and all of it before. It is to end by
    /// itself no sooner: how long they have may change while they run.
    pub(super) fn spawn(&mut self, work: impl Future<Output = Result<()>> + Send + 'static) {
        let (shutdown, drain) = (self.shutdown.clone(), self.drain.clone());
        self.tasks.spawn(async move {
            let late = async {
                shutdown.cancelled().await;
                sleep(drain.time()).await;
            };
            tokio::select! {
                biased;
                ended = work => ended,
                () = late => {
                    tracing::warn!("exchanges did not end in time");
                    Ok(())
                }
            }
        });
    }
}
