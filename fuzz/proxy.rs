//! What must hold of what a proxy changes in a message, whatever the input? Called by the fuzz targets, and by a test that
//! replays their seeds.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

use std::time::UNIX_EPOCH;

use bytes::BytesMut;
use libp2p_http_proxy::{
    h1::{
        Client, Encoder, Field, Fields, Length, Limits, RequestContext, RequestHead, RequestLine,
        ResponseHead, Sending, Server, StatusLine, tokens,
    },
    rewrite::{
        CookieScope, ForwardedMode, HostPolicy, HostValue, PEER_FIELD, RequestRewrite,
        ResponseRewrite, allowed_trailers, is_loop, max_forwards, origin_form,
    },
};

use crate::{
    cookies,
    transcript::{self, Found},
};

const PSEUDONYM: &str = "p2p-fuzz";
const COOKIE_PATH: &str = "/http/k51/web";
const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";

/// The first byte says how the message is rewritten; the rest is a request and, once more, a response.
///
/// What a proxy makes of a message is a message again: it parses, with the same start line and body, with exactly one
/// framing, without any field of the hop before, without anybody else's claim to be a peer, and with all other fields
/// in their order. Cookies stay with their service.
pub(crate) fn rewrite(data: &[u8]) {
    let Some((&settings, message)) = data.split_first() else {
        return;
    };
    let limits = Limits::default();
    rewrite_request(settings, &transcript::requests(message, [], &limits).found);
    let mut asked = RequestContext::default();
    asked.upgrade = settings & 1 == 1;
    let responses = transcript::responses(message, [], &limits, [asked]).found;
    rewrite_response(settings, asked, &responses);
}

fn rewrite_request(settings: u8, found: &[Found<RequestHead>]) {
    let [Found::Head(head), rest @ ..] = found else {
        return;
    };
    let Ok(target) = origin_form(head.method(), head.target()) else {
        return;
    };
    let modes = [
        ForwardedMode::Off,
        ForwardedMode::Replace,
        ForwardedMode::Append,
        ForwardedMode::Drop,
    ];
    let mode = modes[usize::from(settings >> 1) % 4];
    let own: HostValue = "127.0.0.1:3000".parse().expect("a valid host");
    let policies = [
        HostPolicy::Preserve,
        HostPolicy::Target,
        HostPolicy::Fixed(own.clone()),
    ];
    let policy = &policies[usize::from(settings >> 3) % 3];
    let (with_peer, with_via) = (settings & 0x20 != 0, settings & 0x40 != 0);

    let client = [127, 0, 0, 1].into();
    let mut rewrite = RequestRewrite::new(head)
        .with_host(policy, &own)
        .with_forwarded(mode, client, "http");
    if with_peer {
        rewrite = rewrite.with_peer(&PEER.parse().expect("a valid peer id"));
    }
    if with_via {
        rewrite = rewrite.with_via(PSEUDONYM);
    }
    let sending = Sending {
        length: head.declared_length(),
        upgrade: rewrite.upgrade(),
        te_trailers: rewrite.te_trailers(),
        ..Sending::default()
    };
    let line = RequestLine {
        method: head.method(),
        target: &target,
    };
    let mut out = BytesMut::new();
    let mut encoder = Encoder::<Client>::new();
    encoder
        .request(line, rewrite.fields(), sending, &mut out)
        .expect("a request that was accepted can be passed on");
    let mut copied = BytesMut::new();
    rewrite
        .encode(&target, sending, &mut Encoder::new(), &mut copied)
        .expect("what can be written can be copied");
    assert_eq!(copied, out, "copied is as written");
    put_rest(&mut encoder, rest, &mut out);

    let again = transcript::requests(&out, [], &wide());
    let [Found::Head(passed), body @ ..] = again.found.as_slice() else {
        panic!("the rewritten request does not parse: {out:?} {again:?}");
    };
    assert_eq!(passed.method(), head.method());
    assert_eq!(passed.target(), target);
    assert_eq!(passed.declared_length(), head.declared_length());
    assert_eq!(passed.context().upgrade, rewrite.upgrade().is_some());
    assert_eq!(passed.takes_trailers(), head.takes_trailers());
    assert_eq!(
        is_loop(passed, PSEUDONYM),
        with_via || is_loop(head, PSEUDONYM)
    );
    check_body(rest, body);
    check_fields(passed.fields().iter(), with_peer);
    assert!(
        passed
            .fields()
            .iter()
            .all(|field| !is_of_gateway(field.name))
    );
    assert_eq!(passed.fields().get_all("Host").count(), 1);
    let of_client = passed.fields().iter();
    let of_client = of_client.filter(|field| is_of_client(field.name)).count();
    match mode {
        ForwardedMode::Replace => assert!((2..=3).contains(&of_client), "{of_client}"),
        ForwardedMode::Drop => assert_eq!(of_client, 0),
        _ => {}
    }

    match max_forwards(head) {
        Ok(Some(left)) => {
            assert_eq!(max_forwards(passed), Ok(Some(left.saturating_sub(1))));
        }
        _ => {
            let came = head.fields().get_all("Max-Forwards");
            assert!(came.eq(passed.fields().get_all("Max-Forwards")));
        }
    }

    let untouched = |field: &Field<'_>| {
        let may_change = ["Expect", "Max-Forwards"];
        !is_of_hop(field.name)
            && !is_set_by_proxy(field.name)
            && !may_change.iter().any(|name| field.is(name))
    };
    let nominated: Vec<_> = head
        .fields()
        .get_all("Connection")
        .flat_map(tokens)
        .collect();
    let is_nominated = |name: &str| {
        nominated
            .iter()
            .any(|one| one.eq_ignore_ascii_case(name.as_bytes()))
    };
    let came = head
        .fields()
        .iter()
        .filter(untouched)
        .filter(|field| !is_nominated(field.name));
    assert!(
        came.eq(passed.fields().iter().filter(untouched)),
        "a field was changed"
    );
}

