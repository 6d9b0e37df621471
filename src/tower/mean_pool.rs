//! The paper's user tower: one dense layer on the mean of the history.

use tch::{Device, Kind, Tensor};

use super::{Dropout, Encoder, Layout, glorot};
use crate::device::host_floats;

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

impl MeanPool {
    /// The memory of the kernel `[dim, dim]` and of the bias `[dim]`, on the host in float32 only.
    pub fn on_host(&self) -> Option<(&[f32], &[f32])> {
        host_floats(&self.kernel).zip(host_floats(&self.bias))
    }
}

impl Encoder for MeanPool {
    fn as_mean_pool(&self) -> Option<&MeanPool> {
        Some(self)
    }

    fn positions(&self, rows: &Tensor, layout: &Layout, _: Option<&Dropout>) -> Tensor {
        let padded = layout.pad(rows);
        let length = padded.size()[1];
        let count = Tensor::arange_start(1, length + 1, (padded.kind(), padded.device()));
        let means = padded.cumsum(1, None::<Kind>) / count.view([1, length, 1]);
        self.bias.addmm(&layout.pack(&means), &self.kernel)
    }

    fn encode(&self, rows: &Tensor, mask: &Tensor, _: Option<&Dropout>) -> Tensor {
        let sum = (rows * mask.unsqueeze(-1)).sum_dim_intlist(1, false, None::<Kind>);
        let count = mask.sum_dim_intlist(1, true, None::<Kind>).clamp_min(1.0);
        self.bias.addmm(&(sum / count), &self.kernel)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor)> {
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
        let rows = Tensor::from_slice(&[user, nobody].concat()).view([2, 3, 2]);
        let mask = Tensor::from_slice2(&[[1.0f32, 1.0, 0.0], [0.0, 0.0, 0.0]]);
        let users = Vec::<f32>::try_from(tower.encode(&rows, &mask, None).view(-1)).unwrap();
        // mean = (2, 1): (2·1 + 1·3 + 0.5, 2·2 + 1·4 − 0.5); without history: the bias.
        assert_eq!(users, [5.5, 7.5, 0.5, -0.5]);
    }
}
