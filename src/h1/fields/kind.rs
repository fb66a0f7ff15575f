//! Which fields mean something to a recipient or a proxy? Told once, when a field is parsed or
//! pushed, so that nobody compares its name again.

/// What a field is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None of the others: it concerns neither the message nor the hop.
    Other,
    /// Another one whose name begins with `X`, as those do that applications and proxies make up
    /// (RFC 6648).
    Extension,
    Te,
    Via,
    Date,
    Host,
    Expect,
    Upgrade,
    Forwarded,
    /// `Set-Cookie`, or `Set-Cookie2`, which is obsolete (RFC 6265, section 9.3) and read by some clients all the same
    SetCookie,
    Connection,
    KeepAlive,
    MaxForwards,
    Authorization,
    ContentLength,
    ProxyConnection,
    TransferEncoding,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyAuthenticationInfo,
}

/// Every kind, at the place of its number.
const ALL: [Kind; 20] = [
    Kind::Other,
    Kind::Extension,
    Kind::Te,
    Kind::Via,
    Kind::Date,
    Kind::Host,
    Kind::Expect,
    Kind::Upgrade,
    Kind::Forwarded,
    Kind::SetCookie,
    Kind::Connection,
    Kind::KeepAlive,
    Kind::MaxForwards,
    Kind::Authorization,
    Kind::ContentLength,
    Kind::ProxyConnection,
    Kind::TransferEncoding,
    Kind::ProxyAuthenticate,
    Kind::ProxyAuthorization,
    Kind::ProxyAuthenticationInfo,
];

impl Kind {
    /// The kind of the field called `name`, in any case.
    #[inline(always)]
    pub(crate) fn of(name: &[u8]) -> Self {
        // Most fields are none of these: their length and their first letter alone tell.
        let Some(first) = name.first().map(u8::to_ascii_lowercase) else {
            return Self::Other;
        };
        let (is_so, kind) = match (name.len(), first) {
            (2, b't') => (is(name, b"te"), Self::Te),
            (3, b'v') => (is(name, b"via"), Self::Via),
            (4, b'd') => (is(name, b"date"), Self::Date),
            (4, b'h') => (is(name, b"host"), Self::Host),
            (6, b'e') => (is(name, b"expect"), Self::Expect),
            (7, b'u') => (is(name, b"upgrade"), Self::Upgrade),
            (9, b'f') => (is(name, b"forwarded"), Self::Forwarded),
            (10, b's') => (is(name, b"set-cookie"), Self::SetCookie),
            (11, b's') => (is(name, b"set-cookie2"), Self::SetCookie),
            (10, b'c') => (is(name, b"connection"), Self::Connection),
            (10, b'k') => (is(name, b"keep-alive"), Self::KeepAlive),
            (12, b'm') => (is(name, b"max-forwards"), Self::MaxForwards),
            (13, b'a') => (is(name, b"authorization"), Self::Authorization),
            (14, b'c') => (is(name, b"content-length"), Self::ContentLength),
            (16, b'p') => (is(name, b"proxy-connection"), Self::ProxyConnection),
            (17, b't') => (is(name, b"transfer-encoding"), Self::TransferEncoding),
            (18, b'p') => (is(name, b"proxy-authenticate"), Self::ProxyAuthenticate),
            (19, b'p') => (is(name, b"proxy-authorization"), Self::ProxyAuthorization),
            (25, b'p') => (
                is(name, b"proxy-authentication-info"),
                Self::ProxyAuthenticationInfo,
            ),
            (_, b'x') => (true, Self::Extension),
            _ => return Self::Other,
        };
        if is_so { kind } else { Self::Other }
    }

    /// Whether fields of this kind can have different names.
    pub(super) fn is_any(self) -> bool {
        matches!(self, Self::Other | Self::Extension | Self::SetCookie)
    }

    /// Whether the field describes the hop or the framing, so that an encoder writes it or nobody
    /// may.
    pub(crate) fn is_reserved(self) -> bool {
        matches!(
            self,
            Self::Te
                | Self::Upgrade
                | Self::Connection
                | Self::KeepAlive
                | Self::ContentLength
                | Self::ProxyConnection
                | Self::TransferEncoding
        )
    }

    /// The number of the kind, for [`from_number`](Self::from_number).
    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn from_number(number: u8) -> Self {
        ALL.get(usize::from(number)).copied().unwrap_or(Self::Other)
    }
}

