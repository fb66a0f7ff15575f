//! Deadlines by the thousand on one timer.
//!
//! To make, to move and to drop a timer of `futures-timer` wakes its thread each time, which costs as much as half of a
//! small exchange. Nearly all of our deadlines are never met, and a later one than those that are set needs no timer of
//! its own. So they stand in one list, and a single timer waits for the first of them.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use futures::task::AtomicWaker;
use futures_timer::Delay;

/// How close together the timer fires at most; an alarm may be so much late. With ten thousand idle hops, whose
/// deadlines all differ, it fires 100 times a second and not ten thousand.
const GRAIN: Duration = Duration::from_millis(10);

/// All alarms that are set.
static ALARMS: LazyLock<Arc<Alarms>> = LazyLock::new(Arc::default);

#[derive(Default)]
struct Alarms(Mutex<State>);

#[derive(Default)]
struct State {
    /// By when they are due, and a number that tells apart those due at the same time.
    set: BTreeMap<Key, Arc<Bell>>,
    next: u64,
    /// Fires at the latest when the first alarm is due. May fire earlier, when that one has been dropped.
    timer: Option<(Instant, Delay)>,
}

type Key = (Instant, u64);

/// What an alarm and the list of all share.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

/// A deadline that is waited for. Dropping it ends that.
pub(crate) struct Alarm {
    key: Key,
    bell: Arc<Bell>,
}

impl Alarm {
    pub(crate) fn new(due: Instant) -> Self {
        Self::with(due, Bell::default())
    }

    /// One that calls `waker`, by the timer and never from here. For whoever holds locks that the waker wants.
    pub(crate) fn waking(due: Instant, waker: &Waker) -> Self {
        let bell = Bell::default();
        bell.waker.register(waker);
        Self::with(due, bell)
    }

    fn with(due: Instant, bell: Bell) -> Self {
        let bell = Arc::new(bell);
        let key = ALARMS.add(due, Arc::clone(&bell));
        Self { key, bell }
    }

    /// Ready once the deadline has passed. May call the waker of `cx` itself, if the alarm rings meanwhile.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.bell.waker.register(cx.waker());
        if self.bell.rung.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.bell.rung.load(Ordering::Acquire) {
            // The timer stays as it is: finding nothing to do costs less than to set it anew.
            ALARMS.lock().set.remove(&self.key);
        }
    }
}

impl Alarms {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, due: Instant, bell: Arc<Bell>) -> Key {
        let mut state = self.lock();
        let key = (due, state.next);
        state.next += 1;
        state.set.insert(key, bell);
        if state.timer.as_ref().is_none_or(|(fires, _)| due < *fires) {
            // Nothing is rung from here, where the caller may hold locks that whoever is woken wants.
            state.set_timer(due, self);
        }
        key
    }

    /// Rings what is due, and sets the timer for the rest.
    fn ring(self: &Arc<Self>) {
        let mut state = self.lock();
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(first) = state.set.first_entry() {
            let &(at, _) = first.key();
            if at > now {
                state.set_timer(at, self);
                break;
            }
            due.push(first.remove());
        }
        if state.set.is_empty() {
            state.timer = None;
        }
        // Whoever is woken may set an alarm at once.
        drop(state);
        for bell in due {
            bell.rung.store(true, Ordering::Release);
            bell.waker.wake();
        }
    }
}

impl State {
    /// Has the timer fire for an alarm due at `due`, and then ring `alarms`, of which this is the state.
    fn set_timer(&mut self, due: Instant, alarms: &Arc<Alarms>) {
        loop {
            let now = Instant::now();
            let at = due.max(now + GRAIN);
            let delay = match &mut self.timer {
                // Never later than it was, or alarms set again and again would put off the others.
                Some((fires, delay)) if now < *fires && *fires <= at => delay,
                Some((fires, delay)) => {
                    *fires = at;
                    delay.reset(at - now);
                    delay
                }
                none @ None => &mut none.insert((at, Delay::new(at - now))).1,
            };
            let listener = Arc::new(Listener::new(alarms));
            let waker = Waker::from(Arc::clone(&listener));
            if Pin::new(delay)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
                && listener.takes_over()
            {
                return;
            }
            // It fired meanwhile, and nobody has rung for that.
        }
    }
}

