//! The folder that an export is: towers, vectors, items, and a manifest with every file's checksum.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use polars::df;
use polars::prelude::{Column, ParquetWriter};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::manifest::Manifest;
use super::{readme, towers};
use crate::config::Config;
use crate::data::parquet::Parquet;
use crate::data::{Dataset, Item, Schema};
use crate::device;
use crate::files::{self, Sink, hex};
use crate::folders::{Claim, FolderKind};
use crate::formats::{self, Versioned};
use crate::misuse;
use crate::model::{FeatureTable, Model};
use crate::{reading, tensor_file};

const MANIFEST: &str = "export.json";
const CONFIG: &str = "config.toml";
const USER_TOWER: &str = "user_tower.pt";
const ITEM_TOWER: &str = "item_tower.pt";
const VECTORS_NPY: &str = "item_vectors.npy";
const VECTORS: &str = "item_vectors.safetensors";
const README: &str = "README.md";
const ITEMS: &str = "items.parquet";
/// The fields that the item tower reads, where it reads any.
const FEATURES: &str = "features.json";
/// The fields of users that their tower reads, where it reads any.
const USER_FEATURES: &str = "user_features.json";
/// The column of `items.parquet` that exports of earlier versions do not have.
const TRAINING_COUNT: &str = "training_count";
/// The name of the item vectors in their file.
const TENSOR: &str = "item_vectors";

/// The files that the manifest lists, and those of them that are read here.
const LISTED: [&str; 9] =
    [USER_TOWER, ITEM_TOWER, VECTORS_NPY, VECTORS, ITEMS, CONFIG, README, FEATURES, USER_FEATURES];
const READ: [&str; 3] = [USER_TOWER, VECTORS, ITEMS];

/// An export that was read back, all files found whole.
pub struct Export {
    pub folder: PathBuf,
    pub manifest: Manifest,
    /// What `export.json` said when it was opened.
    text: String,
}

impl Export {
    /// How an export is known.
    pub const FOLDER: FolderKind = FolderKind {
        name: "an export",
        marker: MANIFEST,
        files: &[
            MANIFEST,
            USER_TOWER,
            ITEM_TOWER,
            VECTORS_NPY,
            VECTORS,
            ITEMS,
            CONFIG,
            README,
            FEATURES,
            USER_FEATURES,
            // What `croloss index` adds.
            "index.usearch",
            "index.json",
        ],
    };

