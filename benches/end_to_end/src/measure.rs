//! How is a case measured? Every row in every round: set up, loaded, looked at, and ended.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::{
    args::{Args, Way},
    cases::{self, Case, LARGE, Row, Who, Work},
    events::{self, Beside},
    load::{self, Exchange, Failures, Load},
    report::{Metric, Report, Value},
    server::{PAUSE, SMALL},
    stand::Stand,
};

/// How long a gateway may take to settle after its clients fell silent.
const SETTLE: Duration = Duration::from_secs(2);

/// One round trip of the cases with a distance.
const ROUND_TRIP: f64 = 0.05;

/// What was measured of a row in a round.
type Values = Vec<(Metric, f64)>;

/// Measures what was asked for.
pub(crate) async fn all(args: &Args) -> Result<()> {
    let wanted = |case: &Case| {
        args.cases.is_empty()
            || args
                .cases
                .iter()
                .any(|name| case.name.starts_with(name.as_str()))
    };
    let cases = cases::all().into_iter().filter(wanted);
    if args.list {
        cases.for_each(|case| println!("{:14} {}", case.name, case.title));
        return Ok(());
    }
    let mut report = Report::new(args)?;
    let mut broken = Vec::new();
    for mut case in cases {
        case.rows
            .retain(|row| args.only.is_empty() || args.only.contains(&row.contender));
        match rounds(&case, args).await {
            Ok(values) => report.add(&case, &values)?,
            // What takes an hour does not end at its first fault.
            Err(error) => {
                eprintln!("\n{}: {error:#}", case.name);
                broken.push(case.name);
            }
        }
    }
    ensure!(
        broken.is_empty(),
        "these could not be measured: {}",
        broken.join(", ")
    );
    Ok(())
}

async fn rounds(case: &Case, args: &Args) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    for round in 0..args.rounds {
        for index in 0..case.rows.len() {
            // Not always in the same order: what follows on a heavy one might pay for it.
            let row = (index + round) % case.rows.len();
            let setting = &case.rows[row];
            eprint!(
                "\r{:14} round {} of {}: {:50}",
                case.name,
                round + 1,
                args.rounds,
                setting.label
            );
            let mut stand = Stand::start(setting, args).await?;
            let measured = measure(setting, &mut stand, args).await;
            let measured = measured.with_context(|| setting.label.clone())?;
            stand.stop().await?;
            values.extend(measured.into_iter().map(|(metric, value)| Value {
                row,
                round,
                metric,
                value,
            }));
        }
    }
    eprint!("\r{:80}\r", "");
    Ok(values)
}

async fn measure(row: &Row, stand: &mut Stand, args: &Args) -> Result<Values> {
    match &row.work {
        Work::Requests(load) => requests(row, load, stand, args.seconds).await,
        Work::Bulk {
            exchange,
            bytes,
            at_once,
        } => bulk(row, stand, exchange, *bytes, *at_once).await,
        Work::Carry {
            way,
            bytes,
            at_once,
        } => carry(stand, *way, *bytes, *at_once).await,
        Work::Events { beside } => events(stand, *beside, args.seconds).await,
        Work::Peers { who, .. } => peers(stand, *who, args.seconds).await,
        Work::Idle { clients } => idle(stand, *clients).await,
        Work::Burst { requests } => burst(row, stand, *requests).await,
    }
}

async fn requests(row: &Row, load: &Load, stand: &Stand, seconds: f64) -> Result<Values> {
    let length = Duration::from_secs_f64(seconds);
    let seen = load.run(stand.address()?, length, || stand.used()).await?;
    let each = seen.after.each_since(&seen.before, seen.requests);
    Ok(vec![
        (Metric::Rate, seen.requests / seen.seconds),
        (Metric::P50, seen.p50),
        (Metric::P99, seen.p99),
        (Metric::Failed, failed(row, &seen.failures)),
        (Metric::Unfairness, seen.unfairness),
        (Metric::GatewayCpu, each.gateway),
        (Metric::OriginCpu, each.origin),
        (Metric::Cpu, each.gateway + each.origin),
        (Metric::ServerCpu, each.server),
        (Metric::LoadCpu, each.load),
    ])
}

