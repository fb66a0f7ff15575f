//! The access log: one line for every request that a proxy passed on or refused.

use std::time::Instant;

use libp2p_identity::PeerId;
use tracing::Level;

use crate::service::Protocol;

/// The `target` of access log events, to filter them by.
pub(crate) const TARGET: &str = "http_access";

/// What becomes of one request.
pub(crate) struct Record {
    /// When it came; `None` where nobody reads the log.
    began: Option<Instant>,
    pub(crate) status: u16,
    /// Body bytes of the response.
    pub(crate) bytes: u64,
    pub(crate) reused: Option<bool>,
    /// Why the exchange failed, or was cut.
    pub(crate) error: Option<String>,
}

/// What was asked, and of whom.
pub(crate) struct Subject<'a> {
    /// The peer at the other end of the libp2p hop, and the service, where it is known.
    pub(crate) remote: Option<(&'a str, Protocol)>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            began: is_read().then(Instant::now),
            status: 0,
            bytes: 0,
            reused: None,
            error: None,
        }
    }

    /// Writes the line, if anybody reads it.
    pub(crate) fn write<'a>(&self, side: &'static str, subject: impl FnOnce() -> Subject<'a>) {
        let Some(began) = self.began else {
            return;
        };
        let Subject {
            remote,
            method,
            path,
        } = subject();
        let (peer, service) = remote.unzip();
        tracing::info!(
            target: TARGET,
            side,
            peer = peer.map(tracing::field::display),
            service = service.map(tracing::field::display),
            method,
            path,
            status = self.status,
            bytes = self.bytes,
            ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            stream = self.reused.map(|reused| if reused { "reused" } else { "new" }),
            error = self.error,
        );
    }
}

/// Whether anybody reads the log. The fields are named for those who filter by them.
fn is_read() -> bool {
    tracing::event_enabled!(
        target: TARGET,
        Level::INFO,
        side, peer, service, method, path, status, bytes, ms, stream, error
    )
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
    };

    use tracing::{
        Event, Metadata, Subscriber,
        field::{Field, Visit},
        span,
        subscriber::with_default,
    };

    use super::*;

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
            metadata.is_event() && metadata.target() == self.target
        }

        fn event(&self, event: &Event<'_>) {
            let mut line = Line::default();
            event.record(&mut line);
            self.lines.lock().expect("no panic").push(line.0);
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    /// The lines that a reader of `target` sees, and whether the record asked what was asked.
    fn written(target: &'static str) -> (Vec<String>, bool) {
        let lines = Arc::default();
        let reader = Reader {
            target,
            lines: Arc::clone(&lines),
        };
        let mut was_asked = false;
        with_default(reader, || {
            let mut record = Record::new();
            record.status = 200;
            record.reused = Some(true);
            record.write("gateway", || {
                was_asked = true;
                Subject {
                    remote: Some(("12D3", Protocol::Kubo)),
                    method: "GET",
                    path: "/a",
                }
            });
        });
        let lines = lines.lock().expect("no panic").clone();
        (lines, was_asked)
    }

    #[test]
    fn a_line_tells_everything_and_is_made_only_if_it_is_read() {
        let (lines, was_asked) = written(TARGET);
        let [line] = &lines[..] else {
            panic!("one line: {lines:?}");
        };
        let (before, behind) = line.split_once(" ms=").expect("tells the time");
        assert_eq!(
            before,
            r#"side="gateway" peer=12D3 service=/http method="GET" path="/a" status=200 bytes=0"#
        );
        assert!(behind.ends_with(r#" stream="reused" "#), "{behind}");
        assert!(was_asked);

        assert_eq!(written("another"), (vec![], false));
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
