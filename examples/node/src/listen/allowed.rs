//! Which peers may use the services of listeners, all of them at once?

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use libp2p::PeerId;
use libp2p_http_proxy::{Forward, ForwardRules, Rules, ServiceName};

/// The peers that may use the services of listeners: those that there are, and those to come. Clones are the same.
#[derive(Clone)]
pub(crate) struct Allowed(Arc<Mutex<Inner>>);

struct Inner {
    rules: ForwardRules,
    services: HashMap<ServiceName, Rules<ForwardRules>>,
}

impl Allowed {
    /// Without a list, every peer may.
    pub(crate) fn new(peers: Option<&[PeerId]>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rules: rules(peers),
            services: HashMap::new(),
        })))
    }

    /// Lets these peers in from now on, and no others. Exchanges that run go on.
    pub(crate) fn set(&self, peers: Option<&[PeerId]>) {
        let mut inner = self.lock();
        inner.rules = rules(peers);
        for service in inner.services.values() {
            service.set(inner.rules.clone());
        }
    }

    /// Has a service go by them as long as it is there.
    pub(super) fn rule(&self, name: &ServiceName, forward: &Forward) {
        let mut inner = self.lock();
        let service = forward.rules();
        service.set(inner.rules.clone());
        inner.services.insert(name.clone(), service);
    }

    /// A service is no more.
    pub(super) fn forget(&self, name: &ServiceName) {
        self.lock().services.remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rules(peers: Option<&[PeerId]>) -> ForwardRules {
    let rules = ForwardRules::default();
    match peers {
        Some(peers) => rules.with_allowed_peers(peers.iter().copied()),
        None => rules,
    }
}
