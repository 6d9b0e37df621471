//! How much memory a training needs, and how much the process has needed.

use std::fs;

use anyhow::Result;
use sysinfo::System;
use tch::Device;

use crate::config::{Config, EncoderConfig, OptimizerKind, TowerConfig, TransformerLayer};
use crate::device;
use crate::eval::BYTES_A_SCORE as BYTES;
use crate::misuse;

/// The most memory that this process has held, in MiB.
pub fn peak_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// What a training takes, in bytes. Batches, which are small beside tables, are not counted.
struct Needed {
    /// Weights and the optimisers' state.
    training: u64,
    /// What tensor ops on a GPU take besides: a place a row of deferred Adam; while users are ranked
    /// the squares of the vectors, their lengths, and one user's scores.
    on_gpu: u64,
    /// The copy that a checkpoint is written from.
    checkpoint: u64,
}

impl Needed {
    fn of(config: &Config, items: usize) -> Self {
        let TowerConfig { dim, tied, output_bias, normalize, .. } = config.tower;
        let (rows, dim) = (items as u64 + 1, dim as u64);
        let tables: &[u64] = if tied { &[dim] } else { &[dim, dim + u64::from(output_bias)] };
        let parameters = least_parameters(&config.tower);
        let scored = *tables.last().expect("there is a table");
        let ranking = rows * (if normalize { 4 * scored + 4 } else { 0 } + BYTES as u64);
        let by = |moments: u64, row: u64, kept_row: u64, scratch: u64, places: u64| {
            let of = |copies: u64, by_row: u64| -> u64 {
                tables.iter().map(|width| rows * (4 * width * copies + by_row)).sum()
            };
            // A parameter's gradient stands beside it.
            let parameters = 4 * parameters * (2 + moments);
            Self {
                training: of(1 + moments + scratch, row) + parameters,
                on_gpu: ranking + of(0, places),
                checkpoint: of(1 + moments, kept_row) + parameters,
            }
        };
        match config.optimizer.kind {
            OptimizerKind::DeferredAdam => by(2, 4, 4, 0, 8),
            // The gradient of the whole table.
            OptimizerKind::Adam => by(2, 0, 0, 1, 0),
            OptimizerKind::Adagrad => by(1, 8, 0, 0, 0),
        }
    }
}

/// The encoder's matrices, without what is small beside them.
fn least_parameters(tower: &TowerConfig) -> u64 {
    let matrices = match tower.encoder {
        EncoderConfig::MeanPool => 1,
        EncoderConfig::Transformer {
            layers, layer: TransformerLayer::Ligr { widening }, ..
        } => (6 + 3 * widening) * layers,
        EncoderConfig::Transformer { layers, .. } | EncoderConfig::Gru { layers, .. } => 6 * layers,
    };
    matrices as u64 * (tower.dim * tower.dim) as u64
}

/// Memory that the system, or the limit of this process's control group, has left, in bytes; without
/// end where the system does not tell.
pub fn free() -> u64 {
    let Ok(mut system) = System::new() else { return u64::MAX };
    system.refresh_memory();
    // What the group is said to have free lacks the file cache, which gives way.
    let limit = system.cgroup_limits();
    let of_group = limit.map_or(u64::MAX, |own| own.total_memory.saturating_sub(own.rss));
    system.available_memory().min(of_group)
}

/// Refuses a training whose tables its device cannot hold. Where it can, but the host has no room for
/// the copy of a checkpoint, says so.
///
/// # Errors
/// [`crate::error::Misuse`] with both figures and what to change.
pub fn refuse_too_large(config: &Config, device: Device, items: usize) -> Result<Option<String>> {
    let of_gpu = match device::free_memory(device) {
        // It does not tell.
        Some(0) => return Ok(None),
        bytes => bytes.map(|bytes| (device::name(device), bytes as u64)),
    };
    compared(&Needed::of(config, items), free(), of_gpu, config, items)
}

