//! What leaves the trainer where items have features: towers, vectors of new items, lists, what is
//! measured of cold ones, warm starts.

mod cold;
#[path = "../common/mod.rs"]
mod common;
mod embed;
mod known;
mod lists;
mod next;
#[allow(dead_code)] // Little of it is asked for here.
#[path = "../common/server.rs"]
mod server;
#[path = "../common/snippet.rs"]
mod snippet;
mod towers;
mod weights;
