//! Which other programs do the tests run, and what happens where one is missing?

use std::{
    env,
    ffi::OsStr,
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::within;

/// Where servers are, which the `PATH` of a user often lacks.
const MORE_PLACES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Finds a program by any of its names. Where there is none the test is skipped, out loud; on a build server, which is
/// there to run every test, it fails.
pub(crate) fn require(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<_> = env::split_paths(&path)
        .chain(MORE_PLACES.map(PathBuf::from))
        .collect();
    let found = names.iter().find_map(|name| {
        let files = places.iter().map(|place| place.join(name));
        files.into_iter().find(|file| file.is_file())
    });
    if found.is_none() {
        let name = names[0];
        skip(&format!("{name} is not installed; install it"));
    }
    found
}

/// The same for a file that `command` installs.
pub(crate) fn require_file(path: &Path, command: &str) -> Option<()> {
    if path.exists() {
        return Some(());
    }
    skip(&format!(
        "{} is not installed; install it by `{command}`",
        path.display()
    ));
    None
}

/// Says why a test is skipped, and what to do about it.
pub(crate) fn skip(reason: &str) {
    assert!(
        env::var("CI").as_deref() != Ok("true"),
        "{reason}: CI=true runs every test"
    );
    // Not `eprintln!`: what that writes is shown for failed tests only.
    let _ = writeln!(io::stderr(), "SKIP: {reason} to run this test");
}

/// A program that ends with the test.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What curl said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Answer {
    /// Standard output, where curl held the transfer for a good one.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.stdout[..self.stdout.len().min(2000)];
        write!(
            f,
            "curl ended with {:?}: {}\n{}",
            self.code,
            self.stderr.trim(),
            shown.escape_ascii()
        )
    }
}

/// A curl that reads no configuration, knows no other proxy, and does not wait for ever.
pub(crate) struct Curl(PathBuf);

impl Curl {
    pub(crate) fn find() -> Option<Self> {
        require(&["curl"]).map(Self)
    }

    /// A curl that the test starts and stops by itself.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = command(&self.0);
        command.args(["-q", "--silent", "--show-error", "--globoff"]);
        command.args(["--noproxy", "*", "--max-time", "40"]);
        command.args(args);
        command
    }

    /// Runs curl to its end.
    pub(crate) async fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Answer {
        let output = within("curl", self.command(args).output()).await.unwrap();
        Answer {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `python3 -m http.server` for a directory, and what `--to` takes.
pub(crate) async fn python_server(python: &Path, directory: &Path) -> (Child, String) {
    let mut child = command(python)
        .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Serving HTTP on 127.0.0.1 port 12345 (http://127.0.0.1:12345/) ...
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = within("a line of Python", lines.next_line()).await.unwrap();
    let line = line.expect("Python says where it listens");
    let url = line.split(['(', ')']).nth(1).unwrap().to_owned();
    (child, url)
}
