//! What is measured by more than one of the benchmarks and tests.

#![allow(dead_code, unreachable_pub, reason = "every program uses its own part")]

pub mod exchange;
pub mod heads;
