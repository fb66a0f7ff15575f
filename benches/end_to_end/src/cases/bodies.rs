//! How fast are large bodies, and how even are those that come bit by bit?

use super::{Case, Stand, Work, called, connected, goal, goal_of, nothing_failed, rows};
use crate::{
    args::{
        Connection,
        Contender::{Bare, Direct, Diy, Ours, Pool, Raw},
        Way,
    },
    events::Beside,
    load::Exchange,
    report::{Bound, Metric},
    server::SMALL,
};

/// The large bodies.
pub(crate) const LARGE: u64 = 100 << 20;

pub(super) fn all() -> Vec<Case> {
    let mut cases = through_gateways();
    for at_once in [1, 8] {
        cases.push(between_nodes("down", Way::Down, at_once));
        cases.push(between_nodes("up", Way::Up, at_once));
    }
    cases.push(events());
    cases
}

fn through_gateways() -> Vec<Case> {
    let down = Exchange::get(&format!("/length/{LARGE}"), LARGE);
    let up = Exchange::post(LARGE, SMALL);
    let chunked = Exchange::get(&format!("/chunked/{LARGE}"), LARGE);
    let case = |name: &str, what: &str, exchange: &Exchange, at_once: usize| {
        let work = Work::Bulk {
            exchange: exchange.clone(),
            bytes: LARGE,
            at_once,
        };
        let mut rows = rows(&[Direct, Raw, Diy, Pool, Ours], &work, &Stand::default());
        rows.extend(connected(Connection::Libp2pTls, &[Raw, Pool], &work));
        rows.extend(connected(Connection::Coalescing, &[Ours], &work));
        rows.extend(connected(Connection::Ours, &[Raw, Pool], &work));
        let others = [
            "raw",
            "raw, TLS as it is",
            "diy",
            "diy+pool",
            "diy+pool, TLS as it is",
        ];
        Case {
            name: format!("{name}-{at_once}"),
            title: format!("100 MiB {what}, {at_once} at once"),
            rows,
            goals: vec![
                goal(Metric::Speed, &others, Bound::AtLeast(1.25)),
                nothing_failed(),
            ],
        }
    };
    let mut cases = vec![
        case("down", "down", &down, 1),
        case("up", "up", &up, 1),
        case("down", "down", &down, 8),
        case("up", "up", &up, 8),
    ];
    let mut framing = case("chunked", "down, chunked", &chunked, 1);
    framing.rows.retain(|row| row.label == Ours.name());
    let mut plain = framing.rows.clone();
    for row in &mut plain {
        row.label = "ours, with a length".to_owned();
        row.work = Work::Bulk {
            exchange: down.clone(),
            bytes: LARGE,
            at_once: 1,
        };
    }
    framing.rows.extend(plain);
    framing.goals = vec![goal(
        Metric::Speed,
        &["ours, with a length"],
        Bound::AtLeast(0.95),
    )];
    cases.push(framing);
    cases
}

/// The crate alone: from handle to accepting task, and no TCP but that between the nodes.
fn between_nodes(name: &str, way: Way, at_once: usize) -> Case {
    let work = Work::Carry {
        way,
        bytes: LARGE,
        at_once,
    };
    Case {
        name: format!("nodes-{name}-{at_once}"),
        title: format!(
            "100 MiB {name} between two nodes without gateway and server, {at_once} at once"
        ),
        rows: rows(&[Bare, Ours], &work, &Stand::default())
            .into_iter()
            .chain(connected(Connection::Coalescing, &[Ours], &work))
            .chain(connected(Connection::Ours, &[Bare], &work))
            .collect(),
        goals: vec![
            goal_of(
                "ours, noise",
                Metric::Speed,
                &["bare stream"],
                Bound::AtLeast(0.95),
            ),
            goal(
                Metric::Speed,
                &["bare stream, our connections"],
                Bound::AtLeast(0.95),
            ),
        ],
    }
}

/// An event every 10 ms.
fn events() -> Case {
    let besides = [
        (Beside::Nobody, "alone"),
        (Beside::Unread, "beside 8 downloads that are not read"),
        (Beside::Bulk, "beside a download"),
    ];
    let rows = besides.map(|(beside, with)| {
        let rows = rows(
            &[Direct, Raw, Pool, Ours],
            &Work::Events { beside },
            &Stand::default(),
        );
        called(with, rows)
    });
    let beside = |with: &str, metric, bound| {
        goal_of(
            format!("ours, {with}"),
            metric,
            &["ours, alone"],
            Bound::AtMost(bound),
        )
    };
    let [_, (_, unread), (_, download)] = besides;
    Case {
        name: "events".to_owned(),
        title: "a body of an event every 10 ms: what lies between them".to_owned(),
        rows: rows.into_iter().flatten().collect(),
        goals: vec![
            beside(unread, Metric::P99Gap, 1.1),
            beside(unread, Metric::WorstGap, 2.0),
            beside(download, Metric::P99Gap, 2.0),
        ],
    }
}
