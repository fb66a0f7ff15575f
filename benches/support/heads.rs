//! What does a proxy do with a head? Parsed, checked and rewritten for the next hop, beside what httparse alone does.

use std::{hint::black_box, net::IpAddr, sync::Arc};

use bytes::BytesMut;
use libp2p_http_proxy::{
    h1::{
        Client, Decoder, Encoder, Limits, RequestContext, RequestHead, ResponseHead, Sending,
        Server, Step,
    },
    rewrite::{
        CookieScope, ForwardedMode, HostPolicy, HostValue, RequestRewrite, ResponseRewrite,
        is_loop, origin_form,
    },
};

/// What a browser sends when somebody follows a link: 15 fields, 750 bytes.
pub const REQUEST: &[u8] = b"GET /articles/2026/streams?page=2&sort=newest HTTP/1.1\r\n\
    Host: 127.0.0.1:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: http://127.0.0.1:8080/articles/2026/\r\n\
    DNT: 1\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=4f9c1e7ab2d84c5f9e0d; theme=dark; consent=necessary; seen=18%2C22%2C31\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-User: ?1\r\n\
    Priority: u=0, i\r\n\
    \r\n";

/// A request of such a page's script, for a gateway that serves more than one service, each under its own `prefix`.
pub fn request_by_path(prefix: &str) -> Vec<u8> {
    // A page itself would be redirected.
    text(REQUEST)
        .replacen("GET ", &format!("GET {prefix}"), 1)
        .replacen("Dest: document", "Dest: empty", 1)
        .into()
}

/// The same request at a host of the service's own.
pub fn request_by_host(host: &str) -> Vec<u8> {
    text(REQUEST).replacen("127.0.0.1", host, 1).into()
}

fn text(head: &[u8]) -> &str {
    str::from_utf8(head).expect("is ASCII")
}

/// What a server answers: 9 fields.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: private, max-age=60\r\n\
    ETag: \"5f8a-62b1c0\"\r\n\
    Vary: Accept-Encoding, Cookie\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: same-origin\r\n\
    \r\n";

/// Fields that httparse gets room for: as many as this crate accepts.
const FIELDS: usize = 100;

/// Parses the request, and nothing else.
pub fn bare_request() {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(black_box(REQUEST)).expect("is a request");
    assert!(parsed.is_complete());
    black_box(&request);
}

/// Parses the response, and nothing else.
pub fn bare_response() {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(black_box(RESPONSE)).expect("is a response");
    assert!(parsed.is_complete());
    black_box(&response);
}

/// What a gateway needs for the heads of one connection.
pub struct Gateway {
    limits: Arc<Limits>,
    host: HostValue,
    client: IpAddr,
    out: BytesMut,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            limits: Arc::default(),
            host: "127.0.0.1:8080".parse().expect("is a host"),
            client: [127, 0, 0, 1].into(),
            out: BytesMut::with_capacity(4096),
        }
    }
}

impl Gateway {
    const PSEUDONYM: &str = "gateway-12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";

    /// Reads the request, checks it, and writes it for the next hop.
    pub fn request(&mut self) {
        let head = self.read_request();
        assert!(!is_loop(&head, Self::PSEUDONYM));
        let target = origin_form(head.method(), head.target()).expect("is a path");
        let rewrite = RequestRewrite::new(&head)
            .with_host(&HostPolicy::Preserve, &self.host)
            .with_forwarded(ForwardedMode::Replace, self.client, "http")
            .with_via(Self::PSEUDONYM);
        let sending = Sending {
            length: head.declared_length(),
            upgrade: rewrite.upgrade(),
            te_trailers: rewrite.te_trailers(),
            ..Sending::default()
        };
        self.out.clear();
        rewrite
            .encode(&target, sending, &mut Encoder::new(), &mut self.out)
            .expect("can be passed on");
        black_box(&self.out);
    }

    /// Reads the request and checks it.
    pub fn read_request(&self) -> RequestHead {
        let mut decoder = Decoder::<Server>::new(Arc::clone(&self.limits));
        match decoder.decode(black_box(REQUEST)) {
            Ok((_, Step::Head(head))) => head,
            other => panic!("not a request: {other:?}"),
        }
    }

    /// Reads the response, checks it, and writes it for the client.
    pub fn response(&mut self) {
        let head = self.read_response();
        let rewrite = ResponseRewrite::new(&head)
            .with_cookie_scope(CookieScope::host_only())
            .with_via(Self::PSEUDONYM);
        let sending = Sending {
            length: head.declared_length(),
            ..Sending::default()
        };
        let context = RequestContext::default();
        self.out.clear();
        rewrite
            .encode(&context, sending, &mut Encoder::new(), &mut self.out)
            .expect("can be passed on");
        black_box(&self.out);
    }

    /// Reads the response and checks it.
    pub fn read_response(&self) -> ResponseHead {
        let mut decoder = Decoder::<Client>::new(Arc::clone(&self.limits));
        decoder.expect_response(RequestContext::default());
        match decoder.decode(black_box(RESPONSE)) {
            Ok((_, Step::Head(head))) => head,
            other => panic!("not a response: {other:?}"),
        }
    }
}

/// A chunked body of `chunks` chunks of 16 KiB, behind its head.
pub fn chunked(chunks: usize) -> Vec<u8> {
    let mut wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..chunks {
        wire.extend_from_slice(b"4000\r\n");
        wire.extend_from_slice(&[b'x'; 0x4000]);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// Reads such a body as it lies in a buffer, and returns its length.
pub fn read_chunked(wire: &[u8]) -> usize {
    let mut decoder = Decoder::<Client>::new(Arc::default());
    decoder.expect_response(RequestContext::default());
    let (mut at, mut length) = (0, 0);
    loop {
        let (used, step) = decoder.decode(&wire[at..]).expect("is a response");
        at += used;
        match step {
            Step::Head(_) => {}
            Step::Data(data) => length += black_box(data).len(),
            Step::End(_) => return length,
            Step::NeedMore | Step::Paused => panic!("the body has an end"),
        }
    }
}
