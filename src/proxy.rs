//! Passing HTTP on: the one function that moves an exchange between two hops, and the two proxies made of it.

mod access;
mod exchange;
mod forward;
mod gateway;
mod socket;
mod target;
mod tunnel;

pub use self::{
    forward::{Forward, ForwardConfig},
    gateway::{Gateway, GatewayConfig},
    target::{InvalidTarget, Target},
};
