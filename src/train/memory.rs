//! How much memory a training needs, and how much the process has needed.

use std::fs;

use anyhow::Result;
use sysinfo::System;

use crate::config::{Config, EncoderConfig, OptimizerKind, TowerConfig, TransformerLayer};
use crate::device::{self, GpuMemory};
use crate::eval::BYTES_A_SCORE as BYTES;
use crate::misuse;
use crate::model::{Draws, Known};
use crate::step::Plan;

/// The most memory that this process has held, in MiB.
pub fn peak_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// Rows of the tables of values, 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValueRows {
    pub items: usize,
    pub users: usize,
}

impl ValueRows {
    /// Of what a model knows.
    pub fn of(known: &Known) -> Self {
        Self {
            items: known.items.as_ref().map_or(0, |known| known.lists.rows()),
            users: known.users.as_ref().map_or(0, |lists| lists.rows()),
        }
    }
}

/// What a training takes, in bytes. On the host log, batches and what draws candidates, small beside
/// tables, are not counted.
struct Needed {
    /// Weights and the optimisers' state.
    training: u64,
    /// All items' vectors while users are ranked, where items have features.
    composed: u64,
    /// What tensor ops on a GPU take besides: a place a row of deferred Adam; the log, where batches are
    /// cut there; a batch; while users are ranked the vectors across or their squares, their lengths, and
    /// one user's scores.
    on_gpu: u64,
    /// The copy that a checkpoint is written from.
    checkpoint: u64,
}

impl Needed {
    fn of(
        config: &Config,
        plan: &Plan,
        items: usize,
        interactions: usize,
        values: ValueRows,
    ) -> Self {
        let TowerConfig { dim, tied, output_bias, .. } = config.tower;
        let (rows, dim) = (items as u64 + 1, dim as u64);
        let tables: &[u64] = if tied { &[dim] } else { &[dim, dim + u64::from(output_bias)] };
        let parameters = least_parameters(&config.tower);
        let scored = *tables.last().expect("there is a table");
        let composed = if values.items > 0 { rows * 4 * scored } else { 0 };
        let ranking = rows * (4 * scored + 4 + BYTES as u64);
        // As int32, and padding.
        let log = if plan.batches == Draws::Device { 4 * (interactions as u64 + 1) } else { 0 };
        let by = |moments: u64, row: u64, kept_row: u64, scratch: u64, places: u64| {
            let of = |copies: u64, by_row: u64| -> u64 {
                let table = |rows: u64, width: u64| rows * (4 * width * copies + by_row);
                let by_item = tables.iter().map(|width| table(rows, *width));
                by_item.sum::<u64>() + table((values.items + values.users) as u64, dim)
            };
            // A parameter's gradient stands beside it.
            let parameters = 4 * parameters * (2 + moments);
            Self {
                training: of(1 + moments + scratch, row) + parameters,
                composed,
                on_gpu: ranking + log + of_batch(config, plan) + of(0, places),
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

/// What a batch takes at least: the vectors of its rows with their gradients, and the scores that are
/// held at once, where all of them have slopes with these. A recorded step keeps as much beside the
/// steps that are launched.
fn of_batch(config: &Config, plan: &Plan) -> u64 {
    let (sampling, tower) = (&config.sampling, &config.tower);
    let (batch, candidates) = (sampling.batch as u64, sampling.candidates() as u64);
    // Others are put together on the host, without padding.
    let read = if plan.batches == Draws::Device { batch * tower.history as u64 } else { 0 };
    let scores = (batch * candidates).min(plan.tile() as u64);
    let of_score = if sampling.top_k > 0 { 4 } else { 8 };
    let times = if plan.replay { 2 } else { 1 };
    times * (8 * (read + batch + candidates) * tower.dim as u64 + of_score * scores)
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

/// Refuses a training that its device cannot hold, before anything of it is there. Where it can, but the
/// host has no room for the copy of a checkpoint, says so. `items` are those whose rows are here,
/// `interactions` those of the sequences that it trains on. `beside`: how many processes need as much of
/// this machine's memory at once, itself among them.
///
/// # Errors
/// [`crate::error::Misuse`] with both figures and what to change.
pub fn refuse_too_large(
    config: &Config,
    plan: &Plan,
    items: usize,
    interactions: usize,
    values: ValueRows,
    beside: usize,
) -> Result<Option<String>> {
    let of_gpu = match device::gpu_memory(plan.device) {
        // It does not tell.
        Some(GpuMemory { total: 0, .. }) => return Ok(None),
        memory => memory.map(|memory| (device::name(plan.device), memory.room() as u64)),
    };
    let needed = Needed::of(config, plan, items, interactions, values);
    compared(&needed, (free(), beside), of_gpu, config, items)
}

/// `free` bytes of the host are shared by `beside` processes; `gpu` has a name and free bytes, where the
/// training is on one.
fn compared(
    needed: &Needed,
    (free, beside): (u64, usize),
    gpu: Option<(String, u64)>,
    config: &Config,
    items: usize,
) -> Result<Option<String>> {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let dim = config.tower.dim;
    let host = free / beside as u64;
    let all = needed.training + needed.composed;
    let (of_host, more) = match beside {
        1 => ("memory".to_owned(), ""),
        ranks => (
            format!("memory for each of {ranks} ranks on this machine"),
            ", or train on more machines",
        ),
    };
    let (all, what, free, whose, on_host) = match gpu {
        Some((name, bytes)) => {
            let all = all + needed.on_gpu;
            let what = "weights, optimiser, log, a batch and ranking";
            (all, what, bytes, format!("memory of {name}"), 0)
        }
        None if needed.composed > 0 => (all, "weights, optimiser and ranking", host, of_host, all),
        None => (all, "weights and optimiser", host, of_host, all),
    };
    if all > free {
        misuse!(
            "{what} need {} for {items} items and tower.dim = {dim}, but {} of {whose} are free: \
             lower tower.dim, or prepare the log with a higher --min-item-count{more}",
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
mod tests;
