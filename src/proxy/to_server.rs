//! Connections to the local server of a service, as the proxy's way to it; idle ones are kept for reuse.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use crate::{
    config::Config,
    failure::Failure,
    h1::Client,
    hop::Hop,
    lease::Seat,
    outbound::Reuse,
    proxy::{
        connect::{Connect, Upstream},
        connector::Way,
    },
};

/// Idle connections that are kept to one server. No more than were in use at once a short while ago, as the one that was
/// used last is taken first: a number that several busy gateways do not reach, or each of their exchanges would soon need a
/// new connection.
const MAX_IDLE: usize = 1024;

/// How long a connection to a server is kept idle. Node.js gives up after 5 s, nginx after 75 s; a connection that the
/// server has closed is noticed before it is used, and at the latest after this time.
const IDLE: Duration = Duration::from_secs(30);

/// The connections to one server.
pub(crate) struct Connections {
    way: Way,
    config: Arc<Config>,
    /// The longest idle first.
    idle: Mutex<VecDeque<(Instant, Hop<Client>)>>,
}

impl Connections {
    pub(crate) fn new(way: Way, config: Arc<Config>) -> Arc<Self> {
        Arc::new(Self {
            way,
            config,
            idle: Mutex::default(),
        })
    }

    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// Closes connections that have been idle for too long, or that the server has closed. The others give back what
    /// they do not need while they are idle.
    pub(crate) fn sweep(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.idle().retain_mut(|(since, hop)| {
            hop.sleep();
            since.elapsed() < IDLE && hop.reader.poll_idle_end(&mut cx).is_pending()
        });
    }

    fn take_idle(&self) -> Option<Hop<Client>> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut idle = self.idle();
        while let Some((since, mut hop)) = idle.pop_back() {
            if since.elapsed() < IDLE && hop.reader.poll_idle_end(&mut cx).is_pending() {
                return Some(hop);
            }
        }
        None
    }

    fn keep(&self, mut hop: Hop<Client>) {
        hop.rest();
        let mut idle = self.idle();
        if idle.len() >= MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back((Instant::now(), hop));
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<(Instant, Hop<Client>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let target = self.way.to_string();
        let reason = error.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                Failure::TargetRefused { target, reason }
            }
            _ => Failure::TargetUnreachable { target, reason },
        }
    }
}

/// Connections to a server, as a proxy uses them.
pub(crate) struct ToServer(pub(crate) Arc<Connections>);

impl Connect for ToServer {
    type Seat = ServerSeat;

    async fn connect(&self, reuse: Reuse) -> Result<Upstream<ServerSeat>, Failure> {
        let Self(connections) = self;
        let kept = match reuse {
            Reuse::Allowed => connections.take_idle(),
            Reuse::Refused => None,
        };
        let reused = kept.is_some();
        let mut hop = match kept {
            Some(hop) => hop,
            None => {
                let limit = connections.config.dial_timeout();
                let connect = connections.way.connect(&connections.config);
                match tokio::time::timeout(limit, connect).await {
                    Ok(connected) => connected.map_err(|error| connections.failure(&error))?,
                    Err(_) => {
                        let target = connections.way.to_string();
                        return Err(Failure::TargetTimeout { target, limit });
                    }
                }
            }
        };
        hop.begin();
        Ok(Upstream {
            hop,
            seat: ServerSeat(Arc::clone(connections)),
            reused,
        })
    }

    fn terminated(&self, reason: String) -> Failure {
        let target = self.0.way.to_string();
        Failure::TargetTerminated { target, reason }
    }
}

/// The place of a connection to a server while an exchange runs on it.
pub(crate) struct ServerSeat(Arc<Connections>);

impl Seat<Client> for ServerSeat {
    fn returned(self, hop: Hop<Client>) {
        if hop.reuse().is_ok() {
            self.0.keep(hop);
        }
    }
}
