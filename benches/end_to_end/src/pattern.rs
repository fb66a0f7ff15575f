//! What is in a body? Bytes that tell where they belong, so that a lost, doubled or moved piece is noticed.

use std::sync::LazyLock;

/// The length after which the bytes repeat: a prime, so that no buffer size of anybody divides it.
pub(crate) const PERIOD: usize = 65_521;

/// Twice the period, so that any piece of up to one period is one slice.
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
    once.repeat(2)
});

/// The piece of a body that begins at `at`, of at most `most` bytes.
pub(crate) fn piece(at: u64, most: u64) -> &'static [u8] {
    let start = (at % PERIOD as u64) as usize;
    let length = most.min(PERIOD as u64) as usize;
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
        data.chunks(PERIOD).all(|part| {
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
