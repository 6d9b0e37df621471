//! The trained model as what a position evaluation asks for.

use tch::Tensor;

use super::PositionVectors;
use crate::tower::{Layout, TwoTower};

impl PositionVectors for TwoTower {
    fn positions(&self, sessions: &[&[u32]]) -> Tensor {
        let _guard = tch::no_grad_guard();
        let device = self.items.weights().device();
        let read = |session: &&[u32]| session[..session.len() - 1].to_vec();
        let ids: Vec<i64> = sessions.iter().flat_map(read).map(i64::from).collect();
        let lengths: Vec<usize> = sessions.iter().map(|session| session.len() - 1).collect();
        let rows = self.items.gather(&Tensor::from_slice(&ids).to_device(device));
        TwoTower::positions(self, &rows, &Layout::packed(&lengths, device), None)
    }

    fn items(&self) -> Tensor {
        self.item_vectors()
    }
}
