//! What do HTTP clients see? Sends requests, looks at every byte of every response, and counts.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use hdrhistogram::Histogram;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::spawn_local,
    time::{sleep, timeout},
};

use crate::{
    pattern::piece,
    wire::{Length, Wire},
};

/// How long the load runs before it counts, at least: connections, streams and pools are there then.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long it runs before it counts at most, where some clients have not been answered yet.
const LONGEST_WARM_UP: Duration = Duration::from_secs(20);

/// The longest time that is told apart, in nanoseconds.
const LONGEST: u64 = 100_000_000_000;

/// How long the last answers may take before they count as failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// One request, and what its answer has to be.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    head: String,
    upload: u64,
    answer: u64,
}

impl Exchange {
    /// Asks for `answer` bytes at `target`.
    pub(crate) fn get(target: &str, answer: u64) -> Self {
        Self {
            head: format!("GET {target} HTTP/1.1\r\nHost: bench.localhost\r\n\r\n"),
            upload: 0,
            answer,
        }
    }

    /// Sends `upload` bytes, and expects `answer` bytes.
    pub(crate) fn post(upload: u64, answer: u64) -> Self {
        Self {
            head: format!(
                "POST /{upload} HTTP/1.1\r\nHost: bench.localhost\r\nContent-Length: {upload}\r\n\r\n"
            ),
            upload,
            answer,
        }
    }

    /// The same with a field line more, of whatever is in `line`.
    pub(crate) fn with_line(mut self, line: &str) -> Self {
        let end = self.head.len() - "\r\n".len();
        self.head.insert_str(end, &format!("{line}\r\n"));
        self
    }

    /// The same with fields more until the head has about `size` bytes: some 40 in a large head, fewer in a small one.
    pub(crate) fn with_head_size(mut self, size: usize) -> Self {
        let length = (size / 40).max(60);
        while self.head.len() + length < size {
            let value = "x".repeat(length - "X-Padding: \r\n".len());
            self = self.with_line(&format!("X-Padding: {value}"));
        }
        self
    }

    /// What is sent, but for a body.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// Sends the request and reads the answer. Returns when its head came, and whether the connection goes on.
    pub(crate) async fn run(&self, wire: &mut Wire) -> Result<(Instant, bool)> {
        wire.stream.write_all(self.head.as_bytes()).await?;
        let mut sent = 0;
        while sent < self.upload {
            let piece = piece(sent, self.upload - sent);
            wire.stream.write_all(piece).await?;
            sent += piece.len() as u64;
        }
        let head = wire.response().await?;
        let first = Instant::now();
        ensure!(head.status == 200, "status {}", head.status);
        let length = wire.body(head.length).await?;
        ensure!(
            length == self.answer,
            "{length} bytes instead of {}",
            self.answer
        );
        Ok((first, !head.close && head.length != Length::UntilClose))
    }
}

/// Clients that send the same request over and over.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    /// Whether every request has a connection of its own.
    pub(crate) reconnect: bool,
    pub(crate) exchange: Exchange,
}

/// What the clients saw.
pub(crate) struct Seen<T> {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    /// In microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) failures: Failures,
    /// How much longer the requests of the slowest client took than those of the median one.
    pub(crate) unfairness: f64,
    /// What the caller looked at when the counting began, and when it ended.
    pub(crate) before: T,
    pub(crate) after: T,
}

/// What went wrong, and how often.
pub(crate) type Failures = BTreeMap<String, u64>;

fn count_failure(failures: &mut Failures, reason: String) {
    *failures.entry(reason).or_default() += 1;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Counting,
    Over,
}

struct State {
    phase: Cell<Phase>,
    /// Clients that were answered.
    answered: Cell<usize>,
    latencies: RefCell<Histogram<u64>>,
    failures: RefCell<Failures>,
}

impl State {
    fn failed(&self, reason: String) {
        count_failure(&mut self.failures.borrow_mut(), reason);
    }
}

impl Load {
    /// Runs for so long. `look` is called when the counting begins and when it ends.
    pub(crate) async fn run<T>(
        &self,
        address: SocketAddr,
        length: Duration,
        look: impl Fn() -> Result<T>,
    ) -> Result<Seen<T>> {
        let state = Rc::new(State {
            phase: Cell::new(Phase::WarmUp),
            answered: Cell::new(0),
            latencies: RefCell::new(Histogram::new_with_bounds(1_000, LONGEST, 3)?),
            failures: RefCell::default(),
        });
        let clients: Vec<_> = (0..self.clients)
            .map(|_| spawn_local(client(self.clone(), address, Rc::clone(&state))))
            .collect();
        let start = Instant::now();
        sleep(WARM_UP).await;
        while state.answered.get() < self.clients && start.elapsed() < LONGEST_WARM_UP {
            sleep(WARM_UP).await;
        }
        let (before, begin) = (look()?, Instant::now());
        state.phase.set(Phase::Counting);
        sleep(length).await;
        let (after, seconds) = (look()?, begin.elapsed().as_secs_f64());
        state.phase.set(Phase::Over);

        let aborts: Vec<_> = clients.iter().map(|task| task.abort_handle()).collect();
        let counts = match timeout(PATIENCE, join_all(clients)).await {
            Ok(counts) => counts.into_iter().collect::<Result<Vec<_>, _>>()?,
            Err(_) => {
                for client in aborts.iter().filter(|client| !client.is_finished()) {
                    client.abort();
                    state.failed("no answer in time".to_owned());
                }
                Vec::new()
            }
        };
        let latencies = state.latencies.borrow();
        let failures = state.failures.take();
        Ok(Seen {
            requests: latencies.len() as f64,
            seconds,
            p50: latencies.value_at_quantile(0.5) as f64 / 1000.0,
            p99: latencies.value_at_quantile(0.99) as f64 / 1000.0,
            failures,
            unfairness: unfairness(counts),
            before,
            after,
        })
    }
}

