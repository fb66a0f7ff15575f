//! What came of it? Medians with their spread, ratios within a round, and whether the goals were reached.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

use anyhow::{Context, Result};

use crate::{
    args::Args,
    cases::Case,
    page::Page,
    plot::{Curve, Panel, draw},
};

/// What a number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    Rate,
    Speed,
    P50,
    P99,
    MedianFirstByte,
    LastFirstByte,
    Failed,
    GatewayCpu,
    OriginCpu,
    Cpu,
    ServerCpu,
    LoadCpu,
    P99Gap,
    WorstGap,
    Unfairness,
    GatewayMemory,
    OriginMemory,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "requests/s",
            Self::Speed => "MB/s",
            Self::P50 => "p50 us",
            Self::P99 => "p99 us",
            Self::MedianFirstByte => "median first byte, round trips",
            Self::LastFirstByte => "last first byte, round trips",
            Self::Failed => "failed",
            Self::GatewayCpu => "gateway CPU us",
            Self::OriginCpu => "origin CPU us",
            Self::Cpu => "CPU us",
            Self::ServerCpu => "server CPU us",
            Self::LoadCpu => "load CPU us",
            Self::P99Gap => "p99 gap ms",
            Self::WorstGap => "worst gap ms",
            Self::Unfairness => "median/slowest client",
            Self::GatewayMemory => "gateway KiB",
            Self::OriginMemory => "origin KiB",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Rate | Self::Speed | Self::P50 | Self::P99 | Self::Failed => {
                format!("{value:.0}")
            }
            _ => format!("{value:.2}"),
        }
    }
}

/// What is to be reached.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// Whose value.
    pub(crate) of: String,
    /// Divided by the best of these; by nothing if there are none.
    pub(crate) than: Vec<String>,
    pub(crate) metric: Metric,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) row: usize,
    pub(crate) round: usize,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

/// Writes the report to the standard output, and the numbers where they were asked for.
///
/// After every case, so that what was measured before a fault is not lost.
pub(crate) struct Report {
    csv: Option<File>,
    svg: Option<PathBuf>,
    page: Option<Page>,
    panels: Vec<Panel>,
}

/// How far a goal was reached.
pub(crate) struct Verdict {
    /// Whose, and divided by what.
    pub(crate) what: String,
    /// The figure with its spread.
    pub(crate) figure: String,
    pub(crate) bound: String,
    pub(crate) reached: bool,
}

impl Report {
    pub(crate) fn new(args: &Args) -> Result<Self> {
        let mut csv = args
            .csv
            .as_ref()
            .map(File::create)
            .transpose()
            .context("cannot write the CSV file")?;
        if let Some(csv) = &mut csv {
            writeln!(csv, "case,contender,round,metric,value")?;
        }
        Ok(Self {
            csv,
            svg: args.svg.clone(),
            page: args.markdown.clone().map(|path| Page::new(path, args)),
            panels: Vec::new(),
        })
    }

    /// Reports one case.
    pub(crate) fn add(&mut self, case: &Case, values: &[Value]) -> Result<()> {
        if let Some(csv) = &mut self.csv {
            write_values(csv, case, values)?;
        }
        let table = table(case, values);
        let goals = case.goals.iter();
        let verdicts: Vec<_> = goals.filter_map(|goal| check(case, values, goal)).collect();
        println!("## {}: {}\n\n{table}", case.name, case.title);
        for verdict in &verdicts {
            let Verdict {
                what,
                figure,
                bound,
                reached,
            } = verdict;
            let reached = if *reached { "reached" } else { "NOT REACHED" };
            println!("- {what}: {figure}, {bound}: {reached}");
        }
        println!();
        if let Some(page) = &mut self.page {
            page.add(case, &table, &verdicts)?;
        }
        self.panels
            .extend(panels(case, values).into_iter().flatten());
        if let Some(svg) = &self.svg {
            fs::write(svg, draw(&self.panels)).context("cannot write the SVG file")?;
        }
        Ok(())
    }
}

fn write_values(csv: &mut File, case: &Case, values: &[Value]) -> Result<()> {
    for Value {
        row,
        round,
        metric,
        value,
    } in values
    {
        let label = &case.rows[*row].label;
        writeln!(
            csv,
            "{},\"{label}\",{round},\"{}\",{value}",
            case.name,
            metric.name()
        )?;
    }
    Ok(())
}

