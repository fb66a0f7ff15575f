//! Which service has a host of its own, and which service is at a host?

use std::borrow::Cow;

use libp2p_identity::PeerId;

use super::{
    domain::{Domain, MAX_HOST, MAX_LABEL, labels_before},
    excerpt,
    peer::{InvalidPeerId, key_text, parse_key, parse_peer_id, peer_cid},
};
use crate::service::ServiceName;

/// The label between the peer and the domain. All names below it are for service hosts.
const P2P: &str = "p2p";

/// What parts the name of a service from a key in one label.
const SEPARATOR: &str = "--";

/// How a label begins that stands for other characters (RFC 5890, section 2.3.2.1).
const ENCODED: &str = "xn--";

impl Domain {
    /// The host below this domain that belongs to a service alone, to send a browser to.
    ///
    /// For a domain other than `localhost` that is the form in one label where the service has one: the peer has an
    /// Ed25519 key, and the name has at most 11 characters and is not `xn`. Else it is the form with the CID of the peer.
    ///
    /// `None` if the name of the service is no label of a host, if the CID of the peer is longer than a label can be
    /// (no key in use has such a one), or if the whole host would be too long.
    #[must_use]
    pub fn host_of(&self, peer: &PeerId, service: &ServiceName) -> Option<String> {
        let service = service.as_str();
        if !is_service_label(service) {
            return None;
        }
        let host = match self.single_label(peer, service) {
            Some(label) => format!("{label}.{self}"),
            None => {
                let cid = peer_cid(peer);
                is_label_long(&cid).then(|| self.host_with(&cid, service))?
            }
        };
        (host.len() <= MAX_HOST).then_some(host)
    }

    fn single_label(&self, peer: &PeerId, service: &str) -> Option<String> {
        if self.is_localhost() {
            return None;
        }
        let label = format!("{service}{SEPARATOR}{}", key_text(peer)?);
        (is_label_long(&label) && !is_encoded(&label)).then_some(label)
    }

    fn host_with(&self, cid: &str, service: &str) -> String {
        format!("{service}.{cid}.{P2P}.{self}")
    }

    /// Reads the host of a request, with or without a port, in any case, and with or without a dot at its end.
    ///
    /// `None` if it does not look like a service host of this domain: it is not below `p2p.$domain`, and the label before
    /// the domain has no `--`, or begins with `xn--`, or the domain is `localhost`.
    ///
    /// A peer is read in one spelling only, or one service would have many origins. Below a domain where it has a host in
    /// both forms both are read, and [`host_of`](Self::host_of) is the one to use.
    ///
    /// # Errors
    ///
    /// [`HostError`] if it looks like a service host and is none.
    #[must_use]
    pub fn read(&self, host: &str) -> Option<Result<(PeerId, ServiceName), HostError>> {
        let labels = self.labels_of(host)?;
        let form = self.form(labels)?;
        // Before anything is decoded, so that the cost never depends on the sender.
        let length = labels.len() + 1 + self.as_str().len();
        if length > MAX_HOST {
            return Some(Err(HostError::TooLong { length }));
        }
        Some(match form {
            Form::Cid(labels) => self.read_cid(labels),
            Form::Key(before, service, key) => self.read_key(before, service, key),
        })
    }

