//! Which exchanges were there lately, and how many in all?

use std::{collections::VecDeque, sync::Arc, time::Duration};

use libp2p::PeerId;
use libp2p_http_proxy::{Exchange, Observer, Protocol, Side};
use serde::{Serialize, Serializer};

use super::{Status, now, text};

/// Exchanges that are remembered. Each takes at most some 8 KiB, where somebody sends what has to be escaped throughout;
/// 4 MiB in all.
const REMEMBERED: usize = 500;

/// Bytes of a target that are shown. What makes one exchange different from another comes before that.
const PATH: usize = 512;

/// Bytes of a method; those of RFC 9110 have at most 7.
const METHOD: usize = 24;

/// Bytes of what went wrong.
const ERROR: usize = 300;

/// The exchanges that ended last, and counts of all.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// Each with the version of what is known in which it is new; the newest last.
    ended: VecDeque<(u64, Arc<Record>)>,
    totals: Totals,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Exchanges that have begun.
    begun: u64,
    /// Those of them that have ended.
    ended: u64,
    /// Those that ended with a status of 500 or above, by an error or without a response.
    failed: u64,
    /// Bytes of bodies.
    request_bytes: u64,
    response_bytes: u64,
}

/// An exchange that has ended.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Record {
    id: u64,
    /// When it ended.
    time: u64,
    side: &'static str,
    #[serde(serialize_with = "as_text_if_any")]
    peer: Option<PeerId>,
    #[serde(serialize_with = "as_text_if_any")]
    service: Option<Protocol>,
    method: String,
    path: String,
    status: Option<u16>,
    request_bytes: u64,
    response_bytes: u64,
    /// In microseconds, as the other stages.
    connect: Option<u64>,
    head: Option<u64>,
    body: Option<u64>,
    total: u64,
    reused: Option<bool>,
    cause: Option<&'static str>,
    error: Option<String>,
}

impl Exchanges {
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Those that are newer than a version, the newest first.
    pub(super) fn since(&self, seen: u64) -> Vec<Arc<Record>> {
        let newest = self.ended.iter().rev();
        let newer = newest.take_while(|(since, _)| *since > seen);
        newer.map(|(_, record)| Arc::clone(record)).collect()
    }

    fn end(&mut self, version: u64, record: Record) {
        let totals = &mut self.totals;
        totals.ended += 1;
        totals.failed += u64::from(record.has_failed());
        totals.request_bytes = totals.request_bytes.saturating_add(record.request_bytes);
        totals.response_bytes = totals.response_bytes.saturating_add(record.response_bytes);
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((version, Arc::new(record)));
    }
}

impl Record {
    fn new(exchange: &Exchange<'_>) -> Self {
        let stages = &exchange.stages;
        Self {
            id: exchange.id,
            time: now(),
            side: exchange.side.as_str(),
            peer: exchange.peer,
            service: exchange.service.cloned(),
            method: text::shown(exchange.method, METHOD),
            path: text::path(exchange.path, PATH),
            status: exchange.status,
            request_bytes: exchange.request_bytes,
            response_bytes: exchange.response_bytes,
            connect: stages.connect.map(micros),
            head: stages.head.map(micros),
            body: stages.body.map(micros),
            total: micros(stages.total),
            reused: exchange.reused,
            cause: exchange.cause,
            error: exchange.error.map(|error| text::shown(error, ERROR)),
        }
    }

    fn has_failed(&self) -> bool {
        self.error.is_some() || self.status.is_none_or(|status| status >= 500)
    }
}

/// As text when somebody looks: that of an id takes longer than all else that is done for an exchange.
fn as_text_if_any<T: ToString, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(to)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Observer for Status {
    /// Nothing is counted where nobody can look.
    fn began(&self, _side: Side) -> bool {
        let shown = self.is_shown();
        if shown {
            self.begin();
        }
        shown
    }

    fn ended(&self, exchange: &Exchange<'_>) {
        // Before the lock is taken, which others wait for.
        let record = Record::new(exchange);
        self.record(record);
    }
}

impl Status {
    fn begin(&self) {
        self.change(
            |known| &mut known.exchanges,
            |exchanges| exchanges.totals.begun += 1,
        );
    }

    fn record(&self, record: Record) {
        let mut known = self.known();
        let next = known.version + 1;
        known.exchanges.since = next;
        known.exchanges.value.end(next, record);
        self.publish(known, next);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    fn record(id: u64, status: u16) -> Record {
        Record {
            id,
            status: Some(status),
            request_bytes: 1,
            response_bytes: 2,
            ..Record::default()
        }
    }

    #[test]
    fn the_newest_are_remembered_and_all_are_counted() {
        let status = Status::new(PeerId::random(), Registry::default());
        for id in 1..=REMEMBERED as u64 + 7 {
            status.begin();
            status.record(record(id, if id % 2 == 0 { 200 } else { 502 }));
        }
        status.begin();
        let (news, seen) = status.since(0);
        let requests = news.requests.unwrap();
        assert_eq!(requests.len(), REMEMBERED);
        assert_eq!((requests[0].id, requests[REMEMBERED - 1].id), (507, 8));
        let totals = Totals {
            begun: 508,
            ended: 507,
            failed: 254,
            request_bytes: 507,
            response_bytes: 1014,
        };
        assert_eq!(news.totals, Some(totals));

        // Who has read on gets what came since, and who was long away what is left.
        status.record(record(508, 200));
        status.record(record(509, 200));
        let ids = |seen| {
            let requests = status.since(seen).0.requests.unwrap();
            requests.iter().map(|record| record.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(seen), [509, 508]);
        assert_eq!(ids(1).len(), REMEMBERED);
        let (news, _) = status.since(status.since(0).1);
        assert!(news.requests.is_none() && news.totals.is_none());
    }

    #[test]
    fn what_counts_as_a_failure() {
        let cut = Record {
            error: Some("cut".to_owned()),
            ..record(1, 200)
        };
        let none = Record {
            status: None,
            ..record(1, 0)
        };
        for (record, failed) in [
            (record(1, 200), false),
            (record(1, 404), false),
            (record(1, 500), true),
            (cut, true),
            (none, true),
        ] {
            assert_eq!(record.has_failed(), failed, "{record:?}");
        }
    }
}
