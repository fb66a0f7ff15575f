//! Which responses does nobody pass on?

use super::watcher::{Answer, Then};

/// What a client sees of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing but a 502.
    BadGateway,
    /// A 502, or a response that nobody can take for a whole one.
    Cut,
    /// `ok`, and nothing of what follows it.
    Ok,
}

use Outcome::{BadGateway, Cut, Ok};

/// Responses: the section of RFC 9112 unless another one is named, what the client of a GET sees, and what is sent.
#[rustfmt::skip]
const RESPONSES: &[(&str, Outcome, &[u8])] = &[
    // The status line
    ("4", BadGateway, b"HTTP/1.1 000 x\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 099 x\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 600 x\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 999 x\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 20 x\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 2000 x\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 +20 x\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1  200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 200\tOK\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 200 a\0b\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.1 200 a\rb\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/1.2 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"HTTP/2.0 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"http/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("4", BadGateway, b"ICY 200 OK\r\n\r\nevil"),
    ("4", BadGateway, b"evil\r\n\r\n"),
    ("4", BadGateway, b"GET /evil HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("2.2", BadGateway, b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("2.2", BadGateway, b"\0HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    // Fields
    ("2.2", BadGateway, b"HTTP/1.1 200 OK\nContent-Length: 4\n\nevil"),
    ("2.2", BadGateway, b"HTTP/1.1 200 OK\r\nX: y\nSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n"),
    ("2.2", BadGateway, b"HTTP/1.1 200 OK\r\nX: y\rSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n"),
    ("2.2", BadGateway, b"HTTP/1.1 200 OK\r\nX: y\n\nevil\r\nContent-Length: 0\r\n\r\n"),
    ("2.2", BadGateway, b"HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 4\r\n\r\nevil"),
    ("5.1", BadGateway, b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 4\r\n\r\nevil"),
    ("5.1", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nevil"),
    ("5.2", BadGateway, b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 4\r\n\r\nevil"),
    ("9110 5.1", BadGateway, b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 4\r\n\r\nevil"),
    ("9110 5.1", BadGateway, b"HTTP/1.1 200 OK\r\n: y\r\nContent-Length: 4\r\n\r\nevil"),
    ("9110 5.5", BadGateway, b"HTTP/1.1 200 OK\r\nLocation: /\0evil\r\nContent-Length: 4\r\n\r\nevil"),
    // How long is the body?
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nevil"),
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\nevil"),
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nevil"),
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nevil"),
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length: 0x4\r\n\r\nevil"),
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nevil"),
    ("6.3", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551620\r\n\r\nevil"),
    ("6.1", BadGateway, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nevil"),
    ("6.1", BadGateway, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
    ("6.1", BadGateway, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
    ("6.1", BadGateway, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
    ("6.1", BadGateway, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
    ("6.1", BadGateway, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
    // Interim responses and switches
    ("6.1", BadGateway, b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("9110 8.6", BadGateway, b"HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nevilHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("9110 15.2.2", BadGateway, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nevil"),
    ("9110 15.2.2", BadGateway, b"HTTP/1.1 101 Switching Protocols\r\n\r\nevil"),
    // Chunks
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nevil"),
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n"),
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n"),
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n"),
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\rb\r\nok\r\n0\r\n\r\n"),
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokevil\r\n0\r\n\r\n"),
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n"),
    ("7.1", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n10000000000000000\r\nevil"),
    ("7.1.2", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: evil\r\n\r\n"),
    ("7.1.2", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 2\r\n\r\n"),
    ("7.1.2", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\n\r\n"),
    // Bytes behind the end
    ("9.2", Ok, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokevil"),
    ("9.2", Ok, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n"),
    ("9.2", Ok, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("9.2", Ok, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("9.2", Ok, b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 103 evil\r\n\r\n"),
    ("9.6", Ok, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ("9.6", Ok, b"HTTP/1.1 103 x\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("9.3", Ok, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
];

/// Responses whose stream ends behind them.
#[rustfmt::skip]
const ENDED: &[(&str, Outcome, &[u8])] = &[
    ("8", BadGateway, b""),
    ("8", BadGateway, b"HTTP/1.1 200 OK\r\nContent-Le"),
    ("8", BadGateway, b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("8", Cut, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevi"),
    ("8", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
    ("8", Cut, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"),
    ("6.3", Ok, b"HTTP/1.1 200 OK\r\n\r\nok"),
    ("6.3", Ok, b"HTTP/1.0 200 OK\r\n\r\nok"),
];

/// All responses of the tables, and those that exceed a limit.
pub(crate) fn cases() -> Vec<(String, Outcome, Answer)> {
    let long = "x".repeat(33_000);
    let large = [
        (
            "9110 5.4",
            BadGateway,
            format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"),
        ),
        (
            "9110 5.4",
            BadGateway,
            format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)),
        ),
        ("4", BadGateway, format!("HTTP/1.1 200 {long}\r\n\r\n")),
        (
            "7.1.1",
            Cut,
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;{}\r\nok\r\n0\r\n\r\n",
                &long[..300]
            ),
        ),
        (
            "9110 15.2",
            BadGateway,
            format!(
                "{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                "HTTP/1.1 103 x\r\n\r\n".repeat(17)
            ),
        ),
    ];
    let large = large
        .iter()
        .map(|(section, outcome, text)| (*section, *outcome, text.as_bytes(), Then::Stay));
    let open = RESPONSES
        .iter()
        .map(|(section, outcome, bytes)| (*section, *outcome, *bytes, Then::Stay));
    let ended = ENDED
        .iter()
        .map(|(section, outcome, bytes)| (*section, *outcome, *bytes, Then::Close));
    // Without an end: 16 interim responses are passed on, and no more are read.
    let flood: (_, _, &[u8], _) = (
        "9110 15.2",
        BadGateway,
        b"HTTP/1.1 103 x\r\n\r\n",
        Then::Again,
    );
    open.chain(ended)
        .chain(large)
        .chain([flood])
        .map(|(section, outcome, bytes, then)| {
            let shown = &bytes[..bytes.len().min(100)];
            let what = format!("{section}: \"{}\"", shown.escape_ascii());
            let bytes = bytes.to_vec();
            (what, outcome, Answer { bytes, then })
        })
        .collect()
}
