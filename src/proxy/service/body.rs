//! What the gateway answers with, and the line about it in the access log.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderName;
use http_body::{Frame, SizeHint};
use libp2p_identity::PeerId;
use tracing::Span;

use crate::{
    body::Body,
    error::ExchangeError,
    proxy::{
        access::{PeerText, Remote, Subject},
        clients::Place,
        record::Record,
    },
    rewrite::may_be_trailer,
    service::Protocol,
};

/// The body of a response of a [`GatewayService`](crate::GatewayService): that of the peer, read from its stream as the
/// server sends it, or a page that says what failed.
///
/// A body that ended too early is an error, at which a server breaks its connection off.
pub struct GatewayBody {
    page: Option<Bytes>,
    body: Body,
    log: Log,
}

impl GatewayBody {
    pub(super) fn page(page: Bytes, log: Log) -> Self {
        Self {
            page: Some(page),
            body: Body::empty(),
            log,
        }
    }

    pub(super) fn passed(body: Body, log: Log) -> Self {
        Self {
            page: None,
            body,
            log,
        }
    }
}

impl http_body::Body for GatewayBody {
    type Data = Bytes;
    type Error = ExchangeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        let frame = match self.page.take() {
            Some(page) => Some(Ok(Frame::data(page))),
            None => ready!(Pin::new(&mut self.body).poll_frame(cx)),
        };
        let record = &mut self.log.record;
        match &frame {
            Some(Ok(frame)) => {
                record.response_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Some(Err(error)) => record.broken(error),
            None => {}
        }
        Poll::Ready(frame.map(|frame| frame.map(allowed)))
    }

    fn is_end_stream(&self) -> bool {
        self.page.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.page {
            Some(page) => SizeHint::with_exact(page.len() as u64),
            None => self.body.size_hint(),
        }
    }
}

impl fmt::Debug for GatewayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayBody").finish_non_exhaustive()
    }
}

/// A frame, without the trailers that a proxy does not pass on (RFC 9110, section 6.5.1).
fn allowed(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        let refused = |name: &&HeaderName| !may_be_trailer(name.as_str());
        let refused: Vec<HeaderName> = trailers.keys().filter(refused).cloned().collect();
        for name in refused {
            trailers.remove(name);
        }
    }
    frame
}

/// Tells of a request when all is over, however that came. By default there is nothing to tell.
#[derive(Default)]
pub(super) struct Log {
    pub(super) record: Record,
    pub(super) remote: Option<(PeerId, Protocol)>,
    pub(super) method: String,
    pub(super) path: String,
    /// Counts the exchange among those of its client.
    pub(super) place: Option<Place>,
}

impl Log {
    pub(super) fn span(&self) -> Span {
        let mut text = PeerText::default();
        match &self.remote {
            Some(remote) => self.record.span(|| told(remote, &mut text)),
            None => Span::none(),
        }
    }
}

fn told<'a>((peer, service): &(PeerId, Protocol), text: &'a mut PeerText) -> Remote<'a> {
    Remote {
        peer: *peer,
        text: text.of(*peer),
        service: service.clone(),
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.record.status == 0 {
            self.record.lost("the client has gone".to_owned());
        }
        let mut text = PeerText::default();
        self.record.tell(|| Subject {
            remote: self.remote.as_ref().map(|remote| told(remote, &mut text)),
            method: &self.method,
            path: &self.path,
        });
    }
}
