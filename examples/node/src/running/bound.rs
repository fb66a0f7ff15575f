//! A port that was opened, or taken over, and does not serve yet.

use std::{io, net::SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::token::Token;

/// A port that was opened, or taken over, and does not serve yet.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    /// The same as the one that is served, so that something else can go on with it.
    pub(super) spare: std::net::TcpListener,
    pub(super) address: SocketAddr,
    /// What clients have to know for what is not for all of them.
    pub(super) token: Option<Token>,
}

impl Bound {
    /// # Errors
    ///
    /// Fails if the port cannot be used.
    pub(super) fn new(
        token: Option<Token>,
        spare: io::Result<std::net::TcpListener>,
    ) -> Result<Self> {
        let bound = spare.and_then(|spare| {
            Ok(Self {
                listener: TcpListener::from_std(spare.try_clone()?)?,
                address: spare.local_addr()?,
                spare,
                token,
            })
        });
        bound.context("cannot use a port for HTTP")
    }
}
