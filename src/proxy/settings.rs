//! How a gateway is set up, and where it sends a request.

use std::{borrow::Cow, time::Duration};

use libp2p_identity::PeerId;

use crate::{
    client::Client,
    failure::Failure,
    h1::RequestHead,
    proxy::to_peer::ToPeer,
    rewrite::{ForwardedMode, is_loop, origin_form},
    route::Route,
    service::Protocol,
};

/// Settings of a [`Gateway`](crate::Gateway).
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    pub(super) forwarded: ForwardedMode,
    pub(super) half_closed_clients: bool,
    pub(super) max_clients: usize,
    pub(super) drain_timeout: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            forwarded: ForwardedMode::default(),
            half_closed_clients: false,
            max_clients: 16_384,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl GatewayConfig {
    /// What becomes of `X-Forwarded-For`, `-Host` and `-Proto`. Default: [`ForwardedMode::Replace`].
    #[must_use]
    pub fn with_forwarded(mut self, mode: ForwardedMode) -> Self {
        self.forwarded = mode;
        self
    }

    /// Answers clients that close their direction behind the request, as `nc -N` does. Default: off, since a browser or
    /// curl that does so has gone, and the service need not go on for it.
    #[must_use]
    pub fn with_half_closed_clients(mut self, answer: bool) -> Self {
        self.half_closed_clients = answer;
        self
    }

    /// Local connections at the same time; more wait in the listener's backlog. Default: 16,384, at about 70 KiB each
    /// in the worst case and a few KiB while idle.
    #[must_use]
    pub fn with_max_clients(mut self, max: usize) -> Self {
        self.max_clients = max;
        self
    }

    /// How long running exchanges may go on after the shutdown began. Default: 30 s.
    #[must_use]
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }
}

/// What all clients of a gateway share.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) client: Client,
    pub(super) config: GatewayConfig,
    pub(super) pseudonym: String,
    /// Where every request goes, if not by its path.
    pub(super) only: Option<(PeerId, Protocol)>,
}

impl Settings {
    /// Where a request goes, and its target there.
    pub(super) fn route<'a>(
        &self,
        head: &'a RequestHead,
    ) -> Result<(ToPeer, Cow<'a, str>), Failure> {
        if is_loop(head, &self.pseudonym) {
            return Err(Failure::LoopDetected);
        }
        let (peer, protocol, target) = match &self.only {
            Some((peer, protocol)) => {
                let target = origin_form(head.method(), head.target())?;
                (*peer, protocol.clone(), target)
            }
            None => {
                let route = Route::parse(head.target())?;
                (route.peer, route.protocol, Cow::Borrowed(route.target))
            }
        };
        let to = ToPeer {
            client: self.client.clone(),
            peer,
            protocol,
        };
        Ok((to, target))
    }
}
