//! Invariant: what a request says of where its peer is has a form that is known and a place that is allowed, or is an error that
//! is fit to be shown.

#![no_main]

#[path = "../routes.rs"]
mod routes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| routes::addresses(data));
