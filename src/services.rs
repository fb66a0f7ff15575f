//! The services of this node: which protocols they are offered under, and who answers their requests.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures::channel::mpsc;
use libp2p_swarm::{ConnectionId, StreamProtocol};

use crate::{
    config::Config,
    event::ServiceTaken,
    inbound::Inbound,
    parking::Parking,
    service::{Protocol, ServiceName},
};

/// All services of the node. Read by every connection, changed at run time.
pub(crate) struct Services {
    config: Arc<Config>,
    table: RwLock<Table>,
    generation: AtomicU64,
}

#[derive(Default)]
struct Table {
    services: HashMap<ServiceName, Arc<Service>>,
    by_protocol: HashMap<StreamProtocol, Arc<Service>>,
    protocols: Arc<[StreamProtocol]>,
}

/// One service.
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    withdrawn: AtomicBool,
    /// Tells a service from a later one of the same name.
    generation: u64,
    sink: Sink,
}

/// Who answers.
enum Sink {
    /// The application, by swarm events.
    Events,
    /// A task, through a bounded queue.
    Queue {
        /// Takes the first request of every stream.
        sender: Mutex<mpsc::Sender<Box<Inbound>>>,
        /// Where the streams wait for those that follow.
        parking: Arc<Parking>,
    },
}

impl Services {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            table: RwLock::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// The protocols that inbound streams may negotiate.
    pub(crate) fn protocols(&self) -> Arc<[StreamProtocol]> {
        Arc::clone(&self.read().protocols)
    }

    /// The service behind a negotiated protocol, unless it has been removed since.
    pub(crate) fn find(&self, protocol: &StreamProtocol) -> Option<Arc<Service>> {
        self.read().by_protocol.get(protocol).cloned()
    }

    /// Adds a service whose requests are reported as events.
    pub(crate) fn add(&self, name: ServiceName) -> Result<(), ServiceTaken> {
        self.insert(name, Sink::Events).map(|_| ())
    }

    /// Adds a service whose requests go to a queue.
    pub(crate) fn add_queue(
        &self,
        name: ServiceName,
    ) -> Result<(Arc<Service>, mpsc::Receiver<Box<Inbound>>), ServiceTaken> {
        // The channel holds one more than its buffer for its only sender.
        let buffer = self.config.max_queued_requests().saturating_sub(1);
        let (sender, receiver) = mpsc::channel(buffer);
        let sink = Sink::Queue {
            sender: Mutex::new(sender),
            parking: Arc::default(),
        };
        Ok((self.insert(name, sink)?, receiver))
    }

    fn insert(&self, name: ServiceName, sink: Sink) -> Result<Arc<Service>, ServiceTaken> {
        let mut table = self.write();
        if table.services.contains_key(&name) {
            return Err(ServiceTaken(name));
        }
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let service = Arc::new(Service {
            name: name.clone(),
            withdrawn: AtomicBool::new(false),
            generation,
            sink,
        });
        table.services.insert(name, Arc::clone(&service));
        table.rebuild(&self.config);
        Ok(service)
    }

    /// Removes a service of this name, or, with `only`, just that one.
    pub(crate) fn remove(&self, name: &ServiceName, only: Option<&Service>) -> bool {
        let mut table = self.write();
        let found = table
            .services
            .get(name)
            .is_some_and(|service| only.is_none_or(|only| only.generation == service.generation));
        let removed = found.then(|| table.services.remove(name)).flatten();
        if let Some(service) = removed {
            table.rebuild(&self.config);
            drop(table);
            service.withdraw();
        }
        found
    }

    /// Drops the streams of a connection that has ended.
    pub(crate) fn drop_streams(&self, connection: ConnectionId) {
        for service in self.read().services.values() {
            if let Some(parking) = service.parking() {
                parking.drop_streams(connection);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn rebuild(&mut self, config: &Config) {
        self.by_protocol.clear();
        for (name, service) in &self.services {
            let own = Protocol::Service(name.clone());
            let kubo = config
                .kubo_names()
                .then(|| Protocol::KuboService(name.clone()));
            let aliases = config
                .aliases()
                .filter(|(_, target)| *target == name)
                .map(|(alias, _)| alias.clone());
            for protocol in [own].into_iter().chain(kubo).chain(aliases) {
                self.by_protocol
                    .insert(protocol.stream_protocol(), Arc::clone(service));
            }
        }
        self.protocols = self.by_protocol.keys().cloned().collect();
    }
}

impl Service {
    /// Ends the queue, and gives the streams that wait for requests back to their connections.
    fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
        if let Sink::Queue { sender, parking } = &self.sink {
            let sender = sender.lock();
            sender
                .unwrap_or_else(PoisonError::into_inner)
                .close_channel();
            parking.close();
        }
    }

    /// Where streams wait for a task to read their next request; `None` where their connections do.
    pub(crate) fn parking(&self) -> Option<&Arc<Parking>> {
        match &self.sink {
            Sink::Events => None,
            Sink::Queue { parking, .. } => Some(parking),
        }
    }

    /// Whether the service is offered no longer.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// Hands a request to the task that answers for this service.
    pub(crate) fn deliver(&self, inbound: Box<Inbound>) -> Result<(), Undelivered> {
        let Sink::Queue { sender, .. } = &self.sink else {
            return Err(Undelivered::ByEvent(inbound));
        };
        let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.try_send(inbound).map_err(|error| {
            if error.is_full() {
                Undelivered::Full(error.into_inner())
            } else {
                Undelivered::Gone(error.into_inner())
            }
        })
    }
}

/// Why no queue took a request.
pub(crate) enum Undelivered {
    /// The service answers by events.
    ByEvent(Box<Inbound>),
    /// The queue is full.
    Full(Box<Inbound>),
    /// The service has just been removed.
    Gone(Box<Inbound>),
}
