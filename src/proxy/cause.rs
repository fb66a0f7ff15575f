//! What a client is told about a hop to the server that failed, or cannot carry a message.

use crate::{
    error::{ExchangeError, Wait},
    failure::Failure,
    h1::{self, Length, RequestHead},
    proxy::connect::{Connect, Upstream},
};

/// Refuses a request that the hop cannot carry, and gives the hop back then.
pub(super) fn check_request<C: Connect>(
    connect: &C,
    upstream: Upstream<C::Seat>,
    head: &RequestHead,
) -> Result<Upstream<C::Seat>, Failure> {
    if let Length::Known(length) = head.declared_length()
        && let Some(limit) = connect.beyond_relay(&upstream.seat, length)
    {
        connect.give_back(upstream);
        return Err(Failure::RequestBeyondRelay { length, limit });
    }
    Ok(upstream)
}

/// What ended at a hop through a relay with a limit, the relay has probably ended: peers seldom do.
pub(super) fn by_relay<C: Connect>(
    connect: &C,
    upstream: &Upstream<C::Seat>,
    failure: Failure,
) -> Failure {
    let Some(limit) = connect.beyond_relay(&upstream.seat, u64::MAX) else {
        return failure;
    };
    match failure {
        Failure::ResponseIncomplete => Failure::CutByRelay { limit },
        Failure::ConnectionTerminated { peer, reason } => Failure::ConnectionTerminated {
            peer,
            reason: format!(
                "{reason}, after a way through a relay that carries {limit} bytes for one connection"
            ),
        },
        failure => failure,
    }
}

/// What the client is told about a hop to the server that failed before the response head.
pub(super) fn response_failure(connect: &impl Connect, error: ExchangeError) -> Failure {
    match error {
        ExchangeError::Malformed(h1::Error::Truncated) => {
            connect.terminated("in the middle of a response head".to_owned())
        }
        ExchangeError::Malformed(error) => Failure::InvalidResponse(error),
        ExchangeError::Timeout {
            wait: Wait::Body,
            limit,
        } => Failure::SendTimeout { limit },
        ExchangeError::Timeout { limit, .. } => Failure::ResponseTimeout { limit },
        ExchangeError::RequestBeyondRelay { length, limit } => {
            Failure::RequestBeyondRelay { length, limit }
        }
        ExchangeError::ResponseBeyondRelay { length, limit } => {
            Failure::ResponseBeyondRelay { length, limit }
        }
        error => connect.failed(error),
    }
}

/// What became of a response whose body did not come to its end.
pub(super) fn cut_response(error: &ExchangeError) -> Failure {
    tracing::debug!(error = error as &dyn std::error::Error, "response cut");
    match error {
        ExchangeError::Malformed(h1::Error::Truncated) => Failure::ResponseIncomplete,
        ExchangeError::Malformed(error) => Failure::InvalidResponse(*error),
        ExchangeError::Timeout { limit, .. } => Failure::ResponseTimeout { limit: *limit },
        _ => Failure::ResponseIncomplete,
    }
}
