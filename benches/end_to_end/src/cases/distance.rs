//! How many round trips does a request take?

use std::time::Duration;

use super::{Case, Stand, Work, goal, keep, nothing_failed, reconnect, rows};
use crate::{
    args::Contender::{Diy, Ours, Pool, Raw},
    report::{Bound, Metric},
};

/// 25 ms each way between the nodes.
pub(super) fn all() -> Vec<Case> {
    let stand = Stand {
        delay: Some(Duration::from_millis(25)),
        ..Stand::default()
    };
    let burst = Work::Burst { requests: 100 };
    vec![
        Case {
            name: "far-1".to_owned(),
            title: "50 ms round trip, keep-alive, 1 client".to_owned(),
            rows: rows(&[Diy, Pool, Ours], &keep(1), &stand),
            goals: vec![goal(Metric::P50, &[], Bound::AtMost(55_000.0))],
        },
        Case {
            name: "far-connect".to_owned(),
            title: "50 ms round trip, a connection for every request, 32 clients".to_owned(),
            rows: rows(&[Raw, Diy, Pool, Ours], &reconnect(32), &stand),
            goals: vec![
                goal(Metric::Rate, &[], Bound::AtLeast(600.0)),
                goal(Metric::P99, &[], Bound::AtMost(120_000.0)),
                nothing_failed(),
            ],
        },
        Case {
            name: "far-burst".to_owned(),
            title: "50 ms round trip, 100 requests at once on a warm connection between the peers"
                .to_owned(),
            rows: rows(&[Diy, Pool, Ours], &burst, &stand),
            goals: vec![
                goal(Metric::LastFirstByte, &[], Bound::AtMost(2.0)),
                nothing_failed(),
            ],
        },
    ]
}
