//! The part of an exchange in which a request leaves and its response is awaited, at the same time: a server may
//! answer before it has read everything.

use std::task::{Context, Poll, ready};

use crate::{
    error::{ExchangeError, Wait},
    h1::{Client, Fields, ResponseHead},
    hop::{Hop, Pump, PumpError, Source, Writer},
};

/// How far a request has come.
#[derive(Default)]
pub(crate) struct RoundTrip {
    upload: Pump,
    /// The peer takes no more of the request. It may still have answered.
    refused: Option<ExchangeError>,
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
        self.upload == Pump::Done || self.refused.is_some()
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
        // Where the peer took no more of the request and did not answer either, the former is what went wrong.
        Poll::Ready(
            head.map_err(|error| RoundTripError::Response(self.refused.take().unwrap_or(error))),
        )
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
        }
        match sent {
            Ok(()) => {}
            Err(PumpError::Source(error)) => return Poll::Ready(Err(error)),
            Err(PumpError::Sink(error)) => self.refused = Some(error),
        }
        Poll::Ready(Ok(()))
    }
}
