//! The recall of test users, one by one, from the ranks that runs left, and comparisons by it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};

use super::paper_row::row_of;
use crate::eval::of_user;
use crate::report::shared::paired_difference::{
    PairedDifference, common_seeds, difference_noise, seed_noise,
};
use crate::report::shared::statistics::{Interval, Noise};
use crate::report::shared::study::{Study, Variant, recall};
use crate::sweep::PointResult;
use crate::train::{RunFolder, TargetRanks};

/// The recall of every test user of one run, at every list length.
struct Users {
    users: Vec<u32>,
    /// `[at][users]`
    recall: Vec<Vec<f64>>,
}

/// Reads the ranks of runs when they are first asked for, and keeps what comparisons need.
pub struct UserRecalls {
    at: Vec<usize>,
    /// `[at]`: how recall differs from seed to seed.
    noise: Vec<Option<Noise>>,
    runs: RefCell<HashMap<String, Rc<Users>>>,
}

impl UserRecalls {
    /// For the variants of `study` and its list lengths.
    pub fn new(study: &Study) -> Self {
        let paper = || study.variants.iter().filter(|variant| row_of(variant).is_some());
        let noise = study.at.iter().map(|&at| seed_noise(paper(), recall(at))).collect();
        Self { at: study.at.clone(), noise, runs: RefCell::default() }
    }

    /// What seeds give to the difference of two variants' Recall@`at`: by their own spread where all
    /// of them have several seeds (losses differ in it), else by that of the whole study. `None`
    /// where no variant has several seeds.
    fn noise(&self, variants: &[&Variant], at: usize) -> Option<Noise> {
        let n = self.at.iter().position(|&n| n == at)?;
        difference_noise(variants, recall(at), self.noise.get(n).copied().flatten())
    }

    /// The same for the difference between two list lengths of the relative difference of a variant
    /// and another one, or the mean of several; on the safe side, as if the two lengths had nothing
    /// in common and a mean spread as one does.
    pub fn relative_noise(&self, variants: &[&Variant], at: [usize; 2]) -> Option<Noise> {
        let of = |at| {
            let recalls: Option<Vec<f64>> = variants.iter().map(|v| v.recall(at)).collect();
            let lowest = recalls?.into_iter().fold(f64::INFINITY, f64::min);
            let noise = self.noise(variants, at)?.times(1.0 / lowest);
            Some(noise).filter(|noise| noise.sd.is_finite())
        };
        let [one, two] = [of(at[0])?, of(at[1])?];
        Some(Noise { sd: one.sd.hypot(two.sd), freedom: one.freedom.min(two.freedom) })
    }

    /// Recall@`at` of `a` minus that of `b`.
    ///
    /// # Errors
    /// Says why they cannot be compared: no common seed, no ranks, other test users.
    pub fn compare(&self, a: &Variant, b: &Variant, at: usize) -> Result<PairedDifference> {
        let means = self.means(&[a, b], at)?;
        let differences = |pair: &[Vec<f64>]| -> Vec<f64> {
            pair[0].iter().zip(&pair[1]).map(|(x, y)| x - y).collect()
        };
        let interval =
            Interval::of_mean(&differences(&means)).context("fewer than two test users")?;
        let of_seed = |&seed: &u64| -> Result<f64> {
            Ok(differences(&self.of_seeds(&[a, b], &[seed], at)?).iter().sum())
        };
        let seeds = common_seeds(&[a, b]);
        let of_seeds = seeds.iter().map(of_seed).collect::<Result<Vec<f64>>>()?;
        let noise = self.noise(&[a, b], at);
        Ok(PairedDifference::new(interval, noise, means[0].len(), &of_seeds))
    }

    /// `[variants][users]`: every test user's Recall@`at`, its mean over the seeds that all
    /// `variants` have.
    ///
    /// # Errors
    /// Says why they cannot be compared.
    pub fn means(&self, variants: &[&Variant], at: usize) -> Result<Vec<Vec<f64>>> {
        let seeds = common_seeds(variants);
        ensure!(!seeds.is_empty(), "no seed is done for all of them");
        self.of_seeds(variants, &seeds, at)
    }

