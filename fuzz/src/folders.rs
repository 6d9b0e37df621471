//! Folders from elsewhere: datasets, checkpoints, exports. An input is what one file of a folder
//! holds; the others are good ones, and checksums are put right so that the content is looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Result, bail};
use croloss::data::{Dataset, Split};
use croloss::export::{Export, sha256_of};
use croloss::folders::Claim;
use croloss::model::Model;
use croloss::retrieve::{
    Ask, Catalogue, Choice, Exact, Index, MostPopular, OperatingPoint, Recommender, Search,
    UserTower,
};
use croloss::signals::Signals;
use croloss::train::{RunFolder, Start, train};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::Target;
use crate::sample;

pub fn targets() -> Vec<Target> {
    let of = |name, seeds, read| Target { name, seeds, read, memory: (64 << 20, 2000) };
    vec![
        of("dataset", dataset_seeds, dataset),
        of("checkpoint", checkpoint_seeds, checkpoint),
        of("export", export_seeds, export),
    ]
}

/// The files of a folder: name and content.
type Files = Vec<(&'static str, Vec<u8>)>;

/// What stands in `folder` by these names.
fn files(folder: &Path, names: &[&'static str]) -> Files {
    let read = |name: &&'static str| (*name, fs::read(folder.join(name)).expect("a good file"));
    names.iter().map(read).collect()
}

/// Each file as an input: its number, and what it holds.
fn seeds(files: &Files) -> Vec<Vec<u8>> {
    let of = |(number, (_, content)): (usize, &(&str, Vec<u8>))| {
        [&[number as u8], &content[..]].concat()
    };
    files.iter().enumerate().map(of).collect()
}

/// The good files but for the one that an input gives.
fn with(good: &Files, data: &[u8]) -> Option<Files> {
    let (number, content) = data.split_first()?;
    let mut files = good.clone();
    let number = usize::from(*number) % files.len();
    files[number].1 = content.to_vec();
    Some(files)
}

fn write(folder: &Path, files: &Files) {
    fs::create_dir_all(folder).expect("a folder");
    for (name, content) in files {
        fs::write(folder.join(name), content).expect("a file is written");
    }
}

/// Puts the checksums in `files.NAME` of a JSON file right, as far as it has them.
fn put_right(files: &mut Files, manifest: &str) {
    let sums: Vec<(&str, String)> =
        files.iter().map(|(name, content)| (*name, sha256_of(content))).collect();
    let Some((_, text)) = files.iter_mut().find(|(name, _)| *name == manifest) else { return };
    let Ok(mut json) = serde_json::from_slice::<Value>(text) else { return };
    for (name, sum) in sums {
        if let Some(own) = json.get_mut("files").and_then(|files| files.get_mut(name)) {
            *own = sum.into();
        }
    }
    *text = json.to_string().into_bytes();
}

fn good_dataset() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = sample::folder().join("good");
        sample::dataset().save(&folder, true).expect("a dataset is written");
        files(&folder, &["dataset.toml", "items.parquet", "users.parquet", "sequences.parquet"])
    })
}

fn dataset(data: &[u8]) {
    let Some(files) = with(good_dataset(), data) else { return };
    let folder = sample::folder().join("dataset");
    write(&folder, &files);
    let Ok(dataset) = Dataset::load(&folder) else { return };
    for part in Split::ALL {
        let _ = dataset.users_of(part);
    }
    let (items, users) = (dataset.item_count(), dataset.users.len());
    assert_eq!(dataset.sequences.len(), users);
    assert!(dataset.sequences.items.iter().all(|id| (1..=items).contains(&(*id as usize))));
}

fn dataset_seeds() -> Vec<Vec<u8>> {
    seeds(good_dataset())
}

/// The run folder that is gone on with: its own files, and those of its checkpoint.
const RUN: [&str; 2] = ["config.toml", "metrics.jsonl"];
const CHECKPOINT: [&str; 3] = ["checkpoint.json", "state.safetensors", "best.safetensors"];

/// A run at its third step.
fn good_checkpoint() -> &'static (Dataset, Files, Files) {
    static FILES: OnceLock<(Dataset, Files, Files)> = OnceLock::new();
    FILES.get_or_init(|| {
        let (dataset, config) = (sample::dataset(), sample::config());
        let folder = sample::folder().join("whole");
        let open = || Start::Anew.open(&folder, &config, &dataset.manifest.checksum);
        let place = folder.join("checkpoints").join(name(2));
        let mut kept = None;
        train(&config, &dataset, open, &Signals::default(), &mut |_| {
            let whole = place.is_dir() && place.join(CHECKPOINT[2]).exists();
            if kept.is_none() && whole {
                kept = Some((files(&folder, &RUN), files(&place, &CHECKPOINT)));
            }
        })
        .expect("a training");
        let (run, checkpoint) = kept.expect("a checkpoint while it trained");
        (dataset, run, checkpoint)
    })
}

