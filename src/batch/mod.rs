//! Training batches: whose histories, which of their items are asked for, against which candidates.

mod alias;
#[allow(clippy::module_inception)]
mod batch;
mod candidates;
mod chunk;
mod drawer;
mod epochs;
mod features;
mod host;
mod on_device;
mod pad;
mod part;
mod repeats;

pub use batch::{Assembly, Batch, Samples};
pub use candidates::{Candidates, Expected};
pub use chunk::Chunk;
pub use drawer::Drawer;
pub use host::HostDrawer;
pub use on_device::DeviceDrawer;
pub use pad::pad;
pub use repeats::Repeated;
