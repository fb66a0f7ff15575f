//! How does a request leave on a new stream without waiting for its negotiation?
//!
//! A swarm proposes a protocol on each new stream, and waits a round trip for the answer. Its setting to go on without
//! (`V1Lazy`) is one for all protocols of a node, and for peers that may have none of them. Here only a protocol is taken for
//! granted that the peer has accepted before on the same connection, and only one of this crate: the negotiation reads the
//! answer that is expected, at once, and what really comes is held against it before anything else is read.
//!
//! Nothing that follows on a refused proposal can be taken for another one: a message of multistream-select begins with its
//! length and a slash, and no request line (RFC 9112 section 3) has a slash for its second byte.

use std::{
    collections::BTreeSet,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite, TryFutureExt, future::MapOk};
use libp2p_core::{
    muxing::{StreamMuxer, StreamMuxerEvent, StreamMuxerExt as _},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};

use crate::{error::Refused, service::Protocol};

/// A stream multiplexer on which requests need not wait for the negotiation of a new stream, where the peer has accepted the
/// same service before: a round trip less for each of many requests at once.
///
/// Nothing changes on the wire but when the request is sent, and nothing for other protocols than those of this crate. A peer
/// that offers the service no more refuses it as ever, and has then not understood a byte of the request, which is sent again.
///
/// ```
/// use libp2p_http_proxy::Optimistic;
///
/// let swarm = libp2p::SwarmBuilder::with_new_identity()
///     .with_tokio()
///     .with_tcp(
///         libp2p::tcp::Config::default(),
///         libp2p::noise::Config::new,
///         || Optimistic::new(libp2p::yamux::Config::default()),
///     )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Optimistic<U> {
    muxer: U,
}

impl<U> Optimistic<U> {
    /// Wraps the configuration of a multiplexer.
    #[must_use]
    pub fn new(muxer: U) -> Self {
        Self { muxer }
    }
}

impl<U: UpgradeInfo> UpgradeInfo for Optimistic<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.muxer.protocol_info()
    }
}

impl<C, U, M> InboundConnectionUpgrade<C> for Optimistic<U>
where
    U: InboundConnectionUpgrade<C, Output = M>,
    M: StreamMuxer,
{
    type Output = OptimisticMuxer<M>;
    type Error = U::Error;
    type Future = MapOk<U::Future, fn(M) -> OptimisticMuxer<M>>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        let muxer = self.muxer.upgrade_inbound(io, info);
        muxer.map_ok(OptimisticMuxer::new)
    }
}

impl<C, U, M> OutboundConnectionUpgrade<C> for Optimistic<U>
where
    U: OutboundConnectionUpgrade<C, Output = M>,
    M: StreamMuxer,
{
    type Output = OptimisticMuxer<M>;
    type Error = U::Error;
    type Future = MapOk<U::Future, fn(M) -> OptimisticMuxer<M>>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        let muxer = self.muxer.upgrade_outbound(io, info);
        muxer.map_ok(OptimisticMuxer::new)
    }
}

/// An [`Optimistic`] multiplexer.
#[derive(Debug)]
pub struct OptimisticMuxer<M> {
    muxer: M,
    accepted: Arc<Accepted>,
}

impl<M> OptimisticMuxer<M> {
    fn new(muxer: M) -> Self {
        Self {
            muxer,
            accepted: Arc::default(),
        }
    }
}

impl<M: StreamMuxer<Substream: Unpin> + Unpin> StreamMuxer for OptimisticMuxer<M> {
    type Substream = OptimisticStream<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let inbound = self.muxer.poll_inbound_unpin(cx);
        inbound.map_ok(|stream| OptimisticStream {
            stream,
            negotiation: None,
        })
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let outbound = self.muxer.poll_outbound_unpin(cx);
        outbound.map_ok(|stream| OptimisticStream {
            stream,
            negotiation: Some(Box::new(Negotiation::new(&self.accepted))),
        })
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.muxer.poll_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.muxer.poll_close_unpin(cx)
    }
}

/// How many protocols are remembered for a connection; with others every stream waits for its negotiation.
const MOST_ACCEPTED: usize = 64;

/// The protocols that the peer has accepted on a connection, as they were proposed.
#[derive(Debug, Default)]
struct Accepted(Mutex<BTreeSet<Vec<u8>>>);

impl Accepted {
    fn set(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, proposal: &[u8]) -> bool {
        self.set().contains(proposal)
    }

    fn insert(&self, proposal: &[u8]) {
        let mut set = self.set();
        if set.len() < MOST_ACCEPTED && !set.contains(proposal) {
            set.insert(proposal.to_vec());
        }
    }

