//! The pair matrix: scores, loss and gradients. Of a group of rows at a time only the slopes are
//! held; the scores of a panel of some rows and negatives never leave the nearest cache.

use rayon::prelude::*;

use super::kept::{GROUP, Kept, Shape};
use crate::host::kernels::PANEL;
use crate::host::row_loss::{ROWS, RowLoss, RowOutcome, Sizes};
use crate::host::simd::{Level, Matrix, Shared, gemm};

/// Panels a task in the second half of a group's work.
const PANELS: usize = 4;

impl Kept {
    /// The loss; ∂(γ·û), ∂t̂ and ∂n̂. `hits`: (row, negative) that do not count, ascending.
    pub fn pairs(
        &mut self,
        level: Level,
        loss: &RowLoss,
        sizes: Sizes,
        hits: &[(u32, u32)],
    ) -> f64 {
        let Shape { batch, negatives, wide, panels, .. } = self.shape;
        let mut total = 0.0;
        for from in (0..batch).step_by(GROUP) {
            let rows = from..batch.min(from + GROUP);
            let of_rows = rows.start * wide..rows.end * wide;
            let slopes = Shared::new(self.slopes.as_mut_ptr());
            let losses: Vec<f64> = self.users[rows.clone()]
                .par_chunks(ROWS)
                .zip(self.user[of_rows.clone()].par_chunks(ROWS * wide))
                .zip(self.target[of_rows.clone()].par_chunks(ROWS * wide))
                .zip(self.user_gradient[of_rows.clone()].par_chunks_mut(ROWS * wide))
                .zip(self.target_gradient[of_rows.clone()].par_chunks_mut(ROWS * wide))
                .zip(self.driven[of_rows.clone()].par_chunks_mut(ROWS * wide))
                .enumerate()
                .map(|(task, (((((users, user), target), user_g), target_g), driven))| {
                    let count = users.len();
                    let first = rows.start + task * ROWS;
                    let mut positives = [0.0; ROWS];
                    positives.iter_mut().zip(users).for_each(|(to, own)| *to = own.positive);
                    let positives = &positives[..count];
                    let mut sums = loss.sums(positives);
                    let mut hits = Hits::of(hits, first..first + count);
                    // SAFETY: slopes are `[panels, GROUP, PANEL]`; these rows are the task's own.
                    let panel_of = |panel: usize| unsafe {
                        let at = slopes.at((panel * GROUP + task * ROWS) * PANEL);
                        std::slice::from_raw_parts_mut(at, count * PANEL)
                    };
                    let drive = |panel: usize, slopes: &[f32], user_g: &mut [f32]| {
                        let left = Matrix { at: slopes.as_ptr(), row: PANEL, column: 1 };
                        let right = &self.negative[panel * PANEL * wide..][..PANEL * wide];
                        let right = Matrix { at: right.as_ptr(), row: wide, column: 1 };
                        let (shape, to) = ([count, wide, PANEL], user_g.as_mut_ptr());
                        // SAFETY: slopes `[count, PANEL]`, negatives `[PANEL, wide]`, user_g
                        // `[count, wide]`.
                        unsafe { gemm(level, shape, left, right, to, wide, panel > 0) };
                    };
                    for panel in 0..panels {
                        let scores = panel_of(panel);
                        let left = Matrix { at: user.as_ptr(), row: wide, column: 1 };
                        let right = &self.across[panel * wide * PANEL..][..wide * PANEL];
                        let right = Matrix { at: right.as_ptr(), row: PANEL, column: 1 };
                        let (shape, to) = ([count, PANEL, wide], scores.as_mut_ptr());
                        // SAFETY: user `[count, wide]`, across `[wide, PANEL]`, scores
                        // `[count, PANEL]`.
                        unsafe { gemm(level, shape, left, right, to, PANEL, false) };
                        let filled = PANEL.min(negatives - panel * PANEL);
                        scores.chunks_mut(PANEL).for_each(|s| s[filled..].fill(f32::NEG_INFINITY));
                        for (row, negative) in hits.in_panel(panel) {
                            scores[(row - first) * PANEL + negative] = f32::NEG_INFINITY;
                        }
                        loss.first(level, scores, positives, &mut sums);
                        if !loss.two_passes() {
                            drive(panel, scores, user_g);
                        }
                    }
                    if loss.two_passes() {
                        for panel in 0..panels {
                            let scores = panel_of(panel);
                            loss.second(level, scores, &mut sums);
                            drive(panel, scores, user_g);
                        }
                    }
                    let finish = |at: usize| -> f64 {
                        let own: RowOutcome = loss.finish(&sums, at, positives[at], sizes);
                        for k in at * wide..(at + 1) * wide {
                            driven[k] = own.factor * user[k];
                            user_g[k] = own.factor * (user_g[k] - own.slopes * target[k]);
                            target_g[k] = -own.slopes * driven[k];
                        }
                        own.loss
                    };
                    (0..count).map(finish).sum()
                })
                .collect();
            total += losses.iter().sum::<f64>();
            let (slopes, driven) = (&self.slopes, &self.driven[of_rows]);
            let tasks = self.negative_gradient.par_chunks_mut(PANELS * PANEL * wide).enumerate();
            tasks.for_each(|(task, to)| {
                for (at, to) in to.chunks_mut(PANEL * wide).enumerate() {
                    let own = &slopes[(task * PANELS + at) * GROUP * PANEL..][..GROUP * PANEL];
                    let left = Matrix { at: own.as_ptr(), row: 1, column: PANEL };
                    let right = Matrix { at: driven.as_ptr(), row: wide, column: 1 };
                    let (shape, to) = ([PANEL, wide, rows.len()], to.as_mut_ptr());
                    // SAFETY: slopesᵀ `[PANEL, rows]`, driven `[rows, wide]`, to `[PANEL, wide]`.
                    unsafe { gemm(level, shape, left, right, to, wide, from > 0) };
                }
            });
        }
        total
    }
}

/// The accidental hits of a task's rows, by panel.
struct Hits(Vec<(usize, usize, usize)>);

impl Hits {
    fn of(hits: &[(u32, u32)], rows: std::ops::Range<usize>) -> Self {
        let start = hits.partition_point(|hit| (hit.0 as usize) < rows.start);
        let end = hits.partition_point(|hit| (hit.0 as usize) < rows.end);
        let place = |hit: &(u32, u32)| {
            let negative = hit.1 as usize;
            (negative / PANEL, hit.0 as usize, negative % PANEL)
        };
        let mut places: Vec<_> = hits[start..end].iter().map(place).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        Self(places)
    }

    /// (row, place in the panel) of those of `panel`; panels are asked for in order.
    fn in_panel(&mut self, panel: usize) -> impl Iterator<Item = (usize, usize)> {
        std::iter::from_fn(move || {
            let (_, row, at) = self.0.pop_if(|hit| hit.0 == panel)?;
            Some((row, at))
        })
    }
}
