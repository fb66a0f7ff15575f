//! Which peer does a request target name by a whole multiaddr, for clients that do not take one apart?

use std::borrow::Cow;

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;

use super::{
    addresses::{AddressError, RequestAddresses},
    excerpt,
    path::{
        MULTIADDR_SCHEME, RouteError, Segments, check_characters, path_and_query, route_service,
        split_query,
    },
};
use crate::{h1::hex_digits, service::Protocol};

/// The field that names the multiaddr for a target `/http/multiaddr/$name/…`.
pub const MULTIADDR_FIELD: &str = "X-Libp2p-Multiaddr";

/// The part of a query that names it, up to its value.
const PARAMETER: &str = "multiaddr=";

/// The part of a multiaddr that names a resource of the peer.
const HTTP_PATH: &str = "/http-path";

/// Where a gateway sends a request whose target names its peer by a multiaddr.
///
/// | target | protocol | path |
/// | --- | --- | --- |
/// | `multiaddr:/ip4/…/p2p/$peer/http-path/$encoded?$query` | [`Protocol::Libp2pHttp`] | `/$decoded` |
/// | `/http/multiaddr/$name/$path?multiaddr=$encoded` | [`Protocol::Service`] | `/$path` |
///
/// The first is the [multiaddr URI](https://github.com/libp2p/specs/blob/master/http/README.md#multiaddr-uri-scheme) of the libp2p
/// HTTP specification, as a client sends it to a proxy. The value of `http-path` is decoded once, and is the path byte
/// for byte: `a%2Fb%2520c` is `/a/b%20c`. Without it the path is `/`. The query, if there is one, follows as it is.
///
/// In the second the multiaddr stands in percent-encoding in the part `multiaddr=` of the query, or as it is in the field
/// [`X-Libp2p-Multiaddr`](MULTIADDR_FIELD). Path and all else of the query stay as they are.
///
/// ```
/// use libp2p_http_proxy::route::{MultiaddrRoute, RequestAddresses};
///
/// let target = "/http/multiaddr/blog/a%2Fb?x=1&multiaddr=%2Fip4%2F192.0.2.7%2Ftcp%2F1%2Fp2p%2F\
///     12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5&y";
/// let route = MultiaddrRoute::parse(target, [], RequestAddresses::Any)?;
/// assert_eq!(route.protocol.to_string(), "/x/http/blog");
/// assert_eq!(route.target, "/a%2Fb?x=1&y");
/// assert_eq!(route.address.to_string(), "/ip4/192.0.2.7/tcp/1");
/// # Ok::<(), libp2p_http_proxy::route::RouteError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MultiaddrRoute {
    /// The peer at the end of the address.
    pub peer: PeerId,
    /// Where it is, without its id at the end.
    pub address: Multiaddr,
    /// The protocol to negotiate with it.
    pub protocol: Protocol,
    /// The path and query for the peer, in origin-form: always begins with a slash.
    pub target: String,
}

