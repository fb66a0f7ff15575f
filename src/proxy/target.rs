//! The local HTTP server behind a service: where it is, and the connections to it that are kept for reuse.

use std::{
    collections::VecDeque,
    fmt, io,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::{
    config::Config,
    failure::Failure,
    h1::Client,
    hop::Hop,
    lease::Seat,
    proxy::{
        exchange::{Connect, Upstream},
        socket::TcpSocket,
    },
    rewrite::HostValue,
};

/// Idle connections that are kept to one server.
const MAX_IDLE: usize = 128;

/// How long a connection to a server is kept idle. Node.js gives up after 5 s, nginx after 75 s; a connection that the
/// server has closed is noticed before it is used, and at the latest after this time.
const IDLE: Duration = Duration::from_secs(30);

/// Where the local HTTP server of a service listens.
///
/// Written as `http://host:port` or `unix:/path/to/socket`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Tcp(HostValue, String),
    #[cfg(unix)]
    Unix(HostValue, PathBuf),
}

/// A text is no [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a server: write it as http://127.0.0.1:3000 or unix:/run/app.sock ({reason})"
)]
pub struct InvalidTarget {
    text: String,
    reason: &'static str,
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let invalid = |reason| InvalidTarget {
            text: text.to_owned(),
            reason,
        };
        #[cfg(unix)]
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err(invalid("the path of a socket must be absolute"));
            }
            let host = "localhost".parse().map_err(|_| invalid("no host"))?;
            return Ok(Self(Kind::Unix(host, path.into())));
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(invalid("only http:// and unix: are supported"));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(invalid("a path, query or user cannot be part of it"));
        }
        let host: HostValue = authority
            .parse()
            .map_err(|_| invalid("that is no host with an optional port"))?;
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
        let address = if has_port {
            authority.to_owned()
        } else {
            format!("{}:80", authority.trim_end_matches(':'))
        };
        Ok(Self(Kind::Tcp(host, address)))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(host, _) => write!(f, "http://{host}"),
            #[cfg(unix)]
            Kind::Unix(_, path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Target {
    /// What a request to this server names as its host.
    pub(crate) fn host(&self) -> &HostValue {
        match &self.0 {
            Kind::Tcp(host, _) => host,
            #[cfg(unix)]
            Kind::Unix(host, _) => host,
        }
    }

    async fn connect(&self, config: &Arc<Config>) -> io::Result<Hop<Client>> {
        match &self.0 {
            Kind::Tcp(_, address) => {
                let socket = TcpSocket::new(TcpStream::connect(address).await?)?;
                Ok(Hop::new(socket, config))
            }
            #[cfg(unix)]
            Kind::Unix(_, path) => {
                use tokio_util::compat::TokioAsyncReadCompatExt as _;
                let socket = UnixStream::connect(path).await?;
                Ok(Hop::new(socket.compat(), config))
            }
        }
    }
}

/// The connections to one server.
pub(crate) struct Connections {
    target: Target,
    config: Arc<Config>,
    /// The longest idle first.
    idle: Mutex<VecDeque<(Instant, Hop<Client>)>>,
}

impl Connections {
    pub(crate) fn new(target: Target, config: Arc<Config>) -> Arc<Self> {
        Arc::new(Self {
            target,
            config,
            idle: Mutex::default(),
        })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Closes connections that have been idle for too long, or that the server has closed.
    pub(crate) fn sweep(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.idle().retain_mut(|(since, hop)| {
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
        let target = self.target.to_string();
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
    async fn connect(&self, fresh: bool) -> Result<Upstream, Failure> {
        let Self(connections) = self;
        let kept = if fresh { None } else { connections.take_idle() };
        let reused = kept.is_some();
        let mut hop = match kept {
            Some(hop) => hop,
            None => {
                let limit = connections.config.dial_timeout();
                let connect = connections.target.connect(&connections.config);
                match tokio::time::timeout(limit, connect).await {
                    Ok(connected) => connected.map_err(|error| connections.failure(&error))?,
                    Err(_) => {
                        let target = connections.target.to_string();
                        return Err(Failure::TargetTimeout { target, limit });
                    }
                }
            }
        };
        hop.begin();
        Ok(Upstream {
            hop,
            seat: Box::new(ServerSeat(Arc::clone(connections))),
            reused,
        })
    }

    fn terminated(&self, reason: String) -> Failure {
        let target = self.0.target.to_string();
        Failure::TargetTerminated { target, reason }
    }
}

/// The place of a connection to a server while an exchange runs on it.
struct ServerSeat(Arc<Connections>);

impl Seat<Client> for ServerSeat {
    fn returned(self: Box<Self>, hop: Hop<Client>) {
        if hop.reuse().is_ok() {
            self.0.keep(hop);
        }
    }
}
