//! Where does a head end? Finds the empty line however the bytes arrive, looking at each one once.

use super::error::Error;

/// What a section of lines may be, and the errors for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) size: usize,
    /// How many lines there may be before the empty one.
    pub(crate) lines: usize,
    pub(crate) too_large: Error,
    pub(crate) too_many: Error,
}

/// How many bytes are looked at together, as long as nothing ends or breaks in them.
const BLOCK: usize = 64;

/// The position in a section that is not complete yet.
///
/// Between two calls the caller keeps the section from its first byte and appends to it:
/// `seen <= input.len()`, and of the bytes before `seen` only the last two are looked at again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Where the section begins: behind an empty line that was skipped, otherwise 0.
    start: usize,
    /// Everything before this was looked at.
    seen: usize,
    lines: usize,
    /// How many bytes were looked at, for the tests that bound the cost.
    examined: u64,
}

impl Scan {
    /// Looks for the end of the section in `input`, and returns the offset behind its empty line.
    ///
    /// With `skip_empty` one empty line before the section is passed over.
    pub(crate) fn find_end(
        &mut self,
        input: &[u8],
        bounds: &Bounds,
        skip_empty: bool,
    ) -> Result<Option<usize>, Error> {
        let from = self.seen.min(input.len());
        let rest = self.skip_blocks(input, from, bounds);
        for feed in memchr::memchr_iter(b'\n', &input[rest..]).map(|at| rest + at) {
            if let Some(end) = self.on_line(input, feed, bounds, skip_empty)? {
                self.examined += (end - from) as u64;
                return Ok(Some(end));
            }
        }
        self.seen = input.len().max(self.seen);
        self.examined += (input.len() - from) as u64;
        if input.len() > bounds.size {
            Err(bounds.too_large)
        } else {
            Ok(None)
        }
    }

    /// Passes over whole blocks that hold nothing but ordinary lines, and counts these. Returns
    /// where the first other one begins.
    fn skip_blocks(&mut self, input: &[u8], from: usize, bounds: &Bounds) -> usize {
        // What an LF means is told by the two bytes before it.
        let mut at = from.max(2);
        if input
            .get(from..at)
            .is_none_or(|first| first.contains(&b'\n'))
        {
            return from;
        }
        while let Some(block) = input.get(at - 2..).and_then(|rest| rest.first_chunk()) {
            let Some(ends) = ordinary_lines(block) else {
                break;
            };
            if at + BLOCK > bounds.size || self.lines + ends > bounds.lines {
                break;
            }
            self.lines += ends;
            at += BLOCK;
        }
        at
    }

    /// A line that ends with the LF at `feed`. Returns the end of the section if the line is empty.
    fn on_line(
        &mut self,
        input: &[u8],
        feed: usize,
        bounds: &Bounds,
        skip_empty: bool,
    ) -> Result<Option<usize>, Error> {
        if feed >= bounds.size {
            return Err(bounds.too_large);
        }
        // RFC 9112, section 2.2, lets a recipient take a bare LF for a line end. Some do, some do
        // not, and that difference is how requests are smuggled.
        let Some(before) = input[..feed].strip_suffix(b"\r") else {
            return Err(Error::BareLf);
        };
        if !before.is_empty() && !before.ends_with(b"\n") {
            self.lines += 1;
            if self.lines > bounds.lines {
                return Err(bounds.too_many);
            }
        } else if skip_empty && before.is_empty() {
            self.start = feed + 1;
        } else {
            return Ok(Some(feed + 1));
        }
        Ok(None)
    }

    /// Whether nothing was looked at yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.seen == 0
    }

    /// Says that the section begins with lines that were looked at elsewhere: so many, and up to
    /// `end`.
    pub(crate) fn begin_behind(&mut self, end: usize, lines: usize) {
        self.seen = end;
        self.lines = lines;
        self.examined += end as u64;
    }

    /// Where the section begins.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// How many lines were complete.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Whether nothing of the section was seen yet, apart from an empty line before it.
    pub(crate) fn is_untouched(&self) -> bool {
        self.seen == self.start
    }

    pub(crate) fn examined(&self) -> u64 {
        self.examined
    }
}

