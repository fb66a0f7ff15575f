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
#[derive(Default)]
struct Direction {
    bytes: u64,
    state: State,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Moving,
    Closing,
    Done,
}

/// Runs until both directions have ended, each closed behind its last byte. Returns the bytes that went `near` to
/// `far` and back.
///
/// # Errors
///
/// One of the streams failed, or was silent for too long.
pub(crate) async fn tunnel(mut near: Upgraded, mut far: Upgraded) -> io::Result<(u64, u64)> {
    let mut there = Direction::default();
    let mut back = Direction::default();
    poll_fn(|cx| {
        let one = there.poll(cx, &mut near, &mut far)?;
        let other = back.poll(cx, &mut far, &mut near)?;
        match (one, other) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok((there.bytes, back.bytes))),
            _ => Poll::Pending,
        }
    })
    .await
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Upgraded,
        to: &mut Upgraded,
    ) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Closing => {
                    ready!(Pin::new(&mut *to).poll_close(cx))?;
                    self.state = State::Done;
                }
                State::Moving => match from.poll_fill(cx)? {
                    Poll::Ready(true) => {
                        let count = ready!(Pin::new(&mut *to).poll_write(cx, from.data()))?;
                        from.consume(count);
                        self.bytes += count as u64;
                    }
                    Poll::Ready(false) => self.state = State::Closing,
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
