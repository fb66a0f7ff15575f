//! The log of a proxy: one line for every request that it passed on or refused, and a span around what happens below it.

use libp2p_identity::PeerId;
use tracing::{Level, Span, field};

use crate::{
    proxy::observer::{Exchange, Side},
    service::Protocol,
};

/// The `target` of access log events and of the spans of exchanges, to filter them by.
pub(crate) const TARGET: &str = "http_access";

/// What was asked, and of whom.
pub(crate) struct Subject<'a> {
    /// Where it is known.
    pub(crate) remote: Option<Remote<'a>>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
}

impl Subject<'_> {
    /// No request could be read.
    pub(crate) fn unread() -> Self {
        Self {
            remote: None,
            method: "-",
            path: "-",
        }
    }
}

/// The other end of the libp2p hop.
#[derive(Clone)]
pub(crate) struct Remote<'a> {
    pub(crate) peer: PeerId,
    /// Its id as text.
    pub(crate) text: &'a str,
    pub(crate) service: Protocol,
}

/// Writes the line.
pub(super) fn write(exchange: &Exchange<'_>, peer: Option<&str>) {
    let total = exchange.stages.total.as_millis();
    tracing::info!(
        target: TARGET,
        id = exchange.id,
        side = exchange.side.as_str(),
        peer = peer.map(field::display),
        service = exchange.service.map(field::display),
        method = exchange.method,
        path = exchange.path,
        status = exchange.status.unwrap_or_default(),
        bytes = exchange.response_bytes,
        ms = u64::try_from(total).unwrap_or(u64::MAX),
        stream = exchange.reused.map(|reused| if reused { "reused" } else { "new" }),
        error = exchange.error,
    );
}

/// Whether anybody reads the log. The fields are named for those who filter by them.
pub(super) fn is_read() -> bool {
    tracing::event_enabled!(
        target: TARGET,
        Level::INFO,
        id, side, peer, service, method, path, status, bytes, ms, stream, error
    )
}

/// The span of an exchange. It is of level debug: to keep a span costs more than most of what it is around.
pub(super) fn span<'a>(id: u64, side: Side, remote: impl FnOnce() -> Remote<'a>) -> Span {
    if !spans_are_read() {
        return Span::none();
    }
    let Remote { text, service, .. } = remote();
    tracing::debug_span!(
        target: TARGET,
        "exchange",
        id,
        side = side.as_str(),
        peer = text,
        %service,
    )
}

/// Whether anybody wants the spans.
pub(super) fn spans_are_read() -> bool {
    tracing::span_enabled!(target: TARGET, Level::DEBUG, id, side, peer, service)
}

/// The id of the peer of the last line as text. To make it takes longer than all else there is to a line, and the next
/// request is nearly always for the same peer.
#[derive(Default)]
pub(super) struct PeerText(Option<Box<(PeerId, String)>>);

impl PeerText {
    pub(super) fn of(&mut self, peer: PeerId) -> &str {
        let known = self.0.take().filter(|known| known.0 == peer);
        let known = known.unwrap_or_else(|| Box::new((peer, peer.to_string())));
        &self.0.insert(known).1
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fmt,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tracing::{
        Event, Metadata, Subscriber,
        field::{Field, Visit},
        span,
        subscriber::with_default,
    };

    use super::*;
    use crate::proxy::observer::Stages;

    /// Reads events of one target, and keeps their fields.
    struct Reader {
        target: &'static str,
        lines: Arc<Mutex<Vec<String>>>,
    }

    #[derive(Default)]
    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0 += &format!("{field}={value:?} ");
        }
    }

    impl Subscriber for Reader {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == self.target
        }

        fn event(&self, event: &Event<'_>) {
            let mut line = Line::default();
            event.record(&mut line);
            self.lines.lock().expect("no panic").push(line.0);
        }

        fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
            let mut line = Line::default();
            span.record(&mut line);
            self.lines.lock().expect("no panic").push(line.0);
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    fn exchange() -> Exchange<'static> {
        Exchange {
            id: 7,
            side: Side::Gateway,
            peer: None,
            service: Some(&Protocol::Kubo),
            method: "GET",
            path: "/a",
            status: Some(200),
            request_bytes: 1,
            response_bytes: 2,
            stages: Stages {
                total: Duration::from_micros(3_400),
                ..Stages::default()
            },
            reused: Some(true),
            cause: None,
            error: None,
        }
    }

    /// What a reader of `target` sees of a span and a line.
    fn written(target: &'static str) -> Vec<String> {
        let lines = Arc::default();
        let reader = Reader {
            target,
            lines: Arc::clone(&lines),
        };
        with_default(reader, || {
            let _span = span(7, Side::Gateway, || Remote {
                peer: PeerId::random(),
                text: "12D3",
                service: Protocol::Kubo,
            });
            write(&exchange(), Some("12D3"));
        });
        let lines = lines.lock().expect("no panic");
        lines.clone()
    }

    #[test]
    fn a_span_and_a_line_tell_everything() {
        let span = r#"id=7 side="gateway" peer="12D3" service=/http "#;
        let line = r#"id=7 side="gateway" peer=12D3 service=/http method="GET" path="/a" status=200 bytes=2 ms=3 stream="reused" "#;
        assert_eq!(written(TARGET), [span, line]);
        assert!(written("another").is_empty());
    }

    #[test]
    fn the_text_of_a_peer_is_that_of_the_one_asked_for() {
        let [one, other] = [PeerId::random(), PeerId::random()];
        let mut text = PeerText::default();
        for peer in [one, one, other, one] {
            assert_eq!(text.of(peer), peer.to_string());
        }
    }
}
