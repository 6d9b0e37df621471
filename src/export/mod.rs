//! Trained towers as TorchScript, item vectors, and what is needed to serve them.

mod embedder;
mod folder;
mod manifest;
mod readme;
mod script;
mod towers;

pub use embedder::{Embedded, Embedder, FieldTold};
pub use folder::{Export, sha256_of};
pub use manifest::Manifest;
