//! Is the admin address open, and how does it become another?

use std::net::SocketAddr;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::{
    bound::Bound,
    places::{Place, Places},
};
use crate::{
    admin,
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
    let nothing = Places::new(std::iter::empty(), std::iter::empty());
    let bound = admin.open(wanted, None, &nothing)?;
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
    place: Place,
    /// As it was in its file.
    token: Option<Token>,
    /// Ends it while the node goes on.
    stop: CancellationToken,
}

impl Admin {
    /// Where it is.
    pub(super) fn place(&self) -> Option<&Place> {
        self.0.as_ref().map(|open| &open.place)
    }

    /// The place at which what is wanted goes on.
    pub(super) fn keep<'a>(
        &self,
        wanted: Option<&setup::Admin>,
        places: &mut Places<'a>,
    ) -> Option<&'a Place> {
        let is_own = |place: &Place| self.place().is_some_and(|own| own.is(place));
        wanted.and_then(|wanted| places.keep(wanted.listen, is_own))
    }

    /// Opens what is wanted, where it goes on; `None` where that is nothing, or open with the token that is in its file now.
    ///
    /// # Errors
    ///
    /// Fails if the address is taken or not one of this machine, or the token cannot be read. Then nothing has changed.
    pub(super) fn open(
        &self,
        wanted: Option<&setup::Admin>,
        kept: Option<&Place>,
        places: &Places<'_>,
    ) -> Result<Option<Bound>> {
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let token = wanted.token.as_deref().map(Token::load).transpose()?;
        let stays =
            |open: &Open| open.token == token && kept.is_some_and(|kept| kept.is(&open.place));
        if self.0.as_ref().is_some_and(stays) {
            return Ok(None);
        }
        Bound::new("the admin page", wanted.listen, kept, places, token).map(Some)
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
        let new = bound.map(|bound| {
            let stop = shutdown.child_token();
            let router = admin::router(status.clone(), bound.token.clone(), stop.clone());
            let served = admin::serve(bound.listener, router, stop.clone());
            tasks.spawn(async move {
                served.await;
                Ok(())
            });
            Open {
                place: bound.place,
                token: bound.token,
                stop,
            }
        });
        self.0 = new;
        let address = self.place().map(|place| place.address);
        status.set_admin(address);
        address
    }
}
