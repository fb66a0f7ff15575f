//! How do the frames of many streams leave in one write?
//!
//! yamux flushes behind every frame. With many small exchanges on one connection each frame is then a message of noise,
//! and a system call, of its own. Here, while there are several frames at a time, the first flush behind a write only has
//! the task woken again, behind all others that are ready, and yamux, which does not wait for a flush, goes on. What it
//! has queued, and what other tasks write meanwhile, leaves together at the next.
//!
//! One exchange at a time gains nothing from that, and would pay with a second run of the task for every frame: so single
//! frames leave at once. So do the frames of large bodies, as soon as there are a few.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite};
use libp2p_core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};

/// A stream multiplexer whose frames leave together: less work for each of many small exchanges at once, on both sides.
///
/// Wraps the configuration of yamux where a swarm is built, and changes nothing on the wire but how the frames are packed.
/// Not for a multiplexer that reads nothing while it waits for a flush: it would wait for ever.
///
/// ```
/// use libp2p_http_proxy::Coalescing;
///
/// let swarm = libp2p::SwarmBuilder::with_new_identity()
///     .with_tokio()
///     .with_tcp(
///         libp2p::tcp::Config::default(),
///         libp2p::noise::Config::new,
///         || Coalescing::new(libp2p::yamux::Config::default()),
///     )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Coalescing<U> {
    muxer: U,
}

impl<U> Coalescing<U> {
    /// Wraps the configuration of a multiplexer.
    #[must_use]
    pub fn new(muxer: U) -> Self {
        Self { muxer }
    }
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
        self.muxer.upgrade_inbound(Coalesced::new(io), info)
    }
}

impl<C, U: OutboundConnectionUpgrade<Coalesced<C>>> OutboundConnectionUpgrade<C> for Coalescing<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.muxer.upgrade_outbound(Coalesced::new(io), info)
    }
}

/// For how many runs of the task with a single frame flushes are still put off, after one with several.
const RUNS: u8 = 4;

/// From how many bytes on a flush is not put off: three full frames of yamux. More would gain nothing, and a peer whose
/// window is full, as it is at first after 256 KiB, would run dry meanwhile: it cost an upload a fifth of its speed.
const ENOUGH: usize = 48 * 1024;

/// A connection under a [`Coalescing`] multiplexer.
#[derive(Debug)]
pub struct Coalesced<C> {
    io: C,
    flush: Flush,
    /// Something was written since a flush was asked for last.
    written: bool,
    /// Bytes that were written since the last flush.
    unflushed: usize,
    /// Frames of this run of the task.
    frames: u8,
    /// For how many more runs flushes are put off.
    crowded: u8,
}

/// What is to be flushed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    /// When it is asked for.
    Asked,
    /// It was asked for, and the task woken. It still runs.
    PutOff,
    /// The task has run to its end since.
    Due,
}

impl<C> Coalesced<C> {
    fn new(io: C) -> Self {
        Self {
            io,
            flush: Flush::Asked,
            written: false,
            unflushed: 0,
            frames: 0,
            crowded: 0,
        }
    }

    /// A flush is asked for behind a frame.
    fn frame(&mut self) {
        self.frames = self.frames.saturating_add(1);
        if self.frames > 1 {
            self.crowded = RUNS;
        }
    }

