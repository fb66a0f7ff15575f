//! What must hold of the framing core for every input? One function for each fuzz target, which
//! panics if it does not.
//!
//! The fuzz targets call them with whatever the fuzzer makes up, and `tests/corpus.rs` with the
//! seeds. A new target is a function here or in a file beside this one, a file in `fuzz_targets`,
//! an entry in `Cargo.toml`, a folder in `seeds` and a line in `tests/corpus.rs`.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

use bytes::BytesMut;
use libp2p_http_proxy::h1::{
    Client, Encoder, Error, Field, Fields, Limits, RequestContext, RequestLine, Sending, Server,
};

use crate::transcript::{Found, Transcript, bytewise, requests, responses};

/// A request head that is accepted cannot be read in any other way, and is written as a head that
/// says the same.
pub(crate) fn request_head(data: &[u8]) {
    let limits = Limits::default();
    let read = requests(data, [], &limits);
    check_cost(data, &read);
    let Some(Found::Head(head)) = read.found.first() else {
        return;
    };

    assert!(is_clean(head.method().as_bytes()) && is_clean(head.target().as_bytes()));
    assert!(
        !head.target().contains([' ', '#']),
        "the target ends where it ends"
    );
    assert_fields(head.fields());
    let is_http11 = head.version().to_string() == "HTTP/1.1";
    assert!(
        framing_fields(head.fields()).len() <= 1,
        "one framing at most"
    );
    assert!(
        head.host().is_some() || !is_http11,
        "an HTTP/1.1 request has a Host"
    );

    // Written again, as an HTTP/1.1 request, it is read as the same.
    let mut out = BytesMut::new();
    let fields = || head.fields().iter().filter(|field| !is_hop_by_hop(field));
    let host = Field {
        name: "Host",
        value: b"none",
    };
    let added = Some(host).filter(|_| head.host().is_none() && !head.target().contains("://"));
    let sending = Sending {
        length: head.declared_length(),
        ..Sending::default()
    };
    let all = fields().chain(added);
    let written = Encoder::<Client>::new().request(RequestLine::from(head), all, sending, &mut out);
    if written.is_err() {
        // An HTTP/1.0 request may lack what an HTTP/1.1 request needs, and expect what that must
        // not.
        assert!(!is_http11, "{head:?}: {written:?}");
        return;
    }
    let again = requests(
        &out,
        [],
        &limits.with_fields(256).with_head_size(data.len() + 1000),
    );
    let Some(Found::Head(same)) = again.found.first() else {
        panic!("{head:?}: {again:?}")
    };
    assert_eq!(
        (same.method(), same.target()),
        (head.method(), head.target())
    );
    assert_eq!(same.declared_length(), head.declared_length());
    let kept = same.fields().iter().filter(|field| !is_hop_by_hop(field));
    assert!(kept.eq(fields().chain(added)), "{head:?}: {same:?}");
}

/// A response head that is accepted cannot be read in any other way, and is written as a head that
/// says the same.
pub(crate) fn response_head(data: &[u8]) {
    let limits = Limits::default();
    let mut upgrade = RequestContext::default();
    upgrade.upgrade = true;
    let read = responses(data, [], &limits, [upgrade]);
    check_cost(data, &read);
    let Some(Found::Head(head)) = read.found.first() else {
        return;
    };

    assert!((100..=599).contains(&head.status()));
    assert!(is_clean(head.reason()));
    assert_fields(head.fields());
    assert!(
        framing_fields(head.fields()).len() <= 1,
        "one framing at most"
    );

    let mut out = BytesMut::new();
    let fields = || head.fields().iter().filter(|field| !is_hop_by_hop(field));
    let mut encoder = Encoder::<Server>::new();
    let start = head.into();
    if head.is_interim() {
        encoder
            .interim(head.status(), head.reason(), fields(), &mut out)
            .expect("a valid head");
    } else {
        let protocol = head
            .fields()
            .get("upgrade")
            .filter(|_| head.status() == 101);
        let sending = Sending {
            length: head.declared_length(),
            upgrade: protocol,
            ..Sending::default()
        };
        encoder
            .response(&upgrade, start, fields(), sending, &mut out)
            .expect("a valid head");
    }
    let limits = limits.with_fields(256).with_head_size(data.len() + 1000);
    let again = responses(&out, [], &limits, [upgrade]);
    let Some(Found::Head(same)) = again.found.first() else {
        panic!("{head:?}: {again:?}")
    };
    assert_eq!(
        (same.status(), same.reason()),
        (head.status(), head.reason())
    );
    assert!(
        same.fields()
            .iter()
            .filter(|field| !is_hop_by_hop(field))
            .eq(fields())
    );
}

