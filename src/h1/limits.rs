//! How large may a message be? Every bound of the framing core, each with its reason.

/// The most fields a head may ever be allowed to have, whatever is configured.
///
/// The table that a head is parsed into lives on the stack, so its size is fixed: 256 entries are 8
/// KiB.
pub(crate) const FIELDS_CEILING: usize = 256;

/// The largest head, in bytes, that may ever be allowed. Offsets into a head are 32 bits wide.
const HEAD_CEILING: usize = 16 * 1024 * 1024;

/// Bounds on what a peer may send in one message.
///
/// They bound memory: a receiver buffers at most `max(head_size, trailers_size) + 1` bytes that it
/// cannot yet use, and a parsed head or trailer section costs its own size once more. Body bytes
/// are never buffered here.
///
/// ```
/// use libp2p_http_proxy::h1::Limits;
///
/// let limits = Limits::default().with_head_size(16 * 1024).with_fields(64);
/// assert_eq!(limits.head_size(), 16 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    head_size: usize,
    fields: usize,
    target: usize,
    chunk_line: usize,
    trailers_size: usize,
    trailer_fields: usize,
    interim_responses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // What nginx (4 x 8 KiB) lets through in all: no working site needs more.
            head_size: 32 * 1024,
            // Apache's and hyper's bound. Browsers send about 20.
            fields: 100,
            // Leaves half of the head for the fields. The common servers stop at 8 KiB.
            target: 16 * 1024,
            // A size takes 16 digits; the rest is room for extensions, which nobody uses.
            chunk_line: 256,
            // Checksums, timings, gRPC status: small things.
            trailers_size: 8 * 1024,
            trailer_fields: 32,
            // 100 and a few early hints. Without a bound an origin holds a client for ever.
            interim_responses: 16,
        }
    }
}

impl Limits {
    /// Sets the size of a whole head in bytes, its empty line included. Default 32 KiB, at most 16
    /// MiB.
    ///
    /// Memory: this many bytes per connection while a head arrives, and as many for the parsed
    /// head.
    pub fn with_head_size(mut self, bytes: usize) -> Self {
        self.head_size = bytes.min(HEAD_CEILING);
        self
    }

    /// Sets how many fields a head may have. Default 100, at most 256.
    pub fn with_fields(mut self, count: usize) -> Self {
        self.fields = count.min(FIELDS_CEILING);
        self
    }

    /// Sets the length of a request target in bytes. Default 16 KiB; the head size bounds it as
    /// well.
    pub fn with_target(mut self, bytes: usize) -> Self {
        self.target = bytes;
        self
    }

    /// Sets the length of a chunk-size line in bytes, its extensions included, its line end not.
    /// Default 256.
    pub fn with_chunk_line(mut self, bytes: usize) -> Self {
        self.chunk_line = bytes;
        self
    }

    /// Sets the size of a trailer section in bytes, its empty line included. Default 8 KiB, at most
    /// 16 MiB.
    ///
    /// Memory: this many bytes per connection while trailers arrive, and as many for the parsed
    /// fields.
    pub fn with_trailers_size(mut self, bytes: usize) -> Self {
        self.trailers_size = bytes.min(HEAD_CEILING);
        self
    }

    /// Sets how many fields a trailer section may have. Default 32, at most 256.
    pub fn with_trailer_fields(mut self, count: usize) -> Self {
        self.trailer_fields = count.min(FIELDS_CEILING);
        self
    }

    /// Sets how many interim (1xx) responses may come before the final one. Default 16.
    pub fn with_interim_responses(mut self, count: usize) -> Self {
        self.interim_responses = count;
        self
    }

    /// The size of a whole head in bytes.
    pub fn head_size(&self) -> usize {
        self.head_size
    }

    /// How many fields a head may have.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// The length of a request target in bytes.
    pub fn target(&self) -> usize {
        self.target
    }

    /// The length of a chunk-size line in bytes.
    pub fn chunk_line(&self) -> usize {
        self.chunk_line
    }

    /// The size of a trailer section in bytes.
    pub fn trailers_size(&self) -> usize {
        self.trailers_size
    }

    /// How many fields a trailer section may have.
    pub fn trailer_fields(&self) -> usize {
        self.trailer_fields
    }

    /// How many interim responses may come before the final one.
    pub fn interim_responses(&self) -> usize {
        self.interim_responses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_hold_whatever_is_configured() {
        let limits = Limits::default()
            .with_head_size(usize::MAX)
            .with_fields(usize::MAX)
            .with_trailers_size(usize::MAX)
            .with_trailer_fields(usize::MAX);

        assert_eq!(limits.head_size(), HEAD_CEILING);
        assert_eq!(limits.fields(), FIELDS_CEILING);
        assert_eq!(limits.trailers_size(), HEAD_CEILING);
        assert_eq!(limits.trailer_fields(), FIELDS_CEILING);
    }
}
