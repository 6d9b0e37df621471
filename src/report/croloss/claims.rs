//! What the CROLoss paper claims, and whether it holds on this data.

use anyhow::Result;

use super::exhibits::{Table2, gains, kernels_at_one_alpha, sigmoid_over_alpha};
use super::paper_row::{alpha_text, row_label};
use super::user_recall::UserRecalls;
use crate::config::{Kernel, LossKind};
use crate::report::shared::claim::{
    Claim, Verdict, any_up_none_down, compared_text, of_sign, percent_text, points_text, sign,
    sign_of,
};
use crate::report::shared::statistics::Interval;
use crate::report::shared::study::{Study, Variant};

/// What the answers rest on: said above the claims.
pub const BASIS: &str = "Every answer rests on a 95 % interval of a paired difference over test users, widened by what other seeds would change: the standard deviation over seeds, that of the settings compared where each has several, else pooled over all settings that have, with Student's t for the few seeds that there are. Where none has, it covers users only and says so.";

/// Every claim of the paper, answered from these points.
pub fn claims(study: &Study, table2: &Table2, recalls: &UserRecalls) -> Vec<Claim> {
    let judge = Judge { study, recalls };
    let mut all: Vec<Claim> =
        table2.pairs()[..3].iter().map(|&(a, b, x, y)| judge.better(a, b, x, y)).collect();
    all.push(judge.lambda(table2));
    all.push(judge.best_alpha_falls());
    all.push(judge.exponential_loses());
    all.push(judge.alpha_lifts());
    all.push(judge.lifts_most_at_small_n());
    all.push(Claim {
        statement: "Online: item vectors are stored, a user's vector is computed per visit, and the top N come from a nearest-neighbour search".into(),
        rule: "A description of how the system serves; its gain is measured with visitors, not on a log.".into(),
        verdict: Verdict::NotDecided,
        numbers: vec!["no visitors here".into()],
    });
    all
}

struct Judge<'s, 'p> {
    study: &'s Study<'p>,
    recalls: &'s UserRecalls,
}

impl Judge<'_, '_> {
    fn better(&self, a: LossKind, b: LossKind, x: Option<&Variant>, y: Option<&Variant>) -> Claim {
        let at = self.study.deciding_at().unwrap_or(50);
        let statement = format!("{} finds more than {} (Table 2)", a.title(), b.title());
        let rule = format!(
            "Holds if the 95 % interval of the paired difference of Recall@{at} is above zero and every seed's difference is too; does not hold if both are below; else not decided."
        );
        let (signs, numbers) = self.all_n(x, y, &[at]);
        Claim {
            statement,
            rule,
            verdict: signs.first().copied().map_or(Verdict::NotDecided, of_sign),
            numbers,
        }
    }

    fn lambda(&self, table2: &Table2) -> Claim {
        let (signs, numbers) = self.all_n(table2.lambda, table2.cro, &self.study.at);
        Claim {
            statement: "The Lambda method is at least as good as the plain loss (Table 2)".into(),
            rule: "Over all N: does not hold if the paired 95 % interval is below zero, in every seed, at some N; holds if that is so at none and it is above zero, in every seed, at one at least; else not decided.".into(),
            verdict: any_up_none_down(&signs),
            numbers,
        }
    }

    /// The sign of `x` − `y` at each of `at`, and the numbers behind it.
    fn all_n(
        &self,
        x: Option<&Variant>,
        y: Option<&Variant>,
        at: &[usize],
    ) -> (Vec<i8>, Vec<String>) {
        let (Some(x), Some(y)) = (x, y) else {
            return (vec![], vec!["the sweep has no such pair of points".into()]);
        };
        let mut signs = vec![];
        let mut numbers = vec![format!("{} against {}", row_label(x), row_label(y))];
        for &at in at {
            let compared = self.recalls.compare(x, y, at);
            signs.push(sign(&compared));
            numbers.push(format!("Recall@{at}: {}", compared_text(&compared)));
        }
        (signs, numbers)
    }

