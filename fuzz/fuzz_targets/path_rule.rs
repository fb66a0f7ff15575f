//! Invariant: no reader sees a path outside of the prefix that holds it.

#![no_main]

#[path = "../paths.rs"]
mod paths;

libfuzzer_sys::fuzz_target!(|data: &[u8]| paths::path_rule(data));
