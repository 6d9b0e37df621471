//! How much an index finds of what exact search finds, and how fast.

use std::time::Instant;

use anyhow::Result;
use rand::RngExt;
use tch::Tensor;

use super::exact::Exact;
use super::index::{Index, OperatingPoint};
use crate::random::{Purpose, stream};

/// What was measured.
pub struct Measured {
    /// By rising expansion.
    pub points: Vec<OperatingPoint>,
    /// Users a second of exact search, all threads at work.
    pub exact_per_second: f64,
}

impl Measured {
    /// The quickest point of at least this recall, or else that of the best.
    pub fn choose(&self, recall: f64) -> Option<OperatingPoint> {
        let enough = self.points.iter().find(|point| point.recall >= recall);
        let best = || self.points.iter().max_by(|a, b| a.recall.total_cmp(&b.recall));
        enough.or_else(best).copied()
    }
}

/// Searches for the `top` best items of `users` `[users, dim]` exactly, and by the index at each of
/// `expansions`, ascending.
///
/// # Errors
/// Those of the searches.
pub fn measure(
    index: &mut Index,
    exact: &Exact,
    users: &Tensor,
    top: usize,
    expansions: &[usize],
) -> Result<Measured> {
    let count = users.size()[0] as usize;
    let wanted = vec![top; count];
    let start = Instant::now();
    let truth = exact.search(users, &wanted)?;
    let exact_per_second = count as f64 / start.elapsed().as_secs_f64();
    let mut points = vec![];
    for &expansion in expansions {
        index.set_expansion(expansion);
        let start = Instant::now();
        let found = index.search(users, &wanted)?;
        let per_second = count as f64 / start.elapsed().as_secs_f64();
        let (mut hits, mut all) = (0, 0);
        for (found, truth) in found.iter().zip(&truth) {
            let mut rows: Vec<u32> = truth.iter().map(|hit| hit.row).collect();
            rows.sort_unstable();
            hits += found.iter().filter(|hit| rows.binary_search(&hit.row).is_ok()).count();
            all += rows.len();
        }
        let recall = hits as f64 / all.max(1) as f64;
        points.push(OperatingPoint { expansion, recall, per_second });
    }
    Ok(Measured { points, exact_per_second })
}

/// Up to `wanted` distinct items, drawn with chances in proportion to `counts` (that of item `i` at
/// `i - 1`): the same for the same counts.
pub fn popular(counts: &[u64], wanted: usize) -> Vec<u32> {
    let mut rng = stream(1, Purpose::Queries, 0);
    // Efraimidis and Spirakis: the first by ln(uniform)/weight are such a sample.
    let mut keys: Vec<(f64, u32)> = counts
        .iter()
        .zip(1..)
        .map(|(&count, id)| (rng.random::<f64>().ln() / count.max(1) as f64, id))
        .collect();
    keys.sort_by(|a, b| b.0.total_cmp(&a.0));
    keys.into_iter().take(wanted).map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn an_index_finds_nearly_all_and_more_with_more_candidates() {
        let vectors = |n: i64| {
            crate::model::Scoring::unit(&Tensor::randn([n, 16], (Kind::Float, Device::Cpu)))
        };
        let (items, users) = (vectors(3000), vectors(50));
        let mut heard = 0;
        let mut index = Index::build(&items, &mut |done| heard = done).unwrap();
        assert_eq!(heard, 3000);
        let exact = Exact::new(&items, None).unwrap();
        let measured = measure(&mut index, &exact, &users, 100, &[100, 1000]).unwrap();
        let [few, many] = measured.points[..] else { panic!("two points") };
        assert!(few.recall < many.recall && many.recall > 0.98, "{few:?} {many:?}");
        assert_eq!(measured.choose(few.recall), Some(few));
        assert_eq!(measured.choose(few.recall + 1e-9), Some(many));
        assert_eq!(measured.choose(1.1), Some(many));
        // Scores are those of exact search, but for rounding; a graph may miss the best item.
        let truth = exact.search(&users, &[1; 50]).unwrap();
        let found = index.search(&users, &[1; 50]).unwrap();
        let same = found.iter().zip(&truth).filter(|(found, truth)| found[0].row == truth[0].row);
        assert!(same.clone().count() >= 45);
        for (found, truth) in same {
            assert!((found[0].score - truth[0].score).abs() < 1e-6);
        }
    }

    #[test]
    fn popular_items_are_drawn_more_often_and_none_twice() {
        let counts: Vec<u64> = (0..1000).map(|i| if i < 100 { 100 } else { 1 }).collect();
        let mut drawn = popular(&counts, 100);
        let often = drawn.iter().filter(|&&id| id <= 100).count();
        assert!((80..100).contains(&often), "{often}");
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 100);
        assert_eq!(popular(&[1, 1], 5).len(), 2);
    }
}
