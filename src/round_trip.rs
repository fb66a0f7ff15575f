//! The part of an exchange in which a request leaves and its response is awaited, at the same time: a server may
//! answer before it has read everything.

use std::task::{Context, Poll, ready};

use crate::{
    error::{ExchangeError, Wait},
    h1::{Client, Fields, Framing, ResponseHead},
    hop::{Hop, Pump, PumpError, Source, Writer},
};

/// How far a request has come.
#[derive(Default)]
pub(crate) struct RoundTrip {
    upload: Pump,
    /// The peer takes no more of the request. It may still have answered.
    refused: Option<ExchangeError>,
    /// Our direction is still to be closed behind the request.
    half_close: bool,
}

/// Why no response head came.
#[derive(Debug)]
pub(crate) enum RoundTripError {
    /// The request could not be read from where it comes from.
    Request(ExchangeError),
    /// The hop to the server failed.
    Response(ExchangeError),
}

impl From<RoundTripError> for ExchangeError {
    fn from(error: RoundTripError) -> Self {
        match error {
            RoundTripError::Request(error) | RoundTripError::Response(error) => error,
        }
    }
}

impl RoundTrip {
    /// With `half_close`, our direction of the stream ends behind the request.
    pub(crate) fn new(half_close: bool) -> Self {
        Self {
            half_close,
            ..Self::default()
        }
    }

    /// Whether nothing more of the request will leave.
    pub(crate) fn is_over(&self) -> bool {
        let is_sent = self.upload == Pump::Done && !self.half_close;
        is_sent || self.refused.is_some()
    }

    /// Sends what is left of the request, and waits for the next head of its response, interim or final.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl Source + ?Sized),
        hop: &mut Hop<Client>,
        filter: impl Fn(Fields) -> Option<Fields>,
    ) -> Poll<Result<ResponseHead, RoundTripError>> {
        if !self.is_over()
            && let Poll::Ready(result) = self.poll_upload(cx, source, &mut hop.writer, filter)
        {
            result.map_err(RoundTripError::Request)?;
            hop.reader.start_waiting();
        }
        let patience = if self.is_over() {
            hop.reader.config().response_timeout()
        } else {
            None // the upload has a timeout of its own
        };
        let head = ready!(hop.reader.poll_head(cx, (Wait::Response, patience)));
        if let Ok(head) = &head {
            if !head.is_interim() && !hop.writer.encoder().is_complete() {
                // Who has answered may not read on, and take the rest of the body for the next request.
                hop.reader.decoder_mut().came_early();
            }
            let is_stream = tells_events(head, hop.reader.decoder().framing());
            let silence = is_stream.then(|| hop.reader.config().tunnel_timeout());
            hop.reader.allow_silence(silence);
        }
        Poll::Ready(head.map_err(|error| RoundTripError::Response(self.what_went_wrong(error))))
    }

    /// Where the peer took no more of the request and did not answer either, the former is what went wrong, unless it says so.
    fn what_went_wrong(&mut self, error: ExchangeError) -> ExchangeError {
        match self.refused.take() {
            Some(refused) if !error.is_refusal() => refused,
            _ => error,
        }
    }

    /// Sends no more of the request.
    #[cfg(feature = "tokio")]
    pub(crate) fn give_up(&mut self, error: ExchangeError) {
        self.refused = Some(error);
    }

    /// Sends what is left of the request. An error is one of its source.
    pub(crate) fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl Source + ?Sized),
        writer: &mut Writer<Client>,
        filter: impl Fn(Fields) -> Option<Fields>,
    ) -> Poll<Result<(), ExchangeError>> {
        if self.is_over() {
            return Poll::Ready(Ok(()));
        }
        let mut sent = ready!(self.upload.poll(cx, source, writer, filter));
        if sent.is_ok() && self.half_close {
            sent = ready!(writer.poll_close(cx)).map_err(PumpError::Sink);
            self.half_close = false;
        }
        match sent {
            Ok(()) => {}
            Err(PumpError::Source(error)) => return Poll::Ready(Err(error)),
            Err(PumpError::Sink(error)) => self.refused = Some(error),
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the body of a response is a stream of events, which come when something happens
/// ([server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html)).
fn tells_events(head: &ResponseHead, framing: Framing) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    // Its length is never known before.
    if !matches!(framing, Framing::Chunked | Framing::UntilClose) {
        return false;
    }
    let content_type = head.fields().get("Content-Type").unwrap_or_default();
    let mut parts = content_type.split(|&byte| byte == b';');
    parts
        .next()
        .is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(EVENTS))
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, sync::Arc, task::Waker, time::Duration};

    use futures::executor::block_on;

    use super::*;
    use crate::{
        config::Config,
        h1::{Field, Length, RequestLine, Sending},
        io::stub::{Manner, Stub},
        payload::Payload,
    };

    /// A stream with a request that waits to be sent.
    fn asked(stream: Stub, config: Config) -> Hop<Client> {
        let mut hop = Hop::new(stream, &Arc::new(config));
        let context = hop.writer.encode(|encoder, out| {
            let line = RequestLine {
                method: "GET",
                target: "/",
            };
            let host = Field {
                name: "Host",
                value: b"test",
            };
            let sending = Sending {
                length: Length::Absent,
                ..Sending::default()
            };
            encoder.request(line, [host], sending, out)
        });
        let decoder = hop.reader.decoder_mut();
        decoder.expect_response(context.expect("is a request"));
        hop
    }

    #[test]
    fn a_half_close_that_has_to_wait_is_not_forgotten() {
        let stream = Stub::new(Manner {
            room: usize::MAX,
            slow_closes: 1,
            ..Manner::default()
        });
        let mut hop = asked(stream.clone(), Config::default());
        let mut trip = RoundTrip::new(true);
        let mut source = Payload::empty().into_source();
        let mut cx = Context::from_waker(Waker::noop());
        for is_over in [false, true] {
            let head = trip.poll_head(&mut cx, &mut source, &mut hop, Some);
            assert!(head.is_pending());
            assert_eq!((trip.is_over(), stream.manner().closed), (is_over, is_over));
        }
    }

    #[test]
    fn a_flush_that_never_ends_is_not_waited_for() {
        let limit = Duration::from_millis(50);
        let stream = Stub::new(Manner {
            room: usize::MAX,
            slow_flushes: usize::MAX,
            ..Manner::default()
        });
        let config = Config::default()
            .with_body_gap_timeout(limit)
            .with_response_timeout(Some(limit));
        let mut hop = asked(stream, config);
        let mut trip = RoundTrip::new(false);
        let mut source = Payload::empty().into_source();
        let head = block_on(poll_fn(|cx| {
            trip.poll_head(cx, &mut source, &mut hop, Some)
        }));
        assert!(matches!(
            head,
            Err(RoundTripError::Response(ExchangeError::Timeout { .. }))
        ));
    }

    #[test]
    fn streams_of_events() {
        for (kind, framing, expected) in [
            ("text/event-stream", Framing::Chunked, true),
            (
                "Text/Event-Stream ; charset=utf-8",
                Framing::UntilClose,
                true,
            ),
            ("text/event-stream", Framing::Length(9), false),
            ("text/event-streams", Framing::Chunked, false),
            ("text/plain; text/event-stream", Framing::Chunked, false),
        ] {
            let head = ResponseHead::new(200).expect("is a status");
            let head = head.with_field("Content-Type", kind).expect("is valid");
            assert_eq!(tells_events(&head, framing), expected, "{kind}");
        }
        let head = ResponseHead::new(200).expect("is a status");
        assert!(!tells_events(&head, Framing::Chunked));
    }
}
