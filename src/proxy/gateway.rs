//! The gateway: local HTTP clients reach the services of peers.

use std::{
    borrow::Cow,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures::future::{Either, select};
use libp2p_identity::PeerId;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    answer::request_failure,
    client::Client,
    error::{ExchangeError, Wait},
    event::OutboundFailure,
    failure::Failure,
    h1::{RequestContext, RequestHead, Server},
    hop::Hop,
    proxy::{
        access::Record,
        exchange::{Connect, Passage, Upstream, describe, pass, refuse},
        socket::TcpSocket,
    },
    rewrite::{ForwardedMode, HostPolicy, HostValue, RequestRewrite, is_loop, origin_form},
    route::Route,
    service::Protocol,
};

/// What answers of this side name as the one that failed.
const NAME: &str = "p2p-gateway";

/// How long, and for how many bytes, a connection is read on after an answer that its client may not have read yet:
/// closing it at once would make the kernel throw the answer away.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 4 * 1024 * 1024);

/// How long to wait before accepting again where the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Settings of a [`Gateway`].
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    forwarded: ForwardedMode,
    max_clients: usize,
    drain_timeout: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            forwarded: ForwardedMode::default(),
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

/// Lets plain HTTP clients of this machine, a browser or curl, reach the services of peers.
///
/// `/http/$peer_id/$name/$path`, and the other forms that [`Route`] reads, go to the service `$name` of the peer as
/// `/$path`. WebSockets and other upgrades go through.
#[derive(Clone, Debug)]
pub struct Gateway {
    shared: Arc<Settings>,
}

#[derive(Debug)]
struct Settings {
    client: Client,
    config: GatewayConfig,
    pseudonym: String,
    /// Where every request goes, if not by its path.
    only: Option<(PeerId, Protocol)>,
}

impl Gateway {
    /// A gateway that sends requests by `client`; `local_peer` names this node in `Via`.
    #[must_use]
    pub fn new(client: Client, local_peer: PeerId, config: GatewayConfig) -> Self {
        Self {
            shared: Arc::new(Settings {
                client,
                config,
                pseudonym: format!("gateway-{local_peer}"),
                only: None,
            }),
        }
    }

    /// Sends every request to one service, with its path untouched, so that absolute paths of a web application work.
    #[must_use]
    pub fn for_service(self, peer: PeerId, service: impl Into<Protocol>) -> Self {
        let Settings {
            client,
            config,
            pseudonym,
            ..
        } = &*self.shared;
        Self {
            shared: Arc::new(Settings {
                client: client.clone(),
                config: config.clone(),
                pseudonym: pseudonym.clone(),
                only: Some((peer, service.into())),
            }),
        }
    }

    /// Serves the clients that connect to `listener` until `shutdown` is done, and then lets running exchanges end, for
    /// at most [`GatewayConfig::with_drain_timeout`].
    ///
    /// # Errors
    ///
    /// The listener failed for good. Having no room for another connection is not that: it is tried again.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let host = HostValue::from(listener.local_addr()?);
        let room = Arc::new(Semaphore::new(self.shared.config.max_clients));
        let tasks = TaskTracker::new();
        let ending = CancellationToken::new();
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
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                Either::Right(((_, Err(error)), _)) => break Err(error),
            };
            let local = Local {
                settings: Arc::clone(&self.shared),
                address,
                host: host.clone(),
                ending: ending.clone(),
            };
            tasks.spawn(async move {
                local.serve(stream).await;
                drop(permit);
            });
        };
        drop(listener);
        ending.cancel();
        tasks.close();
        let drain = self.shared.config.drain_timeout;
        if timeout(drain, tasks.wait()).await.is_err() {
            tracing::warn!(cut = tasks.len(), "exchanges did not end in time");
        }
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

/// A connection of a local client.
struct Local {
    settings: Arc<Settings>,
    address: SocketAddr,
    host: HostValue,
    ending: CancellationToken,
}

