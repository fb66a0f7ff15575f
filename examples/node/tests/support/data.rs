//! What large bodies are made of, and how do two of them compare?

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// What the large transfers move.
pub(crate) const LARGE: u64 = 100_000_000;

/// Bytes without a pattern that a lost, repeated or moved piece could hide in; the same at each run.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count + 8);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while bytes.len() < count {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// A file of [`bytes`], in a directory that the test removes.
pub(crate) fn file(directory: &Path, count: u64) -> PathBuf {
    let path = directory.join(format!("{count}.bin"));
    let bytes = bytes(usize::try_from(count).unwrap());
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    path
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> String {
    let mut hash = Hash::default();
    let mut file = File::open(path).unwrap();
    let mut piece = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return hash.finish(),
            Ok(count) => hash.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

/// The SHA-256 of what comes in pieces.
#[derive(Default)]
pub(crate) struct Hash(Sha256);

impl Hash {
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(self) -> String {
        let digest = self.0.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
