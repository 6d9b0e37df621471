//! A dataset folder that is written and read, and one that is not as it was written.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::data::{Manifest, SplitBy, SplitRule, UserFacts};

pub fn sample(timed: bool) -> Dataset {
    let sequences: Vec<Vec<u32>> =
        (0..10u32).map(|user| (0..=user).map(|at| 1 + (user * at + at) % 4).collect()).collect();
    let mut offsets = vec![0];
    for sequence in &sequences {
        offsets.push(offsets[offsets.len() - 1] + sequence.len());
    }
    let items = sequences.concat();
    let mut dataset = Dataset {
        items: (0..4)
            .map(|id| Item { original: format!("i\"{id}\n").into(), count: 9 - id })
            .collect(),
        users: (0..10).map(|user| format!("ü{user}")).collect(),
        times: timed.then(|| (0..items.len() as i64).map(|at| at * at - 100).collect()),
        sequences: Sequences { items, offsets },
        split: SplitRule::default().apply(UserFacts { users: 10, ..UserFacts::default() }).unwrap(),
        cuts: None,
        item_features: None,
        user_features: None,
        cold: None,
        manifest: Manifest { name: "sample".into(), ..Manifest::default() },
    };
    dataset.manifest.format = crate::formats::DATASET;
    dataset.manifest.croloss = env!("CARGO_PKG_VERSION").into();
    dataset.manifest.counts = dataset.counts();
    dataset.manifest.checksum = dataset.checksum();
    dataset
}

pub fn saved(dataset: &Dataset) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("sample");
    dataset.save(&out, false).unwrap();
    (dir, out)
}

#[test]
fn what_is_saved_is_loaded() {
    for timed in [true, false] {
        let dataset = sample(timed);
        let (_dir, out) = saved(&dataset);
        assert_eq!(Dataset::load_timed(&out).unwrap(), dataset);
        let untimed = Dataset { times: None, ..dataset.clone() };
        assert_eq!(Dataset::load(&out).unwrap(), untimed);
        assert!(dataset.save(&out, false).unwrap_err().to_string().contains("--force"));
        dataset.save(&out, true).unwrap();
        let names = fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, [FILE, ITEMS, SEQUENCES, USERS]);
    }
}

#[test]
fn cuts_are_saved_and_loaded_and_change_the_checksum() {
    let mut dataset = sample(true);
    // Users have 1 to 10 items.
    dataset.cuts = Some((0..10).map(|user| Cut { validation: user / 3, test: user / 2 }).collect());
    dataset.split = vec![Split::Train; 10];
    dataset.manifest.split.by = SplitBy::Cut;
    dataset.manifest.counts = dataset.counts();
    dataset.manifest.checksum = dataset.checksum();
    let (_dir, out) = saved(&dataset);
    assert_eq!(Dataset::load_timed(&out).unwrap(), dataset);
    let mut other = dataset.clone();
    other.cuts.as_mut().unwrap()[9].validation += 1;
    assert_ne!(other.checksum(), dataset.checksum());
    other.cuts = None;
    assert_ne!(other.checksum(), dataset.checksum());
    // Not in the sequence.
    dataset.cuts.as_mut().unwrap()[4].test = 6;
    let (_dir, out) = saved(&dataset);
    let said = Dataset::load(&out).unwrap_err().to_string();
    assert!(said.contains("the cuts of user 4") && said.contains("prepare it again"), "{said}");
}

#[test]
fn parts_are_listed_by_rising_index() {
    let dataset = sample(false);
    let mut all: Vec<usize> = Vec::new();
    for part in [Split::Train, Split::Validation, Split::Test] {
        let users = dataset.users_of(part);
        assert!(users.is_sorted() && users.iter().all(|user| dataset.split[*user] == part));
        all.extend(users);
    }
    all.sort();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!(dataset.item_count(), 4);
}

