//! The gateway as a `tower` service, for applications that have an HTTP server already.

mod body;
mod pass;

use std::{
    borrow::Cow,
    convert::Infallible,
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderValue, header, request::Parts};
use tower_service::Service;
use tracing::Instrument as _;

pub use self::body::GatewayBody;
use self::{body::Log, pass::Way};
use crate::{
    failure::{Failure, Page},
    h1::RequestHead,
    proxy::{
        gateway::Gateway,
        hosts::Place,
        own,
        recent::Recent,
        settings::{GATEWAY, Routed, Settings, Turn},
    },
    rewrite::{CookieScope, HostValue, InvalidCookiePrefix},
    route::{RouteError, split_query},
    tower::{BoxError, convert},
};

/// Finds the address of a client.
type ClientAddress = Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;

/// A [`Gateway`] as a [`tower_service::Service`], made by [`Gateway::into_service`] (features `tower` and `tokio`).
///
/// It belongs beside other routes of an HTTP server, under any prefix that the server takes off before it passes a request
/// on:
///
/// ```no_run
/// # use libp2p_http_proxy::{Gateway, GatewayConfig, HttpProxyBehaviour};
/// # fn example(behaviour: &HttpProxyBehaviour, local_peer: libp2p_identity::PeerId) -> axum::Router {
/// let gateway = Gateway::new(behaviour.client(), local_peer, GatewayConfig::default());
/// axum::Router::new()
///     .route("/api/hello", axum::routing::get(|| async { "hello" }))
///     .nest_service("/p2p", gateway.into_service())
/// # }
/// ```
///
/// Here `/p2p/http/$peer/$name/$path` goes to the service `$name` of the peer as `/$path`. The rules are those of the
/// gateway with a listener of its own, with what is the server's here: connections, timeouts towards the client, and their
/// limits ([`GatewayConfig::with_max_clients`](crate::GatewayConfig::with_max_clients) means nothing). Interim responses
/// of a service are not passed on, as `http` has none.
///
/// WebSockets and other upgrades go through where the server is hyper, as axum's is. They move in a task of tokio's.
#[derive(Clone)]
pub struct GatewayService {
    settings: Arc<Settings>,
    host: HostValue,
    scheme: &'static str,
    client_address: Option<ClientAddress>,
}

impl Gateway {
    /// The gateway as a service for an HTTP server that the application already has.
    #[must_use]
    pub fn into_service(mut self) -> GatewayService {
        // Which clients reach the server, only it knows.
        self.settings.reach.any_address = true;
        self.settings.reach.services = false;
        GatewayService {
            settings: Arc::new(self.settings),
            host: HostValue::localhost(),
            scheme: "http",
            client_address: None,
        }
    }
}

impl GatewayService {
    /// How the address of a client is found, for `X-Forwarded-For`: in axum by
    /// `|parts| Some(parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip())`. Default: not at all, and the field says
    /// `unknown`.
    #[must_use]
    pub fn with_client_address(
        mut self,
        find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.client_address = Some(Arc::new(find));
        self
    }

    /// Tells services that clients reach the server over TLS, in `X-Forwarded-Proto`. Default: they do not.
    #[must_use]
    pub fn with_https(mut self) -> Self {
        self.scheme = "https";
        self
    }

    /// Takes requests to the hosts of services ([`Domain`](crate::route::Domain)), too, whatever their path: the server
    /// passes on [those that are](Self::is_addressed_by), without taking a prefix off. Then pages of services are opened
    /// there, each in an origin of its own.
    ///
    /// ```no_run
    /// use axum::{Router, extract::Request, middleware::{self, Next}, response::{IntoResponse, Response}};
    /// use libp2p_http_proxy::GatewayService;
    /// use tower::ServiceExt;
    ///
    /// async fn by_host(gateway: GatewayService, request: Request, next: Next) -> Response {
    ///     if gateway.is_addressed_by(&request) {
    ///         gateway.oneshot(request).await.into_response()
    ///     } else {
    ///         next.run(request).await
    ///     }
    /// }
    ///
    /// fn site(gateway: GatewayService) -> Router {
    ///     let gateway = gateway.with_service_hosts();
    ///     Router::new()
    ///         .nest_service("/p2p", gateway.clone())
    ///         .layer(middleware::from_fn(move |request, next| by_host(gateway.clone(), request, next)))
    /// }
    /// ```
    ///
    /// Default: off, and requests to these hosts are refused. Pages of services are then put into a sandbox, or they could
    /// act as pages of the application.
    #[must_use]
    pub fn with_service_hosts(mut self) -> Self {
        Arc::make_mut(&mut self.settings).reach.services = true;
        self
    }

    /// The prefix that the server takes off the path before it passes a request on, `/p2p` for example: cookies of services
    /// are kept below it. Default: none.
    ///
    /// Without it a service below a path sets cookies that no client sends back. At its own host it needs no prefix.
    ///
    /// # Errors
    ///
    /// If the prefix cannot be the beginning of a path: see [`CookieScope::below`].
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, InvalidCookiePrefix> {
        CookieScope::below(prefix)?;
        prefix.clone_into(&mut Arc::make_mut(&mut self.settings).base);
        Ok(self)
    }

