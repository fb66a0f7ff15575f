//! Which host does a request name, and what is there?

use std::net::{Ipv4Addr, Ipv6Addr};

use libp2p_identity::PeerId;

use crate::{
    failure::Failure,
    h1::RequestHead,
    route::{Domain, split_absolute},
    service::ServiceName,
};

/// The hosts that a gateway answers for. A name that is none of them may be one that somebody made point here to have
/// their page taken for the gateway's own ([DNS rebinding](https://en.wikipedia.org/wiki/DNS_rebinding)).
#[derive(Clone, Copy, Debug)]
pub(super) struct Hosts<'d> {
    /// `localhost`, then those of the rules.
    pub(super) domains: &'d [Domain],
    pub(super) reach: Reach,
}

/// Which requests get to a gateway at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Whether clients may come from elsewhere, and so name this machine by any address of it. An address cannot be made
    /// to point somewhere else.
    pub(super) any_address: bool,
    /// Whether requests to the hosts of services get here.
    pub(super) services: bool,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            any_address: false,
            services: true,
        }
    }
}

/// What is at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The gateway itself, with the path form. The domain is that of the service hosts beside it, if there are any.
    Gateway(Option<&'a Domain>),
    /// One service.
    Service(PeerId, ServiceName),
}

impl<'d> Hosts<'d> {
    /// What is at `authority`, a host and perhaps a port. Nothing is said of the port: it may be forwarded from another.
    pub(super) fn find(self, authority: &str) -> Result<Place<'d>, Failure> {
        let (host, _) = split_port(authority);
        if let Some(is_loopback) = address(host) {
            if !is_loopback && !self.reach.any_address {
                return Err(misdirected(host));
            }
            let own = match is_loopback {
                true => self.domains.first(),
                // From elsewhere "localhost" is another machine.
                false => self.domains.get(1),
            };
            return Ok(self.gateway(own));
        }
        // A domain may be below another one, so that the host of a service of one looks like a wrong one of the other.
        let mut wrong = None;
        for (index, domain) in self.domains.iter().enumerate() {
            if domain.is(host) {
                return Ok(self.gateway(Some(domain)));
            }
            match domain.read(host).filter(|_| self.reach.services) {
                Some(Ok((peer, service))) => return Ok(Place::Service(peer, service)),
                Some(Err(error)) => wrong = wrong.or(Some(error)),
                // RFC 6761, section 6.3: all names below localhost are this machine.
                None if index == 0 && is_own_name(domain, host) => {
                    return Ok(self.gateway(Some(domain)));
                }
                None => {}
            }
        }
        Err(wrong.map_or_else(|| misdirected(host), Failure::from))
    }

    fn gateway(self, domain: Option<&'d Domain>) -> Place<'d> {
        Place::Gateway(domain.filter(|_| self.reach.services))
    }
}

/// The host that a request names, with its port. Where there are a target in absolute form and a Host, both are the same
/// (RFC 9112, section 3.2.2).
pub(super) fn authority(head: &RequestHead) -> Option<&str> {
    match head.host() {
        // A Host that was read is ASCII.
        Some(host) if !host.is_empty() => str::from_utf8(host).ok(),
        _ => split_absolute(head.target()).map(|(authority, _)| authority),
    }
}

/// A host, and the port with its colon, or nothing.
pub(super) fn split_port(authority: &str) -> (&str, &str) {
    let bytes = authority.as_bytes();
    // An address in brackets has colons of its own.
    let from = memchr::memrchr(b']', bytes).unwrap_or(0);
    let colon = memchr::memchr(b':', &bytes[from..]);
    authority.split_at(colon.map_or(authority.len(), |colon| from + colon))
}

/// Whether an address is one of the loopback interface; `None` if the host is a name.
fn address(host: &str) -> Option<bool> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(address.is_loopback());
    }
    let inner = host.strip_prefix('[')?.strip_suffix(']')?;
    let address = inner.parse::<Ipv6Addr>().ok()?;
    Some(address.to_canonical().is_loopback())
}

/// Whether a host is below a domain, and does not look like that of a service.
fn is_own_name(domain: &Domain, host: &str) -> bool {
    domain.labels_of(host).is_some() && domain.read(host).is_none()
}

pub(super) fn misdirected(host: &str) -> Failure {
    Failure::HostNotAllowed {
        host: host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_may_be_below_each_other() {
        let peer = PeerId::random();
        let app = ServiceName::new("app").expect("is a name");
        let domains: Vec<Domain> = [
            "localhost",
            "example.com",
            "p2p.example.com",
            "a--b.example.com",
        ]
        .map(|domain| domain.parse().expect("is a domain"))
        .into();
        let hosts = Hosts {
            domains: &domains,
            reach: Reach::default(),
        };
        for domain in &domains {
            let host = domain.host_of(&peer, &app).unwrap_or_default();
            assert_eq!(
                hosts.find(&host),
                Ok(Place::Service(peer, app.clone())),
                "{host}"
            );
            let own = hosts.find(domain.as_str());
            assert_eq!(own, Ok(Place::Gateway(Some(domain))));
        }
        assert!(matches!(
            hosts.find("app.peer.p2p.example.com"),
            Err(Failure::BadHost(_))
        ));
    }

    #[test]
    fn ports_and_addresses() {
        for (authority, host, port, loopback) in [
            ("localhost:8080", "localhost", ":8080", None),
            ("a.b", "a.b", "", None),
            ("a.b:", "a.b", ":", None),
            ("127.0.0.1:1", "127.0.0.1", ":1", Some(true)),
            ("127.255.0.9", "127.255.0.9", "", Some(true)),
            ("10.0.0.1", "10.0.0.1", "", Some(false)),
            ("0.0.0.0:80", "0.0.0.0", ":80", Some(false)),
            ("[::1]:80", "[::1]", ":80", Some(true)),
            ("[::1]", "[::1]", "", Some(true)),
            ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]", "", Some(true)),
            ("[fe80::1]:1", "[fe80::1]", ":1", Some(false)),
            ("127.1", "127.1", "", None),
            ("0x7f000001", "0x7f000001", "", None),
        ] {
            assert_eq!(split_port(authority), (host, port));
            assert_eq!(address(host), loopback, "{host}");
        }
    }
}
