//! How does a response get back to the client, interim ones and the switch to another protocol included?

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::{Ended, Passage, poll_gone_behind, trailers};
use crate::{
    error::ExchangeError,
    failure::Failure,
    h1::{Client, Framing, Length, ResponseHead, Sending, Server, Version},
    hop::{Hop, Pump, PumpError},
    proxy::cause::cut_response,
    round_trip::RoundTrip,
};

pub(super) async fn pass_interim(
    client: &mut Hop<Server>,
    passage: &Passage<'_>,
    head: &ResponseHead,
) -> Result<(), Ended> {
    // RFC 9110 section 15.2: HTTP/1.0 has no interim responses.
    if passage.asked.head.version() == Version::Http10 {
        return Ok(());
    }
    let rewrite = passage.response(head);
    let written = client
        .writer
        .encode(|encoder, out| rewrite.encode_interim(encoder, out));
    written.map_err(Ended::Client)?;
    poll_fn(|cx| client.writer.poll_flush(cx))
        .await
        .map_err(Ended::Client)?;
    client.writer.sent_interim();
    Ok(())
}

pub(super) async fn pass_switch(
    client: &mut Hop<Server>,
    passage: &Passage<'_>,
    head: &ResponseHead,
) -> Result<(), Ended> {
    let rewrite = passage.response(head);
    let offered = passage.rewrite.upgrade();
    let granted = offered.and_then(|offered| rewrite.upgrade(offered));
    let Some(granted) = granted else {
        let reason = "the server switched to a protocol that was not offered".to_owned();
        return Err(Failure::UpgradeFailed { reason }.into());
    };
    let context = passage.asked.head.context();
    let written = client.writer.encode(|encoder, out| {
        let sending = Sending {
            upgrade: Some(granted),
            ..Sending::default()
        };
        rewrite.encode(&context, sending, encoder, out)
    });
    written.map_err(Ended::Client)?;
    poll_fn(|cx| client.writer.poll_flush(cx))
        .await
        .map_err(Ended::Client)
}

/// Passes the final response back, while the rest of the request may still be on its way.
pub(super) async fn pass_response(
    client: &mut Hop<Server>,
    passage: &Passage<'_>,
    head: &ResponseHead,
    server: &mut Hop<Client>,
    trip: &mut RoundTrip,
) -> Result<(), Ended> {
    let rewrite = passage.response(head);
    let context = passage.asked.head.context();
    let length = match server.reader.decoder().framing() {
        // The end of a stream says too little: a cut body must not look complete on the next hop.
        Framing::UntilClose => Length::Chunked,
        _ => head.declared_length(),
    };
    let written = client.writer.encode(|encoder, out| {
        let sending = Sending {
            length,
            close: !(trip.is_over() && client.reader.decoder().is_complete()),
            ..Sending::default()
        };
        rewrite.encode(&context, sending, encoder, out)
    });
    written.map_err(Ended::Client)?;
    let mut download = Pump::default();
    poll_fn(|cx| poll_both(cx, client, server, trip, &mut download)).await
}

fn poll_both(
    cx: &mut Context<'_>,
    client: &mut Hop<Server>,
    server: &mut Hop<Client>,
    trip: &mut RoundTrip,
    download: &mut Pump,
) -> Poll<Result<(), Ended>> {
    let upload = trip.poll_upload(cx, &mut *client.reader, &mut server.writer, trailers);
    match upload {
        // The response has begun, and says that it is the last where the request has not come whole.
        Poll::Ready(Err(error @ ExchangeError::Timeout { .. })) => trip.give_up(error),
        Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Client(error))),
        _ => {}
    }
    match download.poll(cx, &mut *server.reader, &mut client.writer, trailers) {
        Poll::Ready(moved) => Poll::Ready(moved.map_err(|error| match error {
            PumpError::Source(error) => cut_response(&error).into(),
            PumpError::Sink(error) => Ended::Client(error),
        })),
        // A response may be quiet for long, and nobody should be kept busy for a client that has gone.
        Poll::Pending => poll_gone_behind(cx, trip, client).map(|error| Err(Ended::Client(error))),
    }
}
