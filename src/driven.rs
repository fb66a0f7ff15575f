//! Who runs a multiplexer?
//!
//! The task of its connection in a swarm, which asks all protocols of the node each time, and compares the list of
//! all names that it offers, whether there is something for them or not: with 1,000 services that takes longer than ten
//! requests. A task of its own has nothing to do but to move frames between socket and streams, and wakes the connection
//! for what concerns it. QUIC's connections are run that way already.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use libp2p_core::{
    muxing::{StreamMuxer, StreamMuxerEvent, StreamMuxerExt as _},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};

use crate::timer::Watchdog;

/// How tasks are started.
pub(crate) type Spawn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// A stream multiplexer that a task of its own runs, instead of that of its connection in the swarm: what moves on streams then
/// costs nothing for the other protocols of a node, nor for many services.
///
/// As with QUIC, the connection is not asked when a stream ends that somebody else than a handler had: that it is idle is seen when
/// it is asked next.
///
/// ```
/// use libp2p_http_proxy::{Coalescing, Driven};
///
/// let swarm = libp2p::SwarmBuilder::with_new_identity()
///     .with_tokio()
///     .with_tcp(
///         libp2p::tcp::Config::default(),
///         libp2p::noise::Config::new,
///         || {
///             let muxer = Coalescing::new(libp2p::yamux::Config::default());
///             Driven::new(muxer, |task| drop(tokio::spawn(task)))
///         },
///     )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Driven<U> {
    muxer: U,
    spawn: Spawn,
}

impl<U> Driven<U> {
    /// Has `spawn` start the task of each connection. It ends with the connection.
    pub fn new(muxer: U, spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self {
            muxer,
            spawn: Arc::new(spawn),
        }
    }
}

impl<U: fmt::Debug> fmt::Debug for Driven<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven")
            .field("muxer", &self.muxer)
            .finish_non_exhaustive()
    }
}

impl<U: UpgradeInfo> UpgradeInfo for Driven<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.muxer.protocol_info()
    }
}

impl<C, U, M> InboundConnectionUpgrade<C> for Driven<U>
where
    U: InboundConnectionUpgrade<C, Output = M, Future: Send + 'static>,
    M: StreamMuxer<Substream: Send, Error: Send> + Send + Unpin + 'static,
{
    type Output = DrivenMuxer<M>;
    type Error = U::Error;
    type Future = BoxFuture<'static, Result<DrivenMuxer<M>, U::Error>>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        let muxer = self.muxer.upgrade_inbound(io, info);
        muxer
            .map_ok(move |muxer| DrivenMuxer::new(muxer, &self.spawn))
            .boxed()
    }
}

impl<C, U, M> OutboundConnectionUpgrade<C> for Driven<U>
where
    U: OutboundConnectionUpgrade<C, Output = M, Future: Send + 'static>,
    M: StreamMuxer<Substream: Send, Error: Send> + Send + Unpin + 'static,
{
    type Output = DrivenMuxer<M>;
    type Error = U::Error;
    type Future = BoxFuture<'static, Result<DrivenMuxer<M>, U::Error>>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        let muxer = self.muxer.upgrade_outbound(io, info);
        muxer
            .map_ok(move |muxer| DrivenMuxer::new(muxer, &self.spawn))
            .boxed()
    }
}

/// How many streams of the peer wait for the swarm to take them; more are reset. As many as libp2p's yamux keeps, which opens
/// no more before the first is answered.
const MAX_WAITING: usize = 256;

/// How long a connection may take to close. What the other side has not taken by then nobody waits for: it may be gone without a
/// word, or leave it there for ever, and until then the swarm would count the connection, and keep what it holds.
const CLOSING: Duration = Duration::from_secs(10);

/// The swarm's end of a [`Driven`] multiplexer.
pub struct DrivenMuxer<M: StreamMuxer>(Arc<Mutex<State<M>>>);

impl<M: StreamMuxer> fmt::Debug for DrivenMuxer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrivenMuxer").finish_non_exhaustive()
    }
}

