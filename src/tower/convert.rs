//! Heads as this crate has them, and as the crate `http` has them.

#[cfg(feature = "tokio")]
use std::sync::Arc;

use bytes::Bytes;
#[cfg(feature = "tokio")]
use bytes::{BufMut, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, header, request::Parts as RequestParts,
};
use hyper::ext::ReasonPhrase;

#[cfg(feature = "tokio")]
use crate::h1::{Decoder, Form, Limits, Server, Step, check_host};
use crate::{
    error::ExchangeError,
    failure::{Failure, Page},
    h1::{self, Field, Fields, Kind, Length, Misuse, RequestHead, ResponseHead, Version, tokens},
    message::Response,
    payload::Payload,
    route::RouteError,
    tower::{BoxError, Frames},
};

/// The longest name that `http` can hold.
const MAX_NAME: usize = 65_535;

/// The head of a request that was received.
pub(super) fn request_parts(head: &RequestHead) -> Result<RequestParts, Failure> {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    // The parser has seen that it is a token, and every token is a method.
    parts.method = Method::from_bytes(head.method().as_bytes())
        .map_err(|_| Failure::BadRequest(h1::Error::Method))?;
    parts.uri = Uri::try_from(head.target()).map_err(|_| bad_target(head.target()))?;
    parts.version = version(head.version());
    parts.headers = header_map(head.fields().iter()).map_err(Failure::BadRequest)?;
    Ok(parts)
}

/// The head of a response that was received, with `fields`.
pub(crate) fn response_parts<'f>(
    head: &ResponseHead,
    fields: impl Iterator<Item = Field<'f>>,
) -> Result<http::Response<()>, h1::Error> {
    let mut response = http::Response::new(());
    // The parser has seen that it is one.
    *response.status_mut() =
        http::StatusCode::from_u16(head.status()).map_err(|_| h1::Error::Status)?;
    *response.version_mut() = version(head.version());
    *response.headers_mut() = header_map(fields)?;
    set_reason(head, response.extensions_mut());
    Ok(response)
}

/// Keeps a reason phrase that is not the usual one, as hyper does.
fn set_reason(head: &ResponseHead, extensions: &mut http::Extensions) {
    let usual = h1::reason_phrase(head.status()).as_bytes();
    if head.reason() != usual
        && let Ok(reason) = ReasonPhrase::try_from(head.reason())
    {
        extensions.insert(reason);
    }
}

/// The response of an application. `head_method` says that it answers a HEAD.
pub(super) fn response<B>(
    response: http::Response<B>,
    head_method: bool,
) -> Result<Response<Payload>, ExchangeError>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let status = parts.status.as_u16();
    let invalid = |_| Misuse::Status { status };
    let mut head = ResponseHead::new(status).map_err(invalid)?;
    if let Some(reason) = parts.extensions.get::<ReasonPhrase>() {
        head = head.with_reason(reason.as_bytes()).map_err(invalid)?;
    }
    push_fields(head.fields_mut(), &parts.headers)?;
    let length = length(&body, &parts.headers);
    let body = if head_method || matches!(status, 204 | 304) {
        Payload::declared(described_length(&parts.headers, length, status))
    } else {
        payload(body, length)
    };
    Ok(Response { head, body })
}

/// A body of an application, to be sent.
pub(crate) fn payload<B>(body: B, length: Length) -> Payload
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    if length == Length::Known(0) && body.is_end_stream() {
        return Payload::declared(length);
    }
    Payload::source(Frames::new(body), length)
}

/// How the length of a body is told: what the body itself knows counts more than what somebody wrote of it before it was,
/// say, compressed. Trailers that are announced (RFC 9110, section 6.6.2) need chunks.
pub(super) fn length(body: &impl http_body::Body, headers: &HeaderMap) -> Length {
    if headers.contains_key(header::TRAILER) {
        return Length::Chunked;
    }
    let exact = body.size_hint().exact();
    let known = exact.or_else(|| declared_length(headers));
    known.map_or(Length::Chunked, Length::Known)
}

/// The length of the body that a GET would have got, which is declared and not sent (RFC 9110, section 8.6). An empty body
/// says nothing about that one; and axum writes its zero into every 304.
fn described_length(headers: &HeaderMap, length: Length, status: u16) -> Length {
    let declared = declared_length(headers).filter(|&length| length > 0 || status != 304);
    match (declared, length) {
        (Some(declared), _) => Length::Known(declared),
        (None, Length::Known(0)) => Length::Absent,
        (None, length) => length,
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    h1::digits(headers.get(header::CONTENT_LENGTH)?.as_bytes())
}

/// Adds the fields of an application to a head, without those that the encoder writes.
pub(super) fn push_fields(fields: &mut Fields, headers: &HeaderMap) -> Result<(), Misuse> {
    for (name, value) in headers {
        if !Kind::of(name.as_str().as_bytes()).is_reserved() {
            fields.push(name.as_str(), value.as_bytes().trim_ascii())?;
        }
    }
    Ok(())
}

/// All of `fields`, in their order.
pub(crate) fn header_map<'f>(
    fields: impl Iterator<Item = Field<'f>>,
) -> Result<HeaderMap, h1::Error> {
    let mut map = HeaderMap::with_capacity(fields.size_hint().0);
    for field in fields {
        let too_large = h1::Error::HeadTooLarge { limit: MAX_NAME };
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| too_large)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| h1::Error::ControlByte)?;
        map.try_append(name, value).map_err(|_| too_large)?;
    }
    Ok(map)
}

