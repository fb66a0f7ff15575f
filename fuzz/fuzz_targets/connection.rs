//! Invariant: whatever the peer sends, and however it is cut, either side finds the same messages,
//! uses the same bytes, and ends in the same error.

#![no_main]

#[path = "../invariants.rs"]
mod invariants;
#[path = "../transcript.rs"]
mod transcript;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::connection(data));
