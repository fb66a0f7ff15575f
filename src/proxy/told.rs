//! What does a request say of where its peer is, and may it?

use libp2p_core::Multiaddr;
use libp2p_identity::PeerId;

use crate::{
    browser::Fetch,
    destination::Destination,
    failure::Failure,
    h1::{Kind, RequestHead},
    proxy::rules::GatewayRules,
    route::{ADDRESSES_FIELD, MULTIADDR_FIELD, MultiaddrRoute, RequestAddresses, RouteError},
};

/// A request, as far as it may say where its peer is.
#[derive(Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) rules: &'a GatewayRules,
    pub(super) head: &'a RequestHead,
    pub(super) fetch: Fetch<'a>,
    /// Whether it comes from a page that may have been written by anybody. Then that has to be one of those that may use the
    /// gateway from elsewhere: who has this node dial where he likes learns what there is in its networks.
    pub(super) is_of_stranger: bool,
}

/// A peer, and where it is.
pub(super) struct Told {
    pub(super) to: Destination,
    /// The request says where, and is not listened to.
    pub(super) is_ignored: bool,
}

impl From<Destination> for Told {
    fn from(to: Destination) -> Self {
        let is_ignored = false;
        Self { to, is_ignored }
    }
}

impl Telling<'_> {
    /// The peer, and where the fields of the request say that it is.
    pub(super) fn told(&self, peer: PeerId) -> Result<Told, Failure> {
        let to = Destination::new(peer);
        let fields = self.head.fields();
        // Most requests have no field whose name begins with X, and that is known without looking at any.
        if fields.values(Kind::Extension).next().is_none() || !fields.contains(ADDRESSES_FIELD) {
            return Ok(to.into());
        }
        if self.allowed() == RequestAddresses::Ignored {
            let is_ignored = true;
            return Ok(Told { to, is_ignored });
        }
        self.check_page()?;
        Ok(to.with_addresses(self.addresses(&peer)?).into())
    }

    /// Reads a target that names its peer by a multiaddr; gives the destination with it.
    pub(super) fn route(&self) -> Result<(MultiaddrRoute, Destination), Failure> {
        let named = self.head.fields().get_all(MULTIADDR_FIELD);
        let route = MultiaddrRoute::parse(self.head.target(), named, self.allowed())?;
        self.check_page()?;
        let addresses = self.addresses(&route.peer)?;
        let named = route.address.clone();
        let others = addresses.into_iter().filter(|other| *other != named);
        let others: Vec<_> = others.collect();
        let destination = Destination::new(route.peer)
            .with_addresses([named])
            .with_addresses(others);
        Ok((route, destination))
    }

    fn allowed(&self) -> RequestAddresses {
        self.rules.request_addresses()
    }

    fn addresses(&self, peer: &PeerId) -> Result<Vec<Multiaddr>, Failure> {
        let lines = self.head.fields().get_all(ADDRESSES_FIELD);
        let read = self.allowed().read(peer, lines);
        Ok(read.map_err(RouteError::from)?)
    }

    fn check_page(&self) -> Result<(), Failure> {
        match self.is_of_stranger {
            true => self.rules.admit(&self.fetch),
            false => Ok(()),
        }
    }
}
