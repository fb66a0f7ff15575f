//! How are the parts of a case started, asked, told to end, and what do they use?

use std::{env, fmt::Display, fs, io, process::Stdio};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdout, Command},
};

/// What memory is counted in.
const PAGE: f64 = 4096.0;

/// Tells the process that started this one that everything is ready, and where.
pub(crate) fn ready(address: impl Display) {
    println!("{address}");
}

/// Waits until the process that started this one wants it to end, or has ended itself.
pub(crate) async fn until_told() {
    let mut nothing = [0];
    let _ = tokio::io::stdin().read(&mut nothing).await;
}

/// The CPU time that a process has used so far, in seconds: that of all its threads, none of which ends early.
///
/// From `schedstat`, which counts nanoseconds; `stat` counts hundredths of a second.
pub(crate) fn cpu(id: u32) -> io::Result<f64> {
    let mut nanos = 0.0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = stat.split_ascii_whitespace().next();
        nanos += ran
            .and_then(|ran| ran.parse::<f64>().ok())
            .unwrap_or_default();
    }
    Ok(nanos / 1e9)
}

/// Does what the process that started this one asks for, a line each, until that has no more to ask.
pub(crate) async fn answer<F>(obey: impl Fn(String) -> F) -> Result<()>
where
    F: Future<Output = Result<String>>,
{
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let done = obey(line).await;
        // An error is of one line, too.
        println!(
            "{}",
            done.unwrap_or_else(|error| format!("{FAILED}{error:#}"))
        );
    }
    Ok(())
}

/// What the answer to an order begins with that was not carried out.
const FAILED: &str = "failed: ";

/// A part of a case, as a process of this same program. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    id: u32,
    address: String,
}

impl Process {
    /// Starts this program with other arguments, and waits until it is ready.
    pub(crate) async fn start(args: &[String]) -> Result<Self> {
        let program = env::current_exe().context("cannot find this program")?;
        let mut child = Command::new(program)
            .args(args)
            // Its end tells the process to end, also if this one is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().context("the process ended")?;
        let mut output = BufReader::new(child.stdout.take().context("has an output")?);
        let mut address = String::new();
        output.read_line(&mut address).await?;
        ensure!(
            !address.is_empty(),
            "`bench {}` did not start",
            args.join(" ")
        );
        let address = address.trim().to_owned();
        Ok(Self {
            child,
            output,
            id,
            address,
        })
    }

    /// Where the process listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Has the process do something, and waits for what it says.
    pub(crate) async fn ask(&mut self, order: &str) -> Result<String> {
        let input = self.child.stdin.as_mut().context("has an input")?;
        input.write_all(format!("{order}\n").as_bytes()).await?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).await?;
        ensure!(answer.ends_with('\n'), "the process ended at `{order}`");
        let failed = answer.strip_prefix(FAILED);
        ensure!(failed.is_none(), "`{order}`: {}", answer.trim());
        Ok(answer.trim().to_owned())
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The memory that the process has in use, in bytes.
    pub(crate) fn memory(&self) -> io::Result<f64> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.id))?;
        let resident = statm
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|pages| pages.parse::<f64>().ok());
        Ok(resident.unwrap_or_default() * PAGE)
    }

    /// Ends the process and waits for that.
    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().await?;
        Ok(())
    }
}
