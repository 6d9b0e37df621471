//! What is said of a run, in a line or in the cells of a table.

use crate::cli::table::count;
use crate::config::Metric;
use crate::eval::value_of;
use crate::watch::{Run, State};

/// Where a cell says nothing.
pub const NOTHING: &str = "–";

/// Columns of the table.
pub const COLUMNS: usize = 9;

/// The heads of the columns.
pub fn heads(metric: Option<Metric>) -> [String; COLUMNS] {
    let metric = metric.map_or_else(|| "validation".into(), |metric| format!("{metric} %"));
    let all = ["run", "state", "step", "steps/s", "left", "loss", &metric, "best", "at step"];
    all.map(str::to_owned)
}

/// The cells of a run, as [`heads`] names them.
pub fn cells(run: &Run, metric: Option<Metric>) -> [String; COLUMNS] {
    let none = || NOTHING.to_owned();
    let last = metric.and_then(|metric| run.log.validations(metric).last().copied());
    let best = metric.and_then(|metric| run.log.best(metric));
    let value = |of: Option<(u64, f64)>| of.map_or_else(none, |(_, value)| percent(value));
    [
        run.name.clone(),
        state(&run.state).to_owned(),
        steps(run),
        pace(run).map_or_else(none, |pace| format!("{pace:.1}")),
        left(run).map_or_else(none, duration),
        run.log.loss.map_or_else(none, short),
        value(last),
        value(best),
        best.map_or_else(none, |(step, _)| count(step)),
    ]
}

/// A state in a word.
pub fn state(state: &State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Paused => "paused",
        State::Ended(_) => "ended",
        State::Failed(_) => "failed",
        State::Gone => "gone",
    }
}

/// Where a run stands, in a sentence without its name.
pub fn sentence(run: &Run, metric: Option<Metric>) -> String {
    match &run.state {
        State::Waiting if run.is_starting => "about to start".into(),
        State::Waiting => "not begun".into(),
        State::Running => format!("running, {}{}", step_of(run, run.step()), best(run, metric)),
        State::Paused => format!("paused, {}{}", step_of(run, run.step()), best(run, metric)),
        State::Failed(reason) => format!("failed: {reason}"),
        State::Gone => "gone: its folder is not there any more".into(),
        State::Ended(result) => {
            let own = metric.and_then(|metric| value_of(&result.test, metric));
            let test = own.map_or(String::new(), |value| format!(", {} % on test", percent(value)));
            let (far, time) = (step_of(run, result.steps), duration(result.seconds));
            format!("ended, {far} in {time}{}{test}", best(run, metric))
        }
    }
}

fn best(run: &Run, metric: Option<Metric>) -> String {
    let best = metric.and_then(|metric| Some((metric, run.log.best(metric)?)));
    best.map_or(String::new(), |(metric, (step, value))| {
        format!(", best {metric} {} % at step {}", percent(value), count(step))
    })
}

/// `step 1,200 of 3,000`, as far as it is known.
pub fn step_of(run: &Run, step: u64) -> String {
    let of = run.steps.map_or(String::new(), |steps| format!(" of {}", count(steps)));
    format!("step {}{of}", count(step))
}

/// How many runs stand where.
pub fn summary(runs: &[Run]) -> String {
    let of = |word: &&str| {
        let there = runs.iter().filter(|run| state(&run.state) == *word).count();
        (there > 0).then(|| format!("{} {word}", count(there as u64)))
    };
    let words = ["running", "waiting", "paused", "ended", "failed", "gone"];
    let parts: Vec<String> = words.iter().filter_map(of).collect();
    match runs {
        [] => "no run yet".into(),
        [run] => format!("1 run, {}", state(&run.state)),
        [run, ..] if parts.len() == 1 => {
            format!("{} runs, all {}", count(runs.len() as u64), state(&run.state))
        }
        _ => format!("{} runs: {}", count(runs.len() as u64), parts.join(", ")),
    }
}

