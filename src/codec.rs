//! How does the framing core fit `asynchronous_codec`? A codec for both directions of a connection.

use std::{io, sync::Arc};

use asynchronous_codec::{Decoder, Encoder};
use bytes::{Buf, Bytes, BytesMut};

use crate::h1::{
    Client, Connection, Eof, Error, Fields, Limits, Misuse, RequestHead, ResponseHead, Role,
    Sending, Server, Step,
};

/// An HTTP/1.1 connection as a codec, to be used with [`asynchronous_codec::Framed`].
///
/// Exchanges follow on each other by themselves, as long as the connection can be reused. Three
/// things are different from other codecs, because of what `Framed` does:
///
/// - **The end of the stream proves nothing.** `Framed` does not ask its codec when the stream ends
///   while no byte is buffered, so a body that was cut short looks like a clean end. When `Framed`
///   yields `None`, call [`finish`](Self::finish): only that tells whether the last message is whole.
///   A body that ends with the connection gets no [`Frame::End`] then.
/// - **It stays ended.** After an error of the peer every further frame is that error.
/// - **It is bounded.** `Framed` reads for as long as there is no frame, so do not poll it while no
///   message is due: between the [`Frame::End`] of a request and the end of its response, and after a
///   101. More bytes than a head may have are not held then: [`CodecError::Paused`] says so.
///
/// After a switch of protocols `Framed::into_parts` gives back the stream and the bytes behind the
/// 101.
///
/// ```
/// # futures::executor::block_on(async {
/// use std::sync::Arc;
///
/// use asynchronous_codec::Framed;
/// use futures::{StreamExt, io::Cursor};
/// use libp2p_http_proxy::{codec::{Codec, Frame}, h1::{Limits, Server}};
///
/// let stream = Cursor::new(b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n".to_vec());
/// let mut framed = Framed::new(stream, Codec::<Server>::new(Arc::new(Limits::default())));
///
/// let Some(Ok(Frame::Head(head))) = framed.next().await else { panic!("a head") };
/// assert_eq!(head.target(), "/a");
/// assert!(matches!(framed.next().await, Some(Ok(Frame::End(None)))));
/// # });
/// ```
#[derive(Debug)]
pub struct Codec<R> {
    connection: Connection<R>,
    /// How many bytes may be held while no message is due.
    paused_limit: usize,
}

/// A part of a message that was received.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "a head is as large, and neither is stored"
)]
pub enum Frame<H> {
    /// A head. For a client it may be an interim one, behind which another follows.
    Head(H),
    /// A piece of the body. It is never empty.
    Data(Bytes),
    /// The end of the message, with the trailers of a chunked one.
    End(Option<Fields>),
}

/// A part of a message to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Outgoing<'a, H> {
    /// A head. That of an interim response ignores the second value.
    Head(&'a H, Sending<'a>),
    /// A piece of the body. An empty one sends nothing.
    Data(&'a [u8]),
    /// The end of the message. Trailers are sent if it is chunked, and dropped otherwise.
    End(Option<&'a Fields>),
}

/// Why a [`Codec`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer broke a rule.
    #[error(transparent)]
    Protocol(#[from] Error),
    /// What was to be sent would not be valid.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The codec was polled while no message is due, and bytes came that it must not read.
    #[error("{held} bytes came while no message is due: poll again once the response is sent")]
    Paused {
        /// How many bytes are held.
        held: usize,
    },
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<R: Role> Codec<R> {
    /// A codec for a connection on which nothing was sent yet.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self {
            paused_limit: limits.head_size(),
            connection: Connection::new(limits),
        }
    }

    /// Checks that the stream has ended where a message may end, after `Framed` yielded `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if a message was cut short, or the error that a frame ended in.
    pub fn finish(&self) -> Result<(), Error> {
        self.connection.decoder().check_end(0).map(|_| ())
    }

    /// The state of the connection.
    pub fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    /// The state of the connection, and what is left to do with it.
    pub fn into_connection(self) -> Connection<R> {
        self.connection
    }

    /// Begins with the next exchange if the current one is over.
    fn advance(&mut self) {
        if self.connection.encoder().is_complete() {
            // Why it cannot is told by whatever is asked for next.
            let _ = self.connection.next_exchange();
        }
    }

    fn encode_body<H>(
        &mut self,
        item: Outgoing<'_, H>,
        out: &mut BytesMut,
    ) -> Result<(), CodecError> {
        match item {
            Outgoing::Head(..) => Err(Misuse::HeadAlreadySent)?,
            Outgoing::Data(data) => self.connection.data(data, out)?,
            Outgoing::End(trailers) => self.connection.end(trailers, out)?,
        }
        Ok(())
    }
}

