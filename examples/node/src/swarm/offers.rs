//! How do tasks change the services of a node, which only the task of its swarm can?

use libp2p_http_proxy::{HttpProxyBehaviour, Requests, ServiceName, ServiceTaken};
use tokio::sync::{mpsc, oneshot};

use crate::status::Status;

/// What a task wants of the services of the node.
pub(super) enum Change {
    Offer(ServiceName, oneshot::Sender<Result<Requests, ServiceTaken>>),
    Withdraw(ServiceName, oneshot::Sender<()>),
    Forget(ServiceName, oneshot::Sender<()>),
}

/// Changes the services of a running node, from any task.
#[derive(Clone)]
pub(crate) struct Offers {
    changes: mpsc::Sender<Change>,
    status: Status,
}

impl Offers {
    /// A handle, and what it asks for.
    pub(super) fn new(status: Status) -> (Self, mpsc::Receiver<Change>) {
        let (sender, changes) = mpsc::channel(1);
        let offers = Self {
            changes: sender,
            status,
        };
        (offers, changes)
    }

    /// Offers a service; `None` once the node has stopped.
    pub(crate) async fn offer(&self, name: ServiceName) -> Option<Result<Requests, ServiceTaken>> {
        let (reply, answer) = oneshot::channel();
        let change = Change::Offer(name.clone(), reply);
        self.changes.send(change).await.ok()?;
        let offered = answer.await.ok()?;
        // Only here is it sure that somebody has the requests: a client may go while it waits.
        if offered.is_ok() {
            self.status.attached(name);
        }
        Some(offered)
    }

    /// Offers a service no longer.
    pub(crate) async fn withdraw(&self, name: ServiceName) {
        self.make(|reply| Change::Withdraw(name, reply)).await;
    }

    /// Forgets a service whose requests are taken no longer, unless the name is another's by now.
    pub(crate) async fn forget(&self, name: ServiceName) {
        self.make(|reply| Change::Forget(name, reply)).await;
    }

    async fn make(&self, change: impl FnOnce(oneshot::Sender<()>) -> Change) {
        let (reply, answer) = oneshot::channel();
        let change = change(reply);
        if self.changes.send(change).await.is_ok() {
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
                drop(reply.send(http.accept(name)));
            }
            Self::Withdraw(name, reply) => {
                http.remove_service(&name);
                status.detached(&name);
                let _ = reply.send(());
            }
            Self::Forget(name, reply) => {
                if http.accept(name.clone()).is_ok() {
                    status.detached(&name);
                }
                let _ = reply.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{pin_mut, poll};
    use libp2p::PeerId;
    use libp2p_http_proxy::Config;
    use prometheus_client::registry::Registry;
    use serde_json::{Value, json};

    use super::*;

    fn attached(status: &Status) -> Value {
        serde_json::to_value(status.since(0).0).unwrap()["attached"].take()
    }

    #[tokio::test]
    async fn a_service_is_shown_while_somebody_has_it() {
        let peer = PeerId::random();
        let mut http = HttpProxyBehaviour::new(peer, Config::default());
        let status = Status::new(peer, Registry::default());
        let (offers, mut changes) = Offers::new(status.clone());
        let name: ServiceName = "app".parse().unwrap();

        // Whoever asks goes before there is an answer, or before it is taken.
        for answered in [false, true] {
            let mut offering = Box::pin(offers.offer(name.clone()));
            assert!(poll!(&mut offering).is_pending());
            let change = changes.recv().await.unwrap();
            if answered {
                change.make(&mut http, &status);
                drop(offering);
            } else {
                drop(offering);
                change.make(&mut http, &status);
            }
            assert_eq!(attached(&status), json!({}), "{answered}");
        }

        // The name is free all the same.
        let offering = offers.offer(name.clone());
        pin_mut!(offering);
        assert!(poll!(&mut offering).is_pending());
        changes.recv().await.unwrap().make(&mut http, &status);
        let requests = offering.await.unwrap().unwrap();
        assert!(attached(&status)["app"].is_u64());

        // It is another's, and stays.
        let forgetting = offers.forget(name.clone());
        pin_mut!(forgetting);
        assert!(poll!(&mut forgetting).is_pending());
        changes.recv().await.unwrap().make(&mut http, &status);
        forgetting.await;
        assert!(attached(&status)["app"].is_u64());
        assert!(http.accept(name.clone()).is_err(), "it is taken");

        let withdrawing = offers.withdraw(name);
        pin_mut!(withdrawing);
        assert!(poll!(&mut withdrawing).is_pending());
        changes.recv().await.unwrap().make(&mut http, &status);
        withdrawing.await;
        assert_eq!(attached(&status), json!({}));
        drop(requests);
    }
}
