//! What is there to know of the running node? Told by those who know it, and read by the pages that show it.

mod exchanges;
mod peers;
mod text;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use libp2p::{Multiaddr, PeerId};
use libp2p_http_proxy::ServiceName;
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde::Serialize;
use tokio::sync::watch;

use self::exchanges::{Exchanges, Record, Totals};
pub(crate) use self::peers::{Link, Peers, PeersShown};

/// Bytes of an address that are shown. One through a relay has two peer ids, and is below 300.
const ADDRESS: usize = 512;

/// What is known of a node. Clones are of the same node.
#[derive(Clone, Debug)]
pub(crate) struct Status(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    node: Node,
    registry: Registry,
    /// Whether there is an admin address.
    shown: AtomicBool,
    known: Mutex<Known>,
    /// The version of what is known, for those who wait for another.
    version: watch::Sender<u64>,
}

/// What never changes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Node {
    #[serde(serialize_with = "as_text")]
    pub(crate) peer: PeerId,
    version: &'static str,
    /// In milliseconds since 1970, as every time here.
    started: u64,
}

/// What changes, in parts that each know when they last did.
#[derive(Debug, Default)]
struct Known {
    version: u64,
    addresses: Part<Vec<Address>>,
    services: Part<Vec<Service>>,
    attached: Part<BTreeMap<ServiceName, u64>>,
    ports: Part<Vec<Port>>,
    peers: Part<Peers>,
    exchanges: Part<Exchanges>,
    admin: Option<SocketAddr>,
}

/// A value, and the version of all that is known in which it is new.
#[derive(Debug)]
struct Part<T> {
    value: T,
    since: u64,
}

impl<T: Default> Default for Part<T> {
    fn default() -> Self {
        Self {
            value: T::default(),
            since: 1,
        }
    }
}

/// An address of the node, with its peer id at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Address {
    pub(crate) address: String,
    pub(crate) kind: AddressKind,
}

/// Who can get to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AddressKind {
    World,
    /// Whoever gets to the relay.
    Relay,
    Network,
    Machine,
}

/// What peers are offered, and who may use it. A rule that is not there allows everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) peers: Option<Vec<String>>,
    pub(crate) methods: Option<Vec<String>>,
    pub(crate) paths: Option<Vec<String>>,
}

/// A port for HTTP clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Port {
    pub(crate) address: String,
    /// The peer and service of a forwarded port.
    pub(crate) only: Option<(String, String)>,
    /// The pairs of peer and service that clients may use; without a list, all.
    pub(crate) allowed: Option<Vec<(String, String)>>,
    /// Whether programs may become services there.
    pub(crate) attach: bool,
}

/// What is new since a version, each part as a whole; of the exchanges those that ended since.
#[derive(Debug, Serialize)]
pub(crate) struct News {
    pub(crate) now: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Node>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<Vec<Service>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attached: Option<BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<Vec<Port>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<PeersShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
    /// The newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Vec<Arc<Record>>>,
}

impl Status {
    /// Of the node with this id, whose figures are in the registry.
    pub(crate) fn new(peer: PeerId, registry: Registry) -> Self {
        let known = Known {
            version: 1,
            ..Known::default()
        };
        Self(Arc::new(Shared {
            node: Node {
                peer,
                version: env!("CARGO_PKG_VERSION"),
                started: now(),
            },
            registry,
            shown: AtomicBool::new(false),
            version: watch::Sender::new(known.version),
            known: Mutex::new(known),
        }))
    }

