//! A request that asks to switch protocols, served by hyper.
//!
//! Applications await `hyper::upgrade::OnUpgrade`, and only hyper can make one. So hyper gets the stream, with the head
//! that was read from it in front. Nothing is lost by that: such a request has no body, and a stream on which a switch
//! was refused is not used again, as nobody can tell what its client has sent behind the request.

use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use tower_service::Service;

use crate::{
    body::Body,
    config::Config,
    h1::{RequestHead, Version},
    inbound::Inbound,
    link::Link,
    tower::{BoxError, Caller, io::HyperIo},
    tunnel::Upgraded,
};

/// The least that hyper takes as a limit of its buffer.
const LEAST_BUFFER: usize = 8 * 1024;

/// Has `service` answer the request. Done when the answer has left, or the stream is the application's.
pub(super) async fn serve<S, B>(service: S, inbound: Inbound, caller: Caller, text: HeaderValue)
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let Inbound {
        head,
        hop,
        mut seat,
        config,
        ..
    } = inbound;
    seat.leave_service();
    let link = Some(Arc::clone(&seat.link));
    let stream = Upgraded::new(hop, Arc::clone(&config), seat);
    let answer = move |request: http::Request<Incoming>| {
        let (mut parts, _) = request.into_parts();
        caller.sign(&mut parts, &text);
        let mut service = service.clone();
        async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            let request = http::Request::from_parts(parts, Body::empty());
            service.call(request).await
        }
    };
    answer_one(&head, stream, link, config, answer).await;
}

/// Has `answer` answer the request with `head`, and what of it is still to come on `stream`, by hyper. The stream is of no
/// use afterwards. `link` is the connection of a peer that it belongs to.
pub(crate) async fn answer_one<A, F, B, E>(
    head: &RequestHead,
    stream: Upgraded,
    link: Option<Arc<Link>>,
    config: Arc<Config>,
    answer: A,
) where
    A: Fn(http::Request<Incoming>) -> F,
    F: Future<Output = Result<http::Response<B>, E>>,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    E: Into<BoxError>,
{
    let (head, length) = (write_head(head), head.declared_length());
    let mut builder = http1::Builder::new();
    builder
        .auto_date_header(true)
        .max_headers(config.limits().fields())
        .max_buf_size(LEAST_BUFFER.max(2 * head.len()));
    let switched = Arc::new(AtomicBool::new(false));
    let io = HyperIo::new((head, length), stream, link, config, Arc::clone(&switched));
    let answer = service_fn(move |request| {
        let answered = answer(request);
        let switched = Arc::clone(&switched);
        async move {
            let mut response = answered.await?;
            let is_switch = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            // Without keep-alive hyper would write the same into a 101, in the place of `Connection: upgrade`.
            if !is_switch {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            switched.store(is_switch, Ordering::Release);
            Ok::<_, E>(response)
        }
    });
    let connection = builder.serve_connection(io, answer);
    if let Err(error) = connection.with_upgrades().await {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a switch of protocols failed"
        );
    }
}

/// The bytes of a head again, from what was parsed strictly.
fn write_head(head: &RequestHead) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    let version = match head.version() {
        Version::Http10 => " HTTP/1.0\r\n",
        Version::Http11 => " HTTP/1.1\r\n",
    };
    for part in [head.method(), " ", head.target(), version] {
        out.put_slice(part.as_bytes());
    }
    for field in head.fields().iter() {
        for part in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
            out.put_slice(part);
        }
    }
    out.put_slice(b"\r\n");
    out.freeze()
}
