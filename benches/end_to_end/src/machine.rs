//! On what was it measured, and with which versions?

use std::{fs, process::Command, thread};

/// What the versions are locked at.
const LOCKED: &str = include_str!("../../../Cargo.lock");

/// What the contenders stand on.
const PACKAGES: [&str; 6] = ["libp2p", "libp2p-stream", "yamux", "snow", "hyper", "tokio"];

/// One line about the machine.
pub(crate) fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores of {}, Linux {}",
        processor().unwrap_or_else(|| "an unknown processor".to_owned()),
        kernel.trim()
    )
}

/// One line about the versions.
pub(crate) fn versions() -> String {
    let compiler = Command::new("rustc").arg("--version").output();
    let compiler = compiler.map_or_else(
        |_| "an unknown rustc".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let packages = PACKAGES.iter().filter_map(|name| {
        let version = locked(name)?;
        Some(format!("{name} {version}"))
    });
    [compiler]
        .into_iter()
        .chain(packages)
        .collect::<Vec<_>>()
        .join(", ")
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn locked(name: &str) -> Option<&'static str> {
    let begin = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = LOCKED.split_once(&begin)?;
    Some(rest.split_once('"')?.0)
}
