//! Who is this node? Loads the key in a file, or makes one.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use libp2p::identity::Keypair;

use crate::read;

/// An RSA-4096 key is below 3 KiB; whatever is larger is another file.
const MAX_FILE_SIZE: u64 = 16 * 1024;

/// The key in `path`, which is created if it does not exist; without a path a key that is not kept.
///
/// # Errors
///
/// Fails if the file cannot be read or created, does not hold a key, or can be read by others.
pub(crate) fn obtain(path: Option<&Path>) -> Result<Keypair> {
    let Some(path) = path else {
        tracing::warn!("this peer id is new and gone at exit; `--identity FILE` keeps one");
        return Ok(Keypair::generate_ed25519());
    };
    match read(path)? {
        Some(keypair) => Ok(keypair),
        None => create(path),
    }
}

/// The key in `path`; `None` if there is no such file.
///
/// # Errors
///
/// Fails if the file cannot be read, does not hold a key, or can be read by others.
pub(crate) fn read(path: &Path) -> Result<Option<Keypair>> {
    match read::open(path) {
        Ok(file) => load(path, file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(error).with_context(|| format!("cannot open the identity file {}", path.display()))
        }
    }
}

fn load(path: &Path, file: File) -> Result<Keypair> {
    let shown = path.display();
    refuse_readable_by_others("identity", path, &file)?;
    let mut encoded = Vec::new();
    file.take(MAX_FILE_SIZE + 1)
        .read_to_end(&mut encoded)
        .with_context(|| format!("cannot read the identity file {shown}"))?;
    if encoded.len() as u64 > MAX_FILE_SIZE {
        bail!(
            "{shown} is not an identity file: it is larger than {MAX_FILE_SIZE} bytes; name a file that does not exist to create one"
        );
    }
    if encoded.is_empty() {
        bail!("{shown} is not an identity file: it is empty; remove it, and a new key is made");
    }
    Keypair::from_protobuf_encoding(&encoded).with_context(|| {
        format!(
            "{shown} is not an identity file (a libp2p private key in protobuf form); \
             name a file that does not exist to create one"
        )
    })
}

/// Refuses a file with a secret, called `what`, that others can read. Checked on the opened file, so that it cannot be
/// exchanged between the check and the reading.
///
/// # Errors
///
/// Others can read it, or it is no file.
#[cfg(unix)]
pub(crate) fn refuse_readable_by_others(what: &str, path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let what = format!("{what} file");
    let shown = path.display();
    let metadata = read::refuse_special(&what, path, file)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "other users can use the {what} {shown} (its mode is {mode:04o}); make it yours alone: chmod 600 {shown}"
        );
    }
    Ok(())
}

/// Other systems keep access rights apart from the file mode, and new files are the user's own by default.
#[cfg(not(unix))]
pub(crate) fn refuse_readable_by_others(what: &str, path: &Path, file: &File) -> Result<()> {
    read::refuse_special(&format!("{what} file"), path, file).map(drop)
}

/// The file appears whole or not at all: it is written under another name (created with `O_EXCL` and mode 0600) and then
/// renamed to one that must not exist. If another process was faster, its key is taken.
fn create(path: &Path) -> Result<Keypair> {
    let shown = path.display();
    let keypair = Keypair::generate_ed25519();
    let encoded = keypair
        .to_protobuf_encoding()
        .context("cannot encode a new Ed25519 key")?;
    let directory = directory_of(path);
    let written = (|| -> io::Result<_> {
        let mut file = tempfile::Builder::new().prefix(".identity-").tempfile_in(&directory)?;
        file.write_all(&encoded)?;
        file.as_file().sync_all()?;
        Ok(file)
    })()
    .with_context(|| format!("cannot create the identity file {shown} (does the directory exist, and is it yours to write?)"))?;
    match written.persist_noclobber(path) {
        Ok(_) => {
            sync_directory(&directory);
            tracing::info!(
                "created the identity file {shown}; whoever has a copy of it is this node"
            );
            Ok(keypair)
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            let file = read::open(path)
                .with_context(|| format!("cannot open the identity file {shown}"))?;
            load(path, file)
        }
        Err(error) => {
            Err(error.error).with_context(|| format!("cannot create the identity file {shown}"))
        }
    }
}

/// Where a file is, or is to be.
pub(crate) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A key whose peer id was handed out should survive a power cut; a file system that cannot do it is no reason to stop.
fn sync_directory(directory: &Path) {
    if let Err(error) = fs::File::open(directory).and_then(|directory| directory.sync_all()) {
        tracing::debug!(%error, "cannot sync the directory of the identity file");
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn identify(path: &Path) -> Result<String> {
        obtain(Some(path)).map(|keypair| keypair.public().to_peer_id().to_string())
    }

    #[test]
    fn a_created_identity_is_found_again_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        let first = identify(&path).unwrap();
        assert_eq!(identify(&path).unwrap(), first);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn without_a_file_every_identity_is_new() {
        let new = || obtain(None).unwrap().public().to_peer_id();
        assert_ne!(new(), new());
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        let peers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| identify(&path).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(peers.iter().all(|peer| *peer == peers[0]), "{peers:?}");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_the_users_alone() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        identify(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = identify(&path).unwrap_err().to_string();
            assert!(
                error.contains("chmod 600") && error.contains(&format!("{mode:04o}")),
                "{error}"
            );
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            identify(&path).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn other_files_are_refused_and_left_alone() {
        use std::os::unix::fs::OpenOptionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("other");
        for content in [&b""[..], b"hello", &[0; MAX_FILE_SIZE as usize + 1]] {
            let _ = fs::remove_file(&path);
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .unwrap();
            file.write_all(content).unwrap();
            let error = identify(&path).unwrap_err().to_string();
            assert!(error.contains("not an identity file"), "{error}");
            let is_said = error.contains("it is empty; remove it");
            assert_eq!(is_said, content.is_empty(), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        let error = identify(directory.path()).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = identify(Path::new("/nonexistent-directory/node.key"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nonexistent-directory/node.key"), "{error}");
    }
}
