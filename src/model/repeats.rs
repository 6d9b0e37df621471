//! Repeats: what the score of an item gains where the history holds it, by how often and how lately.
//! The only place that spells it.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::Scoring;

/// Numbers by count, and by recency.
const EACH: usize = 8;

/// What a number of the parameter counts in a score: at the learning rate of all other weights the
/// addition moves so many times as fast, since what it has to come to is large beside them.
const RATE: f64 = 10.0;

/// a = 10·(w_count + w_recency) for an item of the history, 0 for any other.
pub struct Repeats {
    /// `[2, 8]`: by count, by recency.
    weights: Tensor,
    /// The latest items of a history that count.
    history: usize,
}

/// Which two numbers an item of a history gains, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// min(count, 8) − 1
    pub count: u8,
    /// min(⌊log₂(later + 1)⌋, 7)
    pub recency: u8,
}

/// What scores gain, over host memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Additions {
    /// The latest items of a history that count.
    pub history: usize,
    pub by_count: [f32; EACH],
    pub by_recency: [f32; EACH],
}

impl Buckets {
    /// Of an item that stands `count` times in a history, `later` other items after the last time.
    pub fn new(count: usize, later: usize) -> Self {
        let most = EACH - 1;
        Self {
            count: (count - 1).min(most) as u8,
            recency: ((later + 1).ilog2() as usize).min(most) as u8,
        }
    }
}

impl Repeats {
    /// Nothing is gained at first.
    pub fn new(history: usize, device: Device) -> Self {
        let weights = Tensor::zeros([2, EACH as i64], (Kind::Float, device));
        Self { weights: weights.set_requires_grad(true), history }
    }

    /// The trained parameter by name, sharing its memory.
    pub fn parameter(&self) -> (&'static str, Tensor) {
        ("repeats", self.weights.shallow_clone())
    }

    /// What scores gain, from buckets by count and by recency, `[pairs]` int64 each: `[pairs]`, with
    /// a way back to the parameter.
    pub fn of_buckets(&self, count: &Tensor, recency: &Tensor) -> Tensor {
        let of = |row, buckets| self.weights.get(row).index_select(0, buckets);
        (of(0, count) + of(1, recency)) * RATE
    }

    /// The gradient of the parameter, from the slope of each pair's addition.
    pub fn gradient(buckets: &[Buckets], slopes: &[f64]) -> Tensor {
        let mut sums = [0.0; 2 * EACH];
        for (own, slope) in buckets.iter().zip(slopes) {
            sums[own.count as usize] += RATE * slope;
            sums[EACH + own.recency as usize] += RATE * slope;
        }
        Tensor::from_slice(&sums).to_kind(Kind::Float).view([2, EACH as i64])
    }

    /// What scores gain.
    pub fn of_scores(&self) -> Additions {
        self.additions(RATE)
    }

    /// What inner products of user and item vectors gain, by which the catalogue is ranked.
    pub fn of_products(&self, scoring: &Scoring) -> Additions {
        self.additions(RATE / scoring.factor())
    }

    fn additions(&self, rate: f64) -> Additions {
        let weights = (self.weights.detach() * rate).to_device(Device::Cpu).view([-1]);
        let weights = Vec::<f32>::try_from(weights).expect("a list of float32");
        let [by_count, by_recency] = [0, EACH].map(|from| {
            let own = weights[from..from + EACH].try_into();
            own.expect("as many numbers as buckets")
        });
        Additions { history: self.history, by_count, by_recency }
    }
}

impl Additions {
    /// What an item gains.
    pub fn at(&self, buckets: Buckets) -> f32 {
        self.by_count[buckets.count as usize] + self.by_recency[buckets.recency as usize]
    }

    /// The items of a history (oldest first), ascending, with what each gains.
    pub fn of(&self, history: &[u32]) -> Vec<(u32, f32)> {
        let latest = &history[history.len().saturating_sub(self.history)..];
        let mut places: Vec<(u32, usize)> = latest.iter().copied().zip(0..).collect();
        places.sort_unstable();
        let of_item = |places: &[(u32, usize)]| {
            let (item, last) = places[places.len() - 1];
            (item, self.at(Buckets::new(places.len(), latest.len() - 1 - last)))
        };
        places.chunk_by(|a, b| a.0 == b.0).map(of_item).collect()
    }

    /// Whether all are numbers.
    pub fn are_finite(&self) -> bool {
        self.by_count.iter().chain(&self.by_recency).all(|addition| addition.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_counts_up_to_eight_and_powers_of_two() {
        let of = |count, later| {
            let own = Buckets::new(count, later);
            (own.count, own.recency)
        };
        for (later, recency) in [(0, 0), (1, 1), (2, 1), (3, 2), (6, 2), (7, 3), (126, 6), (127, 7)]
        {
            assert_eq!(of(1, later), (0, recency), "{later}");
        }
        assert_eq!((of(8, 9000), of(9, 0)), ((7, 7), (7, 0)));
    }

    #[test]
    fn items_of_the_latest_history_gain_by_how_often_and_how_lately() {
        let repeats = Repeats::new(5, Device::Cpu);
        let weights: Vec<f32> = (0..16).map(|at| at as f32 / 4.0).collect();
        let _guard = tch::no_grad_guard();
        repeats.weights.shallow_clone().copy_(&Tensor::from_slice(&weights).view([2, 8]));
        let additions = repeats.of_scores();
        // 9 stands before the latest five; 4 once, no item later; 7 twice, two later; 3 once, one
        // later; 2 once, four later.
        let expected = [(2, 2.0 + 0.5), (3, 2.0 + 0.25), (4, 2.0), (7, 2.0 + 0.25 + 0.25)];
        let expected = expected.map(|(item, sum)| (item, 10.0 * sum as f32));
        assert_eq!(additions.of(&[4, 9, 2, 7, 7, 3, 4]), expected);
        assert_eq!(additions.of(&[]), []);
        let scoring = |normalize| {
            Scoring::new(&crate::config::TowerConfig { normalize, ..Default::default() })
        };
        assert_eq!(repeats.of_products(&scoring(false)), additions);
        let of_cosines = repeats.of_products(&scoring(true));
        assert_eq!(of_cosines.of(&[4]), [(4, 2.0)]);
        assert!(additions.are_finite());
    }
}
