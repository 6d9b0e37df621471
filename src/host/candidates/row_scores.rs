//! A loss that is a function of rows, over scores that stand row by row.

use super::queries::{ScoreLoss, Slopes};
use crate::host::kernels::PANEL;
use crate::host::row_loss::{ROWS, RowLoss, Sizes};
use crate::host::simd::Level;

/// A [`RowLoss`] for a catalogue of N items.
pub struct RowScores<'a> {
    pub loss: &'a RowLoss,
    pub catalogue: f64,
}

impl ScoreLoss for RowScores<'_> {
    fn slopes(
        &self,
        level: Level,
        share: f64,
        positive: &[f32],
        negative: &[f32],
        drawn: f64,
        _: Option<&[f32]>,
    ) -> Slopes {
        let (loss, in_row) = (self.loss, negative.len() / positive.len());
        let (batch, catalogue) = (positive.len(), self.catalogue);
        let sizes = Sizes { batch, negatives: drawn as usize, in_row, catalogue };
        let mut slopes =
            Slopes { loss: 0.0, positive: positive.to_vec(), negative: negative.to_vec() };
        let rows = slopes.negative.chunks_mut(ROWS * in_row);
        for (scores, positives) in rows.zip(slopes.positive.chunks_mut(ROWS)) {
            let mut sums = loss.sums(positives);
            by_panels(scores, in_row, |panel| loss.first(level, panel, positives, &mut sums));
            if loss.two_passes() {
                by_panels(scores, in_row, |panel| loss.second(level, panel, &mut sums));
            }
            let rows = scores.chunks_exact_mut(in_row).zip(positives);
            for (row, (slopes_of, positive)) in rows.enumerate() {
                let own = loss.finish(&sums, row, *positive, sizes);
                let factor = share as f32 * own.factor;
                slopes_of.iter_mut().for_each(|slope| *slope *= factor);
                *positive = -factor * own.slopes;
                slopes.loss += share * own.loss;
            }
        }
        slopes
    }
}

/// Gives `work` the scores `[rows, in_row]` a panel at a time, −∞ behind the last ones, and puts
/// what it makes of them in their place.
fn by_panels(scores: &mut [f32], in_row: usize, mut work: impl FnMut(&mut [f32])) {
    let mut panel = [0.0; ROWS * PANEL];
    let panel = &mut panel[..scores.len() / in_row * PANEL];
    for from in (0..in_row).step_by(PANEL) {
        let width = PANEL.min(in_row - from);
        for (to, row) in panel.chunks_exact_mut(PANEL).zip(scores.chunks_exact(in_row)) {
            to[..width].copy_from_slice(&row[from..from + width]);
            to[width..].fill(f32::NEG_INFINITY);
        }
        work(panel);
        for (own, row) in panel.chunks_exact(PANEL).zip(scores.chunks_exact_mut(in_row)) {
            row[from..from + width].copy_from_slice(&own[..width]);
        }
    }
}
