//! The same exchanges by the types of the `tower`, `http` and `http-body` crates (feature `tower`).
//!
//! | | |
//! | --- | --- |
//! | [`serve()`] | a `tower` service, such as an axum `Router` as it is, answers a service of this node |
//! | [`ToService`] | a service of a peer is a `tower` service |
//!
//! # What the types of `http` keep
//!
//! No field is lost: repeats stand in their order, and values may hold bytes that are no UTF-8. The method, the version
//! and the target stay as they are, `*` and absolute-form included. What `http` itself does not keep is the case of the
//! names of fields, and a repeated field moves up to where it stood first. A target that [`http::Uri`] cannot hold, such
//! as one with a bare `<`, is answered with 400.
//!
//! Fields about the framing and the connection that an application sets are dropped, because they are written anew:
//! `Connection`, `Content-Length` (it follows from the body, but for a response to `HEAD`), `Transfer-Encoding`,
//! `Keep-Alive`, `TE` and `Upgrade`.
//!
//! # Bodies
//!
//! [`Body`](crate::Body) is an [`http_body::Body`], trailers included. Whoever consumes it polls the stream: what is not
//! read is not sent. The body of a message to be sent is polled as the stream takes it. Its length is declared where its
//! [`SizeHint`](http_body::SizeHint) is exact and no `Trailer` field announces trailers, and it is chunked otherwise;
//! trailers need the latter.
//!
//! # WebSockets
//!
//! A request that asks to switch protocols is served by hyper's own HTTP/1.1 server, over the stream that it came on. So
//! `hyper::upgrade::on` works, and with it axum's `WebSocketUpgrade` and all else that is made for hyper. A tunnel that the
//! application drops is closed in order, as a socket would be.
//!
//! The requester's side takes the tunnel behind a 101 by [`upgraded`], which reads and writes as
//! [`AsyncRead`](futures::AsyncRead) and [`AsyncWrite`](futures::AsyncWrite); `tokio_util::compat` makes it one of tokio's.
//!
//! # The gateway
//!
//! With the feature `tokio`, `Gateway::into_service` makes the gateway a `tower` service, to be nested in an application,
//! and `Gateway::with_own` has one answer what is no route.

mod body;
mod caller;
pub(crate) mod convert;
mod io;
mod serve;
mod switch;
mod to_service;

pub(crate) use self::body::Frames;
pub use self::{
    caller::Caller,
    serve::{Serve, serve},
    to_service::{Error, ToService, upgraded},
};
#[cfg(feature = "tokio")]
pub(crate) use self::{io::HyperTransport, switch::answer_one};

/// An error of an application, of whatever kind.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