/// `host` bytes are free there; `gpu` has a name and free bytes, where the training is on one.
fn compared(
    needed: &Needed,
    host: u64,
    gpu: Option<(String, u64)>,
    config: &Config,
    items: usize,
) -> Result<Option<String>> {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let dim = config.tower.dim;
    let (all, what, free, whose, on_host) = match gpu {
        Some((name, bytes)) => {
            let all = needed.training + needed.on_gpu;
            (all, "weights, optimiser and ranking", bytes, format!("memory of {name}"), 0)
        }
        None => (needed.training, "weights and optimiser", host, "memory".into(), needed.training),
    };
    if all > free {
        misuse!(
            "{what} need {} for {items} items and tower.dim = {dim}, but {} of {whose} are free: \
             lower tower.dim, or prepare the log with a higher --min-item-count",
            gib(all),
            gib(free)
        );
    }
    let checkpoints = &config.train.checkpoints;
    let any = checkpoints.minutes > 0.0 || checkpoints.steps.is_some();
    Ok((any && on_host + needed.checkpoint > host).then(|| {
        format!(
            "the copy that a checkpoint is written from needs {} of memory beside {} for the \
             training, and {} are free: train.checkpoint_minutes = 0 does without checkpoints",
            gib(needed.checkpoint),
            gib(on_host),
            gib(host)
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::device::ComputePath;
    use crate::model::Model;
    use crate::optim::Optimisers;
    use tch::Tensor;

    fn config(text: &str) -> Config {
        let text = format!("data.path = \"x\"\n{text}");
        toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
    }

    #[test]
    fn peak_memory_is_told_on_linux() {
        assert!(cfg!(not(target_os = "linux")) || peak_memory_mib() > 1);
        assert!(free() > 1 << 20);
    }

    #[test]
    fn what_is_needed_is_what_the_tensors_of_a_training_take() {
        let bytes =
            |tensor: &Tensor| tensor.numel() as u64 * tensor.kind().elt_size_in_bytes() as u64;
        for kind in ["deferred-adam", "adam", "adagrad"] {
            for tower in [
                "dim = 16",
                "encoder = \"transformer\"\nlayers = 3\ndim = 64",
                "encoder = \"gru\"\ndim = 64\ntied = false\noutput_bias = true",
            ] {
                let config = config(&format!("optimizer.kind = \"{kind}\"\n[tower]\n{tower}"));
                let model = Model::new(&config.tower, 2_000, 1, Device::Cpu);
                let path = ComputePath::HostLoops;
                let (parameters, tables) = (model.parameters(), model.items.tables());
                let optimisers = Optimisers::new(&config.optimizer, 10, path, parameters, tables);
                let kept: u64 = model.weights().iter().map(|(_, own)| bytes(own)).sum::<u64>()
                    + optimisers.state().iter().map(|(_, own)| bytes(own)).sum::<u64>();
                let needed = Needed::of(&config, 2_000);
                let of_gradients = 4 * least_parameters(&config.tower);
                let told = needed.checkpoint - of_gradients;
                assert!(told <= kept && told as f64 > 0.9 * kept as f64, "{kind} {told} {kept}");
                assert!(needed.training >= needed.checkpoint);
            }
        }
    }

    #[test]
    fn a_refusal_has_both_figures_and_a_tight_one_is_told() {
        let config = config("tower.dim = 64");
        let needed = Needed::of(&config, 1 << 24);
        let table = 4u64 << 30;
        assert!(needed.training > 3 * table && needed.training < 3 * table + (1 << 27));
        let of = |free| compared(&needed, free, None, &config, 1 << 24);
        let error = of(2 * table).unwrap_err().to_string();
        for word in ["12.1 GiB", "16777216 items", "tower.dim = 64", "8.0 GiB"] {
            assert!(error.contains(word), "{word}: {error}");
        }
        let told = of(4 * table).unwrap().unwrap();
        assert!(told.contains("needs 12.1 GiB of memory beside 12.1 GiB"), "{told}");
        assert!(of(7 * table).unwrap().is_none());
        let on_gpu = |free| {
            let gpu = Some(("cuda:1".to_owned(), free));
            compared(&needed, 4 * table, gpu, &config, 1 << 24)
        };
        let error = on_gpu(4 * table).unwrap_err().to_string();
        assert!(error.contains("16.0 GiB of memory of cuda:1"), "{error}");
        assert!(on_gpu(5 * table).unwrap().is_none(), "the copy alone is on the host");
    }

    #[test]
    fn a_hundred_million_items_fit_into_eighty_gigabytes() {
        let config = config("tower.dim = 32");
        let needed = Needed::of(&config, 100_000_000);
        let table = 12_800_000_000;
        let tables = 3 * table + 400_000_000;
        assert!(needed.training >= tables && needed.training < tables + 100_000);
        let all = needed.training + needed.on_gpu;
        assert!(all > tables + table && all < 80_000_000_000, "{all}");
    }
}
