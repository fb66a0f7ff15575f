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
        let keep_alive = hop.reader.config().keep_alive();
        if !self.quiet {
            let soon = QUIET.min(keep_alive);
            match ready!(hop.reader.poll_head(cx, (Wait::KeepAlive, Some(soon)))) {
                Err(ExchangeError::Timeout {
                    wait: Wait::KeepAlive,
                    ..
                }) if soon < keep_alive => {}
                head => return Poll::Ready(head),
            }
            self.quiet = true;
            hop.rest();
            hop.reader.start_waiting();
        }
        let later = keep_alive.saturating_sub(QUIET);
        hop.reader.poll_head(cx, (Wait::KeepAlive, Some(later)))
    }
}

/// Waits for a request as long as one may soon follow on the last; `None` where the hop has become quiet.
pub(crate) async fn await_soon(
    hop: &mut Hop<Server>,
    keep_alive: Duration,
) -> Result<Option<RequestHead>, ExchangeError> {
    hop.begin_request();
    if keep_alive <= QUIET {
        return await_head(hop, keep_alive).await.map(Some);
    }
    match await_head(hop, QUIET).await {
        Err(ExchangeError::Timeout {
            wait: Wait::KeepAlive,
            ..
        }) => Ok(None),
        head => head.map(Some),
    }
}

/// Waits for a request on a hop that has become quiet, and gives its buffers back meanwhile.
pub(crate) async fn await_later(
    hop: &mut Hop<Server>,
    keep_alive: Duration,
) -> Result<RequestHead, ExchangeError> {
    hop.rest();
    hop.reader.start_waiting();
    await_head(hop, keep_alive.saturating_sub(QUIET)).await
}

async fn await_head(
    hop: &mut Hop<Server>,
    patience: Duration,
) -> Result<RequestHead, ExchangeError> {
    let patience = (Wait::KeepAlive, Some(patience));
    poll_fn(|cx| hop.reader.poll_head(cx, patience)).await
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
