//! Evaluation of what gives a score to every item, whatever it is made of: no item vectors needed.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Result, bail};
use rayon::prelude::*;

use super::lists::{LISTED, Lists, Tally, spread};
use super::metrics::Metrics;
use super::query::Query;
use crate::config::{EvaluationConfig, Protocol, Seen};
use crate::data::Sequences;

/// Scores that are held at once: 32 MiB of float64.
const SCORES: usize = 1 << 22;

/// Users whose queries are gathered at once.
const USERS: usize = 256;

/// Scores a catalogue from a history.
pub trait Scorer {
    /// `[histories, items]`, full of zeros when it comes: of each history, ids from 1 and oldest
    /// first, the score of each item, item `i + 1` in column `i`.
    ///
    /// # Errors
    /// When they cannot be computed.
    fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()>;
}

/// What a [`Scorer`] is evaluated on, the scores of a block of histories at a time.
pub struct ScoreBlocks<'a> {
    pub sequences: &'a Sequences,
    pub users: &'a [usize],
    /// `[users]`: where the items to be found are in each sequence, as in [`super::Evaluation`].
    pub windows: Option<Vec<Range<usize>>>,
    /// `[items]`: what can be ranked, as in [`super::Evaluation`].
    pub known: Option<Vec<bool>>,
    /// The size of the catalogue.
    pub items: usize,
    pub config: &'a EvaluationConfig,
    /// Of positions: only so many of the last items of a session are to be found, as by a session
    /// model that reads no more; the scorer sees all that came before.
    pub latest: usize,
}

