//! Is what happens for an exchange in its span? The only test of its process: who reads events and spans is in part decided for all
//! threads together.

#![cfg(feature = "tokio")]

mod support;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use self::support::path::{Path, Setup, read_head, write};

/// Keeps the fields of the spans of exchanges, and which of them were entered.
#[derive(Clone, Default)]
struct Spans {
    made: Arc<Mutex<Vec<String>>>,
    entered: Arc<Mutex<HashSet<u64>>>,
}

/// The fields of a span, in one line.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "http_access"
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = Line::default();
        span.record(&mut line);
        let mut made = self.made.lock().expect("no panic");
        made.push(line.0);
        span::Id::from_u64(made.len() as u64)
    }

    fn enter(&self, span: &span::Id) {
        let mut entered = self.entered.lock().expect("no panic");
        entered.insert(span.into_u64());
    }

    fn event(&self, _: &Event<'_>) {}
    fn exit(&self, _: &span::Id) {}
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
}

#[tokio::test]
async fn what_happens_for_an_exchange_is_in_its_span() {
    let spans = Spans::default();
    // All tasks of this test are on its thread.
    let _reads = tracing::subscriber::set_default(spans.clone());
    let mut path = Path::new(Setup::default()).await;
    let mut client = path.request("GET {}/ HTTP/1.1\nHost: localhost\n\n").await;
    let mut server = path.accepted().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 204 No Content\n\n").await;
    read_head(&mut client).await;
    let made = spans.made.lock().expect("no panic");
    let expected = [("gateway", path.origin.peer), ("origin", path.near.peer)];
    assert_eq!(made.len(), expected.len(), "{made:?}");
    for (line, (side, peer)) in made.iter().zip(expected) {
        let rest = format!(" side=\"{side}\" peer=\"{peer}\" service=/x/http/app ");
        let id = line
            .strip_prefix("id=")
            .and_then(|line| line.strip_suffix(&rest));
        assert!(id.is_some_and(|id| id.parse::<u64>().is_ok()), "{line}");
    }
    let entered = spans.entered.lock().expect("no panic");
    assert_eq!(*entered, HashSet::from([1, 2]));
}
