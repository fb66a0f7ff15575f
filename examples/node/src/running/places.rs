//! Where is something listening, who goes on there, and what can be opened beside it?
//!
//! What a change needs is opened before anything is closed, so that a change which fails has closed nothing.

use std::{
    collections::HashSet,
    io,
    net::{Shutdown, SocketAddr},
    ptr,
};

use anyhow::{Context, Result};
use socket2::SockRef;
use tokio::net::TcpListener;

use crate::gateway;

/// A port that is open, or was opened or taken over and does not serve yet.
pub(super) struct Place {
    /// As it was asked for: with port 0 the system chooses.
    listen: SocketAddr,
    pub(super) address: SocketAddr,
    /// The same as the one that is served, so that something else can go on with it.
    spare: std::net::TcpListener,
}

impl Place {
    /// The place, and the listener to serve there.
    ///
    /// # Errors
    ///
    /// Fails if the port cannot be used.
    pub(super) fn new(
        listen: SocketAddr,
        spare: io::Result<std::net::TcpListener>,
    ) -> Result<(Self, TcpListener)> {
        let made = spare.and_then(|spare| {
            let listener = TcpListener::from_std(spare.try_clone()?)?;
            let address = spare.local_addr()?;
            let place = Self {
                listen,
                address,
                spare,
            };
            Ok((place, listener))
        });
        made.with_context(|| format!("cannot use {listen} for HTTP"))
    }

    /// The same port for something else, which asks for it by another address where the system chose it.
    ///
    /// # Errors
    ///
    /// Fails if the port cannot be used.
    pub(super) fn take_over(&self, listen: SocketAddr) -> Result<(Self, TcpListener)> {
        Self::new(listen, self.spare.try_clone())
    }

    /// Whether it is the same one.
    pub(super) fn is(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }

    /// Whether it is what somebody asked for who wanted this and no other port.
    fn is_at(&self, listen: SocketAddr) -> bool {
        listen.port() != 0 && [self.listen, self.address].contains(&listen)
    }
}

/// Places at which nothing goes on.
pub(super) struct Leaving(Vec<std::net::TcpListener>);

impl Leaving {
    /// Closes them for new clients at once, and not when the tasks that serve them get to it: what listens at more addresses
    /// of the same port is to have those.
    pub(super) fn close(self) {
        for listener in self.0 {
            // Where the system has no such thing, it closes a moment later.
            let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
        }
    }
}

/// The places that are open while something changes.
pub(super) struct Places<'a> {
    /// Those whose addresses are wanted, by whomever.
    named: Vec<&'a Place>,
    /// Those that end unless they are kept.
    leaving: Vec<&'a Place>,
}

impl<'a> Places<'a> {
    pub(super) fn new(
        open: impl Iterator<Item = &'a Place>,
        wanted: impl Iterator<Item = SocketAddr>,
    ) -> Self {
        let wanted: HashSet<_> = wanted.collect();
        let is_wanted = |place: &&Place| wanted.iter().any(|listen| place.is_at(*listen));
        let (named, leaving) = open.partition(is_wanted);
        Self { named, leaving }
    }

    /// The place where something goes on that wants to listen there: the one of that address, whoever has it now, and where
    /// the system is to choose one, any of its own.
    pub(super) fn keep(
        &mut self,
        listen: SocketAddr,
        is_own: impl Fn(&Place) -> bool,
    ) -> Option<&'a Place> {
        if listen.port() != 0 {
            let mut named = self.named.iter();
            return named.find(|place| place.is_at(listen)).copied();
        }
        let mut leaving = self.leaving.iter();
        let own = leaving.position(|place| place.listen == listen && is_own(place))?;
        Some(self.leaving.remove(own))
    }

    /// Opens a port.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken or not one of this machine.
    pub(super) fn open(&self, listen: SocketAddr) -> io::Result<std::net::TcpListener> {
        let opened = match gateway::listen(listen) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                self.open_beside_leaving(listen).unwrap_or(Err(error))
            }
            opened => opened,
        };
        opened.and_then(TcpListener::into_std)
    }

    /// What ends once nothing can fail any more.
    ///
    /// # Errors
    ///
    /// Fails if the system has no room for it.
    pub(super) fn leaving(&self) -> io::Result<Leaving> {
        let leaving = self.leaving.iter().map(|place| place.spare.try_clone());
        leaving.collect::<io::Result<_>>().map(Leaving)
    }

    /// Opens a port that a place has which is about to close: 0.0.0.0 instead of 127.0.0.1, say. `None` if there is none.
    #[cfg(unix)]
    fn open_beside_leaving(&self, listen: SocketAddr) -> Option<io::Result<TcpListener>> {
        let is_near = |place: &&&Place| place.address.port() == listen.port();
        let near: Vec<_> = self.leaving.iter().filter(is_near).collect();
        if near.is_empty() {
            return None;
        }
        // Only those share a port who all say so, and nobody else is to share this one, of whichever program.
        let share = |shared| {
            let mut sockets = near.iter().map(|place| SockRef::from(&place.spare));
            sockets.try_for_each(|socket| socket.set_reuse_port(shared))
        };
        let opened = share(true).and_then(|()| {
            let socket = gateway::socket(listen)?;
            socket.set_reuseport(true)?;
            let listener = gateway::listen_with(socket, listen)?;
            SockRef::from(&listener).set_reuse_port(false)?;
            Ok(listener)
        });
        Some(share(false).and(opened))
    }

    /// Other systems have no SIGHUP, and so no changes.
    #[cfg(not(unix))]
    fn open_beside_leaving(&self, _: SocketAddr) -> Option<io::Result<TcpListener>> {
        None
    }
}
