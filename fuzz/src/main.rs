//! Hunts whatever reads files or requests from elsewhere: libFuzzer makes inputs, a [`Target`] gives
//! them to a reader. An input may be refused with an error; a panic that reaches the reader's caller,
//! a crash, memory that the input does not justify and ten seconds without an end are findings.
//!
//! `make fuzz TARGET=NAME SECONDS=N`; the name comes in the variable FUZZ_TARGET.
#![no_main]

mod folders;
mod histories;
mod logs;
mod memory;
mod sample;
mod texts;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// A reader that is hunted.
struct Target {
    name: &'static str,
    /// Small good inputs, to begin with.
    seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input. What is true of whatever is accepted is asserted here.
    read: fn(&[u8]),
    /// Bytes of memory that every input may take, and how many times its own length.
    memory: (usize, usize),
}

fn targets() -> Vec<Target> {
    [logs::targets(), histories::targets(), texts::targets(), folders::targets()]
        .into_iter()
        .flatten()
        .collect()
}

/// The target of this process, ready to read.
fn target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let names: Vec<&str> = targets().iter().map(|target| target.name).collect();
        let Some(target) = targets().into_iter().find(|target| target.name == name) else {
            eprintln!("TARGET is one of: {}", names.join(" "));
            std::process::exit(2);
        };
        target
    })
}

/// Writes the seeds and the words in them, for libFuzzer to begin with, into the folder FUZZ_SEEDS.
fn begin() {
    // The hook that came with libFuzzer ends the process at panics that a reader catches, too.
    drop(std::panic::take_hook());
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else { return };
    let folder = Path::new(&folder);
    let mut words = std::collections::BTreeSet::new();
    for (number, seed) in (target().seeds)().into_iter().enumerate() {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        let runs = seed.chunk_by(|a, b| plain(a) == plain(b));
        words.extend(runs.filter(|run| run.len() > 1 && plain(&run[0])).map(<[u8]>::to_vec));
        fs::write(folder.join(format!("seed-{number}")), seed).expect("a seed is written");
    }
    let words: Vec<String> = words
        .iter()
        .filter(|word| word.len() <= 32)
        .map(|word| format!("\"{}\"\n", String::from_utf8_lossy(word)))
        .collect();
    fs::write(folder.with_extension("dict"), words.concat()).expect("the words are written");
}

libfuzzer_sys::fuzz_target!(
    init: begin(),
    |data: &[u8]| {
        let Target { read, memory: (any, times), .. } = target();
        memory::bounded(any + times * data.len(), || read(data));
    }
);
