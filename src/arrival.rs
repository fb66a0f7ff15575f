//! The next request on an inbound stream: waited for, read, and refused where it cannot be read.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
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

/// What answers of this side name as the one that failed.
const NAME: &str = "p2p-origin";

/// How long a hop keeps its buffers behind an exchange, because the next request mostly follows soon, if ever.
const QUIET: Duration = Duration::from_secs(1);

/// The wait for a request on a hop between two exchanges, for those who poll it.
pub(crate) struct NextRequest {
    /// Nothing has come soon.
    quiet: bool,
}

impl NextRequest {
    /// Makes the hop ready for its next request.
    pub(crate) fn begin(hop: &mut Hop<Server>) -> Self {
        hop.begin_request();
        Self { quiet: false }
    }

    /// Waits at most [`Config::keep_alive`](crate::Config::keep_alive), and reads the head. Gives the buffers back where
    /// the hop has become quiet.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        hop: &mut Hop<Server>,
    ) -> Poll<Result<RequestHead, ExchangeError>> {
        if !self.quiet {
            if let Some(head) = ready!(poll_soon(cx, hop)).transpose() {
                return Poll::Ready(head);
            }
            self.quiet = true;
            hop.become_quiet();
        }
        poll_later(cx, hop)
    }
}

/// Waits for a request as long as one may soon follow on the last; `None` where the hop has become quiet.
pub(crate) async fn await_soon(
    hop: &mut Hop<Server>,
) -> Result<Option<RequestHead>, ExchangeError> {
    hop.begin_request();
    poll_fn(|cx| poll_soon(cx, hop)).await
}

/// Waits for a request on a hop that has become quiet, and gives its buffers back meanwhile.
pub(crate) async fn await_later(hop: &mut Hop<Server>) -> Result<RequestHead, ExchangeError> {
    hop.become_quiet();
    poll_fn(|cx| poll_later(cx, hop)).await
}

fn poll_soon(
    cx: &mut Context<'_>,
    hop: &mut Hop<Server>,
) -> Poll<Result<Option<RequestHead>, ExchangeError>> {
    let keep_alive = hop.reader.config().keep_alive();
    let soon = QUIET.min(keep_alive);
    match ready!(hop.reader.poll_head(cx, (Wait::KeepAlive, Some(soon)))) {
        Err(ExchangeError::Timeout {
            wait: Wait::KeepAlive,
            ..
        }) if soon < keep_alive => Poll::Ready(Ok(None)),
        head => Poll::Ready(head.map(Some)),
    }
}

fn poll_later(
    cx: &mut Context<'_>,
    hop: &mut Hop<Server>,
) -> Poll<Result<RequestHead, ExchangeError>> {
    let left = hop.reader.config().keep_alive().saturating_sub(QUIET);
    hop.reader.poll_head(cx, (Wait::KeepAlive, Some(left)))
}

/// Ends a stream on which no request could be read. Its sender is told why, where that is possible. Returns what there
/// is to report: nothing where a stream has just ended between two requests.
pub(crate) async fn refuse_request(
    hop: Hop<Server>,
    seat: Box<InboundSeat>,
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
        close_with(hop, failure).await;
    }
    Some(error)
}

/// Answers with a failure, and ends the stream.
pub(crate) async fn close_with(mut hop: Hop<Server>, failure: Failure) {
    let page = failure.respond(NAME, None);
    let context = RequestContext::default();
    if let Err(error) = answer(&mut hop.writer, &context, &page, true).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "answer not sent");
    }
    hop.close().await;
}
