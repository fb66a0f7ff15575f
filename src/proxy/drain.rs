//! The exchanges that run at a time, and how they end when the proxy does.

use std::{future::Future, time::Duration};

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A set of tasks that end in order at a shutdown, or are cut.
#[derive(Default)]
pub(super) struct Drain {
    tasks: TaskTracker,
    ending: CancellationToken,
    cut: CancellationToken,
}

impl Drain {
    /// Runs `task` beside the others.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        // Boxed here, or the task would have room for it twice: where it is captured, and where it runs.
        let task = Box::pin(task);
        self.tasks.spawn(async move {
            cut.run_until_cancelled_owned(task).await;
        });
    }

    /// Cancelled when no new exchange is to begin.
    pub(super) fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    /// Lets running exchanges end, for at most `limit`, and drops the rest.
    pub(super) async fn finish(self, limit: Duration) {
        self.ending.cancel();
        self.tasks.close();
        if timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(cut = self.tasks.len(), "exchanges did not end in time");
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }
}
