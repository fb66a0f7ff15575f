//! The access log: one line for every request that a proxy passed on or refused.

use std::time::Instant;

use libp2p_identity::PeerId;

use crate::service::Protocol;

/// The `target` of access log events, to filter them by.
pub(crate) const TARGET: &str = "http_access";

/// What is said of one request.
pub(crate) struct Record {
    began: Instant,
    /// The peer at the other end of the libp2p hop, and the service, where it is known.
    pub(crate) remote: Option<(PeerId, Protocol)>,
    pub(crate) status: u16,
    /// Body bytes of the response.
    pub(crate) bytes: u64,
    pub(crate) reused: Option<bool>,
    /// Why the exchange failed, or was cut.
    pub(crate) error: Option<String>,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            remote: None,
            status: 0,
            bytes: 0,
            reused: None,
            error: None,
        }
    }

    /// Writes the line.
    pub(crate) fn write(&self, side: &'static str, method: &str, path: &str) {
        let (peer, service) = self
            .remote
            .as_ref()
            .map(|(peer, service)| (peer, service))
            .unzip();
        tracing::info!(
            target: TARGET,
            side,
            peer = peer.map(tracing::field::display),
            service = service.map(tracing::field::display),
            method,
            path,
            status = self.status,
            bytes = self.bytes,
            ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            stream = self.reused.map(|reused| if reused { "reused" } else { "new" }),
            error = self.error,
        );
    }
}
