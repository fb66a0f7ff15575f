//! How does the page stay up to date? By server-sent events: first all that is known, then what is new, a few times a second.
//!
//! No event waits for a reader: each is made when the connection has room for it, of what has changed since the one before.
//! So a slow reader has fewer and larger events, up to all that is known at the time, and none costs memory meanwhile.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, stream};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::Shared;
use crate::status::Status;

/// How soon after another an event may come. Faster than this nobody reads.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a client waits before it comes back, where the connection has ended.
const RETRY: Duration = Duration::from_secs(1);

/// How often a silent connection says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where a reader is.
struct Reader {
    status: Status,
    changes: watch::Receiver<u64>,
    /// The version that it has seen.
    seen: u64,
    /// When the next event may come.
    next: Instant,
}

pub(super) async fn events(State(shared): State<Shared>) -> impl IntoResponse {
    let ends = shared.shutdown.clone().cancelled_owned();
    let events = Reader::new(shared.status).events().take_until(ends);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Reader {
    fn new(status: Status) -> Self {
        Self {
            changes: status.follow(),
            status,
            seen: 0,
            next: Instant::now(),
        }
    }

    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut reader| {
            let event = reader.event().await?;
            Some((Ok(event), reader))
        })
    }

    /// The next event; none once nothing changes any more.
    async fn event(&mut self) -> Option<Event> {
        let seen = self.seen;
        self.changes
            .wait_for(|version| *version > seen)
            .await
            .ok()?;
        time::sleep_until(self.next).await;
        self.next = Instant::now() + PAUSE;
        let (news, version) = self.status.since(seen);
        self.seen = version;
        let event = match seen {
            0 => Event::default().event("all").retry(RETRY),
            _ => Event::default().event("news"),
        };
        event.json_data(&news).ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use libp2p::PeerId;
    use prometheus_client::registry::Registry;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn changes_wait_for_the_next_event_and_are_one() {
        let status = Status::new(PeerId::random(), Registry::default());
        let mut reader = Reader::new(status.clone());
        let began = Instant::now();
        assert!(reader.event().await.is_some());
        // Nothing new, however long it waits.
        assert!(time::timeout(KEEP_ALIVE, reader.event()).await.is_err());

        let waited = |since: Instant| since.elapsed().as_millis();
        assert!(waited(began) >= KEEP_ALIVE.as_millis());
        for round in 0..3 {
            for name in 0..100 {
                status.attached(format!("app-{round}-{name}").parse().unwrap());
            }
            let asked = Instant::now();
            assert!(reader.event().await.is_some());
            let due = if round == 0 { 0 } else { PAUSE.as_millis() };
            assert_eq!(waited(asked), due, "{round}");
        }
        assert!(reader.event().now_or_never().is_none());
    }
}
