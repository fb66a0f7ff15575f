//! How does the report become a page? As Markdown, in a file of its own or in the place that a page has for it.

use std::{fmt::Write as _, fs, path::PathBuf, time::SystemTime};

use anyhow::{Context, Result};

use crate::{
    args::Args,
    cases::Case,
    machine::{machine, versions},
    report::Verdict,
};

/// What is between these is replaced; all else in the file stays.
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// What was written so far.
pub(crate) struct Page {
    path: PathBuf,
    about: String,
    goals: String,
    cases: String,
}

impl Page {
    pub(crate) fn new(path: PathBuf, args: &Args) -> Self {
        let about = format!(
            "Measured on {}, in {} rounds of {} s, on {}, with {}.\n",
            httpdate::fmt_http_date(SystemTime::now()),
            args.rounds,
            args.seconds,
            machine(),
            versions(),
        );
        Self {
            path,
            about,
            goals: "| case | of what | goal | figure | |\n| --- | --- | --- | --- | --- |\n"
                .to_owned(),
            cases: String::new(),
        }
    }

    /// Adds a case, and writes the file.
    pub(crate) fn add(&mut self, case: &Case, table: &str, verdicts: &[Verdict]) -> Result<()> {
        for verdict in verdicts {
            let Verdict {
                what,
                figure,
                bound,
                reached,
            } = verdict;
            let reached = if *reached {
                "reached"
            } else {
                "**not reached**"
            };
            let _infallible = writeln!(
                self.goals,
                "| {} | {what} | {bound} | {figure} | {reached} |",
                case.name
            );
        }
        let _infallible = writeln!(self.cases, "### {}: {}\n\n{table}", case.name, case.title);
        let Self {
            about,
            goals,
            cases,
            ..
        } = self;
        let measured = format!("{about}\n### Goals\n\n{goals}\n{cases}");
        let path = self.path.display();
        let page = match fs::read_to_string(&self.path) {
            Ok(page) => replaced(&page, &measured).unwrap_or(measured),
            Err(_) => measured,
        };
        fs::write(&self.path, page).with_context(|| format!("cannot write {path}"))
    }
}

/// The page with `measured` in the place that it has for it.
fn replaced(page: &str, measured: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{measured}{END}{after}"))
}
