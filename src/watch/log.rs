//! What the log of a run says so far.

use std::collections::BTreeMap;
use std::path::Path;

use super::losses::Losses;
use super::pace::Pace;
use crate::config::Metric;
use crate::train::{LogLine, LogTail, RunFolder};

/// Losses and validations, read as they are written.
pub struct Log {
    tail: LogTail,
    /// The last step that it tells of.
    pub step: u64,
    /// The last loss, which may be no number.
    pub loss: Option<f64>,
    pub losses: Losses,
    pub pace: Pace,
    /// The step of the last validation.
    validated: Option<u64>,
    validations: BTreeMap<Metric, Vec<(u64, f64)>>,
}

impl Log {
    /// That of the run at `run`, of which nothing has been read.
    pub fn of(run: &Path) -> Self {
        Self {
            tail: RunFolder::follow_log(run),
            step: 0,
            loss: None,
            losses: Losses::default(),
            pace: Pace::default(),
            validated: None,
            validations: BTreeMap::new(),
        }
    }

    /// Reads what has been written since.
    pub fn read(&mut self) {
        // Taken out while it is read.
        let mut tail = std::mem::replace(&mut self.tail, RunFolder::follow_log(Path::new("")));
        tail.each_line(|line| self.take(&line));
        self.tail = tail;
    }

    fn take(&mut self, line: &LogLine) {
        match line.part.as_str() {
            "train" => self.take_loss(line),
            "validation" => self.take_validation(line),
            // A test is of an earlier step.
            _ => return,
        }
        self.step = line.step;
        self.pace.mark(line.step, line.seconds);
    }

    fn take_loss(&mut self, line: &LogLine) {
        // A run that is gone on with has taken back what it did behind its checkpoint.
        if line.step <= self.step {
            self.losses.cut(line.step);
        }
        let loss = line.value("loss").unwrap_or(f64::NAN);
        self.losses.push(line.step, loss);
        self.loss = Some(loss);
    }

    fn take_validation(&mut self, line: &LogLine) {
        if self.validated.is_some_and(|step| line.step <= step) {
            let before = |points: &mut Vec<(u64, f64)>| points.retain(|(own, _)| *own < line.step);
            self.validations.values_mut().for_each(before);
        }
        self.validated = Some(line.step);
        for (name, value) in &line.values {
            if let Ok(metric) = name.parse() {
                self.validations.entry(metric).or_default().push((line.step, *value));
            }
        }
    }

    /// What was measured, in the order of metrics.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> {
        self.validations.keys().copied()
    }

    /// The validations by `metric`, each with its step, ascending.
    pub fn validations(&self, metric: Metric) -> &[(u64, f64)] {
        self.validations.get(&metric).map_or(&[], Vec::as_slice)
    }

    /// The first of the best validations by `metric`.
    pub fn best(&self, metric: Metric) -> Option<(u64, f64)> {
        let better = |best: (u64, f64), own: &(u64, f64)| if own.1 > best.1 { *own } else { best };
        let all = self.validations(metric);
        all.first().map(|first| all.iter().fold(*first, better))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::super::fixtures::{loss, validation};
    use super::*;

    fn append(run: &Path, text: impl AsRef<[u8]>) {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(run.join("metrics.jsonl")).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn recall() -> Metric {
        "recall@50".parse().unwrap()
    }

    #[test]
    fn a_growing_log_is_read_to_its_last_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::of(dir.path());
        log.read();
        assert_eq!((log.step, log.loss), (0, None));
        let torn = validation(30, 0.4);
        let (torn, rest) = torn.split_at(20);
        append(dir.path(), [&loss(10, 4.0), &validation(20, 0.25), torn].concat());
        log.read();
        assert_eq!((log.step, log.loss), (20, Some(4.0)));
        assert_eq!(log.validations(recall()), [(20, 0.25)]);
        append(dir.path(), [rest, &validation(40, 0.4), &validation(50, 0.3)].concat());
        // Neither a test nor what is foreign changes anything.
        append(dir.path(), b"\"part\"\n\xff\n");
        append(dir.path(), loss(30, 0.1).replace("train", "test"));
        log.read();
        assert_eq!(log.step, 50);
        assert_eq!(log.best(recall()), Some((30, 0.4)), "of equals the first");
        let metrics: Vec<String> = log.metrics().map(|metric| metric.to_string()).collect();
        assert_eq!(metrics, ["recall@50", "ndcg@20"]);
    }

    #[test]
    fn a_loss_that_is_no_number_is_told_and_is_no_point() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::of(dir.path());
        append(dir.path(), loss(10, 4.0));
        append(dir.path(), loss(20, 4.0).replace("4.0", "null"));
        log.read();
        assert!(log.loss.unwrap().is_nan());
        assert_eq!(log.losses.points().collect::<Vec<_>>(), [(10, 4.0)]);
    }

    #[test]
    fn what_a_resumed_run_does_again_takes_the_place_of_what_it_did() {
        let dir = tempfile::tempdir().unwrap();
        let lines = |steps: &[u64], value: f64| -> String {
            steps.iter().map(|step| loss(*step, value) + &validation(*step, value)).collect()
        };
        append(dir.path(), lines(&[10, 20, 30, 40], 0.5));
        let mut log = Log::of(dir.path());
        log.read();
        // Longer again than what was read by the time of the next look.
        let text = lines(&[10, 20], 0.5) + &lines(&[30, 40, 50], 0.25);
        std::fs::write(dir.path().join("metrics.jsonl"), &text).unwrap();
        log.read();
        assert_eq!((log.step, log.best(recall())), (50, Some((10, 0.5))));
        assert_eq!(log.validations(recall()).len(), 5);
        // Shorter: it is read from its first line on.
        std::fs::write(dir.path().join("metrics.jsonl"), lines(&[10, 20], 0.75)).unwrap();
        log.read();
        assert_eq!(log.step, 20);
        assert_eq!(log.validations(recall()), [(10, 0.75), (20, 0.75)]);
        assert_eq!(log.losses.points().collect::<Vec<_>>(), [(10, 0.75), (20, 0.75)]);
    }
}
