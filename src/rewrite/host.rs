//! What a proxy writes into the `Host` of a request.

use std::{fmt, net::SocketAddr, str::FromStr};

use crate::{h1::is_authority, route::excerpt};

/// Which `Host` the next hop sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostPolicy {
    /// The client's own, so that checks for the same origin and absolute redirects work.
    #[default]
    Preserve,
    /// The authority of the target. For servers that choose a site by its name.
    Target,
    /// Always the same one.
    Fixed(HostValue),
}

impl HostPolicy {
    /// The value to send instead of the client's; `None` if that is to stay.
    pub(super) fn value<'a>(&'a self, target: &'a HostValue) -> Option<&'a HostValue> {
        match self {
            Self::Preserve => None,
            Self::Target => Some(target),
            Self::Fixed(value) => Some(value),
        }
    }
}

/// A value that a `Host` field can have: a host with an optional port (RFC 9110, section 7.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostValue(Box<str>);

impl HostValue {
    /// This machine, as its own programs name it.
    #[cfg(feature = "tokio")]
    pub(crate) fn localhost() -> Self {
        Self("localhost".into())
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostValue {
    type Err = InvalidHostValue;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        if is_authority(value) {
            Ok(Self(value.into()))
        } else {
            Err(InvalidHostValue {
                value: excerpt(value),
            })
        }
    }
}

impl From<SocketAddr> for HostValue {
    fn from(address: SocketAddr) -> Self {
        // Made anew without the scope of an IPv6 address, which only this machine understands.
        let address = SocketAddr::new(address.ip(), address.port());
        Self(address.to_string().into())
    }
}

impl fmt::Display for HostValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text cannot be the value of a `Host` field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{value}' is not a host with an optional port: write it as example.org, 127.0.0.1:8080 or [::1]:8080"
)]
pub struct InvalidHostValue {
    /// The text, escaped, and cut if it is long.
    value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_values() {
        for value in [
            "h",
            "h:1",
            "example.org",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "a_b",
        ] {
            assert_eq!(host(value).as_str(), value);
            assert_eq!(host(value).to_string(), value);
        }
        for value in [
            "",
            "/",
            "h/",
            "h?",
            "h#",
            "h h",
            "h\r\nX: y",
            "u@h",
            "h:99999",
            "a,b",
            "[::1",
            "é",
        ] {
            let error = value.parse::<HostValue>().unwrap_err().to_string();
            assert!(
                error.contains("is not a host") && error.is_ascii(),
                "{error}"
            );
        }
        for (address, value) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:3000", "[::1]:3000"),
            ("[fe80::1%3]:3000", "[fe80::1]:3000"),
        ] {
            let own = HostValue::from(address.parse::<SocketAddr>().unwrap());
            assert_eq!(own, host(value));
        }
    }

    fn host(value: &str) -> HostValue {
        value.parse().unwrap()
    }
}
