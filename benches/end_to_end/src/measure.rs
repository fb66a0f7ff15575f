//! How is a case measured? Every row in every round: set up, loaded, looked at, and ended.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::time::sleep;

use crate::{
    args::{Args, Contender},
    cases::{self, Case, Row, Work},
    contender::service,
    load::{self, Exchange, Failures},
    process::Process,
    report::{Metric, Report, Value},
    server::SMALL,
};

/// How long a gateway may take to settle after its clients fell silent.
const SETTLE: Duration = Duration::from_secs(2);

/// One round trip of the cases with a distance.
const ROUND_TRIP: f64 = 0.05;

/// Measures what was asked for.
pub(crate) async fn all(args: &Args) -> Result<()> {
    let wanted = |case: &Case| {
        args.cases.is_empty()
            || args
                .cases
                .iter()
                .any(|name| case.name.starts_with(name.as_str()))
    };
    let mut report = Report::new(args)?;
    for mut case in cases::all().into_iter().filter(wanted) {
        if args.list {
            println!("{:12} {}", case.name, case.title);
            continue;
        }
        case.rows
            .retain(|row| args.only.is_empty() || args.only.contains(&row.contender));
        let mut values = Vec::new();
        for round in 0..args.rounds {
            for index in 0..case.rows.len() {
                // Not always in the same order: what follows on a heavy one might pay for it.
                let row = (index + round) % case.rows.len();
                eprint!(
                    "\r{:12} round {} of {}: {:30}",
                    case.name,
                    round + 1,
                    args.rounds,
                    case.rows[row].label
                );
                let measured = measure(&case.rows[row], args).await;
                let measured =
                    measured.with_context(|| format!("{}: {}", case.name, case.rows[row].label))?;
                values.extend(measured.into_iter().map(|(metric, value)| Value {
                    row,
                    round,
                    metric,
                    value,
                }));
            }
        }
        eprint!("\r{:60}\r", "");
        report.add(&case, &values)?;
    }
    report.finish()
}

/// The processes of a row.
struct Parts {
    server: Process,
    relay: Option<Process>,
    origin: Option<Process>,
    gateway: Option<Process>,
}

impl Parts {
    async fn start(row: &Row, coalesce: bool) -> Result<Self> {
        let server = start(["server"]).await?;
        let mut parts = Self {
            server,
            relay: None,
            origin: None,
            gateway: None,
        };
        if row.contender == Contender::Direct {
            return Ok(parts);
        }
        let extra = coalesce.then_some("--coalesce");
        let name = clap_name(row.contender);
        let services = row.stand.services.to_string();
        let mut args = vec!["origin", &name, "--services", &services];
        if !row.stand.without_server {
            args.extend(["--server", parts.server.address()]);
        }
        args.extend(extra);
        let origin = start(args).await?;
        let mut address = origin.address().to_owned();
        parts.origin = Some(origin);
        if let Some(delay) = row.stand.delay {
            let (near, relay) = far(&address, delay).await?;
            address = near;
            parts.relay = Some(relay);
        }
        let service = service(row.stand.services);
        parts.gateway = Some(
            start(
                ["gateway", &name, &address, &service]
                    .into_iter()
                    .chain(extra),
            )
            .await?,
        );
        Ok(parts)
    }

    /// Where the clients connect to.
    fn address(&self) -> Result<SocketAddr> {
        Ok(self
            .gateway
            .as_ref()
            .unwrap_or(&self.server)
            .address()
            .parse()?)
    }

    /// What gateway and origin have used.
    fn each(&self, what: impl Fn(&Process) -> std::io::Result<f64>) -> Result<[f64; 2]> {
        let of = |process: &Option<Process>| process.as_ref().map_or(Ok(0.0), &what);
        Ok([of(&self.gateway)?, of(&self.origin)?])
    }

    /// The CPU time of gateway and origin between two looks, in microseconds for each of `count`.
    fn per(&self, before: [f64; 2], after: [f64; 2], count: f64) -> [f64; 2] {
        [0, 1].map(|part| (after[part] - before[part]) * 1e6 / count.max(1.0))
    }