impl Local {
    async fn serve(self, stream: TcpStream) {
        let socket = match TcpSocket::new(stream) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::debug!(%error, "a client went away");
                return;
            }
        };
        let config = self.settings.client.config();
        let mut hop = Hop::<Server>::new(socket, config);
        let patience = (Wait::KeepAlive, Some(config.keep_alive()));
        while !self.ending.is_cancelled() {
            hop.begin_request();
            let read = poll_fn(|cx| hop.reader.poll_head(cx, patience));
            let head = match select(pin!(read), pin!(self.ending.cancelled())).await {
                Either::Left((Ok(head), _)) => head,
                Either::Left((Err(error), _)) => {
                    self.refuse_unread(hop, &error).await;
                    return;
                }
                Either::Right(_) => break,
            };
            match self.answer(hop, &head).await {
                None => return,
                Some(left) if left.reuse().is_ok() => hop = left,
                Some(left) => {
                    finish(left).await;
                    return;
                }
            }
        }
        hop.close().await;
    }

    /// Answers one request.
    async fn answer(&self, mut hop: Hop<Server>, head: &RequestHead) -> Option<Hop<Server>> {
        let mut record = Record::new();
        let left = match self.settings.route(head) {
            Ok((to, target)) => {
                record.remote = Some((to.peer, to.protocol.clone()));
                let passage = Passage {
                    head,
                    target: &target,
                    rewrite: RequestRewrite::new(head)
                        .with_host(&HostPolicy::Preserve, &self.host)
                        .with_forwarded(self.settings.config.forwarded, self.address.ip(), "http")
                        .with_via(&self.settings.pseudonym),
                    name: NAME,
                    pseudonym: &self.settings.pseudonym,
                };
                pass(hop, passage, &to, &mut record).await
            }
            Err(failure) => {
                record.error = Some(failure.to_string());
                refuse(&mut hop, head, NAME, &failure, &mut record).await;
                Some(hop)
            }
        };
        record.write("gateway", head.method(), head.target());
        left
    }

    /// Tells the sender of a request that could not be read why, where it is still there.
    async fn refuse_unread(&self, mut hop: Hop<Server>, error: &ExchangeError) {
        let Some(failure) = request_failure(error) else {
            hop.close().await;
            return;
        };
        let page = failure.respond(NAME, None);
        let context = RequestContext::default();
        let answered = crate::answer::answer(&mut hop.writer, &context, &page, true).await;
        let mut record = Record::new();
        record.status = page.status;
        record.error = Some(failure.to_string());
        record.write("gateway", "-", "-");
        if answered.is_ok() {
            finish(hop).await;
        }
    }
}

impl Settings {
    /// Where a request goes, and its target there.
    fn route<'a>(&self, head: &'a RequestHead) -> Result<(ToPeer, Cow<'a, str>), Failure> {
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

/// Ends a connection whose last response is out, or was cut.
async fn finish(mut hop: Hop<Server>) {
    if hop.writer.encoder().is_started() && !hop.writer.encoder().is_complete() {
        hop.writer.abort();
        return;
    }
    if poll_fn(|cx| hop.writer.poll_close(cx)).await.is_err() {
        return;
    }
    let (io, _) = hop.reader.into_parts();
    let (time, mut left) = LINGER;
    let mut scratch = vec![0; 16 * 1024];
    let drain = poll_fn(move |cx| {
        loop {
            match io.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(count)) if count > 0 && count < left => left -= count,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    // What the client sends from here on, nobody asked for.
    let _ = timeout(time, drain).await;
}

/// Streams to a service of a peer, as a proxy uses them.
struct ToPeer {
    client: Client,
    peer: PeerId,
    protocol: Protocol,
}

impl Connect for ToPeer {
    async fn connect(&self, fresh: bool) -> Result<Upstream, Failure> {
        match self.client.acquire(self.peer, &self.protocol, fresh).await {
            Ok(lent) => Ok(Upstream {
                hop: lent.hop,
                seat: lent.seat,
                reused: lent.reused,
            }),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn terminated(&self, reason: String) -> Failure {
        let peer = self.peer;
        Failure::ConnectionTerminated { peer, reason }
    }

    fn half_close(&self) -> bool {
        self.client.config().half_close(&self.protocol)
    }
}

impl ToPeer {
    fn failure(&self, error: OutboundFailure) -> Failure {
        let peer = self.peer;
        let limit = self.client.config().dial_timeout();
        match error {
            OutboundFailure::NoAddresses => Failure::NoAddresses { peer },
            OutboundFailure::WrongPeerId { obtained } => Failure::WrongPeerId { peer, obtained },
            OutboundFailure::DialFailure { reason } => Failure::PeerUnreachable { peer, reason },
            OutboundFailure::UnsupportedProtocol { protocol } => {
                Failure::ServiceNotOffered { peer, protocol }
            }
            OutboundFailure::DialTimeout => Failure::DialTimeout { peer, limit },
            OutboundFailure::StreamTimeout => Failure::NegotiationTimeout {
                peer,
                protocol: self.protocol.clone(),
                limit,
            },
            OutboundFailure::TooManyWaiting => Failure::NoCapacity {
                what: "requests waiting for the peer",
            },
            OutboundFailure::SwarmEnded => Failure::ShuttingDown,
            OutboundFailure::ConnectionClosed => {
                self.terminated("the connection was closed".to_owned())
            }
            OutboundFailure::Exchange(error) => self.terminated(describe(&error)),
        }
    }
}
