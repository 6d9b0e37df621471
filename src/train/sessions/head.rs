//! From the positions' vectors to the loss and its gradients, by tensor ops on any device.

use tch::{Kind, Tensor};

use super::objective::Objective;
use crate::config::{Config, LogQ, Reject};
use crate::sampling::{Expected, SessionBatch};
use crate::tower::TwoTower;

/// Numbers that the scores of a tile of positions may take: 64 MiB of float32.
const TILE: i64 = 1 << 24;

/// Scores and loss of a session model.
pub struct Head {
    objective: Objective,
    /// What inner products are multiplied with.
    factor: f64,
    top_k: i64,
    reject: Reject,
    /// `[items + 1]`: for the log-q correction.
    log_counts: Option<Tensor>,
}

/// The loss of a batch and its gradients.
pub struct Outcome {
    /// A scalar on the run's device.
    pub loss: Tensor,
    /// `[positions, dim]`: of the positions' vectors.
    pub vectors: Tensor,
    /// `[scored, dim]`: of the rows that scores were taken with; or of those of `touched`.
    pub scored: Tensor,
    /// Item ids of the rows with a gradient, where `scored` holds only these.
    pub touched: Option<Tensor>,
}

/// What scores of a tile are taken from.
struct Tile<'a> {
    batch: &'a SessionBatch,
    from: i64,
    count: i64,
    /// `[count, dim]`
    vectors: Tensor,
    /// `[scored, dim]`
    candidates: Tensor,
    /// `[sessions, scored]` bool, where own items are rejected.
    own: Option<&'a Tensor>,
}

impl Head {
    /// The head of a checked configuration, for a model of `counts.len()` items with as many
    /// clicks in the training sessions.
    pub fn new(config: &Config, model: &TwoTower, counts: &[u64]) -> Self {
        let sampling = &config.sampling;
        let corrected = config.loss.log_q() != LogQ::None;
        let log_counts = || {
            let log_counts = Expected::log_counts(&sampling.negatives, counts);
            Tensor::from_slice(&log_counts).to_device(model.items.weights().device())
        };
        Self {
            objective: Objective::new(config, counts.len()),
            factor: config.tower.factor(),
            top_k: sampling.top_k as i64,
            reject: sampling.reject,
            log_counts: corrected.then(log_counts),
        }
    }

    /// Loss and gradients at `vectors` `[positions, dim]`, rows of the table being in the present.
    pub fn run(&self, model: &TwoTower, vectors: &Tensor, batch: &SessionBatch) -> Outcome {
        let rows = model.scored().gather(&batch.scored).set_requires_grad(true);
        let own = (self.reject == Reject::Session).then(|| batch.own_items());
        let positions = batch.positions();
        let mut outcome = Outcome {
            loss: Tensor::zeros([], (vectors.kind(), vectors.device())),
            vectors: vectors.zeros_like(),
            scored: rows.detach().zeros_like(),
            touched: None,
        };
        let tile = self.positions_a_tile(batch, rows.size()[1]);
        for from in (0..positions).step_by(tile as usize) {
            let count = tile.min(positions - from);
            let leaf = vectors.narrow(0, from, count).detach().set_requires_grad(true);
            let tile = Tile {
                batch,
                from,
                count,
                vectors: &leaf * self.factor,
                candidates: model.candidates(&rows),
                own: own.as_ref(),
            };
            let share = count as f64 / positions as f64;
            let loss = self.tile_loss(&tile) * share;
            let gradients = Tensor::run_backward(&[&loss], &[&leaf, &rows], false, false);
            outcome.loss += loss.detach();
            outcome.vectors.narrow(0, from, count).copy_(&gradients[0]);
            outcome.scored += &gradients[1];
        }
        outcome
    }

    /// Positions whose scores, and the rows gathered for them, fit the bound of a tile.
    fn positions_a_tile(&self, batch: &SessionBatch, dim: i64) -> i64 {
        let shared = batch.shared.size()[0];
        let gathered = batch.candidates() - shared + self.top_k;
        (TILE / (shared + gathered * dim).max(1)).max(1)
    }

    /// What inner products are multiplied with.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Which candidates are no rivals.
    pub fn reject(&self) -> Reject {
        self.reject
    }

    /// The loss as a function of scores.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// `[scored]`: what the log-q correction reads, where it is switched on.
    pub fn log_counts(&self, batch: &SessionBatch) -> Option<Tensor> {
        self.log_counts.as_ref().map(|log_counts| log_counts.index_select(0, &batch.scored))
    }