    /// The form that a host with these labels has by its looks.
    fn form<'h>(&self, labels: &'h str) -> Option<Form<'h>> {
        if let Some(labels) = labels_before(labels, P2P) {
            return Some(Form::Cid(labels));
        }
        let (before, label) = last_label(labels);
        let (service, key) = label.rsplit_once(SEPARATOR)?;
        let is_form = !self.is_localhost() && !is_encoded(label);
        is_form.then_some(Form::Key(before, service, key))
    }

    /// Reads what stands before `p2p`.
    fn read_cid(&self, labels: &str) -> Result<(PeerId, ServiceName), HostError> {
        let (before, label) = last_label(labels);
        let peer = self.read_peer(label)?;
        let Some(before) = before else {
            let host = self.host_with(&peer_cid(&peer), "SERVICE");
            return Err(HostError::MissingService { host });
        };
        let (before, label) = last_label(before);
        let service = read_service(label)?;
        check_none(before, || {
            self.host_with(&peer_cid(&peer), service.as_str())
        })?;
        Ok((peer, service))
    }

    fn read_peer(&self, label: &str) -> Result<PeerId, HostError> {
        let lower = lower_case(label);
        // First as it is written: if the client has kept the case of base58 text, it can be told the right spelling.
        let peer = parse_peer_id(label).or_else(|error| parse_peer_id(&lower).map_err(|_| error));
        let peer = peer.map_err(|reason| HostError::InvalidPeer {
            reason,
            domain: self.to_string(),
        })?;
        let cid = peer_cid(&peer);
        if !is_label_long(&cid) {
            return Err(HostError::PeerTooLong { peer });
        }
        if cid != lower {
            let found = excerpt(label);
            return Err(HostError::PeerSpelling { found, cid });
        }
        Ok(peer)
    }

    /// Reads the label `$service--$key`, with others before it or not.
    fn read_key(
        &self,
        before: Option<&str>,
        service: &str,
        key: &str,
    ) -> Result<(PeerId, ServiceName), HostError> {
        let key = lower_case(key);
        let peer = parse_key(&key).map_err(|reason| HostError::InvalidKey {
            key: excerpt(&key),
            reason,
            domain: self.to_string(),
        })?;
        let service = read_service(service)?;
        let label = format!("{service}{SEPARATOR}{key}");
        if !is_label_long(&label) {
            let host = self.host_with(&peer_cid(&peer), service.as_str());
            return Err(HostError::ServiceTooLong { service, host });
        }
        check_none(before, || format!("{label}.{self}"))?;
        Ok((peer, service))
    }
}

/// What a host looks like.
enum Form<'h> {
    /// `$service.$peer.p2p.$domain`: what stands before `p2p`.
    Cid(&'h str),
    /// `$service--$key.$domain`: what stands before this label, and its two parts.
    Key(Option<&'h str>, &'h str, &'h str),
}

/// Splits labels into the last one and those before it, if there are any.
fn last_label(labels: &str) -> (Option<&str>, &str) {
    match labels.rsplit_once('.') {
        Some((before, label)) => (Some(before), label),
        None => (None, labels),
    }
}

fn lower_case(label: &str) -> Cow<'_, str> {
    match label.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => label.to_ascii_lowercase().into(),
        false => label.into(),
    }
}

fn is_encoded(label: &str) -> bool {
    let start = label.get(..ENCODED.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(ENCODED))
}

/// Whether `label` is not too long for one.
fn is_label_long(label: &str) -> bool {
    label.len() <= MAX_LABEL
}

/// Whether a service with this name can have a host. Names of hosts do not differ in case, so upper case has none.
fn is_service_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && is_label_long(name)
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !is_encoded(name)
}

fn read_service(label: &str) -> Result<ServiceName, HostError> {
    let name = lower_case(label);
    let invalid = || HostError::InvalidService {
        label: excerpt(label),
    };
    if !is_service_label(&name) {
        return Err(invalid());
    }
    ServiceName::new(&name).map_err(|_| invalid())
}

/// Nothing may stand before a service host, or a service would have any number of origins.
fn check_none(before: Option<&str>, host: impl FnOnce() -> String) -> Result<(), HostError> {
    match before {
        None => Ok(()),
        Some(labels) => Err(HostError::ExtraLabels {
            labels: excerpt(labels),
            host: host(),
        }),
    }
}

