//! What a proxy changes in a message between two hops (RFC 9110, section 7.6); everything else it passes on as it came.

mod added;
mod host;
mod scope;
mod terms;
mod via;

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
};

use bytes::BytesMut;
use libp2p_identity::PeerId;

#[cfg(feature = "tower")]
pub(crate) use self::scope::{is_peer_claim, may_be_trailer};
pub(crate) use self::terms::Terms;
use self::{
    added::Added,
    scope::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Nominated, ends_at_hop, own_field},
    terms::grants_reading,
};
pub use self::{
    host::{HostPolicy, HostValue, InvalidHostValue},
    scope::{PEER_FIELD, allowed_trailers},
    via::is_loop,
};
use crate::{
    h1::{
        Client, Encoder, Entry, Field, FieldWriter, Fields, Kind, Misuse, Passed, RequestContext,
        RequestHead, ResponseHead, Sending, Server, Start, Version, tokens,
    },
    route::{RouteError, excerpt, split_absolute},
};

/// Upgrades that end in HTTP again. Through them a client could send the server requests that no proxy has looked at,
/// with whatever it likes in [`PEER_FIELD`].
const HTTP_AGAIN: [&[u8]; 5] = [b"h2c", b"h2", b"http", b"tls", b"ssl"];

/// The longest `Upgrade` that is looked at. Each protocol that is granted is compared with each that was offered.
const MAX_UPGRADE: usize = 256;

/// What a gateway does with the fields that tell a service about the client: `X-Forwarded-For`, `X-Forwarded-Host` and
/// `X-Forwarded-Proto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardedMode {
    /// Set them, and drop what the client sent under these names or as `Forwarded`: anybody can write there.
    #[default]
    Replace,
    /// Append to what the client sent. For a gateway behind another proxy that sets them.
    Append,
    /// Neither set nor drop them.
    Off,
}

/// How the head of one request is passed on to the next hop.
///
/// The settings add to a request; nothing has to be set. [`encode`](Self::encode) writes the head with them. What
/// [`te_trailers`](Self::te_trailers) and [`upgrade`](Self::upgrade) say is for its options: both describe the hop, and
/// are written anew.
///
/// ```
/// use bytes::BytesMut;
/// use libp2p_http_proxy::{
///     h1::{Client, Encoder, RequestHead, Sending},
///     rewrite::RequestRewrite,
/// };
///
/// let head = RequestHead::new("GET", "/")?
///     .with_field("Host", "example.org")?
///     .with_field("Connection", "X-Hop")?
///     .with_field("X-Hop", "1")?
///     .with_field("x_libp2p-peer", "somebody else")?;
/// let rewrite = RequestRewrite::new(&head).with_via("p2p-gateway");
///
/// let mut out = BytesMut::new();
/// rewrite.encode(head.target(), Sending::default(), &mut Encoder::<Client>::new(), &mut out)?;
/// assert_eq!(out, "GET / HTTP/1.1\r\nHost: example.org\r\nVia: 1.1 p2p-gateway\r\n\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RequestRewrite<'a> {
    head: &'a RequestHead,
    nominated: Nominated<'a>,
    host: Option<&'a str>,
    forwarded: ForwardedMode,
    added: Added<'a>,
}

impl<'a> RequestRewrite<'a> {
    /// Passes `head` on without the fields that concern the hop it came over, and without any [`PEER_FIELD`].
    #[must_use]
    pub fn new(head: &'a RequestHead) -> Self {
        Self {
            head,
            nominated: match head.nominates_none() {
                true => Nominated::default(),
                false => Nominated::new(head.fields()),
            },
            host: None,
            forwarded: ForwardedMode::Off,
            added: Added::default(),
        }
    }

    /// Tells the service which peer sent the request. For the node that offers the service, with the peer of the
    /// authenticated connection.
    #[must_use]
    pub fn with_peer(mut self, peer: &PeerId) -> Self {
        self.added.push(PEER_FIELD, peer.to_string().into_bytes());
        self
    }

