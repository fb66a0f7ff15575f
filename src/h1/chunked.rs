//! Where does a chunk end, and what comes behind the last one? (RFC 9112, section 7.1)

use super::{
    diagnose,
    error::Error,
    fields::Fields,
    limits::{FIELDS_CEILING, Limits},
    scan::{Bounds, Scan},
    syntax::{hex_digit, is_control, is_ows},
};

/// The most digits a chunk size may have, leading zeros counted: what 64 bits take.
const SIZE_DIGITS: u8 = 16;

/// What comes next in a chunked body. Everything but the trailers is consumed as it arrives.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The digits of a chunk size.
    Size {
        digits: u8,
        value: u64,
    },
    /// White space between size and extension, which only an extension may follow.
    Space {
        value: u64,
    },
    /// The extensions, which mean nothing to us (RFC 9112, section 7.1.1).
    Extension {
        value: u64,
    },
    /// The LF of the chunk-size line.
    SizeEnd {
        value: u64,
    },
    Data {
        left: u64,
    },
    /// CR and LF behind the data.
    DataCr,
    DataLf,
    Trailers(Scan),
}

/// The state of a chunked body that is being received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks {
    state: State,
    /// The length of the chunk-size line so far.
    line: usize,
    /// How many bytes were looked at, for the tests that bound the cost.
    examined: u64,
}

/// What was found in the input of a chunked body.
#[allow(
    clippy::large_enum_variant,
    reason = "a return value, matched at once and never stored"
)]
#[derive(Debug)]
pub(crate) enum Part<'i> {
    NeedMore,
    Data(&'i [u8]),
    End(Option<Fields>),
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self {
            state: State::new_chunk(),
            line: 0,
            examined: 0,
        }
    }

    pub(crate) fn examined(&self) -> u64 {
        self.examined
    }

    /// Reads on, and says how many bytes of `input` were used. Data is always the last thing used.
    pub(crate) fn decode<'i>(
        &mut self,
        input: &'i [u8],
        limits: &Limits,
    ) -> Result<(usize, Part<'i>), Error> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            used += match &mut self.state {
                State::Data { left } => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    if length == 0 {
                        return Ok((used, Part::NeedMore));
                    }
                    *left -= length as u64;
                    if *left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok((used + length, Part::Data(&rest[..length])));
                }
                State::Trailers(_) => {
                    let (now, part) = self.trailers(rest, limits)?;
                    return Ok((used + now, part));
                }
                _ if rest.is_empty() => return Ok((used, Part::NeedMore)),
                State::Extension { value } => {
                    let value = *value;
                    self.extension(rest, value, limits)?
                }
                _ => {
                    self.examined += 1;
                    self.on_byte(rest[0], limits)?;
                    1
                }
            };
        }
    }

    /// Extensions mean nothing to us (RFC 9112, section 7.1.1): they are passed over as a whole.
    fn extension(&mut self, rest: &[u8], value: u64, limits: &Limits) -> Result<usize, Error> {
        let length = rest
            .iter()
            .position(|&byte| is_control(byte))
            .unwrap_or(rest.len());
        self.examined += length as u64;
        self.count_line(length, limits)?;
        match rest.get(length) {
            None => Ok(length),
            Some(b'\r') => {
                self.state = State::SizeEnd { value };
                Ok(length + 1)
            }
            Some(b'\n') => Err(Error::BareLf),
            Some(_) => Err(Error::ChunkExtension),
        }
    }

    fn trailers<'i>(&mut self, rest: &[u8], limits: &Limits) -> Result<(usize, Part<'i>), Error> {
        let State::Trailers(scan) = &mut self.state else {
            return Ok((0, Part::NeedMore));
        };
        let before = scan.examined();
        let end = scan.find_end(rest, &trailer_bounds(limits), false)?;
        self.examined += scan.examined() - before;
        let Some(end) = end else {
            return Ok((0, Part::NeedMore));
        };
        let found = match scan.lines() {
            0 => None,
            _ => {
                self.examined += end as u64;
                Some(parse_trailers(&rest[..end], limits)?)
            }
        };
        Ok((end, Part::End(found)))
    }

    /// One byte of what stands between the data of two chunks.
    fn on_byte(&mut self, byte: u8, limits: &Limits) -> Result<(), Error> {
        self.state = match self.state {
            State::Size { digits, value } => {
                if let Some(digit) = hex_digit(byte) {
                    self.count_line(1, limits)?;
                    if digits == SIZE_DIGITS {
                        return Err(Error::ChunkSizeOverflow);
                    }
                    let value = value << 4 | u64::from(digit);
                    State::Size {
                        digits: digits + 1,
                        value,
                    }
                } else if digits == 0 {
                    return Err(Error::ChunkSize);
                } else {
                    self.after_size(byte, value, limits)?
                }
            }
            // Bad white space before an extension must be taken (RFC 9112, section 7.1.1), but
            // white space before the line end is in no grammar.
            State::Space { value } => match byte {
                b'\r' | b'\n' => return Err(Error::ChunkSize),
                _ => self.after_size(byte, value, limits)?,
            },
            State::SizeEnd { value } => match (byte, value) {
                (b'\n', 0) => State::Trailers(Scan::default()),
                (b'\n', left) => State::Data { left },
                _ => return Err(Error::BareCr),
            },
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => {
                self.line = 0;
                State::new_chunk()
            }
            State::DataCr | State::DataLf => return Err(Error::ChunkDataEnd),
            // These are read in pieces, not by the byte.
            state @ (State::Extension { .. } | State::Data { .. } | State::Trailers(_)) => state,
        };
        Ok(())
    }

    fn after_size(&mut self, byte: u8, value: u64, limits: &Limits) -> Result<State, Error> {
        match byte {
            b'\r' => return Ok(State::SizeEnd { value }),
            b'\n' => return Err(Error::BareLf),
            _ => self.count_line(1, limits)?,
        }
        match byte {
            b';' => Ok(State::Extension { value }),
            byte if is_ows(byte) => Ok(State::Space { value }),
            _ => Err(Error::ChunkSize),
        }
    }

    fn count_line(&mut self, length: usize, limits: &Limits) -> Result<(), Error> {
        self.line = self.line.saturating_add(length);
        let limit = limits.chunk_line();
        if self.line > limit {
            Err(Error::ChunkLineTooLong { limit })
        } else {
            Ok(())
        }
    }
}