    fn remove(&self, proposal: &[u8]) {
        self.set().remove(proposal);
    }
}

/// A stream of an [`Optimistic`] multiplexer.
#[derive(Debug)]
pub struct OptimisticStream<S> {
    stream: S,
    /// Until nothing is left of it to be seen or hidden.
    negotiation: Option<Box<Negotiation>>,
}

/// The negotiation of a stream that was opened here.
#[derive(Debug)]
struct Negotiation {
    accepted: Arc<Accepted>,
    /// What was written so far. An answer that accepts it has the same bytes.
    proposal: Vec<u8>,
    /// How many bytes of the answer have come.
    answered: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Proposing,
    /// Whoever proposed it reads the answer.
    Awaiting,
    /// The answer is taken for granted. So many bytes of it were read before they came.
    Assuming(usize),
    Refused,
}

/// What begins each negotiation, with its length, as all messages of it.
const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";

/// The longest name of a protocol of this crate with the line end, in bytes, takes one more for its length.
const LONGEST: usize = 127;

impl Negotiation {
    fn new(accepted: &Arc<Accepted>) -> Self {
        Self {
            accepted: Arc::clone(accepted),
            proposal: Vec::new(),
            answered: 0,
            stage: Stage::Proposing,
        }
    }

    /// Notes what was written; whether there is more to see.
    fn wrote(&mut self, data: &[u8]) -> bool {
        if !matches!(self.stage, Stage::Proposing) {
            return true;
        }
        if self.proposal.len() + data.len() > HEADER.len() + 1 + LONGEST {
            return false;
        }
        self.proposal.extend_from_slice(data);
        match self.proposed() {
            Proposed::Incomplete => return true,
            Proposed::Other => return false,
            Proposed::Whole => {}
        }
        self.stage = if self.accepted.contains(&self.proposal) {
            Stage::Assuming(0)
        } else {
            Stage::Awaiting
        };
        true
    }

    fn proposed(&self) -> Proposed {
        let Some(message) = self.proposal.strip_prefix(HEADER) else {
            return if HEADER.starts_with(&self.proposal) {
                Proposed::Incomplete
            } else {
                Proposed::Other
            };
        };
        let Some((&length, protocol)) = message.split_first() else {
            return Proposed::Incomplete;
        };
        let length = usize::from(length);
        if length > LONGEST || protocol.len() > length {
            return Proposed::Other;
        }
        if protocol.len() < length {
            return Proposed::Incomplete;
        }
        let name = protocol.strip_suffix(b"\n").map(str::from_utf8);
        match name {
            Some(Ok(name)) if Protocol::from_stream_protocol(name).is_some() => Proposed::Whole,
            _ => Proposed::Other,
        }
    }

    /// Notes what came of the answer; whether it is what was expected so far.
    fn heard(&mut self, data: &[u8]) -> bool {
        let expected = &self.proposal[self.answered..];
        let count = data.len().min(expected.len());
        self.answered += count;
        expected[..count] == data[..count]
    }

    fn is_answered(&self) -> bool {
        self.answered == self.proposal.len()
    }

