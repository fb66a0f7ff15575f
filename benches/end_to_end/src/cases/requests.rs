//! How many requests are answered, how soon, and at what cost?

use super::{
    Case, Row, Stand, Work, at, called, connected, goal, goal_of, keep, nothing_failed, reconnect,
    rows,
};
use crate::{
    args::{
        Connection,
        Contender::{self, Direct, Diy, Ours, OursEvents, OursTower, Pool, Raw},
    },
    report::{Bound, Metric},
};

pub(super) fn all() -> Vec<Case> {
    vec![
        keep_alive(1),
        keep_alive(32),
        keep_alive(256),
        connect(),
        accept(32),
        accept(256),
        many(),
        idle(),
    ]
}

fn keep_alive(clients: usize) -> Case {
    let raw = ["raw", "raw, two threads"];
    let pool = ["diy+pool", "diy+pool, two threads"];
    let goals = vec![
        goal(Metric::Rate, &raw, Bound::AtLeast(1.0)),
        goal(Metric::Rate, &pool, Bound::AtLeast(1.4)),
        goal(Metric::P99, &pool, Bound::AtMost(1.0)),
        goal(Metric::Cpu, &raw, Bound::AtMost(1.05)),
        nothing_failed(),
    ];
    let work = keep(clients);
    let mut rows = rows(&[Direct, Raw, Diy, Pool, Ours], &work, &Stand::default());
    rows.extend(two_threads(&work));
    rows.extend(other_connections(&work));
    Case {
        name: format!("keep-{clients}"),
        title: format!("keep-alive, {clients} clients, 1 KiB"),
        rows,
        goals,
    }
}

/// The same with nodes of two threads each: here some are faster then, though all cost more.
fn two_threads(work: &Work) -> impl Iterator<Item = Row> {
    let stand = Stand {
        threads: Some(2),
        ..Stand::default()
    };
    called("two threads", rows(&[Raw, Pool, Ours], work, &stand))
}

/// What multiplexer and encryption of this crate do: ours without them, and the others with them.
fn other_connections(work: &Work) -> impl Iterator<Item = Row> {
    connected(Connection::Coalescing, &[Ours], work)
        .chain(connected(Connection::Libp2p, &[Ours], work))
        .chain(connected(Connection::Ours, &[Raw, Pool], work))
}

fn connect() -> Case {
    let work = reconnect(32);
    Case {
        name: "connect-32".to_owned(),
        title: "a connection for every request, 32 clients, 1 KiB".to_owned(),
        rows: rows(&[Direct, Raw, Diy, Pool, Ours], &work, &Stand::default()),
        goals: vec![
            goal(Metric::Rate, &["diy+pool"], Bound::AtLeast(1.25)),
            goal(Metric::Rate, &["raw"], Bound::AtLeast(4.0)),
            nothing_failed(),
        ],
    }
}

fn accept(clients: usize) -> Case {
    let stand = Stand {
        without_server: true,
        ..Stand::default()
    };
    let others = |other: Contender| {
        goal_of(
            other.name(),
            Metric::Rate,
            &["diy+pool"],
            Bound::AtLeast(1.3),
        )
    };
    Case {
        name: format!("accept-{clients}"),
        title: format!("answered by the origin itself, keep-alive, {clients} clients, 1 KiB"),
        rows: rows(
            &[Diy, Pool, Ours, OursEvents, OursTower],
            &keep(clients),
            &stand,
        ),
        goals: vec![
            goal(Metric::Rate, &["diy+pool"], Bound::AtLeast(1.3)),
            others(OursEvents),
            others(OursTower),
            nothing_failed(),
        ],
    }
}

/// As many clients as there are, through one connection between the peers.
fn many() -> Case {
    let rows = [256, 2_000, 10_000].map(|clients| {
        let rows = rows(&[Ours, Pool, Direct], &keep(clients), &Stand::default());
        rows.into_iter().map(move |row| Row {
            point: None,
            ..at(row, clients)
        })
    });
    let of = |clients: usize, metric, than: &[&str], bound| {
        goal_of(format!("ours, {clients}"), metric, than, bound)
    };
    let goals = [2_000, 10_000].map(|clients| {
        [
            of(clients, Metric::Rate, &["ours, 256"], Bound::AtLeast(0.9)),
            of(clients, Metric::Unfairness, &[], Bound::AtMost(3.0)),
            of(clients, Metric::Failed, &[], Bound::AtMost(0.0)),
        ]
    });
    Case {
        name: "many".to_owned(),
        title: "more clients than streams, keep-alive, 1 KiB".to_owned(),
        rows: rows.into_iter().flatten().collect(),
        goals: goals.into_iter().flatten().collect(),
    }
}

fn idle() -> Case {
    // At the usual 512 streams yamux ends the connection of those that need a stream for every client.
    let stand = Stand {
        streams: Some(2_048),
        ..Stand::default()
    };
    Case {
        name: "idle".to_owned(),
        title: "1,000 idle keep-alive clients: memory of each, KiB".to_owned(),
        rows: rows(
            &[Raw, Diy, Pool, Ours],
            &Work::Idle { clients: 1_000 },
            &stand,
        ),
        goals: vec![goal(Metric::GatewayMemory, &[], Bound::AtMost(6.0))],
    }
}
