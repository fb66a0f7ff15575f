//! A stream whose negotiation need not be waited for.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};

use super::negotiation::{Accepted, Negotiation, Stage};
use crate::{error::Refused, wake::Side};

/// A stream of an [`Optimistic`](crate::Optimistic) multiplexer.
#[derive(Debug)]
pub struct OptimisticStream<S> {
    stream: S,
    /// Until nothing is left of it to be seen or hidden.
    negotiation: Option<Box<Negotiation>>,
}

impl<S> OptimisticStream<S> {
    pub(super) fn inbound(stream: S) -> Self {
        Self {
            stream,
            negotiation: None,
        }
    }

    pub(super) fn outbound(stream: S, accepted: &Arc<Accepted>) -> Self {
        Self {
            stream,
            negotiation: Some(Box::new(Negotiation::new(accepted))),
        }
    }
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
                if count == 0 && !buffer.is_empty() {
                    // A swarm takes the end of a stream for a refusal, but that the peer would have said.
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                if !negotiation.read(&buffer[..count]) {
                    *slot = None;
                }
                Poll::Ready(Ok(count))
            }
            Stage::Assuming(_) => {
                let count = negotiation.read_ahead(buffer);
                if count > 0 {
                    return Poll::Ready(Ok(count));
                }
                if !ready!(negotiation.poll_answer(cx, Side::Reader, stream))? {
                    return Poll::Ready(Ok(0));
                }
                *slot = None;
                Pin::new(stream).poll_read(cx, buffer)
            }
            Stage::Refused => Poll::Ready(Err(Refused.into())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for OptimisticStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self {
            stream,
            negotiation: slot,
        } = &mut *self;
        let Some(negotiation) = slot else {
            return Pin::new(stream).poll_write(cx, data);
        };
        if matches!(negotiation.stage, Stage::Refused) {
            return Poll::Ready(Err(Refused.into()));
        }
        let leaves = negotiation.may_leave(data);
        if leaves > 0 {
            data = &data[..leaves];
        } else if !data.is_empty() && !ready!(negotiation.poll_answer(cx, Side::Writer, stream))? {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let count = ready!(Pin::new(stream).poll_write(cx, data))?;
        if !negotiation.wrote(&data[..count]) {
            *slot = None;
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
    use std::time::Duration;

    use futures::{AsyncReadExt as _, AsyncWriteExt as _, FutureExt as _};
    use tokio::{io::DuplexStream, task::coop::unconstrained, time::timeout};
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

    use super::*;
    use crate::{
        error::ExchangeError,
        optimistic::negotiation::{HEADER, MOST_ACCEPTED, tests::proposals},
    };

    const APP: &str = "/x/http/app";

    type End = Compat<DuplexStream>;

    /// A connection, as far as it matters here: what was accepted on it.
    #[derive(Default)]
    struct Connection(Arc<Accepted>);

    impl Connection {
        /// Both ends of a new stream; the other one writes `most` bytes at once.
        fn open(&self, most: usize) -> (OptimisticStream<End>, End) {
            let (near, far) = tokio::io::duplex(most);
            let stream = OptimisticStream::outbound(near.compat(), &self.0);
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

    fn text(data: &[u8]) -> &str {
        str::from_utf8(data).expect("is text")
    }

    async fn within<T>(what: impl Future<Output = T>) -> T {
        let patience = Duration::from_secs(10);
        timeout(patience, what).await.expect("comes in time")
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
    async fn the_end_of_a_stream_is_no_refusal_either_where_the_answer_is_waited_for() {
        let (mut near, mut far, _) = Connection::default().propose(APP).await;
        far.write_all(HEADER).await.expect("is written");
        drop(far);
        assert_eq!(
            read(&mut near, HEADER.len()).await.expect("came"),
            text(HEADER)
        );
        let error = near.read(&mut [0; 8]).await.expect_err("has ended");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    /// A request that proposes another service in its body: `P` is 80, `H` 72, and a carriage return 13.
    fn smuggled() -> Vec<u8> {
        let target = "a".repeat(64);
        let host = "b".repeat(65);
        format!(
            "POST /{target} HTTP/1.1\r\nHost: {host}\r\n\r\n{}\n\x0e/x/http/admin\nGET / HTTP/1.1\r\n\r\n",
            "c".repeat(11)
        )
        .into_bytes()
    }

    #[test]
    fn the_request_of_these_tests_would_propose_another_service() {
        let request = smuggled();
        assert_eq!(proposals(&request).last(), Some(&&b"/x/http/admin"[..]));
    }

    #[tokio::test]
    async fn a_request_proposes_nothing_whatever_is_in_it() {
        let request = smuggled();
        for at_once in [1, 7, 81, request.len()] {
            let connection = Connection::default();
            connection.accept(APP).await;
            let (mut near, mut far, _) = connection.propose(APP).await;
            far.read_exact(&mut vec![0; message(APP).len()])
                .await
                .expect("comes");
            let mut sent = 0;
            loop {
                let piece = &request[sent..request.len().min(sent + at_once)];
                // Or the runtime would have it wait for others after so many.
                let written = unconstrained(near.write(piece)).now_or_never();
                let Some(written) = written else { break };
                sent += written.expect("is written");
            }
            let mut early = vec![0; sent];
            far.read_exact(&mut early).await.expect("comes");
            assert_eq!(early, request[..sent]);
            let line_end = request.iter().position(|&byte| byte == b'\r');
            let line = &request[1..=line_end.expect("is there")];
            assert_eq!(proposals(&early), [line]);
            // No more than need be is held back.
            assert_eq!(proposals(&request[..=sent]).len(), 2);

            let refused = at_once == 7;
            let answer = if refused {
                b"\x03na\n"
            } else {
                &message(APP)[HEADER.len()..]
            };
            far.write_all(&[HEADER, answer].concat())
                .await
                .expect("is written");
            let rest = near.write_all(&request[sent..]).await;
            if refused {
                let error = ExchangeError::from(rest.expect_err("is refused"));
                assert!(error.is_refusal());
                drop(near);
                let mut more = Vec::new();
                far.read_to_end(&mut more).await.expect("ends");
                assert_eq!(more, []);
                continue;
            }
            rest.expect("is written");
            let mut rest = vec![0; request.len() - sent];
            far.read_exact(&mut rest).await.expect("comes");
            assert_eq!(rest, request[sent..]);
            far.write_all(b"back").await.expect("is written");
            assert_eq!(read(&mut near, 4).await.expect("comes"), "back");
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_while_a_request_waits_has_ended() {
        let connection = Connection::default();
        connection.accept(APP).await;
        let (mut near, far, _) = connection.propose(APP).await;
        drop(far);
        let error = near.write_all(b"\0").await.expect_err("has ended");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn whoever_reads_and_whoever_writes_may_wait_in_two_tasks() {
        for reader_first in [true, false] {
            let connection = Connection::default();
            connection.accept(APP).await;
            let (near, mut far, _) = connection.propose(APP).await;
            let (mut reads, mut writes) = near.split();
            let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
            let began = waits.clone();
            let reads = async move {
                let mut came = [0; 4];
                let read = reads.read_exact(&mut came);
                began.send(()).expect("is waited for");
                read.await.expect("comes");
                came
            };
            let writes = async move {
                let write = writes.write_all(b"\0");
                waits.send(()).expect("is waited for");
                write.await.expect("leaves");
            };
            // The one that comes last takes the place of the first with the stream.
            let (reads, writes) = if reader_first {
                let reads = tokio::spawn(reads);
                waiting.recv().await;
                (reads, tokio::spawn(writes))
            } else {
                let writes = tokio::spawn(writes);
                waiting.recv().await;
                (tokio::spawn(reads), writes)
            };
            waiting.recv().await;
            tokio::task::yield_now().await;
            far.write_all(&[&message(APP)[..], b"back"].concat())
                .await
                .expect("is written");
            assert_eq!(&within(reads).await.expect("does not panic"), b"back");
            within(writes).await.expect("does not panic");
        }
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