impl<R: Role> Decoder for Codec<R> {
    type Item = Frame<R::Incoming>;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error> {
        self.advance();
        let (used, step) = match self.connection.receive(src) {
            Ok(found) => found,
            Err(error) => {
                // Nobody will read them, and Framed would keep them.
                src.clear();
                return Err(error.into());
            }
        };
        let frame = match step {
            Step::Data(data) => {
                // Data is the last of what was used.
                let length = data.len();
                src.advance(used - length);
                return Ok(Some(Frame::Data(src.split_to(length).freeze())));
            }
            Step::Head(head) => Some(Frame::Head(head)),
            Step::End(trailers) => Some(Frame::End(trailers)),
            Step::NeedMore => None,
            Step::Paused if src.len() > self.paused_limit => {
                return Err(CodecError::Paused { held: src.len() });
            }
            Step::Paused => None,
        };
        src.advance(used);
        Ok(frame)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Self::Error> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        match self.connection.end_of_input(src.len())? {
            Eof::EndOfBody => Ok(Some(Frame::End(None))),
            Eof::Clean if self.connection.decoder().is_complete() && !src.is_empty() => {
                Err(CodecError::Paused { held: src.len() })
            }
            Eof::Clean => {
                // At most an empty line that no request followed on.
                src.clear();
                Ok(None)
            }
        }
    }
}

impl Encoder for Codec<Client> {
    type Item<'a> = Outgoing<'a, RequestHead>;
    type Error = CodecError;

    fn encode(&mut self, item: Self::Item<'_>, out: &mut BytesMut) -> Result<(), Self::Error> {
        let Outgoing::Head(head, sending) = item else {
            return self.encode_body(item, out);
        };
        self.advance();
        let fields = head.fields().iter();
        self.connection.request(head.into(), fields, sending, out)?;
        Ok(())
    }
}

impl Encoder for Codec<Server> {
    type Item<'a> = Outgoing<'a, ResponseHead>;
    type Error = CodecError;

