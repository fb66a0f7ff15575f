//! Which method is a rule about?

use std::{fmt, str::FromStr};

use crate::{h1::is_token, route::excerpt};

/// The methods of RFC 9110, section 9.1, and PATCH (RFC 5789).
const KNOWN: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH",
];

/// A method that a rule allows: `GET`, for example. GET includes HEAD, whose response says nothing that GET would not.
///
/// ```
/// use libp2p_http_proxy::AllowedMethod;
///
/// let method: AllowedMethod = "GET".parse()?;
/// assert!(method.includes("HEAD") && !method.includes("POST"));
/// assert!("get".parse::<AllowedMethod>().is_err());
/// # Ok::<(), libp2p_http_proxy::InvalidMethod>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedMethod(Box<str>);

impl AllowedMethod {
    /// Whether the rule allows `method`.
    #[must_use]
    pub fn includes(&self, method: &str) -> bool {
        *self.0 == *method || (&*self.0 == "GET" && method == "HEAD")
    }
}

impl FromStr for AllowedMethod {
    type Err = InvalidMethod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // RFC 9110, section 9.1: methods are case-sensitive, so nobody would ever send what is meant by "get".
        let meant = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(text));
        match meant {
            Some(known) if *known != text => Err(InvalidMethod::Case { known }),
            _ if is_token(text.as_bytes()) => Ok(Self(text.into())),
            _ => Err(InvalidMethod::NotAToken {
                text: excerpt(text),
            }),
        }
    }
}

impl fmt::Display for AllowedMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text is no method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMethod {
    /// It is one in another case.
    #[error("methods are case-sensitive: write {known}")]
    Case {
        /// How it is written.
        known: &'static str,
    },

    /// It holds what no method can.
    #[error("'{text}' is not a method: write GET or POST, for example")]
    NotAToken {
        /// The text, escaped, and cut if it is long.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_tokens_in_their_own_case() {
        for text in ["GET", "PATCH", "PROPFIND", "M-SEARCH", "x"] {
            let method: AllowedMethod = text.parse().unwrap();
            assert_eq!(method.to_string(), text);
            assert!(method.includes(text) && !method.includes("OTHER"), "{text}");
            assert_eq!(method.includes("HEAD"), text == "GET");
        }
        for (text, said) in [
            ("get", "write GET"),
            ("Post", "write POST"),
            ("", "'' is not"),
            ("GET, PUT", "'GET, PUT' is not"),
            ("\u{e9}\n", "is not a method"),
        ] {
            let error = text.parse::<AllowedMethod>().unwrap_err().to_string();
            assert!(error.contains(said) && error.is_ascii(), "{error}");
        }
    }
}
