//! Below which names does a gateway have service hosts?

use std::{fmt, net::Ipv6Addr, str::FromStr};

use super::excerpt;

/// The longest name of a host, in its textual form without the dot at its end (RFC 1035, section 2.3.4).
pub(super) const MAX_HOST: usize = 253;

/// The longest label of a name (RFC 1035, section 2.3.4).
pub(super) const MAX_LABEL: usize = 63;

const LOCALHOST: &str = "localhost";

/// The name of a host below which every service has a host of its own, and so a web origin of its own.
///
/// | service host | below |
/// | --- | --- |
/// | `$name.$peer.p2p.$domain` | every domain |
/// | `$name--$key.$domain` | every domain but `localhost` |
///
/// `$peer` is the [CID of the peer](super::peer_cid) in base36. `$key` are the 32 bytes of an Ed25519 key in base36, always 50
/// digits, so that one wildcard certificate serves for names of up to 11 characters.
///
/// `$name` is the name of a service that is also a label of a host: `a-z`, `0-9` and within it `-`, at most 63 of them, and
/// not beginning with `xn--`, which browsers decode. Other services have no host: they are reached by their
/// [path](super::Route).
///
/// A domain is kept in lower case and without a dot at its end.
///
/// ```
/// use libp2p_http_proxy::{ServiceName, route::{Domain, parse_peer_id}};
///
/// let peer = parse_peer_id("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")?;
/// let blog: ServiceName = "blog".parse()?;
///
/// let host = Domain::localhost().host_of(&peer, &blog).expect("it is a label");
/// assert_eq!(
///     host,
///     "blog.k51qzi5uqu5djmw2yvf8kk5cdjc1ddc00o4d5sjwi6f79xzcay9j3gkddw5uu4.p2p.localhost"
/// );
/// assert_eq!(Domain::localhost().read(&format!("{host}:8080")), Some(Ok((peer, blog.clone()))));
///
/// let domain: Domain = "example.com".parse()?;
/// let host = domain.host_of(&peer, &blog).expect("it is a label");
/// assert_eq!(host, "blog--3gav6fcfs8zhz3ob4x4jzaxpz9gwpnr6lxf4iab82ev4qxnwws.example.com");
/// assert_eq!(domain.read(&host), Some(Ok((peer, blog))));
/// assert_eq!(domain.read("www.example.com"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain(Box<str>);

impl Domain {
    /// `localhost`, whose names lead browsers to their own machine (RFC 6761, section 6.3).
    #[must_use]
    pub fn localhost() -> Self {
        Self(LOCALHOST.into())
    }

    /// The domain as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `host`, with or without a port, is this domain itself.
    #[must_use]
    pub fn is(&self, host: &str) -> bool {
        without_port(host).eq_ignore_ascii_case(&self.0)
    }

    pub(super) fn is_localhost(&self) -> bool {
        &*self.0 == LOCALHOST
    }

    /// The labels of `host`, with or without a port, in front of this domain.
    pub(crate) fn labels_of<'h>(&self, host: &'h str) -> Option<&'h str> {
        labels_before(without_port(host), &self.0)
    }
}

/// The labels of `name` in front of those of `end`, in whatever case it is written.
pub(super) fn labels_before<'h>(name: &'h str, end: &str) -> Option<&'h str> {
    let (front, rest) = name.split_at_checked(name.len().checked_sub(end.len())?)?;
    let is_end = rest.eq_ignore_ascii_case(end);
    is_end.then_some(front)?.strip_suffix('.')
}