    async fn stop(self) -> Result<()> {
        for process in [self.gateway, self.origin, self.relay, Some(self.server)]
            .into_iter()
            .flatten()
        {
            process.stop().await?;
        }
        Ok(())
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
fn clap_name(contender: Contender) -> String {
    use clap::ValueEnum;
    contender
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

async fn measure(row: &Row, args: &Args) -> Result<Vec<(Metric, f64)>> {
    let parts = Parts::start(row, args.coalesce).await?;
    let values = work(row, &parts, args).await?;
    parts.stop().await?;
    Ok(values)
}

async fn work(row: &Row, parts: &Parts, args: &Args) -> Result<Vec<(Metric, f64)>> {
    let address = parts.address()?;
    let small = Exchange::get("/small", SMALL);
    match &row.work {
        Work::Requests(load) => {
            let length = Duration::from_secs_f64(args.seconds);
            let seen = load
                .run(address, length, || parts.each(Process::cpu))
                .await?;
            let cpu = parts.per(seen.before, seen.after, seen.requests);
            let values = [
                (Metric::Rate, seen.requests / seen.seconds),
                (Metric::P50, seen.p50),
                (Metric::P99, seen.p99),
                (Metric::Failed, failed(row, &seen.failures)),
                (Metric::Unfairness, seen.unfairness),
                (Metric::GatewayCpu, cpu[0]),
                (Metric::OriginCpu, cpu[1]),
                (Metric::Cpu, cpu[0] + cpu[1]),
            ];
            Ok(values.to_vec())
        }
        Work::Bulk {
            exchange,
            bytes,
            at_once,
        } => {
            let before = parts.each(Process::cpu)?;
            let (moments, failures) =
                load::at_once(address, Some(&small), exchange, *at_once).await?;
            let after = parts.each(Process::cpu)?;
            let last = moments.iter().map(|moments| moments.last).max();
            let megabytes = (*bytes * moments.len() as u64) as f64 / 1e6;
            let cpu = parts.per(before, after, megabytes);
            Ok(vec![
                (
                    Metric::Speed,
                    megabytes / last.unwrap_or(Duration::MAX).as_secs_f64(),
                ),
                (Metric::Failed, failed(row, &failures)),
                (Metric::GatewayCpu, cpu[0]),
                (Metric::OriginCpu, cpu[1]),
            ])
        }
        Work::Idle { clients } => {
            // What the first ones cost is not what each costs.
            let first = load::idle(address, &small, 10).await?;
            sleep(SETTLE).await;
            let before = parts.each(Process::memory)?;
            let others = load::idle(address, &small, *clients).await?;
            sleep(SETTLE).await;
            let after = parts.each(Process::memory)?;
            drop((first, others));
            let each = [0, 1].map(|part| (after[part] - before[part]) / 1024.0 / *clients as f64);
            Ok(vec![
                (Metric::GatewayMemory, each[0]),
                (Metric::OriginMemory, each[1]),
            ])
        }
        Work::Burst { requests } => {
            // The connection between the peers is warm, and nothing else.
            drop(load::idle(address, &small, 1).await?);
            sleep(SETTLE).await;
            let (moments, failures) = load::at_once(address, None, &small, *requests).await?;
            let mut trips: Vec<_> = moments
                .iter()
                .map(|moments| moments.first.as_secs_f64() / ROUND_TRIP)
                .collect();
            trips.sort_by(f64::total_cmp);
            Ok(vec![
                (
                    Metric::MedianFirstByte,
                    trips.get(trips.len() / 2).copied().unwrap_or(f64::INFINITY),
                ),
                (
                    Metric::LastFirstByte,
                    trips.last().copied().unwrap_or(f64::INFINITY),
                ),
                (Metric::Failed, failed(row, &failures)),
            ])
        }
    }
}

/// How many requests failed. Tells why, too.
fn failed(row: &Row, failures: &Failures) -> f64 {
    for (reason, count) in failures.iter().take(3) {
        eprintln!("\n{}: {count} times: {reason}", row.label);
    }
    failures.values().sum::<u64>() as f64
}
