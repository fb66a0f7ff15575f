//! What becomes of a request on its way to the next hop?

use std::{borrow::Cow, net::IpAddr};

use bytes::BytesMut;
use libp2p_identity::PeerId;

use super::{
    ForwardedMode, HostPolicy, HostValue,
    added::Added,
    client_text,
    max_forwards::counted_down,
    passed_on, protocol_names,
    scope::{
        FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, Nominated, PEER_FIELD, ends_at_hop,
        forwarded_field, is_of_client, is_peer_field, is_route_field,
    },
    single_upgrade,
    terms::is_of_origin,
    via::{Pseudonym, VIA},
};
#[cfg(feature = "tokio")]
use crate::h1::Length;
use crate::{
    h1::{
        Client, Encoder, Entry, Field, Kind, Misuse, Passed, RequestContext, RequestHead, Sending,
        Start, Version,
    },
    route::split_absolute,
};

/// How upgrades that end in HTTP again begin, those of drafts (`h2c-14`) included. Through them a client could send the
/// server requests that no proxy has looked at, with whatever it likes in [`PEER_FIELD`].
const HTTP_AGAIN: [&[u8]; 5] = [b"h2", b"http", b"spdy", b"ssl", b"tls"];

/// The schemes by which a connection is authenticated, and not a request.
#[cfg(feature = "tokio")]
const OF_CONNECTION: [&[u8]; 2] = [b"Negotiate", b"NTLM"];

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
    /// The `Max-Forwards` for the next hop, if it is not the one that came.
    max_forwards: Option<Box<[u8]>>,
    forwarded: ForwardedMode,
    /// Whether a browser keeps credentials for the origin that was asked, which others share.
    shares_origin: bool,
    added: Added<'a>,
}

