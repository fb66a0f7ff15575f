//! `p2p-http meet`: where do peers find each other?

use anyhow::Result;

use crate::{
    args::{Common, MeetArgs},
    run::operate,
    setup::{Listen, Setup},
};

/// Is a meeting point until the process is asked to stop.
///
/// # Errors
///
/// Fails if the identity cannot be used, or the node cannot listen.
pub(crate) async fn run(args: MeetArgs, common: &Common) -> Result<()> {
    let setup = Setup {
        identity: common.identity.clone(),
        admin: args.admin.setup(),
        network: args.net.meeting_point()?,
        listen: Listen::at(args.listen).unwrap_or(Listen::Everywhere),
        ..Setup::default()
    };
    operate(setup, common).await
}