/// A page for an application that answers with the types of `http` (feature `tower`), such as one with pages of its own on the
/// host of a gateway. What `http` cannot hold, which no page of this crate has: such a status becomes 500, and with such a field
/// all of them are left out.
impl From<Page> for http::Response<Bytes> {
    fn from(page: Page) -> Self {
        let mut response = Self::new(page.body);
        *response.status_mut() = http::StatusCode::from_u16(page.status)
            .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = header_map(page.fields.iter()).unwrap_or_default();
        response
    }
}

/// The head of a request that an HTTP server has read, by the rules for one that was read here: it may come from another
/// version of HTTP, or through code that changed it. What the fields say about the body goes, as the body knows it itself.
#[cfg(feature = "tokio")]
pub(crate) fn request_head(
    parts: &RequestParts,
    limits: &Arc<Limits>,
) -> Result<RequestHead, h1::Error> {
    let mut text = BytesMut::with_capacity(1024);
    for part in [parts.method.as_str(), " ", target(&parts.uri)] {
        text.put_slice(part.as_bytes());
    }
    text.put_slice(match parts.version {
        http::Version::HTTP_09 | http::Version::HTTP_10 => b" HTTP/1.0\r\n",
        _ => b" HTTP/1.1\r\n",
    });
    if let Some(authority) = host(&parts.uri) {
        match parts.headers.get(header::HOST) {
            None => put_line(&mut text, "host", authority.as_bytes()),
            // Both name where the request goes, and whoever looked before may have believed either.
            Some(host) => {
                let scheme = parts.uri.scheme_str().unwrap_or("http").as_bytes();
                let authority = authority.as_bytes();
                let form = Form::Absolute { scheme, authority };
                check_host(form, Some(host.as_bytes()), true)?;
            }
        }
    }
    for name in parts.headers.keys() {
        let values = parts.headers.get_all(name).iter();
        match *name {
            header::CONTENT_LENGTH | header::TRANSFER_ENCODING => {}
            // RFC 9113, section 8.2.3: HTTP/2 may have split one line.
            header::COOKIE => {
                let cookies: Vec<&[u8]> = values.map(HeaderValue::as_bytes).collect();
                put_line(&mut text, name.as_str(), &cookies.join(&b"; "[..]));
            }
            _ => values.for_each(|value| put_line(&mut text, name.as_str(), value.as_bytes())),
        }
    }
    text.put_slice(b"\r\n");
    match Decoder::<Server>::new(Arc::clone(limits)).decode(&text)? {
        (used, Step::Head(head)) if used == text.len() => Ok(head),
        _ => Err(h1::Error::Truncated),
    }
}

#[cfg(feature = "tokio")]
fn put_line(text: &mut BytesMut, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        text.put_slice(part);
    }
}

/// RFC 9112, section 3.2.1: a server that is asked for its own resources gets their path and query.
pub(crate) fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

/// The authority of a URI without a user, which must not be sent (RFC 9110, section 4.2.4).
pub(crate) fn host(uri: &Uri) -> Option<String> {
    let host = uri.host()?;
    Some(match uri.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// A request declares the length of an empty body only where its method is one that means something with a body
/// (RFC 9110, section 8.6).
pub(crate) fn request_length(body: &impl http_body::Body, parts: &RequestParts) -> Length {
    let means_body = matches!(parts.method.as_str(), "POST" | "PUT" | "PATCH");
    match length(body, &parts.headers) {
        Length::Known(0) if !means_body => Length::Absent,
        length if length != Length::Known(0) && body.is_end_stream() => Length::Absent,
        length => length,
    }
}

/// Whether one of the lists in the fields called `name` holds `token`.
pub(super) fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let mut members = headers
        .get_all(name)
        .iter()
        .flat_map(|value| tokens(value.as_bytes()));
    members.any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

fn version(version: Version) -> http::Version {
    match version {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 => http::Version::HTTP_11,
    }
}

/// Why `http` cannot hold a target, by the first byte that it refuses where there is one.
fn bad_target(target: &str) -> Failure {
    let refused = |byte: &u8| {
        let alone = Bytes::from(vec![b'/', *byte]);
        byte.is_ascii() && Uri::from_maybe_shared(alone).is_err()
    };
    match target.bytes().find(refused) {
        Some(byte) => RouteError::Character { byte }.into(),
        None => Failure::BadRequest(h1::Error::Target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Capacity;

    #[test]
    fn a_page_keeps_its_status_its_fields_and_its_body() {
        let what = Capacity::InboundStreams;
        let failure = Failure::NoCapacity { what };
        let page = failure.respond("p2p-gateway", None);
        let response = http::Response::from(page.clone());
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers().len(), page.fields.len());
        assert_eq!(
            response.headers()["Retry-After"],
            page.fields.get("Retry-After").unwrap()
        );
        assert_eq!(response.body(), &page.body);
    }
}
