//! Comparisons of settings user by user, from the ranks that runs left.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use super::select::{Setting, Study, recall};
use super::stats::{Interval, mean_sd};
use crate::config::Metric;
use crate::eval::of_user;
use crate::sweep::PointResult;
use crate::train::{RunFolder, TargetRanks};

/// The recall of every test user of one run, at every list length.
struct Users {
    users: Vec<u32>,
    /// `[at][users]`
    recall: Vec<Vec<f64>>,
}

/// Reads the ranks of runs when they are first asked for, and keeps what comparisons need.
pub struct Recalls {
    at: Vec<usize>,
    /// `[at]`: the standard deviation of recall from seed to seed.
    noise: Vec<Option<f64>>,
    runs: RefCell<HashMap<String, Rc<Users>>>,
}

/// The difference of two settings in a metric over test users or sessions, each one's mean over
/// common seeds.
#[derive(Clone, Copy, Debug)]
pub struct Paired {
    /// Over test users or sessions alone.
    pub interval: Interval,
    /// Over these and seeds, where the noise of seeds is known.
    pub wide: Option<Interval>,
    /// Users or sessions.
    pub users: usize,
    pub seeds: usize,
    /// Seeds whose own difference has the sign of the whole.
    pub agreeing: usize,
}

impl Paired {
    /// The interval is wholly above zero and no seed says otherwise.
    pub fn better(&self) -> bool {
        self.widest().above_zero() && self.agreeing == self.seeds
    }

    /// The interval is wholly below zero and no seed says otherwise.
    pub fn worse(&self) -> bool {
        self.widest().below_zero() && self.agreeing == self.seeds
    }

    fn widest(&self) -> Interval {
        self.wide.unwrap_or(self.interval)
    }
}

impl Recalls {
    /// For the settings of `study` and its list lengths.
    pub fn new(study: &Study) -> Self {
        let paper = || study.settings.iter().filter(|setting| setting.row.is_some());
        let noise = study.at.iter().map(|&at| seed_noise(paper(), recall(at))).collect();
        Self { at: study.at.clone(), noise, runs: RefCell::default() }
    }

    /// The standard deviation that seeds give to the difference of two settings' Recall@`at`: by
    /// their own spread where all of them have several seeds (losses differ in it), else by that
    /// of the whole study. `None` where no setting has several seeds.
    fn noise(&self, settings: &[&Setting], at: usize) -> Option<f64> {
        let n = self.at.iter().position(|&n| n == at)?;
        difference_noise(settings, recall(at), self.noise.get(n).copied().flatten())
    }

    /// The same for the difference between two list lengths of the relative difference of
    /// settings; on the safe side, as if the two lengths had nothing in common.
    pub fn relative_noise(&self, settings: &[&Setting], at: [usize; 2]) -> Option<f64> {
        let of = |at| {
            let recalls: Option<Vec<f64>> = settings.iter().map(|s| s.recall(at)).collect();
            let lowest = recalls?.into_iter().fold(f64::INFINITY, f64::min);
            Some(self.noise(settings, at)? / lowest).filter(|noise| noise.is_finite())
        };
        Some(of(at[0])?.hypot(of(at[1])?))
    }

    /// Recall@`at` of `a` minus that of `b`.
    ///
    /// # Errors
    /// Says why they cannot be compared: no common seed, no ranks, other test users.
    pub fn compare(&self, a: &Setting, b: &Setting, at: usize) -> Result<Paired> {
        let means = self.means(&[a, b], at)?;
        let differences = |pair: &[Vec<f64>]| -> Vec<f64> {
            pair[0].iter().zip(&pair[1]).map(|(x, y)| x - y).collect()
        };
        let interval =
            Interval::of_mean(&differences(&means)).context("fewer than two test users")?;
        let wide = self.noise(&[a, b], at).map(|noise| interval.widened(noise));
        let seeds = common_seeds(&[a, b]);
        let mut agreeing = 0;
        for &seed in &seeds {
            let one = self.of_seeds(&[a, b], &[seed], at)?;
            let difference: f64 = differences(&one).iter().sum();
            agreeing += usize::from(difference * interval.estimate >= 0.0);
        }
        Ok(Paired { interval, wide, users: means[0].len(), seeds: seeds.len(), agreeing })
    }

    /// `[settings][users]`: every test user's Recall@`at`, its mean over the seeds that all
    /// `settings` have.
    ///
    /// # Errors
    /// Says why they cannot be compared.
    pub fn means(&self, settings: &[&Setting], at: usize) -> Result<Vec<Vec<f64>>> {
        let seeds = common_seeds(settings);
        ensure!(!seeds.is_empty(), "no seed is done for all of them");
        self.of_seeds(settings, &seeds, at)
    }

    fn of_seeds(&self, settings: &[&Setting], seeds: &[u64], at: usize) -> Result<Vec<Vec<f64>>> {
        let n = self.at.iter().position(|&n| n == at).context("recall was not measured there")?;
        let mut first: Option<Rc<Users>> = None;
        let mut means = vec![];
        for setting in settings {
            let mut sum = vec![];
            for &seed in seeds {
                let point =
                    setting.done().find(|p| p.config.seed == seed).context("no such seed")?;
                let run = self.run(point)?;
                let like = first.get_or_insert_with(|| run.clone());
                ensure!(like.users == run.users, "{} was tested on other users", point.name);
                sum.resize(run.users.len(), 0.0);
                for (sum, value) in sum.iter_mut().zip(&run.recall[n]) {
                    *sum += value / seeds.len() as f64;
                }
            }
            means.push(sum);
        }
        Ok(means)
    }