impl<'a> RequestRewrite<'a> {
    /// Passes `head` on without the fields that concern the hop it came over, and without any [`PEER_FIELD`],
    /// [`ADDRESSES_FIELD`](crate::route::ADDRESSES_FIELD) and [`MULTIADDR_FIELD`](crate::route::MULTIADDR_FIELD). A
    /// [`Max-Forwards`](super::max_forwards()) is counted down; a request that says zero is not to be passed on at all.
    #[must_use]
    pub fn new(head: &'a RequestHead) -> Self {
        Self {
            head,
            nominated: match head.nominates_none() {
                true => Nominated::default(),
                false => Nominated::new(head.fields()),
            },
            host: None,
            max_forwards: counted_down(head),
            forwarded: ForwardedMode::Off,
            shares_origin: false,
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
    pub(crate) fn set_peer_text(&mut self, peer: &'a str) {
        self.added.push(PEER_FIELD, peer.as_bytes());
    }

    /// Tells the service how the client reached the gateway: from which address, under which `Host`, and by which
    /// scheme (`"http"`).
    #[must_use]
    #[inline]
    pub fn with_forwarded(mut self, mode: ForwardedMode, client: IpAddr, scheme: &'a str) -> Self {
        self.set_forwarded(mode, client_text(client).into(), scheme);
        self
    }

    /// Tells the service nothing about the client, and not what the request says of it either: as
    /// [`ForwardedMode::Drop`].
    #[must_use]
    pub fn without_forwarded(mut self) -> Self {
        self.forwarded = ForwardedMode::Drop;
        self
    }

    /// As [`with_forwarded`](Self::with_forwarded), for an address that [`client_text`] made a text before.
    pub(crate) fn set_forwarded_text(
        &mut self,
        mode: ForwardedMode,
        client: &'a [u8],
        scheme: &'a str,
    ) {
        self.set_forwarded(mode, client.into(), scheme);
    }

    fn set_forwarded(&mut self, mode: ForwardedMode, client: Cow<'a, [u8]>, scheme: &'a str) {
        self.forwarded = mode;
        if matches!(mode, ForwardedMode::Off | ForwardedMode::Drop) {
            return;
        }
        self.add_forwarded(FORWARDED_FOR, client);
        if let Some(host) = named_host(self.head) {
            self.add_forwarded(FORWARDED_HOST, host.into());
        }
        self.added.check(FORWARDED_PROTO, scheme);
        self.add_forwarded(FORWARDED_PROTO, scheme.as_bytes().into());
    }

    /// Adds one field, with what came under that name where that is to stay.
    fn add_forwarded(&mut self, name: &'static str, item: Cow<'a, [u8]>) {
        if self.forwarded != ForwardedMode::Append {
            return self.added.push(name, item);
        }
        let earlier = || {
            let lines = self.head.fields().get_all(name);
            lines.filter(|line| !line.is_empty())
        };
        // Every proxy has a client. But what it was that the first one was asked for, only that knows, and servers take
        // `https, http` for no scheme, or for the wrong one.
        let appended = name == FORWARDED_FOR || earlier().next().is_none();
        let parts = earlier().chain(appended.then_some(&*item));
        let parts = parts
            .enumerate()
            .flat_map(|(at, part)| [if at == 0 { &b""[..] } else { b", " }, part]);
        self.added.push_joined(name, parts);
    }

    /// Passes on no cookies and no `Authorization` of a browser that keeps them for others, too.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_terms(&mut self, terms: &super::Terms<'_>) {
        self.shares_origin = terms.shares_origin;
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
    /// itself for another: see [`is_loop`](super::is_loop).
    #[must_use]
    #[inline]
    pub fn with_via(mut self, pseudonym: &str) -> Self {
        self.added.push_via(self.head.version(), pseudonym);
        self
    }

    /// As [`with_via`](Self::with_via), for a proxy of this crate.
    pub(crate) fn set_own_via(&mut self, pseudonym: &'a Pseudonym) {
        self.added
            .push(VIA, pseudonym.received(self.head.version()));
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
            let keeps_others = self.nominated.is_empty() && !self.shares_origin;
            writer.pass(self.head.fields(), keeps_others, |entry| self.decide(entry))?;
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
        let replaced = match field.kind() {
            Kind::Host => self.host.map(str::as_bytes),
            Kind::MaxForwards => self.max_forwards.as_deref(),
            _ => None,
        };
        replaced.map_or(Passed::Kept, Passed::Replaced)
    }

    #[inline]
    fn drops(&self, field: &Entry<'_>) -> bool {
        match field.kind() {
            kind if ends_at_hop(kind) => true,
            // In HTTP/1.0 it means nothing (RFC 9110, section 10.1.1), and the next hop is HTTP/1.1, where it would.
            Kind::Expect if self.head.version() == Version::Http10 => true,
            Kind::Forwarded => {
                matches!(self.forwarded, ForwardedMode::Replace | ForwardedMode::Drop)
            }
            Kind::Extension if self.drops_own(field.name()) => true,
            Kind::Authorization if self.shares_origin => true,
            Kind::Other if self.shares_origin && is_of_origin(field) => true,
            _ => self.nominated.contains(field),
        }
    }

    /// Whether a field is dropped because only a proxy may set it.
    fn drops_own(&self, name: &[u8]) -> bool {
        if is_peer_field(name) || is_route_field(name) {
            return true;
        }
        match self.forwarded {
            ForwardedMode::Off => false,
            ForwardedMode::Replace | ForwardedMode::Drop => is_of_client(name),
            // What was added holds what the client sent.
            ForwardedMode::Append => {
                forwarded_field(name).is_some_and(|name| self.added.contains(name))
            }
        }
    }

    /// Whether the request passed on may say `TE: trailers`: if the client takes trailers, as the proxy passes them on
    /// (RFC 9110, section 10.1.4).
    #[must_use]
    pub fn te_trailers(&self) -> bool {
        self.head.takes_trailers()
    }

    /// Whether no request of another client or peer may follow on the next hop; `length` is that of the body.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_last(&self, length: Length) -> bool {
        let mut credentials = self.head.fields().values(Kind::Authorization);
        // RFC 9110, sections 9.3.1, 9.3.2 and 9.3.5: a server may overlook a body that its method does not have, and so take it
        // for the next request.
        let has_odd_body =
            !length.is_bodiless() && matches!(self.head.method(), "GET" | "HEAD" | "DELETE");
        has_odd_body || credentials.any(are_of_connection)
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
        let is_http = |name: &[u8]| {
            HTTP_AGAIN.iter().any(|http| {
                let beginning = name.get(..http.len());
                beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(http))
            })
        };
        (!protocol_names(protocols).any(is_http)).then_some(protocols)
    }
}

/// Whether a server that takes these credentials takes all that follows on the connection for sent by the same user: against
/// RFC 9110, section 3.3, but these schemes are made so (RFC 4559, section 6).
#[cfg(feature = "tokio")]
fn are_of_connection(credentials: &[u8]) -> bool {
    let mut words = credentials.split(|byte| matches!(byte, b' ' | b'\t'));
    let scheme = words.next().unwrap_or_default();
    OF_CONNECTION
        .iter()
        .any(|one| scheme.eq_ignore_ascii_case(one))
}

/// The Host of a request, unless it is empty, as it is with a target that has no authority.
fn named_host(head: &RequestHead) -> Option<&[u8]> {
    head.host().filter(|host| !host.is_empty())
}

/// The Host for the next hop, if it is not the one that the request came with.
fn host_for<'a>(
    head: &'a RequestHead,
    policy: &'a HostPolicy,
    target: &'a HostValue,
) -> Option<&'a str> {
    match policy.value(target) {
        Some(value) => Some(value.as_str()),
        None if named_host(head).is_some() => None,
        None => match split_absolute(head.target()) {
            Some((authority, _)) => Some(authority),
            None => Some(target.as_str()),
        },
    }
}
