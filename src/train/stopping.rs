//! Early stopping on a validation metric.

use serde::{Deserialize, Serialize};

use super::exact::Exact;

/// Remembers the best value and when to give up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stopping {
    patience: u64,
    best: Option<(Exact, u64)>,
    since: u64,
}

impl Stopping {
    /// Gives up after `patience` values in a row without a better one.
    pub fn new(patience: u64) -> Self {
        Self { patience, best: None, since: 0 }
    }

    /// Takes the value at `step` in and says whether it is the best so far.
    pub fn better(&mut self, value: f64, step: u64) -> bool {
        let better = self.best.is_none_or(|(Exact(best), _)| value > best);
        if better {
            self.best = Some((Exact(value), step));
            self.since = 0;
        } else {
            self.since += 1;
        }
        better
    }

    /// Whether it is time to stop.
    pub fn exhausted(&self) -> bool {
        self.since >= self.patience
    }

    /// The step of the best value.
    pub fn best_step(&self) -> Option<u64> {
        self.best.map(|(_, step)| step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_value_is_not_better_and_a_better_one_restarts_the_count() {
        let mut stopping = Stopping::new(2);
        let said: Vec<(bool, bool)> = [0.1, 0.1, 0.2, 0.2, 0.15]
            .into_iter()
            .enumerate()
            .map(|(at, value)| (stopping.better(value, at as u64), stopping.exhausted()))
            .collect();
        let expected =
            [(true, false), (false, false), (true, false), (false, false), (false, true)];
        assert_eq!(said, expected);
        assert_eq!(stopping.best_step(), Some(2));
    }
}
