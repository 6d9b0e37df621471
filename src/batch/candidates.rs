//! Where candidates come from, and how often each item is expected among them.

use rand::{Rng, RngExt};

use super::alias::Alias;
use crate::config::{NegativeSource, Origin, Per};

/// A source of candidates, ready to draw.
pub struct Source {
    pub per: Per,
    pub count: usize,
    from: From,
}

enum From {
    Uniform {
        items: usize,
    },
    Popularity(Alias),
    /// What stands in where a batch has one history, by how often items are in pools.
    InBatch(Alias),
}

/// Candidates by item id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// Of every query.
    pub shared: Vec<i64>,
    /// Of each history's queries, as many for each.
    pub of_history: Vec<i64>,
    /// Of each query, as many for each.
    pub of_query: Vec<i64>,
}

/// What in-batch candidates are drawn from: items of the batch's histories, history by history.
pub struct Pool<'a> {
    pub items: &'a [i64],
    /// `[histories + 1]`
    pub starts: &'a [usize],
}

impl Source {
    /// For a catalogue of `items`; `weights` `[items]` are asked for where draws are not uniform:
    /// what they are in proportion to.
    pub fn new(config: &NegativeSource, items: usize, weights: impl FnOnce() -> Vec<f64>) -> Self {
        let from = match config.from {
            Origin::Uniform => From::Uniform { items },
            Origin::Popularity { .. } => From::Popularity(Alias::new(&weights())),
            Origin::InBatch => From::InBatch(Alias::new(&weights())),
        };
        Self { per: config.per, count: config.count, from }
    }

    /// The same, uniform draws being among the items of `met` `[items]` alone.
    pub fn among(mut self, met: &[bool]) -> Self {
        if let From::Uniform { .. } = self.from {
            let weights: Vec<f64> = met.iter().map(|&met| f64::from(u8::from(met))).collect();
            self.from = From::Popularity(Alias::new(&weights));
        }
        self
    }

    /// Draws candidates for `history`, with replacement.
    pub fn draw(&self, rng: &mut impl Rng, pool: &Pool, history: usize, to: &mut Vec<i64>) {
        let own = pool.starts[history]..pool.starts[history + 1];
        let free = pool.items.len() - own.len();
        for _ in 0..self.count {
            to.push(match &self.from {
                From::Popularity(alias) => alias.draw(rng) as i64 + 1,
                From::InBatch(_) if free > 0 => {
                    let place = rng.random_range(0..free);
                    let place = if place >= own.start { place + own.len() } else { place };
                    pool.items[place]
                }
                // A batch of one history, the last of an epoch, has no others.
                From::InBatch(alias) => alias.draw(rng) as i64 + 1,
                From::Uniform { items } => rng.random_range(1..=*items as i64),
            });
        }
    }
}

/// How often each item is expected among the candidates of a query, all sources together: what
/// the log-q correction divides by. For draws from several sources the sum of e^s/c over all of
/// them estimates the catalogue's without bias, and with less noise than each source alone.
pub struct Expected;

impl Expected {
    /// ln c, `[items + 1]`; −∞ for padding and for what no source gives. `weights` `[items]`: what
    /// draws of a source are in proportion to.
    pub fn log_counts(
        sources: &[NegativeSource],
        items: usize,
        weights: impl Fn(Origin) -> Vec<f64>,
    ) -> Vec<f32> {
        let mut expected = vec![0.0; items + 1];
        for source in sources {
            let weights = weights(source.from);
            let whole: f64 = weights.iter().sum();
            for (to, weight) in expected[1..].iter_mut().zip(weights) {
                *to += source.count as f64 * weight / whole;
            }
        }
        expected.into_iter().map(|count: f64| count.ln() as f32).collect()
    }
}