    fn run(&self, point: &PointResult) -> Result<Rc<Users>> {
        if let Some(run) = self.runs.borrow().get(&point.id) {
            return Ok(run.clone());
        }
        let TargetRanks { users, ranks } = RunFolder::open(&point.run)?.ranks()?;
        let at_n = |&at: &usize| ranks.iter().map(|ranks| of_user(recall(at), ranks)).collect();
        let run = Rc::new(Users { users, recall: self.at.iter().map(at_n).collect() });
        self.runs.borrow_mut().insert(point.id.clone(), run.clone());
        Ok(run)
    }
}

/// The standard deviation that seeds give to the difference of two settings' means of `metric`:
/// by their own spread where all of them have several seeds, else by the `pooled` one.
pub fn difference_noise(settings: &[&Setting], metric: Metric, pooled: Option<f64>) -> Option<f64> {
    let seeds = common_seeds(settings).len().max(1);
    let own = if seeds > 1 { seed_noise(settings.iter().copied(), metric) } else { None };
    Some(own.or(pooled)? * (2.0 / seeds as f64).sqrt())
}

/// The standard deviation of `metric` from seed to seed, pooled over those of `settings` that have
/// several.
pub fn seed_noise<'a>(
    settings: impl Iterator<Item = &'a Setting<'a>>,
    metric: Metric,
) -> Option<f64> {
    let mut squares = 0.0;
    let mut freedom = 0;
    for setting in settings {
        let values = setting.test(metric);
        if let Some((_, Some(sd))) = mean_sd(&values) {
            squares += sd * sd * (values.len() - 1) as f64;
            freedom += values.len() - 1;
        }
    }
    (freedom > 0).then(|| (squares / freedom as f64).sqrt())
}

/// The seeds that are done for every one of `settings`, ascending.
pub fn common_seeds(settings: &[&Setting]) -> Vec<u64> {
    let has = |setting: &Setting, seed| setting.done().any(|p| p.config.seed == seed);
    let Some(first) = settings.first() else { return vec![] };
    let mut seeds: Vec<u64> = first.done().map(|p| p.config.seed).collect();
    seeds.retain(|&seed| settings.iter().all(|s| has(s, seed)));
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LossKind;
    use crate::report::exhibits::Table2;
    use crate::report::published::Published;
    use crate::report::sample;

    /// Cross-entropy finds the one target of 3 of 4 users in both seeds, BPR of 1 and of 2: the
    /// mean differences by user are 0, 1, 0.5 and 0.
    #[test]
    fn users_are_paired_and_seeds_averaged() {
        let dir = tempfile::tempdir().unwrap();
        let mut points = sample::points();
        points.retain(|p| matches!(p.config.loss.kind, LossKind::CrossEntropy | LossKind::Bpr));
        let ranks = |found: [u64; 4]| found.map(|found| if found == 1 { 3 } else { 900 });
        for point in &mut points {
            let found = match (point.config.loss.kind, point.config.seed) {
                (LossKind::CrossEntropy, _) => [1, 1, 1, 0],
                (_, 1) => [1, 0, 0, 0],
                _ => [1, 0, 1, 0],
            };
            sample::save_ranks(point, dir.path(), &ranks(found));
        }
        let study = Study::of(&points).unwrap();
        let table = Table2::of(&study, &Published::default());
        let (a, b) = (table.cross_entropy.unwrap(), table.bpr.unwrap());
        let got = Recalls::new(&study).compare(a, b, 50).unwrap();
        assert_eq!((got.users, got.seeds, got.agreeing), (4, 2, 2));
        assert_eq!(got.interval, Interval::of_mean(&[0.0, 1.0, 0.5, 0.0]).unwrap());
        assert!(!got.better() && !got.worse());
    }

    /// Variances of 0.0002 and 0 with one degree of freedom each: a standard deviation of 0.01.
    #[test]
    fn the_noise_of_seeds_is_pooled_over_settings() {
        let of = |kind: &str, seed, value| {
            sample::point(&format!("kind = \"{kind}\""), seed, &[("recall@50", value)])
        };
        let points = [
            of("bpr", 1, 0.10),
            of("bpr", 2, 0.12),
            of("triplet", 1, 0.2),
            of("triplet", 2, 0.2),
            of("cross-entropy", 1, 0.9),
        ];
        let study = Study::of(&points).unwrap();
        assert!((seed_noise(study.settings.iter(), recall(50)).unwrap() - 0.01).abs() < 1e-12);
        let single = Study::of(&points[3..]).unwrap();
        assert_eq!(seed_noise(single.settings.iter(), recall(50)), None);
        // Two common seeds: √(2/2) · 0.01; relative to the lowest recall of 0.11.
        let recalls = Recalls::new(&study);
        let pair = [&study.settings[0], &study.settings[1]];
        assert!((recalls.noise(&pair, 50).unwrap() - 0.01).abs() < 1e-12);
        let relative = recalls.relative_noise(&pair, [50, 50]).unwrap();
        assert!((relative - 2f64.sqrt() * 0.01 / 0.11).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let points = sample::points();
        let study = Study::of(&points).unwrap();
        let (a, b) = (&study.settings[0], &study.settings[1]);
        let error = Recalls::new(&study).compare(a, b, 50).unwrap_err();
        assert!(format!("{error:#}").contains("run folder"), "{error:#}");
    }
}