    fn encode(&mut self, item: Self::Item<'_>, out: &mut BytesMut) -> Result<(), Self::Error> {
        let Outgoing::Head(head, sending) = item else {
            return self.encode_body(item, out);
        };
        let fields = head.fields().iter();
        if head.is_interim() {
            self.connection.interim(head.into(), fields, out)?;
        } else {
            self.connection
                .response(head.into(), fields, sending, out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use asynchronous_codec::Framed;
    use futures::{
        AsyncRead, AsyncWrite, AsyncWriteExt, SinkExt, StreamExt, executor::block_on, future::join,
        io::Cursor,
    };

    use super::*;
    use crate::h1::{CloseReason, Length};

    /// One end of two pipes.
    struct End {
        reader: piper::Reader,
        writer: piper::Writer,
    }

    /// Two ends, each of which reads what the other one writes.
    fn pipe(capacity: usize) -> (End, End) {
        let (near_reader, far_writer) = piper::pipe(capacity);
        let (far_reader, near_writer) = piper::pipe(capacity);
        let near = End {
            reader: near_reader,
            writer: near_writer,
        };
        (
            near,
            End {
                reader: far_reader,
                writer: far_writer,
            },
        )
    }

    impl AsyncRead for End {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.reader).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for End {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.writer).poll_write(cx, buffer)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.writer).poll_flush(cx)
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.writer).poll_close(cx)
        }
    }

    fn codec<R: Role>() -> Codec<R> {
        Codec::new(Arc::new(Limits::default()))
    }

    fn chunked() -> Sending<'static> {
        Sending {
            length: Length::Chunked,
            ..Sending::default()
        }
    }

    /// Answers every request with its own body and a trailer, until the client has no more.
    async fn echo(mut framed: Framed<End, Codec<Server>>) {
        while let Some(frame) = framed.next().await {
            let Frame::Head(head) = frame.expect("a valid request") else {
                panic!("a head comes first")
            };
            let mut body = Vec::new();
            while let Some(Frame::Data(data)) =
                framed.next().await.transpose().expect("a valid body")
            {
                body.extend_from_slice(&data);
            }
            let interim = ResponseHead::new(103).expect("a status");
            framed
                .send(Outgoing::Head(&interim, Sending::default()))
                .await
                .expect("sent");
            let response = ResponseHead::new(200).expect("a status");
            let response = response
                .with_field("X-Target", head.target())
                .expect("a field");
            framed
                .send(Outgoing::Head(&response, chunked()))
                .await
                .expect("sent");
            for piece in body.chunks(1000) {
                framed.send(Outgoing::Data(piece)).await.expect("sent");
            }
            let mut trailers = Fields::default();
            trailers
                .push("X-Length", body.len().to_string())
                .expect("a field");
            framed
                .send(Outgoing::End(Some(&trailers)))
                .await
                .expect("sent");
        }
        assert_eq!(framed.codec().finish(), Ok(()));
    }

    #[test]
    fn exchanges_pass_through_a_narrow_pipe() {
        let (near, far) = pipe(7);
        let client = async {
            let mut framed = Framed::new(near, codec::<Client>());
            for size in [0, 1, 5000] {
                let body = vec![b'x'; size];
                let head = RequestHead::new("POST", &format!("/{size}")).expect("a head");
                let head = head.with_field("Host", "h").expect("a field");
                let length = Length::Known(size as u64);
                let sending = Sending {
                    length,
                    ..Sending::default()
                };
                framed
                    .send(Outgoing::Head(&head, sending))
                    .await
                    .expect("sent");
                framed.send(Outgoing::Data(&body)).await.expect("sent");
                framed.send(Outgoing::End(None)).await.expect("sent");

                let (mut received, mut statuses) = (Vec::new(), Vec::new());
                let trailers = loop {
                    match framed
                        .next()
                        .await
                        .expect("more")
                        .expect("a valid response")
                    {
                        Frame::Head(head) => statuses.push(head.status()),
                        Frame::Data(data) => received.extend_from_slice(&data),
                        Frame::End(trailers) => break trailers.expect("a trailer"),
                    }
                };
                assert_eq!(statuses, [103, 200]);
                assert_eq!(received, body);
                assert_eq!(trailers.get("x-length"), Some(size.to_string().as_bytes()));
            }
            framed.close().await.expect("closed");
        };
        block_on(join(client, echo(Framed::new(far, codec()))));
    }

    /// The frames of a response up to an error, and what `finish` says behind them.
    fn read_response(response: &str) -> (Vec<Frame<ResponseHead>>, Result<(), Error>) {
        block_on(async {
            let (near, mut far) = pipe(1024);
            let mut framed = Framed::new(near, codec::<Client>());
            let head = RequestHead::new("GET", "/").expect("a head");
            let head = head.with_field("Host", "h").expect("a field");
            framed
                .send(Outgoing::Head(&head, Sending::default()))
                .await
                .expect("sent");
            framed.send(Outgoing::End(None)).await.expect("sent");
            far.write_all(response.as_bytes()).await.expect("room");
            far.close().await.expect("closed");

            let mut frames = Vec::new();
            while let Some(Ok(frame)) = framed.next().await {
                frames.push(frame);
            }
            (frames, framed.codec().finish())
        })
    }

    #[test]
    fn a_cut_body_is_told_from_a_whole_one() {
        for (response, data, ends, finish) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
                "ab",
                true,
                Ok(()),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
                "ab",
                false,
                Err(Error::Truncated),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
                "",
                false,
                Err(Error::Truncated),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Le",
                "",
                false,
                Err(Error::Truncated),
            ),
            ("", "", false, Err(Error::Truncated)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab",
                "ab",
                false,
                Err(Error::Truncated),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: ",
                "ab",
                false,
                Err(Error::Truncated),
            ),
            // Its end is the end of the connection, which is for the stream to judge.
            ("HTTP/1.1 200 OK\r\n\r\nab", "ab", false, Ok(())),
        ] {
            let (frames, finished) = read_response(response);
            let found: Vec<u8> = frames
                .iter()
                .filter_map(|frame| match frame {
                    Frame::Data(data) => Some(data.to_vec()),
                    _ => None,
                })
                .flatten()
                .collect();
            let has_end = frames.iter().any(|frame| matches!(frame, Frame::End(_)));
            assert_eq!(found, data.as_bytes(), "{response:?}");
            assert_eq!(
                (has_end, finished),
                (ends, finish),
                "{response:?}: {frames:?}"
            );
        }
    }

    #[test]
    fn an_error_is_repeated() {
        block_on(async {
            let input = b"GET / HTTP/1.1\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
            let mut framed = Framed::new(Cursor::new(input.to_vec()), codec::<Server>());
            for _ in 0..3 {
                let frame = framed.next().await;
                assert!(
                    matches!(frame, Some(Err(CodecError::Protocol(Error::BareLf)))),
                    "{frame:?}"
                );
            }
            assert_eq!(framed.codec().finish(), Err(Error::BareLf));
        });
    }

    #[test]
    fn what_comes_while_nothing_is_due_is_bounded() {
        block_on(async {
            let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
            let mut framed = Framed::new(
                Cursor::new(request.repeat(10_000).into_bytes()),
                codec::<Server>(),
            );
            assert!(matches!(framed.next().await, Some(Ok(Frame::Head(_)))));
            assert!(matches!(framed.next().await, Some(Ok(Frame::End(None)))));

            let frame = framed.next().await;
            assert!(
                matches!(frame, Some(Err(CodecError::Paused { .. }))),
                "{frame:?}"
            );
            let held = framed.read_buffer().len();
            assert!(
                held < 2 * Limits::default().head_size(),
                "{held} bytes are held"
            );
        });
    }

    #[test]
    fn a_second_response_is_not_the_next_one() {
        let mut codec = codec::<Client>();
        let (mut out, head) = (
            BytesMut::new(),
            RequestHead::new("GET", "/").expect("a head"),
        );
        let head = head.with_field("Host", "h").expect("a field");
        codec
            .encode(Outgoing::Head(&head, Sending::default()), &mut out)
            .expect("valid");
        codec.encode(Outgoing::End(None), &mut out).expect("valid");

        let mut input =
            BytesMut::from("HTTP/1.1 204 \r\n\r\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
        assert!(matches!(codec.decode(&mut input), Ok(Some(Frame::Head(_)))));
        assert!(matches!(
            codec.decode(&mut input),
            Ok(Some(Frame::End(None)))
        ));
        assert_eq!(
            codec.connection().decoder().close_reason(),
            Some(CloseReason::Surplus)
        );
        let again = codec.encode(Outgoing::Head(&head, Sending::default()), &mut out);
        assert!(again.is_err(), "the connection must not be used again");
    }
}
