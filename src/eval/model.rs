//! The trained model as what evaluations ask for.

use tch::Tensor;

use super::{Catalogue, PositionVectors};
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

    fn items(&self) -> Catalogue {
        Catalogue::of(self)
    }
}

impl Catalogue {
    /// The items of a model; no copy of its table is made.
    pub fn of(model: &TwoTower) -> Self {
        let rows = model.scored().rows();
        if model.normalizes() { Self::of_unit(rows) } else { Self::new(rows) }
    }
}
