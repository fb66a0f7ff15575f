//! The one function that moves an exchange from the hop it came over to the next, for gateway and forward alike.

mod request;
mod response;

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use self::{
    request::{await_answer, begin, connected},
    response::{pass_response, pass_switch},
};
use crate::{
    answer::{answer, request_failure},
    error::ExchangeError,
    failure::{Failure, Page},
    h1::{Fields, Framing, RequestHead, ResponseHead, Server},
    hop::Hop,
    lease::Seat,
    outbound::Reuse,
    proxy::{
        cause::by_relay,
        connect::{Connect, Upstream},
        record::Record,
        tunnel,
    },
    rewrite::{Pseudonym, RequestRewrite, ResponseRewrite, Terms, allowed_trailers},
    round_trip::RoundTrip,
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
        rewrite.set_date();
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
    let mut trip = RoundTrip::new(connect.half_close());
    let upstream = connected(client, connect, Reuse::Allowed).await?;
    let upstream = begin(upstream, passage, connect, record)?;
    let (head, mut upstream) =
        await_answer(client, passage, connect, upstream, &mut trip, record).await?;
    if let Framing::Length(length) = upstream.hop.reader.decoder().framing()
        && let Some(limit) = connect.beyond_relay(&upstream.seat, length)
    {
        return Err(Failure::ResponseBeyondRelay { length, limit }.into());
    }
    record.answered(head.status());
    if head.status() == 101 {
        pass_switch(client, passage, &head).await?;
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
