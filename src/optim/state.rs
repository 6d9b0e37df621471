//! Weights and optimiser states by name.

use anyhow::{Context, Result};
use tch::Tensor;

/// Weights by name.
pub type Named = Vec<(&'static str, Tensor)>;

/// A state by name, `encoder.bias/m`.
pub type State = Vec<(String, Tensor)>;

/// The entry `name` of a saved state.
pub fn entry<'a, S: AsRef<str>>(state: &'a [(S, Tensor)], name: &str) -> Result<&'a Tensor> {
    let found = state.iter().find(|(n, _)| n.as_ref() == name);
    found.map(|(_, t)| t).with_context(|| format!("the optimiser state lacks `{name}`"))
}
