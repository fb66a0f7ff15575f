//! The one function that moves an exchange from the hop it came over to the next, for gateway and forward alike.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    answer::{answer, request_failure},
    error::{ExchangeError, describe},
    failure::{Failure, Page},
    h1::{Client, Fields, Framing, Length, RequestHead, ResponseHead, Sending, Server, Version},
    hop::{Hop, Pump, PumpError},
    lease::Seat,
    outgoing::may_retry,
    proxy::{
        cause::{by_relay, check_request, cut_response, response_failure},
        connect::{Connect, Upstream},
        record::Record,
        tunnel,
    },
    rewrite::{Pseudonym, RequestRewrite, ResponseRewrite, Terms, allowed_trailers},
    round_trip::{RoundTrip, RoundTripError},
    tunnel::Upgraded,
};

/// A request, and who answers for it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a RequestHead,
    /// The side that answers for failures, in `Proxy-Status`.
    pub(crate) name: &'static str,
    /// What is added to the response for a browser.
    pub(crate) terms: Terms<'a>,
}

/// How a request is passed on.
pub(crate) struct Passage<'a> {
    pub(crate) asked: Asked<'a>,
    /// The target for the server.
    pub(crate) target: &'a str,
    pub(crate) rewrite: RequestRewrite<'a>,
    /// What names this proxy in the `Via` of the response.
    pub(crate) pseudonym: &'a Pseudonym,
    /// How long a tunnel may live, if that is limited.
    pub(crate) tunnel_limit: Option<Duration>,
}

impl Passage<'_> {
    /// How a response is passed back, interim ones included.
    fn response<'s>(&'s self, head: &'s ResponseHead) -> ResponseRewrite<'s> {
        let mut rewrite = ResponseRewrite::new(head);
        rewrite.set_terms(&self.asked.terms);
        rewrite.set_own_via(self.pseudonym);
        rewrite
    }
}

