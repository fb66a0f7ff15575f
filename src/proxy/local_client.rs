//! One local client of the gateway: its connection, and the requests on it one after the other.

use std::{mem, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::net::TcpStream;
use tracing::Instrument as _;

use crate::{
    answer::{answer, request_failure},
    error::ExchangeError,
    h1::{CloseReason, RequestContext, RequestHead, Server},
    hop::Hop,
    proxy::{
        access::{PeerText, Remote, Subject},
        downstream::{Answer, End, serve},
        ending::Ending,
        exchange::{Asked, Passage, pass, refuse, reply},
        recent::Recent,
        record::Record,
        rules::{Followed, GatewayRules},
        settings::{GATEWAY, Routed, Settings, Turn},
        socket::TcpSocket,
        to_peer::ToPeer,
    },
    rewrite::{HostPolicy, HostValue, RequestRewrite},
};

/// How long a connection is read on after an answer that its client may not have read yet: closing it at once would make
/// the kernel throw the answer away.
const LINGER: Duration = Duration::from_secs(2);

/// A connection of a local client.
pub(super) struct LocalClient {
    pub(super) settings: Arc<Settings>,
    pub(super) rules: Followed<GatewayRules>,
    pub(super) remote: SocketAddr,
    /// Its address, as a service is told it.
    pub(super) address: Vec<u8>,
    /// Where the client connected to, for requests that name no host.
    pub(super) host: HostValue,
    pub(super) recent: Recent,
    pub(super) peer_text: PeerText,
}

impl LocalClient {
    pub(super) async fn serve(mut self, stream: TcpStream, ending: Ending) {
        let mut hop = Hop::<Server>::new(TcpSocket::new(stream), self.settings.client.config());
        if !self.settings.config.half_closed_clients {
            hop.reader.end_means_gone();
        }
        match serve(hop, None, &mut self, &ending).await {
            End::Gone => {}
            End::Last(hop) => finish(hop).await,
            End::Unread(hop, error) => self.refuse_unread(hop, &error).await,
            End::Ending(hop) => hop.close().await,
        }
    }

    /// Passes a request on to a service, with the target that it is to get.
    async fn pass(
        &self,
        mut hop: Hop<Server>,
        asked: Asked<'_>,
        (to, target): (&ToPeer, &str),
        record: &mut Record,
    ) -> Option<Hop<Server>> {
        let (settings, rules) = (&*self.settings, self.rules.seen());
        let mut rewrite =
            RequestRewrite::new(asked.head).with_host(&HostPolicy::Preserve, &self.host);
        rewrite.set_forwarded_text(rules.forwarded(), &self.address, "http");
        rewrite.set_own_via(&settings.pseudonym);
        rewrite.set_terms(&asked.terms);
        let place = settings.enter(rules, Some(self.remote.ip()));
        match place.and_then(|place| Ok((place, rules.check_tunnel(&rewrite)?))) {
            Ok((_place, tunnel_limit)) => {
                let passage = Passage {
                    asked,
                    target,
                    rewrite,
                    pseudonym: &settings.pseudonym,
                    tunnel_limit,
                };
                pass(hop, &passage, to, record).await
            }
            Err(failure) => {
                refuse(&mut hop, asked, &failure, record).await;
                Some(hop)
            }
        }
    }

    /// Tells the sender of a request that could not be read why, where it is still there.
    async fn refuse_unread(&self, mut hop: Hop<Server>, error: &ExchangeError) {
        let Some(failure) = request_failure(error) else {
            hop.close().await;
            return;
        };
        let page = failure.respond(GATEWAY, None);
        let context = RequestContext::default();
        let answered = answer(&mut hop.writer, &context, &page, true).await;
        let mut record = self.settings.begin_record();
        record.status = page.status;
        record.failed(&failure);
        record.tell(Subject::unread);
        if answered.is_ok() {
            finish(hop).await;
        }
    }
}

impl Answer for LocalClient {
    async fn answer(&mut self, mut hop: Hop<Server>, head: RequestHead) -> Option<Hop<Server>> {
        let record = self.settings.begin_record();
        if self.rules.update() {
            // What was found may be no host of the gateway any more.
            self.recent = Recent::default();
        }
        let mut peer_text = mem::take(&mut self.peer_text);
        let (settings, rules) = (&*self.settings, self.rules.seen());
        let Routed { terms, turn } = settings.route(rules, &head, &mut self.recent);
        let asked = Asked {
            head: &head,
            name: GATEWAY,
            terms,
        };
        let remote = match &turn {
            Ok(Turn::Pass(to, _)) if record.is_followed() => Some(Remote {
                peer: to.peer(),
                text: peer_text.of(to.peer()),
                service: to.protocol.clone(),
            }),
            _ => None,
        };
        let mut record = record.about(Subject {
            remote,
            method: head.method(),
            path: head.target(),
        });
        let left = match turn {
            Ok(Turn::Pass(to, target)) => {
                let span = record.span();
                // Pinned where it is: to move it into its span would copy all of it.
                let passed = pin!(self.pass(hop, asked, (&to, &target), &mut record));
                passed.instrument(span).await
            }
            #[cfg(feature = "tower")]
            Ok(Turn::Own(own)) => match settings.enter(rules, Some(self.remote.ip())) {
                Ok(_place) => {
                    own.serve(hop, asked, self.remote, &mut record).await;
                    None
                }
                Err(failure) => {
                    refuse(&mut hop, asked, &failure, &mut record).await;
                    Some(hop)
                }
            },
            Ok(Turn::Answer(page)) => {
                reply(&mut hop, asked, page, false, &mut record).await;
                Some(hop)
            }
            Err(failure) => {
                refuse(&mut hop, asked, &failure, &mut record).await;
                Some(hop)
            }
        };
        record.end();
        self.peer_text = peer_text;
        left
    }
}

/// Ends a connection whose last response is out, or was cut.
async fn finish(mut hop: Hop<Server>) {
    if hop.writer.encoder().is_started() && !hop.writer.encoder().is_complete() {
        hop.writer.abort();
        return;
    }
    // What the client will not send need not be waited for, and dropping the socket ends it in order.
    let sends_no_more = matches!(
        hop.reuse(),
        Err(CloseReason::PeerAskedClose | CloseReason::Http10)
    );
    if sends_no_more && hop.reader.is_drained() {
        return;
    }
    hop.reader.start_waiting();
    let _nobody_is_left_to_tell = hop.linger(LINGER).await;
}

#[cfg(test)]
mod tests {
    use libp2p_identity::PeerId;
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        GatewayConfig,
        client::Client,
        config::Config,
        proxy::{clients::Clients, hosts::Reach, rules::Rules},
        rewrite::{Pseudonym, client_text},
        shared::Shared,
    };

    /// Thousands of clients are idle most of the time, and each holds the future that serves it.
    #[tokio::test]
    async fn an_idle_client_costs_little() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("is bound");
        let stream = TcpStream::connect(address).await.expect("connects");
        let rules = Rules::new(GatewayRules::default());
        let client = LocalClient {
            rules: rules.follow(),
            settings: Arc::new(Settings {
                client: Client::new(Shared::new(PeerId::random(), Config::default())),
                config: GatewayConfig::default(),
                rules,
                clients: Clients::default(),
                pseudonym: Pseudonym::new("gateway", &PeerId::random()),
                only: None,
                reach: Reach::default(),
                base: String::new(),
                #[cfg(feature = "tower")]
                own: None,
            }),
            remote: address,
            address: client_text(address.ip()),
            host: HostValue::from(address),
            recent: Recent::default(),
            peer_text: PeerText::default(),
        };
        let size = size_of_val(&client.serve(stream, Ending::default()));
        assert!(size < 2560, "the future takes {size} bytes");
    }
}