/// Counts to the power that popularity has, the largest of these 1.
pub fn powers(counts: &[u64], power: f64) -> Vec<f64> {
    // As logarithms, so that no power is too large. 0⁰ is 0 here: what nobody clicked is not drawn.
    let log = |count: u64| power * (count as f64).ln();
    let clicked = counts.iter().copied().filter(|&count| count > 0);
    let most = clicked.map(log).fold(f64::NEG_INFINITY, f64::max);
    let weight = |&count: &u64| if count == 0 { 0.0 } else { (log(count) - most).exp() };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    const COUNTS: [u64; 4] = [4, 0, 9, 1];

    fn source(from: Origin, count: usize) -> NegativeSource {
        NegativeSource { from, count, per: Per::Session }
    }

    fn weights(from: Origin) -> Vec<f64> {
        match from {
            Origin::Uniform => vec![1.0; 4],
            Origin::Popularity { power } => powers(&COUNTS, power),
            Origin::InBatch => powers(&COUNTS, 1.0),
        }
    }

    /// How often each item comes in a draw from each of `sources`.
    fn seen(sources: &[NegativeSource], pool: &Pool, history: usize) -> [f64; 4] {
        let mut rng = stream(1, Purpose::Negatives, 0);
        let ready: Vec<Source> =
            sources.iter().map(|own| Source::new(own, 4, || weights(own.from))).collect();
        let mut seen = [0.0; 4];
        let rounds = 40_000;
        for _ in 0..rounds {
            let mut drawn = vec![];
            ready.iter().for_each(|source| source.draw(&mut rng, pool, history, &mut drawn));
            assert_eq!(drawn.len(), sources.iter().map(|source| source.count).sum::<usize>());
            drawn.iter().for_each(|&item| seen[item as usize - 1] += 1.0 / rounds as f64);
        }
        seen
    }

    fn check(sources: &[NegativeSource], pool: &Pool, history: usize) {
        let expected = Expected::log_counts(sources, 4, weights);
        assert_eq!(expected[0], f32::NEG_INFINITY);
        for (item, seen) in seen(sources, pool, history).iter().enumerate() {
            let expected = f64::from(expected[item + 1].exp());
            assert!((seen - expected).abs() < 0.05, "item {item}: {seen} and {expected}");
        }
    }

    #[test]
    fn draws_are_as_frequent_as_expected() {
        let sources = [
            source(Origin::Uniform, 3),
            source(Origin::Popularity { power: 0.5 }, 5),
            source(Origin::InBatch, 2),
        ];
        // Sessions of the batch whose clicks are as frequent as those of all sessions.
        let clicks = [1, 1, 3, 3, 3, 4, 3, 3, 3, 1, 1, 3, 3, 3, 2];
        check(&sources, &Pool { items: &clicks, starts: &[0, 14, 15] }, 1);
    }

    #[test]
    fn a_batch_of_one_history_draws_what_other_batches_would() {
        check(&[source(Origin::InBatch, 6)], &Pool { items: &[2, 2, 4], starts: &[0, 3] }, 0);
    }

    #[test]
    fn no_power_is_too_large() {
        assert_eq!(powers(&COUNTS, 400.0)[1..3], [0.0, 1.0]);
        assert_eq!(powers(&COUNTS, -400.0)[2..], [0.0, 1.0]);
        assert_eq!(powers(&COUNTS, 0.0), [1.0, 0.0, 1.0, 1.0]);
        for (own, count) in powers(&COUNTS, 0.5).iter().zip(COUNTS) {
            assert!((own - (count as f64 / 9.0).sqrt()).abs() < 1e-12);
        }
    }

    #[test]
    fn in_batch_candidates_are_clicks_of_other_sessions() {
        let pool = Pool { items: &[1, 2, 3, 4, 5, 6], starts: &[0, 2, 3, 6] };
        let mut rng = stream(2, Purpose::Negatives, 0);
        let source = Source::new(&source(Origin::InBatch, 500), 9, || vec![1.0; 9]);
        for (session, others) in
            [(0, vec![3, 4, 5, 6]), (1, vec![1, 2, 4, 5, 6]), (2, vec![1, 2, 3])]
        {
            let mut drawn = vec![];
            source.draw(&mut rng, &pool, session, &mut drawn);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn, others, "session {session}");
        }
    }
}
