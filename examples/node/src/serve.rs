//! `p2p-http serve`: which local servers answer peers?

use anyhow::Result;
use libp2p_http_proxy::ForwardRules;

use crate::{
    args::{Common, ServeArgs},
    run::operate,
    setup::{Listen, Service, Setup},
    swarm::Role,
};

/// Offers the services until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity cannot be used, or the node cannot listen.
pub(crate) async fn run(args: ServeArgs, common: &Common) -> Result<()> {
    let rules = match &args.allowed[..] {
        [] => {
            tracing::warn!(
                "any peer that reaches this node may use its services; `--allow PEER` names those who may"
            );
            ForwardRules::default()
        }
        allowed => ForwardRules::default().with_allowed_peers(allowed.iter().copied()),
    };
    let services = args.services().map(|(name, target)| Service {
        name: name.clone(),
        target: target.clone(),
        rules: rules.clone(),
    });
    let setup = Setup {
        identity: common.identity.clone(),
        admin: args.admin.setup(),
        network: args.net.settings(Role::Server)?,
        services: services.collect(),
        listen: Listen::at(args.listen).unwrap_or(Listen::Everywhere),
        ..Setup::default()
    };
    operate(setup, common).await
}
