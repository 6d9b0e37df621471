//! What training sets to zero at random.

use std::cell::RefCell;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tch::Tensor;

use crate::device::Drops;
use crate::random::{Purpose, stream};

/// Who draws: which numbers are drawn depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Draws {
    /// The host, so that several threads can draw at once and still get the same at every run.
    Host,
    /// The device that the numbers are for.
    Device,
}

/// The draws of dropout in one part of a batch at one step: a function of these and of the seed.
pub struct Dropout {
    rng: RefCell<ChaCha8Rng>,
    draws: Draws,
}

impl Dropout {
    /// For part `part` of the batch of step `step`.
    pub fn new(seed: u64, step: u64, part: u64, draws: Draws) -> Self {
        let mut rng = stream(seed, Purpose::Dropout, (step << 16) | part);
        if draws == Draws::Device {
            tch::manual_seed(rng.random());
        }
        Self { rng: RefCell::new(rng), draws }
    }

    /// What the next kernel of our own sets to zero.
    pub fn drops(&self, rate: f64) -> Drops {
        Drops { rate, seed: self.rng.borrow_mut().random() }
    }

    /// `x` with a share `rate` of its numbers set to zero and the others raised accordingly.
    pub fn apply(&self, x: &Tensor, rate: f64) -> Tensor {
        if rate == 0.0 {
            return x.shallow_clone();
        }
        if self.draws == Draws::Device {
            return x.dropout(rate, true);
        }
        let mut draws = vec![0u16; x.numel()];
        self.rng.borrow_mut().fill(&mut draws[..]);
        let least = (rate * 65536.0) as u16;
        let kept = (1.0 / (1.0 - rate)) as f32;
        let mask: Vec<f32> =
            draws.iter().map(|&draw| if draw < least { 0.0 } else { kept }).collect();
        x * Tensor::from_slice(&mask).view_as(x).to_kind(x.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_share_is_zero_and_the_mean_stays() {
        let x = Tensor::ones([300, 400], (Kind::Float, Device::Cpu));
        let dropped = Dropout::new(1, 7, 0, Draws::Host).apply(&x, 0.2);
        let zeros = dropped.eq(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        assert!((zeros - 0.2).abs() < 0.005, "{zeros}");
        assert!((dropped.mean(Kind::Float).double_value(&[]) - 1.0).abs() < 0.006);
        assert_eq!(dropped, Dropout::new(1, 7, 0, Draws::Host).apply(&x, 0.2));
        assert_ne!(dropped, Dropout::new(1, 7, 1, Draws::Host).apply(&x, 0.2));
        assert_ne!(dropped, Dropout::new(1, 8, 0, Draws::Host).apply(&x, 0.2));
    }
}
