//! How does a test get networks of its own? As namespaces of Linux, which nothing leaves.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::process::Command;

use super::{
    node::{Node, PROGRAM},
    program::{command, require, skip},
    within,
};

/// A network, which ends with the test.
pub(crate) struct Namespace {
    ip: PathBuf,
    name: String,
}

impl Namespace {
    /// A network with nothing but a loopback interface. `None`, and said so, where this process may not make any.
    pub(crate) async fn create() -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let ip = require(&["ip"])?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("p2p-http-{}-{number}", process::id());
        let added = command(&ip)
            .args(["netns", "add", &name])
            .stderr(Stdio::null())
            .status();
        if !within("ip netns add", added).await.unwrap().success() {
            skip("network namespaces are not allowed here; be root");
            return None;
        }
        let namespace = Self { ip, name };
        namespace.ip("link set lo up").await;
        Some(namespace)
    }

    /// A program that runs in the network.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut inside = command(&self.ip);
        inside.args(["netns", "exec", &self.name]).arg(program);
        inside
    }

    /// Runs `ip` in the network.
    pub(crate) async fn ip(&self, args: &str) {
        self.run(&self.ip, &args.split(' ').collect::<Vec<_>>())
            .await;
    }

    /// Runs a program in the network, which has to succeed.
    pub(crate) async fn run(&self, program: &Path, args: &[&str]) {
        let output = self.command(program).args(args).output();
        let output = within("a command", output).await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {args:?}: {error}",
            program.display()
        );
    }

    /// Runs `p2p-http` in the network.
    pub(crate) async fn start(&self, args: &[&str]) -> Node {
        Node::launch(self.command(PROGRAM), args).await
    }

    /// Connects the network with another, by an interface at each end.
    pub(crate) async fn connect(
        &self,
        (interface, address): (&str, &str),
        other: &Self,
        (other_interface, other_address): (&str, &str),
    ) {
        let other_name = &other.name;
        let link = format!(
            "link add {interface} type veth peer name {other_interface} netns {other_name}"
        );
        self.ip(&link).await;
        for (namespace, interface, address) in [
            (self, interface, address),
            (other, other_interface, other_address),
        ] {
            let address = format!("addr add {address} dev {interface}");
            namespace.ip(&address).await;
            namespace.ip(&format!("link set {interface} up")).await;
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut command = process::Command::new(&self.ip);
        let _ = command.args(["netns", "del", &self.name]).status();
    }
}
