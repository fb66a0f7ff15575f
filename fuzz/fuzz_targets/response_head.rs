//! Invariant: a response head that is accepted cannot be read in any other way, and is written as a
//! head that says the same.

#![no_main]

#[path = "../invariants.rs"]
mod invariants;
#[path = "../transcript.rs"]
mod transcript;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::response_head(data));
