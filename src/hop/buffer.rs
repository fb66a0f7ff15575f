//! The bytes that were read and not used yet.

use std::{
    io,
    task::{Context, Poll, ready},
};

use crate::io::Io;

/// What the first read of an idle hop can take. It goes to the stack, so that an idle hop holds no buffer; and it is
/// cleared at every try, so it is no larger than most heads.
const FIRST_READ: usize = 1024;

/// The buffer of a hop that carries small messages.
const SMALL: usize = 4 * 1024;

/// The largest buffer that is kept from one exchange to the next.
const KEPT: usize = 16 * 1024;

/// The buffer of a hop that carries a large body: as much as a socket hands over in one call, and four of the
/// frames that yamux makes.
const LARGE: usize = 64 * 1024;

/// A buffer whose whole storage is initialised once, so that reading into it neither clears nor allocates.
///
/// `start <= end <= storage.len()`; the bytes of `start..end` were read and not consumed.
#[derive(Default)]
pub(crate) struct ReadBuffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read took all the room there was, so there is probably more.
    filled_up: bool,
}

impl ReadBuffer {
    pub(crate) fn filled(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Gives the memory back while nothing is buffered.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Gives back what only large bodies need.
    pub(crate) fn shrink(&mut self) {
        if self.storage.len() > KEPT {
            self.release();
        }
    }

    /// Reads once from `io` behind what is there, and says how many bytes came. `most` bounds the buffer where
    /// it is more than the buffer of a large body.
    pub(crate) fn poll_fill(
        &mut self,
        io: &Io,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if self.storage.is_empty() {
            let mut first = [0; FIRST_READ];
            let count = ready!(io.poll_read(cx, &mut first))?;
            if count > 0 {
                self.storage = vec![0; SMALL];
                self.storage[..count].copy_from_slice(&first[..count]);
                self.end = count;
            }
            return Poll::Ready(Ok(count));
        }
        self.make_room(most);
        let room = &mut self.storage[self.end..];
        if room.is_empty() {
            // The decoder refuses what exceeds its limits, and `most` is above all of them.
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let count = ready!(io.poll_read(cx, room))?;
        self.filled_up = count == room.len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    fn make_room(&mut self, most: usize) {
        if self.filled_up && self.storage.len() < LARGE {
            self.storage.resize((self.storage.len() * 4).min(LARGE), 0);
        }
        if self.end < self.storage.len() {
            return;
        }
        if self.start > 0 {
            self.storage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else if self.storage.len() < most {
            self.storage.resize((self.storage.len() * 2).min(most), 0);
        }
    }
}
