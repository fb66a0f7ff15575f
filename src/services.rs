//! The services of this node: which protocols they are offered under, and who answers their requests.

use std::{
    collections::HashMap,
    mem, ptr,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::channel::mpsc;
use libp2p_swarm::{ConnectionId, StreamProtocol};

use crate::{
    config::Config,
    event::ServiceTaken,
    inbound::Inbound,
    members::{Member, Members, Waiting},
    parking::Parking,
    service::{Protocol, ServiceName},
};

/// What a channel can count.
const MOST_QUEUED: usize = usize::MAX >> 3;

/// All services of the node. Read by every connection, changed at run time.
pub(crate) struct Services {
    config: Arc<Config>,
    table: RwLock<Table>,
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
    /// Whether another took its place when it was withdrawn.
    replaced: AtomicBool,
    members: Arc<Members>,
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
        }
    }

    /// The protocols that inbound streams may negotiate.
    pub(crate) fn protocols(&self) -> Arc<[StreamProtocol]> {
        Arc::clone(&self.read().protocols)
    }

    /// The service of this name.
    pub(crate) fn get(&self, name: &ServiceName) -> Option<Arc<Service>> {
        self.read().services.get(name).cloned()
    }

    /// The service behind a negotiated protocol, unless it has been removed since.
    pub(crate) fn find(&self, protocol: &StreamProtocol) -> Option<Arc<Service>> {
        self.read().by_protocol.get(protocol).cloned()
    }

    /// The same, of which a stream is a member from then on.
    pub(crate) fn join(
        &self,
        protocol: &StreamProtocol,
        member: &mut Option<Member>,
    ) -> Option<Arc<Service>> {
        let table = self.read();
        let service = table.by_protocol.get(protocol)?;
        let is_member = |member: &Member| member.is_of(&service.members);
        let left = if member.as_ref().is_some_and(is_member) {
            None
        } else {
            // Under the lock: once a service is removed, it gets no more members.
            member.replace(Member::new(&service.members))
        };
        let service = Arc::clone(service);
        drop(table);
        // Somebody may be woken by it.
        drop(left);
        Some(service)
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
        let (sink, receiver) = self.queue();
        Ok((self.insert(name, sink)?, receiver))
    }

    /// The same, in the place of a service of that name: at no moment is there none.
    pub(crate) fn replace_queue(
        &self,
        name: ServiceName,
    ) -> (Arc<Service>, mpsc::Receiver<Box<Inbound>>) {
        let (sink, receiver) = self.queue();
        let service = Service::new(name, sink);
        let mut table = self.write();
        let before = table.insert(&service, &self.config);
        drop(table);
        if let Some(before) = before {
            before.replaced.store(true, Ordering::Release);
            before.withdraw();
        }
        (service, receiver)
    }

    fn queue(&self) -> (Sink, mpsc::Receiver<Box<Inbound>>) {
        // The channel holds one more than its buffer for its only sender.
        let buffer = self.config.max_queued_requests().saturating_sub(1);
        let (sender, receiver) = mpsc::channel(buffer.min(MOST_QUEUED));
        let sink = Sink::Queue {
            sender: Mutex::new(sender),
            parking: Arc::default(),
        };
        (sink, receiver)
    }

    fn insert(&self, name: ServiceName, sink: Sink) -> Result<Arc<Service>, ServiceTaken> {
        let mut table = self.write();
        if table.services.contains_key(&name) {
            return Err(ServiceTaken(name));
        }
        let service = Service::new(name, sink);
        table.insert(&service, &self.config);
        Ok(service)
    }

    /// Removes a service of this name, or, with `only`, just that one and none that came after it.
    pub(crate) fn remove(&self, name: &ServiceName, only: Option<&Service>) -> bool {
        let mut table = self.write();
        let found = table
            .services
            .get(name)
            .is_some_and(|service| only.is_none_or(|only| ptr::eq(only, &**service)));
        let removed = found.then(|| table.services.remove(name)).flatten();
        if let Some(service) = removed {
            table.rebuild(&self.config);
            drop(table);
            service.withdraw();
        }
        found
    }

    /// Removes all services: no request will come any more.
    pub(crate) fn end(&self) {
        let mut table = self.write();
        let services = mem::take(&mut table.services);
        table.rebuild(&self.config);
        drop(table);
        for service in services.values() {
            service.withdraw();
        }
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
    /// Adds a service; returns that of the same name, if there was one.
    fn insert(&mut self, service: &Arc<Service>, config: &Config) -> Option<Arc<Service>> {
        let name = service.name.clone();
        let before = self.services.insert(name, Arc::clone(service));
        self.rebuild(config);
        before
    }

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
    fn new(name: ServiceName, sink: Sink) -> Arc<Self> {
        Arc::new(Self {
            name,
            withdrawn: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            members: Arc::default(),
            sink,
        })
    }

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

    /// Has the streams of the service end, each after the exchange that runs on it; unless another service has taken its place,
    /// as they are of that one then.
    pub(crate) fn end_streams(&self) {
        if !self.is_replaced() {
            self.members.end();
        }
    }

    /// Waits until no stream of the service is left, lent ones included.
    pub(crate) fn poll_gone(&self, cx: &Context<'_>, who: Waiting) -> Poll<()> {
        self.members.poll_gone(cx, who)
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

    /// Whether another service answers in its place.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
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
