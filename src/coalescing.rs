//! How do the frames of many streams leave in one write?
//!
//! yamux flushes behind every frame. With many small exchanges on one connection each frame is then a message of noise,
//! and a system call, of its own. Here flushes are put off until yamux has nothing more to do, which it shows by reading
//! where there is nothing to read: the frames of all tasks that ran before leave together.
//!
//! Where tasks of several threads write, the connection's own task often finds only the first frame. While there were
//! several at a time lately, a single one therefore waits for the next run of the task, behind all others that are ready.
//! One exchange at a time would pay for that, and is never made to wait; nor are large bodies.
//!
//! Frames that arrive are handed over in portions, too, so that the task of a large body goes on with each at once.
//!
//! A connection that is closed waits for the other side: a socket that is dropped while something came that nobody has read,
//! as the windows of yamux do at any time, is reset by the system, and what the other side has not received yet is lost.

use std::{
    fmt, io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use libp2p_core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};

use crate::timer::Watchdog;

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

/// For how many flushes of a single frame others are still expected, after one of several.
const CROWDED: u8 = 4;

/// How often yamux has to find nothing more to do until no other frames are expected. A swarm asks it twice in each run of
/// the connection's task, and so does [`Driven`](crate::Driven) in its own.
const QUIET: u8 = 2;

/// From how many bytes on a flush is not put off: three full frames of yamux. More would gain nothing, and a peer whose
/// window is full, as it is at first after 256 KiB, would run dry meanwhile: it cost an upload a fifth of its speed.
const ENOUGH: usize = 48 * 1024;

/// How many reads a flush is put off for at most. yamux does not stop reading while there is something to read.
const MOST_READS: u8 = 64;

/// How many bytes are read in a row at most. The tasks that want them come next, and find them in the processor's caches: where
/// all was read that a fast peer sends, up to its windows, one large body took a tenth more CPU time. With less than this, several
/// at a time are written in small pieces.
const MOST_READ: usize = 64 * 1024;

/// How long a connection that is closed waits for the other side to close it, too.
const LINGER: Duration = Duration::from_secs(3);

/// How often something is read meanwhile until other work of the task gets its turn.
const LINGERING_READS: usize = 16;

/// A connection under a [`Coalescing`] multiplexer.
pub struct Coalesced<C> {
    io: C,
    /// Something was written since a flush was asked for last.
    written: bool,
    /// A flush was asked for, and is still to come.
    put_off: bool,
    /// Frames since the last flush.
    frames: usize,
    /// Their bytes.
    bytes: usize,
    /// What was read since the first of them, in reads.
    reads: u8,
    /// How often there was nothing more to do since the last of them.
    quiet: u8,
    /// Bytes that were read in this run.
    read: usize,
    /// For how many more flushes of a single frame others are expected.
    crowded: u8,
    /// Our direction was closed.
    closed: bool,
    /// Since when the other side is waited for.
    watchdog: Watchdog,
}

impl<C> fmt::Debug for Coalesced<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesced").finish_non_exhaustive()
    }
}

impl<C> Coalesced<C> {
    fn new(io: C) -> Self {
        Self {
            io,
            written: false,
            put_off: false,
            frames: 0,
            bytes: 0,
            reads: 0,
            quiet: 0,
            read: 0,
            crowded: 0,
            closed: false,
            watchdog: Watchdog::default(),
        }
    }

    /// A flush is asked for behind a frame.
    fn frame(&mut self) {
        self.put_off = true;
        self.frames += 1;
        self.quiet = 0;
    }

    /// What was written need not wait for more.
    fn is_enough(&self) -> bool {
        self.bytes >= ENOUGH || self.reads >= MOST_READS
    }

    /// There was nothing more to do; says whether the frame that there is should still wait for others.
    fn expects_more(&mut self) -> bool {
        let expects = self.frames == 1 && self.crowded > 0 && self.quiet < QUIET;
        self.quiet = self.quiet.saturating_add(1);
        expects
    }
}

