//! How does a test run `p2p-http`? As a child process, read by the lines that scripts read.

use std::{
    fmt::{self, Display},
    net::SocketAddr,
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::watch,
};

use super::within;

/// Where an origin listens: on loopback, at a port that the system chooses.
pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// What is tested.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_p2p-http");

/// Lines of a log that a failed test shows.
const SHOWN: usize = 60;

/// A running `p2p-http`. It is killed when the test is over, and shows its log when the test fails.
pub(crate) struct Node {
    child: Child,
    /// What it printed, `ready` included.
    facts: Vec<String>,
    log: watch::Receiver<Vec<String>>,
    args: String,
    /// Kept open: a node whose output nobody reads is another test.
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Node {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::launch(Command::new(PROGRAM), args).await
    }

    /// Starts it by a command that runs it.
    pub(crate) async fn launch(command: Command, args: &[&str]) -> Self {
        Self::launch_until(command, args, "ready").await
    }

    /// Starts it, and waits for a line.
    async fn launch_until(mut command: Command, args: &[&str], last: &str) -> Self {
        let mut child = command
            .args(args)
            .env_remove("P2P_HTTP_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = collect(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut facts: Vec<String> = Vec::new();
        while facts.last().is_none_or(|line| line != last) {
            match within("a line of a node", stdout.next_line())
                .await
                .unwrap()
            {
                Some(line) => facts.push(line),
                None => panic!("{args:?} ended: {}", log.borrow().join("\n")),
            }
        }
        Self {
            child,
            facts,
            log,
            args: args.join(" "),
            stdout,
        }
    }

    /// `serve` with these services, on a loopback TCP port that the system chooses.
    pub(crate) async fn serve(services: &[(&str, &str)], more: &[&str]) -> Self {
        Self::serve_on(TCP, services, more).await
    }

    pub(crate) async fn serve_on(listen: &str, services: &[(&str, &str)], more: &[&str]) -> Self {
        let mut args = vec!["serve", "--listen", listen];
        for (name, target) in services {
            args.extend(["--name", name, "--to", target]);
        }
        args.extend(more);
        Self::start(&args).await
    }

    /// `gateway`, which knows where this origin is.
    pub(crate) async fn gateway(origin: &Self, more: &[&str]) -> Self {
        let address = origin.fact("listening ");
        Self::start(
            &[
                &["gateway", "--listen", "127.0.0.1:0", "--peer", address],
                more,
            ]
            .concat(),
        )
        .await
    }

    /// `forward` to a service of this origin.
    pub(crate) async fn forward(origin: &Self, name: &str) -> Self {
        let peer = origin.fact("listening ");
        let args = [
            "forward",
            "--listen",
            "127.0.0.1:0",
            "--peer",
            peer,
            "--name",
            name,
        ];
        Self::start(&args).await
    }

    /// `gateway` with services of local programs, which listens for peers on loopback.
    pub(crate) async fn listening(more: &[&str]) -> Self {
        let args = [
            "gateway",
            "--listen",
            "127.0.0.1:0",
            "--allow-listen",
            "--p2p-listen",
            TCP,
        ];
        Self::start(&[&args, more].concat()).await
    }

    /// `attach`, once it is attached to this gateway.
    pub(crate) async fn attach(gateway: &Self, name: &str, to: &str, more: &[&str]) -> Self {
        let url = gateway.fact("gateway ");
        let args = ["attach", "--gateway", url, "--name", name, "--to", to];
        let args = [&args, more].concat();
        Self::launch_until(Command::new(PROGRAM), &args, &format!("attached {name}")).await
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = within("a line of a node", self.stdout.next_line()).await;
        line.unwrap().expect("the node runs")
    }

    /// Waits until it prints this line.
    pub(crate) async fn until(&mut self, line: &str) {
        while self.line().await != line {}
    }

    /// The first line of a kind, without the kind.
    pub(crate) fn fact(&self, kind: &str) -> &str {
        let found = self.facts.iter().find_map(|line| line.strip_prefix(kind));
        found.unwrap_or_else(|| panic!("no line {kind:?} in {:?}", self.facts))
    }

    /// What it has printed, up to the last line that was waited for.
    pub(crate) fn facts(&self) -> &[String] {
        &self.facts
    }

    /// Where it takes HTTP requests.
    pub(crate) fn http(&self, kind: &str) -> SocketAddr {
        let url = self.fact(kind).split(' ').next().unwrap();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Waits until it has logged a line with all of `parts`, and returns the line.
    pub(crate) async fn logged(&self, parts: &[&str]) -> String {
        let mut log = self.log.clone();
        let is_it = |line: &&String| parts.iter().all(|part| line.contains(part));
        let found = log.wait_for(|lines| lines.iter().any(|line| is_it(&line)));
        let lines = within("a line of a log", found).await.unwrap();
        lines.iter().find(is_it).unwrap().clone()
    }

    /// Waits until it has logged so many lines with `part`.
    pub(crate) async fn logged_times(&self, count: usize, part: &str) {
        let mut log = self.log.clone();
        let enough =
            |lines: &Vec<String>| lines.iter().filter(|line| line.contains(part)).count() >= count;
        within("lines of a log", log.wait_for(enough))
            .await
            .unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the node runs");
        let command = format!("kill -{name} {pid}");
        let status = Command::new("sh").args(["-c", &command]).status();
        assert!(status.await.unwrap().success(), "{command}");
    }

    /// Waits for its end.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        within("the end of a node", self.child.wait())
            .await
            .unwrap()
            .code()
    }

    /// Kills it, so that nothing of it gets the chance to say goodbye.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// The most memory that it ever had resident, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The same without what is resident of its own file and its libraries. That grows as code is run for the first time,
    /// by as much as the system finds convenient to map at once.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_data_memory(&self) -> u64 {
        self.peak_memory() - self.memory("RssFile:")
    }

