//! The negotiation of a stream, as it is seen from below: what was proposed, what was answered, and what may follow before.
//!
//! Whoever refuses a proposal may wait for another one, and reads what follows as such: a message of multistream-select, a byte with its
//! length first and a line end last. A request begins with a letter, which is a length, too. So what follows may leave before the
//! answer as far as it can be no proposal. What does not end in a line end is no message, and ends the stream of whoever reads it. The
//! first one that does is the rest of a request line, perhaps with fields behind it: no protocol is called so. A second one is not
//! completed; it is by chance that a request has line ends at both places, and then it waits for the answer.

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
            early: Early::Length { first: true },
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
                // What may leave was asked before.
                let _ = self.early.pass(data);
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

/// What has left behind a proposal before it was answered, as a peer reads it that waits for another one.
#[derive(Clone, Copy, Debug)]
enum Early {
    /// The next byte is the length of a message.
    Length { first: bool },
    /// So many bytes of a message are to come. Whether it is none that any peer knows, as soon as its first byte is there.
    Message {
        left: usize,
        first: bool,
        harmless: Option<bool>,
    },
    /// No message, and none after it.
    Broken,
}

impl Early {
    fn may_leave(mut self, data: &[u8]) -> usize {
        self.pass(data).err().unwrap_or(data.len())
    }

    /// Goes on behind `data`, or says which byte of it must not leave.
    fn pass(&mut self, data: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        while let Some(&byte) = data.get(at) {
            match *self {
                Self::Broken => break,
                Self::Length { first } => {
                    // Nothing, or more than one byte of length: nothing that begins a request.
                    let (1..=127) = byte else { return Err(at) };
                    *self = Self::Message {
                        left: byte.into(),
                        first,
                        harmless: None,
                    };
                    at += 1;
                }
                Self::Message {
                    left,
                    first,
                    harmless,
                } => {
                    let harmless = harmless.unwrap_or(first && byte != b'/');
                    let last = at + left - 1;
                    match data.get(last) {
                        None => {
                            *self = Self::Message {
                                left: left - (data.len() - at),
                                first,
                                harmless: Some(harmless),
                            };
                            break;
                        }
                        Some(b'\n') if !harmless => return Err(last),
                        Some(b'\n') => *self = Self::Length { first: false },
                        Some(_) => *self = Self::Broken,
                    }
                    at = last + 1;
                }
            }
        }
        Ok(())
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

    /// Whether any of them can be one that is offered: not the rest of a request line.
    fn can_be_known(data: &[u8]) -> bool {
        let proposals = proposals(data);
        let first = proposals
            .first()
            .is_some_and(|first| first.starts_with(b"/"));
        first || proposals.len() > 1
    }

    /// What leaves of `pieces` before the answer.
    fn early(pieces: &[Vec<u8>]) -> Vec<u8> {
        let (mut early, mut sent) = (Early::Length { first: true }, Vec::new());
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let leaves = early.may_leave(piece);
            early.pass(&piece[..leaves]).expect("may leave");
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
            let byte = |index: usize| b"\x01\x02\x03\n\n\n/\x7f\x80\0"[index % 10];
            let pieces: Vec<Vec<_>> = pieces
                .into_iter()
                .map(|piece| piece.into_iter().map(byte).collect())
                .collect();
            let (whole, sent) = (pieces.concat(), early(&pieces));
            let next = whole.get(..=sent.len());
            whole.starts_with(&sent)
                && !can_be_known(&sent)
                && next.is_none_or(|next| can_be_known(next) || matches!(next, [.., 0 | 128..]))
        }
        QuickCheck::new().quickcheck(property as fn(Vec<Vec<usize>>) -> bool);
    }
}