    fn of_seeds(&self, variants: &[&Variant], seeds: &[u64], at: usize) -> Result<Vec<Vec<f64>>> {
        let n = self.at.iter().position(|&n| n == at).context("recall was not measured there")?;
        let mut first: Option<Rc<Users>> = None;
        let mut means = vec![];
        for variant in variants {
            let mut sum = vec![];
            for &seed in seeds {
                let point =
                    variant.done().find(|p| p.config.seed == seed).context("no such seed")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LossKind;
    use crate::report::croloss::exhibits::Table2;
    use crate::report::croloss::published::Published;
    use crate::report::shared::fixtures;

    /// Cross-entropy finds the one target of 3 of 4 users in both seeds, BPR of 1 and of 2: the
    /// mean differences by user are 0, 1, 0.5 and 0.
    #[test]
    fn users_are_paired_and_seeds_averaged() {
        let dir = tempfile::tempdir().unwrap();
        let mut points = fixtures::points();
        points.retain(|p| matches!(p.config.loss.kind(), LossKind::CrossEntropy | LossKind::Bpr));
        let ranks = |found: [u64; 4]| found.map(|found| if found == 1 { 3 } else { 900 });
        for point in &mut points {
            let found = match (point.config.loss.kind(), point.config.seed) {
                (LossKind::CrossEntropy, _) => [1, 1, 1, 0],
                (_, 1) => [1, 0, 0, 0],
                _ => [1, 0, 1, 0],
            };
            fixtures::save_ranks(point, dir.path(), &ranks(found));
        }
        let study = Study::of(&points).unwrap();
        let table = Table2::of(&study, &Published::default());
        let (a, b) = (table.cross_entropy.unwrap(), table.bpr.unwrap());
        let got = UserRecalls::new(&study).compare(a, b, 50).unwrap();
        assert_eq!((got.users, got.seeds, got.agreeing), (4, 2, 2));
        assert_eq!(got.interval, Interval::of_mean(&[0.0, 1.0, 0.5, 0.0]).unwrap());
        assert!(!got.better() && !got.worse());
    }

    /// Variances of 0.0002 and 0 with one degree of freedom each: a standard deviation of 0.01 with
    /// two.
    #[test]
    fn the_noise_of_seeds_is_pooled_over_variants() {
        let of = |kind: &str, seed, value| {
            fixtures::point(&format!("kind = \"{kind}\""), seed, &[("recall@50", value)])
        };
        let points = [
            of("bpr", 1, 0.10),
            of("bpr", 2, 0.12),
            of("triplet", 1, 0.2),
            of("triplet", 2, 0.2),
            of("cross-entropy", 1, 0.9),
        ];
        let study = Study::of(&points).unwrap();
        let is = |noise: Option<Noise>, sd: f64| {
            noise.is_some_and(|noise| (noise.sd - sd).abs() < 1e-12 && noise.freedom == 2)
        };
        assert!(is(seed_noise(study.variants.iter(), recall(50)), 0.01));
        let single = Study::of(&points[3..]).unwrap();
        assert_eq!(seed_noise(single.variants.iter(), recall(50)), None);
        // Two common seeds: √(2/2) · 0.01; relative to the lowest recall of 0.11.
        let recalls = UserRecalls::new(&study);
        let pair = [&study.variants[0], &study.variants[1]];
        assert!(is(recalls.noise(&pair, 50), 0.01));
        assert!(is(recalls.relative_noise(&pair, [50, 50]), 2f64.sqrt() * 0.01 / 0.11));
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let points = fixtures::points();
        let study = Study::of(&points).unwrap();
        let (a, b) = (&study.variants[0], &study.variants[1]);
        let error = UserRecalls::new(&study).compare(a, b, 50).unwrap_err();
        assert!(format!("{error:#}").contains("run folder"), "{error:#}");
    }
}
