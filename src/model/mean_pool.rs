//! The paper's user tower: one dense layer on the mean of the history.

use tch::{Device, Kind, Tensor};

use super::initial::glorot;
use super::{Dropout, Encoder, Layout};
use crate::optim::Named;

/// u = mean(rows)·kernel + bias, no activation. A user without history gets the bias.
pub struct MeanPool {
    /// `[dim, dim]`
    kernel: Tensor,
    /// `[dim]`
    bias: Tensor,
}

impl MeanPool {
    /// Glorot-uniform kernel, zero bias.
    pub fn new(dim: i64, seed: u64, device: Device) -> Self {
        Self {
            kernel: glorot(dim, dim, seed, 1, device).set_requires_grad(true),
            bias: Tensor::zeros([dim], (Kind::Float, device)).set_requires_grad(true),
        }
    }
}

impl Encoder for MeanPool {
    fn positions(&self, rows: &Tensor, layout: &Layout, _: Option<&Dropout>) -> Tensor {
        let padded = layout.pad(rows);
        let length = padded.size()[1];
        let count = Tensor::arange_start(1, length + 1, (padded.kind(), padded.device()));
        let means = padded.cumsum(1, None::<Kind>) / count.view([1, length, 1]);
        self.bias.addmm(&layout.pack(&means), &self.kernel)
    }

    fn last(&self, rows: &Tensor, layout: &Layout, _: Option<&Dropout>) -> Tensor {
        self.bias.addmm(&layout.means(rows), &self.kernel)
    }

    fn parameters(&self) -> Named {
        vec![
            ("encoder.kernel", self.kernel.shallow_clone()),
            ("encoder.bias", self.bias.shallow_clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_dense_layer_on_the_mean_of_what_is_not_padding() {
        let tower = MeanPool::new(2, 1, Device::Cpu);
        let _guard = tch::no_grad_guard();
        tower.kernel.shallow_clone().copy_(&Tensor::from_slice2(&[[1.0f32, 2.0], [3.0, 4.0]]));
        tower.bias.shallow_clone().copy_(&Tensor::from_slice(&[0.5f32, -0.5]));
        let user = [1.0f32, 0.0, 3.0, 2.0, 9.0, 9.0];
        let nobody = [7.0f32; 6];
        let rows = Tensor::from_slice(&[user, nobody].concat()).view([6, 2]);
        let layout = Layout::padded(&Tensor::from_slice2(&[[4i64, 4, 0], [0, 0, 0]]));
        let users = Vec::<f32>::try_from(tower.last(&rows, &layout, None).view(-1)).unwrap();
        // mean = (2, 1): (2·1 + 1·3 + 0.5, 2·2 + 1·4 − 0.5); without history: the bias.
        assert_eq!(users, [5.5, 7.5, 0.5, -0.5]);
    }
}
