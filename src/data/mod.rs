//! From raw logs to datasets: readers, preparation rules, the dataset folder, the generator.

mod dataset;

pub use dataset::{Dataset, Item, Sequences, Split};
