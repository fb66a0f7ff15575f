//! The end of a proxy: begun once, and noticed by every hop that waits for a request.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;

/// The end of a proxy; clones are of the same.
///
/// Hops look for it whenever they wait, which is several times for every request, and far more often than it comes. So
/// a look takes no lock, as one that all hops of a proxy share would be.
#[derive(Clone, Default)]
pub(super) struct Ending(Arc<Shared>);

#[derive(Default)]
struct Shared {
    begun: AtomicBool,
    hops: Notify,
}

impl Ending {
    pub(super) fn begin(&self) {
        self.0.begun.store(true, Ordering::Release);
        self.0.hops.notify_waiters();
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Acquire)
    }

    /// Waits for the end.
    pub(super) async fn begun(&self) {
        // Hears of what happens from here on, and what has happened before is seen.
        let notified = self.0.hops.notified();
        if !self.has_begun() {
            notified.await;
        }
    }
}

/// Waits for the end again and again, beside other things and in the same task.
pub(super) struct Watch<'a, F> {
    ending: &'a Ending,
    /// [`Ending::begun`].
    begun: Pin<&'a mut F>,
    /// The task that is woken by it.
    hears: Option<Waker>,
}

impl<'a, F: Future<Output = ()>> Watch<'a, F> {
    pub(super) fn new(ending: &'a Ending, begun: Pin<&'a mut F>) -> Self {
        Self {
            ending,
            begun,
            hears: None,
        }
    }

    /// Ready once the end has begun.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ending.has_begun() {
            return Poll::Ready(());
        }
        let hears = |waker: &Waker| waker.will_wake(cx.waker());
        if !self.hears.as_ref().is_some_and(hears) {
            if self.begun.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            self.hears = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// What comes of `wait`, unless the end comes first.
    pub(super) async fn unless<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = pin!(wait);
        poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => wait.as_mut().poll(cx).map(Some),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::atomic::AtomicUsize,
        task::Wake,
    };

    use futures::executor::block_on;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn task() -> (Arc<Task>, Waker) {
        let task = Arc::new(Task::default());
        (Arc::clone(&task), Waker::from(task))
    }

    #[test]
    fn the_task_that_looked_last_is_woken_once() {
        let ending = Ending::default();
        let begun = pin!(ending.begun());
        let mut watch = Watch::new(&ending, begun);
        let tasks = [task(), task()];
        for (_, waker) in &tasks {
            let mut cx = Context::from_waker(waker);
            assert!(watch.poll(&mut cx).is_pending());
            assert!(watch.poll(&mut cx).is_pending());
        }
        ending.begin();
        let woken = tasks.map(|(task, _)| task.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1]);
        assert_eq!(block_on(watch.unless(pending::<()>())), None);
    }

    #[test]
    fn an_end_that_has_begun_comes_before_all_else() {
        let ending = Ending::default();
        let begun = pin!(ending.begun());
        let mut watch = Watch::new(&ending, begun);
        assert_eq!(block_on(watch.unless(ready(1))), Some(1));
        ending.clone().begin();
        assert_eq!(block_on(watch.unless(ready(1))), None);
        // Whoever begins to wait only now sees it, too.
        block_on(ending.begun());
    }
}
