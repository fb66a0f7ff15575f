//! Do other parsers read what we write as we meant it, and what we accept as we read it?
//!
//! The others are hyper, the llhttp of Node.js and Python's h11. Where Node.js or h11 is not installed, the test says so
//! and goes on without it; with `CI=true` it fails.
//!
//! `DIFFERENTIAL_COUNT` sets how many mutated inputs are compared, `DIFFERENTIAL_SEED` which ones.

#[path = "differential/decided.rs"]
mod decided;
#[path = "differential/foreign.rs"]
mod foreign;
#[path = "differential/hyper.rs"]
mod hyper_reader;
#[path = "differential/mutate.rs"]
mod mutate;
#[path = "differential/ours.rs"]
mod ours;
#[path = "differential/process.rs"]
mod process;
#[path = "differential/reading.rs"]
mod reading;
#[path = "differential/written.rs"]
mod written;

use std::env;

use decided::is_decided;
use mutate::Random;
use process::{H11, NODE};
use reading::{Kind, Reading};

/// Inputs that are compared by default: as many as a few seconds allow.
const COUNT: usize = 4_000;

/// What every other reader makes of `inputs`.
async fn read_by_others(inputs: &[(Kind, Vec<u8>)]) -> Vec<(&'static str, Vec<Reading>)> {
    let mut readings = Vec::new();
    for parser in [H11, NODE] {
        if parser.is_there() {
            readings.push((parser.name, parser.read(inputs)));
        }
    }
    let mut by_hyper = Vec::new();
    for (kind, input) in inputs {
        by_hyper.push(hyper_reader::read(*kind, input).await);
    }
    readings.push(("hyper", by_hyper));
    readings
}

fn setting(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name}={value}")),
        Err(_) => default,
    }
}

/// Whatever we accept, everybody else frames in the same way, or an RFC says who is wrong.
#[tokio::test]
async fn mutated_messages() {
    let mut random = Random::new(setting("DIFFERENTIAL_SEED", 1) as u64);
    let mut inputs = Vec::new();
    let mut by_us = Vec::new();
    while inputs.len() < setting("DIFFERENTIAL_COUNT", COUNT) {
        let (kind, input) = mutate::input(&mut random);
        let reading = ours::read(kind, &input);
        // What we refuse as a whole nobody else gets to see.
        if !reading.messages.is_empty() {
            inputs.push((kind, input));
            by_us.push(reading);
        }
    }

    let mut differences = Vec::new();
    for (reader, readings) in read_by_others(&inputs).await {
        for (((kind, input), ours), theirs) in inputs.iter().zip(&by_us).zip(&readings) {
            if let Some(difference) = ours.difference(theirs)
                && !is_decided(reader, ours, theirs)
            {
                differences.push(format!(
                    "{reader}, {kind:?}, \"{}\": {difference}\n    ours: {ours:?}",
                    input.escape_ascii()
                ));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} undecided differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// What we write is read by everybody as it was meant.
#[tokio::test]
async fn what_we_write() {
    let mut random = Random::new(setting("DIFFERENTIAL_SEED", 1) as u64);
    let (inputs, meant): (Vec<_>, Vec<_>) = (0..setting("DIFFERENTIAL_COUNT", COUNT) / 8)
        .flat_map(|_| {
            let (requests, messages) = written::requests(&mut random);
            let (kind, response, message) = written::response(&mut random);
            [
                ((Kind::Requests, requests), messages),
                ((kind, response), vec![message]),
            ]
        })
        .unzip();
    for (reader, readings) in read_by_others(&inputs).await {
        for (((kind, input), meant), theirs) in inputs.iter().zip(&meant).zip(readings) {
            assert_eq!(
                &theirs.messages,
                meant,
                "{reader}, {kind:?}, \"{}\": {:?}",
                input.escape_ascii(),
                theirs.end
            );
        }
    }
}

/// What hyper writes is read by us as it was meant.
#[tokio::test]
async fn what_hyper_writes() {
    for (input, meant) in foreign::requests().await {
        let reading = ours::read(Kind::Requests, &input);
        assert_eq!(reading.messages, [meant], "\"{}\"", input.escape_ascii());
    }
    for (kind, input, meant) in foreign::responses().await {
        let reading = ours::read(kind, &input);
        assert_eq!(reading.messages, [meant], "\"{}\"", input.escape_ascii());
    }
}
