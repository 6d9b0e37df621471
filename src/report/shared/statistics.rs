//! Means, spreads and paired comparisons.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean, and the sample standard deviation (n − 1) where there are several values.
pub fn mean_sd(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Some((mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())))
}

/// What an independent normal error adds to an estimate: its standard deviation, and the degrees of
/// freedom that this is estimated with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    pub sd: f64,
    /// At least 1.
    pub freedom: usize,
}

impl Noise {
    /// That of so many times the estimate.
    pub fn times(self, factor: f64) -> Self {
        Self { sd: self.sd * factor, ..self }
    }

    /// How far the 95 % interval of the error alone reaches, by Student's t: a few seeds say little
    /// of how far seeds spread.
    fn reach(self) -> f64 {
        let t =
            StudentsT::new(0.0, 1.0, self.freedom as f64).expect("one degree of freedom at least");
        t.inverse_cdf(0.975) * self.sd
    }
}

/// An estimate, its 95 % interval and the two-sided p of its being zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
    pub p: f64,
}

impl Interval {
    /// Student's t for the mean of paired differences; `None` for fewer than two.
    pub fn of_mean(differences: &[f64]) -> Option<Self> {
        let (mean, sd) = mean_sd(differences)?;
        Some(Self::around(mean, sd?, differences.len()))
    }

    /// `estimate` with the standard error `sd`/√n of `n` independent parts.
    fn around(estimate: f64, sd: f64, n: usize) -> Self {
        let error = sd / (n as f64).sqrt();
        let t = StudentsT::new(0.0, 1.0, (n - 1) as f64).ok().filter(|_| error > 0.0);
        let Some(t) = t else {
            let p = if estimate == 0.0 { 1.0 } else { 0.0 };
            return Self { estimate, low: estimate, high: estimate, p };
        };
        let reach = t.inverse_cdf(0.975) * error;
        let p = 2.0 * t.cdf(-(estimate / error).abs());
        Self { estimate, low: estimate - reach, high: estimate + reach, p }
    }

    /// The mean of things that come in groups, which are independent and their members are not: of
    /// each group the sum and the count.
    pub fn of_groups(sums: &[f64], counts: &[f64]) -> Option<Self> {
        let (mean, parts) = ratio(sums, counts)?;
        let (_, sd) = mean_sd(&parts)?;
        Some(Self::around(mean, sd?, parts.len()))
    }

    /// The ratio of two means over the same users, minus one.
    pub fn of_ratio(above: &[f64], below: &[f64]) -> Option<Self> {
        let (ratio, parts) = ratio(above, below)?;
        let (_, sd) = mean_sd(&parts)?;
        Some(Self::around(ratio - 1.0, sd?, parts.len()))
    }

    /// The difference of two such ratios, `first` − `second`, all four over the same users.
    pub fn of_ratio_change(first: [&[f64]; 2], second: [&[f64]; 2]) -> Option<Self> {
        let (one, one_parts) = ratio(first[0], first[1])?;
        let (two, two_parts) = ratio(second[0], second[1])?;
        let parts: Vec<f64> = one_parts.iter().zip(&two_parts).map(|(a, b)| a - b).collect();
        let (_, sd) = mean_sd(&parts)?;
        Some(Self::around(one - two, sd?, parts.len()))
    }

    /// The interval that also covers `noise`: its reach is the root of the sum of both squared
    /// reaches, which covers 95 % at least whatever the degrees of freedom of each (Banerjee, 1960).
    /// (p stays as it was.)
    pub fn widened(self, noise: Noise) -> Self {
        let wider = |reach: f64| reach.hypot(noise.reach());
        let Self { estimate, low, high, p } = self;
        let (low, high) = (estimate - wider(estimate - low), estimate + wider(high - estimate));
        Self { estimate, low, high, p }
    }

    /// The interval is wholly above zero.
    pub fn above_zero(&self) -> bool {
        self.low > 0.0
    }

    /// The interval is wholly below zero.
    pub fn below_zero(&self) -> bool {
        self.high < 0.0
    }

    /// All but p times `factor`, for percent.
    pub fn times(self, factor: f64) -> Self {
        let Self { estimate, low, high, p } = self;
        Self { estimate: estimate * factor, low: low * factor, high: high * factor, p }
    }
}

