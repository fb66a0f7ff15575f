//! What a proxy changes in a message between two hops (RFC 9110, section 7.6); everything else it passes on as it came.

mod added;
mod cookie;
mod host;
mod max_forwards;
mod request;
mod response;
mod scope;
mod terms;
mod via;

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
};

#[cfg(feature = "tower")]
pub(crate) use self::scope::{is_peer_claim, may_be_trailer};
pub(crate) use self::terms::Terms;
#[cfg(feature = "tokio")]
pub(crate) use self::via::Pseudonym;
pub use self::{
    cookie::{CookieScope, InvalidCookiePrefix},
    host::{HostPolicy, HostValue, InvalidHostValue},
    max_forwards::{InvalidMaxForwards, max_forwards},
    request::RequestRewrite,
    response::ResponseRewrite,
    scope::{PEER_FIELD, allowed_trailers},
    via::is_loop,
};
use crate::{
    h1::{Entry, Field, Fields, Kind, Passed, tokens},
    route::{RouteError, excerpt, split_absolute},
};

/// The longest `Upgrade` that is looked at. Each protocol that is granted is compared with each that was offered.
const MAX_UPGRADE: usize = 256;

/// What a gateway does with the fields that tell a service about the client. It sets `X-Forwarded-For`, `X-Forwarded-Host`
/// and `X-Forwarded-Proto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardedMode {
    /// Set them, and drop what the client sent as `Forwarded`, `X-Real-IP` or under any name that begins with
    /// `X-Forwarded-`: anybody can write there.
    #[default]
    Replace,
    /// For a gateway behind another proxy that sets them: append to `X-Forwarded-For`, and set the others where that proxy
    /// has not.
    Append,
    /// Drop them as [`Replace`](Self::Replace) does, and set none: the service learns nothing about the client.
    Drop,
    /// Neither set nor drop them.
    Off,
}

/// The target as the server of the target has to get it: in origin-form, or `*` (RFC 9112, sections 3.2.1 and 3.2.4).
///
/// # Errors
///
/// [`RouteError::TargetForm`] for an absolute target whose scheme is not `http` or `https`: a server that takes it may
/// be asked to fetch anything.
pub fn origin_form<'a>(method: &str, target: &'a str) -> Result<Cow<'a, str>, RouteError> {
    if target.starts_with('/') || target == "*" {
        return Ok(target.into());
    }
    match split_absolute(target) {
        Some((_, "")) if method == "OPTIONS" => Ok("*".into()),
        Some((_, path)) if path.starts_with('/') => Ok(path.into()),
        // RFC 9110, section 4.2.3: an empty path is the path "/".
        Some((_, query)) => Ok(format!("/{query}").into()),
        None => Err(RouteError::TargetForm {
            target: excerpt(target),
        }),
    }
}

/// The address of a client as `X-Forwarded-For` has it.
pub(crate) fn client_text(client: IpAddr) -> Vec<u8> {
    // A client that speaks IPv4 has an IPv4 address, even if the listener's socket is one for both.
    match client.to_canonical() {
        IpAddr::V4(client) => ipv4_text(client),
        client => client.to_string().into_bytes(),
    }
}

/// As `to_string` makes it, in a fraction of the time: this is done for every request.
fn ipv4_text(address: Ipv4Addr) -> Vec<u8> {
    let mut text = Vec::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push(b'.');
        }
        if octet >= 100 {
            text.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            text.push(b'0' + octet / 10 % 10);
        }
        text.push(b'0' + octet % 10);
    }
    text
}

/// The fields of a list as `decide` says.
fn passed_on<'f>(
    fields: &'f Fields,
    decide: impl Fn(&Entry<'f>) -> Passed<'f> + Clone,
) -> impl Iterator<Item = Field<'f>> + Clone {
    fields.entries().filter_map(move |entry| {
        let field = entry.field();
        match decide(&entry) {
            Passed::Kept => Some(field),
            Passed::Dropped => None,
            Passed::Replaced(value) => Some(Field { value, ..field }),
        }
    })
}

/// The value of `Upgrade`, if there is exactly one, and not a very long one.
fn single_upgrade(fields: &Fields) -> Option<&[u8]> {
    let mut lines = fields.values(Kind::Upgrade);
    let protocols = lines.next()?;
    (lines.next().is_none() && protocols.len() <= MAX_UPGRADE).then_some(protocols)
}

