//! Every command that writes, on a disk that is full or not to be written to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Place;
use crate::copy;
use crate::library::{Faulty, How, run};

const SWEEP: &str = r#"
base = "c.toml"
[[grid]]
name = "only"
set = { "train.steps" = 20 }
"#;

/// A command that writes into the folder `to`.
struct Call {
    arguments: &'static str,
    /// What stands in the folder before, and under which name.
    before: Option<(&'static str, &'static str)>,
}

const CALLS: [Call; 15] = [
    Call {
        arguments: "generate --preset demo --users 50 --items 60 --out to/log.csv",
        before: None,
    },
    Call {
        arguments: "generate --preset demo --users 50 --items 60 --out to/log.csv.gz --force",
        before: Some(("log.csv", "log.csv.gz")),
    },
    Call { arguments: "prepare LOG --out to/data", before: None },
    Call { arguments: "prepare LOG --out to/deep/data", before: None },
    Call { arguments: "prepare LOG --out to/data --force", before: Some(("data", "data")) },
    Call { arguments: "export run --out to/towers", before: None },
    Call { arguments: "export run --out to/towers --force", before: Some(("towers", "towers")) },
    Call { arguments: "index to/towers", before: Some(("towers", "towers")) },
    Call { arguments: "index to/towers --force", before: Some(("indexed", "towers")) },
    Call { arguments: "recommend run --all-users --out to/o.csv", before: None },
    Call {
        arguments: "recommend run --all-users --out to/o.jsonl --force",
        before: Some(("c.toml", "o.jsonl")),
    },
    Call { arguments: "recommend towers --data data --all-users --out to/o.parquet", before: None },
    Call { arguments: "train c.toml --set train.steps=20 --out to/run", before: None },
    Call { arguments: "report s.toml --runs runs --out to/report", before: None },
    Call {
        arguments: "report s.toml --runs runs --out to/report",
        before: Some(("report", "report")),
    },
];

/// The content of all files below a folder, by their paths in it; folders have none.
type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

fn tree(folder: &Path) -> Tree {
    let mut all = Tree::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        if path.is_dir() {
            all.extend(
                tree(&path).into_iter().map(|(own, text)| (Path::new(&name).join(own), text)),
            );
            all.insert(name.into(), None);
        } else {
            all.insert(name.into(), Some(fs::read(&path).unwrap()));
        }
    }
    all
}

/// A folder with all that the commands read.
fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    place.ok(&["sweep", "s.toml", "--runs", "runs"]);
    place.ok(&["report", "s.toml", "--runs", "runs", "--out", "report"]);
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    place.ok(&["export", "run", "--out", "towers"]);
    place.ok(&["export", "run", "--out", "indexed"]);
    place.ok(&["index", "indexed"]);
    place
}

impl Call {
    fn words(&self) -> Vec<&'static str> {
        let log = "--input log.csv --user user --item item --time time";
        let words = self.arguments.split(' ');
        words.flat_map(|word| if word == "LOG" { log } else { word }.split(' ')).collect()
    }

    /// Runs it with a fault at operation `at` of its folder; what came of it, and the folder before.
    fn fails(&self, place: &Place, at: usize, how: How) -> Option<String> {
        let to = place.path("to");
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).unwrap();
        if let Some((from, name)) = self.before {
            let (from, to) = (place.path(from), to.join(name));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                fs::copy(from, to).unwrap();
            }
        }
        let before = tree(&to);
        let faulty = run(place.command(&self.words()), &to, at, how);
        let Some(fault) = faulty.fault() else {
            assert!(faulty.output.status.success(), "{}: {}", self.arguments, faulty.said());
            return None;
        };
        let told = format!("{}: {how:?} at {fault}: {}", self.arguments, faulty.said());
        refused(&faulty, how, &told);
        self.left(&before, &tree(&to), &told);
        Some(told)
    }

    /// What stood there is as it was, and nothing half done is there.
    fn left(&self, before: &Tree, after: &Tree, told: &str) {
        let half = |path: &&PathBuf| path.iter().any(|part| part.as_encoded_bytes()[0] == b'.');
        assert_eq!(after.keys().find(half), None, "{told}");
        if ["train", "report"].iter().any(|name| self.arguments.starts_with(name)) {
            // Files by themselves, of which each is whole; a run is there to be gone on with.
            assert!(before.keys().all(|path| after.contains_key(path)), "{told}");
        } else {
            assert!(before == after, "{told}: {:?}", after.keys());
        }
    }
}

