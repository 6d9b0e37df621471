//! Speed on random data made on the spot, so that it can be measured anywhere and compared with
//! other programs: `croloss bench`.

mod rank;
mod session_step;
mod step;
mod steps;

pub use rank::RankBench;
pub use session_step::SessionStepBench;
pub use step::StepBench;
pub use steps::{StepTimes, WARM_UP, taken};
