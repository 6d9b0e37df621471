//! A claim of a paper and its answer, and the words for the numbers that this rests on.

use anyhow::Result;

use super::paired_difference::PairedDifference;
use super::statistics::Interval;
use super::table::signed;

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    DoesNotHold,
    NotDecided,
}

impl Verdict {
    pub fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::NotDecided => "not decided on this data",
        }
    }
}

/// One claim of a paper.
#[derive(Clone, Debug)]
pub struct Claim {
    pub statement: String,
    /// How the answer is found.
    pub rule: String,
    pub verdict: Verdict,
    /// What the answer rests on, or what is missing for one.
    pub numbers: Vec<String>,
}

/// Does not hold where a sign is negative, else holds where one is positive.
pub fn any_up_none_down(signs: &[i8]) -> Verdict {
    match () {
        () if signs.iter().any(|&s| s < 0) => Verdict::DoesNotHold,
        () if signs.iter().any(|&s| s > 0) => Verdict::Holds,
        () => Verdict::NotDecided,
    }
}

/// Holds for +1, does not hold for −1.
pub fn of_sign(sign: i8) -> Verdict {
    any_up_none_down(&[sign])
}

/// +1 where the first is better for certain, −1 where the second is, else 0, also where they could
/// not be compared.
pub fn sign(compared: &Result<PairedDifference>) -> i8 {
    compared.as_ref().map_or(0, |paired| i8::from(paired.better()) - i8::from(paired.worse()))
}

/// On which side of zero an interval lies; 0 where it holds zero.
pub fn sign_of(interval: &Interval) -> i8 {
    i8::from(interval.above_zero()) - i8::from(interval.below_zero())
}

/// `+0.52 points [+0.31, +0.73], p = 0.0004; with seeds [+0.25, +0.79]; 3 of 3 seeds agree`, or why
/// they could not be compared.
pub fn compared_text(compared: &Result<PairedDifference>) -> String {
    let paired = match compared {
        Ok(paired) => paired,
        Err(error) => return format!("{error:#}"),
    };
    let users = points_text(Some(paired.interval));
    let seeds = paired.wide.map_or("; noise of seeds unknown".into(), |wide| {
        let wide = wide.times(100.0);
        format!("; with seeds [{}, {}]", signed(wide.low, 2), signed(wide.high, 2))
    });
    let agreeing = match paired.seeds {
        1 => "one seed".into(),
        seeds => format!("{} of {seeds} seeds agree", paired.agreeing),
    };
    format!("{users}, {}{seeds}; {agreeing}", p_text(paired.interval.p))
}

/// `p = 0.0123`, `p < 0.0001`
pub fn p_text(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".into() } else { format!("p = {p:.4}") }
}

/// `+0.52 points [+0.31, +0.73]` of shares.
pub fn points_text(interval: Option<Interval>) -> String {
    text(interval, " points")
}

/// `+0.52 % [+0.31, +0.73]` of shares.
pub fn percent_text(interval: Option<Interval>) -> String {
    text(interval, " %")
}

fn text(interval: Option<Interval>, unit: &str) -> String {
    let Some(Interval { estimate, low, high, .. }) = interval.map(|i| i.times(100.0)) else {
        return "unknown".into();
    };
    format!("{}{unit} [{}, {}]", signed(estimate, 2), signed(low, 2), signed(high, 2))
}
