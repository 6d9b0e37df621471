//! The step by tensor ops, on any device.

use tch::{Kind, Tensor};

use super::encode::{Encode, EncoderGradients, of_users};
use super::objective::Objective;
use super::{Plan, Step};
use crate::batch::Batch;
use crate::config::{Config, Reject};
use crate::device::Kernels;
use crate::model::{Items, Model, Scoring};
use crate::optim::Gradients;
use crate::profile::Profile;

/// Gradients by tensor ops.
pub struct TensorStep {
    encode: Encode,
    candidates: TensorCandidates,
}

impl TensorStep {
    /// For any encoder and any loss; `log_counts` `[items + 1]`.
    pub fn new(config: &Config, plan: &Plan, log_counts: Option<Tensor>) -> Self {
        Self {
            encode: Encode::new(config, plan, false),
            candidates: TensorCandidates::new(config, plan.tile(), log_counts),
        }
    }
}

impl Step for TensorStep {
    fn gradients(
        &mut self,
        model: &Model,
        items: &Items,
        batch: &Batch,
        step: u64,
        profile: &mut Profile,
    ) -> Gradients {
        let mut lap = profile.lap();
        let encoded = self.encode.forward(model, items, batch, step);
        profile.add("encoder", &mut lap);
        let own = self.candidates.run((model, items), &encoded.vectors(), batch);
        profile.add("scores and loss", &mut lap);
        let EncoderGradients { mut parameters, read, features } =
            self.encode.backward(model, batch, &encoded, &own.vectors);
        let mut tables = match batch.read_then_scored {
            true => items.gradients_of(&batch.rows, &read, &own.scored),
            false => {
                let (read, scored) = ((&batch.inputs, &read), (&batch.scored, &own.scored));
                items.row_gradients(read, scored)
            }
        };
        tables.extend(features.and_then(|of_queries| of_users(model, batch, &of_queries)));
        parameters.extend(own.repeats);
        profile.add("encoder backward", &mut lap);
        Gradients { loss: own.loss, parameters, tables }
    }
}

/// From the queries' vectors to the loss and its gradients; no matrix of all queries by all
/// candidates is made.
pub struct TensorCandidates {
    pub(super) objective: Objective,
    pub(super) scoring: Scoring,
    pub(super) top_k: i64,
    pub(super) reject: Reject,
    /// `[items + 1]`: for the log-q correction.
    pub(super) log_counts: Option<Tensor>,
    /// Numbers that the scores of a tile may take.
    pub(super) tile: i64,
}

/// The loss of a batch and its gradients.
pub struct ScoreGradients {
    /// A scalar on the run's device.
    pub loss: Tensor,
    /// `[queries, dim]`: of the queries' vectors.
    pub vectors: Tensor,
    /// `[scored, dim]`: of the rows that scores were taken with.
    pub scored: Tensor,
    /// Of the parameter of repeats, where they are on.
    pub repeats: Option<Tensor>,
}

/// What scores of a tile are taken from.
struct Tile<'a> {
    batch: &'a Batch,
    /// N
    catalogue: f64,
    from: i64,
    count: i64,
    /// `[count, dim]`
    vectors: Tensor,
    /// `[scored, dim]`
    candidates: Tensor,
    /// Of these the targets' `[count, dim]`, and those of shared candidates `[shared, dim]`.
    targets: Tensor,
    shared: Tensor,
    /// `[histories, scored]` bool, where own items are rejected.
    own: Option<&'a Tensor>,
    /// `[count, scored]`: what scores gain by repeats, where they are on.
    gains: Option<Tensor>,
}

impl TensorCandidates {
    /// That of a configuration; `tile` as [`Plan::tile`] has it.
    pub fn new(config: &Config, tile: i64, log_counts: Option<Tensor>) -> Self {
        Self {
            objective: Objective::new(config),
            scoring: Scoring::new(&config.tower),
            top_k: config.sampling.top_k as i64,
            reject: config.sampling.reject,
            log_counts,
            tile,
        }
    }

