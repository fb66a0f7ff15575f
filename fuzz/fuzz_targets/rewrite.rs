//! Invariant: what a proxy makes of a message is a message again, with one framing, nothing of the hop before, and
//! nobody's claim to be a peer but ours, and cookies stay with their service.

#![no_main]

#[path = "../cookies.rs"]
mod cookies;
#[path = "../proxy.rs"]
mod proxy;
#[path = "../transcript.rs"]
mod transcript;

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::rewrite(data));
