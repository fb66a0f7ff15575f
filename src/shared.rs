//! What the behaviour, its handlers and its client handles have in common.

use std::sync::Arc;

use libp2p_identity::PeerId;

use crate::{
    admission::Admission, config::Config, ids::Ids, outbound::Outbound, services::Services,
};

/// The state of one behaviour that more than its own task touches.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) local_peer: PeerId,
    pub(crate) services: Services,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) ids: Ids,
}

impl Shared {
    pub(crate) fn new(local_peer: PeerId, config: Config) -> Arc<Self> {
        let config = Arc::new(config);
        Arc::new(Self {
            services: Services::new(Arc::clone(&config)),
            outbound: Outbound::new(Arc::clone(&config)),
            admission: Arc::default(),
            ids: Ids::default(),
            local_peer,
            config,
        })
    }
}
