//! Trained towers as TorchScript, item vectors, and what is needed to serve them.

mod folder;
mod readme;
mod script;
mod towers;

pub use folder::{Export, Manifest, sha256_of};
