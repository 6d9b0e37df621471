//! What of a batch one of several ranks works on.

use super::Chunk;
use super::batch::Samples;
use super::candidates::Candidates;
use crate::model::Queries;
use crate::ranks::Shard;

/// Histories with their own candidates, and the candidates of all.
pub struct Part {
    pub samples: Samples,
    pub candidates: Candidates,
    /// The number of each chunk among those of the whole batch, and its histories.
    pub chunks: Vec<(u64, usize)>,
    /// The share of all queries that it has.
    pub share: f64,
}

impl Part {
    /// Every R-th of the chunks of a batch, at most `most` of them: histories stand by rising length,
    /// so that each rank gets short ones and long ones. Who has none has no candidates either.
    /// Without `shard` it is the whole batch.
    pub fn of(samples: Samples, candidates: Candidates, most: usize, shard: Option<Shard>) -> Self {
        let cuts = Chunk::cuts(&samples.lengths(), most);
        let numbered = (0u64..).zip(&cuts);
        let Some(shard) = shard else {
            let chunks = numbered.map(|(number, cut)| (number, cut.len())).collect();
            return Self { samples, candidates, chunks, share: 1.0 };
        };
        let own: Vec<_> =
            numbered.filter(|(number, _)| *number as usize % shard.ranks == shard.rank).collect();
        let of_history = candidates.of_history.len() / samples.histories().max(1);
        let of_query = candidates.of_query.len() / samples.targets.len().max(1);
        let mut part = Self {
            samples: Samples {
                items: vec![],
                starts: vec![0],
                queries: samples.queries,
                targets: vec![],
            },
            candidates: Candidates::default(),
            chunks: own.iter().map(|(number, cut)| (*number, cut.len())).collect(),
            share: 0.0,
        };
        for history in own.into_iter().flat_map(|(_, cut)| cut.clone()) {
            let read = samples.starts[history] as usize..samples.starts[history + 1] as usize;
            let queries = match samples.queries {
                Queries::Every => read.clone(),
                Queries::Last => history..history + 1,
            };
            let (to, own) = (&mut part.samples, &mut part.candidates);
            to.items.extend(&samples.items[read]);
            to.starts.push(to.items.len() as u32);
            to.targets.extend(&samples.targets[queries.clone()]);
            own.of_history.extend(&candidates.of_history[history * of_history..][..of_history]);
            let of_queries = queries.start * of_query..queries.end * of_query;
            own.of_query.extend(&candidates.of_query[of_queries]);
        }
        if !part.chunks.is_empty() {
            part.candidates.shared = candidates.shared;
        }
        part.share = part.samples.targets.len() as f64 / samples.targets.len() as f64;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a history reads, what is asked for after it, candidates of its own and of its queries.
    type History = (Vec<i64>, Vec<i64>, Vec<i64>, Vec<i64>);

    /// A batch in which every history, query and candidate can be told from every other.
    fn whole(queries: Queries, histories: usize) -> (Samples, Candidates) {
        let lengths = (0..histories).map(|at| 1 + at * 100 / histories.max(1));
        let mut starts = vec![0];
        lengths.for_each(|length| starts.push(starts[starts.len() - 1] + length as u32));
        let positions = starts[histories] as i64;
        let targets = match queries {
            Queries::Every => positions,
            Queries::Last => histories as i64,
        };
        let from = |first: i64, count: i64| (first..first + count).collect::<Vec<i64>>();
        let candidates = Candidates {
            shared: from(100_000, 7),
            of_history: from(200_000, 2 * histories as i64),
            of_query: from(300_000, 3 * targets),
        };
        (
            Samples { items: from(1, positions), starts, queries, targets: from(50_000, targets) },
            candidates,
        )
    }

    #[test]
    fn ranks_share_histories_with_what_is_theirs_and_each_has_what_is_all_s() {
        for queries in [Queries::Every, Queries::Last] {
            for (histories, ranks) in [(40, 1), (40, 2), (41, 3), (2, 3), (1, 2)] {
                let (samples, candidates) = whole(queries, histories);
                let mut seen: Vec<History> = vec![];
                let mut share = 0.0;
                let mut numbers = vec![];
                for rank in 0..ranks {
                    let (samples, candidates) = whole(queries, histories);
                    let part = Part::of(samples, candidates, 16, Some(Shard { rank, ranks }));
                    share += part.share;
                    numbers.extend(part.chunks.iter().map(|(number, _)| *number));
                    let own = part.samples;
                    assert_eq!(part.chunks.iter().map(|own| own.1).sum::<usize>(), own.histories());
                    assert_eq!(part.candidates.shared.len(), 7 * usize::from(own.histories() > 0));
                    let each =
                        if queries == Queries::Every { own.items.len() } else { own.histories() };
                    assert_eq!(own.targets.len(), each);
                    for history in 0..own.histories() {
                        let read = own.starts[history] as usize..own.starts[history + 1] as usize;
                        let asked = match queries {
                            Queries::Every => read.clone(),
                            Queries::Last => history..history + 1,
                        };
                        seen.push((
                            own.items[read].to_vec(),
                            own.targets[asked.clone()].to_vec(),
                            part.candidates.of_history[2 * history..][..2].to_vec(),
                            part.candidates.of_query[3 * asked.start..3 * asked.end].to_vec(),
                        ));
                    }
                }
                seen.sort();
                assert_eq!(seen.len(), histories);
                let all = |pick: fn(&History) -> &Vec<i64>| {
                    seen.iter().flat_map(pick).copied().collect::<Vec<i64>>()
                };
                assert_eq!(all(|own| &own.0), samples.items);
                assert_eq!(all(|own| &own.1), samples.targets);
                assert_eq!(all(|own| &own.2), candidates.of_history);
                assert_eq!(all(|own| &own.3), candidates.of_query);
                assert!((share - 1.0).abs() < 1e-12, "{share}");
                numbers.sort_unstable();
                assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
            }
        }
    }
}
