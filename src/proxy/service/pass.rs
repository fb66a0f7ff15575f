//! How does a request of the application's server get to a peer, and the response back?

use std::{mem, sync::Arc, time::Duration};

use http::{HeaderValue, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use tokio::runtime::Handle;

use super::{GatewayService, body::Log};
use crate::{
    body::Body,
    config::Config,
    error::{ExchangeError, describe},
    event::OutboundFailure,
    failure::Failure,
    h1::{Error, Length, RequestHead, ResponseHead, Server},
    hop::Hop,
    message::{Request, Response, Switch},
    payload::Payload,
    proxy::{
        cause::response_failure, record::Record, rules::GatewayRules, to_peer::ToPeer, tunnel,
    },
    rewrite::{HostPolicy, RequestRewrite, ResponseRewrite, Terms, client_text},
    tower::{BoxError, HyperTransport, convert},
    tunnel::Upgraded,
};

/// Where a request goes.
pub(super) struct Way<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) to: ToPeer,
    /// The target for the service.
    pub(super) target: &'a str,
    pub(super) terms: Terms<'a>,
    pub(super) rules: &'a GatewayRules,
}

impl GatewayService {
    /// Sends a request on, and gives the response and what its body is.
    pub(super) async fn pass<B>(
        &self,
        way: Way<'_>,
        mut parts: Parts,
        body: B,
        log: &mut Log,
    ) -> Result<(http::Response<()>, Body), Failure>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let settings = &*self.settings;
        let Way {
            head,
            to,
            target,
            terms,
            rules,
        } = way;
        let ip = self.client_address(&parts);
        log.place = settings.enter(rules, ip)?;
        let address = ip.map(client_text);
        let client = address.as_deref().unwrap_or(b"unknown");
        let mut rewrite = RequestRewrite::new(head).with_host(&HostPolicy::Preserve, &self.host);
        rewrite.set_forwarded_text(rules.forwarded(), client, self.scheme);
        rewrite.set_own_via(&settings.pseudonym);
        rewrite.set_terms(&terms);
        let limit = rules.check_tunnel(&rewrite)?;
        let length = convert::request_length(&body, &parts);
        let mut outgoing = outgoing(head, target, &rewrite)?;
        outgoing.traits.close = rewrite.is_last(length);
        let payload = convert::payload(body, length);
        // A stream can be had of hyper only.
        let switch = parts.extensions.remove::<OnUpgrade>();
        let offered = rewrite.upgrade().filter(|_| length.is_bodiless());
        let record = &mut log.record;
        let response = match switch.zip(offered) {
            Some((switch, offered)) => match to.upgrade(outgoing, offered, record).await? {
                Switch::Refused(response) => response,
                Switch::Switched(head, far) => {
                    let granted = self.granted(&head, offered, &terms)?;
                    log.record.answered(granted.status().as_u16());
                    self.open(Tunnel { far, limit }, switch, log)?;
                    return Ok((granted, Body::empty()));
                }
            },
            None => to.send(outgoing, payload, record).await?,
        };
        log.record.answered(response.head.status());
        Ok((self.response(&response.head, &terms)?, response.body))
    }

    /// Runs a tunnel beside the server, as soon as that has told the client of the switch.
    fn open(&self, tunnel: Tunnel, switch: OnUpgrade, log: &mut Log) -> Result<(), Failure> {
        let runtime = Handle::try_current().map_err(|error| Failure::Application {
            reason: format!("it runs the gateway without tokio: {error}"),
        })?;
        let config = Arc::clone(self.settings.client.config());
        runtime.spawn(tunnel.run(switch, config, mem::take(log)));
        Ok(())
    }

    /// The head of a response, as the client gets it.
    fn response(
        &self,
        head: &ResponseHead,
        terms: &Terms<'_>,
    ) -> Result<http::Response<()>, Failure> {
        let mut rewrite = ResponseRewrite::new(head);
        rewrite.set_terms(terms);
        rewrite.set_date();
        rewrite.set_own_via(&self.settings.pseudonym);
        let answer = convert::response_parts(head, rewrite.fields());
        let mut answer = answer.map_err(Failure::InvalidResponse)?;
        if let Length::Known(length) = head.declared_length() {
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        Ok(answer)
    }

    /// The head of a 101, as the client gets it.
    fn granted(
        &self,
        head: &ResponseHead,
        offered: &[u8],
        terms: &Terms<'_>,
    ) -> Result<http::Response<()>, Failure> {
        let granted = ResponseRewrite::new(head).upgrade(offered);
        let granted = granted.and_then(|granted| HeaderValue::from_bytes(granted).ok());
        let granted = granted.ok_or_else(|| Failure::UpgradeFailed {
            reason: "the server switched to a protocol that was not offered".to_owned(),
        })?;
        let mut answer = self.response(head, terms)?;
        let headers = answer.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, granted);
        Ok(answer)
    }
}

/// The head that the peer gets.
fn outgoing(
    head: &RequestHead,
    target: &str,
    rewrite: &RequestRewrite<'_>,
) -> Result<RequestHead, Failure> {
    let internal = |error: &dyn std::error::Error| Failure::Internal {
        reason: describe(error),
    };
    // What was read strictly can be written strictly.
    let mut outgoing = RequestHead::new(head.method(), target).map_err(|error| internal(&error))?;
    for field in rewrite.fields() {
        let pushed = outgoing.fields_mut().push(field.name, field.value);
        pushed.map_err(|error| internal(&error))?;
    }
    outgoing.traits.te_trailers = rewrite.te_trailers();
    Ok(outgoing)
}

impl ToPeer {
    async fn send(
        &self,
        head: RequestHead,
        body: Payload,
        record: &mut Record,
    ) -> Result<Response<Body>, Failure> {
        let protocol = self.protocol.clone();
        let request = Request { head, body };
        let connected = |reused| record.connected(reused);
        let sent = self
            .client
            .send_noting(self.to.clone(), protocol, request, connected);
        sent.await.map_err(|error| self.response_failure(error))
    }

    async fn upgrade(
        &self,
        head: RequestHead,
        offered: &[u8],
        record: &mut Record,
    ) -> Result<Switch<Body>, Failure> {
        let protocol = self.protocol.clone();
        let offered = String::from_utf8_lossy(offered);
        let connected = |reused| record.connected(reused);
        let sent = self
            .client
            .upgrade_noting(self.to.clone(), protocol, head, &offered, connected);
        sent.await.map_err(|error| self.response_failure(error))
    }

    /// What the client is told about a request that got no response.
    fn response_failure(&self, error: OutboundFailure) -> Failure {
        match error {
            // Nobody may be left to be told.
            OutboundFailure::Exchange(ExchangeError::Source(_)) => {
                Failure::BadRequest(Error::Truncated)
            }
            OutboundFailure::Exchange(error) => response_failure(self, error),
            error => self.failure(error),
        }
    }
}

/// What the peer switched to.
struct Tunnel {
    far: Upgraded,
    limit: Option<Duration>,
}

impl Tunnel {
    /// Moves bytes between the client and the peer, once the server has told the client of the switch.
    async fn run(self, switch: OnUpgrade, config: Arc<Config>, mut log: Log) {
        let near = match switch.await {
            Ok(near) => Hop::<Server>::new(HyperTransport(near), &config),
            Err(error) => {
                let reason = format!("the client did not switch: {error}");
                log.record.lost(reason);
                return;
            }
        };
        let near = Upgraded::new(near, config, Box::new(()));
        tunnel::run(near, self.far, self.limit, &mut log.record).await;
    }
}