/// Whether `name`, which is as long as `spelled`, is that in any case. The compiler knows the length
/// and needs no loop.
fn is<const N: usize>(name: &[u8], spelled: &[u8; N]) -> bool {
    name.first_chunk::<N>().is_some_and(|name| {
        let letters = name.iter().zip(spelled);
        letters.fold(true, |same, (one, other)| {
            same & (one.to_ascii_lowercase() == *other)
        })
    })
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds(u32);

impl Kinds {
    pub(super) fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind.number();
    }

    pub(super) fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind.number()) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, Kind); 19] = [
        ("TE", Kind::Te),
        ("Via", Kind::Via),
        ("Date", Kind::Date),
        ("Host", Kind::Host),
        ("Expect", Kind::Expect),
        ("Upgrade", Kind::Upgrade),
        ("Forwarded", Kind::Forwarded),
        ("Set-Cookie", Kind::SetCookie),
        ("Set-Cookie2", Kind::SetCookie),
        ("Connection", Kind::Connection),
        ("Keep-Alive", Kind::KeepAlive),
        ("Max-Forwards", Kind::MaxForwards),
        ("Authorization", Kind::Authorization),
        ("Content-Length", Kind::ContentLength),
        ("Proxy-Connection", Kind::ProxyConnection),
        ("Transfer-Encoding", Kind::TransferEncoding),
        ("Proxy-Authenticate", Kind::ProxyAuthenticate),
        ("Proxy-Authorization", Kind::ProxyAuthorization),
        ("Proxy-Authentication-Info", Kind::ProxyAuthenticationInfo),
    ];

    #[test]
    fn every_name_is_known_in_every_case() {
        for (name, kind) in NAMES {
            let alternating = |upper: usize| -> String {
                let letters = name.chars().enumerate();
                letters
                    .map(|(at, letter)| match at % 2 == upper {
                        true => letter.to_ascii_uppercase(),
                        false => letter.to_ascii_lowercase(),
                    })
                    .collect()
            };
            for spelled in [
                name.to_owned(),
                name.to_ascii_lowercase(),
                name.to_ascii_uppercase(),
                alternating(0),
                alternating(1),
            ] {
                assert_eq!(Kind::of(spelled.as_bytes()), kind, "{spelled}");
            }
        }
    }

    #[test]
    fn what_is_only_like_a_name_is_another() {
        for (name, _) in NAMES {
            let mut others = vec![
                format!("{name}s"),
                format!("Y{name}"),
                format!("{name} "),
                name.replace('-', "_"),
                name[1..].to_owned(),
                name[..name.len() - 1].to_owned(),
            ];
            // One byte is another one. What tells the cases of a letter apart tells nothing of a
            // hyphen.
            for at in 0..name.len() {
                for change in [1, 0x20, 0x20 | 1, 0x40, 0x80] {
                    let mut bytes = name.as_bytes().to_vec();
                    if change == 0x20 && bytes[at].is_ascii_alphabetic() {
                        continue;
                    }
                    bytes[at] ^= change;
                    assert_eq!(Kind::of(&bytes), Kind::Other, "{}", bytes.escape_ascii());
                }
            }
            others.retain(|other| !other.starts_with('x') && other != name);
            // Only this name begins with another one.
            others.retain(|other| name != "Set-Cookie2" || other != "Set-Cookie");
            for other in others {
                assert_eq!(Kind::of(other.as_bytes()), Kind::Other, "{other}");
            }
        }
        for other in ["x", "X-Via", "X_Forwarded", "xhost"] {
            assert_eq!(Kind::of(other.as_bytes()), Kind::Extension, "{other}");
        }
        for other in ["", "-", "Accept", "Referer", "User-Agent", "Sec-Fetch-Dest"] {
            assert_eq!(Kind::of(other.as_bytes()), Kind::Other, "{other}");
        }
    }

    #[test]
    fn numbers_and_sets() {
        let mut kinds = Kinds::default();
        for (number, kind) in ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.number()), number);
            assert_eq!(Kind::from_number(kind.number()), kind);
            assert!(!kinds.contains(kind));
            kinds.insert(kind);
            assert!(kinds.contains(kind));
        }
        assert_eq!(Kind::from_number(u8::MAX), Kind::Other);
        // One kind has two names, and two have any number.
        assert_eq!(ALL.len(), NAMES.len() - 1 + 2);
    }
}
