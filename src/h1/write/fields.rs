//! Which fields does a head get from its sender, and what do they have to fulfil together?

use bytes::BytesMut;

use super::{
    super::{
        error::{Error, Misuse, shown},
        fields::{Entry, Field, Fields, Kind, Passed},
        target,
    },
    put, put_checked,
};

/// Takes the fields of a head that is being written.
pub(crate) struct FieldWriter<'o, 'f> {
    out: &'o mut BytesMut,
    seen: SeenFields<'f>,
}

impl<'o, 'f> FieldWriter<'o, 'f> {
    pub(crate) fn new(out: &'o mut BytesMut) -> Self {
        Self {
            out,
            seen: SeenFields::default(),
        }
    }

    /// Writes a field that nobody has checked.
    pub(crate) fn put(&mut self, field: Field<'f>) -> Result<(), Misuse> {
        let kind = Kind::of(field.name.as_bytes());
        if kind.is_reserved() {
            return Err(reserved(field.name.as_bytes()));
        }
        put_checked(field, self.out)?;
        self.seen.note(kind, field.value);
        Ok(())
    }

    /// Writes the fields of a list, in which none can be that is invalid.
    pub(crate) fn put_all(&mut self, fields: &'f Fields) -> Result<(), Misuse> {
        self.pass(fields, true, |_| Passed::Kept)
    }

    /// Writes the fields of a list as `decide` says: see [`Fields::write`].
    #[inline]
    pub(crate) fn pass(
        &mut self,
        fields: &'f Fields,
        keeps_others: bool,
        mut decide: impl FnMut(&Entry<'f>) -> Passed<'f>,
    ) -> Result<(), Misuse> {
        let Self { out, seen } = self;
        let mut misuse = None;
        fields.write(out, keeps_others, |field| {
            let passed = decide(field);
            match (passed, field.kind()) {
                (Passed::Dropped, _) => {}
                (Passed::Kept, kind @ (Kind::Host | Kind::Expect)) => {
                    seen.note(kind, field.value());
                }
                (Passed::Replaced(value), kind @ (Kind::Host | Kind::Expect)) => {
                    seen.note(kind, value);
                }
                (_, kind) if kind.is_reserved() => misuse = Some(reserved(field.name())),
                _ => {}
            }
            passed
        });
        misuse.map_or(Ok(()), Err)
    }

    /// Writes a field of which the caller knows that it is valid, and concerns neither the message
    /// nor the hop.
    pub(crate) fn put_valid(&mut self, field: Field<'_>) {
        put(field, self.out);
    }

    pub(crate) fn seen(self) -> SeenFields<'f> {
        self.seen
    }
}

fn reserved(name: &[u8]) -> Misuse {
    Misuse::ReservedField { name: shown(name) }
}

/// What the fields of a request must have, or not, taken together.
#[derive(Default)]
pub(crate) struct SeenFields<'f> {
    hosts: usize,
    host: Option<&'f [u8]>,
    pub(crate) expect_continue: bool,
    foreign_expectation: bool,
}

impl<'f> SeenFields<'f> {
    fn note(&mut self, kind: Kind, value: &'f [u8]) {
        match kind {
            Kind::Host => {
                self.hosts += 1;
                self.host = Some(value);
            }
            Kind::Expect => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                self.expect_continue |= known;
                self.foreign_expectation |= !known;
            }
            _ => {}
        }
    }

    pub(crate) fn check(&self, form: target::Form<'_>) -> Result<(), Error> {
        if self.hosts > 1 {
            return Err(Error::RepeatedHost);
        }
        if self.foreign_expectation {
            return Err(Error::Expectation);
        }
        target::check_host(form, self.host, true)
    }
}
