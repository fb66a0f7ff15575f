//! The gateway: local HTTP clients reach the services of peers.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, select};
use libp2p_identity::PeerId;
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

use crate::{
    client::Client,
    proxy::{
        access::PeerText,
        clients::Clients,
        drain::Drain,
        hosts::Reach,
        local_client::LocalClient,
        recent::Recent,
        rules::{GatewayRules, Rules},
        settings::{GatewayConfig, Settings},
    },
    rewrite::{HostValue, Pseudonym, client_text},
    service::Protocol,
};

/// How long to wait before accepting again where the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Lets plain HTTP clients of this machine, a browser or curl, reach the services of peers.
///
/// `/http/$peer_id/$name/$path`, and the other forms that [`Route`](crate::route::Route) reads, go to the service
/// `$name` of the peer as `/$path`. WebSockets and other upgrades go through.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub(super) settings: Settings,
}

impl Gateway {
    /// A gateway that sends requests by `client`; `local_peer` names this node in `Via`.
    #[must_use]
    pub fn new(client: Client, local_peer: PeerId, config: GatewayConfig) -> Self {
        Self {
            settings: Settings {
                client,
                rules: Rules::new(config.rules.clone()),
                config,
                clients: Clients::default(),
                reach: Reach::default(),
                pseudonym: Pseudonym::new("gateway", &local_peer),
                only: None,
                base: String::new(),
                #[cfg(feature = "tower")]
                own: None,
            },
        }
    }

    /// Sends every request to one service, with its path untouched, so that absolute paths of a web application work.
    #[must_use]
    pub fn for_service(mut self, peer: PeerId, service: impl Into<Protocol>) -> Self {
        self.settings.only = Some((peer, service.into()));
        self
    }

    /// What clients may do, to be exchanged while the gateway serves. Clones of a gateway have the same rules.
    #[must_use]
    pub fn rules(&self) -> Rules<GatewayRules> {
        self.settings.rules.clone()
    }

    /// Serves the clients that connect to `listener` until `shutdown` is done, and then lets running exchanges end, for
    /// at most [`GatewayConfig::with_drain_timeout`].
    ///
    /// Give the listener a backlog of some thousands ([`tokio::net::TcpSocket::listen`]): with a short one, clients that
    /// come all at once wait a second for another try.
    ///
    /// # Errors
    ///
    /// The listener failed for good. Having no room for another connection is not that: it is tried again.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        self.settings.reach.any_address = !address.ip().is_loopback();
        let host = HostValue::from(address);
        let settings = Arc::new(self.settings);
        let room = settings.config.max_clients.min(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(room));
        let connections = Clients::default();
        let mut clients = Drain::default();
        let mut shutdown = pin!(shutdown);
        let result = loop {
            let next = pin!(async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (permit, listener.accept().await)
            });
            let (permit, (stream, address)) = match select(&mut shutdown, next).await {
                Either::Left(_) => break Ok(()),
                Either::Right(((permit, Ok(accepted)), _)) => (permit, accepted),
                Either::Right(((_, Err(error)), _)) if is_passing(&error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                Either::Right(((_, Err(error)), _)) => break Err(error),
            };
            let most = settings.rules.current().connections_per_client();
            let Ok(place) = connections.enter(Some(address.ip()), most) else {
                tracing::debug!(client = %address.ip(), "one client has too many connections");
                continue;
            };
            let client = LocalClient {
                settings: Arc::clone(&settings),
                rules: settings.rules.follow(),
                remote: address,
                address: client_text(address.ip()),
                host: host.clone(),
                recent: Recent::default(),
                peer_text: PeerText::default(),
            };
            let ending = clients.ending();
            clients.spawn(async move {
                client.serve(stream, ending).await;
                drop((permit, place));
            });
        };
        drop(listener);
        clients.finish(settings.config.drain_timeout).await;
        result
    }
}

/// Whether accepting may succeed again: the system is short of something, or the client went away meanwhile.
fn is_passing(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected | io::ErrorKind::Unsupported
    )
}