    /// Reads the answer before it comes; nothing where all of it was.
    fn read_ahead(&mut self, buffer: &mut [u8]) -> usize {
        let Stage::Assuming(shown) = &mut self.stage else {
            return 0;
        };
        let left = &self.proposal[*shown..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        *shown += count;
        count
    }

    /// Reads what was taken for granted; whether the stream has not ended before.
    fn poll_answer<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<bool>> {
        while !self.is_answered() {
            let mut answer = [0; HEADER.len() + 1 + LONGEST];
            let room = &mut answer[self.answered..self.proposal.len()];
            let count = ready!(Pin::new(&mut *stream).poll_read(cx, room))?;
            if count == 0 {
                return Poll::Ready(Ok(false));
            }
            let room = &room[..count];
            if !self.heard(room) {
                self.accepted.remove(&self.proposal);
                self.stage = Stage::Refused;
                return Poll::Ready(Err(Refused.into()));
            }
        }
        Poll::Ready(Ok(true))
    }
}

/// What was written at the front of a stream.
enum Proposed {
    Incomplete,
    /// One protocol of this crate.
    Whole,
    /// Anything else.
    Other,
}

impl<S: AsyncRead + Unpin> AsyncRead for OptimisticStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self {
            stream,
            negotiation: slot,
        } = &mut *self;
        let Some(negotiation) = slot else {
            return Pin::new(stream).poll_read(cx, buffer);
        };
        match negotiation.stage {
            Stage::Proposing => {
                let read = Pin::new(stream).poll_read(cx, buffer);
                if read.is_ready() {
                    // Whatever is negotiated here, nobody waits for an answer.
                    *slot = None;
                }
                read
            }
            Stage::Awaiting => {
                let count = ready!(Pin::new(stream).poll_read(cx, buffer))?;
                let expected = negotiation.heard(&buffer[..count]);
                if expected && negotiation.is_answered() {
                    negotiation.accepted.insert(&negotiation.proposal);
                    *slot = None;
                } else if !expected {
                    *slot = None;
                }
                Poll::Ready(Ok(count))
            }
            Stage::Assuming(_) => {
                let count = negotiation.read_ahead(buffer);
                if count > 0 {
                    return Poll::Ready(Ok(count));
                }
                if !ready!(negotiation.poll_answer(cx, stream))? {
                    return Poll::Ready(Ok(0));
                }
                *slot = None;
                Pin::new(stream).poll_read(cx, buffer)
            }
            Stage::Refused => Poll::Ready(Err(Refused.into())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OptimisticStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, data))?;
        if let Some(negotiation) = &mut self.negotiation
            && !negotiation.wrote(&data[..count])
        {
            self.negotiation = None;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
    use tokio::io::DuplexStream;
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

    use super::*;
    use crate::error::ExchangeError;

    const APP: &str = "/x/http/app";

    type End = Compat<DuplexStream>;

    /// A connection, as far as it matters here: what was accepted on it.
    #[derive(Default)]
    struct Connection(Arc<Accepted>);

    impl Connection {
        /// Both ends of a new stream; the other one writes `most` bytes at once.
        fn open(&self, most: usize) -> (OptimisticStream<End>, End) {
            let (near, far) = tokio::io::duplex(most);
            let stream = OptimisticStream {
                stream: near.compat(),
                negotiation: Some(Box::new(Negotiation::new(&self.0))),
            };
            (stream, far.compat())
        }

        /// Has the peer accept a protocol on a stream of its own.
        async fn accept(&self, protocol: &str) {
            let (mut near, mut far) = self.open(1024);
            let proposal = message(protocol);
            near.write_all(&proposal).await.expect("is written");
            far.write_all(&proposal).await.expect("is written");
            let mut answer = vec![0; proposal.len()];
            near.read_exact(&mut answer).await.expect("is read");
            assert_eq!(answer, proposal);
        }

        /// A stream on which a protocol was proposed, and what its negotiation can read at once.
        async fn propose(&self, protocol: &str) -> (OptimisticStream<End>, End, Vec<u8>) {
            let (mut near, far) = self.open(1024);
            near.write_all(&message(protocol))
                .await
                .expect("is written");
            let mut read = Vec::new();
            let mut byte = [0];
            // A negotiation reads the length of a message first.
            while read.len() < message(protocol).len()
                && let Some(Ok(1)) = near.read(&mut byte).now_or_never()
            {
                read.push(byte[0]);
            }
            (near, far, read)
        }
    }

    fn message(protocol: &str) -> Vec<u8> {
        let length = u8::try_from(protocol.len() + 1).expect("is short");
        [HEADER, &[length], protocol.as_bytes(), b"\n"].concat()
    }

    async fn read(stream: &mut OptimisticStream<End>, count: usize) -> io::Result<String> {
        let mut data = vec![0; count];
        stream.read_exact(&mut data).await?;
        Ok(String::from_utf8(data).expect("is text"))
    }

    #[tokio::test]
    async fn only_what_was_accepted_before_need_not_be_waited_for() {
        let connection = Connection::default();
        let (_near, _far, read_ahead) = connection.propose(APP).await;
        assert_eq!(read_ahead, []);
        connection.accept(APP).await;

        let (mut near, mut far, read_ahead) = connection.propose(APP).await;
        assert_eq!(read_ahead, message(APP));
        near.write_all(b"to").await.expect("is written");
        assert!(near.read(&mut [0; 8]).now_or_never().is_none());
        let mut came = vec![0; message(APP).len() + 2];
        far.read_exact(&mut came).await.expect("comes");
        assert_eq!(came, [&message(APP)[..], b"to"].concat());

        // The answer comes in pieces, and none of it is seen again.
        for piece in message(APP).chunks(7) {
            far.write_all(piece).await.expect("is written");
            assert!(near.read(&mut [0; 8]).now_or_never().is_none());
        }
        far.write_all(b"back").await.expect("is written");
        assert_eq!(read(&mut near, 4).await.expect("comes"), "back");
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).await.expect("ends"), 0);

