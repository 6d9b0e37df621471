//! The validations of a run, from its log.

use crate::config::Metric;
use crate::sweep::PointResult;
use crate::train::{LogLine, RunFolder};

/// One validation of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    pub step: u64,
    /// Wall clock since the run began, validations included.
    pub seconds: f64,
    pub percent: f64,
}

/// The validations of a point in the order of its log, by `metric`; none without a log.
pub fn validations(point: &PointResult, metric: Metric) -> Vec<Validation> {
    let Ok(run) = RunFolder::open(&point.run) else { return vec![] };
    let name = metric.to_string();
    let validation = |line: &LogLine| {
        let percent = 100.0 * line.value(&name)?;
        Some(Validation { step: line.step, seconds: line.seconds, percent })
    };
    run.log().iter().filter(|line| line.part == "validation").filter_map(validation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::shared::fixtures::{point, save_log, save_ranks};

    #[test]
    fn validations_are_read_and_all_else_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut point = point("kind = \"bpr\"", 1, &[]);
        save_ranks(&mut point, dir.path(), &[]);
        let metric = "recall@50".parse().unwrap();
        assert!(validations(&point, metric).is_empty());
        let text = "{\"part\":\"train\",\"step\":1,\"seconds\":0.5,\"recall@50\":9.0}\n\
            {\"part\":\"validation\",\"step\":4,\"seconds\":2.5,\"recall@50\":0.25}\n{\"part\":\"val";
        save_log(&point, text);
        let expected = Validation { step: 4, seconds: 2.5, percent: 25.0 };
        assert_eq!(validations(&point, metric), [expected]);
    }
}
