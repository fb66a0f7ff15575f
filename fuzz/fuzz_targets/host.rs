//! Invariant: any host is that of a service in its one spelling, or none, or an error that is fit to be shown.

#![no_main]

#[path = "../routes.rs"]
mod routes;

libfuzzer_sys::fuzz_target!(|data: &[u8]| routes::host(data));
