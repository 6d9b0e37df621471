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

/// The clicks of a batch that encoders read, session by session.
pub struct Clicks<'a> {
    pub items: &'a [u32],
    /// `[sessions + 1]`
    pub starts: &'a [usize],
}

impl Source {
    /// For a catalogue of `items`, of which `counts[i]` clicks are on item `i + 1`.
    pub fn new(config: &NegativeSource, counts: &[u64]) -> Self {
        let from = match config.from {
            Origin::Uniform => From::Uniform { items: counts.len() },
            Origin::Popularity { .. } => From::Popularity(Alias::new(&weights(config, counts))),
            Origin::InBatch => From::InBatch,
        };
        Self { per: config.per, count: config.count, from }
    }

    /// Draws candidates for `session`, with replacement.
    pub fn draw(
        &self,
        rng: &mut impl Rng,
        clicks: &Clicks,
        session: usize,
        catalogue: usize,
        to: &mut Vec<i64>,
    ) {
        let own = clicks.starts[session]..clicks.starts[session + 1];
        let free = clicks.items.len() - own.len();
        for _ in 0..self.count {
            to.push(match &self.from {
                From::Popularity(alias) => alias.draw(rng) as i64 + 1,
                From::InBatch if free > 0 => {
                    let place = rng.random_range(0..free);
                    let place = if place >= own.start { place + own.len() } else { place };
                    i64::from(clicks.items[place])
                }
                // A batch of one session, the last of an epoch, has no others.
                From::InBatch => rng.random_range(1..=catalogue as i64),
                From::Uniform { items } => rng.random_range(1..=*items as i64),
            });
        }
    }
}

/// How often each item is expected among the candidates of a position, all sources together: what
/// the log-q correction divides by. For draws from several sources the sum of e^s/c over all of
/// them estimates the catalogue's without bias, and with less noise than each source alone.
pub struct Expected;

impl Expected {
    /// ln c, `[items + 1]`; −∞ for padding and for what no source gives.
    pub fn log_counts(sources: &[NegativeSource], counts: &[u64]) -> Vec<f32> {
        let mut expected = vec![0.0; counts.len() + 1];
        for source in sources {
            let weights = weights(source, counts);
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

/// What a draw from `source` is in proportion to. A click of the batch is any click of the
/// training sessions.
fn weights(source: &NegativeSource, counts: &[u64]) -> Vec<f64> {
    let power = match source.from {
        Origin::Uniform => return vec![1.0; counts.len()],
        Origin::InBatch => 1.0,
        Origin::Popularity { power } => power,
    };
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
        let clicks = Clicks { items: &clicks, starts: &[0, 14, 15] };
        let mut rng = stream(1, Purpose::Negatives, 0);
        let mut seen = [0.0; 4];
        let rounds = 40_000;
        for _ in 0..rounds {
            let mut drawn = vec![];
            for config in &sources {
                Source::new(config, &counts).draw(&mut rng, &clicks, 1, 4, &mut drawn);
            }
            assert_eq!(drawn.len(), 10);
            drawn.iter().for_each(|&item| seen[item as usize - 1] += 1.0 / rounds as f64);
        }
        let expected = Expected::log_counts(&sources, &counts);
        assert_eq!(expected[0], f32::NEG_INFINITY);
        for (item, seen) in seen.iter().enumerate() {
            let expected = f64::from(expected[item + 1].exp());
            assert!((seen - expected).abs() < 0.05, "item {item}: {seen} and {expected}");
        }
    }

    #[test]
    fn in_batch_candidates_are_clicks_of_other_sessions() {
        let clicks = Clicks { items: &[1, 2, 3, 4, 5, 6], starts: &[0, 2, 3, 6] };
        let mut rng = stream(2, Purpose::Negatives, 0);
        let source = Source::new(&source(Origin::InBatch, 500), &[1; 9]);
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
