//! How are the parts of a case started, told to end, and what do they use?

use std::{env, fmt::Display, fs, io, process::Stdio};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
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

/// A part of a case, as a process of this same program. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
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
        let output = child.stdout.take().context("has an output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address).await?;
        ensure!(
            !address.is_empty(),
            "`bench {}` did not start",
            args.join(" ")
        );
        let address = address.trim().to_owned();
        Ok(Self { child, id, address })
    }

    /// Where the process listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The CPU time that the process has used so far, in seconds: that of all its threads, none of which ends early.
    ///
    /// From `schedstat`, which counts nanoseconds; `stat` counts hundredths of a second.
    pub(crate) fn cpu(&self) -> io::Result<f64> {
        let mut nanos = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.id))? {
            let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let ran = stat.split_ascii_whitespace().next();
            nanos += ran
                .and_then(|ran| ran.parse::<f64>().ok())
                .unwrap_or_default();
        }
        Ok(nanos / 1e9)
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
