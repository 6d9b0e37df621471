//! Adagrad (Duchi et al., JMLR 2011): each number's rate falls with the squares of its gradients
//! so far. A row without a gradient does not move, so that touching only the rows in use is
//! Adagrad itself.

use anyhow::{Result, bail};
use tch::{Kind, Tensor};

use super::state::{Named, entry};
use super::{RowGradient, Rule};
use crate::device::memory::table_zeros;

/// p −= rate·g / (√Σg² + ε)
pub struct Adagrad {
    rule: Rule,
    step: i64,
    /// Σg², of the parameter's shape.
    sum: Tensor,
    /// `[rows]` int64: for each row in use one of its places in the list.
    places: Option<Tensor>,
}

impl Adagrad {
    /// Nothing summed yet for `parameter`.
    pub fn new(rule: &Rule, parameter: &Tensor) -> Self {
        let sum = table_zeros(&parameter.size(), parameter.kind(), parameter.device());
        Self { rule: rule.clone(), step: 0, sum, places: None }
    }

    /// One step with a gradient of the parameter's shape.
    pub fn step(&mut self, parameter: &Tensor, gradient: &Tensor) {
        let _guard = tch::no_grad_guard();
        self.step += 1;
        let _ = self.sum.addcmul_(gradient, gradient);
        let _ = parameter.detach().g_sub_(&self.way(gradient, &self.sum));
    }

    /// One step of some rows of a table.
    pub fn step_rows(&mut self, table: &Tensor, gradient: &RowGradient) {
        let _guard = tch::no_grad_guard();
        self.step += 1;
        let (ids, values) = (gradient.rows.ids(), gradient.expanded());
        // Every place names its row's one place in the list: there the sum is made. A row that
        // stands there twice is written twice, with the same numbers.
        let places = self
            .places
            .get_or_insert_with(|| Tensor::zeros([table.size()[0]], (Kind::Int64, table.device())));
        let order = Tensor::arange(ids.size()[0], (Kind::Int64, ids.device()));
        let _ = places.index_copy_(0, ids, &order);
        let place = places.index_select(0, ids);
        let g = values.zeros_like().index_add_(0, &place, &values).index_select(0, &place);
        let sum = self.sum.index_select(0, ids) + g.square();
        let moved = table.index_select(0, ids) - self.way(&g, &sum);
        let _ = self.sum.index_copy_(0, ids, &sum);
        let _ = table.detach().index_copy_(0, ids, &moved);
    }

    fn way(&self, gradient: &Tensor, sum: &Tensor) -> Tensor {
        gradient / (sum.sqrt() + self.rule.epsilon()) * self.rule.learning_rate(self.step)
    }

    /// All that the next step depends on besides the parameter, by name; sums share memory.
    pub fn state(&self) -> Named {
        vec![("step", Tensor::from(self.step)), ("sum", self.sum.shallow_clone())]
    }

    /// Takes over what [`Adagrad::state`] gave.
    ///
    /// # Errors
    /// Names the entry that is missing or does not fit the parameter.
    pub fn restore<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        let (step, sum) = (entry(state, "step")?, entry(state, "sum")?);
        if sum.size() != self.sum.size() {
            bail!("the optimiser state is of shape {:?}, not {:?}", sum.size(), self.sum.size());
        }
        self.step = i64::try_from(step)?;
        self.sum.copy_(sum);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptimizerConfig;
    use crate::optim::TouchedRows;
    use std::sync::Arc;
    use tch::Device;

    fn values(t: &Tensor) -> Vec<f64> {
        Vec::<f64>::try_from(t.to_kind(Kind::Double).contiguous().view(-1)).unwrap()
    }

    #[test]
    fn rows_move_as_the_formula_says_and_others_stay() {
        let config = OptimizerConfig { learning_rate: 0.5, epsilon: 1e-3, ..Default::default() };
        let rule = Rule::over(&config, 10);
        let table = Tensor::ones([4, 2], (Kind::Double, Device::Cpu));
        let dense = table.copy();
        let (mut rows, mut whole) = (Adagrad::new(&rule, &table), Adagrad::new(&rule, &dense));
        let (mut p, mut sum) = ([1.0f64; 8], [0.0f64; 8]);
        for step in 0..6 {
            let ids = [1i64, 3, 1];
            let own: Vec<f64> = (0..6).map(|at| ((at * 5 + step * 3) % 7) as f64 - 3.0).collect();
            let mut g = [0.0; 8];
            for (at, id) in ids.iter().enumerate() {
                (0..2).for_each(|d| g[*id as usize * 2 + d] += own[at * 2 + d]);
            }
            for at in 0..8 {
                sum[at] += g[at] * g[at];
                p[at] -= 0.5 * g[at] / (sum[at].sqrt() + 1e-3);
            }
            let touched = Arc::new(TouchedRows::new(Tensor::from_slice(&ids)));
            let own = Tensor::from_slice(&own).view([3, 2]);
            rows.step_rows(&table, &RowGradient::new(touched, own));
            whole.step(&dense, &Tensor::from_slice(&g).view([4, 2]));
            if step == 3 {
                let state = rows.state();
                rows = Adagrad::new(&rule, &table);
                rows.restore(&state).unwrap();
            }
        }
        for (own, tensor) in [&table, &dense].iter().map(|t| (&p, values(t))) {
            assert!(own.iter().zip(&tensor).all(|(a, b)| (a - b).abs() < 1e-12), "{tensor:?}");
        }
        assert_eq!(&p[..2], [1.0, 1.0]);
    }
}
