//! How does a request get to the server, and what comes back first? One that a dead hop has swallowed is sent again.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use super::{Ended, Passage, poll_gone, poll_gone_behind, response::pass_interim, trailers};
use crate::{
    error::describe,
    failure::Failure,
    h1::{Client, ResponseHead, Sending, Server},
    hop::Hop,
    outbound::Reuse,
    outgoing::may_retry,
    proxy::{
        cause::{by_relay, check_request, response_failure},
        connect::{Connect, Upstream},
        record::Record,
    },
    round_trip::{RoundTrip, RoundTripError},
};

/// Waits for a hop, as long as the client is there.
pub(super) async fn connected<C: Connect>(
    client: &mut Hop<Server>,
    connect: &C,
    reuse: Reuse,
) -> Result<Upstream<C::Seat>, Ended> {
    let mut connecting = pin!(connect.connect(reuse));
    poll_fn(|cx| {
        if let Poll::Ready(upstream) = connecting.as_mut().poll(cx) {
            return Poll::Ready(upstream.map_err(Ended::from));
        }
        poll_gone(cx, client).map(|error| Err(Ended::Client(error)))
    })
    .await
}

/// Sends the head of a request on a hop that was just connected.
pub(super) fn begin<C: Connect>(
    upstream: Upstream<C::Seat>,
    passage: &Passage<'_>,
    connect: &C,
    record: &mut Record,
) -> Result<Upstream<C::Seat>, Failure> {
    let mut upstream = check_request(connect, upstream, passage.asked.head)?;
    if connect.half_close() {
        upstream.hop.reader.half_closed();
    }
    record.connected(upstream.reused);
    send_head(&mut upstream.hop, passage)?;
    Ok(upstream)
}

/// Waits for the head of the final response, and tries a reused hop that turns out to be dead once more.
pub(super) async fn await_answer<C: Connect>(
    client: &mut Hop<Server>,
    passage: &Passage<'_>,
    connect: &C,
    mut upstream: Upstream<C::Seat>,
    trip: &mut RoundTrip,
    record: &mut Record,
) -> Result<(ResponseHead, Upstream<C::Seat>), Ended> {
    loop {
        let answered = await_head(client, &mut upstream.hop, trip).await;
        record.request_bytes = upstream.hop.writer.body_bytes();
        match answered {
            Ok(head) if head.is_interim() => pass_interim(client, passage, &head).await?,
            Ok(head) => return Ok((head, upstream)),
            Err(RoundTripError::Request(error)) => return Err(Ended::Client(error)),
            Err(RoundTripError::Response(error)) => {
                // Body bytes that were moved on are gone, so only a request without any can be sent again.
                let whole = upstream.hop.writer.body_bytes() == 0;
                let again = whole && may_retry(&upstream.hop, passage.asked.head.method());
                if !(upstream.reused && again) {
                    let failure = response_failure(connect, error);
                    return Err(by_relay(connect, &upstream, failure).into());
                }
                tracing::debug!(error = &error as &dyn std::error::Error, "sending again");
                *trip = RoundTrip::new(connect.half_close());
                // Before another one is waited for, which may need its place.
                drop(upstream);
                upstream = connected(client, connect, Reuse::Refused).await?;
                upstream.reused = false;
                upstream = begin(upstream, passage, connect, record)?;
            }
        }
    }
}

fn send_head(hop: &mut Hop<Client>, passage: &Passage<'_>) -> Result<(), Failure> {
    let context = hop.writer.encode(|encoder, out| {
        let length = passage.asked.head.declared_length();
        let sending = Sending {
            length,
            upgrade: passage.rewrite.upgrade(),
            te_trailers: passage.rewrite.te_trailers(),
            close: passage.rewrite.is_last(length),
        };
        passage
            .rewrite
            .encode(passage.target, sending, encoder, out)
    });
    // What was read strictly can be written strictly.
    let context = context.map_err(|error| Failure::Internal {
        reason: describe(&error),
    })?;
    hop.reader.decoder_mut().expect_response(context);
    Ok(())
}

/// Sends the request body, and waits for the next response head, as long as the client is there.
async fn await_head(
    client: &mut Hop<Server>,
    server: &mut Hop<Client>,
    trip: &mut RoundTrip,
) -> Result<ResponseHead, RoundTripError> {
    poll_fn(|cx| {
        if let Poll::Ready(result) = trip.poll_head(cx, &mut *client.reader, server, trailers) {
            return Poll::Ready(result);
        }
        poll_gone_behind(cx, trip, client).map(|error| Err(RoundTripError::Request(error)))
    })
    .await
}
