//! What several ranks that train together cannot do, what they agree on, and what it has cost them.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::checkpoint::differences;
use crate::config::{Config, DeviceChoice, Settings};
use crate::data::Dataset;
use crate::error::Interrupted;
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
        (dataset.cold.is_some(), "cold items (split.cold_one_in)", "prepare the data without them"),
    ];
    match lacks.into_iter().find(|(asked, ..)| *asked) {
        Some((_, what, instead)) => misuse!(
            "{what}: several ranks have no such thing; {instead}, or train with one process"
        ),
        None => Ok(()),
    }
}

/// Refuses a rank that would train otherwise than the first, or other data.
///
/// # Errors
/// [`crate::error::Misuse`] with what differs.
pub fn refuse_other_than_first(team: &Team, config: &Config, dataset: &Dataset) -> Result<()> {
    if team.is_alone() {
        return Ok(());
    }
    let own = Told {
        config: toml::to_string(config)?,
        checksum: dataset.manifest.checksum.clone(),
        commit: env!("CROLOSS_COMMIT").into(),
    };
    let first = team.said_by_first(&serde_json::to_string(&own)?);
    let check = || {
        let first: Told = serde_json::from_str(&first)?;
        let theirs = toml::from_str::<Settings>(&first.config).map_err(anyhow::Error::from);
        let mut differ = match theirs.and_then(Settings::checked) {
            Ok(theirs) => differences(&theirs, config)?,
            Err(_) => vec!["a configuration that it cannot read".into()],
        };
        let whole =
            |kind, own: &str, first: &str| (own != first).then(|| format!("another {kind}"));
        differ.extend(whole("dataset, by its checksum", &own.checksum, &first.checksum));
        differ.extend(whole("program, by its commit", &own.commit, &first.commit));
        if !differ.is_empty() {
            misuse!("it has not what the first rank has: {}", differ.join(", "));
        }
        Ok(())
    };
    team.agree(check())
}

/// What a rank is to have as the first has it.
#[derive(Serialize, Deserialize)]
struct Told {
    config: String,
    checksum: String,
    commit: String,
}

/// What all ranks do before a step, told in one exchange: a signal that any of them has heard ends
/// them; else whether a checkpoint is `due`, for which the first one's clock counts.
pub fn agreed(team: &Team, heard: Option<Interrupted>, due: bool) -> Result<bool, Interrupted> {
    let signal = heard.map_or(0, |own| own.signal as u64);
    let all = team.most((signal << 1) | u64::from(team.is_first() && due));
    match (all >> 1) as i32 {
        0 => Ok(all == 1),
        signal => Err(Interrupted { signal }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::together;

    #[test]
    fn a_signal_of_any_rank_and_the_clock_of_the_first_are_told_in_one_exchange() {
        for ranks in 1..4 {
            for (heard, by, due) in (0..ranks)
                .flat_map(|by| [(0, by, false), (0, by, true), (10, by, false), (15, by, true)])
            {
                let told = together(ranks, |team| {
                    let own = team.shard().rank == by;
                    let signal = (own && heard > 0).then_some(Interrupted { signal: heard });
                    (agreed(&team, signal, own && due), team.sent())
                });
                let expected = match heard {
                    0 => Ok(due && by == 0),
                    signal => Err(Interrupted { signal }),
                };
                // Eight bytes to each of the others.
                told.into_iter()
                    .for_each(|own| assert_eq!(own, (expected, 8 * (ranks as u64 - 1))));
            }
        }
    }
}
