//! The origin's side of the proxy: requests of peers go to a local HTTP server.

use std::{borrow::Cow, future::Future, io, pin::pin, sync::Arc, time::Duration};

use futures::{
    AsyncRead, AsyncWrite,
    future::{Either, poll_fn, select},
};
use libp2p_identity::PeerId;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument as _;

use crate::{
    arrival::{ORIGIN, refuse_request},
    failure::{Failure, Page},
    h1::{RequestHead, Server},
    hop::{Hop, LINGER},
    ids::InboundRequestId,
    inbound::Inbound,
    lease::Seat,
    link::{Arrival, InboundSeat, Link},
    proxy::{
        access::{Remote, Subject},
        connector::Way,
        downstream::{Answer, End, serve},
        drain::Drain,
        ending::Ending,
        exchange::{Asked, Passage, pass, refuse, reply},
        last::answer_as_last,
        observer::{Observer, Side},
        record::Audience,
        rules::{Followed, ForwardRules, Rules},
        target::Target,
        to_server::{Connections, ToServer},
    },
    requests::Requests,
    rewrite::{HostPolicy, Pseudonym, RequestRewrite, Terms, is_loop, origin_form},
    service::Protocol,
    services::Service,
    shared::Shared,
};

/// How often idle connections to the server are looked after.
const SWEEP: Duration = Duration::from_secs(5);

/// Settings of a [`Forward`].
#[derive(Clone, Debug)]
pub struct ForwardConfig {
    rules: ForwardRules,
    drain_timeout: Duration,
    audience: Audience,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self {
            rules: ForwardRules::default(),
            drain_timeout: Duration::from_secs(30),
            audience: Audience::default(),
        }
    }
}

impl ForwardConfig {
    /// What peers may do, to begin with: [`Forward::rules`] exchanges it later. Default: [`ForwardRules::default`].
    #[must_use]
    pub fn with_rules(mut self, rules: ForwardRules) -> Self {
        self.rules = rules;
        self
    }

    /// Lets only these peers use the service: as [`ForwardRules::with_allowed_peers`].
    #[must_use]
    pub fn with_allowed_peers(mut self, peers: impl IntoIterator<Item = PeerId>) -> Self {
        self.rules = self.rules.with_allowed_peers(peers);
        self
    }

    /// Which `Host` the server sees: as [`ForwardRules::with_host`].
    #[must_use]
    pub fn with_host(mut self, host: HostPolicy) -> Self {
        self.rules = self.rules.with_host(host);
        self
    }

    /// How long running exchanges may go on after the shutdown began. Default: 30 s.
    #[must_use]
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Tells `observer` what becomes of every exchange: as
    /// [`GatewayConfig::with_observer`](crate::GatewayConfig::with_observer).
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.audience = Audience(Some(observer));
        self
    }
}

/// Sends the requests of one service to a local HTTP server, or [over any connection](Self::over).
///
/// The server sees the requests as they came, without the fields that concern a single hop, and with
/// `X-Libp2p-Peer`: the peer that the connection authenticated, whatever the request claims. WebSockets and other
/// upgrades go through.
#[derive(Debug)]
pub struct Forward {
    rules: Rules<ForwardRules>,
    drain_timeout: Duration,
    audience: Audience,
    way: Way,
    local_peer: PeerId,
}

/// Who gives the response to a request.
enum Turn<'a> {
    /// The server, which is to get this target.
    Pass(Cow<'a, str>),
    /// This node.
    Answer(Page),
}

/// What the requests of one service have in common.
struct Site {
    rules: Rules<ForwardRules>,
    connections: Arc<Connections>,
    pseudonym: Pseudonym,
    shared: Arc<Shared>,
    ending: Ending,
    audience: Audience,
}

impl Forward {
    /// Forwards to `target`; `local_peer` names this node in `Via`.
    #[must_use]
    pub fn new(target: Target, local_peer: PeerId, config: ForwardConfig) -> Self {
        Self {
            rules: Rules::new(config.rules),
            drain_timeout: config.drain_timeout,
            audience: config.audience,
            way: Way::To(target),
            local_peer,
        }
    }