/// Hears that the timer has fired, and rings what is due.
///
/// The timer may call it while it is set, and by the very call that sets it, under the lock on the alarms. Then there is
/// nothing to do here: whoever sets the timer sees that it has fired.
struct Listener {
    alarms: Arc<Alarms>,
    is_set: AtomicBool,
    has_fired: AtomicBool,
}

impl Listener {
    fn new(alarms: &Arc<Alarms>) -> Self {
        Self {
            alarms: Arc::clone(alarms),
            is_set: AtomicBool::new(false),
            has_fired: AtomicBool::new(false),
        }
    }

    /// From here on the listener rings. `false` if the timer has fired before.
    fn takes_over(&self) -> bool {
        // One of the two sees what the other has stored.
        self.is_set.store(true, Ordering::SeqCst);
        !self.has_fired.load(Ordering::SeqCst)
    }
}

impl Wake for Listener {
    fn wake(self: Arc<Self>) {
        self.has_fired.store(true, Ordering::SeqCst);
        if self.is_set.load(Ordering::SeqCst) {
            self.alarms.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, thread};

    use futures::{executor::block_on, future::join_all};

    use super::*;

    async fn wait(due: Instant) -> Instant {
        let alarm = Alarm::new(due);
        poll_fn(|cx| alarm.poll(cx)).await;
        Instant::now()
    }

    #[test]
    fn alarms_ring_when_they_are_due_in_whatever_order_they_are_set() {
        let now = Instant::now();
        let due = [90, 30, 60, 31, 30, 0].map(|millis| now + Duration::from_millis(millis));
        let rung = block_on(join_all(due.map(wait)));
        for (due, rung) in due.into_iter().zip(rung) {
            assert!(rung >= due, "{:?} too early", due - rung);
        }
    }

    #[test]
    fn an_alarm_that_was_dropped_leaves_the_list_and_does_not_stop_the_others() {
        let now = Instant::now();
        let dropped = Alarm::new(now + Duration::from_millis(20));
        let key = dropped.key;
        let kept = now + Duration::from_millis(40);
        let waiting = thread::spawn(move || block_on(wait(kept)));
        drop(dropped);
        assert!(!ALARMS.lock().set.contains_key(&key));
        assert!(waiting.join().expect("no panic") >= kept);
    }

    #[test]
    fn short_alarms_set_again_and_again_do_not_put_off_another() {
        let due = Instant::now() + Duration::from_millis(5);
        let alarm = Alarm::new(due);
        let cx = Context::from_waker(Waker::noop());
        while alarm.poll(&cx).is_pending() {
            drop(Alarm::new(Instant::now() + Duration::from_millis(1)));
            assert!(due.elapsed() < Duration::from_secs(5), "it never rings");
        }
    }

    /// It does so by itself where it is called just as it fires, about once in a hundred runs of the test above.
    #[test]
    fn a_timer_may_fire_while_it_is_set() {
        let alarms = Arc::default();
        let listener = Arc::new(Listener::new(&alarms));
        let setting = alarms.lock();
        Waker::from(Arc::clone(&listener)).wake();
        assert!(!listener.takes_over());
        drop(setting);

        let listener = Arc::new(Listener::new(&alarms));
        let bell = Arc::new(Bell::default());
        let key = (Instant::now(), 0);
        alarms.lock().set.insert(key, Arc::clone(&bell));
        assert!(listener.takes_over());
        Waker::from(listener).wake();
        assert!(bell.rung.load(Ordering::Acquire));
    }

    #[test]
    fn an_alarm_wakes_who_need_not_poll_it() {
        struct Test(thread::Thread);
        impl Wake for Test {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Test(thread::current())));
        let alarm = Alarm::waking(Instant::now(), &waker);
        while !alarm.bell.rung.load(Ordering::Acquire) {
            thread::park();
        }
    }

    #[test]
    fn a_bell_can_be_heard_by_another_task_than_the_first() {
        let alarm = Alarm::new(Instant::now() + Duration::from_millis(20));
        assert!(alarm.poll(&Context::from_waker(Waker::noop())).is_pending());
        block_on(poll_fn(|cx| alarm.poll(cx)));
    }
}
