//! The two towers as TorchScript.

use std::path::Path;

use anyhow::Result;
use tch::{Device, Tensor};

use super::script::Script;
use crate::config::{Config, EncoderConfig, TransformerLayer};
use crate::model::Model;

/// Item ids, int64 of any shape, to vectors `[..., dim]`.
const ITEM_TOWER: &str = "
def forward(self, ids: Tensor) -> Tensor:
    return self.finish(torch.embedding(self.items, ids))
";

/// The same where items have features. With codes, int64 `[..., k]`, padded with 0, items are what these
/// say of them, beside their own vectors, of which id 0 has none. FIRST has the first code of each field,
/// FIELDS is one more than there are.
const ITEM_TOWER_WITH_FEATURES: &str = "
def features(self, codes: Tensor) -> Tensor:
    first = torch.tensor(FIRST, dtype=codes.dtype, device=codes.device)
    field = torch.bucketize(codes, first, right=True)
    known = (codes != 0).to(self.values.dtype)
    count = torch.zeros(codes.size()[:-1] + [FIELDS], dtype=known.dtype, device=codes.device)
    share = known / count.scatter_add(-1, field, torch.ones_like(known)).gather(-1, field)
    start = torch.arange(count.numel() // FIELDS, dtype=codes.dtype, device=codes.device) * codes.size(-1)
    sums = torch.embedding_bag(self.values, codes.reshape(-1), start, False, 0, False, share.reshape(-1))
    return sums[0].view(codes.size()[:-1] + [self.values.size(1)])

def forward(self, ids: Tensor, codes: Optional[Tensor] = None) -> Tensor:
    if codes is None:
        return self.finish(torch.embedding(self.items, ids))
    own, added = torch.embedding(self.own, ids), self.features(codes)
    return self.finish(own + torch.constant_pad_nd(added, [0, own.size(-1) - added.size(-1)]))
";

/// Histories `[batch, length]` of int64 item ids, padded with 0 on either side, to vectors
/// `[batch, dim]`.
const USER_TOWER: &str = "
def forward(self, history: Tensor) -> Tensor:
    return self.finish(self.encoded(history))
";

/// The same where users have features: int64 codes `[batch, k]`, padded with 0; a field of which
/// there is no code is missing, without codes all are. FIRST has the first code of each field, that
/// for what is missing, FIELDS is one more than there are.
const USER_TOWER_WITH_FEATURES: &str = "
def user_features(self, codes: Tensor) -> Tensor:
    first = torch.tensor(FIRST, dtype=codes.dtype, device=codes.device)
    field = torch.bucketize(codes, first, right=True)
    known = (codes != 0).to(self.user_values.dtype)
    count = torch.zeros(codes.size(0), FIELDS, dtype=known.dtype, device=codes.device)
    count = count.scatter_add(1, field, known)
    share = known / count.gather(1, field).clamp(min=1.0)
    start = torch.arange(codes.size(0), dtype=codes.dtype, device=codes.device) * codes.size(1)
    sums = torch.embedding_bag(self.user_values, codes.reshape(-1), start, False, 0, False, share.reshape(-1))
    missing = (count[:, 1:] == 0).to(known.dtype)
    return sums[0] + torch.matmul(missing, torch.embedding(self.user_values, first))

def forward(self, history: Tensor, fields: Optional[Tensor] = None) -> Tensor:
    if fields is None:
        fields = torch.zeros(history.size(0), 1, dtype=history.dtype, device=history.device)
    return self.finish(self.encoded(history) + self.user_features(fields))
";

/// What encoders make of histories, before unit length: `[batch, dim]`. Only the latest HISTORY items
/// are read; a history without items has the vector of the bias.
const MEAN_POOL_TOWER: &str = "
def encoded(self, history: Tensor) -> Tensor:
    known = history != 0
    if history.size(1) > HISTORY:
        later = known.flip([1]).cumsum(1).flip([1])
        known = known & (later <= HISTORY)
    mask = known.to(self.items.dtype).unsqueeze(-1)
    total = (torch.embedding(self.items, history) * mask).sum(1)
    mean = total / mask.sum(1).clamp(min=1.0)
    return torch.addmm(self.bias, mean, self.kernel)
";

/// The latest HISTORY items of each history, moved to the left, and how many they are; the last
/// vector of each.
const LATEST: &str = "
def latest(self, history: Tensor) -> Tuple[Tensor, Tensor]:
    if history.size(1) == 0:
        history = torch.zeros([history.size(0), 1], dtype=history.dtype, device=history.device)
    known = history != 0
    later = known.flip([1]).cumsum(1).flip([1])
    known = known & (later <= HISTORY)
    order = torch.sort((~known).int(), stable=True, dim=1)[1]
    return torch.gather(history * known, 1, order)[:, :HISTORY], known.sum(1)

def last(self, x: Tensor, length: Tensor) -> Tensor:
    at = (length - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, x.size(2))
    return torch.gather(x, 1, at).squeeze(1)
";

/// As [`crate::model::Transformer`].
const TRANSFORMER_TOWER: &str = "
def norm(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.layer_norm(x, [x.size(2)], weight, bias, 1e-5)

def attention(self, x: Tensor) -> Tensor:
    batch, longest, width = x.size(0), x.size(1), x.size(2) // 3
    each = width // HEADS
    parts = x.view(batch, longest, 3, HEADS, each).permute(2, 0, 3, 1, 4)
    later = torch.ones(longest, longest, device=x.device).triu(1) > 0
    scores = torch.matmul(parts[0] * each ** -0.5, parts[1].transpose(2, 3))
    weights = torch.softmax(scores.masked_fill(later, float('-inf')), -1)
    return torch.matmul(weights, parts[2]).transpose(1, 2).reshape(batch, longest, width)

def encoded(self, history: Tensor) -> Tensor:
    ids, length = self.latest(history)
    at = torch.arange(ids.size(1), device=ids.device).unsqueeze(0)
    position = HISTORY - 1 - (length.unsqueeze(1) - 1 - at).clamp(min=0)
    x = torch.embedding(self.items, ids) * self.items.size(1) ** 0.5
    x = x + torch.embedding(self.positions, position)
    for i in range(self.norm1_weight.size(0)):
        seen = self.norm(x, self.norm1_weight[i], self.norm1_bias[i])
        seen = self.attention(torch.linear(seen, self.attend_weight[i], self.attend_bias[i]))
        seen = torch.linear(seen, self.combine_weight[i], self.combine_bias[i])
        x = self.add_seen(i, x, seen)
        x = self.add_network(i, x, self.norm(x, self.norm2_weight[i], self.norm2_bias[i]))
    return self.last(self.norm(x, self.norm_weight, self.norm_bias), length)
";

/// The Transformer's layers, from what attention gives on.
const SASREC_LAYER: &str = "
def add_seen(self, i: int, x: Tensor, seen: Tensor) -> Tensor:
    return x + seen

def add_network(self, i: int, x: Tensor, read: Tensor) -> Tensor:
    wide = torch.relu(torch.linear(read, self.widen_weight[i], self.widen_bias[i]))
    return x + torch.linear(wide, self.narrow_weight[i], self.narrow_bias[i])
";

const LIGR_LAYER: &str = "
def add_seen(self, i: int, x: Tensor, seen: Tensor) -> Tensor:
    return x + torch.sigmoid(torch.linear(x, self.gate1_weight[i], self.gate1_bias[i])) * seen

def add_network(self, i: int, x: Tensor, read: Tensor) -> Tensor:
    wide = torch.silu(torch.linear(read, self.swish_weight[i]))
    wide = wide * torch.linear(read, self.widen_weight[i])
    gate = torch.sigmoid(torch.linear(x, self.gate2_weight[i], self.gate2_bias[i]))
    return x + gate * torch.linear(wide, self.narrow_weight[i])
";

/// As [`crate::model::Gru`].
const GRU_TOWER: &str = "
def encoded(self, history: Tensor) -> Tensor:
    ids, length = self.latest(history)
    x = torch.embedding(self.items, ids)
    start = torch.zeros(1, x.size(0), x.size(2), dtype=x.dtype, device=x.device)
    for i in range(self.input_weight.size(0)):
        weights = [self.input_weight[i], self.state_weight[i], self.input_bias[i], self.state_bias[i]]
        x = torch.gru(x, start, weights, True, 1, 0.0, False, False, True)[0]
    return self.last(x, length)
";

/// As [`crate::model::Additions`]: histories `[batch, length]`, padded with 0 on either side, to what
/// the item at each place gains, `[batch, length]`; 0 but at its last place.
const REPEATS: &str = "
def repeats(self, history: Tensor) -> Tensor:
    known = history != 0
    later = known.flip([1]).cumsum(1).flip([1])
    known = known & (later <= HISTORY)
    same = history.unsqueeze(2) == history.unsqueeze(1)
    same = (same & known.unsqueeze(2) & known.unsqueeze(1)).long()
    last = known & (same.triu(1).sum(2) == 0)
    count = same.sum(2).clamp(min=1, max=8) - 1
    powers = torch.tensor([2, 4, 8, 16, 32, 64, 128], device=history.device)
    recency = (later.unsqueeze(2) >= powers).sum(2)
    gains = self.repeat_gains[0][count] + self.repeat_gains[1][recency]
    return torch.where(last, gains, torch.zeros_like(gains))
";

/// The name of the table of users' features in their tower.
pub(super) const USER_VALUES: &str = "user_values";

/// Writes the user tower. `extra_files` are stored in the file beside the code.
pub(super) fn save_user(
    model: &Model,
    config: &Config,
    extra_files: &[(&str, String)],
    path: &Path,
) -> Result<()> {
    let tower = &config.tower;
    let source = match tower.encoder {
        EncoderConfig::MeanPool => MEAN_POOL_TOWER.to_owned(),
        EncoderConfig::Transformer { heads, layer, .. } => {
            let layer = match layer {
                TransformerLayer::Sasrec => SASREC_LAYER,
                TransformerLayer::Ligr { .. } => LIGR_LAYER,
            };
            [LATEST, layer, TRANSFORMER_TOWER].concat().replace("HEADS", &heads.to_string())
        }
        EncoderConfig::Gru { .. } => [LATEST, GRU_TOWER].concat(),
    };
    let additions = model.additions();
    let repeats = additions.as_ref().map_or("", |_| REPEATS);
    let forward = match &model.user_features {
        None => USER_TOWER.to_owned(),
        Some(features) => {
            let first = features.schema().first_codes();
            USER_TOWER_WITH_FEATURES
                .replace("FIRST", &format!("{first:?}"))
                .replace("FIELDS", &(first.len() + 1).to_string())
        }
    };
    let source = [model.scoring.user_script(), source, forward, repeats.into()]
        .concat()
        .replace("HISTORY", &tower.history.to_string());
    // A parameter's name is one of Python's.
    let short = |name: &str| name.trim_start_matches("encoder.").replace('.', "_");
    let mut parameters = model.encoder.parameters();
    parameters.push(("items", model.items.read_table()));
    if let Some(features) = &model.user_features {
        parameters.push((USER_VALUES, features.table().1));
    }
    if let Some(additions) = additions {
        let gains = [additions.by_count, additions.by_recency];
        parameters.push(("repeat_gains", Tensor::from_slice2(&gains)));
    }
    let parameters: Vec<(String, Tensor)> = parameters
        .into_iter()
        .map(|(name, weight)| (short(name), weight.detach().to_device(Device::Cpu)))
        .collect();
    let parameters: Vec<(&str, Tensor)> =
        parameters.iter().map(|(name, weight)| (name.as_str(), weight.shallow_clone())).collect();
    Script { class: "UserTower", source: &source, parameters: &parameters, extra_files }.save(path)
}

/// Writes the item tower.
pub(super) fn save_item(model: &Model, extra_files: &[(&str, String)], path: &Path) -> Result<()> {
    let mut parameters = vec![("items", model.items.scored_table())];
    let mut source = model.scoring.item_script();
    match model.items.features() {
        None => source += ITEM_TOWER,
        Some(features) => {
            let first = features.schema().first_codes();
            source += &ITEM_TOWER_WITH_FEATURES
                .replace("FIRST", &format!("{first:?}"))
                .replace("FIELDS", &(first.len() + 1).to_string());
            parameters.push(("own", model.items.scored().weights()));
            parameters.push(("values", features.table().1));
        }
    }
    let on_host = |(name, own): (&'static str, Tensor)| (name, own.to_device(Device::Cpu));
    let parameters: Vec<(&str, Tensor)> = parameters.into_iter().map(on_host).collect();
    Script { class: "ItemTower", source: &source, parameters: &parameters, extra_files }.save(path)
}
