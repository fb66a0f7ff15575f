//! Which fields does a proxy add to a head?

use std::borrow::Cow;

use smallvec::SmallVec;

use super::via::VIA;
use crate::h1::{Field, FieldWriter, InvalidField, Misuse, Version, is_field_value};

/// Fields that a proxy adds, under names of this crate.
#[derive(Clone, Debug, Default)]
pub(super) struct Added<'a> {
    lines: SmallVec<[(&'static str, Value<'a>); 4]>,
    /// What the values consist of that nobody had ready.
    joined: SmallVec<[u8; 96]>,
    /// A field whose value cannot be sent.
    invalid: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Value<'a> {
    Ready(Cow<'a, [u8]>),
    /// From here to there in what was joined.
    Joined(usize, usize),
}

impl<'a> Added<'a> {
    /// Adds a field whose value is known to be valid.
    pub(super) fn push(&mut self, name: &'static str, value: impl Into<Cow<'a, [u8]>>) {
        self.lines.push((name, Value::Ready(value.into())));
    }

    /// Adds a field whose value consists of `parts`.
    pub(super) fn push_joined<'p>(
        &mut self,
        name: &'static str,
        parts: impl IntoIterator<Item = &'p [u8]>,
    ) {
        let start = self.joined.len();
        for part in parts {
            self.joined.extend_from_slice(part);
        }
        let value = Value::Joined(start, self.joined.len());
        self.lines.push((name, value));
    }

    /// Checks what becomes part of the value of a field, if it comes from anybody.
    pub(super) fn check(&mut self, name: &'static str, part: &str) {
        if !is_field_value(part.as_bytes()) {
            self.invalid = Some(name);
        }
    }

    pub(super) fn push_via(&mut self, received: Version, pseudonym: &str) {
        self.check(VIA, pseudonym);
        let version: &[u8] = match received {
            Version::Http10 => b"1.0 ",
            Version::Http11 => b"1.1 ",
        };
        self.push_joined(VIA, [version, pseudonym.as_bytes()]);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.lines.iter().any(|(one, _)| *one == name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.lines.iter().map(|(name, value)| Field {
            name,
            value: match value {
                Value::Ready(value) => value,
                Value::Joined(start, end) => &self.joined[*start..*end],
            },
        })
    }

    pub(super) fn write(&self, writer: &mut FieldWriter<'_, '_>) -> Result<(), Misuse> {
        if let Some(name) = self.invalid {
            return Err(InvalidField::value(name).into());
        }
        for field in self.iter() {
            writer.put_valid(field);
        }
        Ok(())
    }
}
