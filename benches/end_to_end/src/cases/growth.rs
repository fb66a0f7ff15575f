//! What becomes of the requests where there is more and more of something?

use super::{Case, Row, Stand, Who, Work, at, goal_of, keep, rows, small};
use crate::{
    args::Contender::{Direct, Ours, Pool, Raw},
    load::Load,
    report::{Bound, Metric},
};

pub(super) fn all() -> Vec<Case> {
    vec![grow_clients(), grow_services(), grow_peers(), grow_heads()]
}

fn grow_clients() -> Case {
    let sizes = [1, 3, 10, 32, 100, 316, 1_000, 3_162, 10_000];
    let rows = sizes.map(|clients| {
        let rows = rows(&[Direct, Pool, Ours], &keep(clients), &Stand::default());
        rows.into_iter().map(move |row| at(row, clients))
    });
    Case {
        name: "grow-clients".to_owned(),
        title: "requests/s against the number of clients, keep-alive, 1 KiB".to_owned(),
        rows: rows.into_iter().flatten().collect(),
        goals: vec![goal_of(
            "ours, 10000",
            Metric::Rate,
            &["ours, 316"],
            Bound::AtLeast(0.9),
        )],
    }
}

fn grow_services() -> Case {
    let rows = [1, 10, 100, 1_000].map(|services| {
        let stand = Stand {
            services,
            ..Stand::default()
        };
        let rows = rows(&[Raw, Ours], &keep(32), &stand);
        rows.into_iter().map(move |row| at(row, services))
    });
    Case {
        name: "grow-services".to_owned(),
        title: "requests/s against the number of services of the node, 32 clients, 1 KiB"
            .to_owned(),
        rows: rows.into_iter().flatten().collect(),
        goals: vec![goal_of(
            "ours, 1000",
            Metric::Rate,
            &["ours, 1"],
            Bound::AtLeast(0.9),
        )],
    }
}

fn grow_heads() -> Case {
    let rows = [200, 500, 1_000, 2_000, 4_000, 8_000, 16_000].map(|size| {
        let work = Work::Requests(Load {
            clients: 32,
            reconnect: false,
            exchange: small().with_head_size(size),
        });
        let rows = rows(&[Pool, Ours], &work, &Stand::default());
        rows.into_iter().map(move |row| at(row, size))
    });
    Case {
        name: "grow-heads".to_owned(),
        title: "requests/s against the size of the request head in bytes, 32 clients, 1 KiB"
            .to_owned(),
        rows: rows.into_iter().flatten().collect(),
        goals: vec![
            goal_of(
                "ours, 16000",
                Metric::Rate,
                &["diy+pool, 16000"],
                Bound::AtLeast(1.0),
            ),
            // A head 16 times as large takes at most 16 times as long.
            goal_of(
                "ours, 16000",
                Metric::Rate,
                &["ours, 1000"],
                Bound::AtLeast(1.0 / 16.0),
            ),
        ],
    }
}

/// In one process, over memory.
fn grow_peers() -> Case {
    let curves = [
        ("one of them is asked", Who::One),
        ("all are asked in turn", Who::All),
        ("one of them asks", Who::Asks),
    ];
    let rows = [1, 2, 5, 10, 20, 50, 100, 200].map(|count| {
        curves.map(|(label, who)| {
            let row = Row {
                label: label.to_owned(),
                contender: Ours,
                point: None,
                stand: Stand::default(),
                work: Work::Peers { count, who },
            };
            at(row, count)
        })
    });
    let level = |(label, _)| {
        let (of, than) = (format!("{label}, 200"), format!("{label}, 1"));
        [
            goal_of(&of, Metric::Rate, &[&than], Bound::AtLeast(0.9)),
            goal_of(&of, Metric::Cpu, &[&than], Bound::AtMost(1.1)),
        ]
    };
    Case {
        name: "grow-peers".to_owned(),
        title: "requests/s against the number of connected peers, 32 at once, 1 KiB".to_owned(),
        rows: rows.into_iter().flatten().collect(),
        goals: [curves[0], curves[2]].into_iter().flat_map(level).collect(),
    }
}
