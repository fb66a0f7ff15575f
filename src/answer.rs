//! Answers that the node gives itself, where no application can.

use std::future::poll_fn;

use crate::{
    date::put_date,
    error::{ExchangeError, Wait},
    failure::{Failure, Page},
    h1::{Error, Length, RequestContext, Sending, Server, StatusLine, reason_phrase},
    hop::Writer,
};

/// Sends a page that says what failed. `close` announces that the stream ends behind it.
pub(crate) async fn answer(
    writer: &mut Writer<Server>,
    context: &RequestContext,
    page: &Page,
    close: bool,
) -> Result<(), ExchangeError> {
    writer.encode(|encoder, out| {
        let line = StatusLine {
            status: page.status,
            reason: reason_phrase(page.status).as_bytes(),
        };
        let sending = Sending {
            length: Length::Known(page.body.len() as u64),
            close,
            ..Sending::default()
        };
        encoder.response_with(context, line, sending, out, |fields| {
            fields.put_all(&page.fields)?;
            put_date(fields, &page.fields);
            Ok(())
        })?;
        encoder.data(&page.body, out)?;
        encoder.end(None, out)
    })?;
    poll_fn(|cx| writer.poll_flush(cx)).await
}

/// What the sender of a request that could not be read is told; `None` where it is gone.
pub(crate) fn request_failure(error: &ExchangeError) -> Option<Failure> {
    match error {
        ExchangeError::Malformed(Error::Truncated) => None,
        ExchangeError::Malformed(error) => Some(Failure::BadRequest(*error)),
        ExchangeError::Timeout {
            wait: Wait::Head | Wait::Body,
            limit,
        } => Some(Failure::RequestTimeout { limit: *limit }),
        _ => None,
    }
}
