//! What did a reader make of some bytes? One form for all readers, so that they can be compared.

use std::fmt;

/// A message, as far as it came.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// `GET /a HTTP/1.1` or `HTTP/1.1 200`.
    pub(crate) start: Vec<u8>,
    pub(crate) fields: Lines,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Lines,
    /// Whether its end was found.
    pub(crate) complete: bool,
}

/// Fields: names in lower case, sorted by name, those of one name in their order. Those that frame the message are left
/// out: readers show them as they like, and what they mean shows in the body.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines(Vec<(Vec<u8>, Vec<u8>)>);

/// How a reader ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It would go on reading.
    Open,
    /// It would go on reading, and has not looked into the last bytes: they are a head or trailers without an end.
    Waiting,
    /// It reads no further: the last message ends the connection.
    Closed,
    /// It found a fault, which it names.
    Refused(String),
}

/// Everything that a reader found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Only the last one may be incomplete.
    pub(crate) messages: Vec<Message>,
    pub(crate) end: End,
}

/// Which bytes are read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Requests, as many as there are.
    Requests,
    /// The response to a GET, behind which the connection ends.
    ToGet,
    /// The response to a HEAD, behind which the connection ends.
    ToHead,
}

impl Lines {
    pub(crate) fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        const FRAMING: [&[u8]; 3] = [b"content-length", b"trailer", b"transfer-encoding"];

        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec()));
        let mut fields: Vec<_> = fields
            .filter(|(name, _)| !FRAMING.contains(&name.as_slice()))
            .collect();
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self(fields)
    }
}

impl Reading {
    pub(crate) fn complete(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.complete)
    }

    /// The message that was begun and not ended.
    pub(crate) fn begun(&self) -> Option<&Message> {
        self.messages.last().filter(|message| !message.complete)
    }

    /// How `other` differs from this reading; `None` where it tells the same as far as this one goes.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let (mut ours, mut theirs) = (self.complete(), other.complete());
        for (place, message) in ours.by_ref().enumerate() {
            match theirs.next() {
                Some(same) if same == message => {}
                Some(another) => return Some(format!("message {place} is {another:?}")),
                None => return Some(format!("message {place} is missing: {:?}", other.end)),
            }
        }
        if !matches!(self.end, End::Open | End::Waiting) {
            // What comes behind the last message was refused, or is not read.
            return None;
        }
        if let Some(more) = theirs.next() {
            return Some(format!("it found one more message: {more:?}"));
        }
        if let (End::Open, End::Refused(reason)) = (&self.end, &other.end) {
            return Some(format!("it refuses: {reason}"));
        }
        match (self.begun(), other.begun()) {
            (Some(ours), Some(theirs)) if !ours.is_same_so_far(theirs) => {
                Some(format!("the last message is {theirs:?}"))
            }
            (None, Some(more)) => Some(format!("it began one more message: {more:?}")),
            // Some readers show a message only when it has ended.
            _ => None,
        }
    }
}

impl Message {
    /// A message of which no more than the head has come.
    pub(crate) fn begin(start: impl Into<Vec<u8>>, fields: Lines) -> Self {
        Self {
            start: normalised(start.into()),
            fields,
            ..Self::default()
        }
    }

    /// Whether it has a field; `name` is in lower case.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields
            .0
            .iter()
            .any(|(known, _)| known == name.as_bytes())
    }

    /// Whether `other` can become the same message. How much of a body is shown before its end is up to the reader.
    pub(crate) fn is_same_so_far(&self, other: &Self) -> bool {
        let (short, long) = if self.body.len() < other.body.len() {
            (&self.body, &other.body)
        } else {
            (&other.body, &self.body)
        };
        self.start == other.start && self.fields == other.fields && long.starts_with(short)
    }
}

/// An absolute target in the form in which hyper has it: the case of the scheme does not matter, and an empty path is the
/// same as `/` (RFC 9110, section 4.2.3).
fn normalised(start: Vec<u8>) -> Vec<u8> {
    let Ok(text) = str::from_utf8(&start) else {
        return start;
    };
    let parts: Vec<_> = text.split(' ').collect();
    let [method, target, version] = parts[..] else {
        return start;
    };
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let scheme = scheme.to_ascii_lowercase();
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let slash = if path.starts_with('/') { "" } else { "/" };
            format!("{method} {scheme}://{authority}{slash}{path} {version}").into_bytes()
        }
        _ => start,
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            start,
            fields,
            body,
            trailers,
            complete,
        } = self;
        let mark = if *complete { "" } else { "…" };
        let (start, body) = (start.escape_ascii(), body.escape_ascii());
        write!(f, "\"{start}\" {fields:?} \"{body}\"{mark} {trailers:?}")
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &(Vec<u8>, Vec<u8>)| {
            format!("{}: {}", name.escape_ascii(), value.escape_ascii())
        };
        f.debug_list().entries(self.0.iter().map(shown)).finish()
    }
}
