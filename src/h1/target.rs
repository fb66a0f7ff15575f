//! Whom does a request address? The forms of a target and the rules for Host (RFC 9112, sections
//! 3.2 and 3.3).

use std::net::Ipv6Addr;

use super::{
    error::Error,
    syntax::{alphanumeric_and, any, digits, hex_digit, is_token},
};

/// The form of a request target (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// `/path?query`
    Origin,
    /// `scheme://authority/path?query`
    Absolute {
        scheme: &'a [u8],
        authority: &'a [u8],
    },
    /// `multiaddr:/path?query`, absolute as well, and without an authority
    Multiaddr,
    /// `*`, for OPTIONS only
    Asterisk,
}

/// The only scheme without an authority that is read: whom its targets address, their path says. Proxies of the HTTP of
/// peers take them.
const MULTIADDR: &[u8] = b"multiaddr";

/// Checks that `method` is one that every recipient reads alike.
pub(crate) fn check_method(method: &[u8]) -> Result<(), Error> {
    if !is_token(method) {
        return Err(Error::Method);
    }
    // Methods are case-sensitive (RFC 9110, section 9.1), but not every server knows: one that
    // takes `head` for HEAD sends no body where we expect one.
    if method.eq_ignore_ascii_case(b"CONNECT") {
        return Err(if method == b"CONNECT" {
            Error::ConnectMethod
        } else {
            Error::Method
        });
    }
    if method.eq_ignore_ascii_case(b"HEAD") && method != b"HEAD" {
        return Err(Error::Method);
    }
    Ok(())
}

/// Which form `target` has, if it is one that `method` allows.
///
/// Browsers leave bytes unescaped that RFC 3986 wants escaped, such as `|` and non-ASCII letters.
/// They pass: what is refused is what ends a target elsewhere (white space, controls, `#`).
pub(crate) fn form<'a>(method: &[u8], target: &'a [u8]) -> Result<Form<'a>, Error> {
    // Few targets hold any of these, which is told faster than which one it is.
    if any(target, |byte| !(b'!'..0x7f).contains(&byte) || byte == b'#') {
        check_unusual(target)?;
    }
    match target {
        [b'/', ..] => Ok(Form::Origin),
        b"*" if method == b"OPTIONS" => Ok(Form::Asterisk),
        _ => absolute(target),
    }
}

fn check_unusual(target: &[u8]) -> Result<(), Error> {
    if target.iter().any(|&byte| byte <= b' ' || byte == 0x7f) || str::from_utf8(target).is_err() {
        return Err(Error::Target);
    }
    if target.contains(&b'#') {
        return Err(Error::Fragment);
    }
    Ok(())
}

/// Checks Host against the target and the version (RFC 9112, section 3.2).
pub(crate) fn check_host(form: Form<'_>, host: Option<&[u8]>, required: bool) -> Result<(), Error> {
    let Some(host) = host else {
        return if required {
            Err(Error::MissingHost)
        } else {
            Ok(())
        };
    };
    let Some(host) = Authority::parse(host) else {
        // A target without an authority comes with an empty Host.
        let is_unnamed = host.is_empty() && matches!(form, Form::Multiaddr);
        return is_unnamed.then_some(()).ok_or(Error::InvalidHost);
    };
    if let Form::Absolute { scheme, authority } = form {
        let authority = Authority::parse(authority).ok_or(Error::Target)?;
        if !authority.is_same(&host, scheme) {
            return Err(Error::HostConflict);
        }
    }
    Ok(())
}

fn absolute(target: &[u8]) -> Result<Form<'_>, Error> {
    let colon = memchr::memchr(b':', target).ok_or(Error::TargetForm)?;
    let (scheme, rest) = target.split_at(colon);
    if scheme.eq_ignore_ascii_case(MULTIADDR) && rest.starts_with(b":/") {
        return Ok(Form::Multiaddr);
    }
    let rest = rest.strip_prefix(b"://").ok_or(Error::TargetForm)?;
    if !is_scheme(scheme) {
        return Err(Error::TargetForm);
    }
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let authority = &rest[..end];
    // User information in a target is an attack on whoever reads it (RFC 9110, section 4.2.4), an
    // empty host an error (section 4.2.1).
    Authority::parse(authority).ok_or(Error::Target)?;
    Ok(Form::Absolute { scheme, authority })
}

