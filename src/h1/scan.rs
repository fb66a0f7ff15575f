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

/// The position in a section that is not complete yet.
///
/// Between two calls the caller keeps the section from its first byte and appends to it:
/// `line <= seen <= input.len()`, and the bytes before `seen` are never looked at again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// Where the section begins: behind an empty line that was skipped, otherwise 0.
    start: usize,
    /// Where the line begins that is being read.
    line: usize,
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
        for feed in memchr::memchr_iter(b'\n', &input[from..]).map(|at| from + at) {
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

    /// A line that ends with the LF at `feed`. Returns the end of the section if the line is empty.
    fn on_line(
        &mut self,
        input: &[u8],
        feed: usize,
        bounds: &Bounds,
        skip_empty: bool,
    ) -> Result<Option<usize>, Error> {
        let line = std::mem::replace(&mut self.line, feed + 1);
        if feed >= bounds.size {
            return Err(bounds.too_large);
        }
        // RFC 9112, section 2.2, lets a recipient take a bare LF for a line end. Some do, some do
        // not, and that difference is how requests are smuggled.
        let text = input.get(line..feed).unwrap_or_default();
        let Some(length) = text.strip_suffix(b"\r").map(<[u8]>::len) else {
            return Err(Error::BareLf);
        };
        if length > 0 {
            self.lines += 1;
            if self.lines > bounds.lines {
                return Err(bounds.too_many);
            }
        } else if skip_empty && line == 0 {
            self.start = feed + 1;
        } else {
            return Ok(Some(feed + 1));
        }
        Ok(None)
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
}