    /// Forwards over the connections that `connect` makes, for a server that is not at a TCP or Unix socket; `name` is what
    /// errors and the log call it. Each connection carries HTTP/1.1 and is used for many requests in turn. A server that
    /// cannot be reached is [`io::ErrorKind::ConnectionRefused`].
    ///
    /// A connection should tell a reset from an orderly end, by an error where it is read: a response whose length is not
    /// declared looks complete otherwise where it was cut.
    ///
    /// ```
    /// # use libp2p_http_proxy::{Forward, ForwardConfig, Requests};
    /// # use tokio_util::compat::TokioAsyncReadCompatExt;
    /// # async fn example(requests: Requests, local_peer: libp2p_identity::PeerId) {
    /// let connect = || async {
    ///     let socket = tokio::net::TcpStream::connect("127.0.0.1:3000").await?;
    ///     Ok(socket.compat())
    /// };
    /// Forward::over("my server", connect, local_peer, ForwardConfig::default())
    ///     .serve(requests, std::future::pending())
    ///     .await;
    /// # }
    /// ```
    #[must_use]
    pub fn over<C, F, T>(
        name: impl Into<String>,
        connect: C,
        local_peer: PeerId,
        config: ForwardConfig,
    ) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<T>> + Send + 'static,
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self {
            rules: Rules::new(config.rules),
            drain_timeout: config.drain_timeout,
            audience: config.audience,
            way: Way::over(name.into(), connect),
            local_peer,
        }
    }

    /// What peers may do, to be exchanged while the service is served.
    #[must_use]
    pub fn rules(&self) -> Rules<ForwardRules> {
        self.rules.clone()
    }

    /// Serves `requests` until `shutdown` is done or the service is removed, and then lets running exchanges end: for at
    /// most [`ForwardConfig::with_drain_timeout`] after `shutdown`, and as long as they take before it.
    ///
    /// A stream that was used in the last ten seconds ends once its peer has ended it, too, or after that time: by then the last
    /// response has arrived, and the swarm may be dropped.
    ///
    /// Streams that are idle when [another service](crate::HttpProxyBehaviour::replace_service) takes the place of this one
    /// go over to it with their next request, so that peers do not notice.
    pub async fn serve(self, mut requests: Requests, shutdown: impl Future<Output = ()>) {
        let shared = requests.shared();
        let mut exchanges = Drain::default();
        let site = Arc::new(Site {
            connections: Connections::new(self.way, Arc::clone(&shared.config)),
            pseudonym: Pseudonym::new("origin", &self.local_peer),
            rules: self.rules,
            audience: self.audience,
            ending: exchanges.ending(),
            shared,
        });
        let mut shutdown = pin!(shutdown);
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shut_down = loop {
            let next = poll_fn(|cx| {
                while sweep.poll_tick(cx).is_ready() {
                    site.connections.sweep();
                }
                requests.poll_inbound(cx)
            });
            match select(&mut shutdown, next).await {
                Either::Left(_) => break true,
                Either::Right((None, _)) => break false,
                Either::Right((Some(inbound), _)) => {
                    exchanges.spawn(serve_stream(Arc::clone(&site), inbound));
                }
            }
        };
        let replaced = requests.is_replaced();
        // Peers learn that the service is gone before the last exchanges end.
        drop(requests);
        if !shut_down {
            if !replaced {
                site.ending.begin();
            }
            select(&mut shutdown, pin!(exchanges.ended())).await;
        }
        exchanges.finish(self.drain_timeout).await;
    }
}

/// The requests of one stream.
///
/// The stream stays with its task, which waits for the next request itself: to give it back to the connection after
/// every exchange would cost two more tasks to be woken for each request.
struct PeerStream {
    site: Arc<Site>,
    service: Arc<Service>,
    rules: Followed<ForwardRules>,
    link: Arc<Link>,
    /// The id of the peer as text: making that takes longer than the rest of a head.
    peer: String,
    /// `None` once the stream went back to the connection.
    seat: Option<Box<InboundSeat>>,
}

