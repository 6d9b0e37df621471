//! What changes in Adam from step to step, at one place of a GPU's memory, for work that is recorded
//! once and launched again ([`crate::device::Graph`]): numbers that a launch is given are recorded
//! with it.

use tch::{Device, Kind, Tensor};

use super::Rule;
use crate::device::send;

/// The numbers of one optimiser: the step that is done, and of the next one Adam's rate and ε.
const NUMBERS: i64 = 3;

/// The numbers of some optimisers.
pub struct Clock {
    /// `[optimisers, 3]` float64.
    numbers: Tensor,
    /// Those that were sent last.
    sent: Vec<f64>,
}

impl Clock {
    /// For some optimisers on a GPU.
    pub fn new(optimisers: usize, device: Device) -> Self {
        let numbers = Tensor::zeros([optimisers as i64, NUMBERS], (Kind::Double, device));
        Self { numbers, sent: vec![] }
    }

    /// `[3]` float64: where an optimiser's numbers are.
    pub fn of(&self, optimiser: usize) -> Tensor {
        self.numbers.get(optimiser as i64)
    }

    /// Sends the numbers of optimisers that go by `rule` and have done so many steps each.
    pub fn set(&mut self, rule: &Rule, steps: impl Iterator<Item = i64>) {
        let numbers: Vec<f64> = steps
            .flat_map(|step| {
                let (rate, epsilon) = rule.at(step + 1);
                [step as f64, rate, epsilon]
            })
            .collect();
        if numbers != self.sent {
            let all = Tensor::from_slice(&numbers).view([-1, NUMBERS]);
            self.numbers.copy_(&send(&all, self.numbers.device()));
            self.sent = numbers;
        }
    }
}