/// The ratio of two means and, by the delta method, each user's part in its error:
/// (a_u − ratio·b_u) / mean(b).
fn ratio(above: &[f64], below: &[f64]) -> Option<(f64, Vec<f64>)> {
    let (a, _) = mean_sd(above)?;
    let (b, _) = mean_sd(below).filter(|(b, _)| *b > 0.0)?;
    let ratio = a / b;
    Some((ratio, above.iter().zip(below).map(|(x, y)| (x - ratio * y) / b).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn spread_is_that_of_a_sample() {
        assert_eq!(mean_sd(&[]), None);
        assert_eq!(mean_sd(&[3.0]), Some((3.0, None)));
        assert_eq!(mean_sd(&[1.0, 2.0, 3.0]), Some((2.0, Some(1.0))));
    }

    /// Mean 2, sd √2.5, standard error √0.5, t = 2.828427 with 4 degrees of freedom; the 97.5 %
    /// point of t(4) is 2.776445 and the p of 2.828427 is 0.0474207.
    #[test]
    fn a_paired_t_test_computed_by_hand() {
        let got = Interval::of_mean(&[0.0, 1.0, 2.0, 3.0, 4.0]).unwrap();
        let reach = 2.776_445_105 * 0.5f64.sqrt();
        assert!(
            near(got.estimate, 2.0) && near(got.low, 2.0 - reach) && near(got.high, 2.0 + reach)
        );
        assert!((got.p - 0.047_420_7).abs() < 1e-5, "{}", got.p);
        assert!(got.above_zero() && !got.below_zero());
    }

    /// A reach of 3 (users), and of 2 (noise) times the 97.5 % point of t with 2, 4 and 10 degrees of
    /// freedom: √(9 + (2 · 4.302653)²), √(9 + (2 · 2.776445)²), √(9 + (2 · 2.228139)²).
    #[test]
    fn noise_widens_an_interval_the_more_the_fewer_seeds_it_is_known_by() {
        let narrow = Interval { estimate: 5.0, low: 2.0, high: 8.0, p: 0.01 };
        for (freedom, reach) in [(2, 9.113_248), (4, 6.311_465), (10, 5.372_003)] {
            let wide = narrow.widened(Noise { sd: 2.0, freedom });
            let off = [wide.low - (5.0 - reach), wide.high - (5.0 + reach)];
            assert!(off.iter().all(|off| off.abs() < 1e-5), "{freedom}: {wide:?}");
        }
        assert_eq!(narrow.widened(Noise { sd: 0.0, freedom: 1 }), narrow);
    }

    #[test]
    fn no_spread_and_too_few_values() {
        assert_eq!(Interval::of_mean(&[1.0]), None);
        assert_eq!(Interval::of_mean(&[0.0, 0.0]).unwrap().p, 1.0);
        let sure = Interval::of_mean(&[0.5, 0.5]).unwrap();
        assert_eq!((sure.low, sure.high, sure.p), (0.5, 0.5, 0.0));
    }

    /// 3/2 of a mean of 2 is 3: parts (a − 1.5·b)/2 = 0.25, −0.5, 0.25, whose sd is √0.1875.
    #[test]
    fn a_ratio_computed_by_hand() {
        let got = Interval::of_ratio(&[2.0, 2.0, 5.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!(near(got.estimate, 0.5));
        let reach = 4.302_652_73 * (0.1875f64 / 3.0).sqrt();
        assert!(near(got.high - 0.5, reach), "{} {reach}", got.high - 0.5);
        assert_eq!(Interval::of_ratio(&[1.0, 2.0], &[0.0, 0.0]), None);
    }

    /// Sums 2, 0 and 1 of counts 2, 1 and 3: the mean is 3/6, the parts (sum − count/2)/2 = 0.5,
    /// −0.25, −0.25 have the variance 0.1875.
    #[test]
    fn a_mean_over_groups_computed_by_hand() {
        let got = Interval::of_groups(&[2.0, 0.0, 1.0], &[2.0, 1.0, 3.0]).unwrap();
        let reach = 4.302_652_73 * (0.1875f64 / 3.0).sqrt();
        assert!(near(got.estimate, 0.5) && near(got.high - 0.5, reach), "{got:?}");
    }

    #[test]
    fn the_same_ratio_twice_does_not_change() {
        let (a, b) = ([2.0, 2.0, 5.0], [1.0, 2.0, 3.0]);
        let none = Interval::of_ratio_change([&a, &b], [&a, &b]).unwrap();
        assert_eq!((none.estimate, none.p), (0.0, 1.0));
    }
}
