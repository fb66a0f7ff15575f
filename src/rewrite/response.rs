//! What becomes of a response on its way back to the client's hop?

use std::time::SystemTime;

use bytes::BytesMut;

use super::{
    CookieScope, Terms,
    added::Added,
    passed_on, protocol_names,
    scope::{Nominated, ends_at_hop, is_peer_field},
    single_upgrade,
    terms::{grants_reading, speaks_for_origin},
    via::{Pseudonym, VIA},
};
use crate::{
    date::{DATE, date, is_dated},
    h1::{
        Encoder, Entry, Field, FieldWriter, Fields, Kind, Misuse, Passed, RequestContext,
        ResponseHead, Sending, Server,
    },
};

/// How the head of one response, interim ones included, is passed on to the client's hop.
#[derive(Clone, Debug)]
pub struct ResponseRewrite<'a> {
    head: &'a ResponseHead,
    /// The fields with which the cookies stay in their scope, if those of the head do not.
    confined: Option<Box<Fields>>,
    nominated: Nominated<'a>,
    /// Whether the gateway says who may read the response, and not the service.
    grants_reading: bool,
    /// Whether the response is not the only one of its origin.
    shares_origin: bool,
    added: Added<'a>,
}

impl<'a> ResponseRewrite<'a> {
    /// Passes `head` on without the fields that concern the hop it came over, and without any [`PEER_FIELD`](super::PEER_FIELD).
    #[must_use]
    pub fn new(head: &'a ResponseHead) -> Self {
        Self {
            head,
            nominated: match head.nominates_none() {
                true => Nominated::default(),
                false => Nominated::new(head.fields()),
            },
            confined: None,
            grants_reading: false,
            shares_origin: false,
            added: Added::default(),
        }
    }

    /// Adds what a gateway tells a browser about the response of a service.
    pub(crate) fn set_terms(&mut self, terms: &Terms<'a>) {
        self.grants_reading = terms.add(self.head, &mut self.added);
        self.shares_origin = terms.shares_origin;
        if let Some(scope) = terms.cookies {
            self.set_cookie_scope(scope);
        }
    }

    /// Keeps the cookies that the response sets to the service that sets them.
    ///
    /// For a service at a host of its own `scope` is [`CookieScope::host_only`], and for one below a path
    /// [`CookieScope::below`] that. Interim responses and switches set cookies, too. The order of several cookies stays.
    #[must_use]
    #[inline]
    pub fn with_cookie_scope(mut self, scope: CookieScope<'_>) -> Self {
        self.set_cookie_scope(scope);
        self
    }

    fn set_cookie_scope(&mut self, scope: CookieScope<'_>) {
        let fields = self.head.fields();
        // Most responses set none.
        if fields.values(Kind::SetCookie).next().is_some() {
            self.confined = scope.confine(fields).map(Box::new);
        }
    }

    /// Adds a `Date`, where the server has sent none: who passes a final response on says when it came (RFC 9110,
    /// section 6.6.1).
    #[must_use]
    #[inline]
    pub fn with_date(mut self, now: SystemTime) -> Self {
        if self.is_undated() {
            self.add_date(now);
        }
        self
    }

    /// As [`with_date`](Self::with_date), and looks at the clock only where it has to.
    pub(crate) fn set_date(&mut self) {
        if self.is_undated() {
            self.add_date(SystemTime::now());
        }
    }

    fn is_undated(&self) -> bool {
        self.head.status() >= 200 && !is_dated(self.head.fields())
    }

    fn add_date(&mut self, now: SystemTime) {
        if let Some(text) = date(now) {
            self.added.push_joined(DATE, [&text[..]]);
        }
    }

    /// Appends this proxy to the `Via` of the response.
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

    /// The fields for the client's hop: what came, in its order, then what was added.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        let kept = passed_on(self.came(), |entry| self.decide(entry));
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
        let keeps_others = self.nominated.is_empty() && !self.grants_reading && !self.shares_origin;
        writer.pass(self.came(), keeps_others, |entry| self.decide(entry))?;
        self.added.write(writer)
    }

    /// What came, with cookies that stay in their scope.
    fn came(&self) -> &Fields {
        self.confined.as_deref().unwrap_or(self.head.fields())
    }

    #[inline]
    fn decide(&self, field: &Entry<'_>) -> Passed<'static> {
        let drops = match field.kind() {
            kind if ends_at_hop(kind) => true,
            Kind::Extension if is_peer_field(field.name()) => true,
            Kind::Other if self.grants_reading && grants_reading(field) => true,
            Kind::Other if self.shares_origin && speaks_for_origin(field) => true,
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