/// A chunked body is read as the grammar reads it, byte for byte, however it is cut.
pub(crate) fn chunked(data: &[u8]) {
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    let limits = Limits::default();
    let input = [HEAD, data].concat();
    let read = requests(&input, [], &limits);
    check_cost(&input, &read);
    check_splits(&read, |cuts| requests(&input, cuts, &limits), &input);

    // What follows on the head; the next request, with a body of its own, is not meant.
    let (body, end) = match read.found.get(1..).unwrap_or_default() {
        [Found::Body(body), Found::End(trailers), ..] => (&body[..], Some(trailers)),
        [Found::Body(body), ..] => (&body[..], None),
        [Found::End(trailers), ..] => (&[][..], Some(trailers)),
        _ => (&[][..], None),
    };
    match (grammar::chunked_body(data), end) {
        (Some((expected, trailers)), Some(found)) => {
            assert_eq!(body, expected, "the body is another one");
            assert_eq!(found.is_some(), trailers, "trailers appear or vanish");
        }
        (Some((expected, trailers)), None) => {
            assert!(expected.starts_with(body), "the body is another one");
            // The grammar below knows no limits, and does not look into the trailers.
            let is_limit = matches!(read.end, Err(Error::ChunkLineTooLong { .. }));
            assert!(is_limit || trailers, "a chunked body was refused: {read:?}");
        }
        (None, end) => assert_eq!(end, None, "what is no chunked body was accepted"),
    }
}

/// Whatever the peer sends, and however it is cut, either side finds the same messages, uses the
/// same bytes, and ends in the same error.
///
/// The first byte is the role and the request, the next eight are the sizes of the pieces.
pub(crate) fn connection(data: &[u8]) {
    let Some(([kind, sizes @ ..], input)) = data.split_first_chunk::<9>() else {
        return;
    };
    let limits = match kind & 1 {
        0 => Limits::default(),
        _ => small_limits(),
    };
    if kind & 2 == 0 {
        let read = |cuts: Vec<usize>| requests(input, cuts, &limits);
        let whole = read(Vec::new());
        check_cost(input, &whole);
        assert!(
            whole.is_same(&read(pieces(sizes, input.len()))),
            "{whole:?}"
        );
        assert!(whole.is_same(&read(bytewise(input).collect())), "{whole:?}");
        // Everything that was found takes its bytes of the input.
        assert!(found_size(&whole) <= whole.used);
    } else {
        let mut request = RequestContext::default();
        request.head_method = kind & 4 != 0;
        request.upgrade = kind & 8 != 0;
        request.expect_continue = kind & 16 != 0;
        let read = |cuts: Vec<usize>| responses(input, cuts, &limits, [request]);
        let whole = read(Vec::new());
        check_cost(input, &whole);
        assert!(
            whole.is_same(&read(pieces(sizes, input.len()))),
            "{whole:?}"
        );
        assert!(whole.is_same(&read(bytewise(input).collect())), "{whole:?}");
        assert!(found_size(&whole) <= whole.used);
    }
}

fn small_limits() -> Limits {
    Limits::default()
        .with_head_size(200)
        .with_fields(4)
        .with_target(30)
        .with_chunk_line(10)
        .with_trailers_size(30)
        .with_trailer_fields(2)
        .with_interim_responses(1)
}

/// Where pieces end that have these sizes in turn.
fn pieces(sizes: &[u8], length: usize) -> Vec<usize> {
    let ends = sizes.iter().cycle().scan(0, |end, size| {
        *end += usize::from(*size) + 1;
        Some(*end)
    });
    ends.take_while(|end| *end < length).collect()
}

