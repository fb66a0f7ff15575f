//! How evenly do the events of a body come while others use the same gateway?

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::{
    io::AsyncWriteExt,
    task::spawn_local,
    time::{sleep, timeout},
};

use crate::{
    load::{Exchange, PATIENCE, connect},
    server::EVENT,
    wire::Wire,
};

/// How long the others are there before the events begin: what can be filled is full then.
const AHEAD: Duration = Duration::from_millis(500);

/// How many do not read what they asked for.
const UNREAD: usize = 8;

/// Who else there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Nobody,
    /// Clients that have asked for large bodies and read nothing of them.
    Unread,
    /// A client that reads one large body after the other.
    Bulk,
}

/// Receives so many events. Returns what lay between them.
pub(crate) async fn gaps(
    address: SocketAddr,
    count: u64,
    beside: Beside,
    large: &Exchange,
) -> Result<Vec<Duration>> {
    let mut unread: Vec<Wire> = Vec::new();
    let mut bulk = None;
    match beside {
        Beside::Nobody => {}
        Beside::Unread => {
            for _ in 0..UNREAD {
                let mut wire = connect(address).await?;
                wire.stream.write_all(large.head().as_bytes()).await?;
                unread.push(wire);
            }
        }
        Beside::Bulk => {
            let mut wire = connect(address).await?;
            let large = large.clone();
            bulk = Some(spawn_local(async move {
                while large.run(&mut wire).await?.1 {}
                anyhow::Ok(())
            }));
        }
    }
    sleep(AHEAD).await;
    let mut wire = connect(address).await?;
    let times = timeout(10 * PATIENCE, events(&mut wire, count)).await??;
    if let Some(bulk) = bulk {
        ensure!(!bulk.is_finished(), "the client beside came to an end");
        bulk.abort();
    }
    Ok(times.windows(2).map(|pair| pair[1] - pair[0]).collect())
}

/// When each event was there in full.
async fn events(wire: &mut Wire, count: u64) -> Result<Vec<Instant>> {
    let asked = Exchange::get(&format!("/events/{count}"), count * EVENT);
    wire.stream.write_all(asked.head().as_bytes()).await?;
    let head = wire.response().await?;
    ensure!(head.status == 200, "status {}", head.status);
    let mut times = Vec::new();
    let watch = |length: u64| {
        let now = Instant::now();
        times.resize((length / EVENT) as usize, now);
    };
    let length = wire.watched_body(head.length, watch).await?;
    ensure!(length == count * EVENT, "{length} bytes of {count} events");
    Ok(times)
}
