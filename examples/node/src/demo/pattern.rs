//! Which bytes does a download consist of? A fixed sequence that both ends can make, so that a hash tells whether every
//! byte arrived, in its place.

use axum::body::Bytes;
use sha2::{Digest, Sha256};

/// Size of all pieces but the last. Fewer, larger writes cost less; a piece is the memory that one download takes here.
const PIECE: usize = 64 * 1024;

/// The first `total` bytes of the sequence, in pieces.
pub(super) fn pieces(total: u64) -> impl Iterator<Item = Bytes> + Send + 'static {
    let starts = (0..total).step_by(PIECE);
    starts.map(move |start| {
        let size = usize::try_from(total - start).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = Vec::with_capacity(size + 8);
        let mut index = start / 8;
        while piece.len() < size {
            piece.extend_from_slice(&word(index).to_le_bytes());
            index += 1;
        }
        piece.truncate(size);
        Bytes::from(piece)
    })
}

/// SHA-256 of the first `total` bytes, in hexadecimal.
pub(super) fn sha256(total: u64) -> String {
    let mut hash = Sha256::new();
    pieces(total).for_each(|piece| hash.update(&piece));
    hex(&hash.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Eight bytes of the sequence: SplitMix64 of their position, so that no two places look alike and any can be made alone.
fn word(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_sequence_is_the_beginning_of_a_longer_one() {
        let all: Vec<u8> = pieces(200_000).flatten().collect();
        for total in [
            0,
            1,
            7,
            8,
            9,
            PIECE as u64 - 1,
            PIECE as u64,
            PIECE as u64 + 1,
            200_000,
        ] {
            let some: Vec<u8> = pieces(total).flatten().collect();
            assert_eq!(some.len() as u64, total);
            assert!(all.starts_with(&some), "{total}");
        }
    }

    #[test]
    fn the_sequence_is_splitmix64() {
        let piece: Vec<u8> = pieces(8).flatten().collect();
        assert_eq!(piece, 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
    }

    #[test]
    fn a_hash_is_lower_case_hexadecimal() {
        assert_eq!(
            sha256(0),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_download_without_an_end_is_made_piece_by_piece() {
        assert_eq!(
            pieces(u64::MAX)
                .take(3)
                .map(|piece| piece.len())
                .sum::<usize>(),
            3 * PIECE
        );
    }
}
