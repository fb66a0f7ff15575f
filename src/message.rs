//! Requests and responses as applications see them: a head and a body.

use crate::{
    error::ExchangeError,
    h1::{InvalidField, InvalidHead, RequestHead, ResponseHead},
    payload::Payload,
    tunnel::Upgraded,
};

/// A request: received with a [`Body`](crate::Body), sent with a [`Payload`].
#[derive(Debug)]
pub struct Request<B> {
    /// Method, target and fields.
    pub head: RequestHead,
    /// The content.
    pub body: B,
}

/// A response: received with a [`Body`](crate::Body), sent with a [`Payload`].
#[derive(Debug)]
pub struct Response<B> {
    /// Status and fields.
    pub head: ResponseHead,
    /// The content.
    pub body: B,
}

impl Request<Payload> {
    /// A request without fields but `Host`, which HTTP/1.1 requires (RFC 9112 section 3.2): it names the service
    /// and is what the application sees as its own address.
    ///
    /// # Errors
    ///
    /// The method is not a token, the target is none that a request may carry, or the host is not a valid value.
    pub fn new(
        method: &str,
        target: &str,
        host: &str,
        body: impl Into<Payload>,
    ) -> Result<Self, InvalidHead> {
        Ok(Self {
            head: RequestHead::new(method, target)?.with_field("Host", host)?,
            body: body.into(),
        })
    }

    /// Adds a field. Those of framing and of the connection, such as `Content-Length`, are written as the message is sent,
    /// which fails if they are here.
    ///
    /// # Errors
    ///
    /// The name is not a token, or the value holds what a field may not hold.
    pub fn with_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        self.head = self.head.with_field(name, value)?;
        Ok(self)
    }
}

impl Response<Payload> {
    /// A response without fields. How its length is told follows from the body.
    ///
    /// # Errors
    ///
    /// The status is none between 100 and 599.
    pub fn new(status: u16, body: impl Into<Payload>) -> Result<Self, InvalidHead> {
        Ok(Self {
            head: ResponseHead::new(status)?,
            body: body.into(),
        })
    }

    /// Adds a field. Those of framing and of the connection, such as `Content-Length`, are written as the message is sent,
    /// which fails if they are here.
    ///
    /// # Errors
    ///
    /// The name is not a token, or the value holds what a field may not hold.
    pub fn with_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        self.head = self.head.with_field(name, value)?;
        Ok(self)
    }
}

/// What became of a request to switch protocols (RFC 9110 section 7.8).
#[derive(Debug)]
pub enum Switch<B> {
    /// The peer switched: its response, and the tunnel.
    Switched(ResponseHead, Upgraded),
    /// The peer answered like to any other request.
    Refused(Response<B>),
}

impl<B> Switch<B> {
    /// The tunnel.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::NotSwitched`] where the peer refused.
    pub fn into_upgraded(self) -> Result<Upgraded, ExchangeError> {
        match self {
            Self::Switched(_, upgraded) => Ok(upgraded),
            Self::Refused(_) => Err(ExchangeError::NotSwitched),
        }
    }
}
