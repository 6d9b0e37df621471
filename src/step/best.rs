//! The best candidates of each query by kernels of our own on a GPU, forward and back: what
//! [`super::tensors`] defines for `top_k`.

use tch::{Kind, Tensor};

use super::tensors::{ScoreGradients, TensorCandidates};
use crate::batch::Batch;
use crate::config::Reject;
use crate::device::{self, Argument, Kernels, WARP};

use Argument::{Float, Int, Long, Maybe, Numbers};

/// Some queries of a batch.
struct Tile<'a> {
    kernels: Kernels,
    batch: &'a Batch,
    count: i64,
    /// `[count, dim]`, times the scoring's factor.
    vectors: Tensor,
    /// `[scored, dim]`, without gradients.
    candidates: &'a Tensor,
    /// `[count]` each: slots, and histories.
    targets: Tensor,
    history: Tensor,
    /// `[count, n]`: slots.
    of_query: Tensor,
    reject: Reject,
    /// `[histories, scored]` bool, where own items are rejected.
    own: Option<&'a Tensor>,
}

impl TensorCandidates {
    /// As [`TensorCandidates::run`], for the best candidates and without repeats; `rows` `[scored, dim]`
    /// are those that scores are taken with.
    pub(super) fn best_by_kernels(
        &self,
        kernels: Kernels,
        catalogue: f64,
        vectors: &Tensor,
        rows: &Tensor,
        batch: &Batch,
    ) -> ScoreGradients {
        let with_gradients = self.scoring.items(rows);
        let candidates = with_gradients.detach();
        let own = (self.reject == Reject::Session).then(|| own_items(kernels, batch));
        let queries = batch.query_count();
        let counts = self.log_counts.as_ref();
        let counts = counts.map(|all| all.index_select(0, &batch.scored_items()));
        let of_candidates = candidates.zeros_like();
        let tile = (self.tile / (batch.candidates() + 2 * self.top_k)).max(1);
        let (mut losses, mut of_vectors) = (vec![], vec![]);
        for from in (0..queries).step_by(tile as usize) {
            let count = tile.min(queries - from);
            let part = |of_all: &Tensor| of_all.narrow(0, from, count);
            let factor = self.scoring.factor();
            let own_vectors = part(vectors).contiguous();
            let tile = Tile {
                kernels,
                batch,
                count,
                vectors: if factor == 1.0 { own_vectors } else { own_vectors * factor },
                candidates: &candidates,
                targets: part(&batch.targets),
                history: part(&batch.history),
                of_query: part(&batch.of_query),
                reject: self.reject,
                own: own.as_ref(),
            };
            let (best, places) = tile.scores().topk(self.top_k, 1, true, false);
            let (positive, slots) = tile.choose(&places);
            let log_counts = counts
                .as_ref()
                .map(|counts| counts.index_select(0, &slots.view([-1])).view_as(&slots));
            let [positive, best] = [positive, best].map(|own| own.set_requires_grad(true));
            let sizes = (catalogue, batch.candidates() as f64);
            let share = count as f64 / queries as f64;
            let leaves = [&positive, &best];
            let (loss, slopes) =
                self.objective.gradients(leaves, sizes, log_counts, share, &leaves);
            of_vectors.push(tile.backward((&slots, &best), &slopes, &of_candidates, factor));
            losses.push(loss);
        }
        let scored = match self.scoring.unit_epsilon() {
            Some(_) => {
                device::backward(&[&with_gradients], &[&of_candidates], &[rows]).swap_remove(0)
            }
            None => of_candidates,
        };
        let vectors = match &of_vectors[..] {
            [one] => one.shallow_clone(),
            many => Tensor::cat(many, 0),
        };
        let loss = losses.into_iter().reduce(|sum, own| sum + own).expect("a batch has queries");
        ScoreGradients { loss, vectors, scored, repeats: None }
    }
}