#[test]
fn an_id_takes_memory_of_its_own_only_where_it_is_long() {
    let mut dataset = sample(false);
    dataset.items[1].original = "x".repeat(24).into();
    dataset.items[2].original = "x".repeat(25).into();
    let (_dir, out) = saved(&dataset);
    let loaded = Dataset::load(&out).unwrap();
    assert_eq!(loaded.items, dataset.items);
    let own = loaded.items.iter().map(|item| item.original.is_heap_allocated());
    assert_eq!(own.collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(size_of::<Item>(), 32);
}

#[test]
fn the_checksum_sees_every_part_of_the_content() {
    let sum = sample(true).checksum();
    let changes: [fn(&mut Dataset); 7] = [
        |dataset| dataset.sequences.items.swap(4, 5),
        |dataset| dataset.sequences.offsets[3] += 1,
        |dataset| dataset.times.as_mut().unwrap()[0] += 1,
        |dataset| dataset.items[0].count += 1,
        |dataset| dataset.items[0].original += "x",
        |dataset| dataset.users.swap(0, 1),
        |dataset| dataset.split.rotate_left(1),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = sample(true);
        change(&mut changed);
        assert_ne!(changed.checksum(), sum, "change {number}");
    }
    let mut renamed = sample(true);
    renamed.manifest.name = "other".into();
    assert_eq!(renamed.checksum(), sum);
}

#[test]
fn a_folder_that_is_no_dataset_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Dataset::load(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("is not a dataset folder; make one with croloss prepare"), "{error}");
}

#[test]
fn another_version_is_refused() {
    let (_dir, out) = saved(&sample(false));
    let path = out.join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("format = \"1.0\"\n", "format = \"2.0\"\nnovelty = true\n"))
        .unwrap();
    let error = Dataset::load(&out).unwrap_err().to_string();
    assert!(error.contains("has format 2.0") && error.contains("reads format 1"), "{error}");
    assert!(error.contains("prepare it again"), "{error}");
    // Earlier programs wrote a number.
    for read in ["1", "\"1.9\""] {
        fs::write(&path, text.replace("format = \"1.0\"\n", &format!("format = {read}\n")))
            .unwrap();
        assert_eq!(Dataset::load(&out).unwrap().checksum(), sample(false).checksum());
    }
    fs::write(&path, text.replace("format = \"1.0\"\n", "")).unwrap();
    assert!(Dataset::load(&out).unwrap_err().to_string().contains("missing field `format`"));
}

#[test]
fn altered_files_are_refused() {
    // Each changes one file only, so that it disagrees with the rest of the folder.
    let alter = |change: &dyn Fn(&mut Dataset), file: &str, expected: &str| {
        let (_dir, out) = saved(&sample(true));
        let mut other = sample(true);
        change(&mut other);
        let (_other_dir, other_out) = saved(&other);
        fs::copy(other_out.join(file), out.join(file)).unwrap();
        let error = Dataset::load(&out).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("prepare it again"), "{error}");
    };
    alter(&|data| data.sequences.items[7] = 9, SEQUENCES, "item 9 is not in the catalogue of 4");
    alter(&|data| data.sequences.items[7] = 0, SEQUENCES, "item 0 is not in the catalogue of 4");
    alter(&|data| data.sequences.items[7] ^= 7, SEQUENCES, "");
    alter(&|data| data.sequences.items.swap(5, 6), SEQUENCES, "checksum");
    alter(&|data| data.times = None, SEQUENCES, "checksum");
    alter(&|data| data.times.as_mut().unwrap()[54] += 1, SEQUENCES, "checksum");
    alter(&|data| data.sequences.offsets[3] += 1, SEQUENCES, "row 7 is user 2's");
    alter(&|data| data.split[0] = Split::Test, USERS, "10 users");
    alter(&|data| data.items.truncate(3), ITEMS, "item 4 is not in the catalogue of 3");
    alter(&|data| data.items[1].count = 0, ITEMS, "checksum");
    let shorter = |data: &mut Dataset| {
        data.users.pop();
        data.split.pop();
        data.sequences.offsets.pop();
        data.sequences.items.truncate(45);
    };
    alter(&shorter, USERS, "row 46 is user 9's");
    alter(&shorter, SEQUENCES, "45 interactions");
}

#[test]
fn files_that_are_missing_or_torn_are_refused() {
    for file in [ITEMS, USERS, SEQUENCES] {
        let (_dir, out) = saved(&sample(true));
        let path = out.join(file);
        let content = fs::read(&path).unwrap();
        fs::write(&path, &content[..content.len() / 2]).unwrap();
        let error = format!("{:#}", Dataset::load(&out).unwrap_err());
        assert!(error.contains(file) && error.contains("Parquet"), "{error}");
        fs::remove_file(&path).unwrap();
        let error = format!("{:#}", Dataset::load(&out).unwrap_err());
        assert!(error.contains(file) && error.contains("cannot read"), "{error}");
    }
}
