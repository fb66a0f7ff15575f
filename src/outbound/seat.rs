//! An outbound stream while an exchange runs on it.

use std::sync::Arc;

use crate::{
    h1::Client,
    hop::Hop,
    lease::Seat,
    link::{Link, Running},
    outbound::Outbound,
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
    /// Gives back a stream that nothing was sent on, without freeing its place.
    pub(super) fn unused(self) -> Hop<Client> {
        let mut seat = self.seat;
        seat.occupied = false;
        self.hop
    }
}

/// The place of an outbound stream among those of its peer.
pub(crate) struct OutboundSeat {
    outbound: Arc<Outbound>,
    link: Arc<Link>,
    protocol: Protocol,
    occupied: bool,
    _running: Running,
}

impl Outbound {
    pub(super) fn lend(
        self: &Arc<Self>,
        link: Arc<Link>,
        protocol: Protocol,
        mut hop: Hop<Client>,
        reused: bool,
    ) -> Lent {
        hop.begin();
        Lent {
            hop,
            reused,
            seat: OutboundSeat {
                outbound: Arc::clone(self),
                _running: link.run(),
                link,
                protocol,
                occupied: true,
            },
        }
    }

    fn freed(&self, link: &Link) {
        let mut state = self.lock();
        let Some(streams) = state.peers.get_mut(&link.peer) else {
            return;
        };
        streams.lost(&self.config);
        if streams.is_unused() {
            state.peers.remove(&link.peer);
        }
    }
}

impl Seat<Client> for OutboundSeat {
    fn returned(mut self, hop: Hop<Client>) {
        let once = self.protocol.one_request_per_stream()
            || self.outbound.config.half_close(&self.protocol);
        match hop.reuse() {
            Ok(()) if !once && !self.link.is_closed() => {
                self.occupied = false;
                let (link, protocol) = (Arc::clone(&self.link), self.protocol.clone());
                self.outbound.offer(link, protocol, hop, true);
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
        &self.link
    }

    /// Ends a stream in order, in the task of its connection.
    fn close(self, hop: Hop<Client>) {
        let link = Arc::clone(&self.link);
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
            self.outbound.freed(&self.link);
        }
    }
}