impl Tile<'_> {
    /// `[count, candidates]`: the scores of all candidates, −∞ where one is rejected.
    fn scores(&self) -> Tensor {
        let Self { batch, count, candidates, .. } = self;
        let (shared, all) = (batch.shared.size()[0], batch.candidates());
        let dim = candidates.size()[1];
        let scores = Tensor::empty([*count, all], (Kind::Float, candidates.device()));
        let rows = match batch.in_order {
            true => candidates.narrow(0, batch.query_count(), shared),
            false => candidates.index_select(0, &batch.shared),
        };
        let _ = self.vectors.mm_out(&scores.narrow(1, 0, shared), &rows.tr());
        let rejects = [
            Numbers(&batch.scored),
            Numbers(&self.targets),
            Maybe(self.own),
            Numbers(&self.history),
        ];
        let (slots, some) = (candidates.size()[0], self.reject != Reject::None);
        let size = |numbers: i64| [Long(numbers), Long(slots), Int(i64::from(some))];
        if some {
            let numbers = count * shared;
            let given = [Numbers(&scores), Numbers(&batch.shared)];
            let parts = [&given[..], &rejects, &size(numbers), &[Int(shared), Int(all)]];
            self.kernels.launch(c"croloss_reject", numbers, &parts.concat());
        }
        let [in_history, in_query] = self.others();
        let rows = count * (in_history + in_query);
        let given = [
            Numbers(&self.vectors),
            Numbers(candidates),
            Numbers(&scores),
            Numbers(&batch.of_history),
            Numbers(&self.of_query),
        ];
        let sizes = [Int(dim), Int(all), Int(in_history), Int(in_query)];
        let parts = [&given[..], &rejects, &size(rows), &sizes];
        self.kernels.launch(c"croloss_score", rows * WARP, &parts.concat());
        scores
    }

    /// Of each query the positive's score `[count]`, and the slots `[count, k]` of the candidates at
    /// `places` `[count, k]`.
    fn choose(&self, places: &Tensor) -> (Tensor, Tensor) {
        let (dim, best) = (self.candidates.size()[1], places.size()[1]);
        let positive = Tensor::empty([self.count], (Kind::Float, places.device()));
        let slots = places.empty_like();
        let [in_history, in_query] = self.others();
        let arguments = [
            Numbers(&self.vectors),
            Numbers(self.candidates),
            Numbers(&positive),
            Numbers(&slots),
            Numbers(places),
            Numbers(&self.batch.shared),
            Numbers(&self.batch.of_history),
            Numbers(&self.of_query),
            Numbers(&self.targets),
            Numbers(&self.history),
            Long(self.count),
            Int(dim),
            Int(best),
            Int(self.batch.shared.size()[0]),
            Int(in_history),
            Int(in_query),
        ];
        self.kernels.launch(c"croloss_choose", self.count * WARP, &arguments);
        (positive, slots)
    }

    /// The gradient of the vectors `[count, dim]`, from the slopes of the positive and of the best, whose
    /// slots and scores are given; adds that of the candidates to theirs.
    fn backward(
        &self,
        (slots, scores): (&Tensor, &Tensor),
        slopes: &[Tensor],
        of_candidates: &Tensor,
        factor: f64,
    ) -> Tensor {
        let (dim, best) = (self.candidates.size()[1], slots.size()[1]);
        let of_vectors = self.vectors.empty_like();
        let slopes: Vec<Tensor> = slopes.iter().map(Tensor::contiguous).collect();
        let arguments = [
            Numbers(&self.vectors),
            Numbers(self.candidates),
            Numbers(&self.targets),
            Numbers(slots),
            Numbers(scores),
            Numbers(&slopes[0]),
            Numbers(&slopes[1]),
            Numbers(&of_vectors),
            Numbers(of_candidates),
            Long(self.count),
            Int(dim),
            Int(best),
            Float(factor),
        ];
        self.kernels.launch(c"croloss_choose_back", self.count * WARP, &arguments);
        of_vectors
    }

    /// Candidates of a history's queries, and a query's own.
    fn others(&self) -> [i64; 2] {
        [self.batch.of_history.size()[1], self.of_query.size()[1]]
    }
}

/// `[histories, scored]` bool: as [`Batch::own_items`].
fn own_items(kernels: Kernels, batch: &Batch) -> Tensor {
    let (histories, slots) = (batch.histories(), batch.scored.size()[0]);
    let own = Tensor::zeros([histories, slots], (Kind::Bool, batch.own.device()));
    let pairs = batch.own.size()[0];
    let arguments = [Numbers(&batch.own), Numbers(&own), Long(pairs), Long(slots)];
    kernels.launch(c"croloss_own", pairs, &arguments);
    own
}