impl State {
    fn new_chunk() -> Self {
        Self::Size {
            digits: 0,
            value: 0,
        }
    }
}

/// Whether a field can be a trailer. Those that frame, route, authenticate or say how to read the
/// content come too late behind it (RFC 9110, section 6.5.1).
pub fn is_allowed_trailer(name: &str) -> bool {
    const FORBIDDEN: [&str; 27] = [
        // Framing
        "content-length",
        "transfer-encoding",
        "trailer",
        // The connection
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        // Routing and control of a request
        "host",
        "expect",
        "max-forwards",
        "range",
        "cache-control",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        // Authentication
        "authorization",
        "proxy-authorization",
        "proxy-authenticate",
        "www-authenticate",
        "cookie",
        "set-cookie",
        // How to read the content
        "content-encoding",
        "content-type",
        "content-range",
    ];
    !FORBIDDEN
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

fn trailer_bounds(limits: &Limits) -> Bounds {
    Bounds {
        size: limits.trailers_size(),
        lines: limits.trailer_fields(),
        too_large: Error::TrailersTooLarge {
            limit: limits.trailers_size(),
        },
        too_many: Error::TooManyTrailers {
            limit: limits.trailer_fields(),
        },
    }
}

fn parse_trailers(text: &[u8], limits: &Limits) -> Result<Fields, Error> {
    let mut table = [httparse::EMPTY_HEADER; FIELDS_CEILING];
    let table = &mut table[..limits.trailer_fields().min(FIELDS_CEILING)];
    let parsed = match httparse::parse_headers(text, table) {
        Ok(httparse::Status::Complete((end, parsed))) if end == text.len() => parsed,
        _ => return Err(diagnose::fields(text)),
    };
    if parsed.iter().any(|field| !is_allowed_trailer(field.name)) {
        return Err(Error::ForbiddenTrailer);
    }
    Ok(Fields::parsed(text, parsed))
}
