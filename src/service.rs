//! Which HTTP service of a peer is meant: service names, and the protocol names they are negotiated under.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use libp2p_swarm::StreamProtocol;

/// The longest service name, in bytes: short enough that a URL with it stays readable, and that the protocol name
/// stays far below the limit of any multistream implementation.
pub const MAX_SERVICE_NAME: usize = 100;

/// `/x/http/$name`, the names of this crate.
const SERVICE_PREFIX: &str = "/x/http/";
/// `/x/$name/http`, kubo's gateway.
const KUBO_SERVICE_PREFIX: &str = "/x/";
const KUBO_SERVICE_SUFFIX: &str = "/http";
/// What kubo's gateway negotiates for a peer without a service name.
const KUBO: &str = "/http";
/// The libp2p HTTP specification.
const LIBP2P_HTTP: &str = "/http/1.1";

/// The name of one HTTP application that a peer offers.
///
/// A name has 1 to [`MAX_SERVICE_NAME`] of the characters that a URL never needs to escape, the unreserved set of
/// [RFC 3986, section 2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3): `A-Z a-z 0-9 . _ ~ -`. So it is one
/// path segment of a URL and one segment of a protocol name, and is the same text in both. `.` and `..` are refused, as
/// clients resolve them away. Names differ in case: `Blog` is not `blog`.
///
/// Cloning a name copies a pointer.
///
/// ```
/// use libp2p_http_proxy::ServiceName;
///
/// let name: ServiceName = "my-app.v2".parse()?;
/// assert_eq!(name.as_str(), "my-app.v2");
/// assert!("my app".parse::<ServiceName>().is_err());
/// # Ok::<(), libp2p_http_proxy::InvalidServiceName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// Checks and copies a name.
    ///
    /// # Errors
    ///
    /// [`InvalidServiceName`] says which rule the name breaks and which character breaks it.
    pub fn new(name: &str) -> Result<Self, InvalidServiceName> {
        check(name)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(name: &str) -> Result<(), InvalidServiceName> {
    if name.is_empty() {
        return Err(InvalidServiceName::Empty);
    }
    // The length first, so that the cost of looking at a name never depends on the sender.
    if name.len() > MAX_SERVICE_NAME {
        return Err(InvalidServiceName::TooLong { length: name.len() });
    }
    if let Some((position, character)) = name.char_indices().find(|(_, c)| !is_unreserved(*c)) {
        return Err(InvalidServiceName::Character {
            character,
            position,
        });
    }
    if name == "." || name == ".." {
        return Err(InvalidServiceName::Dots);
    }
    Ok(())
}

/// `unreserved` of RFC 3986, section 2.3.
fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-')
}

impl FromStr for ServiceName {
    type Err = InvalidServiceName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<&str> for ServiceName {
    type Error = InvalidServiceName;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl TryFrom<String> for ServiceName {
    type Error = InvalidServiceName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not a [`ServiceName`].
///
/// The message names the culprit and the rule, and never repeats more than one character of the text, escaped: names
/// come from requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServiceName {
    /// There is no name.
    #[error(
        "the service name is empty: give it 1 to {MAX_SERVICE_NAME} of the characters A-Z a-z 0-9 . _ ~ -"
    )]
    Empty,

    /// The name has more than [`MAX_SERVICE_NAME`] bytes.
    #[error("the service name has {length} bytes: use at most {MAX_SERVICE_NAME}")]
    TooLong {
        /// Bytes of the name.
        length: usize,
    },

    /// The name holds a character outside the unreserved set.
    #[error(
        "the service name has the character '{}' at byte {position}: use only A-Z a-z 0-9 . _ ~ -",
        .character.escape_default()
    )]
    Character {
        /// The first character that is not allowed.
        character: char,
        /// The byte at which it begins, counted from 0.
        position: usize,
    },

    /// The name is `.` or `..`, which clients resolve away before they send a path.
    #[error("\".\" and \"..\" cannot be service names: clients remove them from paths")]
    Dots,
}

/// What two peers agree to speak on a stream: which service, and in which of the naming schemes.
///
/// Whatever the name, the stream carries HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `/x/http/$name`: the names that this crate announces, and that `ipfs p2p listen /x/http/$name …` offers.
    Service(ServiceName),
    /// `/x/$name/http`: what kubo's gateway negotiates for `/p2p/$peer/x/$name/http/…`.
    ///
    /// With the name `http` it is the same protocol name as [`Protocol::Service`] with the name `http`.
    KuboService(ServiceName),
    /// `/http`: what kubo's gateway negotiates for `/p2p/$peer/http/…`.
    Kubo,
    /// `/http/1.1`: the libp2p HTTP specification, as go-libp2p and js-libp2p speak it.
    Libp2pHttp,
}