/// The names in a list of protocols, `name` or `name/version` each (RFC 9110, section 7.8).
fn protocol_names(protocols: &[u8]) -> impl Iterator<Item = &[u8]> {
    tokens(protocols).filter_map(|protocol| protocol.split(|&byte| byte == b'/').next())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use bytes::BytesMut;
    use libp2p_identity::PeerId;

    use super::*;
    use crate::h1::{
        Decoder, Encoder, Limits, RequestContext, RequestHead, ResponseHead, Sending, Server, Step,
    };

    /// A head as it comes over the wire, from its lines.
    fn request(lines: &[&str]) -> RequestHead {
        let text = format!("{}\r\n\r\n", lines.join("\r\n"));
        let mut decoder = Decoder::<Server>::new(Limits::default().into());
        match decoder.decode(text.as_bytes()) {
            Ok((_, Step::Head(head))) => head,
            other => panic!("{lines:?}: {other:?}"),
        }
    }

    fn response(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
        fields
            .iter()
            .try_fold(ResponseHead::new(status).unwrap(), |head, (name, value)| {
                head.with_field(name, value)
            })
            .unwrap()
    }

    fn lines<'a>(fields: impl Iterator<Item = Field<'a>>) -> Vec<String> {
        fields
            .map(|field| format!("{}: {}", field.name, field.value.escape_ascii()))
            .collect()
    }

    fn host(value: &str) -> HostValue {
        value.parse().unwrap()
    }

    #[test]
    fn everything_else_is_passed_on_as_it_came() {
        let head = request(&[
            "GET /a%2F//b HTTP/1.1",
            "hOST: example.org",
            "X-A: 1",
            "accept: */*",
            "x-a: 2",
            "Cookie: a=\u{e9}; b=\"x, y\"",
            "Empty:",
            "Expect: 100-continue",
            "Trailer: X-Sum",
            "Forwarded: for=1.2.3.4",
            "X-Forwarded-For: 1.2.3.4",
            "Via: 1.1 a",
            "Host2: x",
        ]);
        let rewrite = RequestRewrite::new(&head);
        assert!(rewrite.fields().eq(head.fields().iter()));
        assert_eq!(rewrite.fields().count(), 12);
    }

    #[test]
    fn what_concerns_one_hop_ends_there() {
        let head = request(&[
            "POST / HTTP/1.1",
            "Host: h",
            "Connection: close, X-One,, x-TWO",
            "connection: KEEP-ALIVE, te, Host, Content-Length, X-Forwarded-For, forwarded, Via, x-real-ip",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "TE: trailers, deflate",
            "Upgrade: websocket",
            "Content-Length: 3",
            "Proxy-Authorization: Basic eA==",
            "x-one: 1",
            "X-One-More: 1",
            "X-TWO: 1",
            "X-tWo: 2",
            "X-Forwarded-For: 1.2.3.4",
            "Forwarded: for=1.2.3.4",
            "X-Real-IP: 1.2.3.4",
            "Via: 1.1 a",
            "Authorization: Basic eA==",
        ]);
        assert_eq!(
            lines(RequestRewrite::new(&head).fields()),
            [
                "Host: h",
                "X-One-More: 1",
                "X-Forwarded-For: 1.2.3.4",
                "Forwarded: for=1.2.3.4",
                "X-Real-IP: 1.2.3.4",
                "Via: 1.1 a",
                "Authorization: Basic eA==",
            ]
        );
        let head = response(
            200,
            &[
                ("Server", "x"),
                ("Connection", "x-hop"),
                ("Transfer-Encoding", "chunked"),
                ("Keep-Alive", "timeout=5"),
                ("Upgrade", "h2,h2c"),
                ("X-Hop", "1"),
                ("Proxy-Authenticate", "Basic"),
                ("Proxy-Authentication-Info", "x"),
                ("Set-Cookie", "a"),
                ("Set-Cookie", "b"),
                ("X_Libp2p_Peer", "somebody"),
                ("WWW-Authenticate", "Basic"),
            ],
        );
        assert_eq!(
            lines(ResponseRewrite::new(&head).with_via("us").fields()),
            [
                "Server: x",
                "Set-Cookie: a",
                "Set-Cookie: b",
                "WWW-Authenticate: Basic",
                "Via: 1.1 us",
            ]
        );
    }

    #[test]
    fn nobody_else_says_who_the_peer_is() {
        let peer: PeerId = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
            .parse()
            .unwrap();
        for spoof in [
            "X-Libp2p-Peer",
            "x-libp2p-peer",
            "X_LIBP2P_PEER",
            "X_Libp2p-Peer",
            "x-libp2p_peer",
            "X.Libp2p.Peer",
            "X-Libp2p~Peer",
        ] {
            let spoofed = format!("{spoof}: {peer}");
            // Named in Connection it would go for that reason alone.
            for option in ["close", spoof] {
                let option = format!("Connection: {option}");
                let head = request(&["GET / HTTP/1.1", "Host: h", &spoofed, &option, &spoofed]);
                assert_eq!(lines(RequestRewrite::new(&head).fields()), ["Host: h"]);
                assert_eq!(
                    lines(RequestRewrite::new(&head).with_peer(&peer).fields()),
                    ["Host: h".to_string(), format!("X-Libp2p-Peer: {peer}")]
                );
            }
            let head = response(200, &[(spoof, "x")]);
            assert_eq!(ResponseRewrite::new(&head).fields().count(), 0);
        }
        for other in [
            "X-Libp2p-Peers",
            "XX-Libp2p-Peer",
            "XaLibp2p-Peer",
            "X-Libp2p-PeerX",
        ] {
            let head = request(&["GET / HTTP/1.1", "Host: h", &format!("{other}: x")]);
            assert_eq!(RequestRewrite::new(&head).fields().count(), 2, "{other}");
        }
    }

    #[test]
    fn nobody_else_learns_where_the_client_said_that_the_peer_is() {
        for name in [
            "X-Libp2p-Addrs",
            "x-libp2p-addrs",
            "X_LIBP2P_ADDRS",
            "X.Libp2p-Addrs",
            "X-Libp2p-Multiaddr",
            "x_libp2p_multiaddr",
        ] {
            let line = format!("{name}: /ip4/1.1.1.1/tcp/1");
            for option in ["close", name] {
                let option = format!("Connection: {option}");
                let head = request(&["GET / HTTP/1.1", "Host: h", &line, &option, &line]);
                assert_eq!(lines(RequestRewrite::new(&head).fields()), ["Host: h"]);
            }
        }
    }

    #[test]
    fn an_empty_host_becomes_that_of_the_proxy() {
        let own = host("own:1");
        let head = request(&["GET multiaddr:/a HTTP/1.1", "hOST:", "A: 1"]);
        let rewrite = RequestRewrite::new(&head)
            .with_host(&HostPolicy::Preserve, &own)
            .with_forwarded(ForwardedMode::Replace, [127, 0, 0, 1].into(), "http");
        assert_eq!(
            lines(rewrite.fields()),
            [
                "hOST: own:1",
                "A: 1",
                "X-Forwarded-For: 127.0.0.1",
                "X-Forwarded-Proto: http"
            ]
        );
    }

    #[test]
    fn the_service_learns_how_the_client_came() {
        use ForwardedMode as M;
        let v4: IpAddr = "127.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let ours = |address: &str| {
            vec![
                format!("X-Forwarded-For: {address}"),
                "X-Forwarded-Host: h:1".into(),
                "X-Forwarded-Proto: http".into(),
            ]
        };
        let sent = [
            "GET / HTTP/1.1",
            "Host: h:1",
            "X-Forwarded-For: 1.1.1.1",
            "x-forwarded-for:",
            "X-Forwarded-Proto: https",
            "x-forwarded-for: 2.2.2.2,3.3.3.3",
            "X_Forwarded_For: 4.4.4.4",
            "Forwarded: for=5.5.5.5",
            "X-Forwarded-Port: 6",
            "X-REAL_IP: 7.7.7.7",
        ];
        let appended = vec![
            "Forwarded: for=5.5.5.5".to_string(),
            "X-Forwarded-Port: 6".into(),
            "X-REAL_IP: 7.7.7.7".into(),
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2,3.3.3.3, 2001:db8::1".into(),
            "X-Forwarded-Host: h:1".into(),
            "X-Forwarded-Proto: https".into(),
        ];
        let unchanged = request(&sent);
        for (mode, client, lines_sent, expected) in [
            (M::Replace, v4, &sent[..2], ours("127.0.0.1")),
            (M::Replace, mapped, &sent, ours("10.0.0.1")),
            (M::Append, v4, &sent[..2], ours("127.0.0.1")),
            (M::Append, v6, &sent, appended),
            (M::Drop, v4, &sent, vec![]),
            (M::Off, v4, &sent[..2], vec![]),
            (M::Off, v4, &sent, lines(unchanged.fields().iter().skip(1))),
        ] {
            let head = request(lines_sent);
            let rewrite = RequestRewrite::new(&head).with_forwarded(mode, client, "http");
            let found = lines(rewrite.fields().skip(1));
            assert_eq!(found, expected, "{mode:?}");
        }
        // What the client asked for, the first proxy knows; more of them in front of this one may have made it a list.
        let head = request(&[
            "GET / HTTP/1.1",
            "Host: 127.0.0.1:8080",
            "X-Forwarded-Host: app.example, between",
            "x_forwarded_host: spoof",
            "X-Forwarded-Proto:",
            "X-Forwarded-Proto: https",
            "x-forwarded-proto: http",
        ]);
        let rewrite = RequestRewrite::new(&head).with_forwarded(M::Append, v4, "http");
        let found = lines(rewrite.fields().skip(1));
        let expected = [
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Host: app.example, between",
            "X-Forwarded-Proto: https, http",
        ];
        assert_eq!(found, expected);
        // Without a Host of its own, a proxy knows nothing better than what one before it has said.
        let head = request(&["GET / HTTP/1.0", "X-Forwarded-Host: a"]);
        let rewrite = RequestRewrite::new(&head).with_forwarded(M::Append, v4, "http");
        assert_eq!(lines(rewrite.fields())[0], "X-Forwarded-Host: a");
        let rewrite = RequestRewrite::new(&head).with_forwarded(M::Replace, v4, "http");
        assert_eq!(rewrite.fields().count(), 2);
    }

    #[test]
    fn host_follows_the_policy() {
        use HostPolicy as P;
        let own = host("server:3000");
        let fixed = P::Fixed(host("fixed.example"));
        let sent = ["GET / HTTP/1.1", "A: 1", "hosT: h:1", "B: 2"];
        let bare = ["GET / HTTP/1.0", "A: 1"];
        let absolute = ["GET http://abs:2/x HTTP/1.0", "A: 1"];
        for (head, policy, expected) in [
            (&sent[..], &P::Preserve, &["A: 1", "hosT: h:1", "B: 2"][..]),
            (&sent, &P::Target, &["A: 1", "hosT: server:3000", "B: 2"]),
            (&sent, &fixed, &["A: 1", "hosT: fixed.example", "B: 2"]),
            (&bare, &P::Preserve, &["Host: server:3000", "A: 1"]),
            (&bare, &P::Target, &["Host: server:3000", "A: 1"]),
            (&bare, &fixed, &["Host: fixed.example", "A: 1"]),
            (&absolute, &P::Preserve, &["Host: abs:2", "A: 1"]),
            (&absolute, &P::Target, &["Host: server:3000", "A: 1"]),
        ] {
            let head = request(head);
            let rewrite = RequestRewrite::new(&head).with_host(policy, &own);
            assert_eq!(lines(rewrite.fields()), expected, "{policy:?}");
        }
    }

    #[test]
    fn via_is_appended() {
        for (version, expected) in [("1.0", "Via: 1.0 us"), ("1.1", "Via: 1.1 us")] {
            let first = format!("GET / HTTP/{version}");
            let head = request(&[&first, "Host: h", "Via: 1.1 a"]);
            let found = lines(RequestRewrite::new(&head).with_via("us").fields());
            assert_eq!(found, ["Host: h", "Via: 1.1 a", expected]);
        }
    }

    #[test]
    fn an_expectation_of_http_1_0_ends_here() {
        for (version, expected) in [("1.0", 1), ("1.1", 2)] {
            let first = format!("POST / HTTP/{version}");
            let head = request(&[
                &first,
                "Host: h",
                "eXpect: 100-continue",
                "Content-Length: 1",
            ]);
            assert_eq!(RequestRewrite::new(&head).fields().count(), expected);
        }
    }

    #[test]
    fn cookies_stay_in_their_scope() {
        let head = response(
            200,
            &[
                ("Set-Cookie", "a=1; Path=/; Domain=x"),
                ("Server", "x"),
                ("Connection", "x-hop"),
                ("set-cookie", "b=2"),
                ("X-Hop", "1"),
                ("Set-Cookie", "c=3;path=/c"),
                ("Content-Length", "0"),
            ],
        );
        let nowhere = ResponseRewrite::new(&head).with_cookie_scope(CookieScope::nowhere());
        assert_eq!(lines(nowhere.fields()), ["Server: x"]);
        let below = CookieScope::below("/p/app").unwrap();
        for (scope, first, last) in [
            (None, "a=1; Path=/; Domain=x", "c=3;path=/c"),
            (Some(CookieScope::host_only()), "a=1; Path=/", "c=3;path=/c"),
            (Some(below), "a=1; Path=/p/app/", "c=3;path=/p/app/c"),
        ] {
            let mut rewrite = ResponseRewrite::new(&head).with_via("us");
            if let Some(scope) = scope {
                rewrite = rewrite.with_cookie_scope(scope);
            }
            let expected = [
                &format!("Set-Cookie: {first}"),
                "Server: x",
                "set-cookie: b=2",
                &format!("Set-Cookie: {last}"),
                "Via: 1.1 us",
            ];
            assert_eq!(lines(rewrite.fields()), expected, "{scope:?}");

            let mut written = BytesMut::new();
            let context = RequestContext::default();
            let encoder = &mut Encoder::<Server>::new();
            rewrite
                .encode(&context, Sending::default(), encoder, &mut written)
                .unwrap();
            let written = String::from_utf8(written.to_vec()).unwrap();
            let end = format!("{}\r\nContent-Length: 0\r\n\r\n", expected.join("\r\n"));
            assert!(written.ends_with(&end), "{written}");
        }
    }

    #[test]
    fn upgrades_that_are_passed_on() {
        let many = format!("Upgrade: {}", "a,".repeat(129));
        for (fields, expected) in [
            (&["Upgrade: websocket"][..], Some("websocket")),
            (&["upgrade: WebSocket/13, chat"], Some("WebSocket/13, chat")),
            (&["Upgrade: h2c"], None),
            (&["Upgrade: H2C-14"], None),
            (&["Upgrade: websocket, SPDY/3.1"], None),
            (&["Upgrade: websocket, H2C"], None),
            (&["Upgrade: HTTP/2.0"], None),
            (&["Upgrade: TLS/1.2, HTTP/1.1"], None),
            (&["Upgrade: a", "Upgrade: b"], None),
            (&[&many], None),
            (&["Upgrade: web socket"], None),
            (&["Upgrade: websocket", "Content-Length: 1"], None),
            (&[], None),
        ] {
            let mut head = vec!["GET / HTTP/1.1", "Host: h", "Connection: upgrade"];
            head.extend(fields);
            let head = request(&head);
            let rewrite = RequestRewrite::new(&head);
            assert_eq!(rewrite.upgrade(), expected.map(str::as_bytes), "{fields:?}");
            assert_eq!(lines(rewrite.fields()), ["Host: h"]);
        }
    }

    #[test]
    fn upgrades_that_are_granted() {
        for (offered, granted, expected) in [
            ("websocket", &["websocket"][..], Some("websocket")),
            ("websocket", &["WebSocket"], Some("WebSocket")),
            ("a/1, b", &["b"], Some("b")),
            ("a/1, b", &["a"], Some("a")),
            ("a/1, b", &["b, A/1"], Some("b, A/1")),
            ("websocket", &["h2c"], None),
            ("websocket", &["websocket, h2c"], None),
            ("websocket", &["websocket", "websocket"], None),
            ("websocket", &[""], None),
            ("websocket", &[","], None),
            ("websocket", &[], None),
        ] {
            let fields: Vec<_> = granted.iter().map(|value| ("Upgrade", *value)).collect();
            let head = response(101, &fields);
            let found = ResponseRewrite::new(&head).upgrade(offered.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{offered} {granted:?}");
        }
    }

    #[test]
    fn trailers_are_told_on_request() {
        for (te, expected) in [
            ("trailers", true),
            ("gzip, Trailers", true),
            ("gzip", false),
        ] {
            let te = format!("TE: {te}");
            let head = request(&["GET / HTTP/1.1", "Host: h", "Connection: TE", &te]);
            assert_eq!(RequestRewrite::new(&head).te_trailers(), expected, "{te}");
        }
    }

    #[test]
    fn client_addresses() {
        for octets in (0..=255).map(|octet| [octet, 255 - octet, octet / 2, octet % 10]) {
            let client = Ipv4Addr::from(octets);
            assert_eq!(client_text(client.into()), client.to_string().as_bytes());
            assert_eq!(
                client_text(client.to_ipv6_mapped().into()),
                client.to_string().as_bytes()
            );
        }
        assert_eq!(client_text(Ipv6Addr::LOCALHOST.into()), b"::1");
    }

    #[test]
    fn targets_in_origin_form() {
        for (method, target, expected) in [
            ("GET", "/a//b?c", Some("/a//b?c")),
            ("GET", "//h/x", Some("//h/x")),
            ("OPTIONS", "*", Some("*")),
            ("GET", "http://h/a//b?c", Some("/a//b?c")),
            ("GET", "HTTPS://h:1//a", Some("//a")),
            ("GET", "http://h", Some("/")),
            ("GET", "http://h?q=/a", Some("/?q=/a")),
            ("OPTIONS", "http://h", Some("*")),
            ("OPTIONS", "http://h/", Some("/")),
            ("OPTIONS", "http://h?q", Some("/?q")),
            ("GET", "ftp://h/a", None),
            ("GET", "file:///a", None),
            ("GET", "h:80", None),
        ] {
            let found = origin_form(method, target).ok();
            assert_eq!(found.as_deref(), expected, "{method} {target}");
        }
    }
}
