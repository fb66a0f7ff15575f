//! HTTP/1.1 and WebSockets over libp2p: serve any web application from a libp2p node, and reach it through one.
//!
//! One libp2p stream is one HTTP/1.1 connection (RFC 9112). It is negotiated as `/x/http/$name` for the service
//! `$name` of a peer, and carries many exchanges in turn, with nothing before, between or behind them: what go-ipfs
//! (kubo) and go-libp2p speak is spoken here too.
//!
//! [`HttpProxyBehaviour`] goes into a swarm. There are three ways to use it, with the same limits and errors, and at the
//! same time if need be:
//!
//! 1. **Swarm events.** [`add_service`](HttpProxyBehaviour::add_service) offers a service, [`Event::Request`] brings its
//!    requests, and [`respond`](HttpProxyBehaviour::respond) answers them, or the [`Responder`] moves into a task that
//!    does. [`close_service`](HttpProxyBehaviour::close_service) ends it, and [`Event::ServiceClosed`] says when what was sent has
//!    arrived. [`send_request`](HttpProxyBehaviour::send_request) asks a peer; [`Event::Response`] or
//!    [`Event::OutboundFailure`] is the answer.
//! 2. **Tasks.** [`client`](HttpProxyBehaviour::client) gives a handle that sends requests from anywhere, and
//!    [`accept`](HttpProxyBehaviour::accept) a stream of the requests to one service. Neither waits for the swarm's
//!    event loop.
//! 3. **Proxy** (feature `tokio`). [`Gateway`] lets plain HTTP clients reach the services of peers, and
//!    [`Forward`] lets a plain HTTP server answer for a service.
//!
//! # How a request moves
//!
//! ```text
//! bytes -> h1 (no I/O) -> hop -> exchanges -> handler -> behaviour -> Event
//!                          |         |
//!                          |         +-> requests (tasks), outbound (client handles)
//!                          +-> proxy: one function between two hops
//! ```
//!
//! Heads pass the connection handler and, for swarm events, the swarm. Body bytes never do: for the length of an exchange
//! the stream is lent out, its reading half as a [`Body`] and its writing half as a [`Responder`], and whoever reads or
//! writes polls the stream itself, without a task or a channel in between. When both halves are done, the stream is used
//! for the next exchange, or closed, or has become a tunnel:
//!
//! ```text
//!                    +----------------------- both halves came back, reusable ----------------------+
//!                    v                                                                              |
//! negotiated --> idle stream --- request head ---> lent to the application --- last byte ---> exchange is over
//!                    |                                   |        |                                 |
//!              idle too long,                       malformed,    101                          not reusable
//!              ended by the peer                 cut, timed out    |                                |
//!                    v                                   v         v                                v
//!                 closed                           4xx or reset   Upgraded                       closed
//! ```
//!
//! # A whole node
//!
//! ```no_run
#![doc = include_str!("../examples/hello.rs")]
//! ```
//!
//! # Backpressure and limits
//!
//! Nothing is read from a peer that nobody asked for, and every queue has a bound. What does not fit is answered with
//! `503 Service Unavailable` and `Retry-After`, or is an error of the call. [`Config`] lists all limits and timeouts.
//!
//! # The end of a node
//!
//! A connection that is closed may lose what is still on its way: QUIC throws it away. So services end first, and the swarm goes once
//! their peers have what was sent to them: after [`Event::ServiceClosed`] for
//! [`close_service`](HttpProxyBehaviour::close_service), when [`Requests::close`] is done, or when [`Forward`] and `tower::serve`
//! are, which do that at their shutdown. A peer that does not close its streams is waited for for ten seconds.
//!
//! # Features
//!
//! - `tokio`: the proxy over TCP and Unix sockets, and any other connections to a server. Nothing else needs a particular runtime.
//! - `tower`: a service is answered by any `tower_service::Service`, an axum `Router` as it is, and the services of peers
//!   are such services; with `tokio`, the gateway is one, too, and can have pages of the application's own. The module `tower` says how.
//! - `metrics`: what passes through a node, for Prometheus. The module `metrics` says how.
//! - `tls`: connections that are encrypted by what the processor has for it, for large bodies.
//! - `axum`: `tower`, and the caller of a request as an extractor of axum.
#![cfg_attr(
    not(feature = "tokio"),
    doc = "",
    doc = " [`Gateway`]: #features",
    doc = " [`Forward`]: #features"
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "tokio"),
    allow(dead_code, reason = "some of it serves only the proxy")
)]

pub mod codec;
pub mod failure;
pub mod h1;
pub mod rewrite;
pub mod route;

mod accept;
mod admission;
mod answer;
mod arrival;
mod behaviour;
mod body;
#[cfg(feature = "tokio")]
mod browser;
mod client;
mod coalescing;
mod config;
mod date;
mod destination;
mod driven;
mod error;
mod event;
mod exchanges;
mod handler;
mod hop;
mod ids;
mod inbound;
mod io;
mod lease;
mod link;
mod local;
mod lookup;
mod members;
mod message;
#[cfg(feature = "metrics")]
pub mod metrics;
mod optimistic;
mod outbound;
mod outgoing;
mod parking;
mod payload;
#[cfg(feature = "tokio")]
mod proxy;
mod relay;
mod requests;
mod responder;
mod round_trip;
mod service;
mod services;
mod shared;
mod stats;
mod timer;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tower")]
pub mod tower;
mod tunnel;
mod wake;

#[cfg(feature = "tokio")]
pub use self::browser::{AllowedOrigin, InvalidOrigin};
#[cfg(feature = "tokio")]
#[doc(hidden)]
pub use self::proxy::client_of;
#[cfg(feature = "tokio")]
pub use self::proxy::{
    AllowedMethod, Exchange, Forward, ForwardConfig, ForwardRules, Gateway, GatewayConfig,
    GatewayRules, InvalidMethod, InvalidPathPrefix, InvalidTarget, Observer, PathPrefix, Rules,
    Side, Stages, Target, Tunnels,
};
#[cfg(all(feature = "tokio", feature = "tower"))]
pub use self::proxy::{GatewayBody, GatewayService};
#[cfg(feature = "tls")]
pub use self::tls::Tls;
pub use self::{
    behaviour::HttpProxyBehaviour,
    body::Body,
    client::Client,
    coalescing::Coalescing,
    config::Config,
    destination::Destination,
    driven::Driven,
    error::{ExchangeError, Wait},
    event::{Event, InboundFailure, OutboundFailure, ServiceTaken},
    ids::{InboundRequestId, OutboundRequestId},
    inbound::InboundRequest,
    message::{Request, Response, Switch},
    optimistic::Optimistic,
    payload::Payload,
    requests::Requests,
    responder::{BodyWriter, Responder},
    service::{InvalidServiceName, MAX_SERVICE_NAME, Protocol, ServiceName},
    stats::Stats,
    tunnel::Upgraded,
};