    /// Where this node is shown.
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        self.known().admin
    }

    pub(crate) fn set_admin(&self, address: Option<SocketAddr>) {
        self.known().admin = address;
        self.0.shown.store(address.is_some(), Ordering::Relaxed);
    }

    /// Whether there is any place where the node is shown. A look at it waits for nobody.
    pub(crate) fn is_shown(&self) -> bool {
        self.0.shown.load(Ordering::Relaxed)
    }

    /// The figures of the node, as text for Prometheus.
    ///
    /// # Errors
    ///
    /// Fails where a figure has no text, which none of this program is without.
    pub(crate) fn figures(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// Whether this is the text of an address of the node.
    pub(crate) fn has_address(&self, text: &str) -> bool {
        let known = self.known();
        let mut addresses = known.addresses.value.iter();
        addresses.any(|address| address.address == text)
    }

    pub(crate) fn set_addresses(&self, addresses: Vec<Address>) {
        self.set(|known| &mut known.addresses, addresses);
    }

    pub(crate) fn set_services(&self, services: Vec<Service>) {
        self.set(|known| &mut known.services, services);
    }

    pub(crate) fn set_ports(&self, ports: Vec<Port>) {
        self.set(|known| &mut known.ports, ports);
    }

    /// A program is a service of this node.
    pub(crate) fn attached(&self, name: ServiceName) {
        self.change(|known| &mut known.attached, |all| all.insert(name, now()));
    }

    /// A program is none any more.
    pub(crate) fn detached(&self, name: &ServiceName) {
        self.change(|known| &mut known.attached, |all| all.remove(name));
    }

    /// Changes what is known of the peers.
    pub(crate) fn peers(&self, change: impl FnOnce(&mut Peers)) {
        self.change(|known| &mut known.peers, change);
    }

    /// Follows the changes of what is known, by its version.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// What is new since a version, and the version that this makes. Since version 0 all is new.
    pub(crate) fn since(&self, seen: u64) -> (News, u64) {
        let known = self.known();
        let exchanges = known.exchanges.newer(seen);
        let attached = known.attached.newer(seen);
        let news = News {
            now: now(),
            node: (seen == 0).then_some(self.0.node),
            addresses: known.addresses.newer(seen).cloned(),
            services: known.services.newer(seen).cloned(),
            attached: attached.map(|all| {
                let named = all.iter().map(|(name, since)| (name.to_string(), *since));
                named.collect()
            }),
            ports: known.ports.newer(seen).cloned(),
            peers: known.peers.newer(seen).map(Peers::shown),
            totals: exchanges.map(Exchanges::totals),
            requests: exchanges.map(|exchanges| exchanges.since(seen)),
        };
        (news, known.version)
    }

    /// Replaces a part, if it differs.
    fn set<T: PartialEq>(&self, part: impl FnOnce(&mut Known) -> &mut Part<T>, value: T) {
        let mut known = self.known();
        let next = known.version + 1;
        let part = part(&mut known);
        if part.value == value {
            return;
        }
        *part = Part { value, since: next };
        self.publish(known, next);
    }

    /// Changes a part.
    fn change<T, R>(
        &self,
        part: impl FnOnce(&mut Known) -> &mut Part<T>,
        change: impl FnOnce(&mut T) -> R,
    ) {
        let mut known = self.known();
        let next = known.version + 1;
        let part = part(&mut known);
        part.since = next;
        change(&mut part.value);
        self.publish(known, next);
    }

    fn publish(&self, mut known: MutexGuard<'_, Known>, version: u64) {
        known.version = version;
        // Under the lock, so that versions only grow.
        self.0.version.send_replace(version);
    }

    /// Nothing is left half done where a thread panics: every change is one assignment or call of std.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Part<T> {
    fn newer(&self, seen: u64) -> Option<&T> {
        (self.since > seen).then_some(&self.value)
    }
}

impl Address {
    /// An address of this node; one that ends with another peer id stays as it is.
    pub(crate) fn new(address: &Multiaddr, peer: PeerId, kind: AddressKind) -> Self {
        let address = address.clone().with_p2p(peer);
        let address = address.unwrap_or_else(|address| address);
        Self {
            address: text::shown(&address.to_string(), ADDRESS),
            kind,
        }
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

fn as_text<T: ToString, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn since(status: &Status, seen: &mut u64) -> Value {
        let (news, version) = status.since(*seen);
        *seen = version;
        let mut news = serde_json::to_value(news).unwrap();
        assert!(news.as_object_mut().unwrap().remove("now").is_some());
        news
    }

    #[test]
    fn a_reader_is_told_all_and_then_what_is_new() {
        let peer = PeerId::random();
        let status = Status::new(peer, Registry::default());
        let changes = status.follow();
        let mut seen = 0;
        let all = since(&status, &mut seen);
        assert_eq!(all["node"]["peer"], peer.to_string());
        assert_eq!(all["addresses"], json!([]));
        assert_eq!(all["requests"], json!([]));
        assert_eq!(since(&status, &mut seen), json!({}));
        assert!(!changes.has_changed().unwrap());

        let address = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        let address = Address::new(&address, peer, AddressKind::World);
        status.set_addresses(vec![address.clone()]);
        assert!(changes.has_changed().unwrap());
        let text = format!("/ip4/192.0.2.1/tcp/1/p2p/{peer}");
        let told = json!({ "addresses": [{ "address": text, "kind": "world" }] });
        assert_eq!(since(&status, &mut seen), told);

        // What stays the same is no news.
        status.set_addresses(vec![address]);
        assert_eq!(since(&status, &mut seen), json!({}));

        status.attached("chat".parse().unwrap());
        let told = since(&status, &mut seen);
        assert!(told["attached"]["chat"].is_u64(), "{told}");
        status.detached(&"chat".parse().unwrap());
        assert_eq!(since(&status, &mut seen), json!({ "attached": {} }));
    }
}
