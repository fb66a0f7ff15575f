//! The framing core: HTTP/1.1 (RFC 9110, RFC 9112) without I/O, tasks or clocks.
//!
//! Bytes go in and messages come out, messages go in and bytes come out. It is strict: what the
//! RFCs call malformed, and what two recipients could read in two ways, is an [`Error`], and stays
//! one.
//!
//! ```text
//! bytes -> Decoder -> Step::{Head, Data, End}        Encoder::{request, response, data, end} -> bytes
//!             \______________________ Connection ______________________/
//!                                        reuse
//! ```
//!
//! # States
//!
//! The [`Decoder`] of a server begins at *head*, that of a client at *idle*.
//!
//! ```text
//!            expect_response                     interim response
//!            (client)                             +--------+
//!   idle ---------------------------+             v        |
//!                                   +---------> head ------+
//!                                   |             |  \
//!          next_request (server),   |             |   \ 101 that was asked for (client)
//!          expect_response (client) |             v    +-----------------> switched
//!                                   +-- complete <-- body                     ^
//!                                          |                                  |
//!                                          +--- 101 was sent (server) --------+
//! ```
//!
//! The [`Encoder`] of both sides begins at *idle*.
//!
//! ```text
//!            request, response             end               next
//!   idle -----------------------> body ------------> complete ----> idle
//!    |  \
//!    |   +-- 101 sent or received --> switched
//!    +-- interim --> idle
//! ```
//!
//! An error ends a decoder in whatever state it is. In *idle*, *complete* and *switched* it answers
//! [`Step::Paused`] and uses no byte.
//!
//! # One exchange
//!
//! ```
//! use std::sync::Arc;
//!
//! use bytes::BytesMut;
//! use libp2p_http_proxy::h1::{
//!     Client, Connection, Length, Limits, RequestHead, ResponseHead, Sending, Server, Step,
//! };
//!
//! let limits = Arc::new(Limits::default());
//! let mut client = Connection::<Client>::new(limits.clone());
//! let mut server = Connection::<Server>::new(limits);
//! let mut wire = BytesMut::new();
//!
//! // The client asks.
//! let head = RequestHead::new("GET", "/hello?a=b")?.with_field("Host", "example.com")?;
//! client.request((&head).into(), head.fields().iter(), Sending::default(), &mut wire)?;
//! client.end(None, &mut wire)?;
//! assert_eq!(wire, &b"GET /hello?a=b HTTP/1.1\r\nHost: example.com\r\n\r\n"[..]);
//!
//! // The server reads,
//! let (used, Step::Head(request)) = server.receive(&wire)? else { panic!("a whole head") };
//! assert_eq!(request.target(), "/hello?a=b");
//! assert_eq!(used, wire.len());
//! assert_eq!(server.receive(&[])?, (0, Step::End(None)));
//!
//! // and answers.
//! wire.clear();
//! let head = ResponseHead::new(200)?.with_field("Content-Type", "text/plain")?;
//! let sending = Sending { length: Length::Known(5), ..Sending::default() };
//! server.response((&head).into(), head.fields().iter(), sending, &mut wire)?;
//! server.data(b"hello", &mut wire)?;
//! server.end(None, &mut wire)?;
//!
//! // The client reads the answer, however its bytes arrive.
//! let (used, Step::Head(response)) = client.receive(&wire)? else { panic!("a whole head") };
//! assert_eq!(response.status(), 200);
//! assert_eq!(client.receive(&wire[used..])?, (5, Step::Data(b"hello")));
//! assert_eq!(client.receive(&[])?, (0, Step::End(None)));
//!
//! // Both may go on with the next exchange.
//! assert_eq!(client.next_exchange(), Ok(()));
//! assert_eq!(server.next_exchange(), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chunked;
mod connection;
mod decoder;
mod diagnose;
mod encoder;
mod error;
mod fields;
mod framing;
mod head;
mod limits;
mod role;
mod scan;
mod status;
mod syntax;
mod target;
mod traits;
mod version;
mod write;

#[cfg(feature = "tokio")]
pub(crate) use self::target::is_scheme;
#[cfg(all(feature = "tokio", feature = "tower"))]
pub(crate) use self::target::{Form, check_host};
pub use self::{
    chunked::is_allowed_trailer,
    connection::{Connection, reuse},
    decoder::{Decoder, Eof, Step},
    encoder::Encoder,
    error::{Error, InvalidField, InvalidHead, Misuse},
    fields::{Field, Fields},
    framing::{CloseReason, Framing, Length, RequestContext, request_framing, response_framing},
    head::{RequestHead, ResponseHead},
    limits::Limits,
    role::{Client, Role, Server},
    syntax::{digits, hex_digits, is_token, tokens},
    version::Version,
    write::{RequestLine, Sending, StatusLine},
};
pub(crate) use self::{
    fields::{Entry, Kind, Passed},
    status::reason_phrase,
    syntax::{is_field_value, trim_ows},
    target::is_authority,
    write::{FieldWriter, Start},
};
