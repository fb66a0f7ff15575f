//! Where the local HTTP server behind a service listens.

use std::{fmt, io, path::PathBuf, str::FromStr, sync::Arc};

use thiserror::Error;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::{config::Config, h1::Client, hop::Hop, proxy::socket::TcpSocket, rewrite::HostValue};

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
            return Ok(Self(Kind::Unix(HostValue::localhost(), path.into())));
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

    pub(crate) async fn connect(&self, config: &Arc<Config>) -> io::Result<Hop<Client>> {
        match &self.0 {
            Kind::Tcp(_, address) => {
                let socket = TcpSocket::new(TcpStream::connect(address).await?);
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
