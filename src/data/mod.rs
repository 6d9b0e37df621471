//! From raw logs to datasets: readers, preparation rules, the dataset folder, the generator.

mod cut;
mod dataset;
mod description;
mod features;
mod folder;
mod generate;
mod interactions;
mod manifest;
mod pages;
pub(crate) mod parquet;
mod prepare;
mod read;
mod rules;
mod shares;
mod span;
mod split;
mod split_rule;
mod split_users;
mod windows;

pub use cut::Cut;
pub use dataset::{Cold, Dataset, Item, Sequences};
pub use description::Description;
pub use features::{Features, Field, FieldKind, Schema};
pub use generate::{Preset, Size, generate};
pub use interactions::Interactions;
pub use manifest::{Counts, DroppedCounts, Manifest};
pub use prepare::prepare;
pub(crate) use read::time::parse as parse_time;
pub use read::{Format, Log, Source, SourceFile};
pub use rules::Rules;
pub use shares::distinct;
pub use span::Span;
pub use split::Split;
pub use split_rule::{Moment, SplitBy, SplitRule};
pub use split_users::UserFacts;
