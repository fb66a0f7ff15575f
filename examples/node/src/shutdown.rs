//! When does the node stop, and how long may running exchanges take to finish?

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    task::{JoinError, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

/// What a shell reports for a process that SIGINT ended: 128 + 2.
const INTERRUPTED: i32 = 130;

/// What a server has on top of the limit, which it keeps by itself: time to notice and to say what it cut.
const GRACE: Duration = Duration::from_secs(1);

/// How long exchanges have where nobody says it.
pub(crate) const USUAL: Duration = Duration::from_secs(30);

/// The longest time that they may be given.
pub(crate) const LONGEST_SECONDS: u16 = 3600;

/// How long running exchanges have once the process was asked to stop. Clones are handles to the same time, which may change
/// until then.
#[derive(Clone, Debug)]
pub(crate) struct Drain(Arc<AtomicU64>);

impl Drain {
    pub(crate) fn new(time: Duration) -> Self {
        let drain = Self(Arc::default());
        drain.set(time);
        drain
    }

    pub(crate) fn set(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// What the node does besides moving the network: servers that run until they are asked to stop.
pub(crate) type Tasks = JoinSet<Result<()>>;

/// From now on the first Ctrl-C or SIGTERM cancels the returned token; the second one ends the process at once.
///
/// # Errors
///
/// Fails if the system does not let the process handle signals.
pub(crate) fn on_signal() -> Result<CancellationToken> {
    let mut signals = Signals::new().context("cannot handle signals")?;
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!("{name}: running exchanges may finish; a second signal stops at once");
        asked.cancel();
        signals.next().await;
        process::exit(INTERRUPTED);
    });
    Ok(token)
}

/// Every SIGHUP from now on, as daemons are told to read their configuration again. Systems without it have none.
///
/// # Errors
///
/// Fails if the system does not let the process handle signals.
pub(crate) fn on_hangup() -> Result<Hangups> {
    Hangups::new().context("cannot handle SIGHUP")
}

/// Waits until every task is done, for little more than `limit` after the token was cancelled.
///
/// # Errors
///
/// Returns the first error of a task; the others are not waited for.
pub(crate) async fn finish(
    mut tasks: Tasks,
    shutdown: &CancellationToken,
    limit: Duration,
) -> Result<()> {
    let deadline = async {
        shutdown.cancelled().await;
        time::sleep(limit + GRACE).await;
    };
    tokio::select! {
        result = join(&mut tasks) => result,
        () = deadline => {
            warn_of_cut(limit);
            Ok(())
        }
    }
}

/// Says what becomes of exchanges that have not ended within `limit`.
pub(crate) fn warn_of_cut(limit: Duration) {
    let limit = limit.as_secs();
    tracing::warn!("cut the exchanges that still ran {limit} s after the signal");
}

async fn join(tasks: &mut Tasks) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(broken_task)??;
    }
    Ok(())
}

pub(crate) fn broken_task(error: JoinError) -> anyhow::Error {
    anyhow::Error::new(error).context("a server of this node broke down; please report this")
}

#[cfg(unix)]
pub(crate) struct Hangups(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Hangups {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        signal(SignalKind::hangup()).map(Self)
    }

    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        std::future::pending().await
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "terminated",
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> &'static str {
        self.0.recv().await;
        "interrupted"
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use anyhow::bail;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_that_end_in_time_are_waited_for() {
        let (mut tasks, token) = (Tasks::new(), CancellationToken::new());
        let asked = token.clone();
        tasks.spawn(async move {
            asked.cancelled().await;
            time::sleep(Duration::from_secs(29)).await;
            Ok(())
        });
        token.cancel();
        let started = time::Instant::now();
        finish(tasks, &token, Duration::from_secs(30))
            .await
            .unwrap();
        assert_eq!(started.elapsed().as_secs(), 29);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_never_end_are_cut_at_the_limit() {
        let (mut tasks, token) = (Tasks::new(), CancellationToken::new());
        tasks.spawn(future::pending());
        let asked = token.clone();
        tokio::spawn(async move {
            time::sleep(Duration::from_secs(1000)).await;
            asked.cancel();
        });
        let started = time::Instant::now();
        finish(tasks, &token, Duration::from_secs(30))
            .await
            .unwrap();
        assert_eq!(started.elapsed().as_secs(), 1031);
    }

    #[tokio::test]
    async fn an_error_or_a_panic_of_a_task_ends_the_wait() {
        let token = CancellationToken::new();
        let mut tasks = Tasks::new();
        tasks.spawn(future::pending());
        tasks.spawn(async { bail!("the disk is full") });
        let error = finish(tasks, &token, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");

        let mut tasks = Tasks::new();
        tasks.spawn(async { panic!("a panic that this test is about") });
        let error = finish(tasks, &token, Duration::ZERO).await.unwrap_err();
        assert!(error.to_string().contains("broke down"), "{error}");
    }
}
