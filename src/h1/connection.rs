//! Whose turn is it, and may the connection be used again? Joins the two directions.

use std::sync::Arc;

use bytes::BytesMut;

use super::{
    decoder::{Decoder, Eof, Step},
    encoder::Encoder,
    error::{Error, Misuse},
    fields::{Field, Fields},
    framing::{CloseReason, RequestContext},
    limits::Limits,
    role::{Client, Role, Server},
    version::Version,
    write::{RequestLine, Sending, StatusLine},
};

/// Both directions of one HTTP/1.1 connection, which keep each other's turn.
///
/// A server is ready for its first request, a client for sending its first. When both messages of
/// an exchange are complete, [`next_exchange`](Self::next_exchange) begins with the next one, or
/// says why there is none.
#[derive(Debug)]
pub struct Connection<R> {
    decoder: Decoder<R>,
    encoder: Encoder<R>,
    /// What the current request was, once its head was received or sent.
    request: Option<RequestContext>,
}

impl<R: Role> Connection<R> {
    /// A connection on which nothing was sent yet.
    pub fn new(limits: Arc<Limits>) -> Self {
        Self {
            decoder: Decoder::new(limits),
            encoder: Encoder::new(),
            request: None,
        }
    }

    /// Reads on: see [`Decoder::decode`]. A 101 to a client switches both directions.
    ///
    /// # Errors
    ///
    /// As there. A server may still answer, with [`Error::status`]; the connection ends then.
    pub fn receive<'i>(
        &mut self,
        input: &'i [u8],
    ) -> Result<(usize, Step<'i, R::Incoming>), Error> {
        let result = self.decoder.decode(input);
        if let Ok((_, Step::Head(head))) = &result {
            self.request = R::context(head).or(self.request);
        }
        if self.decoder.is_switched() {
            self.encoder.switched();
        }
        result
    }

    /// Writes a piece of the body: see [`Encoder::data`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn data(&mut self, data: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        self.encoder.data(data, out)
    }

    /// Counts a piece of the body that the caller writes: see [`Encoder::direct`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn direct(&mut self, length: usize) -> Result<bool, Misuse> {
        self.encoder.direct(length)
    }

    /// Ends the message that is being sent: see [`Encoder::end`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn end(&mut self, trailers: Option<&Fields>, out: &mut BytesMut) -> Result<(), Misuse> {
        self.encoder.end(trailers, out)
    }

    /// Says that the input has ended: see [`Decoder::end_of_input`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn end_of_input(&mut self, leftover: usize) -> Result<Eof, Error> {
        self.decoder.end_of_input(leftover)
    }

    /// Begins with the next exchange, if both messages of the current one are complete and nothing
    /// speaks against it. Before the first exchange there is nothing to do.
    ///
    /// # Errors
    ///
    /// The reason why there cannot be another exchange, now or at all: see [`reuse`].
    pub fn next_exchange(&mut self) -> Result<(), CloseReason> {
        reuse(&self.decoder, &self.encoder)?;
        self.encoder.next();
        self.decoder.next_message();
        self.request = None;
        Ok(())
    }

    /// Whether the protocol was switched: no direction carries HTTP any more.
    pub fn is_switched(&self) -> bool {
        self.decoder.is_switched() || self.encoder.is_switched()
    }

    /// What must be known of the current request, once its head was received or sent.
    pub fn request_context(&self) -> Option<&RequestContext> {
        self.request.as_ref()
    }

    /// The receiving direction.
    pub fn decoder(&self) -> &Decoder<R> {
        &self.decoder
    }

    /// The sending direction.
    pub fn encoder(&self) -> &Encoder<R> {
        &self.encoder
    }

    /// The two directions, to be used by two owners. They no longer keep each other's turn.
    pub fn into_halves(self) -> (Decoder<R>, Encoder<R>) {
        (self.decoder, self.encoder)
    }
}

impl Connection<Server> {
    /// Sends an interim response: see [`Encoder::interim`]. To an HTTP/1.0 client, which must not
    /// be sent one, nothing is written (RFC 9110, section 15.2).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn interim<'f>(
        &mut self,
        start: StatusLine<'_>,
        fields: impl IntoIterator<Item = Field<'f>>,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        let before = out.len();
        self.encoder
            .interim(start.status, start.reason, fields, out)?;
        if self.answered().version == Version::Http10 {
            out.truncate(before);
        }
        Ok(())
    }

    /// Sends the head of the response: see [`Encoder::response`]. A 101 switches both directions.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn response<'f>(
        &mut self,
        start: StatusLine<'_>,
        fields: impl IntoIterator<Item = Field<'f>>,
        options: Sending<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        let request = self.answered();
        self.encoder
            .response(&request, start, fields, options, out)?;
        if self.encoder.is_switched() {
            self.decoder.switched();
        }
        Ok(())
    }

    /// The request that a response is to. One that nobody could read, or that never came, is
    /// answered too: the connection ends then.
    fn answered(&self) -> RequestContext {
        match (self.request, self.decoder.close_reason()) {
            (Some(request), Some(CloseReason::Error(error))) => {
                let mut request = request;
                request.close = Some(CloseReason::Error(error));
                request
            }
            (Some(request), _) => request,
            (None, Some(CloseReason::Error(error))) => RequestContext::unreadable(error),
            (None, _) => RequestContext::unreadable(Error::Truncated),
        }
    }
}