async fn bulk(
    row: &Row,
    stand: &Stand,
    exchange: &Exchange,
    bytes: u64,
    at_once: usize,
) -> Result<Values> {
    let before = stand.used()?;
    let (moments, failures) =
        load::at_once(stand.address()?, Some(&small()), exchange, at_once).await?;
    let last = moments.iter().map(|moments| moments.last).max();
    let megabytes = (bytes * moments.len() as u64) as f64 / 1e6;
    let each = stand.used()?.each_since(&before, megabytes);
    let seconds = last.unwrap_or(Duration::MAX).as_secs_f64();
    Ok(vec![
        (Metric::Speed, megabytes / seconds),
        (Metric::Failed, failed(row, &failures)),
        (Metric::GatewayCpu, each.gateway),
        (Metric::OriginCpu, each.origin),
    ])
}

async fn carry(stand: &mut Stand, way: Way, bytes: u64, at_once: usize) -> Result<Values> {
    let way = match way {
        Way::Down => "down",
        Way::Up => "up",
    };
    // The streams are open and have carried something, as they have where HTTP clients ask for bodies.
    stand.ask(&format!("{way} {SMALL} {at_once}")).await?;
    let before = stand.used()?;
    let answer = stand.ask(&format!("{way} {bytes} {at_once}")).await?;
    let seconds: f64 = answer.parse()?;
    let megabytes = (bytes * at_once as u64) as f64 / 1e6;
    let each = stand.used()?.each_since(&before, megabytes);
    Ok(vec![
        (Metric::Speed, megabytes / seconds),
        (Metric::GatewayCpu, each.gateway),
        (Metric::OriginCpu, each.origin),
    ])
}

async fn events(stand: &Stand, beside: Beside, seconds: f64) -> Result<Values> {
    let count = (seconds / PAUSE.as_secs_f64()) as u64;
    let large = Exchange::get(&format!("/length/{LARGE}"), LARGE);
    let mut gaps = events::gaps(stand.address()?, count.max(2), beside, &large).await?;
    gaps.sort_unstable();
    let millis = |gap: Option<&Duration>| gap.map_or(f64::INFINITY, |gap| gap.as_secs_f64() * 1e3);
    Ok(vec![
        (Metric::P99Gap, millis(gaps.get(gaps.len() * 99 / 100))),
        (Metric::WorstGap, millis(gaps.last())),
    ])
}

async fn peers(stand: &mut Stand, who: Who, seconds: f64) -> Result<Values> {
    let who = match who {
        Who::One => "one",
        Who::All => "all",
        Who::Asks => "asks",
    };
    stand.ask(&format!("{who} 0.5")).await?;
    let before = stand.used()?;
    let answer = stand.ask(&format!("{who} {seconds}")).await?;
    let (requests, seconds) = answer.split_once(' ').context("not an answer")?;
    let (requests, seconds): (f64, f64) = (requests.parse()?, seconds.parse()?);
    let each = stand.used()?.each_since(&before, requests);
    Ok(vec![
        (Metric::Rate, requests / seconds),
        (Metric::Cpu, each.gateway),
    ])
}

async fn idle(stand: &Stand, clients: usize) -> Result<Values> {
    // What the first ones cost is not what each costs.
    let first = load::idle(stand.address()?, &small(), 10).await?;
    sleep(SETTLE).await;
    let before = stand.memory()?;
    let others = load::idle(stand.address()?, &small(), clients).await?;
    sleep(SETTLE).await;
    let after = stand.memory()?;
    drop((first, others));
    let each = [0, 1].map(|part| (after[part] - before[part]) / 1024.0 / clients as f64);
    Ok(vec![
        (Metric::GatewayMemory, each[0]),
        (Metric::OriginMemory, each[1]),
    ])
}

async fn burst(row: &Row, stand: &Stand, requests: usize) -> Result<Values> {
    // The connection between the peers is warm, and nothing else.
    drop(load::idle(stand.address()?, &small(), 1).await?);
    sleep(SETTLE).await;
    let (moments, failures) = load::at_once(stand.address()?, None, &small(), requests).await?;
    let mut trips: Vec<_> = moments
        .iter()
        .map(|moments| moments.first.as_secs_f64() / ROUND_TRIP)
        .collect();
    trips.sort_by(f64::total_cmp);
    let of = |trips: Option<&f64>| trips.copied().unwrap_or(f64::INFINITY);
    Ok(vec![
        (Metric::MedianFirstByte, of(trips.get(trips.len() / 2))),
        (Metric::LastFirstByte, of(trips.last())),
        (Metric::Failed, failed(row, &failures)),
    ])
}

fn small() -> Exchange {
    Exchange::get("/small", SMALL)
}

/// How many requests failed. Tells why, too.
fn failed(row: &Row, failures: &Failures) -> f64 {
    for (reason, count) in failures.iter().take(3) {
        eprintln!("\n{}: {count} times: {reason}", row.label);
    }
    failures.values().sum::<u64>() as f64
}
