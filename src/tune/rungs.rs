//! Asynchronous successive halving: which point goes on to which rung.
//!
//! Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm
//! 2. With several metrics a point goes on that is among the best by any of them.

/// Of the points on a rung one in so many goes on.
pub const KEPT_ONE_IN: usize = 3;

/// The shares of its steps behind which a point is compared with the others; the last is the whole.
pub const SHARES: [f64; 4] = [1.0 / 27.0, 1.0 / 9.0, 1.0 / 3.0, 1.0];

/// How far a point has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The rungs that it has reached, from the lowest on.
    pub reached: usize,
    /// `[reached, metrics]`: the best of its validations up to each of them.
    pub values: Vec<Vec<f64>>,
    /// Steps that are trained.
    pub steps: u64,
    /// It cannot go on.
    pub failed: bool,
    /// Somebody works on it.
    pub held: bool,
}

impl Standing {
    /// Its best by the metric at `place`, up to the highest rung that it has reached.
    pub fn best(&self, place: usize) -> Option<f64> {
        self.values.last().map(|values| values[place])
    }
}

/// The point that goes on from the highest rung where one may.
pub fn promoted(points: &[Standing]) -> Option<usize> {
    (1..SHARES.len()).rev().find_map(|rung| promoted_from(points, rung))
}

/// The point that goes on from its `rung`th rung to the next.
fn promoted_from(points: &[Standing], rung: usize) -> Option<usize> {
    let there: Vec<usize> =
        (0..points.len()).filter(|point| points[*point].reached >= rung).collect();
    let go_on = there.len() / KEPT_ONE_IN;
    let metrics = there.first().map_or(0, |first| points[*first].values[rung - 1].len());
    let waits = |point: &usize| {
        let Standing { reached, failed, held, .. } = points[*point];
        reached == rung && !failed && !held
    };
    (0..metrics).find_map(|metric| {
        let value = |point: &usize| points[*point].values[rung - 1][metric];
        let mut order = there.clone();
        // Of equals the one that was drawn first.
        order.sort_by(|a, b| value(b).total_cmp(&value(a)));
        order.into_iter().take(go_on).find(waits)
    })
}

/// The first point that has not been begun, or not come to its first rung.
pub fn unbegun(points: &[Standing]) -> Option<usize> {
    points.iter().position(|point| point.reached == 0 && !point.failed && !point.held)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point that has these values, a list a rung.
    fn at(values: &[&[f64]]) -> Standing {
        let values: Vec<Vec<f64>> = values.iter().map(|rung| rung.to_vec()).collect();
        Standing { reached: values.len(), values, ..Standing::default() }
    }

    #[test]
    fn of_three_on_a_rung_the_best_goes_on_and_of_two_none() {
        let mut points = vec![at(&[&[0.1]]), at(&[&[0.3]])];
        assert_eq!(promoted(&points), None);
        points.push(at(&[&[0.2]]));
        assert_eq!(promoted(&points), Some(1));
        points[1].held = true;
        assert_eq!(promoted(&points), None, "it is on its way");
        points[1] = at(&[&[0.3], &[0.4]]);
        assert_eq!(promoted(&points), None, "it has gone on");
        points.extend([at(&[&[0.25]]), at(&[&[0.0]]), at(&[&[0.35]])]);
        // Of six two go on: 0.35 waits, 0.3 has gone.
        assert_eq!(promoted(&points), Some(5));
    }

    #[test]
    fn one_that_failed_counts_where_it_came_to_and_goes_nowhere() {
        let failed = Standing { failed: true, ..at(&[&[0.9]]) };
        let points = [failed, at(&[&[0.1]]), at(&[&[0.2]])];
        assert_eq!(promoted(&points), None);
        assert_eq!(unbegun(&points), None);
        let nothing = Standing { failed: true, ..Standing::default() };
        assert_eq!(unbegun(&[nothing, Standing::default()]), Some(1));
    }

    #[test]
    fn the_highest_rung_comes_first_and_each_metric_sends_its_best() {
        let low = at(&[&[0.5, 0.1]]);
        let both: Vec<Standing> = [0.1, 0.2, 0.3]
            .iter()
            .map(|value| at(&[&[0.6, 0.6], &[*value, 1.0 - value]]))
            .collect();
        let mut points = [vec![low], both].concat();
        assert_eq!(promoted(&points), Some(3), "the best by the first metric, on the second rung");
        points[3].held = true;
        assert_eq!(promoted(&points), Some(1), "the best by the second");
        points[1].held = true;
        assert_eq!(promoted(&points), None);
    }
}
