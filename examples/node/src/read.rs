//! How is a file read that somebody has named? At once, and only if it is one.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context, Result, bail};

/// Opens a file. A pipe would be waited for until somebody writes to it, in a place where no signal ends that, and is opened
/// at once, for [`refuse_special`] to see what it is.
///
/// # Errors
///
/// Fails if the file cannot be opened.
#[cfg(unix)]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let at_once = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut options = File::options();
    options.read(true).custom_flags(at_once).open(path)
}

/// Other systems have no pipes among their files.
///
/// # Errors
///
/// Fails if the file cannot be opened.
#[cfg(not(unix))]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Refuses what was opened, called `what`, where it is no file but a directory, a pipe or a device. Returns what the system
/// says of it.
///
/// # Errors
///
/// It is no file.
pub(crate) fn refuse_special(what: &str, path: &Path, file: &File) -> Result<Metadata> {
    let shown = path.display();
    let metadata = file
        .metadata()
        .with_context(|| format!("cannot examine the {what} {shown}"))?;
    if !metadata.is_file() {
        bail!("the {what} {shown} is not a regular file; name a file");
    }
    Ok(metadata)
}

/// The text of a file, called `what`, which has no more than `most` bytes.
///
/// # Errors
///
/// It cannot be read, is no file, or is longer.
pub(crate) fn text(what: &str, path: &Path, most: u64) -> Result<String> {
    let shown = path.display();
    let cannot = || format!("cannot read the {what} {shown}");
    let file = open(path).with_context(cannot)?;
    refuse_special(what, path, &file)?;
    let mut text = String::new();
    file.take(most + 1)
        .read_to_string(&mut text)
        .with_context(cannot)?;
    if text.len() as u64 > most {
        bail!("{shown} is no {what}: it is larger than {most} bytes");
    }
    Ok(text)
}

#[cfg(all(test, unix))]
mod tests {
    use std::{process::Command, sync::mpsc, thread, time::Duration};

    use super::*;
    use crate::{args::swarm_key, config, identity, token::Token};

    #[test]
    fn a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let readers: [fn(&Path) -> Result<()>; 4] = [
            |path| identity::obtain(Some(path)).map(drop),
            |path| Token::load(path).map(drop),
            |path| swarm_key(path).map(drop),
            |path| config::load(path).map(drop),
        ];
        let (sender, refused) = mpsc::channel();
        thread::spawn(move || {
            for read in readers {
                let error = read(&path).unwrap_err();
                sender.send(error.to_string()).unwrap();
            }
        });
        for _ in readers {
            let error = refused.recv_timeout(Duration::from_secs(60)).unwrap();
            assert!(error.contains("not a regular file"), "{error}");
        }
    }
}
