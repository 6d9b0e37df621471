//! Which keys keep a training from being gone on with by another configuration.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use toml::{Table, Value};

use crate::config::{Config, Length, ScheduleKind};

/// Keys that may differ besides those that a result does not depend on; which data it is their
/// checksum says.
const FREE: [&str; 3] = ["data.path", "train.log_every", "train.validation_users"];

/// Keys that may grow.
const LENGTHS: [&str; 2] = ["train.steps", "train.epochs"];

/// The keys in which `now` differs from what was trained by, with both values; those that may
/// differ are left out.
///
/// # Errors
/// When a configuration cannot be written as TOML.
pub fn differences(trained: &Config, now: &Config) -> Result<Vec<String>> {
    let mut sides = [BTreeMap::new(), BTreeMap::new()];
    for (values, config) in sides.iter_mut().zip([trained, now]) {
        flatten("", Value::Table(config.essence()?.parse::<Table>()?), values);
        values.retain(|key, _| !FREE.contains(&key.as_str()));
    }
    if may_grow(trained, now) {
        sides.iter_mut().for_each(|side| side.retain(|key, _| !LENGTHS.contains(&key.as_str())));
    }
    let [there, here] = &sides;
    let keys: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let told = |side: &BTreeMap<String, Value>, key| {
        side.get(key).map_or_else(|| "not set".to_owned(), Value::to_string)
    };
    let differ = keys.into_iter().filter(|key| there.get(*key) != here.get(*key));
    Ok(differ.map(|key| format!("{key} ({}, now {})", told(there, key), told(here, key))).collect())
}

/// More steps or epochs change nothing of what is done, unless the rate falls towards the last.
fn may_grow(trained: &Config, now: &Config) -> bool {
    let constant = now.optimizer.schedule == ScheduleKind::Constant;
    match (trained.train.length, now.train.length) {
        (Length::Steps(was), Length::Steps(is)) | (Length::Epochs(was), Length::Epochs(is)) => {
            is >= was && (constant || is == was)
        }
        _ => false,
    }
}

fn flatten(key: &str, value: Value, to: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => table.into_iter().for_each(|(part, value)| {
            let key = if key.is_empty() { part } else { format!("{key}.{part}") };
            flatten(&key, value, to);
        }),
        value => drop(to.insert(key.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn between(trained: &str, now: &str) -> Vec<String> {
        let [trained, now] = [trained, now].map(|text| {
            let settings: Settings = toml::from_str(&format!("data.path = \"x\"\n{text}")).unwrap();
            settings.checked().unwrap()
        });
        differences(&trained, &now).unwrap()
    }

    #[test]
    fn what_changes_nothing_of_what_is_done_may_differ() {
        let own = "train.steps = 10";
        for now in [
            "train.steps = 11",
            "train = { steps = 10, log_every = 7, validation_users = 5, checkpoint_steps = 3 }",
            "train.steps = 10\ndevice = \"cpu\"\nthreads = 2",
        ] {
            assert_eq!(between(own, now), [""; 0], "{now}");
        }
        assert_eq!(between("train.epochs = 2", "train.epochs = 3"), [""; 0]);
    }

    #[test]
    fn every_other_key_is_named_with_both_values() {
        let now = "seed = 2\nloss = { kind = \"bpr\" }\ntrain.steps = 10";
        let told = between("train.steps = 10", now);
        assert!(told.contains(&"seed (1, now 2)".to_owned()), "{told:?}");
        assert!(told.contains(&"loss.kind (\"cro\", now \"bpr\")".to_owned()), "{told:?}");
        assert!(told.contains(&"loss.alpha (1.0, now not set)".to_owned()), "{told:?}");
        assert_eq!(between("train.steps = 10", "train.steps = 9"), ["train.steps (10, now 9)"]);
        let cosine = |steps| format!("optimizer.schedule = \"cosine\"\ntrain.steps = {steps}");
        assert_eq!(between(&cosine(10), &cosine(10)), [""; 0]);
        assert_eq!(between(&cosine(10), &cosine(11)), ["train.steps (10, now 11)"]);
    }
}
