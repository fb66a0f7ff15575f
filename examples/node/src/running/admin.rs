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
    setup: setup::Admin,
    address: SocketAddr,
    spare: std::net::TcpListener,
    /// Ends it while the node goes on.
    stop: CancellationToken,
}

impl Admin {
    /// Opens what is wanted; `None` where that is nothing, or open.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken or not one of this machine, or the token cannot be read. Then nothing has changed.
    pub(super) fn open(&self, wanted: Option<&setup::Admin>) -> Result<Option<Bound>> {
        let Some(wanted) = wanted.filter(|wanted| !self.is(wanted)) else {
            return Ok(None);
        };
        let same = self.0.as_ref().filter(|open| open.is_at(wanted.listen));
        let spare = match same {
            // With another token.
            Some(open) => open.spare.try_clone(),
            None => gateway::listen(wanted.listen).and_then(tokio::net::TcpListener::into_std),
        };
        let spare = spare.with_context(|| {
            let address = wanted.listen;
            format!("cannot listen on {address} for the admin page; choose another address or port (0 lets the system choose)")
        })?;
        Bound::new(wanted.token.as_deref(), Ok(spare)).map(Some)
    }

    /// Has what is wanted and nothing else, with what [`open`](Self::open) gave for it. Returns the address if it is new.
    pub(super) fn set(
        &mut self,
        wanted: Option<&setup::Admin>,
        bound: Option<Bound>,
        (tasks, status, shutdown): (&mut Tasks, &Status, &CancellationToken),
    ) -> Option<SocketAddr> {
        if bound.is_none() && wanted.is_some_and(|wanted| self.is(wanted)) {
            return None;
        }
        if let Some(gone) = self.0.take() {
            gone.stop.cancel();
        }
        let new = wanted.zip(bound).map(|(setup, bound)| {
            let stop = shutdown.child_token();
            let router = admin::router(status.clone(), bound.token, stop.clone());
            let served = admin::serve(bound.listener, router, stop.clone());
            tasks.spawn(async move {
                served.await;
                Ok(())
            });
            Open {
                setup: setup.clone(),
                address: bound.address,
                spare: bound.spare,
                stop,
            }
        });
        self.0 = new;
        let address = self.0.as_ref().map(|open| open.address);
        status.set_admin(address);
        address
    }

    fn is(&self, wanted: &setup::Admin) -> bool {
        let open = self.0.as_ref();
        open.is_some_and(|open| open.is_at(wanted.listen) && open.setup.token == wanted.token)
    }
}

impl Open {
    /// Whether it is what was asked for, by the port that was asked for or the one that the system chose.
    fn is_at(&self, listen: SocketAddr) -> bool {
        [self.setup.listen, self.address].contains(&listen)
    }
}
