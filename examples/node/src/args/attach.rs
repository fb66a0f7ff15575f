//! Which server becomes which service of which gateway?

use std::{fmt, path::PathBuf, str::FromStr};

use libp2p_http_proxy::{InvalidTarget, ServiceName, Target, rewrite::HostValue};

/// What `p2p-http attach --help` says of the protocol.
pub(super) const PROTOCOL: &str = "\
Example:
  p2p-http gateway --allow-listen
  p2p-http attach --gateway http://127.0.0.1:8080 --name app --to 127.0.0.1:3000
Now the web application on port 3000 is the service `app` of the gateway's node, for all peers that
reach that, for as long as this runs. When the gateway restarts, this attaches again.

Output:
  attached NAME          the service is there; again after each time that the gateway was gone

A program can be a service without any port, by the same protocol (tests/apps/support/listener.mjs
is one in JavaScript):
  1. It opens a WebSocket to /http/listen/NAME of the gateway, with the subprotocol
     libp2p-http-listen.1. If the gateway has a token, the request has the field
     Authorization: Bearer TOKEN; a browser, which cannot set fields, offers the subprotocol
     bearer.TOKEN beside the other. With ?share=1, several programs share one name.
  2. The payloads of the binary messages, one after the other, are the bytes of one yamux
     connection in each direction; where a message begins or ends means nothing. Messages have at
     most 1 MiB, and text messages are an error.
  3. The gateway is yamux's client and opens the streams (odd ids); the program opens none. Every
     stream carries HTTP/1.1 as a TCP connection to a server would, with requests one after the
     other, and WebSockets.
  4. The gateway pings every 15 seconds, and takes a program that is silent for 45 seconds for gone.
     The name is free again as soon as the WebSocket ends.
  5. A program that is about to end may send a ping with the payload `leaving`. From the pong on the
     gateway opens no more streams to it, the name is free, and what runs may finish. This command
     does so when it is told to stop, and waits for up to --drain seconds.
Refusals: 400 (no such name), 401 (token), 403 (not from here), 404 or 400 without --allow-listen,
409 (the name is taken; this command tries again), 426 (no WebSocket), 503 (too many).";

#[derive(Debug, clap::Args)]
pub(crate) struct AttachArgs {
    /// The gateway, as it prints it: http://IP:PORT
    ///
    /// Example: --gateway http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: GatewayUrl,

    /// Name of the service
    ///
    /// Example: --name app
    #[arg(long, value_name = "NAME")]
    pub(crate) name: ServiceName,

    /// Who answers the service: HOST:PORT, http://HOST:PORT, or unix:PATH for a Unix socket
    ///
    /// The server speaks HTTP/1.1 without TLS. It need not run yet: until it does, requests are answered with 502.
    ///
    /// Example: --to 127.0.0.1:3000
    ///
    /// Example: --to unix:/run/app.sock
    #[arg(long, value_name = "TARGET")]
    pub(crate) to: To,

    /// Share the name with others who ask for it in the same way, instead of having it alone
    ///
    /// Connections go to whoever has the fewest.
    ///
    /// Example: --share
    #[arg(long)]
    pub(crate) share: bool,

    /// File with the gateway's token, where it has one (--listen-token)
    ///
    /// Example: --token /etc/p2p-http/token
    #[arg(long, value_name = "FILE")]
    pub(crate) token: Option<PathBuf>,
}

/// Where a gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayUrl {
    /// As the field `Host` has it.
    pub(crate) authority: HostValue,
    /// With a port.
    pub(crate) address: String,
}

impl FromStr for GatewayUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("a gateway speaks HTTP without TLS; write http://IP:PORT".to_owned());
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: HostValue = rest
            .parse()
            .map_err(|_| "not a gateway; write for example http://127.0.0.1:8080".to_owned())?;
        let address = with_port(rest);
        Ok(Self { authority, address })
    }
}

/// Where connections of a service go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Tcp(String),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for To {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        // A port alone would be the name of a host.
        let is_port = text.bytes().all(|byte| byte.is_ascii_digit());
        let is_whole = text.contains("://") || text.starts_with("unix:");
        let whole = match is_whole || is_port {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        // The rules are those of `serve`.
        let target = whole.parse::<Target>()?.to_string();
        #[cfg(unix)]
        if let Some(path) = target.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let authority = target.strip_prefix("http://").unwrap_or(&target);
        Ok(Self::Tcp(with_port(authority)))
    }
}

/// An authority with the port 80 if it has none.
fn with_port(authority: &str) -> String {
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    match port {
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            authority.to_owned()
        }
        _ => format!("{}:80", authority.trim_end_matches(':')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_gateways() {
        for (text, expected) in [
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("http://127.0.0.1:3000/", "127.0.0.1:3000"),
            ("localhost", "localhost:80"),
            ("[::1]:3000", "[::1]:3000"),
            ("[::1]", "[::1]:80"),
        ] {
            assert_eq!(text.parse(), Ok(To::Tcp(expected.to_owned())), "{text}");
            let gateway: GatewayUrl = text.parse().unwrap();
            assert_eq!(gateway.address, expected);
        }
        for text in ["", "3000", "ftp://a", "a/b", "unix:run/app", "user@a"] {
            assert!(text.parse::<To>().is_err(), "{text}");
        }
        for text in ["127.0.0.1:3000", "unix:/run/app.sock"] {
            assert_eq!(text.parse::<To>().unwrap().to_string(), text);
        }
        for text in ["", "https://a", "http://a/b", "ftp://a", "user@a"] {
            assert!(text.parse::<GatewayUrl>().is_err(), "{text}");
        }
    }
}
