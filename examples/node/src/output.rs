//! What do scripts read? One fact a line on standard output, in a form that does not change.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
};

use libp2p::{Multiaddr, PeerId};
use libp2p_http_proxy::{ServiceName, Target, route::Domain};

use crate::{logging::plain, swarm::RelayLimits};

/// One line of standard output. Later versions add kinds of lines, and change none.
#[derive(Debug)]
pub(crate) enum Fact<'a> {
    /// Who this node is.
    Peer(PeerId),
    /// Where peers reach this node, in the form that `--peer` takes.
    Listening(&'a Multiaddr),
    /// What this node offers, and who answers.
    Service(&'a ServiceName, &'a Target),
    /// Where a service is on every gateway, if its name can be part of a host.
    Host(&'a ServiceName, &'a str),
    /// Where a gateway takes requests.
    Gateway(SocketAddr),
    /// Where one service has a port of its own.
    Forward(SocketAddr, PeerId, &'a ServiceName),
    /// Where this node is shown.
    Admin(SocketAddr),
    /// What this node passes on for others, at most.
    Relay(&'a RelayLimits),
    /// What a local program is the service of this node by now, and what none is any more.
    Listener(&'a ServiceName),
    Gone(&'a ServiceName),
    /// What is a service of a gateway now.
    Attached(&'a ServiceName),
    /// Where a feature of the demo is.
    Url(&'static str, String),
    /// Everything above works from here on.
    Ready,
    /// The configuration was read again, and holds from here on.
    Reloaded,
}

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => write!(f, "peer {peer}"),
            // A relay says where it is reached, and can have any text as the name of a host there.
            Self::Listening(address) => write!(f, "listening {}", plain(&address.to_string())),
            Self::Service(name, target) => write!(f, "service {name} -> {target}"),
            Self::Host(name, host) => write!(f, "host {name} {host}"),
            Self::Gateway(address) => write!(f, "gateway http://{address}"),
            Self::Forward(address, peer, name) => {
                write!(f, "forward http://{address} -> {peer} {name}")
            }
            Self::Admin(address) => write!(f, "admin http://{address}"),
            Self::Relay(limits) => write!(
                f,
                "relay reservations={} circuits={} bytes={} seconds={}",
                limits.reservations,
                limits.circuits,
                limits.bytes,
                limits.duration.as_secs()
            ),
            Self::Listener(name) => write!(f, "listener {name}"),
            Self::Gone(name) => write!(f, "gone {name}"),
            Self::Attached(name) => write!(f, "attached {name}"),
            Self::Url(feature, url) => write!(f, "url {feature} {url}"),
            Self::Ready => f.write_str("ready"),
            Self::Reloaded => f.write_str("reloaded"),
        }
    }
}

/// Prints a fact, if there is room for it: a node goes on serving where nobody reads what it prints, and whoever has programs
/// attach and leave can make it print for ever.
pub(crate) fn print(fact: &Fact<'_>) {
    if has_room(&io::stdout()) {
        line(fact);
    } else {
        tracing::warn!(%fact, "not printed, as nobody reads the standard output");
    }
}

/// Whether a short line can be written without waiting for a reader. What fails says so when it is written to.
#[cfg(unix)]
fn has_room(out: &impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut out = [PollFd::new(out, PollFlags::OUT)];
    !matches!(poll(&mut out, Some(&Timespec::default())), Ok(0))
}

#[cfg(not(unix))]
fn has_room<T>(_: &T) -> bool {
    true
}

/// Prints what a node offers, who answers, and where it is on a gateway.
pub(crate) fn print_service(peer: &PeerId, name: &ServiceName, target: &Target) {
    print(&Fact::Service(name, target));
    print_host(peer, name);
}

/// Prints that a local program is a service now, and where it is on a gateway.
pub(crate) fn print_listener(peer: &PeerId, name: &ServiceName) {
    print(&Fact::Listener(name));
    print_host(peer, name);
}

fn print_host(peer: &PeerId, name: &ServiceName) {
    match Domain::localhost().host_of(peer, name) {
        Some(host) => print(&Fact::Host(name, &host)),
        None => tracing::warn!(
            "the service {name} has no host of its own, and its pages are shown in a sandbox; a name of a-z, 0-9 and, within it, - has one"
        ),
    }
}

/// Prints a line that is meant for people.
///
/// Nobody may be reading: `p2p-http serve … | head -1` closes the pipe after a line, and the node goes on serving.
pub(crate) fn line(line: &impl fmt::Display) {
    if let Err(error) = write_line(&mut io::stdout().lock(), line) {
        tracing::debug!(%error, "nobody reads the standard output");
    }
}

/// Flushed at once: a script waits for the line, and a pipe is buffered by the block.
fn write_line(out: &mut impl Write, line: &impl fmt::Display) -> io::Result<()> {
    writeln!(out, "{line}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_form_of_the_lines_is_fixed() {
        let peer: PeerId = "12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW"
            .parse()
            .unwrap();
        let address = "/ip4/127.0.0.1/tcp/4001"
            .parse::<Multiaddr>()
            .unwrap()
            .with_p2p(peer)
            .unwrap();
        let name: ServiceName = "app".parse().unwrap();
        let tcp: Target = "http://127.0.0.1:3000".parse().unwrap();
        let unix: Target = "unix:/run/app.sock".parse().unwrap();
        let http = "127.0.0.1:8080".parse().unwrap();
        let ip6 = "[::1]:8080".parse().unwrap();
        for (fact, expected) in [
            (Fact::Peer(peer), format!("peer {peer}\n")),
            (
                Fact::Listening(&address),
                format!("listening /ip4/127.0.0.1/tcp/4001/p2p/{peer}\n"),
            ),
            (
                Fact::Service(&name, &tcp),
                "service app -> http://127.0.0.1:3000\n".into(),
            ),
            (
                Fact::Service(&name, &unix),
                "service app -> unix:/run/app.sock\n".into(),
            ),
            (
                Fact::Host(&name, "app.k51.p2p.localhost"),
                "host app app.k51.p2p.localhost\n".into(),
            ),
            (
                Fact::Gateway(http),
                "gateway http://127.0.0.1:8080\n".into(),
            ),
            (Fact::Gateway(ip6), "gateway http://[::1]:8080\n".into()),
            (
                Fact::Forward(http, peer, &name),
                format!("forward http://127.0.0.1:8080 -> {peer} app\n"),
            ),
            (Fact::Admin(ip6), "admin http://[::1]:8080\n".into()),
            (Fact::Listener(&name), "listener app\n".into()),
            (Fact::Gone(&name), "gone app\n".into()),
            (Fact::Attached(&name), "attached app\n".into()),
            (
                Fact::Relay(&RelayLimits {
                    reservations: 128,
                    circuits: 16,
                    bytes: 131_072,
                    duration: Duration::from_secs(120),
                }),
                "relay reservations=128 circuits=16 bytes=131072 seconds=120\n".into(),
            ),
            (
                Fact::Url("page", "http://a/".into()),
                "url page http://a/\n".into(),
            ),
            (Fact::Ready, "ready\n".into()),
            (Fact::Reloaded, "reloaded\n".into()),
        ] {
            let mut out = Vec::new();
            write_line(&mut out, &fact).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_full_pipe_is_not_waited_for() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        while has_room(&writer) {
            writer.write_all(&[b'x'; 1024]).unwrap();
        }
        let mut page = [0; 4096];
        io::Read::read_exact(&mut reader, &mut page).unwrap();
        assert!(has_room(&writer));
        drop(reader);
        assert!(has_room(&writer));
        assert!(write_line(&mut writer, &"lost").is_err());
    }

    #[test]
    fn a_closed_pipe_is_an_error_and_not_a_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(write_line(&mut Closed, &Fact::Ready).is_err());
    }
}
