//! What holds for every message? What is written is read as it was, however it is cut, at a cost in
//! proportion to its bytes.

#[path = "../fuzz/transcript.rs"]
mod transcript;

use std::fmt;

use bytes::BytesMut;
use libp2p_http_proxy::h1::{
    Client, Connection, Encoder, Eof, Error, Fields, Length, Limits, RequestContext, RequestHead,
    ResponseHead, Sending, Server, Step,
};
use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};

use transcript::{Found, Short, bytewise, requests, responses};

const TOKEN: &[u8] = b"!#$%&'*+-.^_`|~09azAZXY";

/// A field that any message can have.
#[derive(Clone)]
struct AnyField {
    name: String,
    value: Vec<u8>,
}

impl fmt::Debug for AnyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value.escape_ascii())
    }
}

impl Arbitrary for AnyField {
    fn arbitrary(g: &mut Gen) -> Self {
        let value: Vec<u8> = Arbitrary::arbitrary(g);
        let text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
        let value: Vec<u8> = value.into_iter().filter(text).collect();
        Self {
            // The prefix keeps it from being one that has a meaning.
            name: format!("X-{}", token(g)),
            value: value.trim_ascii().to_vec(),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let shorter = (0..self.value.len()).map(|end| self.value[..end].trim_ascii().to_vec());
        let name = self.name.clone();
        Box::new(
            shorter
                .map(move |value| Self {
                    name: name.clone(),
                    value,
                })
                .collect::<Vec<_>>()
                .into_iter(),
        )
    }
}

fn token(g: &mut Gen) -> String {
    let length = usize::arbitrary(g) % 30 + 1;
    (0..length)
        .map(|_| char::from(*g.choose(TOKEN).expect("not empty")))
        .collect()
}

fn fields(list: &[AnyField]) -> Fields {
    let mut fields = Fields::default();
    for AnyField { name, value } in list {
        fields.push(name, value).expect("a valid field");
    }
    fields
}

/// A message that can be sent, apart from its start line.
#[derive(Clone, Debug)]
struct AnyMessage {
    fields: Vec<AnyField>,
    /// In the pieces in which it is sent.
    body: Vec<Vec<u8>>,
    chunked: bool,
    close: bool,
    trailers: Vec<AnyField>,
}

impl Arbitrary for AnyMessage {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut small = Gen::new(10);
        Self {
            fields: Arbitrary::arbitrary(g),
            body: Arbitrary::arbitrary(&mut small),
            chunked: Arbitrary::arbitrary(g),
            close: Arbitrary::arbitrary(g),
            trailers: Arbitrary::arbitrary(&mut small),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let this = self.clone();
        let all = (
            this.fields.clone(),
            this.body.clone(),
            this.trailers.clone(),
        )
            .shrink();
        Box::new(all.map(move |(fields, body, trailers)| Self {
            fields,
            body,
            trailers,
            ..this.clone()
        }))
    }
}

impl AnyMessage {
    fn body(&self) -> Vec<u8> {
        self.body.concat()
    }

    fn sending(&self) -> Sending<'static> {
        let length = match self.chunked {
            true => Length::Chunked,
            false => Length::Known(self.body().len() as u64),
        };
        Sending {
            length,
            close: self.close,
            ..Sending::default()
        }
    }

    /// Sends what comes behind the head.
    fn send_body<R>(&self, encoder: &mut Encoder<R>, out: &mut BytesMut) {
        for piece in &self.body {
            if encoder.direct(piece.len()).expect("room") {
                out.extend_from_slice(piece);
            } else {
                encoder.data(piece, out).expect("room");
            }
        }
        encoder
            .end(Some(&fields(&self.trailers)), out)
            .expect("complete");
    }

    /// What the other side must find behind the head.
    fn found<H>(&self) -> Vec<Found<H>> {
        let body = Some(self.body())
            .filter(|body| !body.is_empty())
            .map(Found::Body);
        let trailers = Some(fields(&self.trailers)).filter(|list| self.chunked && !list.is_empty());
        body.into_iter().chain([Found::End(trailers)]).collect()
    }
}

/// The fields that a caller gave, without those that the encoder added behind them.
fn given(head: &Fields, count: usize) -> Vec<(String, Vec<u8>)> {
    head.iter()
        .take(count)
        .map(|field| (field.name.to_owned(), field.value.to_vec()))
        .collect()
}

