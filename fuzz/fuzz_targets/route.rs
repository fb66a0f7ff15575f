//! Invariant: any target is a route that loses no byte of it, or an error that is fit to be shown.

#![no_main]

#[path = "../routes.rs"]
mod routes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| routes::route(data));
