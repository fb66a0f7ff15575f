//! A deadline that may move at every read and costs a timer operation only when it is really waited for.

use std::{
    io,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use super::alarm::Alarm;
use crate::error::{ExchangeError, Wait};

/// Watches one half of a hop.
///
/// An alarm that is set is left alone while the deadline moves away from it: when it rings too early it is set again for
/// what remains. So a hop that is reused for many exchanges pays for about one alarm a second.
#[derive(Default)]
pub(crate) struct Watchdog {
    since: Option<Instant>,
    armed: Option<(Instant, Alarm)>,
}

impl Watchdog {
    /// Something happened: the next wait is counted from its own beginning, which is when it is first polled.
    pub(crate) fn progress(&mut self) {
        self.since = None;
    }

    /// Nothing is waited for until further notice. An alarm would keep the task alive that waited last, long after it ended.
    pub(crate) fn rest(&mut self) {
        self.armed = None;
    }

    /// What became of a step of a stream, which may not wait for longer than `limit`. A step that is done is progress.
    pub(crate) fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        (wait, limit): (Wait, Duration),
        step: Poll<io::Result<T>>,
    ) -> Poll<Result<T, ExchangeError>> {
        if let Poll::Ready(result) = step {
            self.progress();
            return Poll::Ready(result.map_err(ExchangeError::Io));
        }
        ready!(self.poll_expired(cx, limit));
        Poll::Ready(Err(ExchangeError::Timeout { wait, limit }))
    }

    /// Ready once `limit` has passed since the first call after [`progress`](Self::progress).
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let now = Instant::now();
        let Some(due) = self.since.get_or_insert(now).checked_add(limit) else {
            return Poll::Pending; // longer than the clock can count: never
        };
        if now >= due {
            return Poll::Ready(());
        }
        if let Some((rings, alarm)) = &self.armed
            && *rings <= due
        {
            ready!(alarm.poll(cx));
        }
        let (_, alarm) = self.armed.insert((due, Alarm::new(due)));
        alarm.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use futures::executor::block_on;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn a_wait_ends_after_its_limit_and_not_before() {
        let began = Instant::now();
        let mut watchdog = Watchdog::default();
        block_on(poll_fn(|cx| watchdog.poll_expired(cx, LIMIT)));
        assert!(began.elapsed() >= LIMIT);
    }

    #[test]
    fn progress_begins_a_new_wait_on_the_running_timer() {
        let mut watchdog = Watchdog::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(watchdog.poll_expired(&mut cx, LIMIT).is_pending());
        // Past the first deadline, whose timer has fired by now.
        std::thread::sleep(2 * LIMIT);
        watchdog.progress();
        let began = Instant::now();
        block_on(poll_fn(|cx| watchdog.poll_expired(cx, LIMIT)));
        assert!(began.elapsed() >= LIMIT);
    }

    #[test]
    fn a_shorter_limit_moves_the_deadline_forward() {
        let mut watchdog = Watchdog::default();
        let mut cx = Context::from_waker(Waker::noop());
        let hour = Duration::from_secs(3600);
        assert!(watchdog.poll_expired(&mut cx, hour).is_pending());
        block_on(poll_fn(|cx| watchdog.poll_expired(cx, LIMIT)));
    }

    #[test]
    fn a_limit_beyond_the_clock_never_ends() {
        let mut watchdog = Watchdog::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(watchdog.poll_expired(&mut cx, Duration::MAX).is_pending());
    }
}
