//! The encoders against PyTorch's own layers, and what a causal encoder must never do.

use std::path::Path;
use std::process::Command;

use tch::{Device, Kind, Tensor};

use super::*;
use crate::config::{EncoderConfig, TowerConfig, TransformerLayer};

fn config(name: &str) -> TowerConfig {
    let (layers, heads, dropout) = (2, 2, 0.3);
    let transformer = |layer| EncoderConfig::Transformer { layers, heads, dropout, layer };
    let encoder = match name {
        "transformer" => transformer(TransformerLayer::Sasrec),
        "ligr" => transformer(TransformerLayer::Ligr { widening: 3 }),
        "gru" => EncoderConfig::Gru { layers, dropout },
        _ => EncoderConfig::MeanPool,
    };
    TowerConfig { encoder, dim: 8, history: 9, ..Default::default() }
}

fn encoder(name: &str) -> Box<dyn Encoder> {
    let model = Model::new(&config(name), 3, 5, Device::Cpu);
    // Norms and biases that say nothing would hide a mistake.
    let _guard = tch::no_grad_guard();
    tch::manual_seed(1);
    for (_, parameter) in model.encoder.parameters() {
        let noise = parameter.randn_like() * 0.1;
        let _ = parameter.detach().g_add_(&noise);
    }
    model.encoder
}

fn rows(positions: i64) -> Tensor {
    tch::manual_seed(2);
    Tensor::randn([positions, 8], (Kind::Float, Device::Cpu))
}

const KINDS: [&str; 4] = ["mean-pool", "transformer", "ligr", "gru"];

#[test]
fn a_later_click_changes_no_earlier_vector() {
    for kind in KINDS {
        let encoder = encoder(kind);
        let layout = Layout::packed(&[5, 3], Device::Cpu);
        let rows = rows(8);
        let before = encoder.positions(&rows, &layout, None);
        let changed = rows.copy();
        let _ = changed.get(3).fill_(9.0);
        let after = encoder.positions(&changed, &layout, None);
        let moved = (&after - &before).abs().amax(1, false);
        let moved = Vec::<f32>::try_from(moved).unwrap();
        assert_eq!(&moved[..3], [0.0; 3], "{kind:?}");
        assert!(moved[3] > 1e-3 && moved[4] > 1e-3, "{kind:?}: {moved:?}");
        assert_eq!(&moved[5..], [0.0; 3], "{kind:?}: other histories");
    }
}

#[test]
fn a_history_has_the_same_vectors_alone_and_in_a_batch() {
    for kind in KINDS {
        let encoder = encoder(kind);
        let lengths = [4usize, 1, 9, 2];
        let rows = rows(16);
        let together = encoder.positions(&rows, &Layout::packed(&lengths, Device::Cpu), None);
        let mut from = 0;
        for length in lengths {
            let own = rows.narrow(0, from, length as i64);
            let alone = encoder.positions(&own, &Layout::packed(&[length], Device::Cpu), None);
            let part = together.narrow(0, from, length as i64);
            assert!(alone.allclose(&part, 1e-5, 1e-6, false), "{kind:?}, length {length}");
            // The padded form, and the vector of the whole history.
            let padded = own.constant_pad_nd([0, 0, 0, 9 - length as i64]);
            let ids = Tensor::zeros([1, 9], (Kind::Int64, Device::Cpu));
            let _ = ids.narrow(1, 0, length as i64).fill_(1);
            let whole = encoder.last(&padded, &Layout::padded(&ids), None);
            let last = part.narrow(0, length as i64 - 1, 1);
            assert!(whole.allclose(&last, 1e-5, 1e-6, false), "{kind:?}, length {length}");
            let packed = encoder.last(&own, &Layout::packed(&[length], Device::Cpu), None);
            assert!(packed.allclose(&last, 1e-5, 1e-6, false), "{kind:?}, length {length}");
            from += length as i64;
        }
    }
}

#[test]
fn dropout_is_for_training_and_repeats_with_its_seed() {
    for kind in &KINDS[1..] {
        let encoder = encoder(kind);
        let (rows, layout) = (rows(8), Layout::packed(&[5, 3], Device::Cpu));
        let with = |seed| {
            let dropout = Dropout::new(seed, 1, 0, Draws::Host);
            encoder.positions(&rows, &layout, Some(&dropout))
        };
        assert_eq!(with(3), with(3));
        assert_ne!(with(3), with(4));
        assert_ne!(with(3), encoder.positions(&rows, &layout, None));
    }
}

/// Loads the parameters into PyTorch's layers, and prints outputs and the gradient of their
/// weighted sum in the rows, session by session.
const SCRIPT: &str = r#"
import sys, math, numpy, torch, torch.nn as nn
p = {k: torch.from_numpy(v) for k, v in numpy.load(sys.argv[1]).items()}
kind, lengths, dim = sys.argv[2], [4, 1, 9, 2], 8
def load(module, names):
    with torch.no_grad():
        for name, value in names.items():
            dict(module.named_parameters())[name].copy_(value)
