//! Why was a peer not reached, or a listener not opened, in words for a log?

use std::{error::Error, io};

use libp2p::{TransportError, swarm::DialError};

use crate::logging::one_line;

/// Each address that was tried, with what stopped it. The text of the swarm repeats that for each layer of the transport.
pub(super) fn of_dial(error: &DialError) -> String {
    let DialError::Transport(attempts) = error else {
        return one_line(&error.to_string());
    };
    let attempts = attempts.iter();
    let attempts = attempts.map(|(address, error)| format!("{address}: {}", of_transport(error)));
    attempts.collect::<Vec<_>>().join("; ")
}

/// What stopped a transport.
pub(super) fn of_transport(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "this node has no transport for it".to_owned(),
        TransportError::Other(error) => one_line(&deepest(error)),
    }
}

/// What is at the bottom of the many layers of errors that transports make. Some of them are transparent, so that only the
/// text is left of what they hold.
pub(super) fn deepest(error: &io::Error) -> String {
    let mut deepest: &(dyn Error + 'static) = error;
    loop {
        let io = deepest.downcast_ref::<io::Error>();
        // Its source leaves out what it holds, and begins with the source of that.
        let held = io.and_then(io::Error::get_ref);
        let next = held.map(|held| held as &(dyn Error + 'static));
        match next.or_else(|| deepest.source()) {
            Some(next) => deepest = next,
            None => return deepest.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::*;

    #[test]
    fn each_address_is_told_with_its_cause_once() {
        let refused = io::Error::from_raw_os_error(111);
        let cause = refused.to_string();
        let layers = io::Error::other(io::Error::other(refused));
        let [first, second] =
            ["/ip4/192.0.2.1/tcp/1", "/memory/1"].map(|text| text.parse().unwrap());
        let unsupported = TransportError::MultiaddrNotSupported(libp2p::Multiaddr::clone(&second));
        let error = DialError::Transport(vec![
            (first, TransportError::Other(layers)),
            (second, unsupported),
        ]);
        let expected =
            format!("/ip4/192.0.2.1/tcp/1: {cause}; /memory/1: this node has no transport for it");
        assert_eq!(of_dial(&error), expected);

        let peer = PeerId::random();
        let other = DialError::WrongPeerId {
            obtained: peer,
            address: "/memory/1".parse().unwrap(),
        };
        assert!(of_dial(&other).contains(&peer.to_string()));
    }
}
