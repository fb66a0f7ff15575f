//! What asks a node for bodies, with nothing else on its other side?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use libp2p::Multiaddr;

use super::{bare::Bare, ours};
use crate::args::{Contender, Way};

/// A node that asks another one.
pub(crate) enum Requester {
    Bare(Bare),
    Ours(ours::Requester),
}

impl Requester {
    /// Connects to the node at `origin`.
    pub(crate) async fn connect(
        contender: Contender,
        origin: &Multiaddr,
        service: &str,
    ) -> Result<Arc<Self>> {
        let requester = match contender {
            Contender::Bare => Self::Bare(Bare::connect(origin).await?),
            Contender::Ours => Self::Ours(ours::Requester::connect(origin, service).await?),
            _ => bail!("{} is nothing without clients", contender.name()),
        };
        Ok(Arc::new(requester))
    }

    /// Carries out an order, `down $bytes $at_once` or `up $bytes $at_once`, and says how many seconds it took.
    pub(crate) async fn obey(self: Arc<Self>, order: String) -> Result<String> {
        let mut words = order.split(' ');
        let mut word = || words.next().context("the order is too short");
        let way = match word()? {
            "down" => Way::Down,
            "up" => Way::Up,
            other => bail!("{other} is no way"),
        };
        let (length, at_once) = (word()?.parse()?, word()?.parse()?);
        let took = self.carry(way, length, at_once).await?;
        Ok(took.as_secs_f64().to_string())
    }

    async fn carry(self: &Arc<Self>, way: Way, length: u64, at_once: usize) -> Result<Duration> {
        if let Self::Bare(bare) = &**self {
            bare.open(at_once).await?;
        }
        let begin = Instant::now();
        let tasks = (0..at_once).map(|_| {
            let requester = Arc::clone(self);
            tokio::spawn(async move {
                match &*requester {
                    Self::Bare(bare) => bare.carry(way, length).await,
                    Self::Ours(ours) => ours.carry(way, length).await,
                }
            })
        });
        for done in try_join_all(tasks).await? {
            done?;
        }
        Ok(begin.elapsed())
    }
}