/// How many lines end in a block, of which the first two bytes only stand before it; `None` if an
/// LF stands behind no CR, or ends an empty line.
///
/// Without branches, so that the compiler can look at many bytes at once.
fn ordinary_lines(block: &[u8; BLOCK + 2]) -> Option<usize> {
    let (mut ends, mut others) = (0u8, 0u8);
    for at in 2..block.len() {
        let is_end = block[at] == b'\n';
        let is_ordinary = (block[at - 1] == b'\r') & (block[at - 2] != b'\n');
        ends += u8::from(is_end);
        others |= u8::from(is_end & !is_ordinary);
    }
    (others == 0).then_some(ends.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        size: 20,
        lines: 3,
        too_large: Error::HeadTooLarge { limit: 20 },
        too_many: Error::TooManyFields { limit: 3 },
    };

    #[test]
    fn the_end_is_the_same_however_the_bytes_arrive() {
        for (input, skip, expected) in [
            ("a\r\n\r\n", false, Ok(Some(5))),
            ("a\r\n\r\nmore\r\n\r\n", false, Ok(Some(5))),
            ("\r\n", false, Ok(Some(2))),
            ("\r\na\r\n\r\n", true, Ok(Some(7))),
            ("\r\n\r\n", true, Ok(Some(4))),
            ("a\r\nb\r\n", false, Ok(None)),
            ("a\n\n", false, Err(Error::BareLf)),
            ("a\r\n\n", false, Err(Error::BareLf)),
            ("\n", true, Err(Error::BareLf)),
            ("a\r\nb\r\nc\r\n\r\n", false, Ok(Some(11))),
            (
                "a\r\nb\r\nc\r\nd\r\n\r\n",
                false,
                Err(Error::TooManyFields { limit: 3 }),
            ),
            ("aaaaaaaaaaaaaaaa\r\n\r\n", false, Ok(Some(20))),
            (
                "aaaaaaaaaaaaaaaaa\r\n\r\n",
                false,
                Err(Error::HeadTooLarge { limit: 20 }),
            ),
            (
                "aaaaaaaaaaaaaaaaaaaaa",
                false,
                Err(Error::HeadTooLarge { limit: 20 }),
            ),
        ] {
            let input = input.as_bytes();
            let whole = Scan::default().find_end(input, &BOUNDS, skip);
            assert_eq!(whole, expected, "{}", input.escape_ascii());

            let mut scan = Scan::default();
            let bytewise = (1..=input.len())
                .map(|end| scan.find_end(&input[..end], &BOUNDS, skip))
                .find(|result| *result != Ok(None))
                .unwrap_or(Ok(None));
            assert_eq!(bytewise, expected, "bytewise {}", input.escape_ascii());
            assert!(scan.examined() <= input.len() as u64);
        }
    }

    /// Looks for the end of a section whose limits are not met, a byte at a time.
    fn end_of(input: &[u8]) -> Result<Option<usize>, Error> {
        for (feed, _) in input.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            match &input[..feed] {
                [.., b'\n', b'\r'] | [b'\r'] => return Ok(Some(feed + 1)),
                [.., b'\r'] => {}
                _ => return Err(Error::BareLf),
            }
        }
        Ok(None)
    }

    /// Wherever the end or a bare LF lies in a block, and whatever was seen before it.
    #[test]
    fn blocks_hide_nothing() {
        let bounds = Bounds {
            size: 1_000,
            lines: 100,
            ..BOUNDS
        };
        let line = "A: 234567\r\n".repeat(30);
        for (length, tail) in (0..3 * BLOCK).flat_map(|length| {
            [
                "\r\n",
                "\n",
                "\n\n",
                "\r\r\n",
                "x\n",
                "\r\n\r\n",
                "x\r\n\r\n",
                "",
            ]
            .map(|tail| (length, tail))
        }) {
            let input = format!("{}{tail}{line}", &line[..length]);
            let input = input.as_bytes();
            let expected = end_of(input);
            let found = Scan::default().find_end(input, &bounds, false);
            assert_eq!(found, expected, "{length} {tail:?}");
            for first in [1, 2, 3, length, length + 1, length + 2] {
                let mut scan = Scan::default();
                let found = match scan.find_end(&input[..first], &bounds, false) {
                    Ok(None) => scan.find_end(input, &bounds, false),
                    found => found,
                };
                assert_eq!(found, expected, "{length} {tail:?}, first {first}");
            }
        }
    }

    #[test]
    fn limits_are_met_within_blocks() {
        let line = "A: 234567\r\n";
        for lines in 0..40 {
            let input = format!("{}\r\n{}", line.repeat(lines), line.repeat(20));
            for limit in 0..40 {
                let bounds = Bounds {
                    size: 1_000,
                    lines: limit,
                    ..BOUNDS
                };
                let found = Scan::default().find_end(input.as_bytes(), &bounds, false);
                let expected = match lines > limit {
                    true => Err(bounds.too_many),
                    false => Ok(Some(lines * line.len() + 2)),
                };
                assert_eq!(found, expected, "{lines} of {limit}");
            }
            for size in 0..500 {
                let bounds = Bounds {
                    size,
                    lines: 100,
                    ..BOUNDS
                };
                let end = lines * line.len() + 2;
                let found = Scan::default().find_end(input.as_bytes(), &bounds, false);
                let expected = match end > size {
                    true => Err(bounds.too_large),
                    false => Ok(Some(end)),
                };
                assert_eq!(found, expected, "{lines} lines in {size} bytes");
            }
        }
    }
}
