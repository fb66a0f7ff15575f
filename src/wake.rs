//! Two sides of a stream that may be polled by two tasks, where the stream keeps the waker of only one.

use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

/// Who waits, of the two sides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Reader,
    Writer,
}

/// Whoever waits for the same step of a stream.
#[derive(Debug, Default)]
pub(crate) struct Sides([Option<Waker>; 2]);

impl Sides {
    /// Wakes this side, and the other one if it waits in another task.
    pub(crate) fn waker(&mut self, cx: &Context<'_>, side: Side) -> Waker {
        self.0[side as usize] = Some(cx.waker().clone());
        match &self.0 {
            [Some(reader), Some(writer)] if !reader.will_wake(writer) => {
                let both = [reader.clone(), writer.clone()];
                Waker::from(Arc::new(Both(both)))
            }
            _ => cx.waker().clone(),
        }
    }
}

struct Both([Waker; 2]);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        for waker in &self.0 {
            waker.wake_by_ref();
        }
    }
}
