//! Which requests does nobody pass on?

/// A request that is refused.
pub(crate) struct Case {
    /// The section of RFC 9112, unless another one is named.
    pub(crate) section: &'static str,
    /// What its sender is told.
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
}

/// Lines that no head may have, and what their sender is told.
#[rustfmt::skip]
const LINES: &[(&str, u16, &[u8])] = &[
    // How long is the body?
    ("6.3", 400, b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("6.3", 400, b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("6.3", 400, b"Content-Length: 5\r\nContent-Length: 5"),
    ("6.3", 400, b"Content-Length: 5\r\nX: y\r\ncontent-LENGTH: 6"),
    ("9110 8.6", 400, b"Content-Length: 5, 5"),
    ("9110 8.6", 400, b"Content-Length: +5"),
    ("9110 8.6", 400, b"Content-Length: -5"),
    ("9110 8.6", 400, b"Content-Length: 05"),
    ("9110 8.6", 400, b"Content-Length: 0x5"),
    ("9110 8.6", 400, b"Content-Length: 5 5"),
    ("9110 8.6", 400, b"Content-Length: 5.0"),
    ("9110 8.6", 400, b"Content-Length: 5a"),
    ("9110 8.6", 400, b"Content-Length: \"5\""),
    ("9110 8.6", 400, b"Content-Length:"),
    ("9110 8.6", 400, b"Content-Length: \xd9\xa5"),
    ("9110 8.6", 400, b"Content-Length: 18446744073709551616"),
    ("9110 8.6", 400, b"Content-Length: 18446744073709551621"),
    ("6.1", 400, b"Transfer-Encoding:"),
    ("6.1", 400, b"Transfer-Encoding: identity"),
    ("6.1", 400, b"Transfer-Encoding: gzip"),
    ("6.1", 400, b"Transfer-Encoding: xchunked"),
    ("6.1", 400, b"Transfer-Encoding: x-chunked"),
    ("6.1", 400, b"Transfer-Encoding: chunkedx"),
    ("6.1", 400, b"Transfer-Encoding: chunked;q=1"),
    ("6.1", 400, b"Transfer-Encoding: \"chunked\""),
    ("6.1", 400, b"Transfer-Encoding: chunked, chunked"),
    ("6.1", 400, b"Transfer-Encoding: chunked, identity"),
    ("6.1", 400, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("6.1", 400, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ("6.1", 400, b"Transfer-Encoding: ,chunked"),
    ("6.1", 400, b"Transfer-Encoding: chunked,"),
    ("6.1", 400, b"Transfer-Encoding: \tchunked"),
    ("6.1", 400, b"Transfer-Encoding: chunked\t"),
    ("6.1", 501, b"Transfer-Encoding: gzip, chunked"),
    ("6.1", 501, b"Transfer-Encoding: identity, chunked"),
    ("5.1", 400, b"Transfer-Encoding : chunked"),
    ("5.1", 400, b"Transfer-Encoding\t: chunked"),
    ("5.1", 400, b"Content-Length : 5"),
    ("9110 5.5", 400, b"Transfer-Encoding: \x0bchunked"),
    ("9110 5.5", 400, b"Transfer-Encoding: chunked\x0c"),
    ("9110 5.1", 400, b"Transfer-Encoding\x0b: chunked"),
    ("9110 5.1", 400, b"\x00Transfer-Encoding: chunked"),
    ("5.2", 400, b"Transfer-Encoding:\r\n chunked"),
    ("5.2", 400, b"X: y\r\n Transfer-Encoding: chunked"),
    // Where does a line end, and where a field?
    ("2.2", 400, b"X: y\nTransfer-Encoding: chunked"),
    ("2.2", 400, b"X: y\rTransfer-Encoding: chunked"),
    ("2.2", 400, b"X: y\n\nGET /smuggled HTTP/1.1\r\nHost: localhost"),
    ("2.2", 400, b"X: y\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost"),
    ("2.2", 400, b"X: y\r\r\n"),
    ("5.2", 400, b"X: y\r\n z"),
    ("5.2", 400, b"X: y\r\n\tz"),
    ("5.2", 400, b"X: y\r\n "),
    ("9110 5.5", 400, b"X: y\0z"),
    ("9110 5.5", 400, b"X: \x01"),
    ("9110 5.5", 400, b"X: y\x7f"),
    ("9110 5.5", 400, b"X: \x1b[31m"),
    ("9110 5.1", 400, b"X\0: y"),
    ("9110 5.1", 400, b": y"),
    ("9110 5.1", 400, b"X"),
    ("9110 5.1", 400, b"X Y: z"),
    ("9110 5.1", 400, b"X(Y): z"),
    ("9110 5.1", 400, b"\"X\": z"),
    ("9110 5.1", 400, b"X\xe9: z"),
    // For whom is it?
    ("3.2", 400, b"Host: localhost"),
    ("3.2", 400, b"hOST: b"),
    ("9110 10.1.1", 417, b"Expect: 200-ok"),
    ("9110 10.1.1", 417, b"Expect: 100-continue, 200-ok"),
];

/// Whole requests; `{}` stands for the path of the service.
#[rustfmt::skip]
const WHOLE: &[(&str, u16, &[u8])] = &[
    ("3.2", 400, b"GET {}/e HTTP/1.1\r\n\r\n"),
    ("3.2", 400, b"GET {}/e HTTP/1.1\r\nHost:\r\n\r\n"),
    ("3.2", 400, b"GET {}/e HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ("3.2", 400, b"GET {}/e HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    ("3.2", 400, b"GET {}/e HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("3.2", 400, b"GET {}/e HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    ("3.2", 400, b"GET {}/e HTTP/1.1\r\nHost: a:99999\r\n\r\n"),
    ("3.2", 400, b"GET {}/e HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
    ("3.2.2", 400, b"GET http://b{}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3.2.2", 400, b"GET http://localhost:81{}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3.2.2", 400, b"GET http://u@a{}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3.2.2", 400, b"GET http://{}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3.2.3", 501, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    ("3.2.3", 501, b"CONNECT {}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3.2.4", 400, b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3.2", 400, b"GET e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3.2", 400, b"GET a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("9110 7.1", 400, b"GET {}/e#f HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/e f HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/e\tf HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET  {}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/e  HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/e HTTP/1.1 \r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET\t{}/e\tHTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b" GET {}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/e\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/e http/1.1\r\nHost: localhost\r\n\r\n"),
    ("3", 400, b"GET {}/e HTTP/1.1\0\r\nHost: localhost\r\n\r\n"),
    ("3.1", 400, b"G(T {}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("9110 9.1", 400, b"head {}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("2.2", 400, b"GET {}/e HTTP/1.1\nHost: localhost\r\n\r\n"),
    ("2.2", 400, b"GET {}/e HTTP/1.1\rHost: localhost\r\n\r\n"),
    ("2.2", 400, b"GET {}/e\r HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("2.2", 400, b"GET {}/e\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("2.2", 400, b"\n\nGET {}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("2.2", 400, b"\r\n\r\nGET {}/e HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("2.2", 400, b"GET {}/e HTTP/1.1\r\n X: y\r\nHost: localhost\r\n\r\n"),
    ("2.2", 400, b"GET {}/e HTTP/1.1\r\n\tHost: localhost\r\n\r\n"),
    ("2.3", 505, b"GET {}/e HTTP/1.2\r\nHost: localhost\r\n\r\n"),
    ("2.3", 505, b"GET {}/e HTTP/0.9\r\nHost: localhost\r\n\r\n"),
    ("2.3", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("6.1", 400, b"POST {}/e HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("9112 2.2", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\n\r\n"),
];

/// What no body of chunks may have; a request follows behind it.
#[rustfmt::skip]
const CHUNKS: &[(&str, u16, &[u8])] = &[
    ("7.1", 400, b"\r\n"),
    ("7.1", 400, b"+5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"-5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b" 5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5 \r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5g\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5_0\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"five!\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5\r\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5\0\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", 400, b"5;a\nhello\r\n0\r\n\r\n"),
    ("7.1.1", 400, b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", 400, b"5;a\0\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5\r\nhello0\r\n\r\n"),
    ("7.1", 400, b"5\r\nhello\n0\r\n\r\n"),
    ("7.1", 400, b"5\r\nhello\r0\r\n\r\n"),
    ("7.1", 400, b"3\r\nhello\r\n0\r\n\r\n"),
    ("7.1", 400, b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    ("7.1.2", 400, b"5\r\nhello\r\n0\r\nX: y\n\r\n"),
    ("7.1.2", 400, b"5\r\nhello\r\n0\n\n"),
    ("7.1.2", 400, b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    ("7.1.2", 400, b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
    ("7.1.2", 400, b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    ("7.1.2", 400, b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
    ("9110 6.5.1", 400, b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
    ("9110 6.5.1", 400, b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("9110 6.5.1", 400, b"5\r\nhello\r\n0\r\nHost: b\r\n\r\n"),
    ("9110 6.5.1", 400, b"5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n"),
    ("9110 6.5.1", 400, b"5\r\nhello\r\n0\r\nConnection: close\r\n\r\n"),
    // No request may stand in the place of trailers.
    ("7.1.2", 400, b"5\r\nhello\r\n0\r\n"),
];

/// All requests of the tables, and those that exceed a limit, for a service at `path`. Each has another request behind
/// it, for `path/smuggled`.
pub(crate) fn cases(path: &str) -> Vec<Case> {
    let smuggled = format!("GET {path}/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = format!("POST {path}/e HTTP/1.1\r\nHost: localhost\r\n");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let case = |section, status, parts: &[&[u8]]| Case {
        section,
        status,
        bytes: [&parts.concat(), smuggled.as_bytes()].concat(),
    };

    let lines = LINES.iter().map(|(section, status, lines)| {
        let body = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        case(section, *status, &[head.as_bytes(), lines, body])
    });
    let whole = WHOLE
        .iter()
        .map(|(section, status, bytes)| case(section, *status, &[&at(path, bytes)]));
    let chunks = CHUNKS
        .iter()
        .map(|(section, status, chunks)| case(section, *status, &[chunked.as_bytes(), chunks]));
    let large = too_large(path).into_iter();
    let large = large.map(|(section, status, bytes)| case(section, status, &[&bytes]));
    lines.chain(whole).chain(chunks).chain(large).collect()
}

fn too_large(path: &str) -> Vec<(&'static str, u16, Vec<u8>)> {
    let head = format!("POST {path}/e HTTP/1.1\r\nHost: localhost\r\n");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let long = |count| "x".repeat(count);
    let fields = |count| "X: y\r\n".repeat(count);
    let cases = [
        (
            "3",
            414,
            format!(
                "GET {path}/{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                long(17_000)
            ),
        ),
        ("3", 414, format!("GET {path}/{}", long(40_000))),
        (
            "9110 5.4",
            431,
            format!("{head}X: {}\r\n\r\n", long(33_000)),
        ),
        ("9110 5.4", 431, format!("{head}{}\r\n", fields(101))),
        (
            "7.1.1",
            400,
            format!("{chunked}5;{}\r\nhello\r\n0\r\n\r\n", long(300)),
        ),
        (
            "7.1.1",
            400,
            format!("{chunked}5{}\r\nhello\r\n0\r\n\r\n", ";a".repeat(150)),
        ),
        (
            "7.1.2",
            431,
            format!("{chunked}0\r\nX: {}\r\n\r\n", long(9_000)),
        ),
        ("7.1.2", 431, format!("{chunked}0\r\n{}\r\n", fields(33))),
    ];
    cases
        .into_iter()
        .map(|(section, status, text)| (section, status, text.into_bytes()))
        .collect()
}

/// `bytes` with `path` in the place of `{}`.
fn at(path: &str, bytes: &[u8]) -> Vec<u8> {
    match bytes.windows(2).position(|two| two == b"{}") {
        Some(place) => [&bytes[..place], path.as_bytes(), &bytes[place + 2..]].concat(),
        None => bytes.to_vec(),
    }
}
