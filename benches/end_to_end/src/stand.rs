//! What is set up for a row? The processes of a contender, started and looked at.

use std::{net::SocketAddr, process, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{
    args::{Args, Connection, Contender},
    cases::{Row, Work},
    contender::service,
    process::{Process, cpu},
};

/// The processes of a row: those that it needs.
pub(crate) struct Stand {
    server: Option<Process>,
    relay: Option<Process>,
    origin: Option<Process>,
    /// The node that is given the work: it takes HTTP clients, or orders.
    gateway: Option<Process>,
}

/// The CPU time that was used so far, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) gateway: f64,
    pub(crate) origin: f64,
    pub(crate) server: f64,
    pub(crate) load: f64,
}

impl Stand {
    pub(crate) async fn start(row: &Row, all: &Args) -> Result<Self> {
        let mut stand = Self {
            server: None,
            relay: None,
            origin: None,
            gateway: None,
        };
        let usual = if row.contender.is_ours() {
            Connection::Ours
        } else {
            Connection::Libp2p
        };
        let connection = all.connection.or(row.stand.connection).unwrap_or(usual);
        let connection = format!("--connection={}", written(connection));
        let streams = row.stand.streams;
        let streams = streams.map(|streams| format!("--streams={streams}"));
        let threads = row.stand.threads.unwrap_or(all.threads);
        let threads = format!("--threads={threads}");
        let node = [&*connection, &*threads]
            .into_iter()
            .chain(streams.as_deref());
        if let Work::Peers { count, .. } = row.work {
            let count = count.to_string();
            let args = ["peers", &count].into_iter().chain(node);
            stand.gateway = Some(start(args).await?);
            return Ok(stand);
        }
        let between_nodes = matches!(row.work, Work::Carry { .. });
        if !row.stand.without_server && !between_nodes {
            stand.server = Some(start(["server"]).await?);
        }
        if row.contender == Contender::Direct {
            return Ok(stand);
        }
        let name = written(row.contender);
        let services = row.stand.services.to_string();
        let mut args = vec!["origin", &name, "--services", &services];
        if let Some(server) = &stand.server {
            args.extend(["--server", server.address()]);
        }
        args.extend(node.clone());
        let origin = start(args).await?;
        let mut address = origin.address().to_owned();
        stand.origin = Some(origin);
        if let Some(delay) = row.stand.delay {
            let (near, relay) = far(&address, delay).await?;
            address = near;
            stand.relay = Some(relay);
        }
        let service = service(row.stand.services);
        let role = if between_nodes {
            "requester"
        } else {
            "gateway"
        };
        let args = [role, &name, &address, &service].into_iter().chain(node);
        stand.gateway = Some(start(args).await?);
        Ok(stand)
    }

    /// Where HTTP clients connect to.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let first = self.gateway.as_ref().or(self.server.as_ref());
        let first = first.context("there is nothing to connect to")?;
        Ok(first.address().parse()?)
    }

    /// Has the first node do something, and waits for what it says.
    pub(crate) async fn ask(&mut self, order: &str) -> Result<String> {
        let node = self.gateway.as_mut().context("there is no node")?;
        node.ask(order).await
    }

    /// What all have used.
    pub(crate) fn used(&self) -> Result<Used> {
        let of =
            |process: &Option<Process>| process.as_ref().map_or(Ok(0.0), |part| cpu(part.id()));
        Ok(Used {
            gateway: of(&self.gateway)?,
            origin: of(&self.origin)?,
            server: of(&self.server)?,
            load: cpu(process::id())?,
        })
    }

    /// The memory of gateway and origin, in bytes.
    pub(crate) fn memory(&self) -> Result<[f64; 2]> {
        let of = |process: &Option<Process>| process.as_ref().map_or(Ok(0.0), Process::memory);
        Ok([of(&self.gateway)?, of(&self.origin)?])
    }

    pub(crate) async fn stop(self) -> Result<()> {
        for process in [self.gateway, self.origin, self.relay, self.server]
            .into_iter()
            .flatten()
        {
            process.stop().await?;
        }
        Ok(())
    }
}

impl Used {
    /// What was used since `before`, in microseconds for each of `count`.
    pub(crate) fn each_since(&self, before: &Self, count: f64) -> Self {
        let each = |of: fn(&Self) -> f64| (of(self) - of(before)) * 1e6 / count.max(1.0);
        Self {
            gateway: each(|used| used.gateway),
            origin: each(|used| used.origin),
            server: each(|used| used.server),
            load: each(|used| used.load),
        }
    }
}

async fn start<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Process> {
    let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
    Process::start(&args).await
}

/// Puts a distance before the node at `address`, and says how it is reached then.
async fn far(address: &str, delay: Duration) -> Result<(String, Process)> {
    let mut parts: Vec<_> = address.split('/').collect();
    let to = format!("{}:{}", parts[2], parts[4]);
    let delay = delay.as_millis().to_string();
    let relay = start(["relay", &to, &delay]).await?;
    let port = relay
        .address()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    parts[4] = &port;
    Ok((parts.join("/"), relay))
}

/// How a contender is written on the command line.
/// How a value is given on the command line.
fn written(value: impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