/// What the task and the swarm have in common.
struct State<M: StreamMuxer> {
    muxer: M,
    /// What came for the swarm, and waits to be taken.
    waiting: VecDeque<M::Substream>,
    events: VecDeque<StreamMuxerEvent>,
    failed: Option<M::Error>,
    /// The task has ended, or is to end: the swarm runs the multiplexer itself.
    left: bool,
    /// The swarm waits to open a stream.
    opens: bool,
    swarm: Option<Waker>,
    task: Option<Waker>,
    /// How long it may take to close, and since when it does.
    closing: (Duration, Watchdog),
}

impl<M> DrivenMuxer<M>
where
    M: StreamMuxer<Substream: Send, Error: Send> + Send + Unpin + 'static,
{
    fn new(muxer: M, spawn: &Spawn) -> Self {
        let state = Arc::new(Mutex::new(State {
            muxer,
            waiting: VecDeque::new(),
            events: VecDeque::new(),
            failed: None,
            left: false,
            opens: false,
            swarm: None,
            task: None,
            closing: (CLOSING, Watchdog::default()),
        }));
        spawn(Box::pin(Drive(Arc::downgrade(&state))));
        Self(state)
    }
}

fn lock<M: StreamMuxer>(state: &Mutex<State<M>>) -> MutexGuard<'_, State<M>> {
    // A panic in the task leaves the multiplexer to the swarm, as it would be without the task.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `slot` wake whoever asks now.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

impl<M: StreamMuxer> State<M> {
    /// Leaves the multiplexer to the swarm.
    fn leave(&mut self) {
        self.left = true;
        self.wake_swarm();
    }

    fn wake_swarm(&mut self) {
        if let Some(swarm) = self.swarm.take() {
            swarm.wake();
        }
    }

    fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}

impl<M: StreamMuxer + Unpin> State<M> {
    /// Moves what can be moved, until the multiplexer fails.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<M::Error> {
        let failed = self.poll_failed(cx);
        if mem::take(&mut self.opens) {
            // Whatever has moved may have made room. The multiplexer itself may count on it that whoever opens runs it, too.
            self.wake_swarm();
        }
        failed
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<M::Error> {
        loop {
            while let Poll::Ready(came) = self.muxer.poll_inbound_unpin(cx) {
                match came {
                    Ok(stream) => self.keep(stream),
                    Err(error) => return Poll::Ready(error),
                }
            }
            match ready!(self.muxer.poll_unpin(cx)) {
                Ok(event) => self.events.push_back(event),
                Err(error) => return Poll::Ready(error),
            }
            self.wake_swarm();
        }
    }

    fn keep(&mut self, stream: M::Substream) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(stream);
            self.wake_swarm();
        } else {
            tracing::debug!("a stream is reset: {MAX_WAITING} others wait to be taken");
        }
    }

    /// Waits until the multiplexer is left to the swarm, and says why if it failed.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        if self.left {
            return Poll::Ready(Ok(()));
        }
        register(&mut self.swarm, cx);
        Poll::Pending
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for DrivenMuxer<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let mut state = lock(&self.0);
        if let Some(stream) = state.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        ready!(state.poll_left(cx))?;
        state.muxer.poll_inbound_unpin(cx)
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let mut state = lock(&self.0);
        let Poll::Ready(opened) = state.muxer.poll_outbound_unpin(cx) else {
            state.opens = true;
            register(&mut state.swarm, cx);
            return Poll::Pending;
        };
        // It has a stream more to listen to.
        state.wake_task();
        Poll::Ready(opened)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let mut state = lock(&self.0);
        if let Some(event) = state.events.pop_front() {
            return Poll::Ready(Ok(event));
        }
        ready!(state.poll_left(cx))?;
        state.muxer.poll_unpin(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let mut state = lock(&self.0);
        if !state.left {
            state.left = true;
            state.wake_task();
        }
        let closed = state.muxer.poll_close_unpin(cx);
        let (limit, watchdog) = &mut state.closing;
        match closed {
            Poll::Pending => watchdog.poll_expired(cx, *limit).map(Ok),
            closed => closed,
        }
    }
}

impl<M: StreamMuxer> Drop for DrivenMuxer<M> {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        // Nothing is left to run.
        state.left = true;
        state.wake_task();
    }
}