impl ScoreBlocks<'_> {
    /// The ranks of every user's targets and their metrics at every N: ranks as those of
    /// [`super::ranks`], queries as those of a model under the same protocol. `progress` hears how
    /// many users more are done.
    ///
    /// # Errors
    /// When there is nobody to rank for, or a target's score is not a number.
    pub fn run(&self, scorer: &dyn Scorer, progress: &mut dyn FnMut(u64)) -> Result<Metrics> {
        self.ranked(scorer, &mut [], &[], progress)
    }

    /// The same, and of each N what the lists of the N best hold, as [`super::Listing`] has it of a
    /// model; `counts`, `[items]`: how often each item stands in what trains.
    ///
    /// # Errors
    /// Those of [`ScoreBlocks::run`].
    pub fn run_with_lists(
        &self,
        scorer: &dyn Scorer,
        counts: &[u64],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Metrics, BTreeMap<usize, Lists>)> {
        let tally = |&at: &usize| Tally::new(at, self.items);
        let mut tallies: Vec<Tally> = self.config.at.iter().map(tally).collect();
        let metrics = self.ranked(scorer, &mut tallies, counts, progress)?;
        Ok((metrics, tallies.into_iter().map(|tally| (tally.at, tally.lists())).collect()))
    }

    fn ranked(
        &self,
        scorer: &dyn Scorer,
        tallies: &mut [Tally],
        counts: &[u64],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Metrics> {
        let block = (SCORES / self.items.max(1)).max(1);
        let mut buffer = vec![0.0; block * self.items];
        let mut metrics = Metrics::new(self.config.protocol, &self.config.at);
        let places = (0..self.users.len()).collect::<Vec<_>>();
        let longest = tallies.iter().map(|tally| tally.at.min(self.items)).max();
        let listed = longest.map_or(vec![], |_| spread(places.clone(), LISTED));
        for places in places.chunks(USERS) {
            // Of which of the queries the best are listed.
            let (mut queries, mut of_users, mut lists) = (vec![], vec![], vec![]);
            for &at in places {
                let before = queries.len();
                queries.extend(self.queries(at));
                queries[before..].iter().for_each(|query| metrics.leave_out(query.unrankable));
                let is_listed = listed.binary_search(&at).is_ok();
                if let Some(list) = is_listed.then(|| self.list(at)).flatten() {
                    let like = |query: &Query| query.history.len() == list.history.len();
                    let place = queries[before..].iter().position(like);
                    lists.push(before + place.unwrap_or(queries.len() - before));
                    if place.is_none() {
                        queries.push(list);
                    }
                }
                of_users.push(queries.len() - before);
            }
            let mut ranks = vec![];
            for (chunk, queries) in queries.chunks(block).enumerate() {
                let scores = &mut buffer[..queries.len() * self.items];
                scores.fill(0.0);
                let histories: Vec<&[u32]> = queries.iter().map(|query| query.history).collect();
                scorer.score(&histories, scores)?;
                let rows = scores.par_chunks_mut(self.items).zip(queries).enumerate();
                let of_row = |(at, (row, query)): (usize, (&mut [f64], &Query))| -> Result<_> {
                    let ranks = ranks_in(row, query, self.config.seen)?;
                    let is_listed = lists.binary_search(&(chunk * block + at)).is_ok();
                    let list = longest.filter(|_| is_listed).map(|longest| best(row, longest));
                    Ok((ranks, list))
                };
                for (own, list) in rows.map(of_row).collect::<Result<Vec<_>>>()? {
                    ranks.push(own);
                    if let Some(list) = list {
                        tallies.iter_mut().for_each(|tally| tally.add(&list, counts));
                    }
                }
            }
            let mut found = queries.iter().zip(&ranks).map(|(query, ranks)| query.found(ranks));
            for count in of_users {
                metrics.add(found.by_ref().take(count).flatten().collect());
            }
            progress(places.len() as u64);
        }
        metrics.not_empty()
    }

    /// What the user at this place is listed for, if anything is known of it.
    fn list(&self, at: usize) -> Option<Query<'_>> {
        let window = self.windows.as_ref().map(|windows| windows[at].clone());
        let list = Query::for_list(self.sequences.get(self.users[at]), window, self.config);
        Some(list).filter(|list| !list.history.is_empty())
    }

    /// What is asked for the user at this place.
    fn queries(&self, at: usize) -> Vec<Query<'_>> {
        let sequence = self.sequences.get(self.users[at]);
        let window = self.windows.as_ref().map(|windows| windows[at].clone());
        let seen = self.config.seen;
        match self.config.protocol {
            Protocol::Holdout | Protocol::LeaveOneOut => {
                vec![Query::of_user(sequence, window, self.config, self.known.as_deref())]
            }
            Protocol::Positions => {
                let window = window.unwrap_or(0..sequence.len());
                let all = Query::of_positions(&sequence[..window.end], self.latest);
                let within = |query: &Query| query.history.len() >= window.start;
                all.filter(|query| within(query) && query.is_asked(seen)).collect()
            }
        }
    }
}

/// The ranks of a query's targets, in their order, from 1; items that it hides lose their scores.
fn ranks_in(scores: &mut [f64], query: &Query, seen: Seen) -> Result<Vec<u64>> {
    for id in query.hidden(seen) {
        scores[id as usize - 1] = f64::NEG_INFINITY;
    }
    let rank = |&target: &u32| {
        let own = scores[target as usize - 1];
        if own.is_nan() {
            bail!("the scores are not numbers (NaN)");
        }
        Ok(scores.iter().filter(|score| **score >= own).count() as u64)
    };
    query.targets.iter().map(rank).collect()
}