    fn tile_loss(&self, tile: &Tile) -> Tensor {
        let targets = tile.of_positions(&tile.batch.targets);
        let own = tile.candidates.index_select(0, &targets);
        let positive = (&tile.vectors * own).sum_dim_intlist(1, false, None::<Kind>);
        let (negative, slots) = match self.top_k {
            0 => (self.all(tile, &targets), None),
            k => {
                let (best, slots) = self.best(tile, &targets, k);
                (best, Some(slots))
            }
        };
        let log_counts = self.log_counts(tile.batch).map(|of_scored| {
            let slots = slots.unwrap_or_else(|| tile.all_slots());
            of_scored.index_select(0, &slots.view([-1])).view_as(&slots)
        });
        self.objective.loss(&positive, &negative, tile.batch.candidates() as f64, log_counts)
    }

    /// `[count, candidates]`: the scores of all candidates, −∞ where one is rejected.
    fn all(&self, tile: &Tile, targets: &Tensor) -> Tensor {
        let shared = tile.vectors.matmul(&tile.shared_vectors().tr());
        let mut parts = vec![self.without_rejected(shared, tile, &tile.batch.shared, targets)];
        for slots in tile.gathered_slots() {
            let scores = tile.scores_of(&slots);
            parts.push(self.without_rejected(scores, tile, &slots, targets));
        }
        Tensor::cat(&parts, 1)
    }

    /// The k best candidates of each position: scores `[count, k]`, −∞ where fewer count, and
    /// slots `[count, k]`. Which they are is found without gradients.
    fn best(&self, tile: &Tile, targets: &Tensor, k: i64) -> (Tensor, Tensor) {
        let (best, slots) = {
            let _guard = tch::no_grad_guard();
            let (best, places) = self.all(tile, targets).topk(k, 1, true, false);
            (best, tile.all_slots().gather(1, &places, false))
        };
        let scores = tile.scores_of(&slots);
        (scores.masked_fill(&best.isneginf(), f64::NEG_INFINITY), slots)
    }

    /// −∞ in place of the scores of what is rejected; `slots` `[candidates]` or `[count,
    /// candidates]`.
    fn without_rejected(
        &self,
        scores: Tensor,
        tile: &Tile,
        slots: &Tensor,
        targets: &Tensor,
    ) -> Tensor {
        let rejected = match (self.reject, tile.own) {
            (Reject::None, _) => return scores,
            (Reject::Session, Some(own)) => {
                let session = tile.of_positions(&tile.batch.session);
                match slots.dim() {
                    1 => own.index_select(1, slots).index_select(0, &session),
                    _ => own.index_select(0, &session).gather(1, slots, false),
                }
            }
            _ => slots.eq_tensor(&targets.unsqueeze(1)),
        };
        scores.masked_fill(&rejected, f64::NEG_INFINITY)
    }
}

impl Tile<'_> {
    /// The part of `[positions, …]` that is this tile's.
    fn of_positions(&self, of_all: &Tensor) -> Tensor {
        of_all.narrow(0, self.from, self.count)
    }

    /// `[shared, dim]`
    fn shared_vectors(&self) -> Tensor {
        self.candidates.index_select(0, &self.batch.shared)
    }

    /// Slots `[count, n]` of candidates that are not shared by the batch.
    fn gathered_slots(&self) -> Vec<Tensor> {
        let session = self.of_positions(&self.batch.session);
        let of_session = self.batch.of_session.index_select(0, &session);
        let own = [of_session, self.of_positions(&self.batch.of_position)];
        own.into_iter().filter(|slots| slots.numel() > 0).collect()
    }

    /// Slots `[count, candidates]` of all candidates.
    fn all_slots(&self) -> Tensor {
        let shared = self.batch.shared.unsqueeze(0).expand([self.count, -1], false);
        let mut parts = vec![shared];
        parts.extend(self.gathered_slots());
        Tensor::cat(&parts, 1)
    }

    /// Scores of the candidates in `slots` `[count, n]`.
    fn scores_of(&self, slots: &Tensor) -> Tensor {
        let size = slots.size();
        let rows = self.candidates.index_select(0, &slots.reshape([-1]));
        let rows = rows.view([size[0], size[1], -1]);
        rows.matmul(&self.vectors.unsqueeze(-1)).squeeze_dim(-1)
    }
}
