//! Who may ask a service for what?

use std::collections::HashSet;

use libp2p_identity::PeerId;

use super::{AllowedMethod, PathPrefix};
use crate::{
    failure::Failure,
    h1::RequestHead,
    rewrite::HostPolicy,
    route::{excerpt, split_query},
    service::ServiceName,
};

/// What a [`Forward`](crate::Forward) lets peers do, and what the server sees of it. Exchanged while it runs by
/// [`Rules::set`](super::Rules::set).
///
/// A rule that is set holds what it lists, and denies everything else. By default none is set: every peer may send every
/// request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardRules {
    peers: Option<HashSet<PeerId>>,
    methods: Option<Vec<AllowedMethod>>,
    paths: Option<Vec<PathPrefix>>,
    host: HostPolicy,
    drops_forwarded: bool,
}

impl ForwardRules {
    /// Lets only these peers use the service, and nobody if there are none; others get a 403 that names them. Default: every
    /// peer may.
    #[must_use]
    pub fn with_allowed_peers(mut self, peers: impl IntoIterator<Item = PeerId>) -> Self {
        self.peers = Some(peers.into_iter().collect());
        self
    }

    /// Takes only requests with these methods; others get a 405. Default: all methods.
    #[must_use]
    pub fn with_allowed_methods(
        mut self,
        methods: impl IntoIterator<Item = AllowedMethod>,
    ) -> Self {
        self.methods = Some(methods.into_iter().collect());
        self
    }

    /// Takes only requests for paths below these prefixes; others get a 403. Default: all paths.
    #[must_use]
    pub fn with_allowed_paths(mut self, paths: impl IntoIterator<Item = PathPrefix>) -> Self {
        self.paths = Some(paths.into_iter().collect());
        self
    }

    /// Which `Host` the server sees. Default: [`HostPolicy::Preserve`].
    #[must_use]
    pub fn with_host(mut self, host: HostPolicy) -> Self {
        self.host = host;
        self
    }

    /// Whether the server gets what a peer says of its own client, in `Forwarded`, `X-Real-IP` and all fields whose names
    /// begin with `X-Forwarded-`. Peers write there what they like: `X-Libp2p-Peer` is what tells them apart. Default:
    /// `true`.
    #[must_use]
    pub fn with_forwarded_fields(mut self, kept: bool) -> Self {
        self.drops_forwarded = !kept;
        self
    }

    /// The peers that may use the service, in no order; `None` where every peer may.
    pub fn allowed_peers(&self) -> Option<impl Iterator<Item = PeerId> + '_> {
        self.peers.as_ref().map(|peers| peers.iter().copied())
    }

    /// The methods that requests may have; `None` where they may have any.
    #[must_use]
    pub fn allowed_methods(&self) -> Option<&[AllowedMethod]> {
        self.methods.as_deref()
    }

    /// The prefixes below which paths have to be; `None` where they may be any.
    #[must_use]
    pub fn allowed_paths(&self) -> Option<&[PathPrefix]> {
        self.paths.as_deref()
    }

    pub(crate) fn host(&self) -> &HostPolicy {
        &self.host
    }

    pub(crate) fn drops_forwarded(&self) -> bool {
        self.drops_forwarded
    }

    /// Refuses what the rules deny: first who asks, so that a stranger learns nothing of the other rules.
    pub(crate) fn check(
        &self,
        peer: PeerId,
        service: &ServiceName,
        head: &RequestHead,
        target: &str,
    ) -> Result<(), Failure> {
        let denied = |peers: &HashSet<_>| !peers.contains(&peer);
        if self.peers.as_ref().is_some_and(denied) {
            let service = service.clone();
            return Err(Failure::NotAllowed { peer, service });
        }
        if let Some(methods) = &self.methods
            && !methods.iter().any(|method| method.includes(head.method()))
        {
            let names: Vec<_> = methods.iter().map(AllowedMethod::to_string).collect();
            return Err(Failure::MethodNotAllowed {
                service: service.clone(),
                method: excerpt(head.method()),
                allowed: names.join(", "),
            });
        }
        if let Some(paths) = &self.paths
            && !paths.iter().any(|prefix| prefix.holds(target))
        {
            let (path, _) = split_query(target);
            return Err(Failure::PathNotAllowed {
                service: service.clone(),
                path: excerpt(path),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_told() {
        let open = ForwardRules::default();
        assert!(open.allowed_peers().is_none());
        assert_eq!((open.allowed_methods(), open.allowed_paths()), (None, None));
        let peer = PeerId::random();
        let paths = ["/a".parse().unwrap()];
        let closed = open
            .with_allowed_peers([peer])
            .with_allowed_methods([])
            .with_allowed_paths(paths.clone());
        assert_eq!(closed.allowed_peers().unwrap().collect::<Vec<_>>(), [peer]);
        assert_eq!(closed.allowed_methods(), Some(&[][..]));
        assert_eq!(closed.allowed_paths(), Some(&paths[..]));
    }

    #[test]
    fn what_is_listed_may_be_done_and_nothing_else() {
        let service: ServiceName = "app".parse().unwrap();
        let (friend, stranger) = (PeerId::random(), PeerId::random());
        let open = ForwardRules::default();
        let methods = || ["GET".parse().unwrap(), "PUT".parse().unwrap()];
        let paths = || ["/a".parse().unwrap(), "/b/c".parse().unwrap()];
        let closed = open
            .clone()
            .with_allowed_peers([friend])
            .with_allowed_methods(methods())
            .with_allowed_paths(paths());
        let nobody = open.clone().with_allowed_peers([]);
        let nothing = open.clone().with_allowed_methods([]);
        let nowhere = open.clone().with_allowed_paths([]);
        for (rules, peer, method, target, status) in [
            (&open, stranger, "DELETE", "/../x", None),
            (&closed, friend, "GET", "/a/x?y", None),
            (&closed, friend, "HEAD", "/b/c", None),
            (&closed, friend, "PUT", "/a", None),
            (&closed, friend, "POST", "/a", Some(405)),
            (&closed, friend, "GET", "/b", Some(403)),
            (&closed, friend, "GET", "/a/../b", Some(403)),
            (&closed, friend, "OPTIONS", "*", Some(405)),
            // Who asks comes first.
            (&closed, stranger, "POST", "/b", Some(403)),
            (&nobody, friend, "GET", "/", Some(403)),
            (&nothing, friend, "GET", "/", Some(405)),
            (&nowhere, friend, "GET", "/", Some(403)),
        ] {
            let head = RequestHead::new(method, target).unwrap();
            let refused = rules.check(peer, &service, &head, target).err();
            let found = refused.as_ref().map(Failure::status);
            assert_eq!(found, status, "{method} {target}: {refused:?}");
            if let (Some(403), true) = (status, peer == stranger) {
                assert!(refused.unwrap().to_string().contains(&peer.to_string()));
            }
        }
    }
}
