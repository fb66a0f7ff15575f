//! What is ready to serve a port, and does not yet?

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use super::places::{Place, Places};
use crate::{gateway, token::Token};

/// A port that was opened, or taken over, and does not serve yet.
pub(super) struct Bound {
    pub(super) place: Place,
    pub(super) listener: TcpListener,
    /// What clients have to know for what is not for all of them.
    pub(super) token: Option<Token>,
}

impl Bound {
    /// Goes on at the place that was kept for it, where no client is to find it closed, or opens one.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken or not one of this machine.
    pub(super) fn new(
        purpose: &str,
        listen: SocketAddr,
        kept: Option<&Place>,
        places: &Places<'_>,
        token: Option<Token>,
    ) -> Result<Self> {
        let (place, listener) = match kept {
            Some(place) => place.take_over(listen)?,
            None => {
                let opened = places.open(listen);
                let opened = opened.with_context(|| gateway::cannot_listen(listen, purpose))?;
                Place::new(listen, Ok(opened))?
            }
        };
        Ok(Self {
            place,
            listener,
            token,
        })
    }
}
