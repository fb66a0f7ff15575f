//! A deadline that may move at every read and costs a timer operation only when it is really waited for.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_timer::Delay;

/// Watches one half of a hop.
///
/// Arming and resetting a timer costs a lock and may wake a thread, far more than looking at the clock. So a
/// running timer is left alone while the deadline moves away from it: when it fires too early it is set again for
/// what remains. A hop that is reused for many exchanges thus pays for about one timer a minute.
#[derive(Default)]
pub(crate) struct Watchdog {
    since: Option<Instant>,
    armed: Option<(Instant, Delay)>,
}

impl Watchdog {
    /// Something happened: the next wait is counted from its own beginning.
    pub(crate) fn progress(&mut self) {
        self.since = None;
    }

    /// Begins a wait whose beginning later waits do not move, until [`progress`](Self::progress).
    pub(crate) fn start(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Ready once `limit` has passed since the wait began, which is the first call after
    /// [`progress`](Self::progress) or the call of [`start`](Self::start).
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let now = Instant::now();
        let Some(due) = self.since.get_or_insert(now).checked_add(limit) else {
            return Poll::Pending; // longer than the clock can count: never
        };
        loop {
            if now >= due {
                return Poll::Ready(());
            }
            let (fires, delay) = match &mut self.armed {
                Some((fires, delay)) if *fires <= due => (fires, delay),
                Some((fires, delay)) => {
                    delay.reset(due - now);
                    *fires = due;
                    (fires, delay)
                }
                armed @ None => {
                    let (fires, delay) = armed.insert((due, Delay::new(due - now)));
                    (fires, delay)
                }
            };
            match Pin::new(&mut *delay).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if *fires >= due => return Poll::Ready(()),
                Poll::Ready(()) => self.armed = None,
            }
        }
    }
}