fn check<P: quickcheck::Testable>(property: P) {
    QuickCheck::new().tests(100).quickcheck(property);
}

#[test]
fn a_request_is_read_as_it_was_written() {
    fn property(message: AnyMessage, path: String, cuts: Vec<usize>) -> bool {
        let path: String = path
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control() && *c != '#')
            .collect();
        let mut head = RequestHead::new("POST", &format!("/{path}")).expect("a valid head");
        head = head.with_field("Host", "h").expect("a valid field");
        for AnyField { name, value } in &message.fields {
            head = head.with_field(name, value).expect("a valid field");
        }
        let mut out = BytesMut::new();
        let mut encoder = Encoder::<Client>::new();
        let list = head.fields().iter();
        encoder
            .request((&head).into(), list, message.sending(), &mut out)
            .expect("a valid head");
        message.send_body(&mut encoder, &mut out);

        let limits = Limits::default().with_fields(256);
        let read = requests(&out, spread(&cuts, out.len()), &limits);
        let Some((Found::Head(seen), rest)) = read.found.split_first() else {
            return false;
        };
        let count = head.fields().len();
        read.end == Ok(Eof::Clean)
            && seen.method() == "POST"
            && seen.target() == head.target()
            && given(seen.fields(), count) == given(head.fields(), count)
            && seen.context().close.is_some() == message.close
            && rest == message.found()
    }
    check(property as fn(AnyMessage, String, Vec<usize>) -> bool);
}

#[test]
fn a_response_is_read_as_it_was_written() {
    fn property(
        message: AnyMessage,
        status: u16,
        reason: AnyField,
        cuts: Vec<usize>,
    ) -> TestResult {
        let status = 200 + status % 400;
        if matches!(status, 204 | 304) {
            return TestResult::discard();
        }
        let mut head = ResponseHead::new(status).expect("a status");
        head = head.with_reason(&reason.value).expect("a phrase");
        for AnyField { name, value } in &message.fields {
            head = head.with_field(name, value).expect("a valid field");
        }
        let mut out = BytesMut::new();
        let mut encoder = Encoder::<Server>::new();
        let (context, list) = (RequestContext::default(), head.fields().iter());
        encoder
            .response(&context, (&head).into(), list, message.sending(), &mut out)
            .expect("a valid head");
        message.send_body(&mut encoder, &mut out);

        let limits = Limits::default().with_fields(256);
        let read = responses(&out, spread(&cuts, out.len()), &limits, [context]);
        let Some((Found::Head(seen), rest)) = read.found.split_first() else {
            return TestResult::failed();
        };
        let count = head.fields().len();
        TestResult::from_bool(
            read.end == Ok(Eof::Clean)
                && (seen.status(), seen.reason()) == (status, head.reason())
                && given(seen.fields(), count) == given(head.fields(), count)
                && rest == message.found(),
        )
    }
    check(property as fn(AnyMessage, u16, AnyField, Vec<usize>) -> TestResult);
}

/// Bytes that look like HTTP, so that the deeper rules are reached.
#[derive(Clone)]
struct Likely(Vec<u8>);

const FRAGMENTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 100 \r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 5\r\n",
    "Connection: close\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "1;a=b\r\nx\r\n",
    "X: y\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ";",
    "0",
    "5",
    "\0",
    "\u{e9}",
];

impl fmt::Debug for Likely {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Arbitrary for Likely {
    fn arbitrary(g: &mut Gen) -> Self {
        let count = usize::arbitrary(g) % 8 + 1;
        let mut bytes = Vec::new();
        for _ in 0..count {
            bytes.extend_from_slice(g.choose(FRAGMENTS).expect("not empty").as_bytes());
        }
        for _ in 0..usize::arbitrary(g) % 3 {
            let place = usize::arbitrary(g) % bytes.len();
            match g.choose(&[0, 1, 2]) {
                Some(0) => bytes[place] = u8::arbitrary(g),
                Some(1) => bytes.insert(place, u8::arbitrary(g)),
                _ if bytes.len() > 1 => drop(bytes.remove(place)),
                _ => {}
            }
        }
        Self(bytes)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let bytes = self.0.clone();
        Box::new((0..bytes.len()).map(move |place| {
            let mut shorter = bytes.clone();
            shorter.remove(place);
            Self(shorter)
        }))
    }
}

/// Places within `length`, in order.
fn spread(cuts: &[usize], length: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (length + 1)).collect();
    cuts.sort_unstable();
    cuts
}