    /// Loss and gradients at `vectors` `[queries, dim]`, rows of the table being in the present.
    pub fn run(
        &self,
        (model, items): (&Model, &Items),
        vectors: &Tensor,
        batch: &Batch,
    ) -> ScoreGradients {
        let rows = items.scored().gather(&batch.scored).set_requires_grad(true);
        if let (Some(kernels), 1.., None) = (Kernels::of(vectors), self.top_k, &batch.repeats) {
            return self.best_by_kernels(kernels, model.items.len() as f64, vectors, &rows, batch);
        }
        let own = (self.reject == Reject::Session).then(|| batch.own_items());
        let queries = batch.query_count();
        let repeats = model.repeats.as_ref().zip(batch.repeats.as_ref());
        let parameter = model.repeats.as_ref().map(|repeats| repeats.parameter().1);
        let tile = self.queries_a_tile(batch, rows.size()[1]);
        let of_tile = |from: i64| {
            let count = tile.min(queries - from);
            let leaf = vectors.narrow(0, from, count).detach().set_requires_grad(true);
            let candidates = self.scoring.items(&rows);
            let [targets, shared] = batch.targets_and_shared(&candidates, from, count);
            let tile = Tile {
                batch,
                catalogue: model.items.len() as f64,
                from,
                count,
                vectors: &leaf * self.scoring.factor(),
                candidates,
                targets,
                shared,
                own: own.as_ref(),
                gains: repeats
                    .map(|(repeats, own)| own.gains(repeats, from, count, rows.size()[0])),
            };
            let leaves = [&leaf, &rows].into_iter().chain(&parameter);
            let leaves: Vec<&Tensor> = leaves.collect();
            let (loss, gradients) =
                self.tile_gradients(&tile, count as f64 / queries as f64, &leaves);
            let mut gradients = gradients.into_iter();
            let mut next = || gradients.next().expect("one gradient for each leaf");
            let (vectors, scored) = (next(), next());
            ScoreGradients { loss, vectors, scored, repeats: gradients.next() }
        };
        let mut sum = of_tile(0);
        let mut of_vectors = vec![sum.vectors.shallow_clone()];
        for from in (tile..queries).step_by(tile as usize) {
            let own = of_tile(from);
            sum.loss += own.loss;
            sum.scored += own.scored;
            sum.repeats.iter_mut().zip(own.repeats).for_each(|(sum, own)| *sum += own);
            of_vectors.push(own.vectors);
        }
        if of_vectors.len() > 1 {
            sum.vectors = Tensor::cat(&of_vectors, 0);
        }
        sum
    }

    /// Queries whose scores, and the rows gathered for them, fit the bound of a tile.
    fn queries_a_tile(&self, batch: &Batch, dim: i64) -> i64 {
        let shared = batch.shared.size()[0];
        let gathered = batch.candidates() - shared + self.top_k;
        let gains = batch.repeats.as_ref().map_or(0, |_| batch.scored.size()[0]);
        (self.tile / (shared + gathered * dim + gains).max(1)).max(1)
    }

    /// The loss of a tile, times `share`, and its gradients.
    fn tile_gradients(&self, tile: &Tile, share: f64, leaves: &[&Tensor]) -> (Tensor, Vec<Tensor>) {
        let targets = tile.of_queries(&tile.batch.targets);
        let positive = (&tile.vectors * &tile.targets).sum_dim_intlist(1, true, None::<Kind>);
        let positive = tile.with_gains(positive, &targets.unsqueeze(1)).squeeze_dim(1);
        let (negative, slots) = match self.top_k {
            0 => (self.all(tile), None),
            k => {
                let (best, slots) = self.top_k(tile, k);
                (best, Some(slots))
            }
        };
        let log_counts = self.log_counts.as_ref().map(|of_items| {
            let of_scored = of_items.index_select(0, &tile.batch.scored_items());
            let of = |slots: &Tensor| of_scored.index_select(0, &slots.view([-1])).view_as(slots);
            slots.as_ref().map_or_else(|| tile.of_all(of), of)
        });
        let sizes = (tile.catalogue, tile.batch.candidates() as f64);
        self.objective.gradients([&positive, &negative], sizes, log_counts, share, leaves)
    }

