//! How does HTTP get through a WebSocket? Many connections in one: what the gateway and its listeners both speak.
//!
//! A listener opens a WebSocket (RFC 6455) with the subprotocol [`SUBPROTOCOL`]. The payloads of its binary messages, put
//! together in their order, are the bytes of one yamux connection in either direction; where a message ends means nothing.
//! The gateway is yamux's client: it opens the streams, and each is one HTTP/1.1 connection to the listener, on which
//! requests may follow each other. A listener opens none. One that is about to go sends a ping with the payload `leaving`; from
//! the pong on no stream is opened to it, and what runs may finish.
//!
//! The help of `p2p-http attach` tells the same to those who write a listener in another language.

mod leave;
mod mux;
mod socket;

pub(crate) use self::{
    leave::Leave,
    mux::{Asks, MuxStream, Opener, Place, Streams},
    socket::{Socket, config},
};

/// What both sides agree on in the handshake of the WebSocket. A later form of the framing gets another number.
pub(crate) const SUBPROTOCOL: &str = "libp2p-http-listen.1";
