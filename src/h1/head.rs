//! What is in a head? Start line and fields of a request and of a response, parsed or made.
//!
//! A parsed head is one allocation of its exact size: it does not keep the read buffer alive, and
//! to clone it is to count a reference.

mod ordinary;
mod request;
mod response;

pub(crate) use self::ordinary::Prefix;
pub use self::{request::RequestHead, response::ResponseHead};
