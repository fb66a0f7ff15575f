//! Measures the crate against what one would build instead, over real sockets and in processes of their own.
//!
//! ```text
//! load generator --TCP--> gateway --libp2p over TCP--> origin --TCP--> server
//! ```
//!
//! or, for the crate alone, only two nodes, or one with many peers. Gateway and origin are those of a *contender*: this crate, or one of the things that somebody would build without it.
//! All are part of this program, which runs itself as all four processes. For every case the contenders take turns, round
//! after round, so that what else the machine does hits them alike, and ratios are taken within a round.

mod args;
mod cases;
mod contender;
mod events;
mod load;
mod machine;
mod measure;
mod page;
mod pattern;
mod plot;
mod process;
mod relay;
mod report;
mod server;
mod stand;
mod swarm;
mod wire;

use std::{hint::black_box, sync::Arc};

use anyhow::Result;
use clap::Parser;
use tokio::runtime::Builder;

use self::{
    args::{Args, GatewayArgs, Role},
    contender::{Hub, Requester},
};

/// How many sockets a node of one thread takes up at once: as in `p2p-http`. All contenders are faster so than with tokio's
/// 1,024.
const EVENTS_AT_ONCE: usize = 8;

fn main() -> Result<()> {
    raise_open_files();
    let args = Args::parse();
    match args.role {
        None => {
            // One thread, which must not take more of the machine from the contenders than it has to.
            let runtime = Builder::new_current_thread().enable_all().build()?;
            tokio::task::LocalSet::new().block_on(&runtime, measure::all(&args))
        }
        Some(role) => match role.node().map_or(1, |node| node.threads) {
            1 => {
                let mut runtime = Builder::new_current_thread();
                if role.node().is_some() {
                    runtime.max_io_events_per_tick(EVENTS_AT_ONCE);
                }
                let runtime = runtime.enable_all().build()?;
                runtime.block_on(play(role))
            }
            threads => {
                let mut runtime = Builder::new_multi_thread();
                let runtime = runtime.worker_threads(threads).enable_all().build()?;
                // The thread of `block_on` is none of the pool: what runs there is woken from another thread every time.
                runtime.block_on(async { tokio::spawn(play(role)).await? })
            }
        },
    }
}

/// As in `p2p-http`; all contenders take a sixth less CPU time for large bodies so.
fn keep_free_memory() {
    const MAPPED: usize = 4 << 20;
    drop(black_box(Vec::<u8>::with_capacity(MAPPED)));
}

/// Plays one part of a case until the standard input ends.
async fn play(role: Role) -> Result<()> {
    if let Some(node) = role.node() {
        keep_free_memory();
        swarm::set(node);
    }
    match role {
        Role::Server => process::ready(server::start().await?),
        Role::Relay { to, delay } => process::ready(relay::start(to, delay)?),
        Role::Origin(args) => process::ready(contender::origin(&args).await?),
        Role::Gateway(args) => process::ready(contender::gateway(&args).await?),
        Role::Requester(GatewayArgs {
            contender,
            origin,
            service,
            ..
        }) => {
            let requester = Requester::connect(contender, &origin, &service).await?;
            process::ready("connected");
            return process::answer(|order| Arc::clone(&requester).obey(order)).await;
        }
        Role::Peers { count, .. } => {
            let hub = Hub::start(count).await?;
            process::ready("connected");
            return process::answer(|order| Arc::clone(&hub).obey(order)).await;
        }
    }
    process::until_told().await;
    Ok(())
}

/// Every client is a socket in three of the processes, and the usual limit is 1,024.
fn raise_open_files() {
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        eprintln!("cannot raise the limit of open files: {error}");
    }
}
