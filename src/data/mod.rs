//! From raw logs to datasets: readers, preparation rules, the dataset folder, the generator.

mod dataset;
mod description;
mod folder;
mod generate;
mod interactions;
mod manifest;
mod parquet;
mod prepare;
mod read;
mod split;

pub use dataset::{Dataset, Item, Sequences, Split};
pub use description::{Description, Rules};
pub use generate::{Preset, Size, generate};
pub use interactions::Interactions;
pub use manifest::{Counts, Manifest, Report};
pub use prepare::prepare;
pub use read::{Format, Log, Source, SourceFile};
pub use split::{Facts, Moment, SplitBy, SplitRule};
