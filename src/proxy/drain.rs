//! The exchanges that run at a time, and how they end when the proxy does.

use std::{future::Future, time::Duration};

use tokio::{task::JoinSet, time::timeout};

use crate::proxy::ending::Ending;

/// A set of tasks that end in order at a shutdown, or are cut.
#[derive(Default)]
pub(super) struct Drain {
    tasks: JoinSet<()>,
    ending: Ending,
}

impl Drain {
    /// Runs `task` beside the others.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.reap();
        // Boxed, so that nearly all of a task is given back when it ends, and not only when it is forgotten.
        self.tasks.spawn(Box::pin(task));
    }

    /// Forgets the tasks that have ended.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "an exchange failed");
            }
        }
    }

    /// Begins when no new exchange is to begin, so that hops between two of them are closed.
    pub(super) fn ending(&self) -> Ending {
        self.ending.clone()
    }

    /// Waits until every task has ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Lets running exchanges end, for at most `limit`, and drops the rest.
    pub(super) async fn finish(mut self, limit: Duration) {
        self.ending.begin();
        if timeout(limit, self.ended()).await.is_err() {
            tracing::warn!(cut = self.tasks.len(), "exchanges did not end in time");
            self.tasks.shutdown().await;
        }
    }
}
