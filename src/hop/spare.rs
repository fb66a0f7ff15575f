//! Buffers that no hop needs at the moment.
//!
//! A hop holds none between two exchanges: ten thousand idle clients would hold as many. To get one from the allocator for
//! every exchange, and to clear it, takes longer than reading a head. So each thread keeps a few of those that were given
//! back last, which are also the ones that its caches still hold.

use std::cell::RefCell;

use bytes::BytesMut;

/// The buffer of a hop that reads small messages.
const READ: usize = 4 * 1024;

/// Room for a usual head and a small body, so that a buffer seldom grows.
const WRITE: usize = 2 * 1024;

/// How many of each kind a thread keeps: 384 KiB at most.
const KEPT: usize = 64;

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::default();
}

#[derive(Default)]
struct Spare {
    read: Vec<Vec<u8>>,
    write: Vec<BytesMut>,
}

/// A buffer of [`READ`] bytes, which may hold anything.
pub(super) fn take_read() -> Vec<u8> {
    with(|spare| spare.read.pop()).unwrap_or_else(|| vec![0; READ])
}

pub(super) fn give_read(buffer: Vec<u8>) {
    if buffer.len() == READ {
        with(|spare| keep(&mut spare.read, buffer));
    }
}

/// An empty buffer with room for a head.
pub(super) fn take_write() -> BytesMut {
    with(|spare| spare.write.pop()).unwrap_or_else(|| BytesMut::with_capacity(WRITE))
}

pub(super) fn give_write(mut buffer: BytesMut) {
    if buffer.capacity() == 0 {
        return;
    }
    buffer.clear();
    // What was sent from its front is room again.
    buffer.reserve(WRITE);
    if buffer.capacity() <= 2 * WRITE {
        with(|spare| keep(&mut spare.write, buffer));
    }
}

fn keep<T>(spare: &mut Vec<T>, buffer: T) -> Option<()> {
    (spare.len() < KEPT).then(|| spare.push(buffer))
}

/// `None` also where the thread is ending.
fn with<T>(look: impl FnOnce(&mut Spare) -> Option<T>) -> Option<T> {
    SPARE
        .try_with(|spare| look(&mut spare.borrow_mut()))
        .ok()
        .flatten()
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;

    #[test]
    fn what_is_given_back_is_given_out_again() {
        let mut read = take_read();
        read[0] = 7;
        give_read(read);
        assert_eq!(take_read()[0], 7);

        let mut write = take_write();
        write.extend_from_slice(&[1; 1000]);
        write.advance(1000);
        let place = write.as_ptr();
        give_write(write);
        let write = take_write();
        assert!(write.is_empty() && write.capacity() >= WRITE);
        assert_eq!(write.as_ptr(), place.wrapping_sub(1000), "the same memory");
    }

    #[test]
    fn large_ones_and_too_many_are_not_kept() {
        give_read(vec![7; 2 * READ]);
        assert_eq!(take_read(), [0; READ]);
        give_write(BytesMut::with_capacity(5 * WRITE));
        assert!(take_write().capacity() < 5 * WRITE);

        (0..2 * KEPT).for_each(|_| give_read(vec![7; READ]));
        let kept = (0..2 * KEPT).filter(|_| take_read()[0] == 7).count();
        assert_eq!(kept, KEPT);
    }
}