/// The mean time of a client's requests is the inverse of their number.
fn unfairness(mut counts: Vec<u64>) -> f64 {
    counts.sort_unstable();
    match counts.first() {
        Some(&fewest) => counts[counts.len() / 2] as f64 / fewest.max(1) as f64,
        None => f64::INFINITY,
    }
}

/// One client. Returns how many of its requests counted.
async fn client(load: Load, address: SocketAddr, state: Rc<State>) -> u64 {
    let exchange = match load.reconnect {
        true => load.exchange.with_line("Connection: close"),
        false => load.exchange,
    };
    let (mut open, mut count, mut answered) = (None, 0, false);
    while state.phase.get() != Phase::Over {
        let begin = Instant::now();
        let attempt = attempt(&mut open, address, &exchange, load.reconnect).await;
        if attempt.is_ok() && !answered {
            answered = true;
            state.answered.set(state.answered.get() + 1);
        }
        match attempt {
            Ok(()) if state.phase.get() == Phase::Counting => {
                count += 1;
                let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
                state.latencies.borrow_mut().saturating_record(nanos);
            }
            Ok(()) => {}
            Err(error) => {
                open = None;
                state.failed(format!("{error:#}"));
            }
        }
    }
    count
}

/// One request, over the connection that is open or a new one.
async fn attempt(
    open: &mut Option<Wire>,
    address: SocketAddr,
    exchange: &Exchange,
    reconnect: bool,
) -> Result<()> {
    let mut wire = match open.take() {
        Some(wire) => wire,
        None => connect(address).await?,
    };
    let (_, goes_on) = exchange.run(&mut wire).await?;
    if reconnect {
        wire.end().await?;
    } else if goes_on {
        *open = Some(wire);
    }
    Ok(())
}

pub(crate) async fn connect(address: SocketAddr) -> Result<Wire> {
    let stream = TcpStream::connect(address)
        .await
        .context("cannot connect")?;
    Wire::new(stream)
}

/// Runs the same exchange on several connections at once. With `warm`, each of them has carried that before.
///
/// Returns when the answers came, of those that did, and what went wrong with the others.
pub(crate) async fn at_once(
    address: SocketAddr,
    warm: Option<&Exchange>,
    exchange: &Exchange,
    count: usize,
) -> Result<(Vec<Moments>, Failures)> {
    let mut failures = Failures::new();
    let mut wires = Vec::new();
    for _ in 0..count {
        match connect_warm(address, warm).await {
            Ok(wire) => wires.push(wire),
            Err(error) => count_failure(&mut failures, format!("{error:#}")),
        }
    }
    let begin = Instant::now();
    let runs = wires.into_iter().map(|mut wire| async move {
        let (first, _) = timeout(10 * PATIENCE, exchange.run(&mut wire))
            .await
            .context("no answer in time")??;
        anyhow::Ok(Moments {
            first: first - begin,
            last: begin.elapsed(),
        })
    });
    let mut moments = Vec::new();
    for result in join_all(runs).await {
        match result {
            Ok(moment) => moments.push(moment),
            Err(error) => count_failure(&mut failures, format!("{error:#}")),
        }
    }
    Ok((moments, failures))
}

async fn connect_warm(address: SocketAddr, warm: Option<&Exchange>) -> Result<Wire> {
    let mut wire = connect(address).await?;
    if let Some(warm) = warm {
        let (_, goes_on) = warm.run(&mut wire).await?;
        ensure!(
            goes_on,
            "the connection was closed behind the first request"
        );
    }
    Ok(wire)
}

/// When an answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// Its head.
    pub(crate) first: Duration,
    /// Its last byte.
    pub(crate) last: Duration,
}

/// Opens connections, and sends one request over each. They stay open until they are dropped.
pub(crate) async fn idle(
    address: SocketAddr,
    exchange: &Exchange,
    count: usize,
) -> Result<Vec<Wire>> {
    let mut wires = Vec::with_capacity(count);
    for _ in 0..count {
        wires.push(connect_warm(address, Some(exchange)).await?);
    }
    Ok(wires)
}