/// The task that runs a multiplexer, as long as there is one.
struct Drive<M: StreamMuxer>(Weak<Mutex<State<M>>>);

impl<M: StreamMuxer + Unpin> Future for Drive<M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(state) = self.0.upgrade() else {
            return Poll::Ready(());
        };
        let mut state = lock(&state);
        if state.left {
            return Poll::Ready(());
        }
        register(&mut state.task, cx);
        let error = ready!(state.drive(cx));
        state.failed = Some(error);
        state.leave();
        Poll::Ready(())
    }
}

impl<M: StreamMuxer> Drop for Drive<M> {
    /// Whatever ended it, a panic or the end of its runtime, the swarm learns of it.
    fn drop(&mut self) {
        if let Some(state) = self.0.upgrade() {
            lock(&state).leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io};

    use futures::{
        AsyncReadExt as _, AsyncWriteExt as _, future::try_join, io::Cursor, task::noop_waker_ref,
    };
    use libp2p::yamux;
    use tokio::{io::DuplexStream, task::JoinHandle, time::timeout};
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

    use super::*;

    type Yamux = DrivenMuxer<yamux::Muxer<Compat<DuplexStream>>>;

    async fn within<T>(what: impl Future<Output = T>) -> T {
        let patience = Duration::from_secs(10);
        timeout(patience, what).await.expect("comes in time")
    }

    /// Both ends of a connection, each with its task.
    async fn ends() -> [(Yamux, JoinHandle<()>); 2] {
        let (near, far) = tokio::io::duplex(1024);
        let (sender, tasks) = std::sync::mpsc::channel();
        let config = Driven::new(yamux::Config::default(), move |task| {
            let _ = sender.send(tokio::spawn(task));
        });
        let name = "/yamux/1.0.0";
        assert_eq!(config.protocol_info().next(), Some(name));
        let near = config.clone().upgrade_outbound(near.compat(), name).await;
        let near = (near.expect("is set up"), tasks.recv().expect("has a task"));
        let far = config.upgrade_inbound(far.compat(), name).await;
        [
            near,
            (far.expect("is set up"), tasks.recv().expect("has a task")),
        ]
    }

    async fn open(muxer: &mut Yamux) -> Result<yamux::Stream, yamux::Error> {
        within(poll_fn(|cx| muxer.poll_outbound_unpin(cx))).await
    }

    async fn take(muxer: &mut Yamux) -> Result<yamux::Stream, yamux::Error> {
        within(poll_fn(|cx| muxer.poll_inbound_unpin(cx))).await
    }

    /// A stream that has carried something, as seen from both ends.
    async fn stream(near: &mut Yamux, far: &mut Yamux) -> (yamux::Stream, yamux::Stream) {
        let mut opened = open(near).await.expect("is opened");
        opened.write_all(b"to").await.expect("is written");
        let mut taken = take(far).await.expect("comes");
        within(taken.read_exact(&mut [0; 2]))
            .await
            .expect("arrives");
        (opened, taken)
    }

    #[tokio::test]
    async fn bytes_move_while_nobody_asks_the_multiplexer() {
        let [(mut near, _), (mut far, _)] = ends().await;
        let mut streams = Vec::new();
        for _ in 0..2 {
            streams.push(stream(&mut near, &mut far).await);
        }
        let sent = vec![7; 1 << 20];
        for (opened, taken) in &mut streams {
            let mut came = vec![0; sent.len()];
            let there = async {
                opened.write_all(&sent).await?;
                opened.flush().await
            };
            let back = taken.read_exact(&mut came);
            within(try_join(there, back)).await.expect("is carried");
            assert!(came == sent);
        }
    }

    /// Waits for a stream in a task of its own, which waits already when this is done.
    async fn begin_to_take(
        mut muxer: Yamux,
    ) -> JoinHandle<(Yamux, Result<yamux::Stream, yamux::Error>)> {
        let takes = tokio::spawn(async move {
            let taken = take(&mut muxer).await;
            (muxer, taken)
        });
        tokio::task::yield_now().await;
        takes
    }

    #[tokio::test]
    async fn the_swarm_is_woken_for_a_stream_and_when_the_connection_ends() {
        let [(mut near, near_task), (far, far_task)] = ends().await;
        let takes = begin_to_take(far).await;
        let mut opened = open(&mut near).await.expect("is opened");
        opened.write_all(b"to").await.expect("is written");
        let (far, taken) = within(takes).await.expect("does not panic");
        taken.expect("comes");

        let takes = begin_to_take(far).await;
        drop(near);
        within(near_task).await.expect("ends");
        let (mut far, taken) = within(takes).await.expect("does not panic");
        taken.expect_err("the connection has ended");
        within(far_task).await.expect("ends");
        open(&mut far).await.expect_err("the connection has ended");
    }

    #[tokio::test]
    async fn a_multiplexer_is_closed_by_the_swarm() {
        let [(mut near, task), (mut far, _)] = ends().await;
        let (_opened, _taken) = stream(&mut near, &mut far).await;
        within(poll_fn(|cx| near.poll_close_unpin(cx)))
            .await
            .expect("is closed");
        within(task).await.expect("ends");
        take(&mut far).await.expect_err("the connection has ended");
    }

    #[tokio::test]
    async fn a_side_that_takes_nothing_is_not_waited_for_at_the_end() {
        let [(mut near, _), (far, task)] = ends().await;
        task.abort();
        let mut opened = open(&mut near).await.expect("is opened");
        opened.write_all(&[7; 4096]).await.expect("is taken");
        lock(&near.0).closing.0 = Duration::from_millis(50);
        within(poll_fn(|cx| near.poll_close_unpin(cx)))
            .await
            .expect("is closed");
        drop(far);
    }

    #[tokio::test]
    async fn the_swarm_goes_on_by_itself_where_the_task_is_gone() {
        let [(mut near, task), (mut far, _)] = ends().await;
        task.abort();
        let error = within(task).await.expect_err("was ended");
        assert!(error.is_cancelled());
        let mut opened = open(&mut far).await.expect("is opened");
        opened.write_all(b"to").await.expect("is written");
        take(&mut near).await.expect("comes");
    }

    /// yamux opens only so many streams before the first is acknowledged, and wakes nobody when one is reset instead.
    #[tokio::test]
    async fn the_swarm_learns_that_it_can_open_a_stream_again() {
        let [(mut near, _), (mut far, _)] = ends().await;
        let mut opened = Vec::new();
        loop {
            let next = poll_fn(|cx| near.poll_outbound_unpin(cx)).now_or_never();
            let Some(stream) = next else { break };
            let mut stream = stream.expect("is opened");
            stream.write_all(b"to").await.expect("is written");
            opened.push(stream);
        }
        assert!(opened.len() > 100);
        let opens = tokio::spawn(async move { poll_fn(|cx| near.poll_outbound_unpin(cx)).await });
        tokio::task::yield_now().await;
        for _ in &opened {
            drop(take(&mut far).await.expect("comes"));
        }
        within(opens)
            .await
            .expect("does not panic")
            .expect("is opened");
    }

    /// Has more streams than anybody takes.
    struct Endless(usize);

    impl StreamMuxer for Endless {
        type Substream = Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<Self::Substream>> {
            match self.0.checked_sub(1) {
                Some(left) => {
                    self.0 = left;
                    Poll::Ready(Ok(Cursor::default()))
                }
                None => Poll::Pending,
            }
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    #[test]
    fn streams_that_nobody_takes_are_bounded() {
        let (sender, tasks) = std::sync::mpsc::channel();
        let spawn: Spawn = Arc::new(move |task| sender.send(task).expect("is kept"));
        let mut muxer = DrivenMuxer::new(Endless(2 * MAX_WAITING), &spawn);
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut task = tasks.recv().expect("is started");
        assert!(task.poll_unpin(&mut cx).is_pending());
        for _ in 0..MAX_WAITING {
            assert!(muxer.poll_inbound_unpin(&mut cx).is_ready());
        }
        assert!(muxer.poll_inbound_unpin(&mut cx).is_pending());
        drop(muxer);
        assert!(task.poll_unpin(&mut cx).is_ready());
    }
}
