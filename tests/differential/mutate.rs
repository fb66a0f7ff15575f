//! Which inputs are worth comparing? Valid messages, with faults put in by a generator that can be run again.

use super::reading::Kind;

/// Marsaglia's xorshift64*: the same sequence for the same seed, everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % end
    }

    pub(crate) fn choose<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Requests to begin with.
#[rustfmt::skip]
const REQUESTS: &[&str] = &[
    "GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a:80\r\nX: \tb c\t \r\n\r\nDELETE /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "GET http://a.b:8080/c?d HTTP/1.1\r\nHost: a.b:8080\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 10\r\nHost: [::1]:1\r\n\r\n0\r\n\r\nGET /",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:Chunked\r\n\r\nA;x=1\r\n0123456789\r\n1;y;z=\"q\"\r\n!\r\n00\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\nx-u:2\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "PATCH / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nokGET /2 HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nframes",
    "POST /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nokGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=\"2\"\r\nCookie: c\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nX: y\r\n\r\n0\r\n\r\n",
];

/// Responses to begin with.
#[rustfmt::skip]
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n2\r\nok\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 500 x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\n\r\nuntil\r\n\r\nthe end",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 404 \r\nContent-Length: 0\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n",
    "HTTP/1.1 200\r\nContent-Length:3\r\n\r\nabc",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes",
];

/// What gets inserted: what parsers have been fooled with.
#[rustfmt::skip]
const PIECES: &[&[u8]] = &[
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xff", b"\xc3\xa9", b":", b";", b",",
    b"0", b"1", b"5", b"a", b"F", b"00", b"0x", b"+", b"-", b"_", b"\"", b"'", b"=", b"#", b"?", b"/", b"\\", b"*", b"@", b"%", b"|", b"[", b"{", b"(",
    b" \t", b"\r\n ", b"\r\n\t", b": ", b" :", b"0\r\n", b"0\r\n\r\n", b"\r\n0\r\n\r\n", b"5\r\n", b";a=b", b" ; a = \"b\"", b"ffffffffffffffff", b"10000000000000000",
    b"chunked", b", chunked", b"chunked, ", b"gzip, ", b"identity", b"xchunked", b"CHUNKED", b"close", b"keep-alive", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"HTTP/1.2",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length:5\r\n", b"Content-Length: 5, 5\r\n", b"Content-Length: \r\n", b"Content-Length: 05\r\n", b"Content-Length: +5\r\n",
    b"Content_Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding:\r\n", b"Transfer_Encoding: chunked\r\n", b"X: a\r\n b\r\n", b"X:\r\n", b"X\r\n", b": a\r\n", b"Host: b\r\n", b"X: \x80\xff\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: Upgrade\r\nUpgrade: x\r\n", b"Connection: Content-Length\r\n", b"Connection: Transfer-Encoding, close\r\n",
    b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"TE: trailers\r\n", b"Trailer: Content-Length\r\n", b"Keep-Alive: timeout=5\r\n", b"Proxy-Connection: close\r\n",
    b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HEAD", b"CONNECT", b"GET", b"204", b"304", b"100", b"101", b"199", b"599", b"600",
];

/// An input for a comparison: a valid message with up to four faults, or none.
pub(crate) fn input(random: &mut Random) -> (Kind, Vec<u8>) {
    let kind = *random.choose(&[
        Kind::Requests,
        Kind::Requests,
        Kind::Requests,
        Kind::ToGet,
        Kind::ToGet,
        Kind::ToHead,
    ]);
    let seeds = match kind {
        Kind::Requests => REQUESTS,
        Kind::ToGet | Kind::ToHead => RESPONSES,
    };
    let mut input = random.choose(seeds).as_bytes().to_vec();
    for _ in 0..random.below(5) {
        mutate(&mut input, random, seeds);
    }
    (kind, input)
}

fn mutate(input: &mut Vec<u8>, random: &mut Random, seeds: &[&str]) {
    if input.is_empty() {
        return;
    }
    let at = random.below(input.len());
    let end = (at + 1 + random.below(12)).min(input.len());
    match random.below(12) {
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = random.next() as u8,
        2 => drop(input.drain(at..at + 1)),
        3 => drop(input.drain(at..end)),
        4 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        5 => input[at] = swap_case(input[at]),
        6 => input.truncate(at),
        7 => {
            let tail = random.choose(seeds).as_bytes();
            let from = random.below(tail.len());
            input.truncate(at);
            input.extend(&tail[from..]);
        }
        // Where a line begins, whole fields have a meaning.
        8 | 9 => {
            let starts: Vec<_> = (1..input.len())
                .filter(|&at| input[at - 1] == b'\n')
                .collect();
            let at = if starts.is_empty() {
                0
            } else {
                *random.choose(&starts)
            };
            let piece = random.choose(PIECES).iter().copied();
            input.splice(at..at, piece);
        }
        _ => {
            let piece = random.choose(PIECES).iter().copied();
            input.splice(at..at, piece);
        }
    }
}

fn swap_case(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() {
        byte ^ 0x20
    } else {
        byte
    }
}
