//! Adam for all of a model's parameters at once: they lie in one buffer, so that a step of them all
//! is as few operations as a step of one.

use anyhow::Result;
use tch::Tensor;

use super::state::{Named, entry};
use super::{Adam, Rule};
use crate::device::ComputePath;

/// Adam by tensor ops for parameters of one kind of float.
pub struct FlatAdam {
    names: Vec<&'static str>,
    shapes: Vec<Vec<i64>>,
    /// `[numbers]`: the memory of all parameters.
    buffer: Tensor,
    adam: Adam,
}

impl FlatAdam {
    /// Zero moments for `parameters`, whose memory is moved into one buffer.
    pub fn new(rule: &Rule, parameters: Named) -> Self {
        let _guard = tch::no_grad_guard();
        let (names, parameters): (Vec<_>, Vec<Tensor>) = parameters.into_iter().unzip();
        let buffer = joined(&parameters);
        let adam = Adam::new(rule, ComputePath::TensorOps, &buffer);
        let shapes = parameters.iter().map(Tensor::size).collect();
        let own = Self { names, shapes, buffer, adam };
        for (mut parameter, place) in parameters.into_iter().zip(own.apart(&own.buffer)) {
            parameter.set_data(&place);
        }
        own
    }

    /// One step with a gradient for each parameter, in their order and of their shapes.
    pub fn step(&mut self, gradients: &[Tensor]) {
        let _guard = tch::no_grad_guard();
        self.adam.step(&self.buffer, &joined(gradients));
    }

    /// The Adam of them all.
    pub fn adam(&mut self) -> &mut Adam {
        &mut self.adam
    }

    /// The state of each parameter's Adam, by its name; moments share memory.
    pub fn state(&self) -> Vec<(&'static str, Named)> {
        let own = self.adam.state();
        let entries: Vec<(&str, Vec<Tensor>)> = own
            .iter()
            .map(|(name, value)| match *name {
                "step" => (*name, self.names.iter().map(|_| value.shallow_clone()).collect()),
                _ => (*name, self.apart(value)),
            })
            .collect();
        let of =
            |at: usize| entries.iter().map(move |(name, all)| (*name, all[at].shallow_clone()));
        self.names.iter().enumerate().map(|(at, name)| (*name, of(at).collect())).collect()
    }

    /// Takes over what [`FlatAdam::state`] gave, `of` each name.
    ///
    /// # Errors
    /// Names the entry that is missing.
    pub fn restore(&mut self, of: impl Fn(&str) -> Vec<(String, Tensor)>) -> Result<()> {
        let saved: Vec<_> = self.names.iter().map(|name| of(name)).collect();
        let all = |name: &str| -> Result<Vec<Tensor>> {
            saved.iter().map(|own| Ok(entry(own, name)?.to_device(self.buffer.device()))).collect()
        };
        let step = all("step")?.swap_remove(0);
        let state = [("step", step), ("m", joined(&all("m")?)), ("v", joined(&all("v")?))];
        self.adam.restore(&state)
    }

    /// The part of each parameter, in its shape.
    fn apart(&self, whole: &Tensor) -> Vec<Tensor> {
        let sizes: Vec<i64> = self.shapes.iter().map(|shape| shape.iter().product()).collect();
        let parts = whole.split_with_sizes(&sizes, 0);
        parts.iter().zip(&self.shapes).map(|(part, shape)| part.view(shape.as_slice())).collect()
    }
}

/// `[numbers]`: all numbers, one tensor behind the other.
fn joined(tensors: &[Tensor]) -> Tensor {
    let flat: Vec<Tensor> = tensors.iter().map(|own| own.detach().reshape([-1])).collect();
    Tensor::cat(&flat, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptimizerConfig;
    use crate::device::operations;
    use tch::{Device, Kind};

    #[test]
    fn all_parameters_go_where_each_would_go_alone_in_as_few_operations() {
        let rule = Rule::over(&OptimizerConfig::default(), 9);
        let shapes: [&[i64]; 4] = [&[3, 5], &[7], &[], &[2, 1, 4]];
        tch::manual_seed(5);
        let draw = |shape: &&[i64]| Tensor::randn(*shape, (Kind::Double, Device::Cpu));
        let together: Vec<Tensor> =
            shapes.iter().map(|shape| draw(shape).set_requires_grad(true)).collect();
        let alone: Vec<Tensor> = together.iter().map(|own| own.detach().copy()).collect();
        let named = |(own, name): (&Tensor, _)| (name, own.shallow_clone());
        let names = ["a", "b", "c", "d"];
        let mut flat = FlatAdam::new(&rule, together.iter().zip(names).map(named).collect());
        let mut each: Vec<Adam> =
            alone.iter().map(|own| Adam::new(&rule, ComputePath::TensorOps, own)).collect();
        for _ in 0..5 {
            let gradients: Vec<Tensor> = shapes.iter().map(draw).collect();
            let count = operations(|| flat.step(&gradients)).len();
            assert!(count <= 11, "{count} operations");
            for ((adam, own), gradient) in each.iter_mut().zip(&alone).zip(&gradients) {
                adam.step(own, gradient);
            }
        }
        for (a, b) in together.iter().zip(&alone) {
            assert!(a.requires_grad() && a.allclose(b, 1e-12, 1e-12, false), "{a} and {b}");
        }
        for ((name, state), (adam, own)) in flat.state().into_iter().zip(each.iter().zip(names)) {
            assert_eq!(name, own);
            for ((what, a), (_, b)) in state.iter().zip(adam.state()) {
                assert!(a.size() == b.size() && a.allclose(&b, 1e-12, 1e-12, false), "{what}");
            }
        }
    }
}
