//! Invariant: a chunked body is read as the grammar reads it, byte for byte, however it is cut.

#![no_main]

#[path = "../invariants.rs"]
mod invariants;
#[path = "../transcript.rs"]
mod transcript;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::chunked(data));