/// Answers a request, and those that follow on its stream.
async fn serve_stream(site: Arc<Site>, inbound: Box<Inbound>) {
    let Inbound {
        service,
        head,
        hop,
        seat,
        ..
    } = *inbound;
    let link = Arc::clone(&seat.link);
    let mut stream = PeerStream {
        peer: link.peer.to_string(),
        seat: Some(seat),
        rules: site.rules.follow(),
        site: Arc::clone(&site),
        service,
        link,
    };
    let end = serve(hop, Some(head), &mut stream, &site.ending).await;
    let Some(seat) = stream.seat else {
        return;
    };
    match end {
        End::Gone => {}
        End::Last(mut hop) if site.ending.has_begun() && hop.writer.encoder().is_complete() => {
            hop.reader.start_waiting();
            let _nobody_is_left_to_tell = hop.linger(LINGER).await;
        }
        End::Last(hop) => seat.returned(hop),
        End::Unread(hop, error) => {
            if let Some(error) = refuse_request(hop, seat, error).await {
                stream.link.leave(|inbox| inbox.unread.push(error));
            }
        }
        // Counted from the last exchange: how long it is ago.
        End::Ending(hop) => {
            let _nobody_is_left_to_tell = hop.linger(LINGER).await;
        }
    }
}

impl Answer for PeerStream {
    async fn answer(&mut self, hop: Hop<Server>, head: RequestHead) -> Option<Hop<Server>> {
        if self.service.is_withdrawn()
            && let Some(seat) = self.seat.take()
        {
            Arrival { head, hop, seat }.hand_back();
            return None;
        }
        if let Some(seat) = &mut self.seat
            && seat.running.is_none()
        {
            seat.running = Some(self.link.run());
            seat.request_id = Some(self.site.shared.ids.inbound());
        }
        self.rules.update();
        self.site.answer(self, hop, head).await
    }

    fn rest(&mut self) {
        if let Some(seat) = &mut self.seat {
            seat.running = None;
        }
    }
}

impl PeerStream {
    /// The id of the request that is answered.
    fn id(&self) -> Option<InboundRequestId> {
        self.seat.as_ref()?.request_id
    }
}

impl Site {
    /// Answers one request. Returns the hop, unless it became a tunnel or the peer is gone.
    async fn answer(
        &self,
        stream: &PeerStream,
        mut hop: Hop<Server>,
        head: RequestHead,
    ) -> Option<Hop<Server>> {
        let id = || stream.id().unwrap_or_else(|| self.shared.ids.inbound());
        let record = self.audience.begin(Side::Origin, || id().value());
        let remote = record.is_followed().then(|| Remote {
            peer: stream.link.peer,
            text: &stream.peer,
            service: Protocol::Service(stream.service.name.clone()),
        });
        let mut record = record.about(Subject {
            remote,
            method: head.method(),
            path: head.target(),
        });
        let asked = Asked {
            head: &head,
            name: ORIGIN,
            terms: Terms::default(),
        };
        let left = match self.check(stream, &head) {
            Ok(Turn::Pass(target)) => {
                let rules = stream.rules.seen();
                let mut rewrite = RequestRewrite::new(&head)
                    .with_host(rules.host(), self.connections.way().host());
                if rules.drops_forwarded() {
                    rewrite = rewrite.without_forwarded();
                }
                rewrite.set_peer_text(&stream.peer);
                rewrite.set_own_via(&self.pseudonym);
                let passage = Passage {
                    asked,
                    target: &target,
                    rewrite,
                    pseudonym: &self.pseudonym,
                    tunnel_limit: None,
                };
                let connect = ToServer(Arc::clone(&self.connections));
                let span = record.span();
                // Pinned where it is: to move it into its span would copy all of it.
                let passed = pin!(pass(hop, &passage, &connect, &mut record));
                passed.instrument(span).await
            }
            Ok(Turn::Answer(page)) => {
                reply(&mut hop, asked, page, false, &mut record).await;
                Some(hop)
            }
            Err(failure) => {
                refuse(&mut hop, asked, &failure, &mut record).await;
                Some(hop)
            }
        };
        record.end();
        left
    }

    /// Who answers a request, if it is allowed.
    fn check<'a>(&self, stream: &PeerStream, head: &'a RequestHead) -> Result<Turn<'a>, Failure> {
        if is_loop(head, self.pseudonym.as_str()) {
            return Err(Failure::LoopDetected);
        }
        let target = origin_form(head.method(), head.target())?;
        let (rules, peer) = (stream.rules.seen(), stream.link.peer);
        rules.check(peer, &stream.service.name, head, &target)?;
        let last = answer_as_last(head, ORIGIN)?;
        Ok(last.map_or(Turn::Pass(target), Turn::Answer))
    }
}
