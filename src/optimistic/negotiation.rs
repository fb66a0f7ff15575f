//! The negotiation of a stream, as it is seen from below: what was proposed, what was answered, and what may follow before.
//!
//! Whoever refuses a proposal may wait for another one, and reads what follows as such: a message of multistream-select, a byte with its
//! length first and a line end last. A request begins with a letter, which is a length, too. So what follows may leave before the
//! answer as far as no message can be complete. One that does not end in a line end is none, and ends the stream of whoever
//! reads it; it is by chance that a request has a line end at just that place, and then it waits for the answer.

use std::{
    collections::BTreeSet,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use futures::AsyncRead;

use crate::{
    error::Refused,
    service::Protocol,
    wake::{Side, Sides},
};

/// How many protocols are remembered for a connection; with others every stream waits for its negotiation.
pub(super) const MOST_ACCEPTED: usize = 64;

/// The protocols that the peer has accepted on a connection, as they were proposed.
#[derive(Debug, Default)]
pub(super) struct Accepted(Mutex<BTreeSet<Vec<u8>>>);

impl Accepted {
    fn set(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, proposal: &[u8]) -> bool {
        self.set().contains(proposal)
    }

    fn insert(&self, proposal: &[u8]) {
        let mut set = self.set();
        if set.len() < MOST_ACCEPTED && !set.contains(proposal) {
            set.insert(proposal.to_vec());
        }
    }

    fn remove(&self, proposal: &[u8]) {
        self.set().remove(proposal);
    }
}

/// The negotiation of a stream that was opened here.
#[derive(Debug)]
pub(super) struct Negotiation {
    accepted: Arc<Accepted>,
    /// What was written so far. An answer that accepts it has the same bytes.
    proposal: Vec<u8>,
    /// How many bytes of the answer have come.
    answered: usize,
    pub(super) stage: Stage,
    early: Early,
    /// Who waits for the answer, of the two sides.
    waiting: Sides,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Proposing,
    /// Whoever proposed it reads the answer.
    Awaiting,
    /// The answer is taken for granted. So many bytes of it were read before they came.
    Assuming(usize),
    Refused,
}

/// What begins each negotiation, with its length, as all messages of it.
pub(super) const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";

/// The longest name of a protocol of this crate with the line end, in bytes, takes one more for its length.
const LONGEST: usize = 127;

impl Negotiation {
    pub(super) fn new(accepted: &Arc<Accepted>) -> Self {
        Self {
            accepted: Arc::clone(accepted),
            proposal: Vec::new(),
            answered: 0,
            stage: Stage::Proposing,
            early: Early::default(),
            waiting: Sides::default(),
        }
    }

    /// How many bytes of `data` may leave now; without any, the answer is to be waited for.
    pub(super) fn may_leave(&self, data: &[u8]) -> usize {
        match self.stage {
            Stage::Assuming(_) if !self.is_answered() => self.early.may_leave(data),
            _ => data.len(),
        }
    }

    /// Notes what was written; whether there is more to see.
    pub(super) fn wrote(&mut self, data: &[u8]) -> bool {
        match self.stage {
            Stage::Proposing => {}
            Stage::Assuming(_) => {
                self.early.left(data);
                return true;
            }
            Stage::Awaiting | Stage::Refused => return true,
        }
        if self.proposal.len() + data.len() > HEADER.len() + 1 + LONGEST {
            return false;
        }
        self.proposal.extend_from_slice(data);
        match self.proposed() {
            Proposed::Incomplete => return true,
            Proposed::Other => return false,
            Proposed::Whole => {}
        }
        self.stage = if self.accepted.contains(&self.proposal) {
            Stage::Assuming(0)
        } else {
            Stage::Awaiting
        };
        true
    }

    fn proposed(&self) -> Proposed {
        let Some(message) = self.proposal.strip_prefix(HEADER) else {
            return if HEADER.starts_with(&self.proposal) {
                Proposed::Incomplete
            } else {
                Proposed::Other
            };
        };
        let Some((&length, protocol)) = message.split_first() else {
            return Proposed::Incomplete;
        };
        let length = usize::from(length);
        if length > LONGEST || protocol.len() > length {
            return Proposed::Other;
        }
        if protocol.len() < length {
            return Proposed::Incomplete;
        }
        let name = protocol.strip_suffix(b"\n").map(str::from_utf8);
        match name {
            Some(Ok(name)) if Protocol::from_stream_protocol(name).is_some() => Proposed::Whole,
            _ => Proposed::Other,
        }
    }

    /// Notes what whoever proposed it has read of the answer, which does not end there; whether there is more to see.
    pub(super) fn read(&mut self, data: &[u8]) -> bool {
        let expected = self.heard(data);
        if expected && self.is_answered() {
            self.accepted.insert(&self.proposal);
            return false;
        }
        expected
    }

    /// Notes what came of the answer; whether it is what was expected so far.
    fn heard(&mut self, data: &[u8]) -> bool {
        let expected = &self.proposal[self.answered..];
        let count = data.len().min(expected.len());
        self.answered += count;
        expected[..count] == data[..count]
    }

    fn is_answered(&self) -> bool {
        self.answered == self.proposal.len()
    }

    /// Reads the answer before it comes; nothing where all of it was.
    pub(super) fn read_ahead(&mut self, buffer: &mut [u8]) -> usize {
        let Stage::Assuming(shown) = &mut self.stage else {
            return 0;
        };
        let left = &self.proposal[*shown..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        *shown += count;
        count
    }

    /// Reads what was taken for granted; whether the stream has not ended before.
    pub(super) fn poll_answer<S: AsyncRead + Unpin>(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        stream: &mut S,
    ) -> Poll<io::Result<bool>> {
        let waker = self.waiting.waker(cx, side);
        let cx = &mut Context::from_waker(&waker);
        while !self.is_answered() {
            let mut answer = [0; HEADER.len() + 1 + LONGEST];
            let room = &mut answer[self.answered..self.proposal.len()];
            let count = ready!(Pin::new(&mut *stream).poll_read(cx, room))?;
            if count == 0 {
                return Poll::Ready(Ok(false));
            }
            let room = &room[..count];
            if !self.heard(room) {
                self.accepted.remove(&self.proposal);
                self.stage = Stage::Refused;
                return Poll::Ready(Err(Refused.into()));
            }
        }
        Poll::Ready(Ok(true))
    }
}

/// What was written at the front of a stream.
enum Proposed {
    Incomplete,
    /// One protocol of this crate.
    Whole,
    /// Anything else.
    Other,
}

/// What has left behind a proposal before it was answered.
#[derive(Debug, Default)]
struct Early {
    count: usize,
    /// Where a message would end that begins with these bytes.
    end: Option<usize>,
}

impl Early {
    fn may_leave(&self, data: &[u8]) -> usize {
        let end = match (self.end, data.first()) {
            (Some(end), _) => end,
            (None, Some(&length @ 1..=127)) => length.into(),
            // Nothing, or more than one byte of length: nothing that begins a request.
            (None, _) => return 0,
        };
        match end.checked_sub(self.count) {
            Some(end) if data.get(end) == Some(&b'\n') => end,
            _ => data.len(),
        }
    }

    fn left(&mut self, data: &[u8]) {
        self.end = self.end.or(data.first().copied().map(usize::from));
        self.count += data.len();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use quickcheck::QuickCheck;

    use super::*;

    /// What a peer that has refused a proposal takes for the next ones: go-libp2p reads on.
    pub(in crate::optimistic) fn proposals(mut data: &[u8]) -> Vec<&[u8]> {
        let mut proposals = Vec::new();
        while let Some((&length, rest)) = data.split_first()
            && let Some((message, rest)) = rest.split_at_checked(length.into())
            && let Some(proposal) = message.strip_suffix(b"\n")
        {
            proposals.push(proposal);
            data = rest;
        }
        proposals
    }

    /// What leaves of `pieces` before the answer.
    fn early(pieces: &[Vec<u8>]) -> Vec<u8> {
        let (mut early, mut sent) = (Early::default(), Vec::new());
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let leaves = early.may_leave(piece);
            early.left(&piece[..leaves]);
            sent.extend_from_slice(&piece[..leaves]);
            if leaves < piece.len() {
                assert_eq!(
                    early.may_leave(&piece[leaves..]),
                    0,
                    "and stays where it is"
                );
                break;
            }
        }
        sent
    }

    #[test]
    fn nothing_that_leaves_early_is_a_proposal_and_no_more_is_held_back() {
        fn property(pieces: Vec<Vec<usize>>) -> bool {
            // Few bytes, so that many of them are lengths, and line ends.
            let byte = |index: usize| b"\x01\x02\x03\n\n\na\x7f\x80\0"[index % 10];
            let pieces: Vec<Vec<_>> = pieces
                .into_iter()
                .map(|piece| piece.into_iter().map(byte).collect())
                .collect();
            let (whole, sent) = (pieces.concat(), early(&pieces));
            let next = whole.get(..=sent.len());
            whole.starts_with(&sent)
                && proposals(&sent).is_empty()
                && next.is_none_or(|next| proposals(next).len() == 1 || matches!(next, [0 | 128..]))
        }
        QuickCheck::new().quickcheck(property as fn(Vec<Vec<usize>>) -> bool);
    }
}
