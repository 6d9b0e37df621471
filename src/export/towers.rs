//! The two towers as TorchScript.

use std::path::Path;

use anyhow::{Result, bail};
use tch::{Device, Tensor};

use super::script::Script;
use crate::config::{Config, EncoderKind};
use crate::tower::TwoTower;

/// Ends both towers: unit length, as [`crate::tower::unit`].
const UNIT: &str = "
def unit(self, v: Tensor) -> Tensor:
    return v * torch.rsqrt(v.square().sum(-1, keepdim=True) + 1e-8)
";

/// Item ids, int64 of any shape, to unit vectors `[..., dim]`.
const ITEM_TOWER: &str = "
def forward(self, ids: Tensor) -> Tensor:
    return self.unit(torch.embedding(self.items, ids))
";

/// Histories `[batch, length]` of int64 item ids, padded with 0 on either side, to unit vectors
/// `[batch, dim]`. Only the latest HISTORY items are read; a history without items has the vector
/// of the bias.
const MEAN_POOL_TOWER: &str = "
def forward(self, history: Tensor) -> Tensor:
    known = history != 0
    if history.size(1) > HISTORY:
        later = known.flip([1]).cumsum(1).flip([1])
        known = known & (later <= HISTORY)
    mask = known.to(self.items.dtype).unsqueeze(-1)
    total = (torch.embedding(self.items, history) * mask).sum(1)
    mean = total / mask.sum(1).clamp(min=1.0)
    return self.unit(torch.addmm(self.bias, mean, self.kernel))
";

/// Writes the user tower. `extra_files` are stored in the file beside the code.
pub(super) fn save_user(
    model: &TwoTower,
    config: &Config,
    extra_files: &[(&str, String)],
    path: &Path,
) -> Result<()> {
    let source = match config.tower.encoder {
        EncoderKind::MeanPool => MEAN_POOL_TOWER,
        EncoderKind::Transformer | EncoderKind::Gru => {
            bail!("towers of session encoders cannot be exported yet")
        }
    };
    let source = source.replace("HISTORY", &config.tower.history.to_string());
    let short = |name: &'static str| name.strip_prefix("encoder.").unwrap_or(name);
    let parameters: Vec<(&str, Tensor)> = model
        .weights()
        .into_iter()
        .map(|(name, weight)| (short(name), weight.detach().to_device(Device::Cpu)))
        .collect();
    let source = format!("{UNIT}{source}");
    Script { class: "UserTower", source: &source, parameters: &parameters, extra_files }.save(path)
}

/// Writes the item tower.
pub(super) fn save_item(
    model: &TwoTower,
    extra_files: &[(&str, String)],
    path: &Path,
) -> Result<()> {
    let parameters = [("items", model.items.weights().to_device(Device::Cpu))];
    let source = format!("{UNIT}{ITEM_TOWER}");
    Script { class: "ItemTower", source: &source, parameters: &parameters, extra_files }.save(path)
}
