//! Which messages are read, which are refused, and by which rule?
//!
//! Every case is read whole, byte by byte, cut in two at every place, and with bytes behind it.

#[path = "../fuzz/transcript.rs"]
mod transcript;

use bytes::BytesMut;
use libp2p_http_proxy::h1::{
    Client, CloseReason, Decoder, Encoder, Error, Field, Length, Limits, RequestContext,
    RequestHead, RequestLine, ResponseHead, Sending, Server, Step,
};

use transcript::{Found, Short, Transcript, bytewise, requests, responses};

/// Requests that are read: the section of RFC 9112 unless another one is named, the bytes, and what
/// is found in them.
#[rustfmt::skip]
const ACCEPTED_REQUESTS: &[(&str, &str, &str)] = &[
    // Start line
    ("3", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / . "),
    ("3.1", "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH / . "),
    ("3.1", "!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n", "!#$%&'*+-.^_`|~ / . "),
    ("3.2.1", "GET //a/../%2e%2E//b?c=%&d|e HTTP/1.1\r\nHost: a\r\n\r\n", "GET //a/../%2e%2E//b?c=%&d|e . "),
    ("3.2.1", "GET /a?[]{}\"<>\\^` HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?[]{}\"<>\\^` . "),
    ("3.2.1", "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", "GET /caf\u{e9} . "),
    ("3.2.2", "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a/b?c . "),
    ("3.2.2", "GET HTTP://A:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET HTTP://A:80/ . "),
    ("3.2.2", "GET https://[::1]:443 HTTP/1.1\r\nHost: [::1]\r\n\r\n", "GET https://[::1]:443 . "),
    ("3.2.4", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * . "),
    ("2.2", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / . "),
    ("2.3", "GET / HTTP/1.0\r\n\r\n", "GET / . "),
    ("2.3", "GET / HTTP/1.0\r\nHost: a:8080\r\n\r\n", "GET / . "),
    // Fields
    ("5.1", "GET / HTTP/1.1\r\nHOST:a\r\nX:\r\nY:\t \r\nZ: \t v \t\r\n\r\n", "GET / . "),
    ("5.1", "GET / HTTP/1.1\r\nhOsT: \ta\t \r\nuser-AGENT: IIS\r\n\r\n", "GET / . "),
    ("5.1", "GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~0aZ: v\r\nHost: a\r\n\r\n", "GET / . "),
    ("9110 5.5", "GET / HTTP/1.1\r\nHost: a\r\nX: \u{fc}ber\tund : ,;\"\r\n\r\n", "GET / . "),
    // Bodies
    ("6.2", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "POST / 'hello' . "),
    ("6.2", "POST / HTTP/1.1\r\nHost: a\r\ncontent-length:0\r\n\r\n", "POST / . "),
    ("6.2", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:   2  \r\n\r\n\r\n", "GET / '\\r\\n' . "),
    ("6.2", "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", "POST / 'x' . "),
    ("7.1", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST / 'hello' . "),
    ("7", "POST / HTTP/1.1\r\nHost: a\r\ntransfer-ENCODING:cHuNkEd \r\n\r\nA\r\n0123456789\r\na\r\nabcdefghij\r\n00\r\n\r\n", "POST / '0123456789abcdefghij' . "),
    ("7.1", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000001\r\nx\r\n0000\r\n\r\n", "POST / 'x' . "),
    ("7.1", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST / . "),
    ("7.1.1", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n1 \t; b = \"c;d\" ;e\r\ny\r\n0;\r\n\r\n", "POST / 'xy' . "),
    ("7.1.2", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nx-sum:\t2 \r\n\r\n", "POST / 'x' .(X-Sum=1;x-sum=2;) "),
    // Upgrade and expectation
    ("9110 7.8", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET / . "),
    ("9110 10.1.1", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", "POST / 'x' . "),
    ("9110 10.1.1", "GET / HTTP/1.0\r\nExpect: the-worst\r\n\r\n", "GET / . "),
    // Several
    ("9.3.2", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /1 . POST /2 'x' . GET /3 . "),
    // What software sends
    ("curl", "GET /x HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n", "GET /x . "),
    ("curl --http2", "GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", "GET /x . "),
    ("curl -T -", "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "PUT /x 'abc' . "),
    ("ab -k", "GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n", "GET /x . "),
    ("firefox", "GET /chat HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nSec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1:8080\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: lRDhVkV6HZWhYJDkrAUW4g==\r\nDNT: 1\r\nConnection: keep-alive, Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n", "GET /chat . "),
    ("node", "POST /a HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\nContent-Type: text/plain;charset=UTF-8\r\naccept: */*\r\nsec-fetch-mode: cors\r\ncontent-length: 2\r\n\r\nok", "POST /a 'ok' . "),
    ("go", "POST /a HTTP/1.1\r\nHost: a\r\nUser-Agent: Go-http-client/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nAccept-Encoding: gzip\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", "POST /a 'ok' .(X-T=1;) "),
    ("python", "GET /a HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: a:1\r\nUser-Agent: Python-urllib/3.12\r\nConnection: close\r\n\r\n", "GET /a . "),
];

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Heads that are refused, by the lines that follow on a valid start, and the rule.
#[rustfmt::skip]
const REFUSED_REQUEST_LINES: &[(&str, &str, Error)] = &[
    ("9110 8.6", "Content-Length: +5", Error::ContentLength),
    ("9110 8.6", "Content-Length: -5", Error::ContentLength),
    ("9110 8.6", "Content-Length: 0x5", Error::ContentLength),
    ("9110 8.6", "Content-Length: 5a", Error::ContentLength),
    ("9110 8.6", "Content-Length: 5 5", Error::ContentLength),
    ("9110 8.6", "Content-Length: 05", Error::ContentLength),
    ("9110 8.6", "Content-Length: 5.0", Error::ContentLength),
    ("9110 8.6", "Content-Length: 1_0", Error::ContentLength),
    ("9110 8.6", "Content-Length:", Error::ContentLength),
    ("9110 8.6", "Content-Length: \"5\"", Error::ContentLength),
    ("9110 8.6", "Content-Length: 5;x", Error::ContentLength),
    ("9110 8.6", "Content-Length: \u{665}", Error::ContentLength),
    ("9110 8.6", "Content-Length: 5,5", Error::ContentLength),
    ("9110 8.6", "Content-Length: 5, 6", Error::ContentLength),
    ("9110 8.6", "Content-Length: 18446744073709551616", Error::ContentLength),
    ("9110 8.6", "Content-Length: 99999999999999999999999999", Error::ContentLength),
    ("6.3", "Content-Length:\t5", Error::ContentLength),
    ("6.3", "Content-Length: 5\t", Error::ContentLength),
    ("6.3", "Content-Length: 5\r\nContent-Length: 5", Error::RepeatedContentLength),
    ("6.3", "Content-Length: 5\r\nX: y\r\ncontent-length: 6", Error::RepeatedContentLength),
    ("6.3", "Content-Length: 5\r\nTransfer-Encoding: chunked", Error::LengthAndTransferEncoding),
    ("6.3", "Transfer-Encoding: chunked\r\nContent-Length: 0", Error::LengthAndTransferEncoding),
    ("6.1", "Transfer-Encoding:", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: ,", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: identity", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: gzip", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: xchunked", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: x-chunked", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunkedx", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked chunked", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked;q=1", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: \"chunked\"", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: 'chunked'", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked,", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: ,chunked", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked, chunked", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked, gzip", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked, identity", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: \tchunked", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked\t", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: chunked\r\ntransfer-encoding: x", Error::TransferEncoding),
    ("6.1", "Transfer-Encoding: gzip, chunked", Error::TransferCoding),
    ("6.1", "Transfer-Encoding: identity, chunked", Error::TransferCoding),
    ("5.1", "Transfer-Encoding : chunked", Error::FieldNameSpace),
    ("5.1", "Transfer-Encoding\t: chunked", Error::FieldNameSpace),
    ("5.1", "Content-Length : 5", Error::FieldNameSpace),
    ("5.1", "Transfer-Encoding\u{b}: chunked", Error::ControlByte),
    ("5.5", "Transfer-Encoding: \u{b}chunked", Error::ControlByte),
    ("5.5", "Transfer-Encoding: chunked\u{b}", Error::ControlByte),
    ("5.5", "Transfer-Encoding: chunked\u{c}", Error::ControlByte),
    ("5.2", "Transfer-Encoding:\r\n chunked", Error::ObsoleteFolding),
    ("5.2", "X: a\r\n b", Error::ObsoleteFolding),
    ("5.2", "X: a\r\n\tb", Error::ObsoleteFolding),
    ("5.2", "X: a\r\n ", Error::ObsoleteFolding),
    ("2.2", "X: a\rb", Error::BareCr),
    ("2.2", "X: a\r", Error::BareCr),
    ("2.2", "X\rY: a", Error::BareCr),
    ("2.2", "X: a\nY: b", Error::BareLf),
    ("2.2", "X: a\n", Error::BareLf),
    ("2.2", "X: a\r\n\nGET /b HTTP/1.1", Error::BareLf),
    ("9110 5.5", "X: a\0b", Error::ControlByte),
    ("9110 5.5", "X: \u{1}", Error::ControlByte),
    ("9110 5.5", "X: \u{7f}", Error::ControlByte),
    ("9110 5.5", "X: \u{1b}[31m", Error::ControlByte),
    ("9110 5.1", "X\0: a", Error::ControlByte),
    ("9110 5.1", ": a", Error::FieldName),
    ("9110 5.1", "X", Error::FieldName),
    ("9110 5.1", "X Y: a", Error::FieldName),
    ("9110 5.1", "X(Y): a", Error::FieldName),
    ("9110 5.1", "X/Y: a", Error::FieldName),
    ("9110 5.1", "\"X\": a", Error::FieldName),
    ("9110 5.1", "\u{e9}: a", Error::FieldName),
    ("3.2", "Host: a", Error::RepeatedHost),
    ("3.2", "host: b", Error::RepeatedHost),
    ("9110 10.1.1", "Expect: 200-ok", Error::Expectation),
    ("9110 10.1.1", "Expect: 100-continue, x", Error::Expectation),
    ("9110 10.1.1", "Expect:", Error::Expectation),
];

/// Whole requests that are refused.
#[rustfmt::skip]
const REFUSED_REQUESTS: &[(&str, &str, Error)] = &[
    // Host
    ("3.2", "GET / HTTP/1.1\r\n\r\n", Error::MissingHost),
    ("3.2", "GET http://a/ HTTP/1.1\r\n\r\n", Error::MissingHost),
    ("3.2", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Error::RepeatedHost),
    ("3.2", "GET / HTTP/1.1\r\nHost:\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", Error::InvalidHost),
    ("3.2", "GET / HTTP/1.0\r\nHost: ?\r\n\r\n", Error::InvalidHost),
    ("3.2.2", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", Error::HostConflict),
    ("3.2.2", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::HostConflict),
    // Target
    ("3.2", "GET index.html HTTP/1.1\r\nHost: a\r\n\r\n", Error::TargetForm),
    ("3.2", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Error::TargetForm),
    ("3.2", "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", Error::TargetForm),
    ("3.2.4", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", Error::TargetForm),
    ("9110 4.2.4", "GET http://a@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Error::Target),
    ("9110 4.2.1", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", Error::Target),
    ("9110 7.1", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Error::Fragment),
    ("9110 7.1", "GET http://a#b HTTP/1.1\r\nHost: a\r\n\r\n", Error::Fragment),
    ("3.2.3", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Error::ConnectMethod),
    // Request line
    ("3", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET /\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET HTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET / http/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET / HTTPS/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET / HTTP/1.1x\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "GET / HTTP/11\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3", "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n", Error::Method),
    ("3", "\r\n\r\n", Error::StartLine),
    ("3", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::StartLine),
    ("3.1", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Error::Method),
    ("3.1", "GET: / HTTP/1.1\r\nHost: a\r\n\r\n", Error::Method),
    ("9110 9.1", "head / HTTP/1.1\r\nHost: a\r\n\r\n", Error::Method),
    ("9110 9.1", "connect / HTTP/1.1\r\nHost: a\r\n\r\n", Error::Method),
    ("2.3", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", Error::Version),
    ("2.3", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", Error::Version),
    ("2.3", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Error::Version),
    ("2.2", "GET / HTTP/1.1\nHost: a\r\n\r\n", Error::BareLf),
    ("2.2", "GET / HTTP/1.1\rHost: a\r\n\r\n", Error::BareCr),
    ("2.2", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareCr),
    ("2.2", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::BareLf),
    ("2.2", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Error::ControlByte),
    ("2.2", "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", Error::ControlByte),
    ("2.2", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", Error::LeadingSpace),
    ("2.2", "GET / HTTP/1.1\r\n\tX: b\r\nHost: a\r\n\r\n", Error::LeadingSpace),
    ("6.1", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Error::TransferEncodingOnHttp10),
    ("2", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\n", Error::Tls),
    ("2", "\x16", Error::Tls),
];

/// What is refused behind the head of a chunked request, and what is found before it.
#[rustfmt::skip]
const REFUSED_CHUNKS: &[(&str, &str, &str, Error)] = &[
    ("7.1", "\r\n", "", Error::ChunkSize),
    ("7.1", "\n", "", Error::ChunkSize),
    ("7.1", "+5\r\nhello", "", Error::ChunkSize),
    ("7.1", "-5\r\nhello", "", Error::ChunkSize),
    ("7.1", " 5\r\nhello", "", Error::ChunkSize),
    ("7.1", "\t5\r\nhello", "", Error::ChunkSize),
    ("7.1", "5 \r\nhello", "", Error::ChunkSize),
    ("7.1", "5\t\r\nhello", "", Error::ChunkSize),
    ("7.1", "0x5\r\nhello", "", Error::ChunkSize),
    ("7.1", "5g\r\nhello", "", Error::ChunkSize),
    ("7.1", "5 5\r\nhello", "", Error::ChunkSize),
    ("7.1", "5,\r\nhello", "", Error::ChunkSize),
    ("7.1", "\"5\"\r\nhello", "", Error::ChunkSize),
    ("7.1", "five\r\nhello", "", Error::ChunkSize),
    ("7.1", ";a\r\n", "", Error::ChunkSize),
    ("7.1", "5\0\r\nhello", "", Error::ChunkSize),
    ("7.1", "10000000000000000\r\nhello", "", Error::ChunkSizeOverflow),
    ("7.1", "00000000000000005\r\nhello", "", Error::ChunkSizeOverflow),
    ("7.1", "5\nhello", "", Error::BareLf),
    ("7.1", "5\rhello", "", Error::BareCr),
    ("7.1", "5\r\r\nhello", "", Error::BareCr),
    ("7.1.1", "5;a\nhello", "", Error::BareLf),
    ("7.1.1", "5;a\rb\r\nhello", "", Error::BareCr),
    ("7.1.1", "5;a\0\r\nhello", "", Error::ChunkExtension),
    ("7.1.1", "5;a=\"\u{1}\"\r\nhello", "", Error::ChunkExtension),
    ("7.1", "5\r\nhello0\r\n\r\n", "'hello' ", Error::ChunkDataEnd),
    ("7.1", "5\r\nhello\n0\r\n\r\n", "'hello' ", Error::ChunkDataEnd),
    ("7.1", "5\r\nhello\r0\r\n\r\n", "'hello' ", Error::ChunkDataEnd),
    ("7.1", "3\r\nhello\r\n0\r\n\r\n", "'hel' ", Error::ChunkDataEnd),
    ("7.1", "5\r\nhello\r\n\r\n0\r\n\r\n", "'hello' ", Error::ChunkSize),
    ("7.1", "11\r\n01234567890\r\n0\r\n\r\n", "'01234567890\\r\\n0\\r\\n\\r' ", Error::ChunkDataEnd),
    ("7.1.2", "0\r\nX: a\n\r\n", "", Error::BareLf),
    ("7.1.2", "0\r\n\n", "", Error::BareLf),
    ("7.1.2", "0\r\nX: a\rb\r\n\r\n", "", Error::BareCr),
    ("7.1.2", "0\r\nX : a\r\n\r\n", "", Error::FieldNameSpace),
    ("7.1.2", "0\r\nX\r\n\r\n", "", Error::FieldName),
    ("7.1.2", "0\r\n X: a\r\n\r\n", "", Error::LeadingSpace),
    ("7.1.2", "0\r\nX: a\r\n b\r\n\r\n", "", Error::ObsoleteFolding),
    ("7.1.2", "0\r\nX: \0\r\n\r\n", "", Error::ControlByte),
    ("7.1.2", "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "", Error::FieldName),
    ("9110 6.5.1", "0\r\nContent-Length: 5\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\ntransfer-encoding: chunked\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\nX: a\r\nHOST: b\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\nConnection: close\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\nUpgrade: x\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\nAuthorization: x\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\nSet-Cookie: x\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\nContent-Encoding: x\r\n\r\n", "", Error::ForbiddenTrailer),
    ("9110 6.5.1", "0\r\nTrailer: x\r\n\r\n", "", Error::ForbiddenTrailer),
];

/// Responses that are read, to a GET.
#[rustfmt::skip]
const ACCEPTED_RESPONSES: &[(&str, &str, &str)] = &[
    ("4", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . "),
    ("4", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 . "),
    ("4", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 . "),
    ("4", "HTTP/1.1 404 Pas trouv\u{e9}, d\u{e9}sol\u{e9}\t!\r\nContent-Length: 0\r\n\r\n", "404 . "),
    ("4", "HTTP/1.1 599 \r\ncontent-length: 1\r\n\r\nx", "599 'x' . "),
    ("6.3", "HTTP/1.1 200 OK\r\n\r\n", "200 . "),
    ("6.3", "HTTP/1.1 200 OK\r\n\r\nuntil the end\r\n\r\n", "200 'until the end\\r\\n\\r\\n' . "),
    ("6.3", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", "200 'x' . "),
    ("6.3", "HTTP/1.0 200 OK\r\n\r\nold", "200 'old' . "),
    ("6.3", "HTTP/1.1 204 No Content\r\n\r\n", "204 . "),
    ("6.3", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 . "),
    ("6.3", "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", "304 . "),
    ("6.3", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "304 . "),
    ("7.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nServer-Timing: a;dur=1\r\n\r\n", "200 'ok' .(Server-Timing=a;dur=1;) "),
    ("9110 15.2", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "100 103 200 . "),
    ("9110 15.2", "HTTP/1.1 100\r\n\r\nHTTP/1.1 204\r\n\r\n", "100 204 . "),
    ("nginx", "HTTP/1.1 304 Not Modified\r\nServer: nginx/1.24.0\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"65-1\"\r\n\r\n", "304 . "),
    ("apache", "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: Apache/2.4\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 'ok' . "),
    ("python", "HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.12\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . "),
    ("IIS", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html\r\nServer: Microsoft-IIS/10.0\r\nX-Powered-By: ASP.NET\r\nSet-Cookie: A=1; path=/; HttpOnly\r\nset-cookie: B=2\r\n\r\nok", "200 'ok' . "),
];

/// Responses that are refused, as answers to a GET without an upgrade, and what comes before.
#[rustfmt::skip]
const REFUSED_RESPONSES: &[(&str, &str, &str, Error)] = &[
    ("4", "HTTP/1.1 000 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 099 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 600 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 999 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 20 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 2000 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 2x0 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 +20 x\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1  200 OK\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 200\tOK\r\n\r\n", "", Error::Status),
    ("4", "HTTP/1.1 200 a\0b\r\n\r\n", "", Error::ControlByte),
    ("4", "HTTP/1.1 200 a\u{7f}b\r\n\r\n", "", Error::ControlByte),
    ("4", "HTTP/1.1 200 a\rb\r\n\r\n", "", Error::BareCr),
    ("2", "\x15\x03\x01\0\x02\x02\x46", "", Error::Tls),
    ("4", "HTTP/2.0 200 OK\r\n\r\n", "", Error::Version),
    ("4", "HTTP/1.3 200 OK\r\n\r\n", "", Error::Version),
    ("4", "http/1.1 200 OK\r\n\r\n", "", Error::StartLine),
    ("4", "ICY 200 OK\r\n\r\n", "", Error::StartLine),
    ("4", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", Error::StartLine),
    ("2.2", "\r\nHTTP/1.1 200 OK\r\n\r\n", "", Error::StartLine),
    ("2.2", "HTTP/1.1 200 OK\n\n", "", Error::BareLf),
    ("2.2", "HTTP/1.1 200 OK\r\n X: a\r\n\r\n", "", Error::LeadingSpace),
    ("5.1", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "", Error::FieldNameSpace),
    ("5.2", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "", Error::ObsoleteFolding),
    ("5.1", "HTTP/1.1 200 OK\r\nX\r\n\r\n", "", Error::FieldName),
    ("9110 5.5", "HTTP/1.1 200 OK\r\nLocation: /a\0\r\n\r\n", "", Error::ControlByte),
    ("6.3", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "", Error::RepeatedContentLength),
    ("6.3", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", "", Error::ContentLength),
    ("6.3", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "", Error::LengthAndTransferEncoding),
    ("6.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "", Error::TransferEncoding),
    ("6.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "", Error::TransferCoding),
    ("6.1", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", Error::TransferEncodingOnHttp10),
    ("6.1", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n", "", Error::InterimBody),
    ("9110 8.6", "HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\nabc", "", Error::InterimBody),
    ("9110 15.2.2", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "", Error::UnsolicitedSwitch),
    ("9110 15.2.2", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "", Error::MalformedSwitch),
    ("9110 15.2.2", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "", Error::MalformedSwitch),
    ("9110 15.2.2", "HTTP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "", Error::MalformedSwitch),
    ("7.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "200 ", Error::ChunkSize),
];

/// All the ways to cut an input: whole, bytewise, and in two at every place.
fn all_cuts(input: &[u8]) -> impl Iterator<Item = Vec<usize>> {
    let halves = (1..input.len()).map(|cut| vec![cut]);
    [vec![], bytewise(input).collect()]
        .into_iter()
        .chain(halves)
}

fn get() -> RequestContext {
    RequestContext::default()
}

fn head_request() -> RequestContext {
    sent("HEAD", Sending::default())
}

/// A request whose client is to wait for `100 Continue`.
fn expecting() -> RequestContext {
    let mut request = RequestContext::default();
    request.expect_continue = true;
    request
}

fn upgrade_request() -> RequestContext {
    let upgrade = Some(&b"websocket"[..]);
    sent(
        "GET",
        Sending {
            upgrade,
            ..Sending::default()
        },
    )
}

/// The context of a request that was sent.
fn sent(method: &str, options: Sending<'_>) -> RequestContext {
    let fields = [Field {
        name: "Host",
        value: b"a",
    }];
    let start = RequestLine {
        method,
        target: "/",
    };
    let mut out = BytesMut::new();
    Encoder::<Client>::new()
        .request(start, fields, options, &mut out)
        .expect("a valid head")
}

fn read_requests(input: &str) -> Transcript<RequestHead> {
    requests(input.as_bytes(), [], &Limits::default())
}

fn read_response(input: &str, request: RequestContext) -> Transcript<ResponseHead> {
    responses(input.as_bytes(), [], &Limits::default(), [request])
}

/// Checks what is found in `input`, however it is cut.
fn check_requests(section: &str, input: &str, expected: &str) {
    let limits = Limits::default();
    let whole = requests(input.as_bytes(), [], &limits);
    assert_eq!(
        Short::<Server>(&whole).to_string(),
        expected,
        "{section}: {input:?}"
    );
    for cuts in all_cuts(input.as_bytes()) {
        let cut = requests(input.as_bytes(), cuts.iter().copied(), &limits);
        assert!(
            cut.is_same(&whole),
            "{section}: {input:?} cut at {cuts:?}: {cut:?}"
        );
    }
}

/// Checks what is found in `input` as the response to `request`, however it is cut.
fn check_response(section: &str, input: &str, request: RequestContext, expected: &str) {
    let limits = Limits::default();
    let whole = responses(input.as_bytes(), [], &limits, [request]);
    assert_eq!(
        Short::<Client>(&whole).to_string(),
        expected,
        "{section}: {input:?}"
    );
    for cuts in all_cuts(input.as_bytes()) {
        let cut = responses(input.as_bytes(), cuts.iter().copied(), &limits, [request]);
        assert!(
            cut.is_same(&whole),
            "{section}: {input:?} cut at {cuts:?}: {cut:?}"
        );
    }
}

#[test]
fn accepted_requests() {
    const NEXT: &str = "GET /next HTTP/1.1\r\nHost: next\r\n\r\n";

    for (section, input, expected) in ACCEPTED_REQUESTS {
        check_requests(section, input, expected);
        // With another request behind it, and with one that is cut short.
        check_requests(
            section,
            &format!("{input}{NEXT}"),
            &format!("{expected}GET /next . "),
        );
        check_requests(
            section,
            &format!("{input}GET"),
            &format!("{expected}!Truncated"),
        );
    }
}

#[test]
fn refused_requests() {
    let heads = REFUSED_REQUEST_LINES
        .iter()
        .map(|(section, lines, error)| (*section, format!("{POST}{lines}\r\n\r\n"), *error));
    let whole = REFUSED_REQUESTS
        .iter()
        .map(|(section, input, error)| (*section, (*input).to_owned(), *error));

    for (section, input, error) in heads.chain(whole) {
        check_requests(section, &input, &format!("!{error:?}"));
        // Whatever comes behind it, or came before it.
        check_requests(
            section,
            &format!("{input}GET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
            &format!("!{error:?}"),
        );
        let before = "GET /0 HTTP/1.1\r\nHost: a\r\n\r\n";
        check_requests(
            section,
            &format!("{before}{input}"),
            &format!("GET /0 . !{error:?}"),
        );
    }
}

#[test]
fn refused_chunks() {
    for (section, input, before, error) in REFUSED_CHUNKS {
        let input = format!("{CHUNKED}{input}");
        check_requests(section, &input, &format!("POST / {before}!{error:?}"));
        check_requests(
            section,
            &format!("{input}\r\n0\r\n\r\n"),
            &format!("POST / {before}!{error:?}"),
        );
    }
}

#[test]
fn accepted_responses() {
    for (section, input, expected) in ACCEPTED_RESPONSES {
        check_response(section, input, get(), expected);
    }
}

#[test]
fn refused_responses() {
    for (section, input, before, error) in REFUSED_RESPONSES {
        check_response(section, input, get(), &format!("{before}!{error:?}"));
        let tail = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        check_response(
            section,
            &format!("{input}{tail}"),
            get(),
            &format!("{before}!{error:?}"),
        );
    }
}

#[test]
fn the_lines_that_no_request_may_have_no_response_may_have() {
    let only_requests = [Error::RepeatedHost, Error::Expectation];
    for (section, lines, error) in REFUSED_REQUEST_LINES {
        if !only_requests.contains(error) {
            let input = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
            check_response(section, &input, get(), &format!("!{error:?}"));
        }
    }
}

#[test]
fn the_chunks_that_no_request_may_have_no_response_may_have() {
    for (section, chunks, before, error) in REFUSED_CHUNKS {
        let input = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        check_response(section, &input, get(), &format!("200 {before}!{error:?}"));
    }
}

#[test]
fn a_cut_message_never_looks_complete() {
    // RFC 9112, section 8. A body that ends with the connection is the one exception.
    for (section, input, _) in ACCEPTED_REQUESTS {
        let complete: Vec<usize> = ends_of_requests(input);
        for end in 1..input.len() {
            let Some(part) = input.get(..end) else {
                continue;
            };
            let read = read_requests(part);
            let clean = complete.contains(&end)
                || part.ends_with("\r\n") && complete.contains(&(end - 2))
                || part == "\r\n";
            assert_eq!(read.end.is_ok(), clean, "{section}: {part:?}: {read:?}");
        }
    }
    for (section, input, _) in ACCEPTED_RESPONSES {
        for end in 0..input.len() {
            let Some(part) = input.get(..end) else {
                continue;
            };
            let read = read_response(part, get());
            let until_close = read.close == Some(CloseReason::UntilClose);
            assert_eq!(
                read.end.is_ok(),
                until_close,
                "{section}: {part:?}: {read:?}"
            );
        }
    }
}

/// Where the requests in `input` end.
fn ends_of_requests(input: &str) -> Vec<usize> {
    (0..=input.len())
        .filter(|&end| input.is_char_boundary(end))
        .filter(|&end| {
            let read = requests(&input.as_bytes()[..end], [], &Limits::default());
            read.used == end && matches!(read.found.last(), Some(Found::End(_)) | None)
        })
        .collect()
}

#[test]
fn responses_depend_on_their_request() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (section, input, request, expected, close) in [
        // RFC 9110, section 9.3.2.
        ("6.3", ok, head_request(), "200 . ", CloseReason::PeerEnded),
        (
            "6.3",
            chunked,
            head_request(),
            "200 . ",
            CloseReason::PeerEnded,
        ),
        (
            "6.3",
            "HTTP/1.1 200 OK\r\n\r\n",
            head_request(),
            "200 . ",
            CloseReason::PeerEnded,
        ),
        (
            "6.3",
            ok,
            get(),
            "200 !Truncated",
            CloseReason::Error(Error::Truncated),
        ),
        (
            "6.3",
            "HTTP/1.1 200 OK\r\n\r\n",
            get(),
            "200 . ",
            CloseReason::UntilClose,
        ),
        (
            "6.3",
            "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n",
            get(),
            "204 . ",
            CloseReason::AmbiguousBody,
        ),
        (
            "6.3",
            "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
            get(),
            "204 . ",
            CloseReason::AmbiguousBody,
        ),
        (
            "9.3",
            "HTTP/1.1 204 x\r\nConnection: x, CLOSE\r\n\r\n",
            get(),
            "204 . ",
            CloseReason::PeerAskedClose,
        ),
        (
            "9.6",
            "HTTP/1.1 103 x\r\nConnection: close\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            get(),
            "103 204 . ",
            CloseReason::PeerAskedClose,
        ),
        (
            "9.3",
            "HTTP/1.0 204 x\r\n\r\n",
            get(),
            "204 . ",
            CloseReason::Http10,
        ),
        (
            "9.3",
            "HTTP/1.0 204 x\r\nConnection: Keep-Alive\r\n\r\n",
            get(),
            "204 . ",
            CloseReason::PeerEnded,
        ),
        (
            "9.3",
            "HTTP/1.0 204 x\r\nConnection: Keep-Alive, close\r\n\r\n",
            get(),
            "204 . ",
            CloseReason::PeerAskedClose,
        ),
        (
            "9110 10.1.1",
            "HTTP/1.1 204 x\r\n\r\n",
            expecting(),
            "204 . ",
            CloseReason::ContinueOmitted,
        ),
        (
            "9110 10.1.1",
            "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            expecting(),
            "103 204 . ",
            CloseReason::ContinueOmitted,
        ),
        (
            "9110 10.1.1",
            "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
            expecting(),
            "100 204 . ",
            CloseReason::PeerEnded,
        ),
    ] {
        check_response(section, input, request, expected);
        assert_eq!(
            read_response(input, request).close,
            Some(close),
            "{section}: {input:?}"
        );
    }
}

#[test]
fn a_switch_that_was_asked_for_pauses_for_ever() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n";
    let tunnel = "HTTP/1.1 200 OK\r\n\r\n";
    let input = format!("HTTP/1.1 100 \r\n\r\n{switch}{tunnel}");

    check_response("9110 7.8", &input, upgrade_request(), "100 101 ");
    let read = read_response(&input, upgrade_request());
    assert!(read.switched);
    assert_eq!(
        read.used,
        input.len() - tunnel.len(),
        "not a byte of the tunnel is used"
    );
    assert_eq!(read.close, Some(CloseReason::Switched));

    // An upgrade may be refused.
    check_response(
        "9110 7.8",
        "HTTP/1.1 204 \r\n\r\n",
        upgrade_request(),
        "204 . ",
    );
}

#[test]
fn bytes_behind_a_response_are_never_the_next_one() {
    // RFC 9112, section 9.2.
    let limits = Limits::default();
    let first = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let second = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let input = format!("{first}{second}");

    let read = responses(input.as_bytes(), [], &limits, [get()]);
    assert_eq!(Short::<Client>(&read).to_string(), "200 'ok' . ");
    assert_eq!(
        (read.used, read.close),
        (first.len(), Some(CloseReason::Surplus))
    );

    // Not even if a request is sent nevertheless, after the bytes were seen.
    let mut decoder = Decoder::<Client>::new(limits.into());
    assert_eq!(decoder.decode(second.as_bytes()), Ok((0, Step::Paused)));
    decoder.expect_response(get());
    assert_eq!(decoder.decode(second.as_bytes()), Err(Error::Surplus));
}

#[test]
fn limits_hold_however_the_bytes_arrive() {
    let limits = Limits::default()
        .with_head_size(200)
        .with_fields(3)
        .with_target(40)
        .with_chunk_line(20)
        .with_trailers_size(40)
        .with_trailer_fields(2)
        .with_interim_responses(2);
    let long = |length| "x".repeat(length);
    let head = |size: usize| format!("{POST}X: {}\r\n\r\n", long(size - POST.len() - 7));
    let chunks = |rest: &str| format!("{CHUNKED}{rest}");
    let no = |error: Error| format!("!{error:?}");

    for (input, expected) in [
        (head(200), "POST / . ".to_owned()),
        (head(201), no(Error::HeadTooLarge { limit: 200 })),
        (
            format!("{POST}X: {}", long(300)),
            no(Error::HeadTooLarge { limit: 200 }),
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(39)),
            format!("GET /{} . ", long(39)),
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(40)),
            no(Error::TargetTooLong { limit: 40 }),
        ),
        (
            format!("GET /{}", long(300)),
            no(Error::TargetTooLong { limit: 40 }),
        ),
        (format!("{POST}A:\r\nB:\r\n\r\n"), "POST / . ".to_owned()),
        (
            format!("{POST}A:\r\nB:\r\nC:\r\n\r\n"),
            no(Error::TooManyFields { limit: 3 }),
        ),
        (
            format!("{POST}A:\r\nB:\r\nC:\r\n"),
            no(Error::TooManyFields { limit: 3 }),
        ),
        (
            chunks(&format!("1;{}\r\nx\r\n0\r\n\r\n", long(18))),
            "POST / 'x' . ".to_owned(),
        ),
        (
            chunks(&format!("1;{}\r\nx\r\n0\r\n\r\n", long(19))),
            "POST / !ChunkLineTooLong { limit: 20 }".to_owned(),
        ),
        (
            chunks(&format!("1{};\r\nx", " ".repeat(30))),
            "POST / !ChunkLineTooLong { limit: 20 }".to_owned(),
        ),
        (
            chunks(&format!("1\r\nx\r\n1;{}\r\n", long(19))),
            "POST / 'x' !ChunkLineTooLong { limit: 20 }".to_owned(),
        ),
        (
            chunks("0\r\nA:\r\nB:\r\n\r\n"),
            "POST / .(A=;B=;) ".to_owned(),
        ),
        (
            chunks("0\r\nA:\r\nB:\r\nC:\r\n\r\n"),
            "POST / !TooManyTrailers { limit: 2 }".to_owned(),
        ),
        (
            chunks(&format!("0\r\nA: {}\r\n\r\n", long(33))),
            format!("POST / .(A={};) ", long(33)),
        ),
        (
            chunks(&format!("0\r\nA: {}\r\n\r\n", long(34))),
            "POST / !TrailersTooLarge { limit: 40 }".to_owned(),
        ),
        (
            chunks(&format!("0\r\nA: {}", long(100))),
            "POST / !TrailersTooLarge { limit: 40 }".to_owned(),
        ),
    ] {
        for cuts in all_cuts(input.as_bytes()) {
            let read = requests(input.as_bytes(), cuts.iter().copied(), &limits);
            assert_eq!(
                Short::<Server>(&read).to_string(),
                expected,
                "{input:?} cut at {cuts:?}"
            );
        }
    }

    let interim = "HTTP/1.1 103 \r\n\r\n";
    let last = "HTTP/1.1 204 \r\n\r\n";
    for (count, expected) in [
        (2, "103 103 204 . "),
        (3, "103 103 !TooManyInterim { limit: 2 }"),
    ] {
        let input = interim.repeat(count) + last;
        let read = responses(input.as_bytes(), [], &limits, [get()]);
        assert_eq!(Short::<Client>(&read).to_string(), expected);
    }
}

#[test]
fn every_byte_in_every_place_of_a_head() {
    // httparse reads in steps of up to 32 bytes. What it lets through must not depend on the place.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_text = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    // Those that are not ASCII are not UTF-8 on their own.
    let is_target = |byte: u8| byte > b' ' && byte < 0x7f && byte != b'#';

    for length in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 64, 70] {
        for place in 0..length {
            for byte in 0..=255u8 {
                let mut text = vec![b'x'; length];
                text[place] = byte;
                let read = |start: &[u8], end: &[u8]| {
                    let input = [start, &text, end].concat();
                    requests(&input, [], &Limits::default()).end.is_ok()
                };
                let in_method = read(b"", b" / HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(
                    in_method,
                    is_token(byte),
                    "method, {byte:#x} at {place} of {length}"
                );
                let in_target = read(b"GET /", b" HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(
                    in_target,
                    is_target(byte),
                    "target, {byte:#x} at {place} of {length}"
                );
                // A colon ends the name, with anything but a space behind it.
                let in_name = read(b"GET / HTTP/1.1\r\nHost: a\r\n", b": b\r\n\r\n");
                let splits = byte == b':' && place > 0;
                assert_eq!(
                    in_name,
                    is_token(byte) || splits,
                    "name, {byte:#x} at {place} of {length}"
                );
                let in_value = read(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n\r\n");
                assert_eq!(
                    in_value,
                    is_text(byte),
                    "value, {byte:#x} at {place} of {length}"
                );

                let response = [b"HTTP/1.1 204 ", &text[..], b"\r\n\r\n"].concat();
                let in_reason = responses(&response, [], &Limits::default(), [get()]);
                assert_eq!(
                    in_reason.end.is_ok(),
                    is_text(byte),
                    "reason, {byte:#x} at {place} of {length}"
                );
            }
        }
    }
}

#[test]
fn what_a_request_asks_for() {
    for (lines, upgrade, expect, close) in [
        ("", false, false, None),
        (
            "Connection: close\r\n",
            false,
            false,
            Some(CloseReason::PeerAskedClose),
        ),
        (
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
            true,
            false,
            None,
        ),
        (
            "Connection: upgrade\r\nConnection: close\r\nUpgrade: a, b/1\r\n",
            true,
            false,
            Some(CloseReason::PeerAskedClose),
        ),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
            true,
            false,
            None,
        ),
        // Without one of the two fields, with a body, or for a protocol that would carry requests.
        ("Connection: upgrade\r\n", false, false, None),
        ("Upgrade: websocket\r\n", false, false, None),
        ("Connection: upgrade\r\nUpgrade: \r\n", false, false, None),
        (
            "Connection: upgrade\r\nUpgrade: web socket\r\n",
            false,
            false,
            None,
        ),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
            false,
            false,
            None,
        ),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
            false,
            false,
            None,
        ),
        (
            "Expect: 100-continue\r\nContent-Length: 1\r\n",
            false,
            true,
            None,
        ),
        (
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
            false,
            true,
            None,
        ),
        ("Expect: 100-continue\r\n", false, false, None),
    ] {
        let read = read_requests(&format!("{POST}{lines}\r\n"));
        let Some(Found::Head(head)) = read.found.first() else {
            panic!("{lines:?}: {read:?}")
        };
        let context = head.context();
        let seen = (context.upgrade, context.expect_continue, context.close);
        assert_eq!(seen, (upgrade, expect, close), "{lines:?}");
    }
    for (lines, close) in [
        ("", Some(CloseReason::Http10)),
        ("Connection: Keep-Alive\r\n", None),
    ] {
        let input = format!(
            "GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\nExpect: 100-continue\r\n{lines}\r\n"
        );
        let read = read_requests(&input);
        let Some(Found::Head(head)) = read.found.first() else {
            panic!("{read:?}")
        };
        let context = head.context();
        assert_eq!(
            (context.upgrade, context.expect_continue, context.close),
            (false, false, close)
        );
    }
}

#[test]
fn a_head_is_kept_as_it_was_sent() {
    let read =
        read_requests("GET /A%2f//b HTTP/1.1\r\nhOST: a\r\nX-B: 1\r\nX-A:  2 \r\nx-b: \r\n\r\n");
    let Some(Found::Head(head)) = read.found.first() else {
        panic!("{read:?}")
    };

    assert_eq!(head.target(), "/A%2f//b");
    assert_eq!(head.host(), Some(&b"a"[..]));
    assert_eq!(head.declared_length(), Length::Absent);
    let fields: Vec<_> = head
        .fields()
        .iter()
        .map(|field| (field.name, field.value))
        .collect();
    assert_eq!(
        fields,
        [
            ("hOST", &b"a"[..]),
            ("X-B", b"1"),
            ("X-A", b"2"),
            ("x-b", b"")
        ]
    );
}
