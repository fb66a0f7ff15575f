//! An outbound stream while an exchange runs on it.

use std::sync::Arc;

use crate::{
    h1::Client,
    hop::Hop,
    lease::Seat,
    link::{Link, Running},
    outbound::streams::Streams,
    service::Protocol,
};

/// A stream that was taken for one exchange.
pub(crate) struct Lent {
    pub(crate) hop: Hop<Client>,
    pub(crate) seat: OutboundSeat,
    /// Whether the stream has carried an exchange before: the peer may be closing it at this moment.
    pub(crate) reused: bool,
}

impl Lent {
    pub(super) fn new(
        streams: &Arc<Streams>,
        link: &Arc<Link>,
        protocol: Protocol,
        mut hop: Hop<Client>,
        reused: bool,
    ) -> Self {
        hop.begin();
        Self {
            hop,
            reused,
            seat: OutboundSeat {
                streams: Arc::clone(streams),
                running: link.run(),
                protocol,
                occupied: true,
            },
        }
    }

    /// Takes the stream, and does not free its place.
    pub(super) fn into_hop(mut self) -> Hop<Client> {
        self.seat.occupied = false;
        self.hop
    }

    /// Gives back a stream that nothing was sent on.
    pub(crate) fn give_back(self) {
        self.seat.give_back(self.hop, self.reused);
    }
}

/// The place of an outbound stream among those of its peer.
pub(crate) struct OutboundSeat {
    streams: Arc<Streams>,
    running: Running,
    protocol: Protocol,
    occupied: bool,
}

impl Seat<Client> for OutboundSeat {
    fn returned(mut self, hop: Hop<Client>) {
        match hop.reuse() {
            Ok(()) if !self.streams.is_once(&self.protocol) && !self.link().is_closed() => {
                self.offer(hop, true);
            }
            Ok(()) => self.close(hop),
            Err(reason) => {
                tracing::trace!(%reason, protocol = %self.protocol, "stream is not reused");
                if hop.reader.decoder().is_complete() && hop.writer.encoder().is_complete() {
                    self.close(hop);
                }
                // Otherwise dropping it resets it, which is how the peer learns that nobody listens.
            }
        }
    }
}

impl OutboundSeat {
    pub(crate) fn link(&self) -> &Arc<Link> {
        self.running.link()
    }

    /// Whether a body of this many bytes cannot come through, and if so, what the relay in between carries at most. A
    /// body that is little smaller does not come through either, as it is not all that the connection carries; the relay
    /// then cuts it.
    pub(crate) fn beyond_relay(&self, length: u64) -> Option<u64> {
        self.link().capacity().filter(|limit| length >= *limit)
    }

    /// See [`Lent::give_back`].
    pub(crate) fn give_back(mut self, hop: Hop<Client>, reused: bool) {
        self.streams.not_used(reused);
        self.offer(hop, reused);
    }

    fn offer(&mut self, hop: Hop<Client>, reused: bool) {
        self.occupied = false;
        let (link, protocol) = (self.running.link(), &self.protocol);
        self.streams.offer(link, protocol, hop, reused);
    }

    /// Ends a stream in order, in the task of its connection.
    fn close(self, hop: Hop<Client>) {
        let link = Arc::clone(self.link());
        link.leave(|inbox| {
            inbox.jobs.push(Box::pin(async move {
                hop.close().await;
                drop(self);
            }));
        });
    }
}

impl Drop for OutboundSeat {
    fn drop(&mut self) {
        if self.occupied {
            self.streams.freed();
        }
    }
}
