//! Baselines that are known for a run's dataset, beside the run: read, never computed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::results::MetricRow;
use super::table;
use crate::baseline::{Asked, KeptResult, KeptResults, best_of};
use crate::config::{Config, EvaluationConfig, Metric, Protocol};
use crate::data::Split;
use crate::eval::{Lists, value_of};

/// What is kept of baselines under one evaluation of one dataset.
pub struct KnownBaselines {
    asked: Asked,
    results: Vec<KeptResult>,
}

/// What a baseline has to be asked to stand beside a run of `config`.
pub fn asked(config: &Config, split: Split) -> Asked {
    let of_positions = config.evaluation.protocol == Protocol::Positions;
    let latest = of_positions.then_some(config.tower.history);
    Asked { split, evaluation: config.evaluation.clone(), latest }
}

impl KnownBaselines {
    /// Those of the dataset folder at `folder`, if its checksum is `checksum`.
    pub fn of(folder: &Path, checksum: &str, asked: Asked) -> Self {
        let results = KeptResults::open(folder, checksum).all(&asked);
        Self { asked, results }
    }

    /// All of them.
    pub fn results(&self) -> &[KeptResult] {
        &self.results
    }

    /// A row each; `of_part` says of which part.
    pub fn rows(&self, of_part: bool) -> impl Iterator<Item = MetricRow> {
        let row = move |result: &KeptResult| MetricRow {
            name: self.name(result, of_part),
            metrics: result.metrics.clone(),
            cold: None,
        };
        self.results.iter().map(row)
    }

    /// What the lists of each hold, where that is kept.
    pub fn lists(&self) -> impl Iterator<Item = (String, &BTreeMap<usize, Lists>)> {
        let there = self.results.iter().filter(|result| !result.lists.is_empty());
        there.map(move |result| (self.name(result, true), &result.lists))
    }

    fn name(&self, result: &KeptResult, of_part: bool) -> String {
        let part = if of_part { format!(" ({})", self.asked.split.name()) } else { String::new() };
        result.recipe.label(self.asked.evaluation.protocol) + &part
    }

    /// Says so if a run whose metrics are `own` does not beat the best of them by `monitor`, or how
    /// to measure them if there are none. `folder`: of the dataset.
    ///
    /// # Errors
    /// Those of [`table::say`].
    pub fn say_verdict(&self, folder: &Path, monitor: Metric, own: &[(Metric, f64)]) -> Result<()> {
        if self.results.is_empty() {
            return self.say_how(folder);
        }
        match self.verdict(monitor, own) {
            Some(verdict) => table::say(verdict),
            None => Ok(()),
        }
    }

    fn verdict(&self, monitor: Metric, own: &[(Metric, f64)]) -> Option<String> {
        let (best, found) = best_of(&self.results, monitor)?;
        let own = value_of(own, monitor)?;
        (own <= found).then(|| {
            format!(
                "{} has a {monitor} of {:.2} %, this run {:.2} %: it does not beat the best \
                 baseline yet. Try {}; docs/baselines.md says what else.",
                best.recipe.label(self.asked.evaluation.protocol),
                100.0 * found,
                100.0 * own,
                match self.asked.evaluation.protocol {
                    Protocol::Holdout => "configs/default.toml",
                    Protocol::Positions => "configs/session.toml",
                    Protocol::LeaveOneOut => "configs/next-item.toml",
                }
            )
        })
    }

    /// Says how to measure them, if none is known.
    ///
    /// # Errors
    /// Those of [`table::say`].
    pub fn say_how(&self, folder: &Path) -> Result<()> {
        if !self.results.is_empty() {
            return Ok(());
        }
        table::say(format_args!(
            "No baseline is known for this evaluation; to see what there is to beat: {}",
            self.command(folder)
        ))
    }

    /// The command that measures them.
    fn command(&self, folder: &Path) -> String {
        let Asked { split, evaluation, latest } = &self.asked;
        let mut command = format!("croloss baseline {}", folder.display());
        if *split != Split::Test {
            command += &format!(" --split {}", split.name());
        }
        if evaluation.protocol != Protocol::Holdout {
            command += &format!(" --protocol {}", evaluation.protocol.name());
        }
        if let Some(latest) = latest {
            command += &format!(" --history {latest}");
        }
        if evaluation.seen != EvaluationConfig::of(evaluation.protocol).seen {
            command += &format!(" --seen {}", evaluation.seen.name());
        }
        let usual = EvaluationConfig::default().at;
        if evaluation.at.iter().any(|at| !usual.contains(at)) {
            let at: Vec<String> = evaluation.at.iter().map(ToString::to_string).collect();
            command += &format!(" --at {}", at.join(","));
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Recipe;
    use crate::config::Seen;
    use crate::eval::Groups;

    fn known(values: &[f64]) -> KnownBaselines {
        let asked = Asked {
            split: Split::Test,
            evaluation: EvaluationConfig { at: vec![20], ..EvaluationConfig::default() },
            latest: None,
        };
        let [popularity, _, _, ease, _] = Recipe::defaults(Protocol::Holdout);
        let result = |(recipe, value): (&Recipe, &f64)| KeptResult {
            recipe: *recipe,
            asked: asked.clone(),
            users: 1,
            targets: 1,
            unrankable: 0,
            fit_seconds: 0.0,
            rank_seconds: 0.0,
            metrics: vec![("recall@20".parse().unwrap(), *value)],
            groups: Groups::default(),
            lists: BTreeMap::new(),
        };
        let results = [popularity, ease].iter().zip(values).map(result).collect();
        KnownBaselines { asked, results }
    }

    #[test]
    fn a_run_is_told_when_it_does_not_beat_the_best_of_them() {
        let monitor: Metric = "recall@20".parse().unwrap();
        let of = |own| known(&[0.02, 0.106]).verdict(monitor, &[(monitor, own)]);
        let verdict = of(0.072).unwrap();
        assert!(
            verdict.starts_with("ease has a recall@20 of 10.60 %, this run 7.20 %"),
            "{verdict}"
        );
        assert!(of(0.106).is_some());
        assert_eq!(of(0.107), None);
        assert_eq!(known(&[]).verdict(monitor, &[(monitor, 0.1)]), None);
    }

    #[test]
    fn the_command_asks_for_the_run_s_evaluation() {
        let mut known = known(&[]);
        let folder = Path::new("data/mine");
        assert_eq!(known.command(folder), "croloss baseline data/mine");
        known.asked.evaluation = EvaluationConfig {
            protocol: Protocol::Positions,
            at: vec![10, 20],
            seen: Seen::Exclude,
        };
        (known.asked.split, known.asked.latest) = (Split::Validation, Some(50));
        assert_eq!(
            known.command(folder),
            "croloss baseline data/mine --split validation --protocol positions --history 50 \
             --seen exclude --at 10,20"
        );
        known.asked.evaluation = EvaluationConfig::of(Protocol::LeaveOneOut);
        known.asked.evaluation.at = vec![10];
        (known.asked.split, known.asked.latest) = (Split::Test, None);
        assert_eq!(
            known.command(folder),
            "croloss baseline data/mine --protocol leave-one-out --at 10"
        );
    }
}
