//! Exact search on the host: scores of a few items and users at a time, of which only those that
//! beat a user's worst hit so far are looked at. `[users, items]` is never held.

use std::ops::Range;

use rayon::prelude::*;

use super::ranking::Items;
use super::simd::{self, Aligned, Lanes, Level, Matrix, gemm, vectorised};
use super::top_k::{Hit, TopK, first};

/// Items a panel: two of the widest registers.
const PANEL: usize = 32;

/// Users that go over the items together, so that each panel is fetched once for all of them.
const USERS: usize = 64;

/// Item vectors as panels of `[dim, PANEL]`, read from memory in one sweep.
pub struct Panels {
    data: Aligned,
    items: usize,
    dim: usize,
}

impl Panels {
    /// From all items.
    pub fn new(all: &Items) -> Self {
        let (dim, items) = (all.dim, all.rows.len() / all.dim);
        let mut data = Aligned::zeros(items.div_ceil(PANEL) * PANEL * dim);
        for (panel, rows) in data.chunks_mut(PANEL * dim).zip(all.rows.chunks(PANEL * dim)) {
            for (at, row) in rows.chunks(dim).enumerate() {
                let factor = all.factor(row);
                for (k, x) in row.iter().enumerate() {
                    panel[k * PANEL + at] = x * factor;
                }
            }
        }
        Self { data, items, dim }
    }

    /// The width of the vectors.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The vectors of some items, one after another.
    pub fn vectors(&self, items: &[usize]) -> Vec<f32> {
        let of = |&item: &usize| {
            let panel = &self.data[item / PANEL * PANEL * self.dim..][..PANEL * self.dim];
            panel[item % PANEL..].iter().step_by(PANEL)
        };
        items.iter().flat_map(of).copied().collect()
    }

    /// For each user the `top[user]` best items; `users` `[top.len(), dim]`. All are numbers.
    pub fn search(&self, users: &[f32], top: &[usize]) -> Vec<Vec<Hit>> {
        if self.items == 0 {
            return vec![vec![]; top.len()];
        }
        let threads = rayon::current_num_threads();
        let panels = self.items.div_ceil(PANEL);
        // Many users are shared out among the threads; for a few, the items are.
        let (block, part) = match top.len() < 8 * threads {
            true => (top.len().max(1), panels.div_ceil(threads).max(1)),
            false => ((top.len() / threads).min(USERS), panels.max(1)),
        };
        let ends = |from: usize, size, end: usize| from..end.min(from + size);
        let parts: Vec<_> = (0..panels).step_by(part).map(|at| ends(at, part, panels)).collect();
        let blocks = (0..top.len()).step_by(block).map(|at| ends(at, block, top.len()));
        let tasks: Vec<_> = blocks
            .flat_map(|users| parts.iter().map(move |p| (users.clone(), p.clone())))
            .collect();
        let scan = |(block, panels): (Range<usize>, Range<usize>)| {
            let vectors = &users[block.start * self.dim..block.end * self.dim];
            self.scan(simd::level(), vectors, &top[block], panels)
        };
        let found: Vec<Vec<Vec<Hit>>> = tasks.into_par_iter().map(scan).collect();
        let mut all = Vec::with_capacity(top.len());
        for mut of_parts in found.chunks(parts.len().max(1)).map(<[_]>::to_vec) {
            let users = of_parts.pop().unwrap_or_default();
            all.extend(users.into_iter().enumerate().map(|(user, mut hits)| {
                of_parts.iter().for_each(|part| hits.extend(&part[user]));
                hits
            }));
        }
        all.into_iter().zip(top).map(|(hits, &top)| first(hits, top)).collect()
    }

    /// The best items of some panels for users `[top.len(), dim]`.
    fn scan(
        &self,
        level: Level,
        users: &[f32],
        top: &[usize],
        panels: Range<usize>,
    ) -> Vec<Vec<Hit>> {
        let mut best: Vec<TopK> = top.iter().map(|&n| TopK::new(n.min(self.items))).collect();
        let mut scores = Aligned::zeros(top.len() * PANEL);
        let left = Matrix { at: users.as_ptr(), row: self.dim, column: 1 };
        for panel in panels {
            let at = &self.data[panel * PANEL * self.dim..][..PANEL * self.dim];
            let right = Matrix { at: at.as_ptr(), row: PANEL, column: 1 };
            let shape = [top.len(), PANEL, self.dim];
            // SAFETY: users `[top, dim]`, the panel `[dim, PANEL]`, scores `[top, PANEL]`.
            unsafe { gemm(level, shape, left, right, scores.as_mut_ptr(), PANEL, false) };
            let start = panel * PANEL;
            if start + PANEL > self.items {
                // Behind the last item there is nothing that reaches anything.
                scores.chunks_mut(PANEL).for_each(|row| row[self.items - start..].fill(f32::NAN));
            }
            // SAFETY: the level is the machine's; a row of scores a user.
            unsafe { collect(level, &scores, start as u32, &mut best) };
        }
        best.into_iter().map(TopK::finish).collect()
    }
}

