//! The next request on an inbound stream: waited for, read, and refused where it cannot be read.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    answer::{answer, request_failure},
    error::{ExchangeError, Wait},
    failure::Failure,
    h1::{RequestContext, RequestHead, Server},
    hop::Hop,
    link::InboundSeat,
};

/// What answers of the node that offers a service name as the one that failed.
pub(crate) const ORIGIN: &str = "p2p-origin";

/// For how long the next request counts as one that follows soon on the last.
const SOON: Duration = Duration::from_secs(1);

/// Waits for a request, at most until [`Config::keep_alive`](crate::Config::keep_alive) has passed since
/// [`Hop::begin_request`], and reads its head.
pub(crate) async fn await_request(hop: &mut Hop<Server>) -> Result<RequestHead, ExchangeError> {
    poll_fn(|cx| poll_request(cx, hop)).await
}

/// The same, but not for long: `None` where no request has followed soon.
pub(crate) async fn await_soon(
    hop: &mut Hop<Server>,
) -> Result<Option<RequestHead>, ExchangeError> {
    let keep_alive = hop.reader.config().keep_alive();
    match poll_fn(|cx| poll_within(cx, hop, SOON.min(keep_alive))).await {
        Err(ExchangeError::Timeout {
            wait: Wait::KeepAlive,
            ..
        }) if SOON < keep_alive => Ok(None),
        head => head.map(Some),
    }
}

/// The same as [`await_request`], for those who poll.
pub(crate) fn poll_request(
    cx: &mut Context<'_>,
    hop: &mut Hop<Server>,
) -> Poll<Result<RequestHead, ExchangeError>> {
    let keep_alive = hop.reader.config().keep_alive();
    poll_within(cx, hop, keep_alive)
}

fn poll_within(
    cx: &mut Context<'_>,
    hop: &mut Hop<Server>,
    patience: Duration,
) -> Poll<Result<RequestHead, ExchangeError>> {
    hop.reader.poll_head(cx, (Wait::KeepAlive, Some(patience)))
}

/// Ends a stream on which no request could be read. Its sender is told why, where that is possible. Returns what there
/// is to report: nothing where a stream has just ended between two requests.
pub(crate) async fn refuse_request(
    hop: Hop<Server>,
    mut seat: Box<InboundSeat>,
    error: ExchangeError,
) -> Option<ExchangeError> {
    let ended = match &error {
        ExchangeError::Closed => true,
        ExchangeError::Timeout { wait, .. } => *wait == Wait::KeepAlive,
        _ => false,
    };
    if ended {
        hop.close().await;
        return None;
    }
    let _running = seat.link.run();
    if let Some(failure) = request_failure(&error) {
        // What is known is of the request before.
        seat.context = RequestContext::default();
        refuse(hop, seat, failure).await;
    }
    Some(error)
}

/// Answers a request with a failure, and ends the stream.
pub(crate) async fn refuse(mut hop: Hop<Server>, seat: Box<InboundSeat>, failure: Failure) {
    tell(&mut hop, &seat.context, &failure).await;
    hop.reader.start_waiting();
    if let Err(error) = seat.end(hop).await {
        tracing::debug!(%error, "stream failed while it was closed");
    }
}

/// The same on a stream on which no request is read.
pub(crate) async fn turn_away(mut hop: Hop<Server>, failure: Failure) {
    tell(&mut hop, &RequestContext::default(), &failure).await;
    hop.close().await;
}

async fn tell(hop: &mut Hop<Server>, context: &RequestContext, failure: &Failure) {
    let page = failure.respond(ORIGIN, None);
    if let Err(error) = answer(&mut hop.writer, context, &page, true).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "answer not sent");
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use futures::executor::block_on;

    use super::*;
    use crate::{config::Config, local};

    /// To wait first for what follows soon, and then for what comes later, is one wait.
    #[test]
    fn the_keep_alive_is_counted_once() {
        let keep_alive = SOON + Duration::from_millis(100);
        let config = Arc::new(Config::default().with_keep_alive(keep_alive));
        let (near, _far) = local::pair();
        let mut hop = Hop::new(near, &config);
        let began = Instant::now();
        hop.begin_request();
        assert!(matches!(block_on(await_soon(&mut hop)), Ok(None)));
        let error = block_on(await_request(&mut hop)).expect_err("nothing comes");
        assert!(matches!(
            error,
            ExchangeError::Timeout {
                wait: Wait::KeepAlive,
                ..
            }
        ));
        let waited = began.elapsed();
        assert!((keep_alive..2 * SOON).contains(&waited), "{waited:?}");
    }
}
