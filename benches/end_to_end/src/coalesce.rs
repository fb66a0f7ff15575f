//! How would the frames of many streams leave in one write? yamux flushes behind every frame; here the flush waits.
//!
//! The first flush behind a write only has the task woken again, behind all others that are ready, and yamux goes on. What
//! it has queued, and what the others write meanwhile, leaves together then: as one message of noise, and one system call.
//!
//! Off, unless `--coalesce` asks for it, and then for all contenders: it is an experiment.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};

/// A muxer whose frames leave together, if that is wanted.
#[derive(Clone)]
pub(crate) struct Coalescing<U> {
    pub(crate) muxer: U,
    pub(crate) wanted: bool,
}

impl<U: UpgradeInfo> UpgradeInfo for Coalescing<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.muxer.protocol_info()
    }
}

impl<C, U: InboundConnectionUpgrade<Coalesced<C>>> InboundConnectionUpgrade<C> for Coalescing<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        let io = Coalesced::new(io, self.wanted);
        self.muxer.upgrade_inbound(io, info)
    }
}

impl<C, U: OutboundConnectionUpgrade<Coalesced<C>>> OutboundConnectionUpgrade<C> for Coalescing<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        let io = Coalesced::new(io, self.wanted);
        self.muxer.upgrade_outbound(io, info)
    }
}

/// A connection whose flushes wait until the other tasks had their turn.
pub(crate) struct Coalesced<C> {
    io: C,
    wanted: bool,
    flush: Flush,
}

/// What is to be flushed, and when.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// Nothing was written since the last flush.
    Nothing,
    /// Something was written, and no flush was asked for since.
    Written,
    /// A flush was asked for, and the task woken. It still runs.
    PutOff,
    /// The task has run to its end since.
    Due,
}

impl<C> Coalesced<C> {
    fn new(io: C, wanted: bool) -> Self {
        Self {
            io,
            wanted,
            flush: Flush::Nothing,
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
        // The last thing that yamux does before it lets the task rest.
        if read.is_pending() && self.flush == Flush::PutOff {
            self.flush = Flush::Due;
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
        if self.flush == Flush::Nothing {
            self.flush = Flush::Written;
        }
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.flush {
            Flush::Written if self.wanted => {
                self.flush = Flush::PutOff;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Flush::PutOff => return Poll::Pending,
            Flush::Nothing | Flush::Written | Flush::Due => {}
        }
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() {
            self.flush = Flush::Nothing;
        }
        flushed
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}