/// The rows of the `count` best of a row of scores, the best first, of equal ones the lower row first;
/// what has lost its score is none.
fn best(scores: &[f64], count: usize) -> Vec<i64> {
    let order = |a: &u32, b: &u32| {
        let [one, other] = [a, b].map(|row| scores[*row as usize]);
        other.total_cmp(&one).then(a.cmp(b))
    };
    let there = |row: &u32| scores[*row as usize] > f64::NEG_INFINITY;
    let mut rows: Vec<u32> = (0..scores.len() as u32).filter(there).collect();
    if count < rows.len() {
        rows.select_nth_unstable_by(count, order);
        rows.truncate(count);
    }
    rows.sort_unstable_by(order);
    rows.into_iter().map(i64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Metric;
    use crate::eval::value_of;

    /// Whatever came before, items 1 to 4 score 3 2 1 1.
    struct Constant;

    impl Scorer for Constant {
        fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()> {
            assert_eq!(scores.len(), 4 * histories.len());
            scores.chunks_mut(4).for_each(|row| row.copy_from_slice(&[3.0, 2.0, 1.0, 1.0]));
            Ok(())
        }
    }

    fn sequences(all: &[&[u32]]) -> Sequences {
        let mut offsets = vec![0];
        all.iter().for_each(|one| offsets.push(offsets[offsets.len() - 1] + one.len()));
        Sequences { items: all.concat(), offsets }
    }

    fn ranks(all: &[&[u32]], latest: usize, protocol: Protocol, seen: Seen) -> Vec<Vec<u64>> {
        ranks_within(all, None, latest, protocol, seen)
    }

    fn ranks_within(
        all: &[&[u32]],
        windows: Option<Vec<Range<usize>>>,
        latest: usize,
        protocol: Protocol,
        seen: Seen,
    ) -> Vec<Vec<u64>> {
        let sequences = sequences(all);
        let users: Vec<usize> = (0..all.len()).collect();
        let config = EvaluationConfig { protocol, at: vec![1, 3], seen };
        let blocks = ScoreBlocks {
            sequences: &sequences,
            users: &users,
            windows,
            known: None,
            items: 4,
            config: &config,
            latest,
        };
        let mut done = 0;
        let metrics = blocks.run(&Constant, &mut |more| done += more).unwrap();
        assert_eq!(done, all.len() as u64);
        let recall = "recall@3".parse::<Metric>().unwrap();
        assert!(value_of(&metrics.means(), recall).is_some());
        metrics.ranks().0
    }

    #[test]
    fn a_tie_counts_against_the_target_and_seen_items_can_be_left_out() {
        let all: [&[u32]; 2] = [&[1, 2, 1, 2, 4], &[1, 3, 2, 2, 3]];
        let of = |seen| ranks(&all, usize::MAX, Protocol::Holdout, seen);
        assert_eq!(of(Seen::Keep), [[4], [4]]);
        // 1 and 2 are hidden for the first; for the second 3 is, which it would have to find.
        assert_eq!(of(Seen::Exclude), [vec![2], vec![]]);
    }

    #[test]
    fn positions_are_those_of_a_session_model() {
        let all: [&[u32]; 4] = [&[4, 1, 2], &[3], &[1, 1, 2, 3], &[2, 4]];
        let of = |latest, seen| ranks(&all, latest, Protocol::Positions, seen);
        assert_eq!(of(2, Seen::Keep), [vec![1, 2], vec![], vec![2, 4], vec![4]]);
        assert_eq!(of(9, Seen::Keep), [vec![1, 2], vec![], vec![1, 2, 4], vec![4]]);
        assert_eq!(of(2, Seen::Exclude), [vec![1, 1], vec![], vec![1, 2], vec![3]]);
        // The second 1 is nothing new.
        assert_eq!(of(9, Seen::Exclude), [vec![1, 1], vec![], vec![1, 2], vec![3]]);
    }

    #[test]
    fn a_window_holds_what_is_to_be_found() {
        // Item i scores 1/i, whatever came before.
        let all: [&[u32]; 2] = [&[4, 1, 2, 3, 1], &[1, 2, 2, 4]];
        let windows = || Some(vec![2..4, 1..3]);
        let of = |latest, protocol| ranks_within(&all, windows(), latest, protocol, Seen::Keep);
        let known: [&[u32]; 2] = [&all[0][..4], &all[1][..3]];
        let positions = ranks(&known, usize::MAX, Protocol::Positions, Seen::Keep);
        assert_eq!(of(usize::MAX, Protocol::Positions), [&positions[0][1..], &positions[1][..]]);
        assert_eq!(of(1, Protocol::Positions), [&positions[0][2..], &positions[1][1..]]);
        // Each target once.
        let holdout = [positions[0][1..].to_vec(), positions[1][..1].to_vec()];
        assert_eq!(of(usize::MAX, Protocol::Holdout), holdout);
    }

    /// Of eight items, some of which score alike, by how long the history is.
    fn score_after(length: usize, row: usize) -> f64 {
        ((7 * length + 5 * row) % 6) as f64
    }

    struct ByLength;

    impl Scorer for ByLength {
        fn score(&self, histories: &[&[u32]], scores: &mut [f64]) -> Result<()> {
            for (row, history) in scores.chunks_mut(8).zip(histories) {
                (0..8).for_each(|at| row[at] = score_after(history.len(), at));
            }
            Ok(())
        }
    }

    #[test]
    fn lists_are_those_that_a_model_is_asked_for() {
        let all: [&[u32]; 5] = [&[1, 2, 3, 4, 5], &[7, 7, 2, 8, 1, 3], &[6], &[4, 4], &[5, 1, 5]];
        let sequences = sequences(&all);
        let known: Vec<u64> = (0..8).map(|row| row * row).collect();
        for (protocol, latest, histories) in [
            (Protocol::Holdout, 1, [4, 4, 0, 1, 2]),
            (Protocol::LeaveOneOut, 1, [4, 5, 1, 1, 2]),
            (Protocol::Positions, 1, [4, 5, 1, 1, 2]),
            (Protocol::Positions, 9, [4, 5, 1, 1, 2]),
        ] {
            for seen in [Seen::Keep, Seen::Exclude] {
                let config = EvaluationConfig { protocol, at: vec![1, 3, 60], seen };
                let blocks = ScoreBlocks {
                    sequences: &sequences,
                    users: &[0, 1, 2, 3, 4],
                    windows: None,
                    known: None,
                    items: 8,
                    config: &config,
                    latest,
                };
                let (metrics, found) =
                    blocks.run_with_lists(&ByLength, &known, &mut |_| ()).unwrap();
                let alone = blocks.run(&ByLength, &mut |_| ()).unwrap();
                assert_eq!(metrics.ranks(), alone.ranks(), "{config:?}");
                let list = |(own, length): (&[u32], usize)| {
                    let hidden = if seen == Seen::Exclude { &own[..length] } else { &[] };
                    let mut rows: Vec<usize> =
                        (0..8).filter(|row| !hidden.contains(&(*row as u32 + 1))).collect();
                    let score = |row: usize| score_after(length, row);
                    rows.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
                    rows
                };
                let asked = all.into_iter().zip(histories).filter(|(_, length)| *length > 0);
                let lists: Vec<Vec<usize>> = asked.map(list).collect();
                for at in [1, 3, 60] {
                    let places = || lists.iter().flat_map(|list| list.iter().take(at));
                    let distinct: std::collections::BTreeSet<_> = places().collect();
                    let sum: u64 = places().map(|row| known[*row]).sum();
                    let expected = Lists {
                        coverage: distinct.len() as f64 / 8.0,
                        popularity: sum as f64 / places().count() as f64,
                    };
                    assert_eq!(found[&at], expected, "{config:?} @{at}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_ranked_is_an_error() {
        struct Broken;
        impl Scorer for Broken {
            fn score(&self, _: &[&[u32]], scores: &mut [f64]) -> Result<()> {
                scores.fill(f64::NAN);
                Ok(())
            }
        }
        let sequences = sequences(&[&[1, 2, 3, 4, 1]]);
        let config = EvaluationConfig::default();
        let run = |users: &[usize]| {
            let (sequences, config) = (&sequences, &config);
            ScoreBlocks {
                sequences,
                users,
                windows: None,
                known: None,
                items: 4,
                config,
                latest: 1,
            }
            .run(&Broken, &mut |_| ())
            .map(|_| ())
            .unwrap_err()
            .to_string()
        };
        assert!(run(&[0]).contains("NaN"));
        assert!(run(&[]).contains("nobody to rank for"));
    }
}
