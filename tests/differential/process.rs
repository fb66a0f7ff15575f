//! What do parsers of other languages make of some bytes? They run as child processes.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::reading::{End, Kind, Lines, Message, Reading};

/// A parser that runs in a process of its own.
pub(crate) struct Parser {
    pub(crate) name: &'static str,
    program: &'static str,
    script: &'static str,
    /// Arguments of a call that succeeds where the parser is installed.
    probe: [&'static str; 2],
    install: &'static str,
}

pub(crate) const H11: Parser = Parser {
    name: "h11",
    program: "python3",
    script: "read.py",
    probe: ["-c", "import h11"],
    install: "install Python 3 and its package h11 (pip install h11)",
};

pub(crate) const NODE: Parser = Parser {
    name: "node",
    program: "node",
    script: "read.mjs",
    probe: ["-e", "0"],
    install: "install Node.js",
};

impl Parser {
    /// Whether it is installed. Where it is not, the test goes on without it, out loud; on a build server, which is
    /// there to run every test, it fails.
    pub(crate) fn is_there(&self) -> bool {
        let probe = Command::new(self.program)
            .args(self.probe)
            .stderr(Stdio::null())
            .status();
        if probe.is_ok_and(|status| status.success()) {
            return true;
        }
        assert!(
            env::var("CI").as_deref() != Ok("true"),
            "{} is missing, and CI=true runs every test: {}",
            self.name,
            self.install
        );
        // Not `eprintln!`: what that writes is shown for failed tests only.
        let _ = writeln!(
            io::stderr(),
            "SKIP: {} is missing; {}",
            self.name,
            self.install
        );
        false
    }

    /// Has it read every one of `inputs`.
    pub(crate) fn read(&self, inputs: &[(Kind, Vec<u8>)]) -> Vec<Reading> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/differential")
            .join(self.script);
        let mut child = Command::new(self.program)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program that can be started");
        let readings = std::thread::scope(|scope| {
            let mut stdin = child.stdin.take().expect("is piped");
            scope.spawn(move || {
                for (kind, input) in inputs {
                    ask(&mut stdin, *kind, input).expect("a child that reads");
                }
            });
            self.answers(&mut child)
        });
        let status = child.wait().expect("a child that ends");
        assert!(status.success(), "{} failed: {status}", self.name);
        assert_eq!(readings.len(), inputs.len(), "{} gave up", self.name);
        readings
    }

    fn answers(&self, child: &mut Child) -> Vec<Reading> {
        let stdout = BufReader::new(child.stdout.take().expect("is piped"));
        let mut readings = Vec::new();
        let mut messages = Vec::new();
        for line in stdout.lines() {
            let line = line.expect("a child that writes text");
            let mut words = line.split(' ');
            let end = match words.next() {
                Some("message") => {
                    messages.push(message(words).unwrap_or_else(|| panic!("{line:?}")));
                    continue;
                }
                Some("end") => End::Open,
                Some("refused") => {
                    let reason = words.next().and_then(unhex).unwrap_or_default();
                    End::Refused(String::from_utf8_lossy(&reason).into_owned())
                }
                _ => panic!("{} said {line:?}", self.name),
            };
            let messages = std::mem::take(&mut messages);
            readings.push(Reading { messages, end });
        }
        readings
    }
}

/// A kind, a length and the bytes.
fn ask(out: &mut impl Write, kind: Kind, input: &[u8]) -> io::Result<()> {
    let kind = match kind {
        Kind::Requests => 0,
        Kind::ToGet => 1,
        Kind::ToHead => 2,
    };
    let length = u32::try_from(input.len()).expect("a small input");
    out.write_all(&[kind])?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(input)
}

/// `1 START FIELDS BODY TRAILERS`, in hexadecimal.
fn message<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Message> {
    let complete = words.next()? == "1";
    let [start, fields, body, trailers] = [(); 4].map(|()| words.next().and_then(unhex));
    Some(Message {
        body: body?,
        trailers: lines(&trailers?)?,
        complete,
        ..Message::begin(start?, lines(&fields?)?)
    })
}

/// `name: value` lines.
fn lines(text: &[u8]) -> Option<Lines> {
    let lines = text.split(|byte| *byte == b'\n');
    let fields = lines.filter(|line| !line.is_empty()).map(|line| {
        let colon = line.windows(2).position(|window| window == b": ")?;
        Some((&line[..colon], &line[colon + 2..]))
    });
    Some(Lines::new(fields.collect::<Option<Vec<_>>>()?))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(Vec::new());
    }
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect()
}
