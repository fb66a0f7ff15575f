//! How is told what was found? One line for each thing that was looked at.

use std::fmt;

use serde::Serialize;

use crate::{logging::plain, output};

/// What is to be thought of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// Works, and may not be meant.
    Warning,
    /// Does not work.
    Problem,
}

/// Something that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) state: State,
    what: String,
    /// With the remedy behind it, where one is needed.
    pub(super) found: String,
}

impl Finding {
    pub(super) fn new(state: State, what: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            state,
            what: plain(&what.to_string()),
            found: plain(&found.to_string()),
        }
    }

    pub(super) fn ok(what: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(State::Ok, what, found)
    }

    pub(super) fn warning(what: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(State::Warning, what, found)
    }

    pub(super) fn problem(what: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(State::Problem, what, found)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
        };
        write!(f, "{state:<8} {}: {}", self.what, self.found)
    }
}

/// Prints the findings as they come.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    is_well: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            is_well: true,
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.is_well &= finding.state != State::Problem;
        match serde_json::to_string(&finding) {
            Ok(text) if self.json => output::line(&text),
            _ => output::line(&finding),
        }
    }

    pub(super) fn add_some(&mut self, finding: Option<Finding>) {
        if let Some(finding) = finding {
            self.add(finding);
        }
    }

    /// Whether there was no problem.
    pub(super) fn is_well(&self) -> bool {
        self.is_well
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_state_a_thing_and_what_was_found() {
        for (finding, line) in [
            (Finding::ok("port 1", "free"), "ok       port 1: free"),
            (Finding::warning("a", "b; c"), "warning  a: b; c"),
            (Finding::problem("a", "b\n  c"), "problem  a: b c"),
        ] {
            assert_eq!(finding.to_string(), line);
        }
        let json = serde_json::to_string(&Finding::ok("a", "b")).unwrap();
        assert_eq!(json, r#"{"state":"ok","what":"a","found":"b"}"#);
    }

    #[test]
    fn only_problems_count() {
        let mut report = Report::new(false);
        report.add(Finding::warning("a", "b"));
        assert!(report.is_well());
        report.add(Finding::problem("a", "b"));
        report.add(Finding::ok("a", "b"));
        assert!(!report.is_well());
    }
}