    /// Writes the export of a trained model at a place that was claimed, whole or not at all.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(model: &Model, config: &Config, dataset: &Dataset, claim: Claim) -> Result<()> {
        claim.write(|folder| {
            let _guard = tch::no_grad_guard();
            for (name, weight) in model.weights() {
                ensure!(
                    device::is_finite(&weight),
                    "the weight `{name}` is not all numbers: the training has diverged"
                );
            }
            let toml = toml::to_string(config)?;
            let mut manifest = Manifest {
                format: formats::EXPORT,
                croloss: env!("CARGO_PKG_VERSION").into(),
                commit: env!("CROLOSS_COMMIT").into(),
                dataset: dataset.manifest.name.clone(),
                dataset_checksum: dataset.manifest.checksum.clone(),
                items: model.items.len(),
                dim: model.items.scored().dim(),
                history: config.tower.history,
                repeats: model.additions(),
                files: Default::default(),
            };
            let about = serde_json::to_string(&manifest)?;
            let extra = [(CONFIG, toml.clone()), (MANIFEST, about)];
            towers::save_user(model, config, &extra, &folder.join(USER_TOWER))?;
            towers::save_item(model, &extra, &folder.join(ITEM_TOWER))?;
            let vectors = model.item_vectors().to_device(Device::Cpu).contiguous();
            let [npy, safetensors] = [VECTORS_NPY, VECTORS].map(|name| folder.join(name));
            let cannot = |path: &Path| format!("cannot write {}", path.display());
            vectors.write_npy(&npy).with_context(|| cannot(&npy))?;
            tensor_file::write(&safetensors, &[(TENSOR, &vectors)])?;
            write_items(dataset, &folder.join(ITEMS))?;
            files::write(&folder.join(CONFIG), toml)?;
            let items = model.items.features().map(FeatureTable::schema);
            let users = model.user_features.as_ref().map(FeatureTable::schema);
            for (name, schema) in [(FEATURES, items), (USER_FEATURES, users)] {
                if let Some(schema) = schema {
                    files::write(&folder.join(name), serde_json::to_string(schema)?)?;
                }
            }
            files::write(&folder.join(README), readme::text(&manifest, items, users))?;
            for name in LISTED.iter().copied().filter(|name| folder.join(name).exists()) {
                manifest.files.insert(name.into(), files::sha256(&folder.join(name))?);
            }
            let text = serde_json::to_string_pretty(&manifest)? + "\n";
            files::write(&folder.join(MANIFEST), text)
        })
    }

    /// Whether `folder` says that it is an export.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file()
    }

    /// Opens an export and checks every file against its checksum. It may come from anywhere: nothing
    /// but its own files is read, and they are held against each other.
    ///
    /// # Errors
    /// Names the file that is missing or altered, or says that the folder is no export.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        if !path.is_file() {
            bail!("{} is not an export: make one with croloss export", folder.display());
        }
        let text = reading::text(&path)?;
        let altered = || format!("{} is altered", path.display());
        // The version first: another version may have other keys.
        let Versioned { format } = serde_json::from_str(&text).with_context(altered)?;
        let what = format!("the export {}", folder.display());
        formats::EXPORT.reads(format, what, "export again")?;
        let manifest: Manifest = serde_json::from_str(&text).with_context(altered)?;
        manifest.check(&LISTED, &READ).with_context(altered)?;
        let export = Self { folder: folder.into(), manifest, text };
        for (name, checksum) in &export.manifest.files {
            let path = export.file(name)?;
            ensure!(
                files::sha256(&path)? == *checksum,
                "{} is truncated or altered: export again",
                path.display()
            );
        }
        Ok(export)
    }

    /// Whether the folder still is what was opened: another export may have taken its place.
    pub fn is_there(&self) -> bool {
        reading::text(&self.folder.join(MANIFEST)).is_ok_and(|text| text == self.text)
    }

    /// The path of one of its files, which lies in the folder, wherever links lead.
    fn file(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let real = |path: &Path| {
            fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))
        };
        ensure!(
            real(&path)?.starts_with(real(&self.folder)?),
            "{} leads out of the export",
            path.display()
        );
        Ok(path)
    }

    /// Vectors of all items `[items, dim]`, row `i` of item `i + 1`, on `device`.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn item_vectors(&self, device: Device) -> Result<Tensor> {
        let path = self.file(VECTORS)?;
        let read = Tensor::read_safetensors(&path).with_context(|| path.display().to_string())?;
        let named = read.into_iter().find(|(name, _)| name == TENSOR);
        let (_, vectors) = named.with_context(|| format!("{} has no {TENSOR}", path.display()))?;
        let (found, wanted) = (vectors.size(), [self.manifest.items as i64, self.manifest.dim]);
        ensure!(
            found == wanted && vectors.kind() == Kind::Float,
            "{} holds {:?} of shape {found:?} where {MANIFEST} says Float of shape {wanted:?}: \
             export again",
            path.display(),
            vectors.kind()
        );
        Ok(vectors.to_device(device))
    }

    /// The SHA-256 of the file of vectors.
    ///
    /// # Errors
    /// When the manifest does not tell it.
    pub fn vectors_checksum(&self) -> Result<&str> {
        let known = self.manifest.files.get(VECTORS).map(String::as_str);
        known.with_context(|| format!("{MANIFEST} does not list {VECTORS}: export again"))
    }

    /// The items, that of row `i` at `i`.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn items(&self) -> Result<Vec<Item>> {
        let (path, mut parquet) = self.item_file()?;
        let mut items = vec![];
        parquet.frames(&["original", "count"], |frame| {
            let (original, count) =
                (frame.column("original")?.str()?, frame.column("count")?.u64()?);
            for (original, count) in original.iter().zip(count.iter()) {
                let (Some(original), Some(count)) = (original, count) else {
                    bail!("{}: a row has no value", path.display());
                };
                items.push(Item { original: original.into(), count });
            }
            Ok(())
        })?;
        Ok(items)
    }

    /// How often each item stands in the training part, that of row `i` at `i`.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for an export of an earlier version, which does not tell; names the
    /// file that cannot be read.
    pub fn training_counts(&self) -> Result<Vec<u64>> {
        let (path, mut parquet) = self.item_file()?;
        if parquet.kind(TRAINING_COUNT).is_none() {
            misuse!(
                "{} does not tell how often items were met in training, because an earlier version \
                 wrote it: export again",
                path.display()
            );
        }
        let mut counts = vec![];
        parquet.frames(&[TRAINING_COUNT], |frame| {
            let piece = frame.column(TRAINING_COUNT)?.u64()?.iter().collect::<Option<Vec<u64>>>();
            counts
                .extend(piece.with_context(|| format!("{}: a row has no value", path.display()))?);
            Ok(())
        })?;
        Ok(counts)
    }

    /// The file of the items, which has a row for each.
    fn item_file(&self) -> Result<(PathBuf, Parquet<File>)> {
        let path = self.file(ITEMS)?;
        let parquet = Parquet::open(&path)?;
        ensure!(
            parquet.rows() == self.manifest.items,
            "{} has {} rows where {MANIFEST} says {} items: export again",
            path.display(),
            parquet.rows(),
            self.manifest.items
        );
        Ok((path, parquet))
    }

    /// The fields that the item tower reads, where it reads any.
    ///
    /// # Errors
    /// Names the file that cannot be read, or is broken.
    pub fn features(&self) -> Result<Option<Schema>> {
        self.schema(FEATURES)
    }

    /// The fields of users that their tower reads, where it reads any.
    ///
    /// # Errors
    /// Names the file that cannot be read, or is broken.
    pub fn user_features(&self) -> Result<Option<Schema>> {
        self.schema(USER_FEATURES)
    }

    fn schema(&self, name: &str) -> Result<Option<Schema>> {
        if !self.manifest.files.contains_key(name) {
            return Ok(None);
        }
        let path = self.file(name)?;
        let schema = Schema::parse(&reading::text(&path)?);
        schema.map(Some).with_context(|| format!("{} is altered: export again", path.display()))
    }

    /// The user tower, on `device`.
    ///
    /// # Errors
    /// Names the file that cannot be read; a tower that does not read [`Export::user_features`].
    pub fn user_tower(&self, device: Device) -> Result<tch::CModule> {
        let tower = self.tower(USER_TOWER, device)?;
        if let Some(schema) = self.user_features()? {
            let cannot = || self.folder.join(USER_TOWER).display().to_string();
            let all = tower.named_parameters().with_context(cannot)?;
            let values = all.iter().find(|(name, _)| name == towers::USER_VALUES);
            let rows = values.and_then(|(_, values)| values.size().first().copied());
            ensure!(
                rows == Some(schema.rows() as i64),
                "{} does not read the values of {USER_FEATURES}: export again",
                cannot()
            );
        }
        Ok(tower)
    }

    /// The item tower, on `device`.
    ///
    /// # Errors
    /// Names the file that cannot be read, or that the manifest does not list.
    pub fn item_tower(&self, device: Device) -> Result<tch::CModule> {
        ensure!(
            self.manifest.files.contains_key(ITEM_TOWER),
            "{MANIFEST} does not list {ITEM_TOWER}: export again"
        );
        self.tower(ITEM_TOWER, device)
    }

    fn tower(&self, name: &str, device: Device) -> Result<tch::CModule> {
        let path = self.file(name)?;
        tch::CModule::load_on_device(&path, device).with_context(|| path.display().to_string())
    }
}

fn write_items(dataset: &Dataset, path: &Path) -> Result<()> {
    let items = &dataset.items;
    let rows: Vec<u32> = (0..items.len() as u32).collect();
    let original: Vec<&str> = items.iter().map(|item| item.original.as_str()).collect();
    let counts: Vec<u64> = items.iter().map(|item| item.count).collect();
    let ids: Vec<u32> = (1..=items.len() as u32).collect();
    let mut frame = df!("row" => rows, "item" => ids, "original" => original, "count" => counts)?;
    frame.with_column(Column::new(TRAINING_COUNT.into(), dataset.training_counts()))?;
    let (sink, why) = Sink::create(path)?;
    ParquetWriter::new(sink).finish(&mut frame).map(drop).map_err(|error| why.of(error))
}

/// The SHA-256 of some bytes, in hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