fn rewrite_response(settings: u8, asked: RequestContext, found: &[Found<ResponseHead>]) {
    let [Found::Head(head), rest @ ..] = found else {
        return;
    };
    let below = CookieScope::below(COOKIE_PATH).expect("a path");
    let scopes = [None, Some(CookieScope::host_only()), Some(below)];
    let scope = scopes[usize::from(settings >> 1) % 3];
    let mut rewrite = ResponseRewrite::new(head);
    if settings & 0x40 != 0 {
        rewrite = rewrite.with_via(PSEUDONYM);
    }
    if let Some(scope) = scope {
        rewrite = rewrite.with_cookie_scope(scope);
    }
    let with_date = settings & 0x80 != 0;
    if with_date {
        rewrite = rewrite.with_date(UNIX_EPOCH);
    }
    let line = StatusLine {
        status: head.status(),
        reason: head.reason(),
    };
    let mut out = BytesMut::new();
    let mut encoder = Encoder::<Server>::new();
    if head.is_interim() {
        encoder
            .interim(line.status, line.reason, rewrite.fields(), &mut out)
            .expect("an interim response that was accepted can be passed on");
        let mut copied = BytesMut::new();
        rewrite
            .encode_interim(&mut Encoder::new(), &mut copied)
            .expect("what can be written can be copied");
        assert_eq!(copied, out, "copied is as written");
    } else {
        let upgrade = rewrite.upgrade(b"websocket");
        if head.status() == 101 && upgrade.is_none() {
            return;
        }
        let length = match head.declared_length() {
            // The end of the connection says nothing on the next hop.
            Length::Absent => Length::Chunked,
            length => length,
        };
        let sending = Sending {
            length,
            upgrade: upgrade.filter(|_| head.status() == 101),
            ..Sending::default()
        };
        encoder
            .response(&asked, line, rewrite.fields(), sending, &mut out)
            .expect("a response that was accepted can be passed on");
        let mut copied = BytesMut::new();
        rewrite
            .encode(&asked, sending, &mut Encoder::new(), &mut copied)
            .expect("what can be written can be copied");
        assert_eq!(copied, out, "copied is as written");
        if head.status() != 101 {
            put_rest(&mut encoder, rest, &mut out);
        }
    }

    let again = transcript::responses(&out, [], &wide(), [asked]);
    let [Found::Head(passed), body @ ..] = again.found.as_slice() else {
        panic!("the rewritten response does not parse: {out:?} {again:?}");
    };
    assert_eq!(passed.status(), head.status());
    assert_eq!(passed.reason(), head.reason());
    if !head.is_interim() {
        check_body(rest, body);
    }
    check_fields(passed.fields().iter(), false);
    let (came, dates) = (
        head.fields().get_all("Date"),
        passed.fields().get_all("Date"),
    );
    if with_date && head.status() >= 200 && came.clone().next().is_none() {
        assert!(dates.eq([b"Thu, 01 Jan 1970 00:00:00 GMT"]));
    } else {
        assert!(came.eq(dates), "a Date was changed");
    }
    check_untouched(head.fields(), passed.fields(), |came, passed| match scope {
        Some(scope) if is_cookie(came.name) => {
            let prefix = (scope == below).then_some(COOKIE_PATH);
            cookies::check(came.value, passed.value, prefix);
        }
        _ => assert_eq!(came, passed, "a field was changed"),
    });
}

fn is_cookie(name: &str) -> bool {
    ["set-cookie", "set-cookie2"].contains(&name.to_ascii_lowercase().as_str())
}

