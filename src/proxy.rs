//! Passing HTTP on: the one function that moves an exchange between two hops, and the two proxies made of it.

mod access;
mod cause;
mod clients;
mod connect;
mod connector;
mod downstream;
mod drain;
mod ending;
mod exchange;
mod forward;
mod gateway;
mod hosts;
mod last;
mod local_client;
mod observer;
#[cfg(feature = "tower")]
mod own;
mod recent;
mod record;
mod rules;
#[cfg(feature = "tower")]
mod service;
mod settings;
mod socket;
mod target;
mod to_peer;
mod to_server;
mod told;
mod tunnel;

#[cfg(feature = "tower")]
pub use self::service::{GatewayBody, GatewayService};
pub use self::{
    clients::client_of,
    forward::{Forward, ForwardConfig},
    gateway::Gateway,
    observer::{Exchange, Observer, Side, Stages},
    rules::{
        AllowedMethod, ForwardRules, GatewayRules, InvalidMethod, InvalidPathPrefix, PathPrefix,
        Rules, Tunnels,
    },
    settings::GatewayConfig,
    target::{InvalidTarget, Target},
};
