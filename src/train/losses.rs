//! The loss since it was last told.

use anyhow::{Result, bail, ensure};
use tch::{Device, Kind, Tensor};

use crate::optim::State;

/// What may help where it is no number.
pub const REMEDY: &str = "a smaller optimizer.learning_rate or tower.scale may help";

/// Summed on the device, so that a step never waits for the host.
pub struct Losses {
    sum: Tensor,
    count: i64,
}

impl Losses {
    /// Nothing yet.
    pub fn new(device: Device) -> Self {
        Self { sum: Tensor::zeros([], (Kind::Float, device)), count: 0 }
    }

    /// Takes in the loss of a step.
    pub fn add(&mut self, loss: &Tensor) {
        self.sum += loss;
        self.count += 1;
    }

    /// The mean, read back from the device, of those there were; starts again from nothing.
    ///
    /// # Errors
    /// When it is no number any more.
    pub fn mean(&mut self, step: u64) -> Result<Option<f64>> {
        let mean = self.checked(step)? / self.count as f64;
        let any = self.count > 0;
        let _ = self.sum.zero_();
        self.count = 0;
        Ok(any.then_some(mean))
    }

    /// Refuses a loss that is no number any more.
    pub fn check(&self, step: u64) -> Result<()> {
        self.checked(step).map(drop)
    }

    /// The sum, read back from the device.
    fn checked(&self, step: u64) -> Result<f64> {
        let sum = self.sum.double_value(&[]);
        if !sum.is_finite() {
            bail!(
                "the loss is {sum} at step {step} or before: training has diverged; {REMEDY}; with \
                 --set train.log_every=1 it ends at the step itself and names its rows"
            );
        }
        Ok(sum)
    }

    /// Sum and count by name; the sum shares memory.
    pub fn state(&self) -> State {
        vec![
            ("sum".into(), self.sum.shallow_clone()),
            ("count".into(), Tensor::from_slice(&[self.count])),
        ]
    }

    /// Takes over what [`Losses::state`] gave.
    ///
    /// # Errors
    /// When something of it is missing.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        let [sum, count] = ["sum", "count"].map(|name| state.iter().find(|(own, _)| own == name));
        let (Some((_, sum)), Some((_, count))) = (sum, count) else {
            bail!("the sum of losses is missing");
        };
        ensure!(sum.numel() == 1 && count.numel() == 1, "the sum of losses is no number");
        self.sum.copy_(&sum.view([]));
        self.count = count.int64_value(&[0]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_was_broken_off_is_gone_on_with() {
        let of = |value: f32| Tensor::from(value);
        let mut losses = Losses::new(Device::Cpu);
        losses.add(&of(1.0));
        losses.add(&of(2.5));
        let mut other = Losses::new(Device::Cpu);
        other.restore(&losses.state()).unwrap();
        other.add(&of(4.0));
        assert_eq!(other.mean(3).unwrap(), Some(2.5));
        assert_eq!(other.mean(3).unwrap(), None);
        other.add(&of(f32::NAN));
        let error = other.check(4).unwrap_err().to_string();
        assert!(error.contains("NaN at step 4"), "{error}");
    }
}
