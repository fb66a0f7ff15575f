//! Who may do what? Rules that can be exchanged while a proxy runs by them.

mod forward;
mod gateway;
mod method;
mod path;

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

pub use self::{
    forward::ForwardRules,
    gateway::{GatewayRules, Tunnels},
    method::{AllowedMethod, InvalidMethod},
    path::{InvalidPathPrefix, PathPrefix},
};

/// The rules of a proxy, to be read and exchanged while it runs. Clones are handles to the same rules.
///
/// [`Forward::rules`](crate::Forward::rules) gives that of a service, [`Gateway::rules`](crate::Gateway::rules) that of a
/// gateway. Every request that comes after [`set`](Self::set) goes by the new rules, also on connections and streams that
/// were there before. Exchanges that have begun, tunnels included, go on under the old ones.
///
/// ```
/// # use libp2p_http_proxy::{Forward, ForwardConfig, ForwardRules};
/// # fn example(local_peer: libp2p_identity::PeerId, friend: libp2p_identity::PeerId) -> Result<(), Box<dyn std::error::Error>> {
/// let forward = Forward::new("http://127.0.0.1:3000".parse()?, local_peer, ForwardConfig::default());
/// let rules = forward.rules();
/// // … and while it serves:
/// rules.set(ForwardRules::default().with_allowed_peers([friend]));
/// # Ok(())
/// # }
/// ```
pub struct Rules<T>(Arc<Exchange<T>>);

struct Exchange<T> {
    /// Grows with every change, so that a request only has to compare two numbers to know that nothing changed.
    version: AtomicUsize,
    current: RwLock<Arc<T>>,
}

impl<T> Rules<T> {
    pub(crate) fn new(rules: T) -> Self {
        Self(Arc::new(Exchange {
            version: AtomicUsize::new(0),
            current: RwLock::new(Arc::new(rules)),
        }))
    }

    /// The rules that hold now.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        let current = self.0.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Exchanges the rules, for all requests from here on.
    pub fn set(&self, rules: T) {
        let current = self.0.current.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// The same rules, for one who looks at them again and again.
    pub(crate) fn follow(&self) -> Followed<T> {
        // The version first: rules that are newer than it are only looked at once more.
        let version = self.0.version.load(Ordering::Acquire);
        Followed {
            rules: self.clone(),
            version,
            current: self.current(),
        }
    }
}

impl<T> Clone for Rules<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Rules<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rules").field(&self.current()).finish()
    }
}

/// Rules as one connection last saw them. To look whether they are still the same takes no lock.
pub(crate) struct Followed<T> {
    rules: Rules<T>,
    version: usize,
    current: Arc<T>,
}

impl<T> Followed<T> {
    /// Takes over new rules; says whether there were any.
    pub(crate) fn update(&mut self) -> bool {
        let version = self.rules.0.version.load(Ordering::Acquire);
        if version == self.version {
            return false;
        }
        self.version = version;
        self.current = self.rules.current();
        true
    }

    /// The rules of the last [`update`](Self::update).
    pub(crate) fn seen(&self) -> &T {
        &self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_rules_are_seen_by_the_next_look_and_only_then() {
        let rules = Rules::new(1);
        let mut followed = rules.follow();
        assert!(!followed.update());
        assert_eq!(*followed.seen(), 1);

        let held = rules.current();
        rules.clone().set(2);
        assert_eq!((*held, *rules.current(), *followed.seen()), (1, 2, 1));
        assert!(followed.update());
        assert_eq!(*followed.seen(), 2);
        assert!(!followed.update());
        assert_eq!(*rules.follow().seen(), 2);
    }
}
