//! How do tasks change the services of a node, which only the task of its swarm can?

use libp2p_http_proxy::{HttpProxyBehaviour, Requests, ServiceName, ServiceTaken};
use tokio::sync::{mpsc, oneshot};

use crate::status::Status;

/// What a task wants of the services of the node.
pub(super) enum Change {
    Offer(ServiceName, oneshot::Sender<Result<Requests, ServiceTaken>>),
    Withdraw(ServiceName, oneshot::Sender<()>),
}

/// Changes the services of a running node, from any task.
#[derive(Clone)]
pub(crate) struct Offers(mpsc::Sender<Change>);

impl Offers {
    /// A handle, and what it asks for.
    pub(super) fn new() -> (Self, mpsc::Receiver<Change>) {
        let (sender, changes) = mpsc::channel(1);
        (Self(sender), changes)
    }

    /// Offers a service; `None` once the node has stopped.
    pub(crate) async fn offer(&self, name: ServiceName) -> Option<Result<Requests, ServiceTaken>> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Change::Offer(name, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Offers a service no longer.
    pub(crate) async fn withdraw(&self, name: ServiceName) {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Change::Withdraw(name, reply)).await.is_ok() {
            // A node that has stopped offers nothing either.
            let _ = answer.await;
        }
    }
}

impl Change {
    /// Does it. Who asked may have gone; a service that nobody takes goes with its requests.
    pub(super) fn make(self, http: &mut HttpProxyBehaviour, status: &Status) {
        match self {
            Self::Offer(name, reply) => {
                let requests = http.accept(name.clone());
                if requests.is_ok() {
                    status.attached(name);
                }
                drop(reply.send(requests));
            }
            Self::Withdraw(name, reply) => {
                http.remove_service(&name);
                status.detached(&name);
                let _ = reply.send(());
            }
        }
    }
}