    /// `[count, candidates]`: the scores of all candidates, −∞ where one is rejected.
    fn all(&self, tile: &Tile) -> Tensor {
        let shared = tile.vectors.matmul(&tile.shared.tr());
        let shared = tile.with_gains(shared, &tile.batch.shared);
        let mut parts = vec![self.without_rejected(shared, tile, &tile.batch.shared)];
        for slots in tile.gathered_slots() {
            let scores = tile.scores_of(&slots);
            parts.push(self.without_rejected(scores, tile, &slots));
        }
        if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 1) }
    }

    /// The k best candidates of each query: scores `[count, k]`, −∞ where fewer count, and
    /// slots `[count, k]`. Which they are is found without gradients.
    fn top_k(&self, tile: &Tile, k: i64) -> (Tensor, Tensor) {
        let (best, slots) = {
            let _guard = tch::no_grad_guard();
            let (best, places) = self.all(tile).topk(k, 1, true, false);
            (best, tile.slots_at(&places))
        };
        let scores = tile.scores_of(&slots);
        (scores.masked_fill(&best.isneginf(), f64::NEG_INFINITY), slots)
    }

    /// −∞ in place of the scores of what is rejected; `slots` `[candidates]` or `[count,
    /// candidates]`.
    fn without_rejected(&self, mut scores: Tensor, tile: &Tile, slots: &Tensor) -> Tensor {
        let rejected = match (self.reject, tile.own) {
            (Reject::None, _) => return scores,
            (Reject::Session, Some(own)) => {
                let history = tile.of_queries(&tile.batch.history);
                match slots.dim() {
                    1 => own.index_select(1, slots).index_select(0, &history),
                    _ => own.index_select(0, &history).gather(1, slots, false),
                }
            }
            // By item, not by slot: of a batch that was cut on the device one may have several.
            _ => {
                let scored = &tile.batch.scored;
                let [own, shared] = tile.batch.targets_and_shared(scored, tile.from, tile.count);
                let rivals = if slots.dim() == 1 { shared } else { tile.ids(slots) };
                rivals.eq_tensor(&own.unsqueeze(1))
            }
        };
        // Scores of gathered rows are a view, whose way back would take copies if it were written to.
        match slots.dim() {
            1 => scores.masked_fill_(&rejected, f64::NEG_INFINITY),
            _ => scores.masked_fill(&rejected, f64::NEG_INFINITY),
        }
    }
}

impl Tile<'_> {
    /// The part of `[queries, …]` that is this tile's.
    fn of_queries(&self, of_all: &Tensor) -> Tensor {
        of_all.narrow(0, self.from, self.count)
    }

    /// The items of slots.
    fn ids(&self, slots: &Tensor) -> Tensor {
        self.batch.scored.index_select(0, &slots.reshape([-1])).view_as(slots)
    }

    /// Slots `[count, n]` of candidates that are not shared by the batch.
    fn gathered_slots(&self) -> Vec<Tensor> {
        let history = self.of_queries(&self.batch.history);
        let all = &self.batch.of_history;
        let of_history = (all.numel() > 0).then(|| all.index_select(0, &history));
        let of_query = self.of_queries(&self.batch.of_query);
        let own = [of_history, Some(of_query).filter(|slots| slots.numel() > 0)];
        own.into_iter().flatten().collect()
    }

    /// `[count, candidates]`: what `of` gives for the slots of all candidates.
    fn of_all(&self, of: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let shared = of(&self.batch.shared).unsqueeze(0).expand([self.count, -1], false);
        let mut parts = vec![shared];
        parts.extend(self.gathered_slots().iter().map(of));
        Tensor::cat(&parts, 1)
    }

    /// Of candidates that stand at `places` `[count, n]` among all those of a query the slots. (A
    /// matrix of all candidates' slots would be as large as their scores.)
    fn slots_at(&self, places: &Tensor) -> Tensor {
        let shared = &self.batch.shared;
        let count = shared.size()[0];
        let of_shared = |places: &Tensor| shared.index_select(0, &places.view(-1)).view_as(places);
        let own = self.gathered_slots();
        if own.is_empty() {
            return of_shared(places);
        }
        let own = Tensor::cat(&own, 1);
        if count == 0 {
            return own.gather(1, places, false);
        }
        let of_own = own.gather(1, &(places - count).clamp_min(0), false);
        of_shared(&places.clamp_max(count - 1)).where_self(&places.lt(count), &of_own)
    }

    /// Scores of the candidates in `slots` `[count, n]`.
    fn scores_of(&self, slots: &Tensor) -> Tensor {
        let size = slots.size();
        let rows = self.candidates.index_select(0, &slots.reshape([-1]));
        let rows = rows.view([size[0], size[1], -1]);
        self.with_gains(rows.matmul(&self.vectors.unsqueeze(-1)).squeeze_dim(-1), slots)
    }

    /// Scores `[count, n]` with what they gain; `slots` `[n]` or `[count, n]`.
    fn with_gains(&self, scores: Tensor, slots: &Tensor) -> Tensor {
        match &self.gains {
            None => scores,
            Some(gains) if slots.dim() == 1 => scores + gains.index_select(1, slots),
            Some(gains) => scores + gains.gather(1, slots, false),
        }
    }
}
