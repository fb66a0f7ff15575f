//! Moves bytes in both directions between two streams that switched protocols.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::AsyncWrite;

use crate::{hop::Source, tunnel::Upgraded};

/// How often one direction moves on before the other, and the other work of the task, get their turn.
const ROUNDS: usize = 16;

/// How far one direction has come.
#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Moving,
    Closing,
    Done,
}

/// The bytes that a tunnel has moved so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) there: u64,
    pub(crate) back: u64,
}

/// Runs until both directions have ended, each closed behind its last byte. Counts the bytes that went from `near` to `far`,
/// and back.
///
/// # Errors
///
/// One of the streams failed, or was silent for too long.
pub(crate) async fn tunnel(
    mut near: Upgraded,
    mut far: Upgraded,
    moved: &mut Moved,
) -> io::Result<()> {
    let mut there = State::default();
    let mut back = State::default();
    poll_fn(|cx| {
        let one = there.poll(cx, &mut near, &mut far, &mut moved.there)?;
        let other = back.poll(cx, &mut far, &mut near, &mut moved.back)?;
        match (one, other) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await
}

impl State {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Upgraded,
        to: &mut Upgraded,
        moved: &mut u64,
    ) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            match self {
                Self::Done => return Poll::Ready(Ok(())),
                Self::Closing => {
                    ready!(Pin::new(&mut *to).poll_close(cx))?;
                    *self = Self::Done;
                }
                Self::Moving => match from.poll_fill(cx)? {
                    Poll::Ready(true) => {
                        let count = ready!(Pin::new(&mut *to).poll_write(cx, from.data()))?;
                        from.consume(count);
                        *moved += count as u64;
                    }
                    Poll::Ready(false) => *self = Self::Closing,
                    Poll::Pending => {
                        // Nothing more for now: what was written must not wait for it.
                        let _ = Pin::new(&mut *to).poll_flush(cx)?;
                        return Poll::Pending;
                    }
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
