//! Moves bytes in both directions between two streams that switched protocols.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::AsyncWrite;

use crate::{
    error::{ExchangeError, Wait},
    hop::Source,
    proxy::record::Record,
    timer::Watchdog,
    tunnel::Upgraded,
};

/// How often one direction moves on before the other, and the other work of the task, get their turn.
const ROUNDS: usize = 16;

/// One end of a tunnel. An end that is dropped before it was closed is reset: a tunnel that was cut must not look as one
/// that has ended.
struct End {
    stream: Upgraded,
    state: State,
}

/// How far the direction has come that leads to an end.
#[derive(PartialEq, Eq)]
enum State {
    Moving,
    Closing,
    Done,
}

impl End {
    fn new(stream: Upgraded) -> Self {
        Self {
            stream,
            state: State::Moving,
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if self.state != State::Done {
            self.stream.abort();
        }
    }
}

/// How long one end may take nothing while nothing else moves. That nothing comes, the ends see themselves.
struct Patience {
    limit: Duration,
    watchdog: Watchdog,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            watchdog: Watchdog::default(),
        }
    }

    fn poll<T>(&mut self, cx: &mut Context<'_>, taken: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let taken = self.watchdog.watch(cx, (Wait::Tunnel, self.limit), taken);
        taken.map_err(|error| match error {
            ExchangeError::Io(error) => error,
            error => error.into(),
        })
    }
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
    if let Err(error) = limited(limit, tunnel(End::new(near), End::new(far), &mut moved)).await {
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
async fn tunnel(mut near: End, mut far: End, moved: &mut Moved) -> io::Result<()> {
    let mut patience = Patience::new(near.stream.timeout());
    poll_fn(|cx| {
        let one = far.poll_take(cx, &mut near, (&mut moved.there, &mut patience))?;
        let other = near.poll_take(cx, &mut far, (&mut moved.back, &mut patience))?;
        match (one, other) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await
}

impl End {
    /// Takes what comes from the other end, and is closed behind the last of it.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut End,
        (moved, patience): (&mut u64, &mut Patience),
    ) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS {
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Closing => {
                    let closed = Pin::new(&mut self.stream).poll_close(cx);
                    ready!(patience.poll(cx, closed))?;
                    self.state = State::Done;
                }
                State::Moving => match from.stream.poll_fill(cx)? {
                    Poll::Ready(true) => {
                        let written = Pin::new(&mut self.stream).poll_write(cx, from.stream.data());
                        let count = ready!(patience.poll(cx, written))?;
                        from.stream.consume(count);
                        *moved += count as u64;
                    }
                    Poll::Ready(false) => self.state = State::Closing,
                    Poll::Pending => {
                        // Nothing more for now: what was written must not wait for it.
                        let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
                        return Poll::Pending;
                    }
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        config::Config,
        h1::Server,
        hop::Hop,
        io::stub::{Manner, Stub},
    };

    const SHORT: Duration = Duration::from_millis(50);

    fn end(manner: Manner) -> End {
        let config = Arc::new(Config::default().with_tunnel_timeout(SHORT));
        let hop = Hop::<Server>::new(Stub::new(manner), &config);
        End::new(Upgraded::new(hop, config, Box::new(())))
    }

    async fn cut(near: Manner, far: Manner) -> io::ErrorKind {
        let mut moved = Moved::default();
        let tunnel = tunnel(end(near), end(far), &mut moved);
        let ended = tokio::time::timeout(100 * SHORT, tunnel).await;
        let error = ended.expect("has a limit").expect_err("does not end well");
        error.kind()
    }

    #[tokio::test]
    async fn an_end_that_takes_nothing_is_not_waited_for_where_the_other_direction_is_over() {
        let ended = || Manner {
            ends: true,
            ..Manner::default()
        };
        let speaks = Manner {
            input: b"more".to_vec(),
            ..Manner::default()
        };
        assert_eq!(cut(speaks, ended()).await, io::ErrorKind::TimedOut);
        let never_closes = Manner {
            slow_closes: usize::MAX,
            ..ended()
        };
        assert_eq!(cut(ended(), never_closes).await, io::ErrorKind::TimedOut);
    }
}