    /// As [`with_peer`](Self::with_peer), for an id that was made a text before.
    #[must_use]
    pub(crate) fn with_peer_text(mut self, peer: &'a str) -> Self {
        self.added.push(PEER_FIELD, peer.as_bytes());
        self
    }

    /// Tells the service how the client reached the gateway: from which address, under which `Host`, and by which
    /// scheme (`"http"`).
    #[must_use]
    #[inline]
    pub fn with_forwarded(mut self, mode: ForwardedMode, client: IpAddr, scheme: &'a str) -> Self {
        self.set_forwarded(mode, client_text(client).into(), scheme);
        self
    }

    /// As [`with_forwarded`](Self::with_forwarded), for an address that [`client_text`] made a text before.
    #[must_use]
    pub(crate) fn with_forwarded_text(
        mut self,
        mode: ForwardedMode,
        client: &'a [u8],
        scheme: &'a str,
    ) -> Self {
        self.set_forwarded(mode, client.into(), scheme);
        self
    }

    fn set_forwarded(&mut self, mode: ForwardedMode, client: Cow<'a, [u8]>, scheme: &'a str) {
        self.forwarded = mode;
        if mode == ForwardedMode::Off {
            return;
        }
        self.add_forwarded(FORWARDED_FOR, client);
        if let Some(host) = self.head.host() {
            self.add_forwarded(FORWARDED_HOST, host.into());
        }
        self.added.check(FORWARDED_PROTO, scheme);
        self.add_forwarded(FORWARDED_PROTO, scheme.as_bytes().into());
    }

    /// Adds one field with what the client sent under that name, if that is to stay, and one item more.
    fn add_forwarded(&mut self, name: &'static str, item: Cow<'a, [u8]>) {
        if self.forwarded != ForwardedMode::Append {
            return self.added.push(name, item);
        }
        let earlier = self.head.fields().get_all(name);
        let earlier = earlier.filter(|line| !line.is_empty());
        let parts = earlier.flat_map(|line| [line, b", "]).chain([&*item]);
        self.added.push_joined(name, parts);
    }

    /// Decides what `Host` the next hop sees; `target` is its own name. A request that has none, as HTTP/1.0 allows,
    /// gets the authority of an absolute target, or else `target`: on an HTTP/1.1 hop there must be one.
    #[must_use]
    #[inline]
    pub fn with_host(mut self, policy: &'a HostPolicy, target: &'a HostValue) -> Self {
        self.host = host_for(self.head, policy, target);
        self
    }

    /// Appends this proxy to the `Via` of the request (RFC 9110, section 7.6.3).
    ///
    /// `pseudonym` is a token. It should differ between all proxies that a request may pass, or one of them takes
    /// itself for another: see [`is_loop`].
    #[must_use]
    #[inline]
    pub fn with_via(mut self, pseudonym: &str) -> Self {
        self.added.push_via(self.head.version(), pseudonym);
        self
    }

