//! What is in a body? Bytes that tell where they belong, so that a lost, doubled or moved piece is noticed.

use std::{
    io,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use anyhow::{Result, ensure};
use futures::{AsyncRead, AsyncReadExt};

/// The length after which the bytes repeat: a prime, so that no buffer size of anybody divides it.
const PERIOD: usize = 65_521;

/// The longest piece, and what large bodies are written and read by.
pub(crate) const PIECE: usize = 64 * 1024;

/// One period, and a piece more, so that any piece is one slice.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let once: Vec<u8> = std::iter::repeat_with(|| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(PERIOD)
    .collect();
    once.iter().copied().cycle().take(PERIOD + PIECE).collect()
});

/// The piece of a body that begins at `at`, of at most `most` bytes.
pub(crate) fn piece(at: u64, most: u64) -> &'static [u8] {
    let start = (at % PERIOD as u64) as usize;
    let length = most.min(PIECE as u64) as usize;
    &BYTES[start..start + length]
}

/// Follows a body and compares it.
#[derive(Default)]
pub(crate) struct Check {
    at: u64,
}

impl Check {
    /// Whether the body goes on with `data`.
    pub(crate) fn goes_on_with(&mut self, data: &[u8]) -> bool {
        data.chunks(PIECE).all(|part| {
            let expected = piece(self.at, part.len() as u64);
            self.at += part.len() as u64;
            expected == part
        })
    }

    /// How long the body was so far.
    pub(crate) fn length(&self) -> u64 {
        self.at
    }
}

/// A body of a known length, to be read.
pub(crate) struct Pattern {
    at: u64,
    length: u64,
}

impl Pattern {
    pub(crate) fn new(length: u64) -> Self {
        Self { at: 0, length }
    }
}

impl AsyncRead for Pattern {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let most = (self.length - self.at).min(buffer.len() as u64);
        let piece = piece(self.at, most);
        buffer[..piece.len()].copy_from_slice(piece);
        self.at += piece.len() as u64;
        Poll::Ready(Ok(piece.len()))
    }
}

/// Reads a body of `length`, and compares it.
pub(crate) async fn read(mut body: impl AsyncRead + Unpin, length: u64) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut check = Check::default();
    while check.length() < length {
        let most = buffer.len().min((length - check.length()) as usize);
        let count = body.read(&mut buffer[..most]).await?;
        ensure!(count > 0, "a body ended after {} bytes", check.length());
        ensure!(
            check.goes_on_with(&buffer[..count]),
            "other bytes than were sent, before {}",
            check.length()
        );
    }
    Ok(())
}