    /// See proc_pid_status(5).
    #[cfg(target_os = "linux")]
    fn memory(&self, what: &str) -> u64 {
        let pid = self.child.id().expect("the node runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let found = status.lines().find_map(|line| line.strip_prefix(what));
        let kib: u64 = found
            .unwrap()
            .trim()
            .strip_suffix(" kB")
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        kib * 1024
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p2p-http {}", self.args)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log.borrow();
            let shown = &log[log.len().saturating_sub(SHOWN)..];
            eprintln!("--- log of {self}\n{}", shown.join("\n"));
        }
    }
}

/// An origin with services, and a gateway that reaches it.
pub(crate) struct Pair {
    pub(crate) origin: Node,
    pub(crate) gateway: Node,
}

impl Pair {
    /// One service, called `app`, over TCP.
    pub(crate) async fn start(target: &str) -> Self {
        Self::start_on(TCP, target).await
    }

    pub(crate) async fn start_on(listen: &str, target: &str) -> Self {
        let origin = Node::serve_on(listen, &[("app", target)], &[]).await;
        let gateway = Node::gateway(&origin, &[]).await;
        Self { origin, gateway }
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.http("gateway ")
    }

    /// The request target of something of `app`; `rest` begins with a slash.
    pub(crate) fn path(&self, rest: impl Display) -> String {
        format!("/http/{}/app{rest}", self.origin.fact("peer "))
    }

    /// The URL of something of `app`; `rest` begins with a slash.
    pub(crate) fn url(&self, rest: impl Display) -> String {
        format!("http://{}{}", self.address(), self.path(rest))
    }
}

/// Reads all the time, so that the other side never waits for its log to be read.
fn collect(input: impl AsyncRead + Send + Unpin + 'static) -> watch::Receiver<Vec<String>> {
    let (sender, receiver) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(input).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|all| all.push(line));
        }
    });
    receiver
}