impl MultiaddrRoute {
    /// Reads the target of a request, and the values of its lines of [`X-Libp2p-Multiaddr`](MULTIADDR_FIELD).
    ///
    /// # Errors
    ///
    /// As [`Route::parse`](super::Route::parse), and [`RouteError::InvalidAddress`] for an address that is not `allowed`:
    /// none is, if that is [`RequestAddresses::Ignored`].
    pub fn parse<'v>(
        request_target: &str,
        fields: impl IntoIterator<Item = &'v [u8]>,
        allowed: RequestAddresses,
    ) -> Result<Self, RouteError> {
        if allowed == RequestAddresses::Ignored {
            return Err(AddressError::NotTaken.into());
        }
        match path_and_query(request_target) {
            Err(RouteError::ByMultiaddr) => Self::of_uri(request_target, allowed),
            Err(error) => Err(error),
            Ok(path_and_query) => Self::of_path(path_and_query, fields, allowed),
        }
    }

    fn of_uri(uri: &str, allowed: RequestAddresses) -> Result<Self, RouteError> {
        check_characters(uri)?;
        let (address, query) = split_query(&uri[MULTIADDR_SCHEME.len()..]);
        let (address, path) = split_http_path(address);
        let path = decoded_path(path)?;
        let (address, peer) = read(address, allowed)?;
        Ok(Self {
            peer,
            address,
            protocol: Protocol::Libp2pHttp,
            target: format!("/{path}{query}"),
        })
    }

    fn of_path<'v>(
        path_and_query: &str,
        fields: impl IntoIterator<Item = &'v [u8]>,
        allowed: RequestAddresses,
    ) -> Result<Self, RouteError> {
        let (path, query) = split_query(path_and_query);
        let mut segments = Segments { path, read: 0 };
        if segments.next() != Some("http") || segments.next() != Some("multiaddr") {
            let path = excerpt(path);
            return Err(RouteError::NotARoute { path });
        }
        let protocol = Protocol::Service(route_service(segments.next())?);
        let (prefix, rest) = path.split_at(segments.read);
        if rest.is_empty() {
            let location = format!("{prefix}/{query}");
            return Err(RouteError::MissingSlash { location });
        }
        let (query, named) = take_named(query)?;
        let fields = fields.into_iter().map(String::from_utf8_lossy);
        let mut named = named.into_iter().map(Cow::Owned).chain(fields);
        let is_repeated = |is_repeated| RouteError::OneMultiaddr { is_repeated };
        let address = named.next().ok_or(is_repeated(false))?;
        if named.any(|other| other != address) {
            return Err(is_repeated(true));
        }
        let (address, peer) = read(&address, allowed)?;
        Ok(Self {
            peer,
            address,
            protocol,
            target: format!("{rest}{query}"),
        })
    }
}

/// Reads a multiaddr that has to say whose it is.
fn read(text: &str, allowed: RequestAddresses) -> Result<(Multiaddr, PeerId), AddressError> {
    let (address, peer) = allowed.read_one(text)?;
    let no_peer = || AddressError::NoPeer {
        address: excerpt(text),
    };
    Ok((address, peer.ok_or_else(no_peer)?))
}

/// Splits a multiaddr into the one of the peer, and the value of `http-path`, which is the last part or none.
fn split_http_path(address: &str) -> (&str, &str) {
    if let Some(peer) = address.strip_suffix(HTTP_PATH) {
        return (peer, "");
    }
    let parts = address.rsplit_once('/');
    let split = parts.and_then(|(before, value)| Some((before.strip_suffix(HTTP_PATH)?, value)));
    split.unwrap_or((address, ""))
}

/// Takes the parts of a query out that name a multiaddr, and decodes them. What is left begins with the question mark, if
/// anything is left.
fn take_named(query: &str) -> Result<(String, Vec<String>), RouteError> {
    let Some(parts) = query.strip_prefix('?') else {
        return Ok((String::new(), Vec::new()));
    };
    let (named, kept): (Vec<_>, Vec<_>) = parts
        .split('&')
        .partition(|part| part.starts_with(PARAMETER));
    let kept = match kept.is_empty() {
        true => String::new(),
        false => format!("?{}", kept.join("&")),
    };
    let decoded = named.iter().map(|part| {
        let text = &part[PARAMETER.len()..];
        decode(text)
    });
    Ok((kept, decoded.collect::<Result<_, _>>()?))
}

/// The path that the value of `http-path` stands for.
fn decoded_path(encoded: &str) -> Result<String, RouteError> {
    const TWICE: &str = "names a path with a character that a target cannot have: encode it twice there, as %2520 for a space";
    let wrong = |reason| RouteError::Encoding {
        text: excerpt(encoded),
        reason,
    };
    let path = decode(encoded)?;
    // It must not turn into a query, which has its own place.
    match check_characters(&path) {
        Ok(()) if !path.contains('?') => Ok(path),
        _ => Err(wrong(TWICE)),
    }
}

