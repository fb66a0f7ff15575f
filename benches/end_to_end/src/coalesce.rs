//! How do frames of many streams leave in one write? yamux flushes behind every frame; here a flush waits for its turn.
//!
//! The first flush after a write only wakes the task again, behind all others that are ready: what they write meanwhile, and
//! what yamux has queued, leaves together, as one message of noise and one system call.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};

/// A muxer whose frames leave together.
#[derive(Clone)]
pub(crate) struct Coalescing<U>(pub(crate) U, pub(crate) bool);

impl<U: UpgradeInfo> UpgradeInfo for Coalescing<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C, U: InboundConnectionUpgrade<Coalesced<C>>> InboundConnectionUpgrade<C> for Coalescing<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(Coalesced::new(io, self.1), info)
    }
}

impl<C, U: OutboundConnectionUpgrade<Coalesced<C>>> OutboundConnectionUpgrade<C> for Coalescing<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(Coalesced::new(io, self.1), info)
    }
}

/// A connection that puts flushes off until the other tasks had their turn.
pub(crate) struct Coalesced<C> {
    io: C,
    /// Polls of the reading side since the flush was put off: yamux reads once at the end of each of its own polls, so
    /// that the first flush behind a read is one of the next poll.
    put_off: Option<bool>,
    dirty: bool,
    on: bool,
}

impl<C> Coalesced<C> {
    fn new(io: C, on: bool) -> Self {
        Self {
            io,
            put_off: None,
            dirty: false,
            on,
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Coalesced<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if read.is_pending()
            && let Some(over) = &mut self.put_off
        {
            *over = true;
        }
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Coalesced<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.dirty = true;
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.dirty && self.on {
            match self.put_off {
                None => {
                    self.put_off = Some(false);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(false) => return Poll::Pending,
                Some(true) => {
                    self.put_off = None;
                    self.dirty = false;
                }
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}