        for other in ["/x/http/app2", "/x/http/ap"] {
            let (_near, _far, read_ahead) = connection.propose(other).await;
            assert_eq!(read_ahead, [], "{other}");
        }
        let other = Connection::default();
        let (_near, _far, read_ahead) = other.propose(APP).await;
        assert_eq!(read_ahead, [], "on another connection");
    }

    #[tokio::test]
    async fn an_answer_and_what_follows_on_it_come_together() {
        let connection = Connection::default();
        connection.accept(APP).await;
        let (mut near, mut far, _) = connection.propose(APP).await;
        let sent = [&message(APP)[..], b"back"].concat();
        far.write_all(&sent).await.expect("is written");
        assert_eq!(read(&mut near, 4).await.expect("comes"), "back");
    }

    #[tokio::test]
    async fn what_the_peer_refuses_is_an_error_and_is_waited_for_from_then_on() {
        for refusal in [&b"\x03na\n"[..], b"\x0c/x/http/apq\n"] {
            let connection = Connection::default();
            connection.accept(APP).await;
            let (mut near, mut far, _) = connection.propose(APP).await;
            let sent = [HEADER, refusal, &message(APP)].concat();
            far.write_all(&sent).await.expect("is written");
            for _ in 0..2 {
                let error = read(&mut near, 1).await.expect_err("is refused");
                assert!(ExchangeError::from(error).is_refusal());
            }
            let (_near, _far, read_ahead) = connection.propose(APP).await;
            assert_eq!(read_ahead, []);
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_before_its_answer_has_ended() {
        let connection = Connection::default();
        connection.accept(APP).await;
        let (mut near, mut far, _) = connection.propose(APP).await;
        far.write_all(&message(APP)[..HEADER.len() + 3])
            .await
            .expect("is written");
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).await.expect("ends"), 0);
        // That is no refusal.
        let (_near, _far, read_ahead) = connection.propose(APP).await;
        assert_eq!(read_ahead, message(APP));
    }

    #[tokio::test]
    async fn nothing_is_taken_for_granted_but_one_protocol_of_this_crate() {
        let long = format!("/x/http/{}", "a".repeat(101));
        let no_header = "\x0d/multistream/2.0.0\n";
        let with_more = [&message(APP)[..], b"GET"].concat();
        let twice = [&message(APP)[..], &message(APP)[HEADER.len()..]].concat();
        for proposal in [
            message("/ipfs/ping/1.0.0"),
            message(&long),
            message("/x/http/"),
            [HEADER, b"\x03ls\n"].concat(),
            no_header.into(),
            with_more,
            twice,
            vec![b'a'; 1000],
        ] {
            let connection = Connection::default();
            // Twice the same, as the peer might accept it.
            for _ in 0..2 {
                let (mut near, mut far) = connection.open(4096);
                near.write_all(&proposal).await.expect("is written");
                let early = near.read(&mut [0; 4096]).now_or_never();
                assert!(early.is_none(), "{:?}", String::from_utf8_lossy(&proposal));
                far.write_all(&proposal).await.expect("is written");
                let mut answer = vec![0; proposal.len()];
                near.read_exact(&mut answer).await.expect("comes");
                assert_eq!(answer, proposal);
                assert!(near.negotiation.is_none(), "is left alone from then on");
            }
        }
    }

    #[tokio::test]
    async fn a_proposal_may_leave_byte_by_byte() {
        let connection = Connection::default();
        connection.accept(APP).await;
        let (mut near, mut far) = connection.open(1);
        let proposal = message(APP);
        let mut came = vec![0; proposal.len()];
        let there = near.write_all(&proposal);
        let read = far.read_exact(&mut came);
        futures::future::try_join(there, read)
            .await
            .expect("is carried");
        assert_eq!(came, proposal);
        let mut answer = vec![0; proposal.len()];
        let ahead = near.read_exact(&mut answer).now_or_never();
        ahead.expect("is there").expect("is read");
        assert_eq!(answer, proposal);
    }

    #[tokio::test]
    async fn so_many_protocols_are_remembered_and_no_more() {
        let connection = Connection::default();
        let name = |number: usize| format!("/x/http/{number}");
        for number in 0..=MOST_ACCEPTED {
            connection.accept(&name(number)).await;
        }
        for (number, remembered) in [(0, true), (MOST_ACCEPTED - 1, true), (MOST_ACCEPTED, false)] {
            let (_near, _far, read_ahead) = connection.propose(&name(number)).await;
            assert_eq!(!read_ahead.is_empty(), remembered, "{number}");
        }
    }
}
