//! Invariant: a gateway passes nothing on for a host that is not its own, or for a page of another origin, lets nobody read who
//! was not let in, and sends a page nowhere but to the host of a service.

#![no_main]

#[path = "../gateway.rs"]
mod gateway;
#[path = "../transcript.rs"]
mod transcript;

libfuzzer_sys::fuzz_target!(|data: &[u8]| gateway::gateway(data));