impl Protocol {
    /// The service that the protocol name holds; `None` for the names that stand for a peer's only HTTP server.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service(name) | Self::KuboService(name) => Some(name),
            Self::Kubo | Self::Libp2pHttp => None,
        }
    }

    /// The name to negotiate on a stream.
    #[must_use]
    pub fn stream_protocol(&self) -> StreamProtocol {
        match self {
            Self::Service(_) | Self::KuboService(_) => {
                StreamProtocol::try_from_owned(self.to_string())
                    .expect("both schemes begin with a slash")
            }
            Self::Kubo => StreamProtocol::new(KUBO),
            Self::Libp2pHttp => StreamProtocol::new(LIBP2P_HTTP),
        }
    }

    /// Reads a negotiated name; `None` if it is none of ours.
    ///
    /// `/x/http/http` fits two schemes and is read as [`Protocol::Service`].
    #[must_use]
    pub fn from_stream_protocol(protocol: &str) -> Option<Self> {
        match protocol {
            KUBO => return Some(Self::Kubo),
            LIBP2P_HTTP => return Some(Self::Libp2pHttp),
            _ => {}
        }
        if let Some(name) = protocol.strip_prefix(SERVICE_PREFIX) {
            return ServiceName::new(name).ok().map(Self::Service);
        }
        let name = protocol
            .strip_prefix(KUBO_SERVICE_PREFIX)?
            .strip_suffix(KUBO_SERVICE_SUFFIX)?;
        ServiceName::new(name).ok().map(Self::KuboService)
    }

    /// Whether a stream ends after one exchange, which then carries `Connection: close`.
    ///
    /// True for [`Protocol::Libp2pHttp`]: its
    /// [specification](https://github.com/libp2p/specs/blob/master/http/README.md) gives every request a stream of
    /// its own. With all other names a stream is a connection and serves many exchanges in turn.
    #[must_use]
    pub fn one_request_per_stream(&self) -> bool {
        matches!(self, Self::Libp2pHttp)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "{SERVICE_PREFIX}{name}"),
            Self::KuboService(name) => {
                write!(f, "{KUBO_SERVICE_PREFIX}{name}{KUBO_SERVICE_SUFFIX}")
            }
            Self::Kubo => f.write_str(KUBO),
            Self::Libp2pHttp => f.write_str(LIBP2P_HTTP),
        }
    }
}

impl From<ServiceName> for Protocol {
    fn from(name: ServiceName) -> Self {
        Self::Service(name)
    }
}

impl From<&ServiceName> for Protocol {
    fn from(name: &ServiceName) -> Self {
        Self::Service(name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold() {
        let longest = "a".repeat(MAX_SERVICE_NAME);
        for name in [
            "a",
            "web",
            "My.App_v1~2-x",
            "...",
            ".a",
            "0",
            "~",
            "proxy",
            &longest,
        ] {
            assert_eq!(ServiceName::new(name).unwrap().as_str(), name);
            assert_eq!(name.parse::<ServiceName>().unwrap().to_string(), name);
            assert_eq!(ServiceName::try_from(name).unwrap().as_ref(), name);
        }
    }

    #[test]
    fn names_that_break_a_rule() {
        use InvalidServiceName as E;
        let character = |character, position| E::Character {
            character,
            position,
        };
        let long = "a".repeat(101);
        let cases = [
            ("", E::Empty, "is empty"),
            (&long, E::TooLong { length: 101 }, "has 101 bytes"),
            (".", E::Dots, "clients remove them"),
            ("..", E::Dots, "clients remove them"),
            ("a/b", character('/', 1), "'/' at byte 1"),
            ("a b", character(' ', 1), "' ' at byte 1"),
            ("a%2F", character('%', 1), "'%' at byte 1"),
            ("a\r\n", character('\r', 1), r"'\r' at byte 1"),
            ("\0", character('\0', 0), r"'\u{0}' at byte 0"),
            ("dé", character('é', 1), r"'\u{e9}' at byte 1"),
            ("a\u{202e}", character('\u{202e}', 1), r"'\u{202e}'"),
            ("a:b", character(':', 1), "':' at byte 1"),
        ];
        for (name, error, text) in cases {
            let found = ServiceName::new(name).unwrap_err();
            assert_eq!(found, error, "{name:?}");
            let message = found.to_string();
            assert!(message.contains(text), "{message}");
            assert!(message.is_ascii(), "{message}");
        }
    }

    #[test]
    fn protocols_are_read_as_they_are_written() {
        let name: ServiceName = "web".parse().unwrap();
        let cases = [
            (Protocol::from(&name), "/x/http/web", false),
            (Protocol::KuboService(name.clone()), "/x/web/http", false),
            (Protocol::Kubo, "/http", false),
            (Protocol::Libp2pHttp, "/http/1.1", true),
        ];
        for (protocol, text, alone) in cases {
            assert_eq!(protocol.to_string(), text);
            assert_eq!(protocol.stream_protocol(), text);
            assert_eq!(Protocol::from_stream_protocol(text), Some(protocol.clone()));
            assert_eq!(protocol.one_request_per_stream(), alone);
        }
        assert_eq!(Protocol::from(&name), Protocol::from(name));
    }

    #[test]
    fn what_fits_two_schemes_is_a_service() {
        let name: ServiceName = "http".parse().unwrap();
        let text = Protocol::KuboService(name.clone()).to_string();
        assert_eq!(text, "/x/http/http");
        assert_eq!(
            Protocol::from_stream_protocol(&text),
            Some(Protocol::Service(name))
        );
    }

    #[test]
    fn other_protocols_are_not_ours() {
        for text in [
            "",
            "/",
            "http",
            "/x/http",
            "/x/http/",
            "/x/http/a/b",
            "/x//http",
            "/x/a/b/http",
            "/x/a/https",
            "/x/http/..",
            "/http/1.0",
            "/http/1.1/",
            "/HTTP",
            "/x/web/http/",
            "/x/http/web ",
            "/ipfs/id/1.0.0",
        ] {
            assert_eq!(Protocol::from_stream_protocol(text), None, "{text:?}");
        }
    }
}
