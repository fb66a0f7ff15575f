//! What is measured, and what is to be reached?

mod bodies;
mod distance;
mod growth;
mod requests;

use std::time::Duration;

use crate::{
    args::{Connection, Contender, Way},
    events::Beside,
    load::{Exchange, Load},
    report::{Bound, Goal, Metric},
    server::SMALL,
};

pub(crate) use self::bodies::LARGE;

/// One table of the report.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) goals: Vec<Goal>,
}

/// One line of a table: a contender at work.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) contender: Contender,
    /// The curve that the row is a point of, and where on it, in a case that draws curves.
    pub(crate) point: Option<(String, f64)>,
    pub(crate) stand: Stand,
    pub(crate) work: Work,
}

/// What is set up for a row.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    /// Whether the origin answers by itself.
    pub(crate) without_server: bool,
    /// What is put between the nodes, each way.
    pub(crate) delay: Option<Duration>,
    /// How many services the origin offers.
    pub(crate) services: usize,
    /// How many streams a connection may have, if not as many as usual: yamux then lets the windows of its streams grow
    /// less, or not at all.
    pub(crate) streams: Option<usize>,
    /// What the connections between the nodes are, if not what is usual for the contender.
    pub(crate) connection: Option<Connection>,
    /// How many threads the nodes have, if not as many as all.
    pub(crate) threads: Option<usize>,
}

impl Default for Stand {
    fn default() -> Self {
        Self {
            without_server: false,
            delay: None,
            services: 1,
            streams: None,
            connection: None,
            threads: None,
        }
    }
}

/// What the clients do.
#[derive(Clone)]
pub(crate) enum Work {
    Requests(Load),
    /// So many large exchanges at once, each on a connection of its own.
    Bulk {
        exchange: Exchange,
        bytes: u64,
        at_once: usize,
    },
    /// So many connections that have sent a request and now are silent.
    Idle {
        clients: usize,
    },
    /// So many large bodies at once between two nodes, without HTTP clients and servers.
    Carry {
        way: Way,
        bytes: u64,
        at_once: usize,
    },
    /// A body of events, and others beside it.
    Events {
        beside: Beside,
    },
    /// Requests of a node to its peers, or theirs to it.
    Peers {
        count: usize,
        who: Who,
    },
    /// So many requests at once on connections that are open: when do their answers begin?
    Burst {
        requests: usize,
    },
}

/// Which of a node's peers are busy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// One is asked.
    One,
    /// All are asked in turn.
    All,
    /// One asks.
    Asks,
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = requests::all();
    cases.extend(bodies::all());
    cases.extend(distance::all());
    cases.extend(growth::all());
    cases
}

fn small() -> Exchange {
    Exchange::get("/small", SMALL)
}

fn keep(clients: usize) -> Work {
    Work::Requests(Load {
        clients,
        reconnect: false,
        exchange: small(),
    })
}

/// A connection for every request.
fn reconnect(clients: usize) -> Work {
    Work::Requests(Load {
        clients,
        reconnect: true,
        exchange: small(),
    })
}

/// Rows that differ from others in what `name` says.
fn called(name: &'static str, rows: Vec<Row>) -> impl Iterator<Item = Row> {
    rows.into_iter().map(move |row| Row {
        label: format!("{}, {name}", row.label),
        ..row
    })
}

/// Rows with other connections than is usual for these contenders.
fn connected(
    connection: Connection,
    contenders: &[Contender],
    work: &Work,
) -> impl Iterator<Item = Row> {
    let name = match connection {
        Connection::Libp2p => "noise and yamux as it is",
        Connection::Libp2pTls => "TLS as it is",
        Connection::Coalescing => "noise",
        Connection::Ours => "our connections",
    };
    let stand = Stand {
        connection: Some(connection),
        ..Stand::default()
    };
    called(name, rows(contenders, work, &stand))
}

fn rows(contenders: &[Contender], work: &Work, stand: &Stand) -> Vec<Row> {
    let row = |&contender: &Contender| Row {
        label: contender.name().to_owned(),
        contender,
        point: None,
        stand: stand.clone(),
        work: work.clone(),
    };
    contenders.iter().map(row).collect()
}

/// The row of its curve, which is named after its label so far, at `size`.
fn at(row: Row, size: usize) -> Row {
    Row {
        label: format!("{}, {size}", row.label),
        point: Some((row.label, size as f64)),
        ..row
    }
}

fn goal(metric: Metric, than: &[&str], bound: Bound) -> Goal {
    Goal {
        of: "ours".to_owned(),
        than: than.iter().map(|&label| label.to_owned()).collect(),
        metric,
        bound,
    }
}

/// A goal that is about another row than "ours".
fn goal_of(of: impl Into<String>, metric: Metric, than: &[&str], bound: Bound) -> Goal {
    Goal {
        of: of.into(),
        ..goal(metric, than, bound)
    }
}

fn nothing_failed() -> Goal {
    goal(Metric::Failed, &[], Bound::AtMost(0.0))
}
