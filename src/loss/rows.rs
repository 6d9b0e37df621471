//! Losses with their slopes, row by row, by kernels of our own on a GPU.

use tch::{Kind, Tensor};

use super::{Scores, Weighting, norm};
use crate::config::{Estimator, Kernel, KernelShape, LogQ, LossConfig};
use crate::device::{Argument, Kernels, WARP};

use Argument::{Float, Int, Long, Maybe, Numbers};

/// A loss that is a function of each row's scores through sums.
#[derive(Clone, Copy, Debug)]
pub enum LossRows {
    Softmax(LogQ),
    Ranks(Ranks),
}

/// A sum of kernels φ of gaps, and what a row comes to by it.
#[derive(Clone, Copy, Debug)]
pub struct Ranks {
    /// φ₁ of the Lambda method.
    counting: Option<Kernel>,
    /// φ
    driving: Kernel,
    shape: KernelShape,
    /// W_α of the rank; not set: the mean of φ.
    weighting: Option<Weighting>,
}

/// A loss and its slopes.
pub struct Slopes {
    /// A scalar.
    pub loss: Tensor,
    /// `[queries]`
    pub positive: Tensor,
    /// `[queries, n]`: 0 where a negative does not count.
    pub negative: Tensor,
}

impl LossRows {
    /// The loss that a configuration describes; none where there is no kernel for it.
    pub fn new(config: &LossConfig) -> Option<Self> {
        let (driving, weighting) = match *config {
            LossConfig::CrossEntropy { log_q } => return Some(Self::Softmax(log_q)),
            LossConfig::Cro { kernel, alpha, estimator, .. }
            | LossConfig::CroLambda { kernel, alpha, estimator, .. } => {
                (kernel, Some(Weighting { alpha, estimator }))
            }
            // The triplet loss has none: its slopes are equal, so that sums of them may come to zero, and
            // Adam moves a weight by what rounding leaves of that.
            LossConfig::Bpr => (Kernel::Softplus, None),
            _ => return None,
        };
        let (counting, shape) = (config.rank_kernel(), config.shape());
        Some(Self::Ranks(Ranks { counting, driving, shape, weighting }))
    }

    /// The sum of the rows' losses, each times `share`, and its slopes; of scores in float32.
    pub fn slopes(&self, kernels: Kernels, scores: &Scores, share: f64) -> Slopes {
        let [positive, negative] = [&scores.positive, &scores.negative].map(Tensor::contiguous);
        let (queries, count) = negative.size2().expect("a row of negatives for each query");
        let of_rows = || Tensor::empty([queries], (Kind::Float, positive.device()));
        let (loss, of_positive) = (of_rows(), of_rows());
        let of_negative = Tensor::empty([queries, count], (Kind::Float, positive.device()));
        let into = [&loss, &of_positive, &of_negative].map(Numbers);
        let size = [Long(queries), Long(count)];
        let threads = queries * WARP;
        match self {
            Self::Softmax(log_q) => {
                let log_counts = scores.log_counts.as_ref().filter(|_| *log_q != LogQ::None);
                let log_counts = log_counts.map(Tensor::contiguous);
                let from = [Numbers(&positive), Numbers(&negative), Maybe(log_counts.as_ref())];
                let rest = [Int(i64::from(*log_q == LogQ::Corrected)), Float(share)];
                let arguments = from.into_iter().chain(into).chain(size).chain(rest);
                kernels.launch(c"croloss_softmax", threads, &arguments.collect::<Vec<_>>());
            }
            Self::Ranks(ranks) => {
                let from = [Numbers(&positive), Numbers(&negative)];
                let each = share / count as f64;
                let rest = ranks.arguments(scores, each).into_iter().chain([Float(share)]);
                let arguments = from.into_iter().chain(into).chain(size).chain(rest);
                kernels.launch(c"croloss_ranks", threads, &arguments.collect::<Vec<_>>());
            }
        }
        Slopes { loss: loss.sum(Kind::Float), positive: of_positive, negative: of_negative }
    }
}

impl Ranks {
    /// What `croloss_ranks` reads between the sizes and the share; `each`: of one gap.
    fn arguments(&self, scores: &Scores, each: f64) -> [Argument<'static>; 10] {
        let Self { counting, driving, shape, weighting } = *self;
        let parameter = |kernel: Kernel| Float(kernel.parameter(shape));
        let way = match (weighting, counting) {
            (None, _) => 0,
            (Some(_), None) => 1,
            (Some(_), Some(_)) => 2,
        };
        let mean = Weighting { alpha: 1.0, estimator: Estimator::ScaledRank };
        let weighting = weighting.unwrap_or(mean);
        let e = 1.0 - weighting.alpha;
        let scaled = match weighting.estimator {
            Estimator::ScaledRank => 0.0,
            Estimator::ScaledSum => scores.per_negative(),
        };
        let counting = counting.unwrap_or(driving);
        [
            Int(way),
            Int(counting as i64),
            Int(driving as i64),
            parameter(counting),
            parameter(driving),
            Float(each),
            Float(scaled),
            Float(e),
            Float(weighting.log_factor(scores)),
            Float(if e == 0.0 { 1.0 } else { norm(e, scores.catalogue) }),
        ]
    }
}
