//! The streams and waiting requests of one protocol of a peer.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use libp2p_swarm::ConnectionId;

use crate::{h1::Client, hop::Hop, link::Link, outbound::waiting::Waiter, service::Protocol};

/// The streams and waiting requests of one protocol.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) idle: Vec<Idle>,
    pub(super) waiting: VecDeque<Waiter>,
    /// The streams that connections were asked to open, in order.
    pub(super) opening: Vec<Opening>,
    /// Whether the peer has accepted such a stream.
    pub(super) accepted: bool,
}

/// A stream that is being negotiated.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) connection: ConnectionId,
    /// The last ticket that had been given out. Requests with later ones have had no part in it.
    pub(super) ticket: u64,
}

/// A stream between two exchanges.
pub(super) struct Idle {
    pub(super) hop: Hop<Client>,
    /// When the stream was first seen to be idle. Not when it became so: the clock would be read for every exchange.
    pub(super) since: Option<Instant>,
    /// Tells which stream has been idle for longest.
    pub(super) order: u64,
    pub(super) link: Arc<Link>,
}

impl Lane {
    /// Drops the requests at the front that have been given up, and says how many.
    pub(super) fn drop_given_up(&mut self) -> usize {
        let before = self.waiting.len();
        while self.waiting.front().is_some_and(Waiter::is_given_up) {
            self.waiting.pop_front();
        }
        before - self.waiting.len()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.idle.is_empty() && self.waiting.is_empty() && self.opening.is_empty()
    }

    /// Asks a connection for a stream. `ticket` is the last that has been given out.
    pub(super) fn open(&mut self, link: &Link, protocol: &Protocol, ticket: u64) {
        self.opening.push(Opening {
            connection: link.connection,
            ticket,
        });
        link.leave(|inbox| inbox.wanted.push(protocol.clone()));
    }

    /// The ticket of the first request that no stream is being opened for.
    pub(super) fn next_ticket(&self) -> Option<u64> {
        let waiter = self.waiting.get(self.opening.len())?;
        Some(waiter.ticket)
    }
}

/// Whether a stream between two exchanges is open and silent. Bytes that nobody asked for would be taken for the next
/// response.
pub(super) fn is_silent(hop: &mut Hop<Client>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    hop.reader.poll_idle_end(&mut cx).is_pending()
}