vectorised! {
    /// Takes those of the scores `[users, PANEL]` of the items from row `start` that reach their
    /// user's threshold.
    unsafe fn collect(scores: &[f32], start: u32, best: &mut [TopK]) = collect_lanes
}

#[inline(always)]
unsafe fn collect_lanes<V: Lanes>(scores: &[f32], start: u32, best: &mut [TopK]) {
    for (row, best) in scores.chunks_exact(PANEL).zip(best) {
        for from in (0..PANEL).step_by(V::N) {
            // SAFETY: a panel is whole registers long.
            let mut above =
                unsafe { V::load(row.as_ptr().add(from)).mask_ge(V::splat(best.threshold())) };
            while above != 0 {
                let at = from + above.trailing_zeros() as usize;
                // The threshold may have risen since the comparison.
                if row[at] >= best.threshold() {
                    best.push(Hit { row: start + at as u32, score: row[at] });
                }
                above &= above - 1;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Purpose, stream};

    /// `rows` vectors of small whole numbers: exact scores, many ties.
    pub(crate) fn whole_numbers(rows: usize, dim: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut rng = stream(seed, Purpose::Queries, 0);
        let mut row = || (0..dim).map(|_| rng.random_range(-2i32..=2) as f32).collect();
        (0..rows).map(|_| row()).collect()
    }

    /// The best items by definition: all scores, sorted.
    pub(crate) fn brute(users: &[Vec<f32>], items: &[Vec<f32>], top: &[usize]) -> Vec<Vec<Hit>> {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x * y) as i32).sum::<i32>();
        let of = |(user, &top): (&Vec<f32>, &usize)| {
            let mut scores: Vec<(i32, usize)> =
                items.iter().enumerate().map(|(row, item)| (-dot(user, item), row)).collect();
            scores.sort();
            scores.truncate(top);
            let hit = |(score, row)| Hit { row: row as u32, score: 0.0 - score as f32 };
            scores.into_iter().map(hit).collect()
        };
        users.iter().zip(top).map(of).collect()
    }

    fn panels(vectors: &[Vec<f32>], dim: usize) -> Panels {
        Panels::new(&Items { rows: &vectors.concat(), dim, unit: None })
    }

    #[test]
    fn every_instruction_set_finds_what_brute_force_finds_ties_included() {
        for (items, dim) in [(1, 1), (31, 3), (32, 4), (33, 2), (1000, 3)] {
            let vectors = whole_numbers(items, dim, 1);
            let users = whole_numbers(9, dim, 2);
            let built = panels(&vectors, dim);
            let top = [1, 2, 3, 10, 31, 32, 33, 1000, 5000];
            let expected = brute(&users, &vectors, &top);
            assert_eq!(built.search(&users.concat(), &top), expected, "{items} {dim}");
            assert_eq!(
                built.vectors(&[items - 1, 0]),
                [&*vectors[items - 1], &vectors[0]].concat()
            );
            for level in simd::levels() {
                let all = 0..items.div_ceil(PANEL);
                let found = built.scan(level, &users.concat(), &top, all);
                let found: Vec<Vec<Hit>> =
                    found.into_iter().zip(top).map(|(hits, top)| first(hits, top)).collect();
                assert_eq!(found, expected, "{items} {dim} {level:?}");
            }
        }
    }

    #[test]
    fn many_users_are_searched_for_as_few_are() {
        let vectors = whole_numbers(700, 4, 3);
        let users = whole_numbers(300, 4, 4);
        let top: Vec<usize> = (0..300).map(|user| 1 + user % 40).collect();
        let found = panels(&vectors, 4).search(&users.concat(), &top);
        assert_eq!(found, brute(&users, &vectors, &top));
        assert!(panels(&vectors, 4).search(&[], &[]).is_empty());
        assert_eq!(panels(&[], 4).search(&users.concat(), &top), vec![vec![]; 300]);
    }
}
