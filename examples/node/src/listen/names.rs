//! Which names do listeners have, and who gets the next connection of a name?

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use libp2p::PeerId;
use libp2p_http_proxy::{Forward, ForwardConfig, Requests, ServiceName};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::allowed::Allowed;
use crate::{
    output::{self, Fact},
    swarm::Offers,
    wire::{MuxStream, Opener, Place},
};

/// Listeners at a time, of all names together. Each may hold what yamux lets it.
const MOST: usize = 256;

/// What the services of all listeners have in common.
pub(crate) struct Site {
    pub(crate) peer: PeerId,
    pub(crate) offers: Offers,
    pub(crate) config: ForwardConfig,
    pub(crate) allowed: Allowed,
    pub(crate) shutdown: CancellationToken,
    /// What is to be waited for at the end.
    pub(crate) tasks: TaskTracker,
}

/// The names that listeners have.
pub(super) struct Names {
    site: Site,
    /// Held while a name comes or goes, so that it is free once its last listener has been released.
    groups: tokio::sync::Mutex<HashMap<ServiceName, Arc<Group>>>,
}

/// Who has a name.
struct Group {
    name: ServiceName,
    /// Whether others may share it.
    shared: bool,
    listeners: Mutex<Vec<Opener>>,
    /// Cancelled when the last exchange of the name is over.
    over: CancellationToken,
}

/// Why a listener does not get a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Taken,
    TooMany,
    Stopping,
}

/// A name that a listener has until it is released.
pub(super) struct Held {
    names: Arc<Names>,
    group: Arc<Group>,
    opener: Opener,
}

impl Names {
    pub(super) fn new(site: Site) -> Arc<Self> {
        Arc::new(Self {
            site,
            groups: tokio::sync::Mutex::default(),
        })
    }

    /// Gives a listener a name, and peers the service of this name, whose connections go through `opener`.
    pub(super) async fn hold(
        self: &Arc<Self>,
        name: ServiceName,
        share: bool,
        opener: Opener,
    ) -> Result<Held, Refused> {
        let mut groups = self.groups.lock().await;
        let held: usize = groups.values().map(|group| group.listeners().len()).sum();
        if held >= MOST {
            return Err(Refused::TooMany);
        }
        let group = match groups.get(&name) {
            Some(group) if group.shared && share => Arc::clone(group),
            Some(_) => return Err(Refused::Taken),
            None => {
                let offered = self.site.offers.offer(name.clone()).await;
                let requests = offered.ok_or(Refused::Stopping)?;
                let requests = requests.map_err(|_| Refused::Taken)?;
                let group = Arc::new(Group {
                    name: name.clone(),
                    shared: share,
                    listeners: Mutex::default(),
                    over: CancellationToken::new(),
                });
                self.serve(&group, requests);
                output::print_listener(&self.site.peer, &name);
                groups.insert(name, Arc::clone(&group));
                group
            }
        };
        group.listeners().push(opener.clone());
        Ok(Held {
            names: Arc::clone(self),
            group,
            opener,
        })
    }

    fn serve(&self, group: &Arc<Group>, requests: Requests) {
        let site = &self.site;
        let connections = Arc::clone(group);
        let connect = move || {
            let group = Arc::clone(&connections);
            async move { group.connect().await }
        };
        let name = format!("the listener of {}", group.name);
        let forward = Forward::over(name, connect, site.peer, site.config.clone());
        site.allowed.rule(&group.name, &forward);
        let asked = site.shutdown.clone().cancelled_owned();
        let over = group.over.clone().drop_guard();
        site.tasks.spawn(async move {
            forward.serve(requests, asked).await;
            drop(over);
        });
    }
}

impl Group {
    fn listeners(&self) -> MutexGuard<'_, Vec<Opener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a listener out, and says whether it was the last.
    fn leave(&self, gone: &Opener) -> bool {
        let mut listeners = self.listeners();
        listeners.retain(|opener| !opener.is(gone));
        listeners.is_empty()
    }

    /// The listener with the most room, and a place there, so that the next to ask knows of this one.
    fn best(&self) -> Option<(Opener, Option<Place>)> {
        let listeners = self.listeners();
        let there = listeners.iter().filter(|opener| !opener.is_gone());
        let best = there.max_by_key(|opener| opener.room())?;
        Some((best.clone(), best.take_place()))
    }

    /// A connection to the listener with the most room.
    async fn connect(&self) -> io::Result<MuxStream> {
        loop {
            let Some((opener, place)) = self.best() else {
                let nobody = "nobody listens any more";
                return Err(io::Error::new(io::ErrorKind::ConnectionRefused, nobody));
            };
            match opener.open(place).await {
                // It has gone in this moment; there may be others.
                Err(_) => {}
                opened => return opened,
            }
        }
    }
}

impl Held {
    /// Done when the node has stopped and no exchange needs the listener any more.
    pub(super) async fn over(&self) {
        self.group.over.cancelled().await;
    }

    pub(super) fn opener(&self) -> Opener {
        self.opener.clone()
    }

    pub(super) fn name(&self) -> &ServiceName {
        &self.group.name
    }

    /// Gives the name back. If nobody shares it, it is free then, and peers are not offered it any more.
    pub(super) async fn release(self) {
        let name = &self.group.name;
        let mut groups = self.names.groups.lock().await;
        if self.group.leave(&self.opener) {
            let Site {
                offers, shutdown, ..
            } = &self.names.site;
            // The service ends with the page, and the name may be that of a program at another page by now.
            if shutdown.is_cancelled() {
                offers.forget(name.clone()).await;
            } else {
                offers.withdraw(name.clone()).await;
            }
            groups.remove(name);
            self.names.site.allowed.forget(name);
            output::print(&Fact::Gone(name));
        }
    }
}
