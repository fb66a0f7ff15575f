//! Real nodes, real programs, and servers that do as they are told: what the tests against real software share.

#![allow(
    dead_code,
    reason = "each test binary compiles all of this and uses its part"
)]

use std::{future::Future, time::Duration};

pub(crate) mod app;
pub(crate) mod data;
pub(crate) mod netns;
pub(crate) mod node;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod wire;

/// Longer than anything here takes, on a busy machine; shorter than the timeouts of the proxy, which must not be what
/// ends a wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Waits for what must happen, and says what it was if it does not.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("still waiting after {} s: {what}", PATIENCE.as_secs()),
    }
}
