//! What runs: reads the command line, prepares the process and hands over to one subcommand.

use std::{
    hint::black_box,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use tokio::runtime::Builder;

use crate::args::{Args, Command};

mod address;
mod admin;
mod args;
mod attach;
mod config;
mod demo;
mod doctor;
mod forward;
mod gateway;
mod identity;
mod listen;
mod local;
mod logging;
mod manager;
mod meet;
mod output;
mod own;
mod port;
mod read;
mod run;
mod running;
mod serve;
mod setup;
mod shutdown;
mod status;
mod swarm;
mod token;
mod wire;

fn main() -> ExitCode {
    let mut args = Args::read();
    args.fill_in();
    logging::start(args.log_filter());
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            // Not `eprintln!`, which panics when nobody reads standard error.
            let error = logging::plain(&format!("{error:#}"));
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many sockets that are ready a thread takes up at once. What it writes for them leaves together, and the next node
/// begins with these while this one goes on with others: with 1,024, as is usual, one of both often has nothing to do, and a
/// tenth to a fifth fewer requests are answered in a second.
const EVENTS_AT_ONCE: usize = 8;

fn run(args: Args) -> anyhow::Result<ExitCode> {
    raise_open_files();
    keep_free_memory();
    let runtime = match args.common.threads() {
        1 => Builder::new_current_thread()
            .max_io_events_per_tick(EVENTS_AT_ONCE)
            .enable_all()
            .build(),
        threads => Builder::new_multi_thread()
            .worker_threads(threads.into())
            .enable_all()
            .build(),
    };
    let runtime = runtime.context("cannot start the asynchronous runtime")?;
    let code = runtime.block_on(dispatch(args));
    // What still runs was given its time to finish; a name lookup in a blocking thread must not delay the exit.
    runtime.shutdown_background();
    code
}

async fn dispatch(args: Args) -> anyhow::Result<ExitCode> {
    let Args { command, common } = args;
    match command {
        Command::Run(args) => run::run(&args, &common).await?,
        Command::Serve(args) => serve::run(args, &common).await?,
        Command::Gateway(args) => gateway::run(args, &common).await?,
        Command::Forward(args) => forward::run(args, &common).await?,
        Command::Attach(args) => attach::run(args, &common).await?,
        Command::Meet(args) => meet::run(args, &common).await?,
        Command::Doctor(args) => return doctor::run(args, &common).await,
        Command::Demo(args) => return demo::run(&args, &common).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the allocator of glibc keep up to 8 MiB that are free: twice as much as the largest block that was mapped and freed
/// (mallopt(3), `M_MMAP_THRESHOLD`). It gives back all but 128 KiB otherwise, and asks for it again at once, page by page:
/// that took a sixth of the CPU time of a large body. Other allocators do not mind.
fn keep_free_memory() {
    const MAPPED: usize = 4 << 20;
    drop(black_box(Vec::<u8>::with_capacity(MAPPED)));
}

/// Each local client of a gateway costs a file descriptor, and the soft limit is 1,024 on most systems. The hard limit is
/// what the administrator means; a process that does not use `select` may raise itself to it.
#[cfg(unix)]
fn raise_open_files() {
    if let Err(error) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Other systems have no such limit.
#[cfg(not(unix))]
fn raise_open_files() {}
