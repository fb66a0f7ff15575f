//! A hop to a client: its requests, one after the other.

use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    arrival::{await_request, await_soon},
    error::ExchangeError,
    h1::{RequestHead, Server},
    hop::Hop,
    proxy::ending::{Ending, Watch},
};

/// Who answers the requests of a hop.
pub(super) trait Answer: Send {
    /// Answers one request. Returns the hop, unless it became a tunnel or is gone.
    fn answer(
        &mut self,
        hop: Hop<Server>,
        head: RequestHead,
    ) -> impl Future<Output = Option<Hop<Server>>> + Send;

    /// The hop is between two requests now.
    fn rest(&mut self) {}
}

/// Why no request follows on a hop.
pub(super) enum End {
    /// It became a tunnel, or is gone.
    Gone,
    /// Its last exchange allows no other.
    Last(Hop<Server>),
    /// What came could not be read, or nothing came.
    Unread(Hop<Server>, ExchangeError),
    /// No request is to be taken any more.
    Ending(Hop<Server>),
}

/// Answers the requests of `hop`, beginning with `first` where that has been read, until `ending` has begun or the
/// hop has been silent for [`Config::keep_alive`](crate::Config::keep_alive).
pub(super) async fn serve(
    mut hop: Hop<Server>,
    first: Option<RequestHead>,
    answer: &mut impl Answer,
    ending: &Ending,
) -> End {
    let begun = pin!(ending.begun());
    let mut ending = Watch::new(ending, begun);
    let mut first = first;
    if first.is_none() {
        hop.begin_request();
    }
    loop {
        let head = match first.take() {
            Some(head) => head,
            None => match ending.unless(await_request(&mut hop)).await {
                Some(Ok(head)) => head,
                Some(Err(error)) => return End::Unread(hop, error),
                None => return End::Ending(hop),
            },
        };
        // Boxed, so that an idle hop holds no room for an exchange.
        match Box::pin(serve_busy(hop, head, answer, &mut ending)).await {
            Ok(quiet) => hop = quiet,
            Err(end) => return end,
        }
    }
}

/// How many hops keep the room for an exchange while the next request may soon follow. To get it from the allocator each
/// time costs the others a little more; for all of ten thousand clients it would be 30 MiB.
const MOST_BUSY: usize = 256;

static BUSY: AtomicUsize = AtomicUsize::new(0);

/// A place among the busy hops.
struct Busy;

impl Busy {
    fn begin() -> Option<Self> {
        let begun = BUSY.fetch_add(1, Ordering::Relaxed);
        let place = Self;
        (begun < MOST_BUSY).then_some(place)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers a request, and on a busy hop those that follow on it soon. Returns the hop ready for the next.
async fn serve_busy(
    mut hop: Hop<Server>,
    mut head: RequestHead,
    answer: &mut impl Answer,
    ending: &mut Watch<'_, impl Future<Output = ()>>,
) -> Result<Hop<Server>, End> {
    let busy = Busy::begin();
    loop {
        hop = answer.answer(hop, head).await.ok_or(End::Gone)?;
        if hop.reuse().is_err() {
            return Err(End::Last(hop));
        }
        hop.begin_request();
        answer.rest();
        if busy.is_none() {
            return Ok(hop);
        }
        head = match ending.unless(await_soon(&mut hop)).await {
            Some(Ok(Some(head))) => head,
            Some(Ok(None)) => return Ok(hop),
            Some(Err(error)) => return Err(End::Unread(hop, error)),
            None => return Err(End::Ending(hop)),
        };
    }
}
