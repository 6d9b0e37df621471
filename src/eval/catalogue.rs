//! The items that are ranked.

use std::cell::OnceCell;

use anyhow::{Result, ensure};
use tch::Tensor;

use crate::device::{self, ComputePath, GpuMemory, Kernels, memory};
use crate::host::ranking;
use crate::model::{Additions, Model, Scoring};
use crate::ranks::Team;

/// Scores that tensor ops hold at once: 32 MiB of float32; on a GPU more.
const SCORES: usize = 1 << 23;

/// The most on a GPU: 4 GiB.
const MOST: usize = 1 << 30;

/// Bytes that ranking takes for each score: the score, its row beside a target's, the comparison;
/// and as much again, which nobody promised.
pub const BYTES_A_SCORE: usize = 2 * (4 + 4 + 1);

/// Item vectors, and how they are gone through.
pub struct Catalogue {
    /// `[items, dim]`: row `i` is item `i + 1`; padding has no row.
    rows: Tensor,
    unit: bool,
    path: ComputePath,
    /// Scores that tensor ops hold at once.
    scores: usize,
    /// `[items]`: one over each row's length; made when it is first asked for.
    inverse_lengths: OnceCell<Tensor>,
    /// The vectors as kernels of a GPU go through them; made when it is first asked for.
    across: OnceCell<Tensor>,
    /// What scores gain by repeats, where they are on.
    additions: Option<Additions>,
    /// Who has the rows: one process alone has those of all items.
    team: Team,
    /// All items that are ranked, whoever has their rows.
    count: usize,
}

impl Catalogue {
    /// Items whose vectors are `rows` `[items, dim]`.
    pub fn new(rows: Tensor, path: ComputePath) -> Self {
        let room = device::gpu_memory(rows.device()).map(GpuMemory::room);
        let scores = room.map_or(SCORES, |room| (room / BYTES_A_SCORE).clamp(SCORES, MOST));
        let (rows, team) = (rows.contiguous(), Team::default());
        let count = rows.size()[0] as usize;
        let (inverse_lengths, across) = (OnceCell::new(), OnceCell::new());
        let (unit, additions) = (false, None);
        Self { rows, unit, path, scores, inverse_lengths, across, additions, team, count }
    }

    /// Items whose vectors are the `rows` brought to unit length, as [`Scoring::unit`] does; no
    /// copy of them is made.
    pub fn of_unit(rows: Tensor, path: ComputePath) -> Self {
        Self { unit: true, ..Self::new(rows, path) }
    }

    /// The items of a model; no copy of its table is made.
    pub fn of(model: &Model, path: ComputePath) -> Self {
        let rows = model.items.scored_rows();
        let items = match model.scoring.unit_epsilon() {
            Some(_) => Self::of_unit(rows, path),
            None => Self::new(rows, path),
        };
        let (team, count) = (model.items.team().clone(), model.items.len());
        Self { team, count, ..items.with(model.additions()) }
    }

    /// Who has the rows.
    pub fn team(&self) -> &Team {
        &self.team
    }

    /// Some of the items, by their rows, int64; nothing is gained.
    pub(super) fn some(&self, rows: &Tensor) -> Self {
        let some = Self::new(self.rows.index_select(0, rows), self.path);
        Self { unit: self.unit, ..some }
    }

    /// The same items where scores gain by repeats.
    pub fn with(self, additions: Option<Additions>) -> Self {
        Self { additions, ..self }
    }

    /// How many users are ranked at a time.
    pub fn users_a_block(&self) -> usize {
        /// Where the scores are never held: only enough users to make a tile worth its while.
        const WITHOUT_SCORES: usize = 2048;
        match self.path {
            ComputePath::TensorOps if self.kernels().is_none() => self.rows_a_block(),
            _ => WITHOUT_SCORES,
        }
    }

    /// What counts on a GPU without holding a score.
    pub(super) fn kernels(&self) -> Option<Kernels> {
        Kernels::of(&self.rows)
    }

    /// Rows of scores that tensor ops hold at once.
    pub(super) fn rows_a_block(&self) -> usize {
        (self.scores / self.count.div_ceil(self.team.size()).max(1)).max(1)
    }

    /// The items, if all their vectors are numbers.
    ///
    /// # Errors
    /// When they are not: a rival whose score is no number would never be counted.
    pub fn checked(self) -> Result<Self> {
        let additions = self.additions.as_ref();
        let finite = self.rows.sum(self.rows.kind()).double_value(&[]).is_finite()
            && additions.is_none_or(Additions::are_finite);
        ensure!(
            self.team.most(u64::from(!finite)) == 0,
            "the item vectors are not all numbers: the weights have diverged or are damaged"
        );
        Ok(self)
    }

    /// The width of a vector.
    pub fn dim(&self) -> i64 {
        self.rows.size()[1]
    }

    /// `[items, dim]`, to be brought to unit length where [`Catalogue::is_unit`].
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// Whether vectors are the rows brought to unit length.
    pub fn is_unit(&self) -> bool {
        self.unit
    }

    /// `[items]`: what scores are multiplied with where [`Catalogue::is_unit`].
    pub(super) fn inverse_lengths(&self) -> &Tensor {
        let rows = &self.rows;
        self.inverse_lengths.get_or_init(|| Scoring::inverse_length(rows).squeeze_dim(1))
    }

    /// `[dim, columns]`, see [`Kernels::across`].
    pub(super) fn across(&self, kernels: Kernels) -> &Tensor {
        let epsilon = self.unit.then_some(Scoring::EPSILON);
        self.across.get_or_init(|| kernels.across(&self.rows, epsilon))
    }

    /// What inner products with these items gain for a history: items, ascending, and numbers.
    pub(super) fn gains(&self, history: &[u32]) -> Vec<(u32, f32)> {
        self.additions.as_ref().map_or_else(Vec::new, |additions| additions.of(history))
    }

    /// How they are gone through.
    pub fn path(&self) -> ComputePath {
        self.path
    }

    /// The same over host memory.
    pub(super) fn on_host(&self) -> ranking::Items<'_> {
        ranking::Items {
            rows: memory::floats(&self.rows),
            dim: self.dim() as usize,
            unit: self.unit.then_some(Scoring::EPSILON as f32),
        }
    }
}
