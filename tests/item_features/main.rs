//! What leaves the trainer where items have features: towers, vectors of new items, lists, warm starts.

#[path = "../common/mod.rs"]
mod common;
mod embed;
mod known;
mod lists;
mod next;
#[allow(dead_code)] // Little of it is asked for here.
#[path = "../common/server.rs"]
mod server;
mod towers;
mod weights;