fn steps(run: &Run) -> String {
    match run.steps {
        Some(steps) => format!("{}/{}", count(run.step()), count(steps)),
        None => count(run.step()),
    }
}

/// Steps a second: of one that runs lately, of one that has ended on the whole.
fn pace(run: &Run) -> Option<f64> {
    match &run.state {
        State::Running => run.log.pace.per_second(),
        State::Ended(result) => {
            Some(result.steps as f64 / result.train_seconds).filter(|pace| pace.is_finite())
        }
        _ => None,
    }
}

/// Seconds until its last step, if it goes so far.
fn left(run: &Run) -> Option<f64> {
    if run.state != State::Running {
        return None;
    }
    Some(run.steps?.saturating_sub(run.step()) as f64 / run.log.pace.per_second()?)
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// A loss; one that diverges has no room for all its digits.
fn short(loss: f64) -> String {
    if loss.abs() < 1e6 { format!("{loss:.4}") } else { format!("{loss:.3e}") }
}

/// Seconds as people say them, two units at most.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) if minutes < 10 => format!("{minutes} min {seconds} s"),
        (0, 0, minutes, _) => format!("{minutes} min"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Watched;
    use crate::watch::fixtures::{begin, end, fail, hold, loss, validation};

    #[test]
    fn a_row_says_how_far_it_is_and_how_good() {
        let dir = tempfile::tempdir().unwrap();
        let metric = Some("recall@50".parse().unwrap());
        let lines = [loss(100, 5.0), validation(100, 0.25), validation(200, 0.125), loss(400, 3.5)];
        let row = |name: &str| {
            let watched = Watched::open(&[dir.path().join(name)]).unwrap();
            let run = &watched.runs()[0];
            (cells(run, metric), sentence(run, metric))
        };
        begin(&dir.path().join("a"), 3_000, &lines);
        hold(&dir.path().join("a"));
        // Ten steps a second.
        let expected =
            ["a", "running", "400/3,000", "10.0", "4 min 20 s", "3.5000", "12.50", "25.00", "100"];
        let told = "running, step 400 of 3,000, best recall@50 25.00 % at step 100";
        assert_eq!(row("a"), (expected.map(String::from), told.into()));
        assert_eq!(heads(metric)[6], "recall@50 %");

        begin(&dir.path().join("b"), 3_000, &lines);
        end(&dir.path().join("b"), 1_000);
        let expected =
            ["b", "ended", "1,000/3,000", "100.0", "–", "3.5000", "12.50", "25.00", "100"];
        let told = "ended, step 1,000 of 3,000 in 1 min 15 s, best recall@50 25.00 % at step 100, \
                    12.50 % on test";
        assert_eq!(row("b"), (expected.map(String::from), told.into()));

        begin(&dir.path().join("c"), 3_000, &[loss(10, 4.0).replace("4.0", "null")]);
        fail(&dir.path().join("c"), "the disk is full");
        let expected = ["c", "failed", "10/3,000", "–", "–", "NaN", "–", "–", "–"];
        assert_eq!(row("c"), (expected.map(String::from), "failed: the disk is full".into()));
    }

    #[test]
    fn a_summary_counts_states() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        let said = || summary(Watched::open(&[dir.path().into()]).unwrap().runs());
        assert_eq!(said(), "no run yet");
        begin(&dir.path().join("a"), 10, &[]);
        assert_eq!(said(), "1 run, paused");
        begin(&dir.path().join("b"), 10, &[]);
        assert_eq!(said(), "2 runs, all paused");
        hold(&dir.path().join("b"));
        assert_eq!(said(), "2 runs: 1 running, 1 paused");
    }

    #[test]
    fn a_duration_has_two_units_at_most() {
        let said = [0.4, 59.0, 119.6, 3_599.0, 3_660.0, 90_000.0, f64::INFINITY].map(duration);
        let long = said[6].clone();
        assert_eq!(said[..6], ["0 s", "59 s", "2 min 0 s", "59 min", "1 h 1 min", "1 d 1 h"]);
        assert!(long.ends_with(" h"), "{long}");
    }
}
