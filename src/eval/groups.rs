//! Recall by groups: how popular a target is, and how much was known when it was asked for. A model
//! that knows best-sellers alone shows it here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metrics::{Found, Metrics};

/// The lengths of history that groups end with; the last one has no end.
const LENGTHS: [usize; 4] = [5, 10, 20, 50];

/// Targets that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    pub targets: u64,
    /// By N the share of them that is among the top N; nothing where there are no targets.
    pub recall: BTreeMap<usize, f64>,
}

/// All targets in groups, in two ways.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// By the tenth of the catalogue that a target is of, in the order of popularity in training.
    pub popularity: Vec<Group>,
    /// By the length of the history.
    pub history: Vec<Group>,
}

impl Groups {
    /// How many targets there are.
    pub fn targets(&self) -> u64 {
        self.history.iter().map(|group| group.targets).sum()
    }
}

impl Metrics {
    /// Recall by groups; `counts` `[items]`: how often each item stands in what trains.
    pub fn groups(&self, counts: &[u64]) -> Groups {
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|&item| std::cmp::Reverse(counts[item]));
        let mut tenth = vec![0; counts.len()];
        for (place, item) in order.into_iter().enumerate() {
            tenth[item] = place * 10 / counts.len();
        }
        let tenths = (1..=10).map(|tenth| format!("tenth {tenth} of the items"));
        let [a, b, c, d] = LENGTHS;
        let lengths = [
            format!("up to {a} items"),
            format!("{} to {b} items", a + 1),
            format!("{} to {c} items", b + 1),
            format!("{} to {d} items", c + 1),
            format!("over {d} items"),
        ];
        let length = |one: &Found| LENGTHS.partition_point(|end| *end < one.history);
        Groups {
            popularity: self.by(tenths, |one| tenth[one.target as usize - 1]),
            history: self.by(lengths.into_iter(), length),
        }
    }

    fn by(&self, names: impl Iterator<Item = String>, of: impl Fn(&Found) -> usize) -> Vec<Group> {
        let mut ranks: Vec<(String, Vec<u64>)> = names.map(|name| (name, vec![])).collect();
        self.found().for_each(|one| ranks[of(&one)].1.push(one.rank));
        let group = |(name, ranks): (String, Vec<u64>)| {
            let share = |&at: &usize| {
                let listed = ranks.iter().filter(|rank| **rank <= at as u64).count();
                (at, listed as f64 / ranks.len() as f64)
            };
            let at = self.at().iter().filter(|_| !ranks.is_empty());
            Group { name, targets: ranks.len() as u64, recall: at.map(share).collect() }
        };
        ranks.into_iter().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Protocol;

    #[test]
    fn every_target_is_in_the_group_of_its_popularity_and_of_its_history() {
        let mut metrics = Metrics::new(Protocol::Holdout, &[1, 5]);
        // Of 20 items the tenth has the largest count, then the others by falling id.
        let counts: Vec<u64> = (1..=20).map(|id| if id == 10 { 99 } else { id }).collect();
        let found = |rank, target, history| Found { rank, target, history };
        metrics.add(vec![found(1, 10, 5), found(4, 20, 5), found(6, 1, 5)]);
        metrics.add(vec![found(5, 19, 6), found(7, 20, 51)]);
        let groups = metrics.groups(&counts);
        let told = |groups: &[Group]| -> Vec<(u64, Vec<f64>)> {
            groups.iter().map(|g| (g.targets, g.recall.values().copied().collect())).collect()
        };
        let empty = || (0, vec![]);
        let mut popularity = vec![(3, vec![1.0 / 3.0, 2.0 / 3.0]), (1, vec![0.0, 1.0])];
        popularity.extend((0..7).map(|_| empty()));
        popularity.push((1, vec![0.0, 0.0]));
        assert_eq!(told(&groups.popularity), popularity);
        let history = [(3, vec![1.0 / 3.0, 2.0 / 3.0]), (1, vec![0.0, 1.0])];
        let history = [&history[..], &[empty(), empty(), (1, vec![0.0, 0.0])]].concat();
        assert_eq!(told(&groups.history), history);
        assert_eq!((groups.history[1].name.as_str(), groups.targets()), ("6 to 10 items", 5));
        let text = serde_json::to_string(&groups).unwrap();
        assert_eq!(serde_json::from_str::<Groups>(&text).unwrap(), groups);
    }
}
