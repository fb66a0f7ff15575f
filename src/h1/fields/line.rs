//! Where does a field stand in the text of its head? The offsets of one line, and how they are
//! kept behind the text.

use super::kind::Kind;

/// A range of the two buffers of a list, as if they were one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// Where `part` lies in `whole`, of which it is a slice. A head is far smaller than the offsets
    /// can count.
    pub(crate) fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        Self::new(start, start.wrapping_add(part.len()))
    }

    /// The range from `start` to `end`, empty if it cannot be counted.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        match (start.try_into(), end.try_into()) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }

    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// What stands between the name and the value of a line that is written as the encoder does it.
pub(super) const SEPARATOR: &[u8] = b": ";

/// What ends a line.
pub(super) const LINE_END: &[u8] = b"\r\n";

/// A line as it is kept: the offsets of its name and its value, and a byte that says what it is.
pub(super) type Packed = [u8; 17];

/// What is added to the number of a kind if the line stands in its text as it is to be written: one
/// space behind the colon, and none behind the value.
const CANONICAL: u8 = 0x80;

/// One field line.
#[derive(Clone, Copy)]
pub(super) struct Line<'a>(pub(super) &'a Packed);

impl Line<'_> {
    /// The line of what httparse found in `source`.
    #[inline]
    pub(super) fn parsed(source: &[u8], header: &httparse::Header<'_>) -> Packed {
        let name = Span::within(source, header.name.as_bytes());
        let value = match header.value {
            // An empty slice may point anywhere.
            [] => Span {
                start: name.end,
                end: name.end,
            },
            value => Span::within(source, value),
        };
        let before = source.get(name.end as usize..value.start as usize);
        let behind = source.get(value.end as usize..);
        let is_canonical =
            before == Some(SEPARATOR) && behind.is_some_and(|behind| behind.starts_with(LINE_END));
        let kind = Kind::of(header.name.as_bytes());
        pack(kind, is_canonical, name, value)
    }

    /// The line of a name and a value that are written at `start`, with their separator and their
    /// line end; `None` if the offsets cannot count so far.
    pub(super) fn written(start: usize, name: &[u8], value: &[u8]) -> Option<Packed> {
        let end = start
            .checked_add(name.len())?
            .checked_add(SEPARATOR.len())?
            .checked_add(value.len())?;
        // The line end has to be counted, too.
        let _: u32 = end.checked_add(LINE_END.len())?.try_into().ok()?;
        Some(Self::canonical(Kind::of(name), name, start, end))
    }

    /// The line of the field of that kind and called `name` that begins at `start`, as it is to be written, and whose
    /// line end is at `end`. The caller knows that these can be counted.
    #[inline]
    pub(super) fn canonical(kind: Kind, name: &[u8], start: usize, end: usize) -> Packed {
        let colon = start + name.len();
        let span = |start: usize, end: usize| Span {
            start: start as u32,
            end: end as u32,
        };
        let value = span(colon + SEPARATOR.len(), end);
        pack(kind, true, span(start, colon), value)
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        Kind::from_number(self.label() & !CANONICAL)
    }

    #[inline]
    pub(super) fn is_canonical(self) -> bool {
        self.label() & CANONICAL != 0
    }

    #[inline]
    pub(super) fn name(self) -> Span {
        Span {
            start: self.offset(0),
            end: self.offset(1),
        }
    }

    #[inline]
    pub(super) fn value(self) -> Span {
        Span {
            start: self.offset(2),
            end: self.offset(3),
        }
    }

    /// The whole line with its line end, if it is canonical.
    #[inline]
    pub(super) fn whole(self) -> Span {
        Span {
            start: self.offset(0),
            end: self.offset(3).saturating_add(LINE_END.len() as u32),
        }
    }

    fn label(self) -> u8 {
        self.0[OFFSETS * 4]
    }

    fn offset(self, number: usize) -> u32 {
        let (offsets, _) = self.0.as_chunks();
        offsets.get(number).copied().map_or(0, u32::from_le_bytes)
    }
}

/// How many offsets a line has.
const OFFSETS: usize = 4;

fn pack(kind: Kind, is_canonical: bool, name: Span, value: Span) -> Packed {
    let mut packed = Packed::default();
    let (places, _) = packed.as_chunks_mut();
    for (place, offset) in places
        .iter_mut()
        .zip([name.start, name.end, value.start, value.end])
    {
        *place = offset.to_le_bytes();
    }
    packed[OFFSETS * 4] = kind.number() | if is_canonical { CANONICAL } else { 0 };
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_as_it_is() {
        let (name, value) = (
            Span::new(0x0102_0304, 0x0506_0708),
            Span::new(0x090a_0b0c, 0xfffe_fdfc),
        );
        for kind in [Kind::Other, Kind::ProxyAuthenticationInfo] {
            for is_canonical in [false, true] {
                let packed = pack(kind, is_canonical, name, value);
                let line = Line(&packed);
                assert_eq!((line.name(), line.value()), (name, value));
                assert_eq!((line.kind(), line.is_canonical()), (kind, is_canonical));
            }
        }
    }

    #[test]
    fn a_written_line_has_its_separator_and_its_end() {
        let packed = Line::written(3, b"Host", b"h").expect("can be counted");
        let line = Line(&packed);
        assert_eq!(line.kind(), Kind::Host);
        assert_eq!(line.name(), Span::new(3, 7));
        assert_eq!(line.value(), Span::new(9, 10));
        assert_eq!(line.whole(), Span::new(3, 12));
        assert_eq!(Line::written(u32::MAX as usize - 8, b"Host", b"h"), None);
        assert_eq!(Line::written(usize::MAX, b"Host", b"h"), None);
    }
}