    /// The task has nothing more to do for now.
    fn end_run(&mut self, cx: &Context<'_>) {
        if self.frames == 1 {
            self.crowded = self.crowded.saturating_sub(1);
        }
        self.frames = 0;
        if self.flush == Flush::PutOff {
            self.flush = Flush::Due;
            // Again, as the task may have run in between without coming to an end.
            cx.waker().wake_by_ref();
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
        if read.is_pending() {
            self.end_run(cx);
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
        self.written = true;
        let written = Pin::new(&mut self.io).poll_write(cx, data);
        if let Poll::Ready(Ok(count)) = written {
            self.unflushed += count;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = mem::take(&mut self.written);
        if written {
            self.frame();
        }
        match self.flush {
            _ if self.unflushed >= ENOUGH => {}
            Flush::Asked if written && self.crowded > 0 => {
                self.flush = Flush::PutOff;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Flush::PutOff => return Poll::Pending,
            Flush::Asked | Flush::Due => {}
        }
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() {
            self.flush = Flush::Asked;
            self.unflushed = 0;
        }
        flushed
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::task::{ArcWake, waker};

    use super::*;

    /// Counts flushes; reads what it holds, and then waits.
    #[derive(Default)]
    struct Socket {
        incoming: Vec<u8>,
        written: Vec<u8>,
        flushes: usize,
    }

    impl AsyncRead for Socket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            match self.incoming.pop() {
                Some(byte) => {
                    buffer[0] = byte;
                    Poll::Ready(Ok(1))
                }
                None => Poll::Pending,
            }
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.written.extend_from_slice(data);
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl ArcWake for Wakes {
        fn wake_by_ref(this: &Arc<Self>) {
            this.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection, and the task that it belongs to.
    struct Task {
        io: Coalesced<Socket>,
        wakes: Arc<Wakes>,
    }

    impl Task {
        fn new(incoming: &[u8]) -> Self {
            let socket = Socket {
                incoming: incoming.to_vec(),
                ..Socket::default()
            };
            Self {
                io: Coalesced::new(socket),
                wakes: Arc::default(),
            }
        }

        fn poll<T>(
            &mut self,
            poll: impl FnOnce(Pin<&mut Coalesced<Socket>>, &mut Context<'_>) -> Poll<T>,
        ) -> Poll<T> {
            let waker = waker(Arc::clone(&self.wakes));
            poll(Pin::new(&mut self.io), &mut Context::from_waker(&waker))
        }

        fn write(&mut self, data: &[u8]) {
            let written = self.poll(|io, cx| io.poll_write(cx, data));
            assert!(matches!(written, Poll::Ready(Ok(count)) if count == data.len()));
        }

        fn flush(&mut self) -> Poll<()> {
            self.poll(AsyncWrite::poll_flush)
                .map(|flushed| flushed.expect("the socket is sound"))
        }

        fn read(&mut self) -> Poll<usize> {
            self.poll(|io, cx| io.poll_read(cx, &mut [0]))
                .map(|read| read.expect("the socket is sound"))
        }

        fn wakes(&self) -> usize {
            self.wakes.0.swap(0, Ordering::Relaxed)
        }
    }

    /// A task that has had several frames to write in one run.
    fn crowded(incoming: &[u8]) -> Task {
        let mut task = Task::new(b"");
        for frame in [b"a", b"b"] {
            task.write(frame);
            let _ = task.flush();
        }
        assert!(task.read().is_pending());
        assert!(task.flush().is_ready());
        assert!(task.read().is_pending());
        task.wakes();
        task.io.io = Socket {
            incoming: incoming.to_vec(),
            ..Socket::default()
        };
        task
    }

    #[test]
    fn a_single_frame_leaves_at_once() {
        let mut task = Task::new(b"");
        for _ in 0..3 {
            task.write(b"frame");
            assert!(task.flush().is_ready());
            assert!(task.read().is_pending());
        }
        assert_eq!((task.io.io.flushes, task.wakes()), (3, 0));
    }

    #[test]
    fn several_frames_of_one_run_of_the_task_leave_in_the_next() {
        let mut task = crowded(b"");
        for frame in [b"one", b"two"] {
            task.write(frame);
            assert!(task.flush().is_pending());
        }
        assert!(task.read().is_pending());
        assert_eq!(task.io.io.flushes, 0);
        assert!(task.wakes() > 0, "there is a next run");

        assert!(task.flush().is_ready());
        assert_eq!(
            (task.io.io.flushes, task.io.io.written.as_slice()),
            (1, &b"onetwo"[..])
        );
        assert!(task.read().is_pending());
        assert_eq!(task.wakes(), 0, "nothing is left to do");
    }

    #[test]
    fn a_run_that_does_not_end_in_a_read_leads_to_another() {
        let mut task = crowded(b"x");
        task.write(b"frame");
        assert!(task.flush().is_pending());
        assert!(task.read().is_ready());
        assert!(task.wakes() > 0);

        assert!(task.flush().is_pending());
        assert!(task.read().is_pending());
        assert!(task.wakes() > 0);

        assert!(task.flush().is_ready());
        assert_eq!(task.io.io.flushes, 1);
    }

    #[test]
    fn single_frames_leave_at_once_again_after_a_while() {
        let mut task = crowded(b"");
        for left in (0..RUNS).rev() {
            task.write(b"frame");
            assert!(task.flush().is_pending());
            assert!(task.read().is_pending());
            assert!(task.flush().is_ready());
            assert_eq!(task.io.crowded, left);
        }
        task.write(b"frame");
        assert!(task.flush().is_ready());
    }

    #[test]
    fn large_frames_leave_as_soon_as_there_are_a_few() {
        let mut task = crowded(b"");
        let frame = [0; ENOUGH / 3];
        for _ in 0..2 {
            for _ in 0..2 {
                task.write(&frame);
                assert!(task.flush().is_pending());
            }
            task.write(&frame);
            assert!(task.flush().is_ready());
        }
        assert_eq!(task.io.io.flushes, 2);
        assert!(task.read().is_pending());
        task.wakes();
        assert!(task.flush().is_ready());
        assert!(task.read().is_pending());
        assert_eq!(task.wakes(), 0, "nothing is left to do");
    }

    #[test]
    fn a_flush_of_nothing_is_not_put_off() {
        let mut task = crowded(b"");
        assert!(task.flush().is_ready());
        assert_eq!(task.wakes(), 0);
    }
}
