//! How many exchanges, or connections, has each client at the moment?

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::failure::{Capacity, Failure};

/// The running exchanges, or the connections, of every client. A client without any takes no room.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<Option<IpAddr>, usize>>>);

impl Clients {
    /// Counts an exchange, or a connection, of the client at an address, as long as the place lives. Nothing is counted
    /// without a limit.
    pub(super) fn enter(
        &self,
        address: Option<IpAddr>,
        max: Option<usize>,
    ) -> Result<Option<Place>, Failure> {
        let Some(max) = max else {
            return Ok(None);
        };
        let client = address.map(client_of);
        let mut running = self.running();
        let count = running.entry(client).or_default();
        if *count < max {
            *count += 1;
            let clients = self.clone();
            return Ok(Some(Place { clients, client }));
        }
        if *count == 0 {
            running.remove(&client);
        }
        let what = Capacity::ClientExchanges;
        Err(Failure::NoCapacity { what })
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange or a connection that is counted.
#[derive(Debug)]
pub(super) struct Place {
    clients: Clients,
    client: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.clients.running();
        if let Some(count) = running.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.client);
            }
        }
    }
}

/// What stands for one client. Whoever has an IPv6 address has 2^64 of them (RFC 4291, section 2.5.4).
///
/// For programs around a gateway that count clients as it does.
#[must_use]
pub fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_places_and_leaves_nothing_behind() {
        let clients = Clients::default();
        let enter = |address: &str, max| {
            let address = Some(address.parse().expect("is an address"));
            clients.enter(address, max)
        };
        assert!(matches!(enter("192.0.2.1", None), Ok(None)));
        assert!(enter("192.0.2.1", Some(0)).is_err());
        let first = enter("192.0.2.1", Some(2)).expect("is free");
        let mapped = enter("::ffff:192.0.2.1", Some(2)).expect("is free");
        assert_eq!(
            enter("192.0.2.1", Some(2)).expect_err("is full").status(),
            503
        );
        let other = enter("192.0.2.2", Some(1)).expect("is another's");
        drop(first);
        let again = enter("192.0.2.1", Some(2)).expect("is free again");

        let six = enter("2001:db8:0:1::1", Some(1)).expect("is free");
        assert!(enter("2001:db8:0:1:ffff::2", Some(1)).is_err());
        let network = enter("2001:db8:0:2::1", Some(1)).expect("is another's");
        let unknown = clients.enter(None, Some(1)).expect("is free");
        assert!(clients.enter(None, Some(1)).is_err());

        assert_eq!(clients.running().len(), 5);
        drop((mapped, other, again, six, network, unknown));
        assert!(clients.running().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        for (address, client) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1:2:3:4", "2001:db8::"),
        ] {
            let [address, client] =
                [address, client].map(|text| text.parse().expect("is an address"));
            assert_eq!(client_of(address), client);
        }
    }
}
