//! From plain scores to the loss.

use tch::{Kind, Tensor};

use crate::config::Config;
use crate::device::{self, Kernels, memory};
use crate::host::candidates::{ScoreLoss, Slopes};
use crate::host::simd::Level;
use crate::loss::{self, Loss, LossRows, Scores};
use crate::model::Scoring;

/// A loss over the activated scores of candidates out of a catalogue.
pub struct Objective {
    loss: Box<dyn Loss>,
    /// The same by kernels of a GPU.
    rows: Option<LossRows>,
    scoring: Scoring,
}

impl Objective {
    /// That of a configuration.
    pub fn new(config: &Config) -> Self {
        let (loss, rows) = (loss::build(&config.loss), LossRows::new(&config.loss));
        Self { loss, rows, scoring: Scoring::new(&config.tower) }
    }

    /// The mean loss of queries, from inner products `[queries]` and `[queries, n]`, −∞ where a
    /// candidate does not count; `catalogue` is N, `drawn` M, `log_counts` as [`Scores`] has them.
    pub fn loss(
        &self,
        positive: &Tensor,
        negative: &Tensor,
        (catalogue, drawn): (f64, f64),
        log_counts: Option<Tensor>,
    ) -> Tensor {
        self.loss.loss(&self.activated([positive, negative], (catalogue, drawn), log_counts))
    }

    /// [`Objective::loss`] of a share of all queries, with its gradients of `leaves`.
    pub fn gradients(
        &self,
        inner: [&Tensor; 2],
        sizes: (f64, f64),
        log_counts: Option<Tensor>,
        share: f64,
        leaves: &[&Tensor],
    ) -> (Tensor, Vec<Tensor>) {
        let scores = self.activated(inner, sizes, log_counts);
        let Scores { positive, negative, .. } = &scores;
        if let (Some(kernels), Some(rows)) = (Kernels::of(negative), &self.rows) {
            let own = rows.slopes(kernels, &scores, share / positive.size()[0] as f64);
            let slopes = [&own.positive, &own.negative];
            return (own.loss, device::backward(&[positive, negative], &slopes, leaves));
        }
        let mut loss = self.loss.loss(&scores);
        if share < 1.0 {
            loss = &loss * share;
        }
        let gradients = Tensor::run_backward(&[&loss], leaves, false, false);
        (loss.detach(), gradients)
    }

    fn activated(
        &self,
        inner: [&Tensor; 2],
        (catalogue, drawn): (f64, f64),
        log_counts: Option<Tensor>,
    ) -> Scores {
        let [positive, negative] = inner.map(|scores| self.scoring.activate(scores));
        Scores { positive, negative, catalogue, drawn, log_counts }
    }
}

/// An objective over host memory, for a catalogue of N items.
pub struct HostObjective<'a> {
    pub objective: &'a Objective,
    pub catalogue: f64,
}

impl ScoreLoss for HostObjective<'_> {
    fn slopes(
        &self,
        _: Level,
        share: f64,
        positive: &[f32],
        negative: &[f32],
        drawn: f64,
        log_counts: Option<&[f32]>,
    ) -> Slopes {
        let count = positive.len() as i64;
        let matrix = |values: &[f32]| Tensor::from_slice(values).view([count, -1]);
        let leaves = [Tensor::from_slice(positive), matrix(negative)];
        let [own, rivals] = leaves.map(|leaf| leaf.set_requires_grad(true));
        let sizes = (self.catalogue, drawn);
        let loss = self.objective.loss(&own, &rivals, sizes, log_counts.map(matrix)) * share;
        let gradients = Tensor::run_backward(&[&loss], &[&own, &rivals], false, false);
        let [own, mut rivals] =
            [0, 1].map(|at| memory::floats(&gradients[at].contiguous()).to_vec());
        // What does not count has no slope, though a loss's own may be 0·∞ there.
        for (slope, score) in rivals.iter_mut().zip(negative) {
            if *score == f32::NEG_INFINITY {
                *slope = 0.0;
            }
        }
        let loss = loss.to_kind(Kind::Double).double_value(&[]);
        Slopes { loss, positive: own, negative: rivals }
    }
}