/// Whether a text is a scheme (RFC 3986, section 3.1).
pub(crate) fn is_scheme(scheme: &[u8]) -> bool {
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Whether a text is what `Host` can hold, and a target between its scheme and its path.
pub(crate) fn is_authority(text: &str) -> bool {
    Authority::parse(text.as_bytes()).is_some()
}

/// A host with an optional port: `uri-host [ ":" port ]` (RFC 9110, section 7.2).
struct Authority<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (host, port) = match text {
            [b'[', inner @ ..] => {
                let end = memchr::memchr(b']', inner)?;
                let address = str::from_utf8(&inner[..end]).ok()?;
                address.parse::<Ipv6Addr>().ok()?;
                (&text[..end + 2], &inner[end + 1..])
            }
            _ => text.split_at(reg_name_length(text)?),
        };
        let port = match port {
            [] | [b':'] => None,
            [b':', digits_of_port @ ..] => Some(u16::try_from(digits(digits_of_port)?).ok()?),
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both name the same site, under the default port of `scheme`.
    fn is_same(&self, other: &Self, scheme: &[u8]) -> bool {
        let default = default_port(scheme);
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.or(default) == other.port.or(default)
    }
}

fn default_port(scheme: &[u8]) -> Option<u16> {
    let is = |name: &[u8]| scheme.eq_ignore_ascii_case(name);
    if is(b"http") || is(b"ws") {
        Some(80)
    } else if is(b"https") || is(b"wss") {
        Some(443)
    } else {
        None
    }
}

/// The length of the registered name or IPv4 address (RFC 3986, section 3.2.2) before the port, if
/// it is one, and not empty.
///
/// The comma, which the grammar allows, is refused: a recipient that joins fields would read two
/// hosts.
fn reg_name_length(text: &[u8]) -> Option<usize> {
    const PLAIN: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+;=");
    let is_plain = |byte: &u8| PLAIN[usize::from(*byte)];
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let plain = rest.iter().position(|byte| !is_plain(byte));
        length += plain.unwrap_or(rest.len());
        match &text[length..] {
            [] | [b':', ..] => break,
            [b'%', high, low, ..] => {
                hex_digit(*high).and(hex_digit(*low))?;
                length += 3;
            }
            _ => return None,
        }
    }
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods() {
        for (method, expected) in [
            ("GET", Ok(())),
            ("get", Ok(())),
            ("M-SEARCH", Ok(())),
            ("", Err(Error::Method)),
            ("G T", Err(Error::Method)),
            ("HEAD", Ok(())),
            ("head", Err(Error::Method)),
            ("CONNECT", Err(Error::ConnectMethod)),
            ("Connect", Err(Error::Method)),
        ] {
            assert_eq!(check_method(method.as_bytes()), expected, "{method:?}");
        }
    }

    #[test]
    fn forms() {
        let absolute = |scheme, authority| Ok(Form::Absolute { scheme, authority });
        for (method, target, expected) in [
            ("GET", "/", Ok(Form::Origin)),
            ("GET", "//a//../b?c=|{}\"\\^", Ok(Form::Origin)),
            ("GET", "/é", Ok(Form::Origin)),
            ("OPTIONS", "*", Ok(Form::Asterisk)),
            ("GET", "*", Err(Error::TargetForm)),
            (
                "GET",
                "http://a.b:80/c?d",
                absolute(&b"http"[..], &b"a.b:80"[..]),
            ),
            ("GET", "HTTP://a?b", absolute(b"HTTP", b"a")),
            ("GET", "ipfs+x://[::1]:9", absolute(b"ipfs+x", b"[::1]:9")),
            ("GET", "multiaddr:/ip4/1.1.1.1/tcp/1?q", Ok(Form::Multiaddr)),
            ("POST", "MultiAddr:/", Ok(Form::Multiaddr)),
            ("GET", "multiaddr:/a#b", Err(Error::Fragment)),
            ("GET", "multiaddr:/a b", Err(Error::Target)),
            ("GET", "multiaddr:a", Err(Error::TargetForm)),
            ("GET", "multiaddrs:/a", Err(Error::TargetForm)),
            ("GET", "http://u:p@a/", Err(Error::Target)),
            ("GET", "http:///a", Err(Error::Target)),
            ("GET", "http:/a", Err(Error::TargetForm)),
            ("GET", "1http://a", Err(Error::TargetForm)),
            ("GET", "://a", Err(Error::TargetForm)),
            ("GET", "a.b:80", Err(Error::TargetForm)),
            ("GET", "index.html", Err(Error::TargetForm)),
            ("GET", "", Err(Error::TargetForm)),
            ("GET", "/a#b", Err(Error::Fragment)),
            ("GET", "/a b", Err(Error::Target)),
            ("GET", "/a\tb", Err(Error::Target)),
            ("GET", "/a\x7f", Err(Error::Target)),
        ] {
            assert_eq!(
                form(method.as_bytes(), target.as_bytes()),
                expected,
                "{method} {target:?}"
            );
        }
        assert_eq!(form(b"GET", b"/\xff"), Err(Error::Target));
    }

    #[test]
    fn hosts() {
        for (host, valid) in [
            ("a", true),
            ("example.com:8080", true),
            ("example.com:", true),
            ("a_b.c~d", true),
            ("127.0.0.1:65535", true),
            ("[::1]", true),
            ("[2001:db8::1]:80", true),
            ("a%20b", true),
            ("", false),
            (":80", false),
            ("a:65536", false),
            ("a:-1", false),
            ("a:+1", false),
            ("a:80:80", false),
            ("a b", false),
            ("a,b", false),
            ("a/b", false),
            ("u@a", false),
            ("a%2", false),
            ("a%zz", false),
            ("[::1", false),
            ("[::1]x", false),
            ("[]", false),
            ("[a]", false),
            ("::1", false),
            ("é", false),
            ("http://a", false),
        ] {
            let result = check_host(Form::Origin, Some(host.as_bytes()), true);
            assert_eq!(result.is_ok(), valid, "{host:?}");
        }
    }

    #[test]
    fn only_a_target_without_authority_comes_with_an_empty_host() {
        let check = |target: &str, host: Option<&str>| {
            let form = form(b"GET", target.as_bytes()).expect("valid target");
            check_host(form, host.map(str::as_bytes), true)
        };
        for (target, host, expected) in [
            ("multiaddr:/a", Some(""), Ok(())),
            ("multiaddr:/a", Some("h:1"), Ok(())),
            ("multiaddr:/a", Some("a b"), Err(Error::InvalidHost)),
            ("multiaddr:/a", None, Err(Error::MissingHost)),
            ("/a", Some(""), Err(Error::InvalidHost)),
            ("http://h/a", Some(""), Err(Error::InvalidHost)),
        ] {
            assert_eq!(check(target, host), expected, "{target} {host:?}");
        }
    }

    #[test]
    fn an_absolute_target_and_host_agree() {
        for (target, host, expected) in [
            ("http://a/", "A", Ok(())),
            ("http://a/", "a:80", Ok(())),
            ("http://a:/", "a:80", Ok(())),
            ("https://a/", "a:443", Ok(())),
            ("http://a:080/", "a", Ok(())),
            ("https://a/", "a:80", Err(Error::HostConflict)),
            ("http://a/", "b", Err(Error::HostConflict)),
            ("http://a:81/", "a", Err(Error::HostConflict)),
            ("x://a/", "a:80", Err(Error::HostConflict)),
        ] {
            let form = form(b"GET", target.as_bytes()).expect("valid target");
            assert_eq!(
                check_host(form, Some(host.as_bytes()), true),
                expected,
                "{target} {host}"
            );
        }
        assert_eq!(
            check_host(Form::Origin, None, true),
            Err(Error::MissingHost)
        );
        assert_eq!(check_host(Form::Origin, None, false), Ok(()));
    }
}