#[test]
fn any_split_gives_the_same() {
    fn property(Likely(input): Likely, cuts: Vec<usize>) -> bool {
        let limits = Limits::default();
        let context = RequestContext::default();
        let cuts = spread(&cuts, input.len());

        let as_requests = requests(&input, [], &limits);
        let as_responses = responses(&input, [], &limits, [context]);
        as_requests.is_same(&requests(&input, cuts.clone(), &limits))
            && as_requests.is_same(&requests(&input, bytewise(&input), &limits))
            && as_responses.is_same(&responses(&input, cuts, &limits, [context]))
            && as_responses.is_same(&responses(&input, bytewise(&input), &limits, [context]))
    }
    QuickCheck::new()
        .tests(2_000)
        .quickcheck(property as fn(Likely, Vec<usize>) -> bool);
}

#[test]
fn what_is_accepted_reaches_the_next_hop_as_the_same_message() {
    fn property(Likely(input): Likely) -> TestResult {
        let limits = Limits::default();
        let read = requests(&input, [], &limits);
        let complete = read
            .found
            .iter()
            .filter(|found| matches!(found, Found::End(_)))
            .count();
        if complete == 0 {
            return TestResult::discard();
        }
        // Only whole messages, as a proxy would pass them on.
        let end = read
            .found
            .iter()
            .rposition(|found| matches!(found, Found::End(_)))
            .map_or(0, |at| at + 1);
        let mut out = BytesMut::new();
        for message in read.found[..end].split_inclusive(|found| matches!(found, Found::End(_))) {
            pass_on(message, &mut out);
        }
        let again = requests(&out, [], &limits);
        let same = again.found.len() == end
            && again.found.iter().zip(&read.found).all(|pair| match pair {
                (Found::Head(a), Found::Head(b)) => {
                    (a.method(), a.target()) == (b.method(), b.target())
                }
                (a, b) => a == b,
            });
        TestResult::from_bool(same && again.end == Ok(Eof::Clean))
    }
    QuickCheck::new()
        .tests(2_000)
        .max_tests(200_000)
        .quickcheck(property as fn(Likely) -> TestResult);
}

fn pass_on(message: &[Found<RequestHead>], out: &mut BytesMut) {
    const NOT_PASSED: &[&str] = &[
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "upgrade",
    ];

    let mut encoder = Encoder::<Client>::new();
    for found in message {
        match found {
            Found::Head(head) => {
                let list = head
                    .fields()
                    .iter()
                    .filter(|field| !NOT_PASSED.iter().any(|name| field.is(name)));
                let sending = Sending {
                    length: head.declared_length(),
                    ..Sending::default()
                };
                encoder
                    .request(head.into(), list, sending, out)
                    .expect("a valid head");
            }
            Found::Body(body) => encoder.data(body, out).expect("room"),
            Found::End(trailers) => encoder.end(trailers.as_ref(), out).expect("complete"),
        }
    }
}

#[test]
fn cost_is_in_proportion_to_the_bytes() {
    let limits = Limits::default();
    let start = "POST / HTTP/1.1\r\nHost: a\r\n";
    let chunked = format!("{start}Transfer-Encoding: chunked\r\n\r\n");
    let pad = |size: usize| "x".repeat(size);
    for (what, input) in [
        (
            "one long field",
            format!("{start}X: {}\r\n\r\n", pad(32_000)),
        ),
        (
            "many fields",
            format!("{start}{}\r\n", "X: y\r\n".repeat(99)),
        ),
        (
            "a long target",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", pad(16_000)),
        ),
        (
            "a head without an end",
            format!("{start}X: {}", pad(32_000)),
        ),
        (
            "one-byte chunks",
            format!("{chunked}{}0\r\n\r\n", "1\r\nx\r\n".repeat(10_000)),
        ),
        (
            "long extensions",
            format!(
                "{chunked}{}0\r\n\r\n",
                format!("1;{}\r\nx\r\n", pad(250)).repeat(100)
            ),
        ),
        (
            "long trailers",
            format!("{chunked}0\r\nX: {}\r\n\r\n", pad(8_000)),
        ),
        (
            "a long body",
            format!("{start}Content-Length: 60000\r\n\r\n{}", pad(60_000)),
        ),
        (
            "many small requests",
            format!("{start}Content-Length: 0\r\n\r\n").repeat(500),
        ),
    ] {
        for (how, read) in [
            ("whole", requests(input.as_bytes(), [], &limits)),
            (
                "bytewise",
                requests(input.as_bytes(), bytewise(input.as_bytes()), &limits),
            ),
        ] {
            // A byte of a head or of trailers is looked at once to find the end, and once to parse
            // it.
            let bound = 2 * input.len() as u64;
            assert!(read.examined > 0, "{what}, {how}");
            assert!(
                read.examined <= bound,
                "{what}, {how}: {} for {}",
                read.examined,
                input.len()
            );
        }
    }
}

