//! The program as a process of its own, with its output, log and signals; and a server whose answers wait for a test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `p2p-http`. It is killed when a test fails.
pub(crate) struct Node {
    pub(crate) child: Guarded,
    /// What it printed, `ready` included.
    pub(crate) facts: Vec<String>,
    /// What it logs from here on.
    pub(crate) log: mpsc::Receiver<String>,
    /// What it prints from here on.
    printed: mpsc::Receiver<String>,
}

impl Node {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_until(args, "ready")
    }

    /// Starts it, and waits until it prints a line.
    pub(crate) fn start_until(args: &[&str], last: &str) -> Self {
        let mut child = spawn(args);
        let log = lines(child.stderr.take().unwrap());
        let printed = lines(child.stdout.take().unwrap());
        let mut node = Self {
            child,
            facts: Vec::new(),
            log,
            printed,
        };
        node.facts = node.printed_until(last);
        node
    }

    /// What it prints until it ends.
    pub(crate) fn printed_to_the_end(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let next = || self.printed.recv_timeout(deadline - Instant::now());
        let facts = std::iter::from_fn(|| match next() {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the node does not stop"),
        });
        facts.collect()
    }

    /// What it prints up to this line.
    pub(crate) fn printed_until(&self, last: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut facts = Vec::new();
        while facts.last().is_none_or(|line| line != last) {
            match self.printed.recv_timeout(deadline - Instant::now()) {
                Ok(line) => facts.push(line),
                Err(error) => panic!(
                    "no {last:?} after {facts:?}, {error}: {:?}",
                    self.log.try_iter().collect::<Vec<_>>()
                ),
            }
        }
        facts
    }

    /// The first line of a kind, without the kind.
    pub(crate) fn fact(&self, kind: &str) -> &str {
        let line = self.facts.iter().find_map(|line| line.strip_prefix(kind));
        line.unwrap_or_else(|| panic!("no {kind} in {:?}", self.facts))
    }

    /// Where it takes HTTP.
    pub(crate) fn http(&self, kind: &str) -> SocketAddr {
        let url = self.fact(kind).split(' ').next().unwrap();
        url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub(crate) fn logged(&self, said: &str) {
        logged(&self.log, said);
    }

    pub(crate) fn wait(self) -> Option<i32> {
        wait(self.child, &self.log)
    }

    pub(crate) fn stop(self, name: &str) -> Option<i32> {
        signal(&self.child, name);
        self.wait()
    }
}

/// A child that does not outlive its test.
pub(crate) struct Guarded(pub(crate) Child);

impl std::ops::Deref for Guarded {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.0
    }
}

impl std::ops::DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // It has ended already, if the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An HTTP server that answers with the request line it saw. It answers `/hold` when it is told to, and sends the second
/// half of what it answers to `/half` when it is told to.
pub(crate) struct Server {
    pub(crate) target: String,
    held: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap());
        let (hold, held) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let released = Arc::new(Mutex::new(released));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, hold, released) =
                    (stream.unwrap(), hold.clone(), Arc::clone(&released));
                thread::spawn(move || answer(stream, &hold, &released));
            }
        });
        Self {
            target,
            held,
            release,
        }
    }

    pub(crate) fn held(&self) {
        self.held.recv_timeout(PATIENCE).unwrap();
    }

    pub(crate) fn release(&self) {
        // Nobody is waiting if the request was given up.
        let _ = self.release.send(());
    }
}

fn answer(mut stream: TcpStream, hold: &mpsc::Sender<()>, released: &Mutex<mpsc::Receiver<()>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    if request.contains("/hold") {
        hold.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
    }
    let body = format!("saw {request}");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let response = head + &body;
    let (first, second) = response.split_at(response.len() - body.len() / 2);
    // The proxy is gone when a test cuts the exchange.
    let _ = stream.write_all(first.as_bytes());
    if request.contains("/half") {
        hold.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
    }
    let _ = stream.write_all(second.as_bytes());
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2p-http"));
    command
        .args(args)
        .env_remove("P2P_HTTP_LOG")
        .stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn spawn(args: &[&str]) -> Guarded {
    Guarded(
        command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {}", child.id()))
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits until a line of the log says this.
pub(crate) fn logged(log: &mpsc::Receiver<String>, said: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !log
        .recv_timeout(deadline - Instant::now())
        .unwrap_or_else(|error| panic!("not logged, {error}: {said}"))
        .contains(said)
    {}
}

/// The exit status. The log ends when the process does, so this does not wait for ever.
pub(crate) fn wait(mut child: Guarded, log: &mpsc::Receiver<String>) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match log.recv_timeout(deadline - Instant::now()) {
            Ok(_) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return child.wait().unwrap().code(),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the node does not stop"),
        }
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    get_of(address, &address.to_string(), path)
}

pub(crate) fn get_of(address: SocketAddr, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// Reads in a thread of its own, so that the other side never waits for its log to be read.
pub(crate) fn lines(input: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(input).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
