//! How many instructions does a head, a chunk and an exchange take? Counted by valgrind, and the same every time.
//!
//! ```sh
//! cargo bench --bench instructions --features tokio
//! ```
//!
//! runs this program under `valgrind --tool=callgrind` once for every part and count, and prints the difference that
//! more rounds make. To see where the instructions go, run one part by hand, and read the file with
//! `callgrind_annotate`:
//!
//! ```sh
//! valgrind --tool=callgrind target/release/deps/instructions-* request 1000
//! ```

mod support;

use std::{env, error::Error, process::Command};

use self::support::{
    exchange::{Answer, Exchange, Naming},
    heads::{Gateway, bare_request, bare_response, chunked, read_chunked},
};

/// What a request head may take at most, times what httparse alone takes.
const GOAL: f64 = 2.0;

/// A part, and what it is compared with.
const PARTS: [(&str, &str); 6] = [
    ("request", "httparse-request"),
    ("response", "httparse-response"),
    ("chunked body", ""),
    ("exchange", ""),
    ("exchange by path", ""),
    ("exchange by host", ""),
];

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo passes `--bench` along.
    let args: Vec<_> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.as_slice() {
        [part, rounds] => run(part, rounds.parse()?),
        _ => report()?,
    }
    Ok(())
}

fn run(part: &str, rounds: usize) {
    let mut gateway = Gateway::default();
    match part {
        "httparse-request" => (0..rounds).for_each(|_| bare_request()),
        "httparse-response" => (0..rounds).for_each(|_| bare_response()),
        "request" => (0..rounds).for_each(|_| gateway.request()),
        "response" => (0..rounds).for_each(|_| gateway.response()),
        "chunked body" => {
            let wire = chunked(1);
            for _ in 0..rounds {
                read_chunked(&wire);
            }
        }
        "exchange" => repeat(Exchange::start(Answer::Small), rounds),
        "exchange by path" => repeat(Exchange::start_by(Answer::Small, Naming::Path), rounds),
        "exchange by host" => repeat(Exchange::start_by(Answer::Small, Naming::Host), rounds),
        other => panic!("there is no part {other}"),
    }
}

fn repeat(mut exchange: Exchange, rounds: usize) {
    for _ in 0..rounds {
        exchange.run();
    }
}

fn report() -> Result<(), Box<dyn Error>> {
    for (part, other) in PARTS {
        let ours = each(part)?;
        if other.is_empty() {
            println!("{part}: {ours:.0} instructions");
        } else {
            let bare = each(other)?;
            let ratio = ours / bare;
            println!("{part}: {ours:.0} instructions, {other}: {bare:.0}, ratio {ratio:.2}");
            if part == "request" {
                let reached = if ratio <= GOAL {
                    "reached"
                } else {
                    "NOT REACHED"
                };
                println!("{part}: the goal, a ratio of {GOAL}, is {reached}");
            }
        }
    }
    Ok(())
}

/// What one round costs: what a thousand more cost.
fn each(part: &str) -> Result<f64, Box<dyn Error>> {
    let (few, many) = (100, 1100);
    Ok((count(part, many)? - count(part, few)?) / f64::from(many - few))
}

fn count(part: &str, rounds: i32) -> Result<f64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([part, &rounds.to_string()])
        .output()
        .map_err(|error| format!("valgrind cannot be run, is it installed? {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    let count = collected.ok_or_else(|| format!("valgrind counted nothing: {said}"))?;
    Ok(count.trim().parse()?)
}