/// Why a host that looks like that of a service is none.
///
/// Every message is short, whatever the request holds, and repeats nothing of it that is not escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The host ends with the peer.
    #[error("the host names a peer and no service: request {host}")]
    MissingService {
        /// The host, with a word in the place of the service.
        host: String,
    },

    /// What stands before `p2p` is no peer.
    #[error(
        "{reason}; request SERVICE.PEER.p2p.{domain}, where PEER is the CID of the peer in base36 (k51..., k2k4...)"
    )]
    InvalidPeer {
        /// Why it is none.
        #[source]
        reason: InvalidPeerId,
        /// The domain.
        domain: String,
    },

    /// The peer is named in another way than by its CID in base36.
    #[error(
        "in a host a peer has one spelling, its CID in base36: write {cid} instead of '{found}'"
    )]
    PeerSpelling {
        /// What stands there, escaped, and cut if it is long.
        found: String,
        /// What has to stand there.
        cid: String,
    },

    /// The CID of the peer is longer than a label.
    #[error(
        "the CID of the peer {peer} is too long for a label of a host: request the path /http/{peer}/SERVICE/ instead"
    )]
    PeerTooLong {
        /// The peer.
        peer: PeerId,
    },

    /// What stands in the place of the service cannot be one, or is one that has no host.
    #[error(
        "'{label}' is not a service that has a host: such names have a-z, 0-9 and within them hyphens, at most \
         {MAX_LABEL} in all, and do not begin with xn--; request the path /http/PEER/SERVICE/ for others"
    )]
    InvalidService {
        /// What stands there, escaped, and cut if it is long.
        label: String,
    },

    /// The name of the service is too long to share a label with a key.
    #[error(
        "the name of the service {service} is too long to share a label with a key: request {host}"
    )]
    ServiceTooLong {
        /// The service.
        service: ServiceName,
        /// Its host in the other form.
        host: String,
    },

    /// What stands behind the last `--` of a label is not a key.
    #[error(
        "'{key}' is not an Ed25519 key in base36: {reason}; request SERVICE--KEY.{domain} or SERVICE.PEER.p2p.{domain}"
    )]
    InvalidKey {
        /// What stands there, escaped, and cut if it is long.
        key: String,
        /// Why it is none.
        reason: &'static str,
        /// The domain.
        domain: String,
    },

    /// There is more in front of the service.
    #[error("'{labels}' stands in front of the host of a service: request {host}")]
    ExtraLabels {
        /// What stands there, escaped, and cut if it is long.
        labels: String,
        /// The host of the service.
        host: String,
    },

    /// The host is longer than the name of one can be.
    #[error(
        "the host has {length} characters and can have at most {MAX_HOST}: request the path /http/PEER/SERVICE/ instead"
    )]
    TooLong {
        /// Its length, without a port.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
    const CID: &str = "k51qzi5uqu5djmw2yvf8kk5cdjc1ddc00o4d5sjwi6f79xzcay9j3gkddw5uu4";
    const KEY: &str = "3gav6fcfs8zhz3ob4x4jzaxpz9gwpnr6lxf4iab82ev4qxnwws";
    const RSA: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    const RSA_CID: &str = "k2k4r8ncs1yoluq95unsd7x2vfhgve0ncjoggwqx9vyh3vl8warrcp15";
    const SECP256K1: &str = "16Uiu2HAmDocNitKBL6MwCiF6i277466582hwi7uY8FaFmY3Pw1nG";
    const SECP256K1_CID: &str = "kzwfwjn5ji4puqh84ystku48712zftd4kqjkiv47yy39n37mvghedax9ls5oh01";

    fn filled(text: &str) -> String {
        text.replace("$key", KEY)
            .replace("$rsa", RSA_CID)
            .replace("$secp", SECP256K1_CID)
            .replace("$cid", CID)
    }

    fn peer(text: &str) -> PeerId {
        parse_peer_id(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn service(name: &str) -> ServiceName {
        name.parse().unwrap()
    }

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_of_services() {
        let long = "n".repeat(63);
        #[rustfmt::skip]
        let cases = [
            ("localhost", PEER, "web", "web.$cid.p2p.localhost"),
            ("localhost", PEER, "0", "0.$cid.p2p.localhost"),
            ("localhost", RSA, "a-b--c", "a-b--c.$rsa.p2p.localhost"),
            ("localhost", PEER, "p2p", "p2p.$cid.p2p.localhost"),
            ("localhost", PEER, &long, &format!("{long}.$cid.p2p.localhost")),
            ("example.com", PEER, "web", "web--$key.example.com"),
            ("Example.COM.", PEER, "a--b", "a--b--$key.example.com"),
            ("example.com", PEER, "x", "x--$key.example.com"),
            ("example.com", PEER, "elevenchars", "elevenchars--$key.example.com"),
            ("example.com", PEER, "twelve-chars", "twelve-chars.$cid.p2p.example.com"),
            ("example.com", PEER, "xn", "xn.$cid.p2p.example.com"),
            ("example.com", RSA, "web", "web.$rsa.p2p.example.com"),
            ("p2p.example.com", RSA, "web", "web.$rsa.p2p.p2p.example.com"),
            ("example.com", SECP256K1, "web", "web.$secp.p2p.example.com"),
        ];
        for (below, of, name, expected) in cases {
            let (below, of, name) = (domain(below), peer(of), service(name));
            let host = below.host_of(&of, &name).expect("has a host");
            assert_eq!(host, filled(expected));
            for host in [
                host.to_uppercase(),
                format!("{host}."),
                format!("{host}:8080"),
                format!("{host}.:1"),
                host,
            ] {
                assert_eq!(below.read(&host), Some(Ok((of, name.clone()))), "{host}");
            }
        }
    }

    #[test]
    fn services_without_a_host() {
        let longer = "n".repeat(64);
        for name in [
            "Web", "a.b", "a_b", "a~b", "-a", "a-", "-", "...", "xn--a", &longer,
        ] {
            for of in [PEER, RSA] {
                for below in [Domain::localhost(), domain("example.com")] {
                    assert_eq!(below.host_of(&peer(of), &service(name)), None, "{name}");
                }
            }
        }
        // The longest peer id that is a key and no hash of one. No kind of key has it.
        let longest = PeerId::from_bytes(&[&[0, 42], &[0xff; 42][..]].concat()).unwrap();
        assert_eq!(Domain::localhost().host_of(&longest, &service("web")), None);
        let host = format!("web.{}.p2p.localhost", peer_cid(&longest));
        let found = Domain::localhost().read(&host);
        assert_eq!(found, Some(Err(HostError::PeerTooLong { peer: longest })));
    }

    #[test]
    fn a_host_is_at_most_253_characters_long() {
        let labels = [
            "a".repeat(63),
            "a".repeat(63),
            "a".repeat(63),
            "a".repeat(63),
        ]
        .join(".");
        for (name, of, front) in [
            ("web", PEER, "web--$key."),
            ("twelve-chars", PEER, "twelve-chars.$cid.p2p."),
            ("web", RSA, "web.$rsa.p2p."),
        ] {
            let front = filled(front);
            for (length, fits) in [(253, true), (254, false)] {
                let below = domain(&labels[labels.len() + front.len() - length..]);
                let host = format!("{front}{below}");
                assert_eq!(host.len(), length);
                let found = below.host_of(&peer(of), &service(name));
                assert_eq!(found, fits.then(|| host.clone()));
                let found = below.read(&format!("{host}.:65535"));
                let expected = match fits {
                    true => Ok((peer(of), service(name))),
                    false => Err(HostError::TooLong { length }),
                };
                assert_eq!(found, Some(expected), "{host}");
            }
        }
    }

    #[test]
    fn both_forms_are_read_below_a_domain() {
        let below = domain("example.com");
        let expected = Some(Ok((peer(PEER), service("web"))));
        assert_eq!(below.read(&filled("web.$cid.p2p.example.com")), expected);
        assert_eq!(below.read(&filled("web--$key.example.com")), expected);
    }

    #[test]
    fn other_hosts() {
        for host in [
            "",
            ".",
            ":80",
            "localhost",
            "localhost:8080",
            "LOCALHOST.",
            ".localhost",
            "foo.localhost",
            "p2p.localhost",
            "P2P.localhost.:80",
            "web.$cid.localhost",
            "web.$cid.p3p.localhost",
            "web.$cid.xp2p.localhost",
            "web--$key.localhost",
            "web.$cid.p2p.example",
            "web.$cid.p2p.localhost.example.com",
            "example.com",
            "www.example.com",
            "p2p.example.com",
            "a-b.example.com",
            "xn--$key.example.com",
            "XN--$key.example.com",
            "xn--web--$key.example.com",
            "www.xn--bcher-kva.example.com",
            "web--$key.www.example.com",
            "web--$key.example.org",
            "web--$key",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "web.$cid.p2p.localhost:http",
            "web.$cid.p2p.localhost..",
            "web.$cid.p2p.localhost:80:80",
            "web.$cid.p2p.localhost/",
            "web.$cid.p2p.local\u{17f}ost",
            "me@web.$cid.p2p.localhost\0",
        ] {
            for below in [Domain::localhost(), domain("example.com")] {
                assert_eq!(below.read(&filled(host)), None, "{host} below {below}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_service_host() {
        let raw_codec = "k4ni5p7v7vp8gtmzztf5c237e5xcdmtwy242yx0vsulxatp57kfqtsg36hf1p8";
        let base32 = "bafzaajaiaejcbcui4poxicprsx6vfwznhs5f24wkm4e36hmucin7g5eiag2a6324";
        let right = format!("write {CID} instead of '");
        let long = "a".repeat(64);
        let far = "\u{1F680}".repeat(40);
        #[rustfmt::skip]
        let cases = [
            // No service, no peer.
            ("$cid.p2p.localhost", "names a peer and no service: request SERVICE.$cid.p2p.localhost"),
            ("$cid.p2p.localhost.:80", "names a peer and no service: request SERVICE.$cid.p2p.localhost"),
            ("web.p2p.localhost", "'web' is not a peer id"),
            (".p2p.localhost", "'' is not a peer id"),
            ("web..p2p.localhost", "'' is not a peer id"),
            ("$cid.web.p2p.localhost", "'web' is not a peer id"),
            ("$cid.web.p2p.localhost", "request SERVICE.PEER.p2p.localhost, where PEER is the CID of the peer in base36"),
            ("web.p2p.p2p.localhost", "'p2p' is not a peer id"),
            // Peers in other spellings.
            ("web.12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5.p2p.localhost", &format!("{right}12D3KooW")),
            ("web.12d3koowk99vovxne7xzybwxezw7xhk7gpv85r9f3v3fyksukph5.p2p.localhost", "all of this is in lower case: use the CID"),
            ("web.qmyyqso1c1ym7orwxlyvcrm2emxftanf8wxmme7dwjhx5n.p2p.localhost", "all of this is in lower case: use the CID"),
            ("web.16uiu2hamdocnitkbl6mwcif6i277466582hwi7uy8fafmy3pw1ng.p2p.localhost", "all of this is in lower case: use the CID"),
            (&format!("web.{base32}.p2p.localhost"), &format!("{right}bafz")),
            (&format!("web.{}.p2p.localhost", base32.to_uppercase()), &format!("{right}BAFZ")),
            (&format!("web.B{}.p2p.localhost", &base32[1..]), &format!("{right}Bafz")),
            ("web.f0172002408011220$hex.p2p.localhost", &format!("{right}f0172")),
            // What is none.
            ("web.k51qzi5uqu5d.p2p.localhost", "it is not the CID of a libp2p key"),
            (&format!("web.{raw_codec}.p2p.localhost"), "it is not the CID of a libp2p key"),
            ("web.k0$cut.p2p.localhost", "it is not the CID of a libp2p key"),
            ("web.$cid0.p2p.localhost", "is not a peer id"),
            ("web.$key.p2p.localhost", "is not a peer id"),
            ("web.k-$cut.p2p.localhost", "it is neither base58 text"),
            ("web.\u{212a}$cut.p2p.localhost", r"'\xe2\x84\xaa51qzi5"),
            (&format!("web.{far}.p2p.localhost"), r"'\xf0\x9f\x9a\x80"),
            // Names that have no host.
            ("a_b.$cid.p2p.localhost", "'a_b' is not a service that has a host"),
            (".$cid.p2p.localhost", "'' is not a service that has a host"),
            ("-a.$cid.p2p.localhost", "'-a' is not"),
            ("a-.$cid.p2p.localhost", "'a-' is not"),
            ("XN--a.$cid.p2p.localhost", "'XN--a' is not"),
            ("a%41.$cid.p2p.localhost", "'a%41' is not"),
            ("<b>'\".$cid.p2p.localhost", r#"'<b>\'\"' is not"#),
            ("a\r\n.$cid.p2p.localhost", r"'a\r\n' is not"),
            ("\u{17f}.$cid.p2p.localhost", r"'\xc5\xbf' is not"),
            (&format!("{long}.$cid.p2p.localhost"), "at most 63"),
            // More than one.
            ("a.web.$cid.p2p.localhost", "'a' stands in front of the host of a service: request web.$cid.p2p.localhost"),
            ("A.B.Web.$cid.p2p.Localhost", "'A.B' stands in front of the host of a service: request web.$cid.p2p.localhost"),
            (".web.$cid.p2p.localhost", "'' stands in front"),
            ("a.web.$cid.p2p.example.com", "request web.$cid.p2p.example.com"),
            // With a key.
            ("a--b.example.com", "'b' is not an Ed25519 key in base36: it does not have 50 digits; request SERVICE--KEY.example.com"),
            ("a--.example.com", "'' is not an Ed25519 key"),
            ("www.a--b.example.com", "'b' is not an Ed25519 key"),
            ("web--$cid.example.com", "it does not have 50 digits"),
            ("web--$key0.example.com", "it does not have 50 digits"),
            ("web--6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtog.example.com", "larger than any of 32 bytes"),
            ("web--zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz.example.com", "larger than any of 32 bytes"),
            ("web--_0000000000000000000000000000000000000000000000000.example.com", "other digits than 0-9 and a-z"),
            ("web--\u{e9}000000000000000000000000000000000000000000000000.example.com", "other digits than 0-9 and a-z"),
            ("web---$key.example.com", "'web-' is not a service that has a host"),
            ("--$key.example.com", "'' is not a service that has a host"),
            ("a.web--$key.example.com", "'a' stands in front of the host of a service: request web--$key.example.com"),
            ("Twelve-Chars--$key.example.com", "name of the service twelve-chars is too long to share a label with a key: request twelve-chars.$cid.p2p.example.com"),
        ];
        for (host, part) in cases {
            let hex = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
            let host = filled(&host.replace("$hex", hex).replace("$cut", &CID[1..]));
            let below = match host.to_lowercase().contains("localhost") {
                true => Domain::localhost(),
                false => domain("example.com"),
            };
            let found = below.read(&host).unwrap_or_else(|| panic!("{host}"));
            let message = found.unwrap_err().to_string();
            assert!(message.contains(&filled(part)), "{host}: {message}");
            assert!(message.is_ascii() && message.len() < 600, "{message}");
        }
    }

    #[test]
    fn every_key_has_its_digits() {
        // As an independent implementation writes them.
        #[rustfmt::skip]
        let cases = [
            ("12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw", "00000000000000000000000000000000000000000000000000"),
            ("12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwix", "00000000000000000000000000000000000000000000000001"),
            ("12D3KooW9tGaPdJo5jmCpadQ971nfiq4kLcQjeBPYTfutBTtckPG", "00waum9lsz88q62wl8zk7gdtuc4ogb9fytnwza5jzt4ih10hz3"),
            ("12D3KooWT3gYEvLJyx1FyyHqrmvdy1tMjpgxmu9aSeKMEuafQtyC", "6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof"),
            ("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", "171qit8k8xk4bef6gpe9tpr0m1cmz7m3xalcv2tnqn42d6w9rf"),
            (PEER, KEY),
        ];
        let below = domain("example.com");
        for (of, key) in cases {
            let host = format!("web--{key}.example.com");
            assert_eq!(
                below.host_of(&peer(of), &service("web")),
                Some(host.clone())
            );
            assert_eq!(below.read(&host), Some(Ok((peer(of), service("web")))));
        }
    }
}
