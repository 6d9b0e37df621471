//! Where candidates come from, and how often each item is expected among them.

use rand::{Rng, RngExt};

use super::alias::Alias;
use crate::config::{NegativeSource, Origin, Per};
use crate::data::Sequences;

/// A source of candidates, ready to draw.
pub struct Source {
    pub per: Per,
    pub count: usize,
    from: From,
}

enum From {
    Uniform { items: usize },
    Popularity(Alias),
    InBatch,
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
    /// For a catalogue of `items`; of `popularity`, `clicks[i]` is how many clicks are on item
    /// `i + 1`.
    pub fn new(config: &NegativeSource, items: usize, clicks: &[u64]) -> Self {
        let from = match config.from {
            Origin::Uniform => From::Uniform { items },
            Origin::Popularity { power } => From::Popularity(Alias::new(&powers(clicks, power))),
            Origin::InBatch => From::InBatch,
        };
        Self { per: config.per, count: config.count, from }
    }

    /// Draws candidates for `history`, with replacement.
    pub fn draw(
        &self,
        rng: &mut impl Rng,
        pool: &Pool,
        history: usize,
        catalogue: usize,
        to: &mut Vec<i64>,
    ) {
        let own = pool.starts[history]..pool.starts[history + 1];
        let free = pool.items.len() - own.len();
        for _ in 0..self.count {
            to.push(match &self.from {
                From::Popularity(alias) => alias.draw(rng) as i64 + 1,
                From::InBatch if free > 0 => {
                    let place = rng.random_range(0..free);
                    let place = if place >= own.start { place + own.len() } else { place };
                    pool.items[place]
                }
                // A batch of one history, the last of an epoch, has no others.
                From::InBatch => rng.random_range(1..=catalogue as i64),
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
    /// ln c, `[items + 1]`; −∞ for padding and for what no source gives. `clicks` `[items]` are
    /// those of the training part; `in_batch` `[items]` is in proportion to how often an item is
    /// in the pool of a batch.
    pub fn log_counts(sources: &[NegativeSource], clicks: &[u64], in_batch: &[f64]) -> Vec<f32> {
        let mut expected = vec![0.0; clicks.len() + 1];
        for source in sources {
            let weights = match source.from {
                Origin::Uniform => vec![1.0; clicks.len()],
                Origin::InBatch => in_batch.to_vec(),
                Origin::Popularity { power } => powers(clicks, power),
            };
            let whole: f64 = weights.iter().sum();
            for (to, weight) in expected[1..].iter_mut().zip(weights) {
                *to += source.count as f64 * weight / whole;
            }
        }
        expected.into_iter().map(|count: f64| count.ln() as f32).collect()
    }

    /// The clicks on each item (item `i + 1` at `i`) in some sessions.
    pub fn clicks(sequences: &Sequences, sessions: &[usize], items: usize) -> Vec<u64> {
        let mut counts = vec![0; items];
        for &session in sessions {
            sequences.get(session).iter().for_each(|&item| counts[item as usize - 1] += 1);
        }
        counts
    }
}

/// Counts to the power that popularity has.
fn powers(counts: &[u64], power: f64) -> Vec<f64> {
    // 0⁰ is 0 here: what nobody clicked is not drawn by popularity.
    let weight = |&count: &u64| if count == 0 { 0.0 } else { (count as f64).powf(power) };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    fn source(from: Origin, count: usize) -> NegativeSource {
        NegativeSource { from, count, per: Per::Session }
    }

    #[test]
    fn draws_are_as_frequent_as_expected() {
        let counts = [4, 0, 9, 1];
        let sources = [
            source(Origin::Uniform, 3),
            source(Origin::Popularity { power: 0.5 }, 5),
            source(Origin::InBatch, 2),
        ];
        // Sessions of the batch whose clicks are as frequent as those of all sessions.
        let clicks = [1, 1, 3, 3, 3, 4, 3, 3, 3, 1, 1, 3, 3, 3, 2];
        let clicks = Pool { items: &clicks, starts: &[0, 14, 15] };
        let mut rng = stream(1, Purpose::Negatives, 0);
        let mut seen = [0.0; 4];
        let rounds = 40_000;
        for _ in 0..rounds {
            let mut drawn = vec![];
            for config in &sources {
                Source::new(config, 4, &counts).draw(&mut rng, &clicks, 1, 4, &mut drawn);
            }
            assert_eq!(drawn.len(), 10);
            drawn.iter().for_each(|&item| seen[item as usize - 1] += 1.0 / rounds as f64);
        }
        let expected = Expected::log_counts(&sources, &counts, &counts.map(|count| count as f64));
        assert_eq!(expected[0], f32::NEG_INFINITY);
        for (item, seen) in seen.iter().enumerate() {
            let expected = f64::from(expected[item + 1].exp());
            assert!((seen - expected).abs() < 0.05, "item {item}: {seen} and {expected}");
        }
    }

    #[test]
    fn in_batch_candidates_are_clicks_of_other_sessions() {
        let clicks = Pool { items: &[1, 2, 3, 4, 5, 6], starts: &[0, 2, 3, 6] };
        let mut rng = stream(2, Purpose::Negatives, 0);
        let source = Source::new(&source(Origin::InBatch, 500), 9, &[1; 9]);
        for (session, others) in
            [(0, vec![3, 4, 5, 6]), (1, vec![1, 2, 4, 5, 6]), (2, vec![1, 2, 3])]
        {
            let mut drawn = vec![];
            source.draw(&mut rng, &clicks, session, 9, &mut drawn);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn, others, "session {session}");
        }
    }
}
