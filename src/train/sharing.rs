//! What several ranks that train together cannot do, and what it has cost them to.

use anyhow::Result;

use crate::config::{Config, DeviceChoice};
use crate::data::Dataset;
use crate::misuse;
use crate::ranks::Team;

/// Refuses what one process can train and ranks cannot.
///
/// # Errors
/// [`crate::error::Misuse`] with the key and what to do.
pub fn refuse_what_ranks_lack(config: &Config, dataset: &Dataset) -> Result<()> {
    let Config { tower, train, device, .. } = config;
    let on_gpu = matches!(device, DeviceChoice::Cuda(_));
    let lacks = [
        (on_gpu, "device", "train on CPUs: set device = \"cpu\""),
        (!train.fused, "train.fused = false", "leave it at true"),
        (!tower.item_features.is_empty(), "tower.item_features", "train by ids alone"),
        (!tower.user_features.is_empty(), "tower.user_features", "train by ids alone"),
        (train.warm_start.is_some(), "train.warm_start", "begin anew, or with --resume"),
        (train.keep_optimizer, "train.keep_optimizer", "set it to false"),
        (dataset.cold.is_some(), "a split that takes items out of training", "prepare it without"),
    ];
    match lacks.into_iter().find(|(asked, ..)| *asked) {
        Some((_, what, instead)) => misuse!(
            "{what}: several ranks have no such thing; {instead}, or train with one process"
        ),
        None => Ok(()),
    }
}

/// What ranks say when they begin.
pub fn told_of_ranks(team: &Team, items: usize) -> Option<String> {
    let size = team.size();
    (size > 1).then(|| {
        let rows = items.div_ceil(size);
        format!("{size} ranks share the rows of {items} items, {rows} at most for each")
    })
}

/// What ranks say of `bytes`, which each has sent to others in `steps` steps.
pub fn told_of_bytes(team: &Team, bytes: u64, steps: u64) -> Option<String> {
    if team.is_alone() {
        return None;
    }
    let all: u64 = team.each(&[bytes]).into_iter().flatten().sum();
    let each = all as f64 / steps.max(1) as f64 / 1e6;
    Some(format!("the ranks sent each other {each:.3} MB a step, all together"))
}
