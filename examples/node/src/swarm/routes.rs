//! What is learned of what peers say of themselves? As much as can be of use to others goes into the hash table.

use libp2p::{
    Multiaddr, PeerId, identify,
    kad::{self, store::MemoryStore},
};

use super::reach::Reach;

/// Addresses of one peer. More than any has, and few enough to be told in one message.
const MAX_ADDRESSES: usize = 16;

type Table = kad::Behaviour<MemoryStore>;

/// Takes what a peer says of itself, if it is part of the hash table; its newest word replaces all before. Addresses that
/// mean another place elsewhere are left out: `via` is how far the connection reaches on which the peer told them.
pub(super) fn learn(table: &mut Table, peer: PeerId, info: &identify::Info, via: Reach) {
    let names = table.protocol_names();
    if !info.protocols.iter().any(|name| names.contains(name)) {
        return;
    }
    let said = usable(peer, &info.listen_addrs, via);
    if said.is_empty() {
        return;
    }
    let known = known(table, peer);
    for address in &said {
        table.add_address(&peer, address.clone());
    }
    for address in known {
        if !said.contains(&address) {
            table.remove_address(&peer, &address);
        }
    }
}

/// The addresses of a peer that mean the same place here as they do to it, with its id at the end.
pub(super) fn usable(peer: PeerId, addresses: &[Multiaddr], via: Reach) -> Vec<Multiaddr> {
    let usable = addresses
        .iter()
        .filter(|address| Reach::of(address) >= via)
        .filter_map(|address| address.clone().with_p2p(peer).ok());
    usable.take(MAX_ADDRESSES).collect()
}

fn known(table: &mut Table, peer: PeerId) -> Vec<Multiaddr> {
    let Some(bucket) = table.kbucket(peer) else {
        return Vec::new();
    };
    let entry = bucket
        .iter()
        .find(|entry| *entry.node.key.preimage() == peer);
    entry
        .map(|entry| entry.node.value.iter().cloned().collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    fn info(addresses: &[&str], protocol: &'static str) -> (PeerId, identify::Info) {
        let key = Keypair::generate_ed25519().public();
        let info = identify::Info {
            public_key: key.clone(),
            protocol_version: String::new(),
            agent_version: String::new(),
            listen_addrs: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            protocols: vec![libp2p::StreamProtocol::new(protocol)],
            observed_addr: Multiaddr::empty(),
            signed_peer_record: None,
        };
        (key.to_peer_id(), info)
    }

    fn table() -> Table {
        let peer = PeerId::random();
        let config = kad::Config::new(kad::PROTOCOL_NAME);
        Table::with_config(peer, MemoryStore::new(peer), config)
    }

    fn texts(table: &mut Table, peer: PeerId) -> Vec<String> {
        let suffix = format!("/p2p/{peer}");
        let known = known(table, peer);
        let texts = known.iter().map(|address| address.to_string());
        texts.map(|text| text.replace(&suffix, "")).collect()
    }

    #[test]
    fn the_newest_word_of_a_peer_counts() {
        let mut table = table();
        let (peer, mut info) = info(
            &["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/2"],
            "/ipfs/kad/1.0.0",
        );
        learn(&mut table, peer, &info, Reach::World);
        assert_eq!(texts(&mut table, peer).len(), 2);
        info.listen_addrs = vec!["/ip4/192.0.2.1/tcp/3".parse().unwrap()];
        learn(&mut table, peer, &info, Reach::World);
        assert_eq!(texts(&mut table, peer), ["/ip4/192.0.2.1/tcp/3"]);
        // One that says nothing has no newer word.
        info.listen_addrs.clear();
        learn(&mut table, peer, &info, Reach::World);
        assert_eq!(texts(&mut table, peer).len(), 1);
    }

    #[test]
    fn addresses_that_mean_another_place_here_are_left_out() {
        let addresses = [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.0.0.1/tcp/1",
            "/ip4/192.0.2.1/tcp/1",
        ];
        for (via, left) in [
            (Reach::Machine, &addresses[..]),
            (Reach::Network, &addresses[1..]),
            (Reach::World, &addresses[2..]),
        ] {
            let mut table = table();
            let (peer, info) = info(&addresses, "/ipfs/kad/1.0.0");
            learn(&mut table, peer, &info, via);
            assert_eq!(texts(&mut table, peer), left);
        }
    }

    #[test]
    fn who_only_asks_is_not_in_the_table() {
        let mut table = table();
        let (peer, info) = info(&["/ip4/192.0.2.1/tcp/1"], "/x/http/app");
        learn(&mut table, peer, &info, Reach::World);
        assert!(texts(&mut table, peer).is_empty());
    }

    #[test]
    fn a_peer_cannot_fill_the_table() {
        let mut table = table();
        let many: Vec<_> = (1..100)
            .map(|port| format!("/ip4/192.0.2.1/tcp/{port}"))
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let (peer, info) = info(&many, "/ipfs/kad/1.0.0");
        learn(&mut table, peer, &info, Reach::World);
        assert_eq!(texts(&mut table, peer).len(), MAX_ADDRESSES);
    }
}