    /// The host for requests that name none, as HTTP/1.0 allows. Default: `localhost`.
    #[must_use]
    pub fn with_host(mut self, host: HostValue) -> Self {
        self.host = host;
        self
    }
}

impl fmt::Debug for GatewayService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayService")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<B> Service<http::Request<B>> for GatewayService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<GatewayBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let mut log = Log {
                record: this.settings.begin_record(),
                remote: None,
                method: parts.method.to_string(),
                path: convert::target(&parts.uri).to_owned(),
                place: None,
            };
            let limits = this.settings.client.config().limits();
            let head = match convert::request_head(&parts, limits) {
                Ok(head) => head,
                Err(error) => {
                    let accept = parts.headers.get(header::ACCEPT);
                    let failure = Failure::BadRequest(error);
                    let page = failure.respond(GATEWAY, accept.map(HeaderValue::as_bytes));
                    log.record.failed(&failure);
                    return Ok(answer(page, log));
                }
            };
            Ok(this.answer(&head, parts, body, log).await)
        })
    }
}

impl GatewayService {
    /// Whether a request names the host of a service, or what looks like one, and so is for the gateway whatever its path.
    #[must_use]
    pub fn is_addressed_by<B>(&self, request: &http::Request<B>) -> bool {
        let field = request.headers().get(header::HOST);
        let named = field.and_then(|host| host.to_str().ok().map(Cow::Borrowed));
        let named = convert::host(request.uri()).map(Cow::Owned).or(named);
        let rules = self.settings.rules.current();
        named.is_some_and(|authority| {
            matches!(
                self.settings.hosts(&rules).find(&authority),
                Ok(Place::Service(..)) | Err(Failure::BadHost(_))
            )
        })
    }

    fn client_address(&self, parts: &Parts) -> Option<IpAddr> {
        self.client_address.as_ref().and_then(|find| find(parts))
    }

    /// Answers a request that could be read.
    async fn answer<B>(
        &self,
        head: &RequestHead,
        parts: Parts,
        body: B,
        mut log: Log,
    ) -> http::Response<GatewayBody>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let rules = self.settings.rules.current();
        let Routed { terms, turn } = self.settings.route(&rules, head, &mut Recent::default());
        let passed = match turn {
            Ok(Turn::Pass(to, target)) => {
                log.remote = Some((to.peer(), to.protocol.clone()));
                let way = Way {
                    head,
                    to,
                    target: &target,
                    terms,
                    rules: &rules,
                };
                let span = log.span();
                self.pass(way, parts, body, &mut log).instrument(span).await
            }
            Ok(Turn::Own(own)) => match self.settings.enter(&rules, self.client_address(&parts)) {
                Ok(place) => {
                    log.place = place;
                    let request = http::Request::from_parts(parts, own::body(body));
                    let mut response = own.call(request).await;
                    own::add_terms(&terms, response.headers_mut());
                    let (parts, body) = response.into_parts();
                    Ok((http::Response::from_parts(parts, ()), body))
                }
                Err(failure) => Err(failure),
            },
            Ok(Turn::Answer(mut page)) => {
                terms.add_to(&mut page.fields);
                return answer(page, log);
            }
            Err(failure) => Err(failure),
        };
        match passed {
            Ok((response, body)) => {
                log.record.status = response.status().as_u16();
                response.map(|()| GatewayBody::passed(body, log))
            }
            Err(failure) => {
                log.record.failed(&failure);
                let mut page = refusal(&failure, head);
                terms.add_to(&mut page.fields);
                answer(page, log)
            }
        }
    }
}

/// The page about a failure.
fn refusal(failure: &Failure, head: &RequestHead) -> Page {
    let mut page = failure.respond(GATEWAY, head.fields().get("Accept"));
    if let Failure::BadRoute(RouteError::MissingSlash { location }) = failure {
        // Relative, as the server may have taken a prefix off that nobody here knows.
        let _refused = page.fields.set("Location", relative(location));
    }
    page
}

/// An answer of the gateway's own.
fn answer(page: Page, mut log: Log) -> http::Response<GatewayBody> {
    log.record.status = page.status;
    http::Response::from(page).map(|page| GatewayBody::page(page, log))
}

/// The last segment of a path that ends with a slash, and its query, as a reference from the same path without the slash.
fn relative(location: &str) -> String {
    let (path, query) = split_query(location);
    let segment = path.trim_end_matches('/').rsplit('/').next();
    format!("./{}/{query}", segment.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_below_the_prefix() {
        for (location, expected) in [
            ("/http/PEER/app/", "./app/"),
            ("/p2p/PEER/http/?q=/x", "./http/?q=/x"),
        ] {
            assert_eq!(relative(location), expected);
        }
    }
}