#[test]
fn the_bytes_of_a_body_are_not_looked_at() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
    let input = format!("{head}{}", "x".repeat(60_000));
    let read = requests(
        input.as_bytes(),
        bytewise(input.as_bytes()),
        &Limits::default(),
    );
    assert_eq!(read.end, Ok(Eof::Clean));
    assert!(read.examined <= 2 * head.len() as u64, "{}", read.examined);
}

#[test]
fn work_does_not_grow_with_what_is_held() {
    // A peer that sends a head byte by byte costs as much as one that sends it at once.
    let cost = |size: usize| {
        let input = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(size)
        );
        requests(
            input.as_bytes(),
            bytewise(input.as_bytes()),
            &Limits::default(),
        )
        .examined
    };
    let (small, large) = (cost(1_000), cost(30_000));
    assert!(
        large <= 31 * small,
        "{small} for 1,000 bytes, {large} for 30,000"
    );
}

#[test]
fn both_sides_of_a_connection_stay_in_step() {
    fn property(messages: Vec<(AnyMessage, AnyMessage)>) -> bool {
        let limits = std::sync::Arc::new(Limits::default().with_fields(256));
        let mut client = Connection::<Client>::new(limits.clone());
        let mut server = Connection::<Server>::new(limits);
        for (request, response) in messages.into_iter().take(5) {
            let mut wire = BytesMut::new();
            let head = RequestHead::new("POST", "/")
                .expect("valid")
                .with_field("Host", "h")
                .expect("valid");
            client
                .request(
                    (&head).into(),
                    head.fields().iter(),
                    request.sending(),
                    &mut wire,
                )
                .expect("its turn");
            send(&mut client, &request, &mut wire);
            let received = receive(&mut server, &mut wire);
            let head = ResponseHead::new(200).expect("valid");
            server
                .response((&head).into(), [], response.sending(), &mut wire)
                .expect("its turn");
            send(&mut server, &response, &mut wire);
            let answered = receive(&mut client, &mut wire);
            let reusable = !request.close && !response.close;
            if received != Ok(request.body())
                || answered != Ok(response.body())
                || client.next_exchange().is_ok() != reusable
                || server.next_exchange().is_ok() != reusable
            {
                return false;
            }
            if !reusable {
                break;
            }
        }
        true
    }
    check(property as fn(Vec<(AnyMessage, AnyMessage)>) -> bool);
}

fn send<R: libp2p_http_proxy::h1::Role>(
    from: &mut Connection<R>,
    message: &AnyMessage,
    wire: &mut BytesMut,
) {
    for piece in &message.body {
        from.data(piece, wire).expect("room");
    }
    from.end(None, wire).expect("complete");
}

/// Reads one whole message, and returns its body.
fn receive<R: libp2p_http_proxy::h1::Role>(
    to: &mut Connection<R>,
    wire: &mut BytesMut,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        let (used, step) = to.receive(wire)?;
        match step {
            Step::Data(data) => body.extend_from_slice(data),
            Step::End(_) => {
                let _ = wire.split_to(used);
                assert!(wire.is_empty(), "every byte belongs to the message");
                return Ok(body);
            }
            Step::Head(_) => {}
            Step::NeedMore | Step::Paused => return Err(Error::Truncated),
        }
        let _ = wire.split_to(used);
    }
}

#[test]
fn the_short_form_tells_messages_apart() {
    // The tables of the wire tests rely on it.
    let read = requests(
        b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        [],
        &Limits::default(),
    );
    assert_eq!(Short::<Server>(&read).to_string(), "GET /a . ");
}