    fn best_alpha_falls(&self) -> Claim {
        let all = sigmoid_over_alpha(self.study);
        let best = |at: usize| {
            let known = all.iter().filter_map(|(alpha, v)| Some((v.recall(at)?, *alpha, *v)));
            known.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, alpha, v)| (alpha, v))
        };
        let found: Vec<(usize, f64)> =
            self.study.at.iter().filter_map(|&at| Some((at, best(at)?.0))).collect();
        let done = all.iter().filter(|(_, v)| v.done().next().is_some()).count();
        let mut numbers: Vec<String> = found
            .iter()
            .map(|(at, alpha)| format!("best α at Recall@{at}: {}", alpha_text(*alpha)))
            .collect();
        let verdict = match (self.study.at.first(), self.study.at.last()) {
            (Some(&small), Some(&large)) if done >= 3 && small < large && done == all.len() => {
                match (best(small), best(large)) {
                    (Some(top), Some(bottom)) => {
                        self.falls(top, bottom, small, large, &mut numbers)
                    }
                    _ => Verdict::NotDecided,
                }
            }
            _ => {
                numbers.push(format!("{done} of {} points with the sigmoid kernel are done; it needs all, at least 3, at two N", all.len()));
                Verdict::NotDecided
            }
        };
        Claim {
            statement: "The best α falls as N grows, with the sigmoid kernel (Figure 4)".into(),
            rule: "Let A be the best α at the smallest N and B that at the largest. Holds if B < A and, by the paired 95 % intervals in every seed, A beats B at the smallest N and B beats A at the largest; does not hold if the same is true with B > A; else (also for A = B) not decided.".into(),
            verdict,
            numbers,
        }
    }

    fn falls(
        &self,
        top: (f64, &Variant),
        bottom: (f64, &Variant),
        small: usize,
        large: usize,
        numbers: &mut Vec<String>,
    ) -> Verdict {
        let ((a, first), (b, last)) = (top, bottom);
        if a == b {
            numbers.push("one α is the best at both ends".into());
            return Verdict::NotDecided;
        }
        let mut sure = true;
        for (x, y, at, alphas) in [(first, last, small, (a, b)), (last, first, large, (b, a))] {
            let of = format!(
                "α = {} against {} at Recall@{at}",
                alpha_text(alphas.0),
                alpha_text(alphas.1)
            );
            let compared = self.recalls.compare(x, y, at);
            sure &= sign(&compared) > 0;
            numbers.push(format!("{of}: {}", compared_text(&compared)));
        }
        match sure {
            true if b < a => Verdict::Holds,
            true => Verdict::DoesNotHold,
            false => Verdict::NotDecided,
        }
    }

    fn exponential_loses(&self) -> Claim {
        let (verdict, numbers) = match kernels_at_one_alpha(self.study) {
            Some((alpha, kernels)) if kernels.len() == 4 => {
                let text = format!("α = {}", alpha_text(alpha));
                self.exponential_against(&kernels).map_or_else(
                    |error| (Verdict::NotDecided, vec![format!("{error:#}")]),
                    |(verdict, numbers)| (verdict, [vec![text], numbers].concat()),
                )
            }
            _ => (Verdict::NotDecided, vec!["no α at which all four kernels are done".into()]),
        };
        Claim {
            statement: "The exponential kernel loses ground as N grows (Figure 3)".into(),
            rule: "Its recall relative to the mean of the other three kernels at the same α, at the largest N minus at the smallest: holds if its 95 % interval is below zero, does not hold if it is above; else not decided.".into(),
            verdict,
            numbers,
        }
    }

    fn exponential_against(
        &self,
        kernels: &[(Kernel, &Variant)],
    ) -> Result<(Verdict, Vec<String>)> {
        let variants: Vec<&Variant> = kernels.iter().map(|(_, v)| *v).collect();
        let is_exponential = |i: &usize| kernels[*i].0 == Kernel::Exponential;
        let mut of_n = vec![];
        let mut numbers = vec![];
        for &at in &self.study.at {
            let means = self.recalls.means(&variants, at)?;
            let mut own = vec![0.0; means[0].len()];
            let mut others = own.clone();
            for (i, users) in means.iter().enumerate() {
                let (to, share) =
                    if is_exponential(&i) { (&mut own, 1.0) } else { (&mut others, 1.0 / 3.0) };
                to.iter_mut().zip(users).for_each(|(sum, value)| *sum += share * value);
            }
            let ratio = Interval::of_ratio(&own, &others);
            numbers.push(format!("Recall@{at} relative to the others: {}", percent_text(ratio)));
            of_n.push((own, others));
        }
        let [(own_small, others_small), .., (own_large, others_large)] = of_n.as_slice() else {
            return Ok((Verdict::NotDecided, vec!["only one N was measured".into()]));
        };
        let change =
            Interval::of_ratio_change([own_large, others_large], [own_small, others_small]);
        let ends = [self.study.at[0], self.study.at[of_n.len() - 1]];
        let (change, said) = self.with_seeds(change, &variants, ends);
        numbers.push(format!(
            "change from the smallest to the largest N: {}{said}",
            points_text(change)
        ));
        Ok((change.map_or(Verdict::NotDecided, |c| of_sign(-sign_of(&c))), numbers))
    }

    /// A change between two list lengths, widened by the noise of seeds where it is known, and what
    /// is said of that.
    fn with_seeds(
        &self,
        change: Option<Interval>,
        variants: &[&Variant],
        at: [usize; 2],
    ) -> (Option<Interval>, &'static str) {
        match self.recalls.relative_noise(variants, at) {
            Some(noise) => (change.map(|change| change.widened(noise)), ", with seeds"),
            None => (change, "; noise of seeds unknown"),
        }
    }

    fn alpha_lifts(&self) -> Claim {
        let found = gains(self.study);
        let mut signs = vec![];
        let mut numbers = missing_gains(&found);
        for (kernel, zero, first) in &found {
            for &at in &self.study.at {
                let of = format!("{}, Recall@{at}", kernel.name());
                let compared = self.recalls.compare(first, zero, at);
                signs.push(sign(&compared));
                numbers.push(format!("{of}: {}", compared_text(&compared)));
            }
        }
        Claim {
            statement: "α = 1 instead of 0 lifts the hinge and the softplus kernel (Figure 5)".into(),
            rule: "Holds if, for both kernels and at every N, the paired 95 % interval of the difference is above zero in every seed; does not hold if it is below zero, in every seed, for a kernel at some N; else not decided.".into(),
            verdict: up_for_both(found.len(), &signs),
            numbers,
        }
    }

    fn lifts_most_at_small_n(&self) -> Claim {
        let found = gains(self.study);
        let mut numbers = missing_gains(&found);
        let mut signs = vec![];
        for (kernel, zero, first) in &found {
            let name = kernel.name();
            match self.gain_falls([*first, *zero]) {
                Ok((sign, text)) => {
                    signs.push(sign);
                    numbers.push(format!("{name}: {text}"));
                }
                Err(error) => {
                    signs.push(0);
                    numbers.push(format!("{name}: {error:#}"));
                }
            }
        }
        Claim {
            statement: "That lift is largest at small N (Figure 5)".into(),
            rule: "The relative gain at the smallest N minus that at the largest: holds if its 95 % interval is above zero for both kernels, does not hold if it is below zero for one; else not decided.".into(),
            verdict: up_for_both(found.len(), &signs),
            numbers,
        }
    }

    /// The sign of the gain at the smallest N minus that at the largest, and the numbers behind it.
    fn gain_falls(&self, pair: [&Variant; 2]) -> Result<(i8, String)> {
        let (Some(&small), Some(&large)) = (self.study.at.first(), self.study.at.last()) else {
            anyhow::bail!("no recall was measured");
        };
        let [at_small, at_large] =
            [self.recalls.means(&pair, small)?, self.recalls.means(&pair, large)?];
        let gain = |m: &[Vec<f64>]| percent_text(Interval::of_ratio(&m[0], &m[1]));
        let change = (small < large)
            .then(|| {
                Interval::of_ratio_change(
                    [&at_small[0], &at_small[1]],
                    [&at_large[0], &at_large[1]],
                )
            })
            .flatten();
        let (change, said) = self.with_seeds(change, &pair, [small, large]);
        let text = format!(
            "{} at the smallest N, {} at the largest, difference {}{said}",
            gain(&at_small),
            gain(&at_large),
            points_text(change)
        );
        Ok((change.map_or(0, |c| sign_of(&c)), text))
    }
}

/// Holds where every sign of two `kernels` is positive, does not hold where one is negative.
fn up_for_both(kernels: usize, signs: &[i8]) -> Verdict {
    match () {
        () if kernels == 2 && signs.iter().all(|&s| s > 0) => Verdict::Holds,
        () if signs.iter().any(|&s| s < 0) => Verdict::DoesNotHold,
        () => Verdict::NotDecided,
    }
}

fn missing_gains(found: &[(Kernel, &Variant, &Variant)]) -> Vec<String> {
    let missing =
        [Kernel::Hinge, Kernel::Softplus].into_iter().filter(|k| found.iter().all(|f| f.0 != *k));
    missing.map(|k| format!("{}: the sweep has no points at α = 0 and α = 1", k.name())).collect()
}

#[cfg(test)]
mod tests;