    /// The fields for the next hop: what came, in its order, then what was added.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let kept = passed_on(self.head.fields(), |entry| self.decide(entry));
        let missing = self.missing_host().into_iter();
        missing.chain(kept).chain(self.added.iter())
    }

    /// Writes the head for the next hop, with `target` as its target: as [`Encoder::request`] does
    /// with [`fields`](Self::fields), but nothing that was checked when it was read is checked
    /// again, and what is passed on is copied in as few pieces as can be.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn encode(
        &self,
        target: &str,
        options: Sending<'_>,
        encoder: &mut Encoder<Client>,
        out: &mut BytesMut,
    ) -> Result<RequestContext, Misuse> {
        let start = Start::passed(self.head, target, self.host.is_none());
        encoder.request_with(&start, options, out, |writer| {
            if let Some(host) = self.missing_host() {
                writer.put(host)?;
            }
            writer.pass(self.head.fields(), self.nominated.is_empty(), |entry| {
                self.decide(entry)
            })?;
            self.added.write(writer)
        })
    }

    /// The Host of a request that came without. RFC 9110, section 7.2: it should be the first field.
    fn missing_host(&self) -> Option<Field<'_>> {
        let value = self.host.filter(|_| self.head.host().is_none())?.as_bytes();
        Some(Field {
            name: "Host",
            value,
        })
    }

    #[inline]
    fn decide<'s>(&'s self, field: &Entry<'_>) -> Passed<'s> {
        if self.drops(field) {
            return Passed::Dropped;
        }
        match self.host {
            Some(host) if field.kind() == Kind::Host => Passed::Replaced(host.as_bytes()),
            _ => Passed::Kept,
        }
    }

    #[inline]
    fn drops(&self, field: &Entry<'_>) -> bool {
        match field.kind() {
            kind if ends_at_hop(kind) => true,
            // In HTTP/1.0 it means nothing (RFC 9110, section 10.1.1), and the next hop is HTTP/1.1, where it would.
            Kind::Expect if self.head.version() == Version::Http10 => true,
            Kind::Forwarded if self.forwarded == ForwardedMode::Replace => true,
            Kind::Extension if self.drops_own(field.name()) => true,
            _ => self.nominated.contains(field),
        }
    }

    /// Whether a field is dropped because only a proxy may set it.
    fn drops_own(&self, name: &[u8]) -> bool {
        match (own_field(name), self.forwarded) {
            (None, _) => false,
            (Some(PEER_FIELD), _) | (Some(_), ForwardedMode::Replace) => true,
            (Some(_), ForwardedMode::Off) => false,
            // What was added holds what the client sent.
            (Some(name), ForwardedMode::Append) => self.added.contains(name),
        }
    }

    /// Whether the request passed on may say `TE: trailers`: if the client takes trailers, as the proxy passes them on
    /// (RFC 9110, section 10.1.4).
    #[must_use]
    pub fn te_trailers(&self) -> bool {
        self.head.takes_trailers()
    }

    /// The value of `Upgrade` for the next hop, if the request asks for a switch of protocols that may be passed on
    /// (RFC 9110, section 7.8).
    ///
    /// `None`, so that the request is passed on as an ordinary one, also if the protocols stand in several lines, are
    /// very many, or if one of them is HTTP again: in such a tunnel the client could claim to be another peer.
    #[must_use]
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        if !self.head.context().upgrade {
            return None;
        }
        let protocols = single_upgrade(self.head.fields())?;
        protocol_names(protocols)
            .all(|name| {
                !HTTP_AGAIN
                    .iter()
                    .any(|http| name.eq_ignore_ascii_case(http))
            })
            .then_some(protocols)
    }
}

/// How the head of one response, interim ones included, is passed on to the client's hop.
#[derive(Clone, Debug)]
pub struct ResponseRewrite<'a> {
    head: &'a ResponseHead,
    nominated: Nominated<'a>,
    /// Whether the gateway says who may read the response, and not the service.
    grants_reading: bool,
    added: Added<'a>,
}

impl<'a> ResponseRewrite<'a> {
    /// Passes `head` on without the fields that concern the hop it came over, and without any [`PEER_FIELD`].
    #[must_use]
    pub fn new(head: &'a ResponseHead) -> Self {
        Self {
            head,
            nominated: match head.nominates_none() {
                true => Nominated::default(),
                false => Nominated::new(head.fields()),
            },
            grants_reading: false,
            added: Added::default(),
        }
    }

    /// Adds what a gateway tells a browser about the response of a service.
    #[must_use]
    pub(crate) fn with_terms(mut self, terms: &Terms<'a>) -> Self {
        self.grants_reading = terms.add(self.head, &mut self.added);
        self
    }

    /// Appends this proxy to the `Via` of the response.
    #[must_use]
    #[inline]
    pub fn with_via(mut self, pseudonym: &str) -> Self {
        self.added.push_via(self.head.version(), pseudonym);
        self
    }

