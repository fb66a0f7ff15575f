//! Is the admin address open, and how does it become another?

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::bound::Bound;
use crate::{
    admin, gateway,
    output::{self, Fact},
    setup,
    shutdown::Tasks,
    status::Status,
    token::Token,
};

/// Opens the admin address for as long as the process runs, and prints it.
///
/// # Errors
///
/// Fails if the address is taken or not one of this machine, or the token cannot be read.
pub(crate) fn open(
    wanted: Option<&setup::Admin>,
    around: (&mut Tasks, &Status, &CancellationToken),
) -> Result<()> {
    let mut admin = Admin::default();
    let bound = admin.open(wanted)?;
    print(admin.set(wanted, bound, around));
    Ok(())
}

/// Prints where it is, if it is new.
pub(super) fn print(address: Option<SocketAddr>) {
    if let Some(address) = address {
        output::print(&Fact::Admin(address));
    }
}

/// The admin address, if there is one.
#[derive(Default)]
pub(super) struct Admin(Option<Open>);

struct Open {
    listen: SocketAddr,
    address: SocketAddr,
    spare: std::net::TcpListener,
    /// As it was in its file.
    token: Option<Token>,
    /// Ends it while the node goes on.
    stop: CancellationToken,
}

impl Admin {
    /// Opens what is wanted; `None` where that is nothing, or open with the token that is in its file now.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken or not one of this machine, or the token cannot be read. Then nothing has changed.
    pub(super) fn open(&self, wanted: Option<&setup::Admin>) -> Result<Option<Bound>> {
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let token = wanted.token.as_deref().map(Token::load).transpose()?;
        let same = self.0.as_ref().filter(|open| open.is_at(wanted.listen));
        let spare = match same {
            Some(open) if open.token == token => return Ok(None),
            // With another token.
            Some(open) => open.spare.try_clone(),
            None => gateway::listen(wanted.listen).and_then(tokio::net::TcpListener::into_std),
        };
        let spare = spare.with_context(|| {
            let address = wanted.listen;
            format!("cannot listen on {address} for the admin page; choose another address or port (0 lets the system choose)")
        })?;
        Bound::new(token, Ok(spare)).map(Some)
    }

    /// Has what is wanted and nothing else, with what [`open`](Self::open) gave for it. Returns the address if it is new.
    pub(super) fn set(
        &mut self,
        wanted: Option<&setup::Admin>,
        bound: Option<Bound>,
        (tasks, status, shutdown): (&mut Tasks, &Status, &CancellationToken),
    ) -> Option<SocketAddr> {
        if bound.is_none() && wanted.is_some() {
            return None;
        }
        if let Some(gone) = self.0.take() {
            let token = bound.as_ref().and_then(|bound| bound.token.as_ref());
            // What still comes to it before it has ended.
            if let Some((old, new)) = gone.token.as_ref().zip(token) {
                old.set(new);
            }
            gone.stop.cancel();
        }
        let new = wanted.zip(bound).map(|(wanted, bound)| {
            let stop = shutdown.child_token();
            let router = admin::router(status.clone(), bound.token.clone(), stop.clone());
            let served = admin::serve(bound.listener, router, stop.clone());
            tasks.spawn(async move {
                served.await;
                Ok(())
            });
            Open {
                listen: wanted.listen,
                address: bound.address,
                spare: bound.spare,
                token: bound.token,
                stop,
            }
        });
        self.0 = new;
        let address = self.0.as_ref().map(|open| open.address);
        status.set_admin(address);
        address
    }
}

impl Open {
    /// Whether it is what was asked for, by the port that was asked for or the one that the system chose.
    fn is_at(&self, listen: SocketAddr) -> bool {
        [self.listen, self.address].contains(&listen)
    }
}
