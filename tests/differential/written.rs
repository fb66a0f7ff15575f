//! What do we write, and what did we mean by it?

use bytes::BytesMut;
use libp2p_http_proxy::h1::{
    Client, Encoder, Field, Fields, Length, RequestContext, RequestLine, Sending, Server,
    StatusLine,
};

use super::{
    mutate::Random,
    reading::{Kind, Lines, Message},
};

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
const STATUSES: &[u16] = &[200, 201, 204, 206, 301, 304, 404, 500, 599];

/// Requests that follow on each other, and how they are to be read.
pub(crate) fn requests(random: &mut Random) -> (Vec<u8>, Vec<Message>) {
    let mut encoder = Encoder::<Client>::new();
    let mut out = BytesMut::new();
    let count = 1 + random.below(3);
    let messages = (0..count)
        .map(|_| request(random, &mut encoder, &mut out))
        .collect();
    (out.to_vec(), messages)
}

fn request(random: &mut Random, encoder: &mut Encoder<Client>, out: &mut BytesMut) -> Message {
    let method = *random.choose(METHODS);
    let target = target(random);
    let mut fields = fields(random);
    fields
        .push("Host", "a.example:8080")
        .expect("a valid field");
    let body = Body::new(random);
    let sending = Sending {
        length: body.length(),
        te_trailers: random.below(4) == 0,
        ..Sending::default()
    };
    let start = RequestLine {
        method,
        target: &target,
    };
    encoder
        .request(start, fields.iter(), sending, out)
        .expect("a valid head");
    if sending.te_trailers {
        fields.push("Connection", "TE").expect("a valid field");
        fields.push("TE", "trailers").expect("a valid field");
    }
    body.send(encoder, out);
    encoder.next();
    body.message(format!("{method} {target} HTTP/1.1"), &fields)
}

/// A response, and how it is to be read.
pub(crate) fn response(random: &mut Random) -> (Kind, Vec<u8>, Message) {
    let kind = *random.choose(&[Kind::ToGet, Kind::ToGet, Kind::ToHead]);
    let mut request = RequestContext::default();
    request.head_method = kind == Kind::ToHead;
    let mut encoder = Encoder::<Server>::new();
    let mut out = BytesMut::new();
    for _ in 0..random.below(3) {
        let link = Field {
            name: "Link",
            value: b"</a>",
        };
        let status = *random.choose(&[100, 102, 103]);
        encoder
            .interim(status, b"x", [link], &mut out)
            .expect("a valid head");
    }
    let status = *random.choose(STATUSES);
    let mut fields = fields(random);
    let mut body = Body::new(random);
    let sending = Sending {
        length: body.length(),
        close: random.below(3) == 0,
        ..Sending::default()
    };
    let reasons = [&b""[..], b"OK", b"caf\xc3\xa9"];
    let reason = reasons[random.below(reasons.len())];
    encoder
        .response(
            &request,
            StatusLine { status, reason },
            fields.iter(),
            sending,
            &mut out,
        )
        .expect("a valid head");
    if sending.close {
        fields.push("Connection", "close").expect("a valid field");
    }
    body.send(&mut encoder, &mut out);
    if kind == Kind::ToHead || matches!(status, 204 | 304) {
        body = Body::default();
    }
    let message = body.message(format!("HTTP/1.1 {status}"), &fields);
    (kind, out.to_vec(), message)
}

/// A body in the pieces in which it is sent.
#[derive(Default)]
struct Body {
    pieces: Vec<Vec<u8>>,
    chunked: bool,
    trailers: Fields,
}

impl Body {
    fn new(random: &mut Random) -> Self {
        let chunked = random.below(2) == 0;
        let count = random.below(4);
        let pieces = (0..count).map(|_| {
            // What would be understood if a body were taken for something else.
            let mut piece = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
            piece.rotate_left(random.below(40));
            piece.truncate(random.below(41));
            piece
        });
        Self {
            pieces: pieces.collect(),
            chunked,
            trailers: if chunked {
                fields(random)
            } else {
                Fields::default()
            },
        }
    }

    fn length(&self) -> Length {
        match self.chunked {
            true => Length::Chunked,
            false => Length::Known(self.pieces.concat().len() as u64),
        }
    }

    fn send<R>(&self, encoder: &mut Encoder<R>, out: &mut BytesMut) {
        for piece in &self.pieces {
            encoder.data(piece, out).expect("room");
        }
        encoder.end(Some(&self.trailers), out).expect("complete");
    }

    fn message(&self, start: String, fields: &Fields) -> Message {
        Message {
            body: self.pieces.concat(),
            trailers: lines(&self.trailers),
            complete: true,
            ..Message::begin(start, lines(fields))
        }
    }
}

fn lines(fields: &Fields) -> Lines {
    Lines::new(fields.iter().map(|field| (field.name, field.value)))
}

/// Fields without a meaning of their own, with everything that a name and a value can have.
fn fields(random: &mut Random) -> Fields {
    const NAME: &[u8] = b"!#$%&'*+-.^_`|~09azAZ";

    let mut fields = Fields::default();
    for _ in 0..random.below(5) {
        let name: String = (0..1 + random.below(8))
            .map(|_| char::from(*random.choose(NAME)))
            .collect();
        let value: Vec<u8> = (0..random.below(12))
            .map(|_| match random.below(8) {
                0 => b'\t',
                1 => b' ',
                2 => 0x80 | random.next() as u8,
                _ => b'!' + (random.next() % 94) as u8,
            })
            .collect();
        fields
            .push(&format!("X-{name}"), value.trim_ascii())
            .expect("a valid field");
    }
    fields
}

/// A target of the bytes that every parser takes.
fn target(random: &mut Random) -> String {
    const TARGET: &[u8] = b"/?:@!$&'()*+,;=-._~%09azAZ";

    if random.below(5) == 0 {
        return "http://a.example:8080/b?c".to_owned();
    }
    let rest: String = (0..random.below(20))
        .map(|_| char::from(*random.choose(TARGET)))
        .collect();
    format!("/{rest}")
}
