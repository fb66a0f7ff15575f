//! Does every feature work? Drives the application through the gateway with HTTP and WebSocket clients that are not ours.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures::future::BoxFuture;
use tokio::time;

use super::Site;
use crate::output;

mod client;
mod steps;

/// A step takes milliseconds, or a second for a large body in a debug build; this is for hanging ones.
const LIMIT: Duration = Duration::from_secs(30);

/// Something that must hold: its name, and the work that finds out and tells what was seen.
type Step<'a> = (&'static str, BoxFuture<'a, Result<String>>);

/// Makes every check, one after the other, and prints a table. True if all held.
pub(super) async fn run(site: &Site) -> bool {
    let started = Instant::now();
    let held = run_steps(steps::all(site)).await;
    let failed = held.iter().filter(|held| !**held).count();
    let (all, seconds) = (held.len(), started.elapsed().as_secs_f32());
    output::line(&if failed == 0 {
        format!("all {all} checks passed in {seconds:.1} s")
    } else {
        format!("{failed} of {all} checks FAILED in {seconds:.1} s")
    });
    failed == 0
}

/// Which of the steps held.
async fn run_steps(steps: Vec<Step<'_>>) -> Vec<bool> {
    let width = steps
        .iter()
        .map(|(what, _)| what.len())
        .max()
        .unwrap_or_default();
    output::line(&format!(
        "{:<width$}  result      ms  what was seen",
        "check"
    ));
    let mut held = Vec::with_capacity(steps.len());
    for (what, step) in steps {
        let started = Instant::now();
        let outcome = match time::timeout(LIMIT, step).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow!("not done after {} s", LIMIT.as_secs())),
        };
        let took = started.elapsed().as_millis();
        held.push(outcome.is_ok());
        let (mark, seen) = match outcome {
            Ok(seen) => ("ok", seen),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        let seen = seen.replace(char::is_control, " ");
        output::line(&format!("{what:<width$}  {mark:<6}  {took:>6}  {seen}"));
    }
    held
}

#[cfg(test)]
mod tests {
    use std::future;

    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_that_fails_or_hangs_fails_and_the_others_go_on() {
        let held = run_steps(vec![
            ("hangs", future::pending().boxed()),
            ("fails", async { Err(anyhow!("no")) }.boxed()),
            ("holds", async { Ok("yes".to_owned()) }.boxed()),
        ])
        .await;
        assert_eq!(held, [false, false, true]);
    }
}