/// Why an exchange ended without a whole response from the server.
enum Ended {
    /// There is something to tell the client, if its response has not begun.
    Failure(Box<Failure>),
    /// The client is gone or sends no more.
    Client(ExchangeError),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

/// How an exchange ended well.
enum Done<S> {
    Answered,
    Switched(Box<Upstream<S>>),
}

/// Passes a request on and its response back, tunnel included. Returns the hop of the client, unless it became a tunnel
/// or the client is gone; what it can be used for, it knows itself.
pub(crate) async fn pass(
    mut client: Hop<Server>,
    passage: &Passage<'_>,
    connect: &impl Connect,
    record: &mut Record,
) -> Option<Hop<Server>> {
    let ended = match exchange(&mut client, passage, connect, record).await {
        Ok(Done::Answered) => return Some(client),
        Ok(Done::Switched(upstream)) => {
            let config = Arc::clone(client.reader.config());
            let near = Upgraded::new(client, Arc::clone(&config), Box::new(()));
            let far = Upgraded::new(upstream.hop, config, Box::new(upstream.seat));
            tunnel::run(near, far, passage.tunnel_limit, record).await;
            return None;
        }
        Err(ended) => ended,
    };
    // A response that has not left yet can still be replaced by the truth about it.
    client.writer.retract();
    match ended {
        Ended::Failure(failure) => {
            refuse(&mut client, passage.asked, &failure, record).await;
        }
        Ended::Client(error) => {
            record.broken(&error);
            if client.writer.encoder().is_started() {
                return Some(client);
            }
            let failure = request_failure(&error)?;
            refuse(&mut client, passage.asked, &failure, record).await;
        }
    }
    Some(client)
}

/// Answers with a failure, unless the response has begun: then it stays cut.
pub(crate) async fn refuse(
    client: &mut Hop<Server>,
    asked: Asked<'_>,
    failure: &Failure,
    record: &mut Record,
) {
    record.failed(failure);
    if client.writer.encoder().is_started() {
        return;
    }
    let page = failure.respond(asked.name, asked.head.fields().get("Accept"));
    reply(client, asked, page, failure.must_close(), record).await;
}

/// Answers with a page.
pub(crate) async fn reply(
    client: &mut Hop<Server>,
    asked: Asked<'_>,
    mut page: Page,
    close: bool,
    record: &mut Record,
) {
    record.status = page.status;
    asked.terms.add_to(&mut page.fields);
    let close = close || !client.reader.finish_buffered();
    let context = asked.head.context();
    if let Err(error) = answer(&mut client.writer, &context, &page, close).await {
        record.broken(&error);
    }
    record.response_bytes = client.writer.body_bytes();
}

async fn exchange<C: Connect>(
    client: &mut Hop<Server>,
    passage: &Passage<'_>,
    connect: &C,
    record: &mut Record,
) -> Result<Done<C::Seat>, Ended> {
    let context = passage.asked.head.context();
    let offered = context.upgrade.then(|| passage.rewrite.upgrade()).flatten();
    let mut trip = RoundTrip::new(connect.half_close());
    let mut upstream = connected(client, connect, false).await?;
    begin(&mut upstream, (passage, connect, offered), record)?;
    let way = (passage, connect, offered);
    let (head, mut upstream) = await_answer(client, way, upstream, &mut trip, record).await?;
    if let Framing::Length(length) = upstream.hop.reader.decoder().framing()
        && let Some(limit) = connect.beyond_relay(&upstream.seat, length)
    {
        return Err(Failure::ResponseBeyondRelay { length, limit }.into());
    }
    record.answered(head.status());
    if head.status() == 101 {
        pass_switch(client, passage, &head, offered).await?;
        return Ok(Done::Switched(Box::new(upstream)));
    }
    let result = pass_response(client, passage, &head, &mut upstream.hop, &mut trip).await;
    record.request_bytes = upstream.hop.writer.body_bytes();
    record.response_bytes = client.writer.body_bytes();
    result.map_err(|ended| match ended {
        Ended::Failure(failure) => by_relay(connect, &upstream, *failure).into(),
        ended => ended,
    })?;
    let Upstream { hop, seat, .. } = upstream;
    seat.returned(hop);
    Ok(Done::Answered)
}

/// Waits for a hop, as long as the client is there.
async fn connected<C: Connect>(
    client: &mut Hop<Server>,
    connect: &C,
    fresh: bool,
) -> Result<Upstream<C::Seat>, Ended> {
    let mut connecting = pin!(connect.connect(fresh));
    poll_fn(|cx| {
        if let Poll::Ready(upstream) = connecting.as_mut().poll(cx) {
            return Poll::Ready(upstream.map_err(Ended::from));
        }
        poll_gone(cx, client).map(|error| Err(Ended::Client(error)))
    })
    .await
}

/// Sends the head of a request on a hop that was just connected.
fn begin<C: Connect>(
    upstream: &mut Upstream<C::Seat>,
    (passage, connect, offered): (&Passage<'_>, &C, Option<&[u8]>),
    record: &mut Record,
) -> Result<(), Failure> {
    if connect.half_close() {
        upstream.hop.reader.half_closed();
    }
    check_request(connect, upstream, passage.asked.head)?;
    record.connected(upstream.reused);
    send_head(&mut upstream.hop, passage, offered)
}

/// Waits for the head of the final response, and tries a reused hop that turns out to be dead once more.
async fn await_answer<C: Connect>(
    client: &mut Hop<Server>,
    way: (&Passage<'_>, &C, Option<&[u8]>),
    mut upstream: Upstream<C::Seat>,
    trip: &mut RoundTrip,
    record: &mut Record,
) -> Result<(ResponseHead, Upstream<C::Seat>), Ended> {
    let (passage, connect, _) = way;
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
                upstream = connected(client, connect, true).await?;
                upstream.reused = false;
                begin(&mut upstream, way, record)?;
            }
        }
    }
}

fn send_head(
    hop: &mut Hop<Client>,
    passage: &Passage<'_>,
    offered: Option<&[u8]>,
) -> Result<(), Failure> {
    let context = hop.writer.encode(|encoder, out| {
        let sending = Sending {
            length: passage.asked.head.declared_length(),
            upgrade: offered,
            te_trailers: passage.rewrite.te_trailers(),
            ..Sending::default()
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

/// Waits until the client is gone, as far as that can be told: not while its request is read.
fn poll_gone(cx: &mut Context<'_>, client: &mut Hop<Server>) -> Poll<ExchangeError> {
    if client.reader.is_over() {
        client.reader.poll_gone(cx)
    } else {
        Poll::Pending
    }
}

/// The same, behind a request that was sent on: what the client left is passed on first.
fn poll_gone_behind(
    cx: &mut Context<'_>,
    trip: &RoundTrip,
    client: &mut Hop<Server>,
) -> Poll<ExchangeError> {
    match trip.is_over() {
        true => poll_gone(cx, client),
        false => Poll::Pending,
    }
}

fn trailers(fields: Fields) -> Option<Fields> {
    let fields = allowed_trailers(fields);
    (!fields.is_empty()).then_some(fields)
}

async fn pass_interim(
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

async fn pass_switch(
    client: &mut Hop<Server>,
    passage: &Passage<'_>,
    head: &ResponseHead,
    offered: Option<&[u8]>,
) -> Result<(), Ended> {
    let rewrite = passage.response(head);
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
async fn pass_response(
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
