//! The processes that train one model together, each with its part of the rows of every table: which
//! part that is, and what they tell each other.

#[cfg(feature = "mpi")]
mod mpi;
mod number;
mod shard;
mod start;
mod team;
#[cfg(test)]
mod threads;

pub use number::Number;
pub use shard::Shard;
pub use start::{join, started_beside};
pub use team::Team;
#[cfg(test)]
pub use threads::together;

/// What a process needs of those that it works with: whatever else they tell each other is made of
/// one exchange, so that another way of sending has little to do. All call it together, in the same
/// order.
pub trait Ranks: Send + Sync {
    /// This one's number, from 0.
    fn rank(&self) -> usize;

    /// How many they are.
    fn size(&self) -> usize;

    /// Gives each rank the bytes that stand in `to` at its number, and returns what each has given to
    /// this one.
    ///
    /// # Panics
    /// When another rank has ended. (Over MPI that ends them all.)
    fn exchange(&self, to: Vec<Vec<u8>>) -> Vec<Vec<u8>>;

    /// Bytes that went to other ranks so far.
    fn sent(&self) -> u64;

    /// Says that all is well, and waits for the others to say so: the last call of all.
    fn part(&self) {}

    /// Ends all of them with this exit status.
    fn abort(&self, _status: i32) {}
}
