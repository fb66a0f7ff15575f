//! What holds for every service and its host? It has one or has none by the rules for names, and the host leads to this
//! service and to no other.

use std::fmt;

use libp2p_http_proxy::{
    ServiceName,
    route::{Domain, peer_cid},
};
use libp2p_identity::PeerId;
use quickcheck::{Arbitrary, Gen, QuickCheck};

/// A peer with an Ed25519 key, with the hash of another key, or with an id that no kind of key has.
#[derive(Clone, Debug)]
struct AnyPeer(PeerId);

impl Arbitrary for AnyPeer {
    fn arbitrary(g: &mut Gen) -> Self {
        let (start, length): (&[u8], usize) = match g.choose(&[0, 1, 2, 3]) {
            Some(0) => (&[0x00, 42], 42),
            Some(1) => (&[0x12, 32], 32),
            _ => (&[0x00, 36, 0x08, 0x01, 0x12, 32], 32),
        };
        let mut id = start.to_vec();
        id.extend((0..length).map(|_| u8::arbitrary(g)));
        // Numbers that begin with zeros are short.
        for byte in &mut id[start.len()..][..usize::arbitrary(g) % 4] {
            *byte = 0;
        }
        Self(PeerId::from_bytes(&id).expect("the bytes of a peer id"))
    }
}

/// The name of a service, which is the label of a host as a rule.
#[derive(Clone)]
struct AnyName(ServiceName);

impl fmt::Debug for AnyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Arbitrary for AnyName {
    fn arbitrary(g: &mut Gen) -> Self {
        let start = *g
            .choose(&["", "", "", "xn", "xn--", "-"])
            .expect("not empty");
        let length = g.choose(&[1, 3, 8, 11, 12, 63, 64]).expect("not empty");
        let mut name = start.to_owned();
        for _ in 0..*length {
            let rare: &[u8] = match usize::arbitrary(g) % 100 {
                0 => b"AZ._~",
                _ => b"abcxyz0189-",
            };
            name.push(char::from(*g.choose(rare).expect("not empty")));
        }
        Self(
            name.parse()
                .unwrap_or_else(|_| "web".parse().expect("a name")),
        )
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let name = self.0.to_string();
        let shorter = (1..name.len()).filter_map(move |end| name[..end].parse().ok());
        Box::new(shorter.map(Self))
    }
}

#[derive(Clone, Debug)]
struct AnyDomain(Domain);

impl Arbitrary for AnyDomain {
    fn arbitrary(g: &mut Gen) -> Self {
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(60)].join(".");
        let domains = [
            "localhost",
            "example.com",
            "p2p.x",
            "a--b.p2p.localhost",
            &long,
        ];
        let domain = g.choose(&domains).expect("not empty");
        Self(domain.parse().expect("a domain"))
    }
}

/// The rules for names, written in another way: every part between hyphens, and every character of each.
fn is_label(name: &str) -> bool {
    let is_plain = |part: &str| part.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9'));
    let parts: Vec<_> = name.split('-').collect();
    let [first, .., last] = parts.as_slice() else {
        return is_plain(name) && (1..=63).contains(&name.len());
    };
    let is_encoded = parts.len() > 2 && (parts[0], parts[1]) == ("xn", "");
    let has_ends = !first.is_empty() && !last.is_empty();
    has_ends && !is_encoded && parts.iter().all(|part| is_plain(part)) && name.len() <= 63
}

/// How long the host of a service is, if it has one, by the rules for the two forms.
fn length_of_host(domain: &Domain, peer: &PeerId, name: &str) -> Option<usize> {
    let id = peer.to_bytes();
    let is_key = id.len() == 38 && id.starts_with(&[0, 36, 8, 1, 18, 32]);
    let is_single = is_key && name.len() <= 11 && name != "xn" && *domain != Domain::localhost();
    let cid = peer_cid(peer);
    let front = match is_single {
        true => name.len() + "--".len() + 50,
        false => name.len() + 1 + cid.len() + ".p2p".len(),
    };
    let length = front + 1 + domain.as_str().len();
    (is_label(name) && cid.len() <= 63 && length <= 253).then_some(length)
}

fn check<P: quickcheck::Testable>(property: P) {
    QuickCheck::new().tests(2_000).quickcheck(property);
}

#[test]
fn a_host_leads_back_to_its_service() {
    fn property(
        AnyPeer(peer): AnyPeer,
        AnyName(name): AnyName,
        AnyDomain(domain): AnyDomain,
        port: Option<u16>,
        upper: Vec<bool>,
    ) -> bool {
        let Some(host) = domain.host_of(&peer, &name) else {
            return length_of_host(&domain, &peer, name.as_str()).is_none();
        };
        if length_of_host(&domain, &peer, name.as_str()) != Some(host.len()) {
            return false;
        }
        let upper = upper.iter().chain([&false]).cycle();
        let written: String = host
            .chars()
            .zip(upper)
            .map(|(c, upper)| if *upper { c.to_ascii_uppercase() } else { c })
            .chain(
                port.map(|port| format!(":{port}"))
                    .unwrap_or_default()
                    .chars(),
            )
            .collect();
        domain.read(&host) == Some(Ok((peer, name.clone())))
            && domain.read(&written) == Some(Ok((peer, name)))
    }
    check(property as fn(AnyPeer, AnyName, AnyDomain, Option<u16>, Vec<bool>) -> bool);
}

#[test]
fn another_host_leads_to_another_service() {
    fn property(
        AnyPeer(peer): AnyPeer,
        AnyName(name): AnyName,
        AnyDomain(domain): AnyDomain,
        place: usize,
        other: char,
    ) -> bool {
        let Some(host) = domain.host_of(&peer, &name) else {
            return true;
        };
        let characters = ['a', '0', '-', '.', ':', other, '\u{212a}', '\u{17f}'];
        // Each changed, and once more with one character more.
        characters.into_iter().all(|character| {
            [0, 1].into_iter().all(|removed| {
                let mut changed = host.clone();
                let place = place % host.len();
                changed.replace_range(place..place + removed, character.encode_utf8(&mut [0; 4]));
                let is_same = changed.eq_ignore_ascii_case(&host)
                    || changed.strip_suffix(['.', ':']) == Some(host.as_str());
                is_same || domain.read(&changed) != Some(Ok((peer, name.clone())))
            })
        })
    }
    check(property as fn(AnyPeer, AnyName, AnyDomain, usize, char) -> bool);
}