/// Compares what came and what was passed on, but for what a proxy sets and what `Connection` ends.
fn check_untouched(came: &Fields, passed: &Fields, check: impl Fn(Field<'_>, Field<'_>)) {
    let nominated: Vec<_> = came.get_all("Connection").flat_map(tokens).collect();
    let ends = |field: &Field<'_>| {
        let protected = [
            "Host",
            "Max-Forwards",
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
        ];
        let is_nominated = |one: &&[u8]| one.eq_ignore_ascii_case(field.name.as_bytes());
        nominated.iter().any(is_nominated) && !protected.iter().any(|name| field.is(name))
    };
    let is_untouched = |field: &Field<'_>| {
        let is_checked = ["Via", "Date"].iter().any(|name| field.is(name));
        !is_of_hop(field.name) && !is_peer_claim(field.name) && !is_checked
    };
    let came: Vec<_> = came
        .iter()
        .filter(|field| is_untouched(field) && !ends(field))
        .collect();
    let passed: Vec<_> = passed.iter().filter(is_untouched).collect();
    let names = |fields: &[Field<'_>]| -> Vec<String> {
        fields.iter().map(|field| field.name.to_owned()).collect()
    };
    assert_eq!(names(&came), names(&passed));
    for (came, passed) in came.into_iter().zip(passed) {
        check(came, passed);
    }
}

/// Sends what follows a head, as far as it came.
fn put_rest<R, H>(encoder: &mut Encoder<R>, rest: &[Found<H>], out: &mut BytesMut) {
    for part in rest {
        match part {
            Found::Head(_) => break,
            Found::Body(data) => encoder.data(data, out).expect("the body fits its head"),
            Found::End(trailers) => {
                let trailers = trailers.clone().map(allowed_trailers);
                encoder
                    .end(trailers.as_ref(), out)
                    .expect("what was allowed is allowed");
                break;
            }
        }
    }
}

/// A message that came to its end is passed on to its end, with every byte of its body, and with no trailer that says
/// who sent it.
fn check_body<H>(came: &[Found<H>], passed: &[Found<H>]) {
    let body = |found: &[Found<H>]| match found.first() {
        Some(Found::Body(data)) => data.clone(),
        _ => Vec::new(),
    };
    let end = |found: &[Found<H>]| {
        let parts = found
            .iter()
            .take_while(|part| !matches!(part, Found::Head(_)));
        parts
            .filter_map(|part| match part {
                Found::End(trailers) => Some(trailers.clone()),
                _ => None,
            })
            .next()
    };
    assert_eq!(body(came), body(passed));
    assert_eq!(end(came).is_some(), end(passed).is_some());
    let trailers = end(passed).flatten().unwrap_or_default();
    assert!(
        trailers
            .iter()
            .all(|field| !is_peer_claim(field.name) && !is_of_hop(field.name))
            && trailers.iter().all(|field| !is_of_gateway(field.name))
    );
}

/// One framing, nothing of another hop, and nobody's claim to be a peer but ours.
fn check_fields<'f>(fields: impl Iterator<Item = Field<'f>> + Clone, with_peer: bool) {
    let count = |is_one: &dyn Fn(&Field<'f>) -> bool| fields.clone().filter(is_one).count();
    assert!(count(&|field| field.is("Content-Length") || field.is("Transfer-Encoding")) <= 1);
    assert!(count(&|field| field.is("Connection")) <= 1);
    for field in fields.clone() {
        let fresh: &[&[u8]] = match field.name.to_ascii_lowercase().as_str() {
            "connection" => &[b"Upgrade", b"TE", b"Upgrade, TE", b"close"],
            "te" => &[b"trailers"],
            "transfer-encoding" => &[b"chunked"],
            "content-length" | "upgrade" => continue,
            name if is_of_hop(name) => &[],
            _ => continue,
        };
        assert!(fresh.contains(&field.value), "{field:?} is of another hop");
    }
    assert_eq!(
        count(&|field| is_peer_claim(field.name)),
        usize::from(with_peer)
    );
    let ours = |field: &Field<'f>| field.name == PEER_FIELD && field.value == PEER.as_bytes();
    assert_eq!(count(&ours), usize::from(with_peer));
}

fn is_of_hop(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "upgrade"
            | "transfer-encoding"
            | "content-length"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
    )
}

/// What a server under CGI would see as the name of the peer.
fn is_peer_claim(name: &str) -> bool {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        .eq_ignore_ascii_case("x_libp2p_peer")
}

/// What a server under CGI would see as what a client says to its gateway.
fn is_of_gateway(name: &str) -> bool {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    ["x_libp2p_addrs", "x_libp2p_multiaddr"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}

fn is_set_by_proxy(name: &str) -> bool {
    let name = name
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        .to_ascii_lowercase();
    is_peer_claim(&name)
        || is_of_gateway(&name)
        || is_of_client(&name)
        || ["via", "host"].contains(&name.as_str())
}

/// What proxies tell about a client.
fn is_of_client(name: &str) -> bool {
    let name = name
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        .to_ascii_lowercase();
    name.starts_with("x_forwarded_") || ["forwarded", "x_real_ip"].contains(&name.as_str())
}

/// Limits with room for what a proxy adds.
fn wide() -> Limits {
    Limits::default()
        .with_head_size(128 * 1024)
        .with_fields(256)
        .with_target(64 * 1024)
        .with_trailers_size(64 * 1024)
}
