//! The validations of a run, from its log.

use std::fs;

use serde_json::Value;

use crate::config::Metric;
use crate::sweep::PointResult;

/// One validation of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    pub step: u64,
    /// Wall clock since the run began, validations included.
    pub seconds: f64,
    pub percent: f64,
}

/// The validations of a point in the order of its `metrics.jsonl`, by `metric`; broken or foreign
/// lines are left out, and without a log there are none.
pub fn validations(point: &PointResult, metric: Metric) -> Vec<Validation> {
    let text = fs::read_to_string(point.run.join("metrics.jsonl")).unwrap_or_default();
    let name = metric.to_string();
    let validation = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["part"] == "validation").then_some(())?;
        Some(Validation {
            step: line["step"].as_u64()?,
            seconds: line["seconds"].as_f64()?,
            percent: 100.0 * line[&name].as_f64()?,
        })
    };
    text.lines().filter_map(validation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::point;

    #[test]
    fn validations_are_read_and_all_else_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut point = point("kind = \"bpr\"", 1, &[]);
        point.run = dir.path().into();
        let metric = "recall@50".parse().unwrap();
        assert!(validations(&point, metric).is_empty());
        let text = "{\"part\":\"train\",\"step\":1,\"seconds\":0.5,\"recall@50\":9.0}\n\
            {\"part\":\"validation\",\"step\":4,\"seconds\":2.5,\"recall@50\":0.25}\n{\"part\":\"val";
        fs::write(dir.path().join("metrics.jsonl"), text).unwrap();
        let expected = Validation { step: 4, seconds: 2.5, percent: 25.0 };
        assert_eq!(validations(&point, metric), [expected]);
    }
}