impl Connection<Client> {
    /// Sends the head of a request, and begins to expect its response: see [`Encoder::request`].
    ///
    /// # Errors
    ///
    /// As there, and if the connection cannot carry a request.
    pub fn request<'f>(
        &mut self,
        start: RequestLine<'_>,
        fields: impl IntoIterator<Item = Field<'f>>,
        options: Sending<'_>,
        out: &mut BytesMut,
    ) -> Result<RequestContext, Misuse> {
        if self.decoder.close_reason().is_some() {
            return Err(Misuse::NotReusable);
        }
        let request = self.encoder.request(start, fields, options, out)?;
        self.decoder.expect_response(request);
        self.request = Some(request);
        Ok(request)
    }
}

/// Whether a connection may carry another exchange. Nothing else decides that.
///
/// Before the first message it may. Otherwise both messages of the exchange must be complete,
/// neither side may have asked for the end, and no byte may have come that belongs to nothing. A
/// client calls the decoder with what is left in its buffer before it asks.
///
/// # Errors
///
/// The reason why it may not.
pub fn reuse<R: Role>(decoder: &Decoder<R>, encoder: &Encoder<R>) -> Result<(), CloseReason> {
    if let Some(reason) = decoder.close_reason().or(encoder.close_reason()) {
        return Err(reason);
    }
    if decoder.is_idle() && !decoder.is_complete() && !encoder.is_started() {
        return Ok(());
    }
    let (received, sent) = (decoder.is_complete(), encoder.is_complete());
    match (R::IS_SERVER, received, sent) {
        (_, true, true) => Ok(()),
        (true, false, _) => Err(CloseReason::BodyUnread),
        (false, _, false) => Err(CloseReason::RequestUnfinished),
        (true, true, false) | (false, false, true) => Err(CloseReason::ResponseUnfinished),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::Length;

    const HOST: [Field<'static>; 1] = [Field {
        name: "Host",
        value: b"h",
    }];
    const OK: StatusLine<'static> = StatusLine {
        status: 200,
        reason: b"OK",
    };

    struct Pair {
        client: Connection<Client>,
        server: Connection<Server>,
        wire: BytesMut,
    }

    impl Pair {
        fn new() -> Self {
            let limits = Arc::new(Limits::default());
            Self {
                client: Connection::new(limits.clone()),
                server: Connection::new(limits),
                wire: BytesMut::new(),
            }
        }

        fn request(&mut self, method: &str, options: Sending<'_>) {
            let start = RequestLine {
                method,
                target: "/",
            };
            self.client
                .request(start, HOST, options, &mut self.wire)
                .expect("a valid head");
        }

        fn respond(&mut self, start: StatusLine<'_>, options: Sending<'_>) {
            self.server
                .response(start, [], options, &mut self.wire)
                .expect("a valid head");
        }

        /// Lets the server read all that is on the wire; returns how many steps that were.
        fn server_reads(&mut self) -> usize {
            read(&mut self.server, &mut self.wire)
        }

        fn client_reads(&mut self) -> usize {
            read(&mut self.client, &mut self.wire)
        }

        fn next(&mut self) -> (Result<(), CloseReason>, Result<(), CloseReason>) {
            (self.client.next_exchange(), self.server.next_exchange())
        }
    }

    fn read<R: Role>(side: &mut Connection<R>, wire: &mut BytesMut) -> usize {
        let mut steps = 0;
        loop {
            let (used, step) = side.receive(wire).expect("a valid message");
            let stop = matches!(step, Step::NeedMore | Step::Paused);
            let _ = wire.split_to(used);
            if stop {
                return steps;
            }
            steps += 1;
        }
    }

    #[test]
    fn exchanges_follow_on_each_other() {
        let mut pair = Pair::new();
        for _ in 0..3 {
            pair.request("GET", Sending::default());
            assert_eq!(
                pair.next(),
                (Err(CloseReason::RequestUnfinished), Ok(())),
                "the server has nothing yet"
            );
            pair.client.end(None, &mut pair.wire).expect("complete");
            assert_eq!(
                pair.client.next_exchange(),
                Err(CloseReason::ResponseUnfinished)
            );
            assert_eq!(pair.server_reads(), 2);
            assert_eq!(
                pair.server.next_exchange(),
                Err(CloseReason::ResponseUnfinished)
            );
            let options = Sending {
                length: Length::Chunked,
                ..Sending::default()
            };
            pair.respond(OK, options);
            pair.server.data(b"x", &mut pair.wire).expect("room");
            assert_eq!(
                pair.server.next_exchange(),
                Err(CloseReason::ResponseUnfinished)
            );
            pair.server.end(None, &mut pair.wire).expect("complete");
            assert_eq!(pair.client_reads(), 3);
            assert_eq!(pair.next(), (Ok(()), Ok(())));
            // Again, as between two exchanges there is nothing to do.
            assert_eq!(pair.next(), (Ok(()), Ok(())));
        }
    }

    #[test]
    fn the_next_request_waits_for_the_response() {
        let mut pair = Pair::new();
        let input = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n";
        pair.wire.extend_from_slice(input);

        assert_eq!(pair.server_reads(), 2);
        let held = pair.wire.split();
        assert_eq!(held.len(), input.len() / 2);
        assert_eq!(pair.server.receive(&held), Ok((0, Step::Paused)));
        pair.respond(OK, Sending::default());
        pair.server.end(None, &mut pair.wire).expect("complete");
        assert_eq!(
            pair.server.receive(&held),
            Ok((0, Step::Paused)),
            "not on its own"
        );
        assert_eq!(pair.server.next_exchange(), Ok(()));
        assert!(
            matches!(pair.server.receive(&held), Ok((_, Step::Head(head))) if head.target() == "/2")
        );
    }

    #[test]
    fn an_early_response_ends_the_connection() {
        let mut pair = Pair::new();
        pair.request(
            "POST",
            Sending {
                length: Length::Known(5),
                ..Sending::default()
            },
        );
        assert_eq!(pair.server_reads(), 1);
        pair.respond(OK, Sending::default());
        pair.server.end(None, &mut pair.wire).expect("complete");
        assert_eq!(pair.client_reads(), 2);

        let both = (
            Err(CloseReason::RequestUnfinished),
            Err(CloseReason::BodyUnread),
        );
        assert_eq!(pair.next(), both);
    }

    #[test]
    fn a_switch_ends_http_in_both_directions() {
        let mut pair = Pair::new();
        let options = Sending {
            upgrade: Some(b"websocket"),
            ..Sending::default()
        };
        pair.request("GET", options);
        pair.client.end(None, &mut pair.wire).expect("complete");
        pair.wire.extend_from_slice(b"early");
        assert_eq!(pair.server_reads(), 2);
        assert_eq!(pair.wire, "early", "it waits for the tunnel");
        pair.wire.clear();

        pair.respond(
            StatusLine {
                status: 101,
                reason: b"",
            },
            options,
        );
        pair.wire.extend_from_slice(b"tunnel");
        assert_eq!(pair.client_reads(), 1);
        assert_eq!(pair.wire, "tunnel");
        assert!(pair.client.is_switched() && pair.server.is_switched());
        assert_eq!(
            pair.next(),
            (Err(CloseReason::Switched), Err(CloseReason::Switched))
        );
        assert_eq!(
            pair.server.receive(b"GET / HTTP/1.1\r\n"),
            Ok((0, Step::Paused))
        );
        let start = RequestLine {
            method: "GET",
            target: "/",
        };
        let refused = pair
            .client
            .request(start, HOST, Sending::default(), &mut pair.wire);
        assert_eq!(refused, Err(Misuse::NotReusable));
    }

    #[test]
    fn an_unreadable_request_is_answered_and_ends_the_connection() {
        let mut pair = Pair::new();
        let error = pair
            .server
            .receive(b"GET / HTTP/1.1\n")
            .expect_err("a bare LF");
        let start = StatusLine {
            status: error.status(),
            reason: b"Bad Request",
        };
        pair.respond(start, Sending::default());
        pair.server.end(None, &mut pair.wire).expect("complete");

        let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(pair.wire, answer);
        assert_eq!(
            pair.server.next_exchange(),
            Err(CloseReason::Error(Error::BareLf))
        );
    }

    #[test]
    fn an_http10_client_gets_no_interim_response() {
        for (version, written) in [("1.0", ""), ("1.1", "HTTP/1.1 100 \r\n\r\n")] {
            let mut pair = Pair::new();
            let input = format!("POST / HTTP/{version}\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
            pair.wire.extend_from_slice(input.as_bytes());
            assert_eq!(pair.server_reads(), 1);
            let start = StatusLine {
                status: 100,
                reason: b"",
            };
            pair.server
                .interim(start, [], &mut pair.wire)
                .expect("a valid head");
            assert_eq!(pair.wire, written);
        }
    }

    #[test]
    fn surplus_bytes_end_the_connection_of_a_client() {
        let response = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        for surplus in ["", "\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
            let mut pair = Pair::new();
            pair.request("GET", Sending::default());
            pair.client.end(None, &mut pair.wire).expect("complete");
            pair.wire = BytesMut::from(format!("{response}{surplus}").as_str());
            assert_eq!(pair.client_reads(), 3);
            let expected = if surplus.is_empty() {
                Ok(())
            } else {
                Err(CloseReason::Surplus)
            };
            assert_eq!(pair.client.next_exchange(), expected, "{surplus:?}");
        }
    }
}
