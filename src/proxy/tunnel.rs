//! Moves bytes in both directions between two streams that switched protocols.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::AsyncWrite;

use crate::{hop::Source, proxy::record::Record, tunnel::Upgraded};

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
struct Moved {
    there: u64,
    back: u64,
}

/// Runs a tunnel, for no longer than `limit`, and notes what became of it.
pub(super) async fn run(
    near: Upgraded,
    far: Upgraded,
    limit: Option<Duration>,
    record: &mut Record,
) {
    let mut moved = Moved::default();
    if let Err(error) = limited(limit, tunnel(near, far, &mut moved)).await {
        record.lost(error.to_string());
    }
    record.request_bytes = moved.there;
    record.response_bytes = moved.back;
}

/// Gives a tunnel up after its time.
async fn limited<T>(
    limit: Option<Duration>,
    tunnel: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let Some(limit) = limit else {
        return tunnel.await;
    };
    let cut = |_| {
        let seconds = limit.as_secs_f64();
        let text = format!("cut after {seconds} s, the longest that a tunnel may live");
        io::Error::new(io::ErrorKind::TimedOut, text)
    };
    tokio::time::timeout(limit, tunnel).await.map_err(cut)?
}

/// Runs until both directions have ended, each closed behind its last byte. Counts the bytes that went from `near` to `far`,
/// and back.
///
/// # Errors
///
/// One of the streams failed, or was silent for too long.
async fn tunnel(mut near: Upgraded, mut far: Upgraded, moved: &mut Moved) -> io::Result<()> {
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