fn name(step: u64) -> String {
    format!("step-{step:013}")
}

/// Goes on with a training, as far as its checkpoint lets.
fn checkpoint(data: &[u8]) {
    let (dataset, run, checkpoint) = good_checkpoint();
    let Some(mut files) = with(checkpoint, data) else { return };
    put_right(&mut files, CHECKPOINT[0]);
    let folder = sample::folder().join("run");
    let _ = fs::remove_dir_all(&folder);
    write(&folder, run);
    write(&folder.join("checkpoints").join(name(2)), &files);
    let opened = RunFolder::open(&folder).expect("a run folder").checkpoints().latest();
    if !opened.is_ok_and(|(checkpoint, _)| checkpoint.is_some()) {
        return;
    }
    let config = sample::config();
    let open = || Start::Resumed.open(&folder, &config, &dataset.manifest.checksum);
    let _ = train(&config, dataset, open, &Signals::default(), &mut |_| {});
}

fn checkpoint_seeds() -> Vec<Vec<u8>> {
    seeds(&good_checkpoint().2)
}

/// All but the user tower: it is a program, and run.
const EXPORT: [&str; 5] =
    ["export.json", "item_vectors.safetensors", "items.parquet", "index.json", "index.usearch"];

/// The folder, which stays, and its files.
fn good_export() -> &'static (PathBuf, Files) {
    static FILES: OnceLock<(PathBuf, Files)> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = sample::folder().join("export");
        let (dataset, mut config) = (sample::dataset(), sample::config());
        config.tower.repeats = true;
        let model = Model::new(&config.tower, dataset.item_count(), 1, Device::Cpu);
        let claim = Claim::new(&folder, true, &Export::FOLDER).expect("a place");
        Export::write(&model, &config, &dataset, claim).expect("an export is written");
        let opened = Export::open(&folder).expect("an export");
        let vectors = opened.item_vectors(Device::Cpu).expect("vectors");
        let mut index = Index::build(&vectors, &mut |_| {}).expect("an index");
        let point = OperatingPoint { expansion: 16, recall: 1.0, per_second: 1.0 };
        index.save(&opened, &point).expect("an index is written");
        let files = files(&folder, &EXPORT);
        (folder, files)
    })
}

/// Opens an export, and recommends from it.
fn export(data: &[u8]) {
    let (folder, good) = good_export();
    let Some(mut files) = with(good, data) else { return };
    let sums = [1, 4].map(|file| sha256_of(&files[file].1));
    put_right(&mut files, EXPORT[0]);
    if let Ok(mut json) = serde_json::from_slice::<Value>(&files[3].1)
        && let Some(object) = json.as_object_mut()
    {
        for (key, sum) in ["vectors", "sha256"].into_iter().zip(sums) {
            object.get_mut(key).into_iter().for_each(|own| *own = sum.clone().into());
        }
        files[3].1 = json.to_string().into_bytes();
    }
    write(folder, &files);
    let Ok(export) = Export::open(folder) else { return };
    let exact = || Ok(Search::Exact(Exact::new(&export.item_vectors(Device::Cpu)?, None)?));
    let approximate = || Ok(Search::Approximate(Index::open(&export, None)?));
    let _ = recommend(&export, exact);
    let _ = recommend(&export, approximate);
}

fn recommend(export: &Export, search: impl Fn() -> Result<Search>) -> Result<()> {
    let originals = export.items()?.into_iter().map(|item| String::from(item.original));
    let originals: Vec<String> = originals.collect();
    let items = originals.len();
    let recommender = Recommender {
        catalogue: Catalogue::new(originals).into(),
        tower: Ones(export.manifest.dim),
        search: search()?,
        popular: Some(MostPopular::new(&export.training_counts()?, None)),
        repeats: export.manifest.repeats.clone(),
        history: export.manifest.history,
        user_fields: export.user_features()?.map(Into::into),
        device: Device::Cpu,
    };
    let (free, allow) = (Choice::default(), Choice { allow: Some(vec![0]), deny: vec![] });
    for (history, choice) in [(&[1, 2, 1][..], &free), (&[], &free), (&[1], &allow)] {
        let exclude_seen = history.len() == 1;
        let ask = Ask { history, fields: &[], top: 5, exclude_seen, choice };
        for hit in recommender.recommend(&[ask])?.concat() {
            assert!((hit.row as usize) < items);
            let _ = recommender.catalogue.original(hit.row);
        }
    }
    Ok(())
}

/// Stands for the tower.
struct Ones(i64);

impl UserTower for Ones {
    fn vectors(&self, histories: &Tensor, _: Option<&[&[u32]]>) -> Result<Tensor> {
        if self.0 > 1 << 20 {
            bail!("an export of such vectors is larger than any input");
        }
        Ok(Tensor::ones([histories.size()[0], self.0], (Kind::Float, Device::Cpu)))
    }
}

fn export_seeds() -> Vec<Vec<u8>> {
    seeds(&good_export().1)
}
