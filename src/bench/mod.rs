//! Speed on random data made on the spot, so that it can be measured anywhere and compared with
//! other programs: `croloss bench`.

mod rank;
mod session_step;
mod step;

pub use rank::RankBench;
pub use session_step::SessionStepBench;
pub use step::StepBench;

/// Steps before the first that counts.
const WARM_UP: u64 = 5;

/// The median, which a few disturbed steps do not move.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
