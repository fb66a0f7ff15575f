//! One outbound exchange of the application's own: from a stream and a request to a response.

use std::{future::poll_fn, sync::Arc};

use crate::{
    body::{Body, Upload},
    error::ExchangeError,
    h1::{Client, Framing, Length, RequestHead, RequestLine, ResponseHead, Sending},
    hop::{Hop, Writer},
    lease::Lease,
    message::{Response, Switch},
    outbound::{Lent, OutboundSeat},
    payload::{Payload, PayloadSource},
    round_trip::RoundTrip,
    tunnel::Upgraded,
};

/// A request that is to be sent.
pub(crate) struct Outgoing {
    head: RequestHead,
    upgrade: Option<String>,
}

/// Why a request got no response, and whether it may be sent again.
pub(crate) struct Failed {
    pub(crate) error: ExchangeError,
    pub(crate) may_retry: bool,
}

impl Failed {
    /// The connection ended, nobody knows how far the request had come.
    pub(crate) fn closed() -> Self {
        Self::for_good(ExchangeError::Closed)
    }

    fn for_good(error: ExchangeError) -> Self {
        Self {
            error,
            may_retry: false,
        }
    }
}

/// A response head, and the stream that its body comes on.
pub(crate) struct Answered {
    head: ResponseHead,
    hop: Hop<Client>,
    seat: OutboundSeat,
    source: PayloadSource,
    trip: RoundTrip,
}

impl Outgoing {
    pub(crate) fn new(head: RequestHead, upgrade: Option<String>) -> Self {
        Self { head, upgrade }
    }

    /// Sends the request on a stream, and waits for the final response head.
    pub(crate) async fn send(
        &self,
        lent: Lent,
        payload: Payload,
        half_close: bool,
    ) -> Result<Answered, Failed> {
        let length = payload.length();
        if let Length::Known(length) = length
            && let Some(limit) = lent.seat.beyond_relay(length)
        {
            lent.give_back();
            return Err(Failed::for_good(ExchangeError::RequestBeyondRelay {
                length,
                limit,
            }));
        }
        let Lent { mut hop, seat, .. } = lent;
        let mut trip = RoundTrip::new(half_close);
        if half_close {
            hop.reader.half_closed();
        }
        let mut source = payload.into_source();
        let mut sent = self.encode(&mut hop, length);
        while sent.is_ok() {
            let next = poll_fn(|cx| trip.poll_head(cx, &mut source, &mut hop, Some));
            match next.await {
                Ok(head) if head.is_interim() => {
                    tracing::trace!(status = head.status(), "interim response");
                }
                Ok(head) => {
                    if let Framing::Length(length) = hop.reader.decoder().framing()
                        && let Some(limit) = seat.beyond_relay(length)
                    {
                        return Err(Failed::for_good(ExchangeError::ResponseBeyondRelay {
                            length,
                            limit,
                        }));
                    }
                    return Ok(Answered {
                        head,
                        hop,
                        seat,
                        source,
                        trip,
                    });
                }
                Err(error) => sent = Err(error.into()),
            }
        }
        Err(Failed {
            may_retry: may_retry(&hop, self.head.method()),
            error: sent.err().unwrap_or(ExchangeError::Closed),
        })
    }

    fn encode(&self, hop: &mut Hop<Client>, length: Length) -> Result<(), ExchangeError> {
        let context = hop.writer.encode(|encoder, out| {
            let line = RequestLine {
                method: self.head.method(),
                target: self.head.target(),
            };
            let sending = Sending {
                length,
                upgrade: self.upgrade.as_deref().map(str::as_bytes),
                te_trailers: self.head.takes_trailers(),
                close: self.head.asks_close(),
            };
            encoder.request_with(&line.into(), sending, out, |fields| {
                fields.put_all(self.head.fields())
            })
        })?;
        hop.reader.decoder_mut().expect_response(context);
        Ok(())
    }
}

/// Whether a request may be sent once more after a reused stream failed: no byte of a response came, and nothing of
/// the request was sent or its method is idempotent (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
pub(crate) fn may_retry(hop: &Hop<Client>, method: &str) -> bool {
    let idempotent = matches!(
        method,
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
    );
    !hop.reader.has_begun() && (idempotent || !hop.writer.has_begun())
}

impl Answered {
    pub(crate) fn into_response(self) -> Response<Body> {
        let Self {
            head,
            hop: Hop { reader, writer },
            seat,
            mut source,
            mut trip,
        } = self;
        let lease = Lease::new(seat, false);
        let mut half = LentWriter {
            writer: Some(writer),
            lease: lease.clone(),
        };
        let upload = (!trip.is_over()).then(|| -> Upload {
            Box::pin(async move {
                let Some(writer) = &mut half.writer else {
                    return Ok(());
                };
                poll_fn(|cx| trip.poll_upload(cx, &mut source, writer, Some)).await
            })
        });
        Response {
            head,
            body: Body::lend(reader, lease, upload),
        }
    }

    pub(crate) fn into_switch(self) -> Switch<Body> {
        if self.head.status() != 101 {
            return Switch::Refused(self.into_response());
        }
        let config = Arc::clone(self.hop.reader.config());
        let tunnel = Upgraded::new(self.hop, config, Box::new(self.seat));
        Switch::Switched(self.head, tunnel)
    }
}

/// A writing half away from home, which goes there when it is dropped.
struct LentWriter {
    /// `None` only while it is dropped.
    writer: Option<Box<Writer<Client>>>,
    lease: Lease<Client, OutboundSeat>,
}

impl Drop for LentWriter {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.lease.return_writer(writer);
        }
    }
}