/// RFC 9112 lets no byte of a head be looked at more than a fixed number of times: here it is two.
fn check_cost<H>(input: &[u8], read: &Transcript<H>) {
    assert!(read.used <= input.len());
    assert!(
        read.examined <= 2 * input.len() as u64,
        "{} for {}",
        read.examined,
        input.len()
    );
}

fn check_splits<H: PartialEq + std::fmt::Debug>(
    whole: &Transcript<H>,
    read: impl Fn(Vec<usize>) -> Transcript<H>,
    input: &[u8],
) {
    for cuts in [
        bytewise(input).collect(),
        pieces(&[1], input.len()),
        pieces(&[0, 6], input.len()),
    ] {
        let cut = read(cuts);
        assert!(whole.is_same(&cut), "{whole:?} or {cut:?}");
    }
}

/// How many bytes of the input the found things take at least.
fn found_size<H>(read: &Transcript<H>) -> usize {
    read.found
        .iter()
        .map(|found| match found {
            Found::Head(_) => "GET / HTTP/1.0\r\n".len(),
            Found::Body(body) => body.len(),
            Found::End(_) => 0,
        })
        .sum()
}

fn assert_fields(fields: &Fields) {
    for field in fields.iter() {
        assert!(!field.name.is_empty() && field.name.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!field.name.contains([':', ' ']), "a name ends at its colon");
        assert!(is_clean(field.value), "{field:?}");
        assert_eq!(
            field.value.trim_ascii(),
            field.value,
            "white space around {field:?}"
        );
    }
}

/// Whether nothing in `text` can end a line or the string of another language.
fn is_clean(text: &[u8]) -> bool {
    !text
        .iter()
        .any(|byte| matches!(byte, b'\r' | b'\n' | b'\0' | 0x7f))
}

fn framing_fields(fields: &Fields) -> Vec<String> {
    let names = fields.iter().map(|field| field.name.to_ascii_lowercase());
    names
        .filter(|name| name == "content-length" || name == "transfer-encoding")
        .collect()
}

/// Whether the encoder writes this field itself.
fn is_hop_by_hop(field: &Field<'_>) -> bool {
    const NAMES: &[&str] = &[
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.iter().any(|name| field.is(name))
}

/// A second reader of chunked bodies, as simple as can be: it has the whole body before it, and no
/// limits.
mod grammar {
    /// The body, and whether there are trailers, if `input` begins with a chunked body (RFC 9112,
    /// section 7.1). Trailers are not checked beyond their line ends.
    pub(super) fn chunked_body(mut input: &[u8]) -> Option<(Vec<u8>, bool)> {
        let mut body = Vec::new();
        loop {
            let size = size_line(line(&mut input)?)?;
            if size == 0 {
                break;
            }
            let size = usize::try_from(size)
                .ok()
                .filter(|size| *size <= input.len())?;
            body.extend_from_slice(&input[..size]);
            input = input[size..].strip_prefix(b"\r\n")?;
        }
        let mut trailers = false;
        while !line(&mut input)?.is_empty() {
            trailers = true;
        }
        Some((body, trailers))
    }

    /// Takes a line off `input`. No CR or LF stands in it.
    fn line<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
        let end = input
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))?;
        let (line, rest) = input.split_at(end);
        *input = rest.strip_prefix(b"\r\n")?;
        Some(line)
    }

    fn size_line(line: &[u8]) -> Option<u64> {
        let (size, extension) = match line.iter().position(|byte| *byte == b';') {
            Some(end) => (trim_end(&line[..end]), &line[end..]),
            None => (line, &[][..]),
        };
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        if size.len() > 16
            || !size.iter().all(u8::is_ascii_hexdigit)
            || extension.iter().any(is_control)
        {
            return None;
        }
        u64::from_str_radix(str::from_utf8(size).ok()?, 16).ok()
    }

    fn trim_end(mut text: &[u8]) -> &[u8] {
        while let [rest @ .., b' ' | b'\t'] = text {
            text = rest;
        }
        text
    }
}