/// An exit status of 1, and a sentence that names a file and what is wrong with it.
fn refused(faulty: &Faulty, how: How, told: &str) {
    let (How::Once(error) | How::FromThereOn(error)) = how else { unreachable!() };
    assert_eq!(faulty.output.status.code(), Some(1), "{told}");
    let said = faulty.said();
    let last = said.lines().last().unwrap();
    let reason = std::io::Error::from_raw_os_error(error).to_string();
    let reason = reason.split(" (").next().unwrap();
    assert!(last.starts_with("croloss: ") && last.contains(reason), "{told}");
    assert!(last.contains("to/"), "no file is named: {told}");
    for foreign in ["unexpected error", "frame #", "C++"] {
        assert!(!said.contains(foreign), "{told}");
    }
}

#[test]
fn a_full_disk_and_a_folder_that_is_read_only_are_told_and_cost_nothing() {
    let place = place();
    for call in &CALLS {
        assert!(call.fails(&place, 1, How::FromThereOn(libc::EROFS)).is_some());
        // Before anything, and in the midst of it; of most there is no more to be done at the last.
        let at = |at: &&usize| call.fails(&place, **at, How::FromThereOn(libc::ENOSPC)).is_some();
        assert!([1, 2, 8, 21].iter().take_while(at).count() >= 2, "{}", call.arguments);
    }
}

/// `make stress`: at every operation.
#[test]
#[ignore = "takes minutes: make stress"]
fn a_disk_that_is_full_at_any_operation_costs_nothing() {
    let place = place();
    for call in &CALLS {
        let walk = |how| (1..).take_while(|at| call.fails(&place, *at, how).is_some()).count();
        let walked = walk(How::FromThereOn(libc::ENOSPC));
        eprintln!("{}: {walked} operations", call.arguments);
        assert!(walked >= 2);
    }
}

#[test]
fn a_sweep_on_a_full_disk_is_gone_on_with() {
    let place = place();
    for at in [1, 2, 3, 4, 5, 8, 12, 20] {
        let runs = place.path("to");
        let _ = fs::remove_dir_all(&runs);
        let call = ["sweep", "s.toml", "--runs", "to"];
        // Its trainings count for themselves.
        let faulty = run(place.command(&call), &runs, at, How::FromThereOn(libc::ENOSPC));
        let told = format!("at {at}: {}", faulty.said());
        assert_eq!(faulty.output.status.code(), Some(1), "{told}");
        // Where a training cannot say it in its log either, the log is named.
        let reasons = ["No space left on device", "see to/logs/only_seed=1-"];
        assert!(reasons.iter().any(|reason| faulty.said().contains(reason)), "{told}");
        assert!(!faulty.said().contains("unexpected error"), "{told}");
        place.ok(&call);
        let of = |runs: &str| {
            let all = tree(&place.path(runs));
            let weights = |path: &&PathBuf| path.ends_with("best.safetensors");
            all.keys().find(weights).map(|path| all[path].clone())
        };
        assert!(of("to").is_some() && of("to") == of("runs"), "{told}");
    }
}

#[test]
fn a_baseline_that_cannot_be_kept_is_told_all_the_same() {
    let place = Place::new();
    let call = ["baseline", "data", "--only", "popularity"];
    let expected = place.ok(&call);
    fs::remove_file(place.path("data/baselines.json")).unwrap();
    let before = tree(&place.path("data"));
    for error in [libc::ENOSPC, libc::EROFS] {
        let how = How::FromThereOn(error);
        let faulty = run(place.command(&call), &place.path("data"), 1, how);
        let said = faulty.said();
        assert!(faulty.output.status.success() && faulty.fault().is_some(), "{said}");
        assert!(said.contains("is not kept: cannot write data/baselines.json: "), "{said}");
        assert_eq!(String::from_utf8_lossy(&faulty.output.stdout), expected);
        assert!(tree(&place.path("data")) == before);
    }
}
