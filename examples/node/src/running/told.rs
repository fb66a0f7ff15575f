//! What of its description is told to those who look at the node?

use std::net::SocketAddr;

use libp2p_http_proxy::{AllowedMethod, PathPrefix};

use crate::{
    setup::{Port, Service},
    status,
};

/// A service, with who may use it.
pub(super) fn service(service: &Service) -> status::Service {
    let rules = &service.rules;
    let methods = rules.allowed_methods();
    let paths = rules.allowed_paths();
    status::Service {
        name: service.name.to_string(),
        target: service.target.to_string(),
        peers: rules
            .allowed_peers()
            .map(|peers| sorted(peers.map(|peer| peer.to_string()))),
        methods: methods.map(|all| all.iter().map(AllowedMethod::to_string).collect()),
        paths: paths.map(|all| all.iter().map(PathPrefix::to_string).collect()),
    }
}

/// A port, with what may be reached there.
pub(super) fn port(address: SocketAddr, port: &Port) -> status::Port {
    let only = port.only.as_ref();
    let allowed = port.rules.allowed_services();
    status::Port {
        address: format!("http://{address}"),
        only: only.map(|(peer, service)| (peer.to_string(), service.to_string())),
        allowed: allowed.map(|pairs| {
            sorted(pairs.map(|(peer, service)| (peer.to_string(), service.to_string())))
        }),
        attach: port.attach.is_some(),
    }
}

/// Sets have no order, and lists that are looked at need one.
fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}
