//! How many streams and waiting requests a behaviour has at the moment.

use std::ops::AddAssign;

/// How many streams and waiting requests there are, and how many there have been: see
/// [`Client::stats`](crate::Client::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Streams that peers have opened. At most
    /// [`Config::max_inbound_streams`](crate::Config::max_inbound_streams).
    pub inbound_streams: usize,
    /// Streams to peers, idle ones included.
    pub outbound_streams: usize,
    /// Streams to peers that wait for their next request.
    pub idle_streams: usize,
    /// Streams to peers that are being negotiated.
    pub opening_streams: usize,
    /// Requests that wait for a stream.
    pub waiting_requests: usize,
    /// How often a stream was opened for a request, or ahead of need.
    pub opened: u64,
    /// How often a request got a stream that had carried another before.
    pub reused: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.inbound_streams += other.inbound_streams;
        self.outbound_streams += other.outbound_streams;
        self.idle_streams += other.idle_streams;
        self.opening_streams += other.opening_streams;
        self.waiting_requests += other.waiting_requests;
        self.opened += other.opened;
        self.reused += other.reused;
    }
}