impl<C: AsyncRead + Unpin> Coalesced<C> {
    /// Reads, unless that is for the next run.
    fn poll_some(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.read >= MOST_READ {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        match read {
            Poll::Ready(Ok(count)) => self.read += count,
            Poll::Ready(Err(_)) | Poll::Pending => self.read = 0,
        }
        read
    }

    /// Waits until the other side has closed the connection, too, or for long enough. What it still sends is for nobody.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        for _ in 0..LINGERING_READS {
            match Pin::new(&mut self.io).poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return self.watchdog.poll_expired(cx, LINGER),
            }
        }
        cx.waker().wake_by_ref();
        self.watchdog.poll_expired(cx, LINGER)
    }
}

impl<C: AsyncWrite + Unpin> Coalesced<C> {
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.put_off = false;
        match mem::take(&mut self.frames) {
            0 => {}
            1 => self.crowded = self.crowded.saturating_sub(1),
            _ => self.crowded = CROWDED,
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        (self.bytes, self.reads) = (0, 0);
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncRead for Coalesced<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = self.poll_some(cx, buffer);
        if !self.put_off {
            return read;
        }
        match read {
            Poll::Ready(_) => self.reads = self.reads.saturating_add(1),
            Poll::Pending if self.expects_more() => cx.waker().wake_by_ref(),
            Poll::Pending => {
                // What does not leave now is flushed when yamux asks again.
                if let Poll::Ready(Err(error)) = self.flush(cx) {
                    return Poll::Ready(Err(error));
                }
            }
        }
        read
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Coalesced<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written = true;
        let written = Pin::new(&mut self.io).poll_write(cx, data);
        if let Poll::Ready(Ok(count)) = written {
            self.bytes += count;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if mem::take(&mut self.written) {
            self.frame();
        }
        if self.put_off && !self.is_enough() {
            return Poll::Pending;
        }
        self.flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(Pin::new(&mut self.io).poll_close(cx))?;
            self.closed = true;
        }
        self.poll_gone(cx).map(Ok)
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
        broken: bool,
        /// The other side has closed the connection.
        ended: bool,
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
                None if self.ended => Poll::Ready(Ok(0)),
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
            if self.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
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

    /// A connection that has had several frames to write at a time.
    fn crowded(incoming: &[u8]) -> Task {
        let mut task = Task::new(b"");
        for frame in [b"a", b"b"] {
            task.write(frame);
            assert!(task.flush().is_pending());
        }
        assert!(task.read().is_pending());
        assert_eq!((task.io.io.flushes, task.wakes()), (1, 0));
        task.io.io = Socket {
            incoming: incoming.to_vec(),
            ..Socket::default()
        };
        task
    }

    #[test]
    fn a_single_frame_leaves_at_the_end_of_the_run() {
        let mut task = Task::new(b"");
        for count in 1..4 {
            task.write(b"frame");
            assert!(task.flush().is_pending());
            assert!(task.read().is_pending());
            assert_eq!((task.io.io.flushes, task.wakes()), (count, 0));
        }
    }

    #[test]
    fn the_frames_of_a_run_leave_together_at_its_end() {
        for mut task in [Task::new(b"x"), crowded(b"x")] {
            for frame in [b"one", b"two"] {
                task.write(frame);
                assert!(task.flush().is_pending());
            }
            assert!(task.read().is_ready());
            task.write(b"three");
            assert!(task.flush().is_pending());
            assert_eq!(task.io.io.flushes, 0);

            assert!(task.read().is_pending());
            let written = task.io.io.written.as_slice();
            assert_eq!((task.io.io.flushes, written), (1, &b"onetwothree"[..]));
            assert_eq!(task.wakes(), 0, "nothing is left to do");
            assert!(task.flush().is_ready());
        }
    }

    #[test]
    fn in_a_crowd_a_single_frame_waits_for_others() {
        let mut task = crowded(b"");
        task.write(b"one");
        assert!(task.flush().is_pending());
        for _ in 0..QUIET {
            assert!(task.read().is_pending());
            assert!(task.wakes() > 0, "there is a next run");
            assert!(task.flush().is_pending());
        }
        task.write(b"two");
        assert!(task.flush().is_pending());
        assert_eq!(task.io.io.flushes, 0);

        assert!(task.read().is_pending());
        assert_eq!((task.io.io.flushes, task.wakes()), (1, 0));
    }

    #[test]
    fn no_frame_waits_for_ever_and_after_a_while_none_does() {
        let mut task = crowded(b"");
        for _ in 0..CROWDED {
            task.write(b"frame");
            assert!(task.flush().is_pending());
            for _ in 0..QUIET {
                assert!(task.read().is_pending());
                assert!(task.wakes() > 0);
            }
            let before = task.io.io.flushes;
            assert!(task.read().is_pending());
            assert_eq!((task.io.io.flushes, task.wakes()), (before + 1, 0));
        }
        task.write(b"frame");
        assert!(task.flush().is_pending());
        assert!(task.read().is_pending());
        assert_eq!(task.wakes(), 0);
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
        assert_eq!(task.wakes(), 0, "nothing is left to do");
    }

    #[test]
    fn a_peer_that_never_pauses_does_not_hold_up_what_it_waits_for() {
        let mut task = Task::new(&[b'x'; 2 * MOST_READS as usize]);
        task.write(b"frame");
        for _ in 0..MOST_READS {
            assert!(task.flush().is_pending());
            assert!(task.read().is_ready());
        }
        assert!(task.flush().is_ready());
        assert_eq!(task.io.io.flushes, 1);
    }

    #[test]
    fn a_fast_peer_is_read_in_several_runs_and_frames_leave_between_them() {
        let mut task = Task::new(&[b'x'; 2 * MOST_READ]);
        for run in 1..=2 {
            task.write(b"frame");
            assert!(task.flush().is_pending());
            for _ in 0..MOST_READ {
                assert!(task.read().is_ready());
            }
            assert_eq!(task.wakes(), 0);
            assert!(task.read().is_pending());
            assert!(task.wakes() > 0, "there is a next run");
            assert_eq!(task.io.io.flushes, run);
        }
        assert!(task.read().is_pending());
        assert_eq!(task.wakes(), 0, "nothing is left to do");
    }

    #[test]
    fn a_flush_that_fails_is_the_error_of_the_read() {
        let mut task = Task::new(b"");
        task.io.io.broken = true;
        task.write(b"frame");
        assert!(task.flush().is_pending());
        let read = task.poll(|io, cx| io.poll_read(cx, &mut [0]));
        assert!(matches!(read, Poll::Ready(Err(_))), "{read:?}");
    }

    #[test]
    fn a_flush_of_nothing_is_not_put_off() {
        let mut task = crowded(b"");
        assert!(task.flush().is_ready());
        assert_eq!(task.wakes(), 0);
    }

    #[test]
    fn a_connection_that_is_closed_reads_until_the_other_side_closes_it_too() {
        let mut task = Task::new(&[0; 2 * LINGERING_READS]);
        assert!(task.poll(|io, cx| io.poll_close(cx)).is_pending());
        assert_eq!(task.wakes(), 1);
        assert!(task.poll(|io, cx| io.poll_close(cx)).is_pending());
        assert!(task.poll(|io, cx| io.poll_close(cx)).is_pending());
        assert!(task.io.io.incoming.is_empty());
        task.io.io.ended = true;
        assert!(task.poll(|io, cx| io.poll_close(cx)).is_ready());
    }

    #[test]
    fn the_other_side_is_not_waited_for_without_end() {
        let began = std::time::Instant::now();
        let mut io = Coalesced::new(Socket::default());
        let closed = futures::AsyncWriteExt::close(&mut io);
        futures::executor::block_on(closed).expect("is closed");
        assert!(began.elapsed() >= LINGER);
    }
}
