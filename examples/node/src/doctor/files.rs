//! Are the files of a node there, are they what they should be, and can nobody else use their secrets?

use std::path::Path;

use libp2p::identity::Keypair;

use super::report::Finding;
use crate::{args::swarm_key, identity, read, token::Token};

/// What is found about the identity, and the key, if there is one.
pub(super) fn identity(path: &Path) -> (Finding, Option<Keypair>) {
    let what = format!("identity {}", path.display());
    match identity::read(path) {
        Ok(Some(keypair)) => {
            let (kind, peer) = (keypair.key_type(), keypair.public().to_peer_id());
            let found = format!("the {kind:?} key of the peer {peer}");
            (Finding::ok(what, found), Some(keypair))
        }
        Ok(None) => (missing(&what, path), None),
        Err(error) => (Finding::problem(what, format_args!("{error:#}")), None),
    }
}

/// The first start makes a key, if it can.
fn missing(what: &str, path: &Path) -> Finding {
    let directory = identity::directory_of(path);
    let shown = directory.display();
    if !directory.is_dir() {
        let found = format!(
            "there is no such file, and no directory {shown} to create it in; create that, or correct the name"
        );
        return Finding::problem(what, found);
    }
    if !is_writable(&directory) {
        let found = format!(
            "there is no such file, and this user may not create it in {shown}; change the rights, or run the doctor as the user of the node"
        );
        return Finding::problem(what, found);
    }
    let found = "there is no such file; the node creates it when it first starts, and gets its peer id then";
    Finding::warning(what, found)
}

#[cfg(unix)]
fn is_writable(directory: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Told only by writing there, which the doctor does not.
#[cfg(not(unix))]
fn is_writable(_: &Path) -> bool {
    true
}

/// What is found about the secret of the programs that attach, or of those who may see the admin page.
pub(super) fn token(path: &Path) -> Finding {
    let what = format!("token {}", path.display());
    match Token::load(path) {
        Ok(_) => Finding::ok(what, "a secret that others cannot read"),
        Err(error) => Finding::problem(what, format_args!("{error:#}")),
    }
}

/// What is found about the key of a private network. A node takes one that others can read, as kubo does.
pub(super) fn network_key(path: &Path) -> Finding {
    let what = format!("swarm key {}", path.display());
    if let Err(error) = swarm_key(path) {
        return Finding::problem(what, format_args!("{error:#}"));
    }
    let opened = read::open(path);
    let private = opened
        .map_err(anyhow::Error::from)
        .and_then(|file| identity::refuse_readable_by_others("swarm key", path, &file));
    match private {
        Ok(()) => Finding::ok(what, "the key of a private network"),
        Err(error) => Finding::warning(what, format_args!("{error:#}")),
    }
}
