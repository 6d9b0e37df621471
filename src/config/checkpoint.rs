//! When a training writes checkpoints, and how many of them stay: keys of `[train]`.

use anyhow::Result;

use super::within;
use crate::misuse;

/// When checkpoints are written, and how many of them stay.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointConfig {
    /// Minutes between checkpoints; 0: none by time.
    pub minutes: f64,
    /// Steps between checkpoints, besides.
    pub steps: Option<u64>,
    /// The latest so many stay.
    pub kept: usize,
}

impl CheckpointConfig {
    /// Refuses what cannot work, fills in the defaults.
    pub(super) fn checked(
        minutes: Option<f64>,
        steps: Option<u64>,
        kept: Option<usize>,
    ) -> Result<Self> {
        let own = Self { minutes: minutes.unwrap_or(5.0), steps, kept: kept.unwrap_or(2) };
        if !(0.0..=1e6).contains(&own.minutes) {
            misuse!("train.checkpoint_minutes = {}: must be from 0 to 1000000", own.minutes);
        }
        if let Some(steps) = own.steps {
            within("train.checkpoint_steps", steps, 1, 1 << 40)?;
        }
        within("train.checkpoints_kept", own.kept as u64, 1, 1024)?;
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Settings};
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        toml::from_str::<Settings>(&format!("data.path = \"x\"\n{text}"))?.checked()
    }

    #[test]
    fn a_checkpoint_is_written_every_five_minutes_unless_the_configuration_says_otherwise() {
        let of = |text| parse(text).unwrap().train.checkpoints;
        assert_eq!(of(""), CheckpointConfig { minutes: 5.0, steps: None, kept: 2 });
        let text = "train = { checkpoint_minutes = 0, checkpoint_steps = 9, checkpoints_kept = 1 }";
        assert_eq!(of(text), CheckpointConfig { minutes: 0.0, steps: Some(9), kept: 1 });
        for key in ["checkpoint_minutes = -1", "checkpoint_steps = 0", "checkpoints_kept = 0"] {
            let error = parse(&format!("train.{key}")).unwrap_err().to_string();
            assert!(error.contains(&format!("train.{key}")), "{error}");
        }
    }

    #[test]
    fn what_a_result_depends_on_has_no_checkpoints_and_no_graph() {
        let of = |text: &str| parse(text).unwrap().essence().unwrap();
        assert_eq!(of("device = \"cpu\"\nthreads = 3\ntrain.checkpoint_minutes = 1"), of(""));
        assert_eq!(of("train.cuda_graph = true"), of(""));
        assert!(!of("").contains("checkpoint"));
        assert_ne!(of("seed = 2"), of(""));
    }
}