/// Decodes a text in percent-encoding (RFC 3986, section 2.1).
fn decode(encoded: &str) -> Result<String, RouteError> {
    let wrong = || RouteError::Encoding {
        text: excerpt(encoded),
        reason: "is not UTF-8 in percent-encoding: write each byte of it as % and two hexadecimal digits",
    };
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    loop {
        rest = match rest {
            [] => return String::from_utf8(decoded).map_err(|_| wrong()),
            [b'%', high, low, behind @ ..] => {
                let byte = hex_digits(&[*high, *low]).and_then(|byte| u8::try_from(byte).ok());
                decoded.push(byte.ok_or_else(wrong)?);
                behind
            }
            [b'%', ..] => return Err(wrong()),
            [byte, behind @ ..] => {
                decoded.push(*byte);
                behind
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Route;

    const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
    const OTHER: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";

    fn address() -> String {
        format!("/ip4/1.1.1.1/tcp/1/p2p/{PEER}")
    }

    fn encoded() -> String {
        address().replace('/', "%2F")
    }

    fn parse(target: &str, fields: &[&str]) -> Result<MultiaddrRoute, RouteError> {
        let fields = fields.iter().map(|value| value.as_bytes());
        MultiaddrRoute::parse(target, fields, RequestAddresses::Public)
    }

    #[test]
    fn targets_that_name_an_address() {
        let (address, encoded) = (address(), encoded());
        let lower = encoded.replace("%2F", "%2f");
        let relay = format!("multiaddr:/ip4/1.1.1.1/tcp/1/p2p/{OTHER}/p2p-circuit/p2p/{PEER}");
        let uri = |rest: &str| format!("multiaddr:{address}{rest}");
        let path = |rest: &str| format!("/http/multiaddr/app{rest}");
        #[rustfmt::skip]
        let cases: Vec<(String, Vec<&str>, &str)> = vec![
            (uri(""), vec![], "/"),
            (uri("").replace("multi", "MULTI"), vec![], "/"),
            (uri("/http-path"), vec![], "/"),
            (uri("/http-path/"), vec![], "/"),
            (uri("?"), vec![], "/?"),
            (uri("?a=/http-path/b?"), vec![], "/?a=/http-path/b?"),
            (uri("/http-path/a%2Fb"), vec![], "/a/b"),
            (uri("/http-path/a%2fb%2F?q=%2F"), vec![], "/a/b/?q=%2F"),
            (uri("/http-path/a%252Fb%2520c%25zz"), vec![], "/a%2Fb%20c%zz"),
            (uri("/http-path/%2F%2Fa%2F..%2Fb"), vec![], "///a/../b"),
            (uri("/http-path/\u{e9}%C3%A9"), vec![], "/\u{e9}\u{e9}"),
            (uri("/http-path/.well-known%2Flibp2p"), vec![], "/.well-known/libp2p"),
            (relay, vec![], "/"),
            // Of no meaning there.
            (uri(""), vec![OTHER], "/"),
            (path(&format!("/?multiaddr={encoded}")), vec![], "/"),
            (path(&format!("/?multiaddr={lower}")), vec![], "/"),
            (path(&format!("/?multiaddr={address}")), vec![], "/"),
            (path(&format!("/a%2Fb//../?multiaddr={encoded}&x=%2F&&y")), vec![], "/a%2Fb//../?x=%2F&&y"),
            (path(&format!("/?x=1&multiaddr={encoded}&x=1")), vec![], "/?x=1&x=1"),
            (path(&format!("/?x&multiaddr={encoded}")), vec![], "/?x"),
            (path(&format!("/?&multiaddr={encoded}")), vec![], "/?"),
            (path(&format!("/?multiaddr={encoded}&multiaddr={lower}")), vec![&address], "/"),
            (path("/a"), vec![&address], "/a"),
            (path("/a?"), vec![&address, &address], "/a?"),
            (path("/a?multiaddrs=1&Multiaddr=2&x=multiaddr="), vec![&address], "/a?multiaddrs=1&Multiaddr=2&x=multiaddr="),
            (format!("http://h:1{}", path("/a?q")), vec![&address], "/a?q"),
        ];
        for (text, fields, target) in cases {
            let route = parse(&text, &fields).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(route.target, target, "{text}");
            assert_eq!(route.peer.to_string(), PEER);
            let is_uri = !text.contains("/multiaddr/");
            assert_eq!(route.protocol == Protocol::Libp2pHttp, is_uri, "{text}");
            assert_eq!(Route::parse(&text), Err(RouteError::ByMultiaddr), "{text}");
            let off = MultiaddrRoute::parse(&text, [], RequestAddresses::Ignored).unwrap_err();
            assert_eq!((off.status(), off), (403, AddressError::NotTaken.into()));
        }
    }

    #[test]
    fn targets_that_do_not() {
        let (address, encoded) = (address(), encoded());
        let uri = |rest: &str| format!("multiaddr:{address}{rest}");
        let path = |rest: &str| format!("/http/multiaddr/app{rest}");
        #[rustfmt::skip]
        let cases: Vec<(String, Vec<&str>, u16, &str)> = vec![
            ("multiaddr:".into(), vec![], 400, "''"),
            ("multiaddr://h/a".into(), vec![], 400, "'//h/a'"),
            ("multiaddr:/ip4/1.1.1.1/tcp/1".into(), vec![], 400, "append /p2p/PEER"),
            (format!("multiaddr:/ip4/1.1.1.1/tcp/1/p2p/{PEER}/p2p-circuit"), vec![], 400, "append /p2p/PEER"),
            (uri("/http"), vec![], 400, "behind /p2p/PEER"),
            (uri("").replace("/tcp", "/http-path/a/tcp"), vec![], 400, "/tcp/PORT or"),
            (uri("/http-path/a/b"), vec![], 400, "cannot be read"),
            (uri("/http-path/a%2"), vec![], 400, "percent-encoding"),
            (uri("/http-path/a%zz"), vec![], 400, "percent-encoding"),
            (uri("/http-path/a%+1"), vec![], 400, "percent-encoding"),
            (uri("/http-path/a%FF"), vec![], 400, "percent-encoding"),
            (uri("/http-path/a%20b"), vec![], 400, "encode it twice"),
            (uri("/http-path/a%0d%0ab"), vec![], 400, "encode it twice"),
            (uri("/http-path/a%23b"), vec![], 400, "encode it twice"),
            (uri("/http-path/a%3Fb"), vec![], 400, "encode it twice"),
            (uri("/http-path/a%00"), vec![], 400, "encode it twice"),
            (uri("/http-path/a b"), vec![], 400, "' '"),
            (uri("#a"), vec![], 400, "'#'"),
            ("multiaddr:/dns/http-path/tcp/1/p2p/".to_owned() + PEER, vec![], 403, "a name"),
            ("multiaddr:/ip4/127.0.0.1/tcp/1/p2p/".to_owned() + PEER, vec![], 403, "127.0.0.1"),
            (path("/"), vec![], 400, "no multiaddr"),
            (path("/?Multiaddr=x"), vec![], 400, "no multiaddr"),
            (path("/?multiaddr="), vec![], 400, "''"),
            (path("/?multiaddr=%2"), vec![], 400, "percent-encoding"),
            (path(&format!("/?multiaddr={encoded}x")), vec![], 400, "cannot be read"),
            (path(&format!("/?multiaddr={encoded}&multiaddr={encoded}x")), vec![], 400, "two different"),
            (path(&format!("/?multiaddr={encoded}")), vec!["/ip4/1.1.1.1/tcp/2"], 400, "two different"),
            (path("/"), vec![&address, OTHER], 400, "two different"),
            (path("/"), vec!["/dns/a/tcp/1/p2p/x"], 400, "cannot be read"),
            (path("/?multiaddr=/ip4/10.0.0.1/tcp/1"), vec![], 403, "10.0.0.1"),
            ("/http/multiaddr".into(), vec![], 400, "no service"),
            ("/http/multiaddr/".into(), vec![], 400, "no service"),
            ("/http/multiaddr/a%2Fb/".into(), vec![], 400, "'%'"),
            ("/http/multi/app/".into(), vec![&address], 400, "'/http/multi/app/'"),
            ("/".into(), vec![&address], 400, "'/'"),
            ("*".into(), vec![&address], 400, "'*'"),
        ];
        for (text, fields, status, said) in cases {
            let error = parse(&text, &fields).expect_err(&text);
            let message = error.to_string();
            assert!(message.contains(said), "{text}: {message}");
            assert!(message.is_ascii() && message.len() < 400, "{message}");
            assert_eq!((error.status(), error.location()), (status, None), "{text}");
        }
    }

    #[test]
    fn a_path_that_ends_with_the_service_is_completed() {
        let query = format!("?x&multiaddr={}", encoded());
        let error = parse(&format!("/http/multiaddr/app{query}"), &[]).expect_err("no slash");
        let location = format!("/http/multiaddr/app/{query}");
        assert_eq!(
            (error.status(), error.location()),
            (308, Some(location.as_str()))
        );
        assert!(parse(&location, &[]).is_ok());
    }
}
