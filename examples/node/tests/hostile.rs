//! What becomes of bytes that no HTTP library would send? Said to running nodes from every side, with somebody behind them
//! who writes down each byte that arrives.

#[path = "support/hostile/mod.rs"]
mod hostile;
#[path = "hostile/requests.rs"]
mod requests;
#[path = "hostile/responses.rs"]
mod responses;
mod support;
#[path = "hostile/tunnels.rs"]
mod tunnels;
