//! What is told where there is no terminal: a line for each validation, and for each run that stands
//! otherwise than it did.

use std::collections::HashMap;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::cells::{percent, sentence, state, step_of};
use crate::cli::table;
use crate::config::Metric;
use crate::watch::{Run, State, Watched};

/// How long nothing has changed where no further run is waited for: a sweep takes a moment from one
/// to the next.
const QUIET: Duration = Duration::from_secs(5);

/// Tells what changes until nobody works on any run, or nobody listens.
///
/// # Errors
/// An output that cannot be written.
pub fn follow(mut watched: Watched, metric: Option<Metric>, every: Duration) -> Result<()> {
    let mut told = Told::default();
    loop {
        for line in told.news(&watched, metric) {
            if !table::is_heard(line)? {
                return Ok(());
            }
        }
        if !watched.is_at_work() && (!watched.may_grow() || watched.is_quiet_for(QUIET)) {
            return Ok(());
        }
        sleep(every);
        watched.look();
    }
}

/// What has been told.
#[derive(Default)]
struct Told {
    /// Of each run: its state, whether it was about to start, and its last validation.
    runs: HashMap<PathBuf, (&'static str, bool, u64)>,
    /// Where all runs stood at the beginning.
    has_begun: bool,
}

impl Told {
    /// A line for each thing that is new.
    fn news(&mut self, watched: &Watched, metric: Option<Metric>) -> Vec<String> {
        let lines = watched.runs().iter().flat_map(|run| self.of(run, metric)).collect();
        self.has_begun = true;
        lines
    }

    fn of(&mut self, run: &Run, metric: Option<Metric>) -> Vec<String> {
        let metric = metric.or(run.monitor).or_else(|| run.log.metrics().next());
        let validations = metric.map_or(&[][..], |metric| run.log.validations(metric));
        let last = validations.last().map_or(0, |(step, _)| *step);
        let before = self.runs.get(&run.path).copied();
        // What was measured before the beginning stands in the first sentence.
        let validated = before.map_or(if self.has_begun { 0 } else { last }, |(.., step)| step);
        let mut lines = vec![];
        let mut best = f64::NEG_INFINITY;
        for &(step, value) in validations {
            if step > validated.min(last) {
                let mark = if value > best { ", best" } else { "" };
                let name = metric.map_or(String::new(), |metric| metric.to_string());
                let (name, far, value) = (name, step_of(run, step), percent(value));
                lines.push(format!("{}: {far}, {name} {value} %{mark}", run.name));
            }
            best = best.max(value);
        }
        let now = (state(&run.state), run.is_starting, last);
        let stands_so = before.is_some_and(|before| (before.0, before.1) == (now.0, now.1));
        let unbegun = run.state == State::Waiting && !run.is_starting;
        if !stands_so && !unbegun {
            // It is at work before it is validated, and at its end behind that.
            let place = if run.is_at_work() { 0 } else { lines.len() };
            let stands = match run.state {
                State::Running if self.has_begun => state(&run.state).into(),
                _ => sentence(run, metric),
            };
            lines.insert(place, format!("{}: {stands}", run.name));
        }
        self.runs.insert(run.path.clone(), now);
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::watch::fixtures::{begin, end, hold, loss, validation};

    fn validations(folder: &Path, values: &[f64]) {
        let lines = values.iter().zip(1..).map(|(value, at)| validation(10 * at, *value));
        fs::write(folder.join("metrics.jsonl"), lines.collect::<String>()).unwrap();
    }

    #[test]
    fn each_change_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("mine");
        begin(&run, 1_000, &[loss(10, 4.0)]);
        validations(&run, &[0.25, 0.125]);
        hold(&run);
        let mut watched = Watched::open(std::slice::from_ref(&run)).unwrap();
        let mut told = Told::default();
        let mut news = || {
            watched.look();
            told.news(&watched, None)
        };
        let first = "mine: running, step 20 of 1,000, best recall@50 25.00 % at step 10";
        assert_eq!(news(), [first]);
        assert!(news().is_empty());
        validations(&run, &[0.25, 0.125, 0.5, 0.375]);
        let two = [
            "mine: step 30 of 1,000, recall@50 50.00 %, best",
            "mine: step 40 of 1,000, recall@50 37.50 %",
        ];
        assert_eq!(news(), two);
        // It goes on from an earlier checkpoint.
        validations(&run, &[0.25, 0.125]);
        assert!(news().is_empty());
        validations(&run, &[0.25, 0.125, 0.5]);
        assert_eq!(news(), two[..1]);
        end(&run, 30);
        let last = "mine: ended, step 30 of 1,000 in 1 min 15 s, best recall@50 50.00 % at step 30, \
                    12.50 % on test";
        assert_eq!(news(), [last]);
        fs::remove_dir_all(&run).unwrap();
        assert_eq!(news(), ["mine: gone: its folder is not there any more"]);
        assert!(news().is_empty());
    }

    #[test]
    fn a_run_that_comes_is_told_from_its_first_validation_on() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let mut watched = Watched::open(&[dir.path().into()]).unwrap();
        let mut told = Told::default();
        assert!(told.news(&watched, None).is_empty());
        fs::write(dir.path().join("logs/x.toml"), "").unwrap();
        watched.look();
        assert_eq!(told.news(&watched, None), ["x: about to start"]);
        let run = dir.path().join("x");
        begin(&run, 100, &[]);
        validations(&run, &[0.5]);
        hold(&run);
        watched.look();
        let metric = "ndcg@20".parse().unwrap();
        let expected = ["x: running", "x: step 10 of 100, ndcg@20 25.00 %, best"];
        assert_eq!(told.news(&watched, Some(metric)), expected);
    }
}