if kind == "transformer":
    layer = nn.TransformerEncoderLayer(dim, 2, dim, 0.3, "relu", batch_first=True, norm_first=True)
    net = nn.TransformerEncoder(layer, 2, nn.LayerNorm(dim), enable_nested_tensor=False).eval()
    ours = {"self_attn.in_proj_": "attend.", "self_attn.out_proj.": "combine.", "linear1.": "widen.",
            "linear2.": "narrow.", "norm1.": "norm1.", "norm2.": "norm2."}
    names = {"norm." + what: p["encoder.norm." + what] for what in ("weight", "bias")}
    for at in range(2):
        for theirs, own in ours.items():
            for what in ("weight", "bias"):
                names[f"layers.{at}.{theirs}{what}"] = p["encoder." + own + what][at]
    load(net, names)
    place = p["encoder.positions"]
    def run(x):
        t = x.shape[0]
        mask = nn.Transformer.generate_square_subsequent_mask(t)
        return net((x * math.sqrt(dim) + place[9 - t:])[None], mask=mask, is_causal=True)[0]
elif kind == "ligr":
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.attention = nn.MultiheadAttention(dim, 2, 0.3, batch_first=True)
            self.gate1, self.gate2 = nn.Linear(dim, dim), nn.Linear(dim, dim)
            self.swish, self.widen = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, 3 * dim, bias=False)
            self.narrow = nn.Linear(3 * dim, dim, bias=False)
        def forward(self, x, mask):
            h = self.norm1(x)
            x = x + torch.sigmoid(self.gate1(x)) * self.attention(h, h, h, attn_mask=mask, need_weights=False)[0]
            h = self.norm2(x)
            return x + torch.sigmoid(self.gate2(x)) * self.narrow(nn.functional.silu(self.swish(h)) * self.widen(h))
    net = nn.ModuleDict(dict(layers=nn.ModuleList(Layer() for _ in range(2)), norm=nn.LayerNorm(dim))).eval()
    ours = {"attention.in_proj_": "attend.", "attention.out_proj.": "combine."}
    names = {}
    for own, value in p.items():
        part, what = own.split(".")[1:] if own.count(".") == 2 else (None, None)
        if part == "norm":
            names["norm." + what] = value
        elif part is not None:
            theirs = next((k for k, v in ours.items() if v == part + "."), part + ".")
            names.update({f"layers.{at}.{theirs}{what}": value[at] for at in range(2)})
    assert names.keys() == dict(net.named_parameters()).keys()
    load(net, names)
    def run(x):
        t = x.shape[0]
        mask = nn.Transformer.generate_square_subsequent_mask(t)
        x = (x * math.sqrt(dim) + p["encoder.positions"][9 - t:])[None]
        for layer in net["layers"]:
            x = layer(x, mask)
        return net["norm"](x)[0]
else:
    net = nn.GRU(dim, dim, 2, batch_first=True, dropout=0.3).eval()
    ours = {"weight_ih": "input.weight", "weight_hh": "state.weight", "bias_ih": "input.bias", "bias_hh": "state.bias"}
    load(net, {f"{theirs}_l{at}": p["encoder." + own][at] for at in range(2) for theirs, own in ours.items()})
    run = lambda x: net(x[None])[0][0]
rows = p["rows"].requires_grad_()
out = torch.cat([run(x) for x in rows.split(lengths)])
(out * p["weights"]).sum().backward()
print(*out.flatten().tolist(), *rows.grad.flatten().tolist(), sep="\n")
"#;

#[test]
fn the_encoders_are_pytorch_s_with_the_same_weights() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if !python.exists() {
        eprintln!("skipped: {} is not here", python.display());
        return;
    }
    for name in &KINDS[1..] {
        let encoder = encoder(name);
        let rows = rows(16).set_requires_grad(true);
        let layout = Layout::packed(&[4, 1, 9, 2], Device::Cpu);
        let own = encoder.positions(&rows, &layout, None);
        let weights = Tensor::linspace(-1.0, 1.0, 128, (Kind::Float, Device::Cpu)).view([16, 8]);
        (&own * &weights).sum(None::<Kind>).backward();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.npz");
        let mut all = encoder.parameters();
        all.extend([("rows", rows.detach()), ("weights", weights)]);
        let all: Vec<(&str, Tensor)> = all.into_iter().map(|(n, t)| (n, t.detach())).collect();
        Tensor::write_npz(&all, &path).unwrap();
        let output = Command::new(&python)
            .args(["-c", SCRIPT])
            .args([path.as_os_str(), name.as_ref()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<f32> = said.lines().map(|line| line.parse().unwrap()).collect();
        let ours = Tensor::cat(&[own.view(-1), rows.grad().view(-1)], 0);
        let ours = Vec::<f32>::try_from(ours.detach()).unwrap();
        assert_eq!(said.len(), ours.len(), "{name}");
        for (at, (a, b)) in said.iter().zip(&ours).enumerate() {
            assert!((a - b).abs() < 1e-5, "{name}, {at}: {a} and {b}");
        }
    }
}
