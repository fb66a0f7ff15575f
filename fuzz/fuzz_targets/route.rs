//! Invariant: any target is a route that loses no byte of it, or an error that is fit to be shown.

#![no_main]

#[path = "../proxy.rs"]
mod proxy;
#[path = "../transcript.rs"]
mod transcript;

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::route(data));
