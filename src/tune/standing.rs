//! How far a point has come, read from the log of its run.

use std::path::Path;

use super::rungs::{SHARES, Standing};
use crate::config::Metric;
use crate::train::{Ending, LogLine, RunFolder};

/// That of the run at `run`, which may be yet to come, by `metrics`.
pub fn standing(run: &Path, metrics: &[Metric]) -> Standing {
    let Ok(folder) = RunFolder::open(run) else { return Standing::default() };
    let ended = matches!(RunFolder::ending(run), Ok(Some(Ending::Done(_))));
    let failed = matches!(RunFolder::ending(run), Ok(Some(Ending::Failed(_))));
    let log = folder.log();
    let validations: Vec<&LogLine> = log.iter().filter(|line| line.part == "validation").collect();
    let most = folder.info().ok().and_then(|info| info.steps);
    let mut standing =
        Standing { failed, steps: log.last().map_or(0, |line| line.step), ..Standing::default() };
    for share in SHARES {
        let far =
            |line: &&LogLine| most.is_some_and(|most| line.step as f64 >= share * most as f64);
        // One that has ended early stands on all rungs above with what it has.
        let until = match validations.iter().position(far) {
            Some(first) => first + 1,
            None if ended => validations.len(),
            None => break,
        };
        let best = |metric: &Metric| {
            let name = metric.to_string();
            let values = validations[..until].iter().filter_map(|line| line.value(&name));
            values.fold(f64::NEG_INFINITY, f64::max)
        };
        standing.values.push(metrics.iter().map(best).collect());
        standing.reached += 1;
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::train::RunInfo;

    /// A run of 270 steps, validated every 10 so many times: its validations say `100 + step`, but
    /// the last, which says 1, and half of it.
    fn run(folder: &Path, validations: u64) -> RunFolder {
        let text = "[data]\npath = \"data\"";
        let config = toml::from_str::<Settings>(text).unwrap().checked().unwrap();
        let run = RunFolder::create(folder, &config, false).unwrap();
        let info = RunInfo {
            format: crate::formats::RUN,
            checksum: String::new(),
            dataset: String::new(),
            plan: None,
            steps: Some(270),
            version: String::new(),
        };
        run.write_info(&info).unwrap();
        let mut log = run.create_log().unwrap();
        for step in (1..=validations).map(|count| 10 * count) {
            let value = if step == 10 * validations { 1.0 } else { 100.0 + step as f64 };
            let values = vec![("recall@20".into(), value), ("ndcg@5".into(), value / 2.0)];
            for part in ["train", "validation"] {
                let (part, values) = (part.to_owned(), values.clone());
                log.write(&LogLine { part, step, seconds: 0.0, values }).unwrap();
            }
        }
        run
    }

    #[test]
    fn a_rung_is_the_first_validation_behind_its_share_of_the_steps() {
        let place = tempfile::tempdir().unwrap();
        let metrics = ["recall@20".parse().unwrap(), "ndcg@5".parse().unwrap()];
        let of = |name: &str, validations| {
            run(&place.path().join(name), validations);
            standing(&place.path().join(name), &metrics)
        };
        assert_eq!(standing(&place.path().join("none"), &metrics), Standing::default());
        assert_eq!(of("begun", 0).reached, 0);
        // The shares are 10, 30, 90 and 270 steps.
        let two = of("two", 8);
        assert_eq!((two.reached, two.steps), (2, 80));
        assert_eq!(two.values, [[110.0, 55.0], [130.0, 65.0]]);
        let whole = of("whole", 27);
        assert_eq!(whole.reached, 4);
        // The last validation is not the best of all.
        assert_eq!(whole.values[3], [360.0, 180.0]);
    }

    #[test]
    fn one_that_stopped_early_stands_on_every_rung() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        let run = run(&folder, 5);
        let metrics = ["recall@20".parse().unwrap()];
        assert_eq!(standing(&folder, &metrics).reached, 2);
        run.write_failure(&crate::train::Failure { reason: "NaN".into() }).unwrap();
        let failed = standing(&folder, &metrics);
        assert!(failed.failed && failed.reached == 2);
        let result = serde_json::json!({
            "steps": 50, "best_step": 40, "train_seconds": 1.0, "seconds": 1.0, "device": "cpu",
            "threads": 1, "seed": 1, "peak_memory_mib": 1, "version": "0", "commit": "0",
            "test_users": 1, "validation": {}, "test": {},
        });
        std::fs::write(folder.join("result.json"), result.to_string()).unwrap();
        let ended = standing(&folder, &metrics);
        assert_eq!((ended.reached, ended.failed), (4, false));
        assert_eq!(ended.values[3], [140.0]);
    }
}