fn table(case: &Case, values: &[Value]) -> String {
    let mut metrics: Vec<_> = values.iter().map(|value| value.metric).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let mut out = String::from("| |");
    for metric in &metrics {
        let _infallible = write!(out, " {} |", metric.name());
    }
    out.push_str("\n| --- |");
    out.push_str(&" --- |".repeat(metrics.len()));
    for (row, setting) in case.rows.iter().enumerate() {
        let _infallible = write!(out, "\n| {} |", setting.label);
        for &metric in &metrics {
            let _infallible = write!(
                out,
                " {} |",
                spread(&of(values, row, metric), |value| metric.show(value))
            );
        }
    }
    out.push('\n');
    out
}

/// The curves of a case that has any: requests/s, and the CPU time of each, against whatever it varies.
fn panels(case: &Case, values: &[Value]) -> Option<[Panel; 2]> {
    let (what, across) = case.title.split_once(" against ")?;
    let panel = |metric: Metric, title: &str| Panel {
        title: title.to_owned(),
        across: across.to_owned(),
        curves: curves(case, values, metric),
    };
    Some([
        panel(Metric::Rate, what),
        panel(Metric::Cpu, "CPU time of both nodes for a request, us"),
    ])
}

fn curves(case: &Case, values: &[Value], metric: Metric) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for (row, setting) in case.rows.iter().enumerate() {
        let value = median(&of(values, row, metric));
        let (Some((name, point)), Some(value)) = (&setting.point, value) else {
            continue;
        };
        // Where there are no nodes, they use nothing, and a logarithmic axis has no place for that.
        if value == 0.0 {
            continue;
        }
        let known = curves.iter().position(|curve| curve.name == *name);
        let index = known.unwrap_or_else(|| {
            curves.push(Curve {
                name: name.clone(),
                points: Vec::new(),
            });
            curves.len() - 1
        });
        curves[index].points.push((*point, value));
    }
    curves
}

/// Says how far a goal was reached; `None` where what it is about was not measured.
fn check(case: &Case, values: &[Value], goal: &Goal) -> Option<Verdict> {
    let find = |label: &str| case.rows.iter().position(|row| row.label == label);
    let ours = of(values, find(&goal.of)?, goal.metric);
    let others: Option<Vec<_>> = goal
        .than
        .iter()
        .map(|label| Some(of(values, find(label)?, goal.metric)))
        .collect();
    let others = others?;
    let (bound, word) = match goal.bound {
        Bound::AtLeast(bound) => (bound, "at least"),
        Bound::AtMost(bound) => (bound, "at most"),
    };
    let ratios: Vec<_> = ours
        .iter()
        .enumerate()
        .map(|(round, value)| {
            let best = others.iter().filter_map(|other| other.get(round)).copied();
            let best = match goal.bound {
                Bound::AtLeast(_) => best.reduce(f64::max),
                Bound::AtMost(_) => best.reduce(f64::min),
            };
            value / best.unwrap_or(1.0)
        })
        .collect();
    let middle = median(&ratios)?;
    let reached = match goal.bound {
        Bound::AtLeast(bound) => middle >= bound,
        Bound::AtMost(bound) => middle <= bound,
    };
    let than = match goal.than.as_slice() {
        [] => String::new(),
        [one] => format!(" / {one}"),
        several => format!(" / the best of {}", several.join(", ")),
    };
    Some(Verdict {
        what: format!("{}{than}, {}", goal.of, goal.metric.name()),
        figure: spread(&ratios, |ratio| format!("{ratio:.2}")),
        bound: format!("{word} {bound}"),
        reached,
    })
}

/// The values of a row, in the order of the rounds.
fn of(values: &[Value], row: usize, metric: Metric) -> Vec<f64> {
    let mut found: Vec<_> = values
        .iter()
        .filter(|value| value.row == row && value.metric == metric)
        .collect();
    found.sort_by_key(|value| value.round);
    found.into_iter().map(|value| value.value).collect()
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

/// The median, with the smallest and the largest in parentheses if they look different.
fn spread(values: &[f64], show: impl Fn(f64) -> String) -> String {
    let Some(middle) = median(values) else {
        return "-".to_owned();
    };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (middle, least, most) = (show(middle), show(least), show(most));
    if least == most {
        middle
    } else {
        format!("{middle} ({least}-{most})")
    }
}
