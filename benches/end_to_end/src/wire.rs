//! How does the load generator, and how does the server, read HTTP? Plainly, fast, and checking every byte of every body.
//!
//! Not with the crate that is measured, nor with a library of the others.

use anyhow::{Context, Result, bail, ensure};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::pattern::Check;

/// More fields than any head here has.
const FIELDS: usize = 64;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Known(u64),
    Chunked,
    UntilClose,
}

/// What is known of a head.
pub(crate) struct Head {
    /// The method and the target, of a request.
    pub(crate) request: Option<(String, String)>,
    /// The status, of a response.
    pub(crate) status: u16,
    pub(crate) length: Length,
    pub(crate) close: bool,
}

/// A connection, and what was read from it ahead.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; 4 * 1024],
            start: 0,
            end: 0,
        })
    }

    /// Reads a request; `None` at the end of the connection.
    pub(crate) async fn request(&mut self) -> Result<Option<Head>> {
        let Some(end) = self.head_end().await? else {
            return Ok(None);
        };
        let text = &self.buffer[self.start..end];
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        ensure!(parsed.parse(text)?.is_complete(), "a head is cut");
        let (length, close) = read_fields(parsed.headers)?;
        let head = Head {
            request: parsed
                .method
                .zip(parsed.path)
                .map(|(m, p)| (m.into(), p.into())),
            status: 0,
            length: length.unwrap_or(Length::Known(0)),
            close,
        };
        self.start = end;
        Ok(Some(head))
    }

    /// Reads the head of a response.
    pub(crate) async fn response(&mut self) -> Result<Head> {
        let end = self
            .head_end()
            .await?
            .context("closed without a response")?;
        let text = &self.buffer[self.start..end];
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        ensure!(parsed.parse(text)?.is_complete(), "a head is cut");
        let (length, close) = read_fields(parsed.headers)?;
        let head = Head {
            request: None,
            status: parsed.code.unwrap_or_default(),
            length: length.unwrap_or(Length::UntilClose),
            close,
        };
        self.start = end;
        Ok(head)
    }

    /// Reads a body and compares it with the pattern. Returns its length.
    pub(crate) async fn body(&mut self, length: Length) -> Result<u64> {
        self.watched_body(length, |_| {}).await
    }

    /// The same, and tells `watch` how long the body is so far at every piece of it.
    pub(crate) async fn watched_body(
        &mut self,
        length: Length,
        mut watch: impl FnMut(u64),
    ) -> Result<u64> {
        let mut check = Check::default();
        match length {
            Length::Known(length) => self.data(length, &mut check, &mut watch).await?,
            Length::Chunked => self.chunks(&mut check, &mut watch).await?,
            Length::UntilClose => {
                while self.start < self.end || self.fill().await? {
                    self.take(u64::MAX, &mut check)?;
                    watch(check.length());
                }
            }
        }
        Ok(check.length())
    }

    /// Waits for the end of the connection.
    pub(crate) async fn end(&mut self) -> Result<()> {
        ensure!(
            self.start == self.end && !self.fill().await?,
            "bytes behind the response"
        );
        Ok(())
    }

    async fn data(
        &mut self,
        mut left: u64,
        check: &mut Check,
        watch: &mut impl FnMut(u64),
    ) -> Result<()> {
        while left > 0 {
            if self.start == self.end {
                ensure!(
                    self.fill().await?,
                    "closed {left} bytes before the end of a body"
                );
            }
            left -= self.take(left, check)?;
            watch(check.length());
        }
        Ok(())
    }

    async fn chunks(&mut self, check: &mut Check, watch: &mut impl FnMut(u64)) -> Result<()> {
        loop {
            let size = loop {
                match httparse::parse_chunk_size(&self.buffer[self.start..self.end]) {
                    Ok(httparse::Status::Complete((used, size))) => {
                        self.start += used;
                        break size;
                    }
                    Ok(httparse::Status::Partial) => {
                        ensure!(self.fill().await?, "closed in front of a chunk");
                    }
                    Err(_) => bail!("an invalid chunk size"),
                }
            };
            self.data(size, check, watch).await?;
            // No trailers are sent here: the line end of a chunk, or the empty line behind the last one.
            while self.end - self.start < 2 {
                ensure!(self.fill().await?, "closed behind a chunk");
            }
            let end = &self.buffer[self.start..self.start + 2];
            ensure!(end == b"\r\n", "a chunk has another length than it says");
            self.start += 2;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Takes up to `most` bytes of body that were read.
    fn take(&mut self, most: u64, check: &mut Check) -> Result<u64> {
        let count = (self.end - self.start).min(usize::try_from(most).unwrap_or(usize::MAX));
        let data = &self.buffer[self.start..self.start + count];
        ensure!(
            check.goes_on_with(data),
            "other bytes than were sent, before {}",
            check.length()
        );
        self.start += count;
        Ok(count as u64)
    }

    /// Where the next head ends; `None` at the end of the connection.
    async fn head_end(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer[self.start..self.end], b"\r\n\r\n")
            {
                return Ok(Some(self.start + at + 4));
            }
            if !self.fill().await? {
                ensure!(self.start == self.end, "closed in a head");
                return Ok(None);
            }
        }
    }

    /// Reads more; `false` at the end of the connection.
    async fn fill(&mut self) -> Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            // Only who needs it has a large buffer: there are thousands of connections.
            self.buffer.resize(self.buffer.len().max(32 * 1024) * 2, 0);
        }
        let count = self.stream.read(&mut self.buffer[self.end..]).await?;
        self.end += count;
        Ok(count > 0)
    }
}

fn read_fields(fields: &[httparse::Header<'_>]) -> Result<(Option<Length>, bool)> {
    let (mut length, mut close) = (None, false);
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            length = Some(Length::Known(str::from_utf8(field.value)?.parse()?));
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            length = Some(Length::Chunked);
        } else if field.name.eq_ignore_ascii_case("connection") {
            close |= field.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok((length, close))
}
