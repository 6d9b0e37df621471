//! What a command asked of the pretended device.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::machine;
use crate::common::Place;

/// A line of counts: sums from the start of the process to a time when the host waited for the
/// whole device, or to its end.
#[derive(Deserialize)]
pub struct Counts {
    pub at: String,
    /// CUDA_VISIBLE_DEVICES
    pub visible: String,
    /// The most memory of each device, in bytes.
    pub peak: Vec<u64>,
    /// The same since the line before.
    pub peak_since: Vec<u64>,
    threads: BTreeMap<String, OfThread>,
}

/// What one thread, or some, asked for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct OfThread {
    pub launches: i64,
    pub to_device_pinned: i64,
    pub to_device_pageable: i64,
    pub to_host_pinned: i64,
    pub to_host_pageable: i64,
    pub synchronizations: i64,
    /// Launches and copies on another stream than the default one.
    pub on_other_streams: i64,
    /// Each of these by operation.
    operations: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Counts {
    /// Of all threads.
    pub fn all(&self) -> OfThread {
        self.but("")
    }

    /// Of all threads but those of a name.
    pub fn but(&self, name: &str) -> OfThread {
        let others = self.threads.iter().filter(|(own, _)| *own != name);
        others.fold(OfThread::default(), |sum, (_, own)| sum.with(own, 1))
    }

    /// Of the threads of a name.
    pub fn thread(&self, name: &str) -> OfThread {
        self.threads.get(name).cloned().unwrap_or_default()
    }
}

impl OfThread {
    /// What is counted here and was not yet in `before`.
    pub fn since(&self, before: &OfThread) -> OfThread {
        self.with(before, -1)
    }

    fn with(&self, other: &OfThread, times: i64) -> OfThread {
        let mut operations = self.operations.clone();
        for (what, own) in &other.operations {
            for (operation, count) in own {
                let all = operations.entry(what.clone()).or_default();
                *all.entry(operation.clone()).or_default() += times * count;
            }
        }
        operations.values_mut().for_each(|all| all.retain(|_, count| *count != 0));
        OfThread {
            launches: self.launches + times * other.launches,
            to_device_pinned: self.to_device_pinned + times * other.to_device_pinned,
            to_device_pageable: self.to_device_pageable + times * other.to_device_pageable,
            to_host_pinned: self.to_host_pinned + times * other.to_host_pinned,
            to_host_pageable: self.to_host_pageable + times * other.to_host_pageable,
            synchronizations: self.synchronizations + times * other.synchronizations,
            on_other_streams: self.on_other_streams + times * other.on_other_streams,
            operations,
        }
    }
}

/// Runs a command that must succeed, with counts.
pub fn counted(place: &Place, command: &mut Command) -> Vec<Counts> {
    let path = place.path("counts.jsonl");
    let _ = fs::remove_file(&path);
    machine::succeed(command.env("PRETENDED_CUDA_COUNTS", &path));
    read(&path)
}

/// The same, of the lines that were written when the host waited for the whole device.
pub fn waits(command: &mut Command) -> Vec<Counts> {
    let mut lines = counted(&Place::new(), command);
    lines.retain(|line| line.at == "synchronize");
    lines
}

/// The lines in a file, in the order in which they were written.
pub fn read(path: &Path) -> Vec<Counts> {
    let lines = fs::read_to_string(path).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