/// The host of an authority. A dot at its end makes a name absolute (RFC 1034, section 3.1), and here all names are.
fn without_port(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

impl FromStr for Domain {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(InvalidDomain::Empty);
        }
        let domain = || excerpt(text);
        if text.contains(['/', '?', '#', '@']) {
            return Err(InvalidDomain::Url { domain: domain() });
        }
        if is_address(text) {
            return Err(InvalidDomain::Address { domain: domain() });
        }
        if text.contains(':') {
            return Err(InvalidDomain::Port { domain: domain() });
        }
        if name.len() > MAX_HOST {
            let length = name.len();
            return Err(InvalidDomain::TooLong { length });
        }
        name.split('.').try_for_each(check_label)?;
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

/// Whether `text`, with or without a port, is an address to a browser. A host that ends in a number is an IPv4 address or
/// nothing ([URL, section 3.5](https://url.spec.whatwg.org/#ends-in-a-number-checker)).
fn is_address(text: &str) -> bool {
    let host = without_port(text);
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_number = match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    is_number || text.starts_with('[') || text.parse::<Ipv6Addr>().is_ok()
}

fn check_label(label: &str) -> Result<(), InvalidDomain> {
    if label.is_empty() {
        return Err(InvalidDomain::EmptyLabel);
    }
    let is_foreign = |c: &char| !c.is_ascii_alphanumeric() && *c != '-';
    if let Some(character) = label.chars().find(is_foreign) {
        return Err(InvalidDomain::Character { character });
    }
    if label.len() > MAX_LABEL {
        let length = label.len();
        return Err(InvalidDomain::LabelTooLong { length });
    }
    if label.starts_with('-') || label.ends_with('-') {
        let label = label.to_owned();
        return Err(InvalidDomain::Hyphen { label });
    }
    Ok(())
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is not a [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDomain {
    /// There is no name.
    #[error("the domain is empty: name the one that leads to the gateway, as in example.com")]
    Empty,

    /// It is a URL or a part of one.
    #[error("'{domain}' is not a domain: give the name alone, without http:// and without a path")]
    Url {
        /// The text, escaped, and cut if it is long.
        domain: String,
    },

    /// It is an address, or a browser would take it for one.
    #[error(
        "'{domain}' is an IP address, which has no names below it: use localhost or a domain of yours"
    )]
    Address {
        /// The text, escaped, and cut if it is long.
        domain: String,
    },

    /// It has a port.
    #[error("'{domain}' has a port: leave it out, the names are the same at every port")]
    Port {
        /// The text, escaped, and cut if it is long.
        domain: String,
    },

    /// It is longer than the name of a host can be.
    #[error("the domain has {length} characters: the name of a host has at most {MAX_HOST}")]
    TooLong {
        /// The length of the text.
        length: usize,
    },

    /// Two dots follow on each other, or the first character is one.
    #[error("the domain has an empty label: put something before and between its dots")]
    EmptyLabel,

    /// A label is longer than one can be.
    #[error("a label of the domain has {length} characters: it can have at most {MAX_LABEL}")]
    LabelTooLong {
        /// The length of the label.
        length: usize,
    },

    /// There is something else in it than letters, digits, hyphens and dots.
    #[error(
        "the domain has the character '{}': use a-z, 0-9, hyphens and dots only, write an international name as \
         xn--..., and leave out a wildcard",
        .character.escape_default()
    )]
    Character {
        /// The first such character.
        character: char,
    },

    /// A label begins or ends with a hyphen.
    #[error(
        "the label '{label}' of the domain begins or ends with a hyphen, which no name of a host may"
    )]
    Hyphen {
        /// The label.
        label: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn domains() {
        let label = "a".repeat(63);
        let long = [&*label, &label, &label, &"a".repeat(61)].join(".");
        assert_eq!(long.len(), 253);
        for (text, expected) in [
            ("localhost", "localhost"),
            ("LocalHost", "localhost"),
            ("localhost.", "localhost"),
            ("example.com", "example.com"),
            ("P2P.Example.COM.", "p2p.example.com"),
            ("a-b.c--d.e", "a-b.c--d.e"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("127.0.0.1.example", "127.0.0.1.example"),
            ("1x.0xg", "1x.0xg"),
            (&long, &long),
        ] {
            assert_eq!(domain(text).as_str(), expected);
            assert_eq!(domain(text).to_string(), expected);
            assert_eq!(domain(expected), domain(text));
        }
        assert_eq!(domain("LOCALHOST."), Domain::localhost());
    }

    #[test]
    fn what_is_not_a_domain() {
        let label = "a".repeat(64);
        let long = "abc.".repeat(64);
        #[rustfmt::skip]
        let cases = [
            ("", "is empty"),
            (".", "is empty"),
            ("..", "empty label"),
            (".example.com", "empty label"),
            ("example..com", "empty label"),
            ("example.com..", "empty label"),
            ("http://example.com", "'http://example.com' is not a domain: give the name alone"),
            ("//example.com", "give the name alone"),
            ("example.com/", "give the name alone"),
            ("me@example.com", "give the name alone"),
            ("example.com:8080", "'example.com:8080' has a port"),
            ("localhost:", "has a port"),
            ("localhost:http", "has a port"),
            ("127.0.0.1", "'127.0.0.1' is an IP address"),
            ("127.0.0.1.", "is an IP address"),
            ("127.0.0.1:80", "is an IP address"),
            ("[::1]:80", "is an IP address"),
            ("[::1]", "is an IP address"),
            ("::1", "is an IP address"),
            ("2001:db8::a", "is an IP address"),
            ("127.1", "is an IP address"),
            ("2130706433", "is an IP address"),
            ("0x7f000001", "is an IP address"),
            ("a.0X", "is an IP address"),
            ("example.99", "is an IP address"),
            (&label, "has 64 characters"),
            (&long, "has 255 characters"),
            ("*.example.com", "the character '*'"),
            ("a_b.example", "the character '_'"),
            ("b\u{fc}cher.example", r"the character '\u{fc}'"),
            ("a b", "the character ' '"),
            ("a\r\nb", r"the character '\r'"),
            ("-a.example", "'-a' of the domain begins or ends"),
            ("example.a-", "'a-' of the domain begins or ends"),
        ];
        for (text, part) in cases {
            let message = text.parse::<Domain>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
            assert!(message.is_ascii() && message.len() < 400, "{message}");
        }
    }

    #[test]
    fn hosts_that_are_the_domain() {
        let example = domain("example.com");
        for host in [
            "example.com",
            "EXAMPLE.com:80",
            "example.com.",
            "example.com.:1",
            "example.com:",
        ] {
            assert!(example.is(host), "{host}");
        }
        for host in [
            "",
            "www.example.com",
            "example.com..",
            "example.com:80:80",
            "example.com:x",
            "example.comm",
        ] {
            assert!(!example.is(host), "{host}");
        }
    }

    #[test]
    fn labels_in_front() {
        let example = domain("example.com");
        for (host, expected) in [
            ("www.example.com", Some("www")),
            ("A.b.Example.Com.:80", Some("A.b")),
            (".example.com", Some("")),
            ("\u{e9}.example.com", Some("\u{e9}")),
            ("\u{e9}example.com", None),
            ("\u{20ac}xample.com", None),
            ("example.com", None),
            ("wwwexample.com", None),
            ("www.example.com.x", None),
            ("com", None),
            ("", None),
        ] {
            assert_eq!(example.labels_of(host), expected, "{host}");
        }
    }
}
