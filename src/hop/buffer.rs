//! The bytes that were read and not used yet.

use std::{
    io, mem,
    task::{Context, Poll, ready},
};

use super::spare;
use crate::io::Io;

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
    /// How the stream ended behind the bytes that were read last.
    end_of_stream: Option<io::Result<()>>,
}

impl ReadBuffer {
    pub(crate) fn filled(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether it is known that nothing comes behind the bytes at hand.
    pub(crate) fn is_last(&self) -> bool {
        self.end_of_stream.is_some()
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
            spare::give_read(mem::take(&mut self.storage));
            self.filled_up = false;
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
        if let Some(end) = self.end_of_stream.take() {
            return Poll::Ready(end.map(|()| 0));
        }
        if self.storage.is_empty() {
            self.storage = spare::take_read();
            let read = io.poll_read(cx, &mut self.storage);
            match read {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.end = count;
                    self.filled_up = count == self.storage.len();
                }
                _ => self.release(),
            }
            return read;
        }
        self.make_room(most);
        let gathers = self.storage.len() >= LARGE;
        let room = &mut self.storage[self.end..];
        if room.is_empty() {
            // The decoder refuses what exceeds its limits, and `most` is above all of them.
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let mut count = ready!(io.poll_read(cx, room))?;
        // A large body comes in frames. Those that have arrived are read together, so that they leave in one write.
        while gathers && count > 0 && count < room.len() {
            match io.poll_read(cx, &mut room[count..]) {
                Poll::Ready(Ok(more)) if more > 0 => count += more,
                Poll::Ready(end) => {
                    self.end_of_stream = Some(end.map(|_| ()));
                    break;
                }
                Poll::Pending => break,
            }
        }
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

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, pin::Pin, task::Waker};

    use futures::{AsyncRead, AsyncWrite};

    use super::*;
    use crate::io::Transport;

    /// Frames that have arrived, and what comes behind them.
    struct Frames(VecDeque<io::Result<usize>>);

    impl Transport for Frames {}

    impl AsyncRead for Frames {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            match self.0.pop_front() {
                Some(Ok(length)) => {
                    let count = length.min(buffer.len());
                    buffer[..count].fill(b'x');
                    if count < length {
                        self.0.push_front(Ok(length - count));
                    }
                    Poll::Ready(Ok(count))
                }
                Some(Err(error)) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            }
        }
    }

    impl AsyncWrite for Frames {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What reading comes to, each time with an empty buffer; the last is what the wait at the end is.
    fn reads(frames: impl IntoIterator<Item = io::Result<usize>>) -> Vec<String> {
        let (io, _) = Io::pair(Frames(frames.into_iter().collect()));
        let mut cx = Context::from_waker(Waker::noop());
        let mut buffer = ReadBuffer::default();
        let mut counts = Vec::new();
        loop {
            match buffer.poll_fill(&io, &mut cx, LARGE) {
                Poll::Ready(Ok(0)) => counts.push("end".to_owned()),
                Poll::Ready(Ok(count)) => counts.push(count.to_string()),
                Poll::Ready(Err(error)) => counts.push(error.to_string()),
                Poll::Pending => return counts,
            }
            buffer.consume(buffer.filled().len());
        }
    }

    #[test]
    fn the_frames_of_a_large_body_are_read_together_and_nothing_behind_them_is_lost() {
        const KIB: usize = 1024;
        // The first make the buffer grow.
        let lengths = [1, 4, 16, 16, 16, 16, 16, 16, 16].map(|kib| kib * KIB);
        let broken = || Err(io::Error::other("broken"));
        for (behind, expected) in [
            (vec![], &["1024", "4096", "16384", "65536", "32768"][..]),
            (
                vec![Ok(0)],
                &["1024", "4096", "16384", "65536", "32768", "end"],
            ),
            (
                vec![broken()],
                &["1024", "4096", "16384", "65536", "32768", "broken"],
            ),
        ] {
            assert_eq!(reads(lengths.map(Ok).into_iter().chain(behind)), expected);
        }
    }

    #[test]
    fn small_messages_are_read_as_they_come() {
        let frames = [Ok(1000), Ok(1000), Ok(0)];
        assert_eq!(reads(frames), ["1000", "1000", "end"]);
    }
}