    /// The fields for the client's hop: what came, in its order, then what was added.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let kept = passed_on(self.head.fields(), |entry| self.decide(entry));
        kept.chain(self.added.iter())
    }

    /// Writes the head for the client's hop: as [`Encoder::response`] does with [`fields`](Self::fields), but nothing
    /// that was checked when it was read is checked again, and what is passed on is copied in as few pieces as can be.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn encode(
        &self,
        request: &RequestContext,
        options: Sending<'_>,
        encoder: &mut Encoder<Server>,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        encoder.response_with(request, self.head.into(), options, out, |writer| {
            self.write_fields(writer)
        })
    }

    /// As [`encode`](Self::encode), for an interim response: as [`Encoder::interim`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn encode_interim(
        &self,
        encoder: &mut Encoder<Server>,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        encoder.interim_with(self.head.into(), out, |writer| self.write_fields(writer))
    }

    fn write_fields<'s>(&'s self, writer: &mut FieldWriter<'_, 's>) -> Result<(), Misuse> {
        let keeps_others = self.nominated.is_empty() && !self.grants_reading;
        writer.pass(self.head.fields(), keeps_others, |entry| self.decide(entry))?;
        self.added.write(writer)
    }

    #[inline]
    fn decide(&self, field: &Entry<'_>) -> Passed<'static> {
        let drops = match field.kind() {
            kind if ends_at_hop(kind) => true,
            Kind::Extension if own_field(field.name()) == Some(PEER_FIELD) => true,
            Kind::Other if self.grants_reading && grants_reading(field) => true,
            _ => self.nominated.contains(field),
        };
        if drops { Passed::Dropped } else { Passed::Kept }
    }

    /// The value of `Upgrade` in a 101, if it grants protocols that `offered`, the value that the request was passed on
    /// with, holds. A server must not switch to any other (RFC 9110, section 7.8).
    #[must_use]
    pub fn upgrade(&self, offered: &[u8]) -> Option<&'a [u8]> {
        let granted = single_upgrade(self.head.fields())?;
        let was_offered =
            |name: &[u8]| protocol_names(offered).any(|one| one.eq_ignore_ascii_case(name));
        // Compared by name: servers answer `WebSocket` to `websocket`, and leave versions out.
        let mut names = protocol_names(granted).peekable();
        (names.peek().is_some() && names.all(was_offered)).then_some(granted)
    }
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

/// The Host for the next hop, if it is not the one that the request came with.
fn host_for<'a>(
    head: &'a RequestHead,
    policy: &'a HostPolicy,
    target: &'a HostValue,
) -> Option<&'a str> {
    match policy.value(target) {
        Some(value) => Some(value.as_str()),
        None if head.host().is_some() => None,
        None => match split_absolute(head.target()) {
            Some((authority, _)) => Some(authority),
            None => Some(target.as_str()),
        },
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

    use super::*;
    use crate::h1::{Decoder, Limits, Server, Step};

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
            "connection: KEEP-ALIVE, te, Host, Content-Length, X-Forwarded-For, forwarded, Via",
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
        ];
        let appended = vec![
            "Forwarded: for=5.5.5.5".to_string(),
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2,3.3.3.3, 2001:db8::1".into(),
            "X-Forwarded-Host: h:1".into(),
            "X-Forwarded-Proto: https, http".into(),
        ];
        let unchanged = request(&sent);
        for (mode, client, lines_sent, expected) in [
            (M::Replace, v4, &sent[..2], ours("127.0.0.1")),
            (M::Replace, mapped, &sent, ours("10.0.0.1")),
            (M::Append, v4, &sent[..2], ours("127.0.0.1")),
            (M::Append, v6, &sent, appended),
            (M::Off, v4, &sent[..2], vec![]),
            (M::Off, v4, &sent, lines(unchanged.fields().iter().skip(1))),
        ] {
            let head = request(lines_sent);
            let rewrite = RequestRewrite::new(&head).with_forwarded(mode, client, "http");
            let found = lines(rewrite.fields().skip(1));
            assert_eq!(found, expected, "{mode:?}");
        }
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
    fn upgrades_that_are_passed_on() {
        let many = format!("Upgrade: {}", "a,".repeat(129));
        for (fields, expected) in [
            (&["Upgrade: websocket"][..], Some("websocket")),
            (&["upgrade: WebSocket/13, chat"], Some("WebSocket/13, chat")),
            (&["Upgrade: h2c"], None),
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
