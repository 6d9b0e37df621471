//! Counted randomness: every draw is a function of (seed, purpose, step) and of nothing else, so a
//! resumed run draws what the unbroken one would have drawn.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a stream of random numbers is for. Streams of different purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Initialisation = 1,
    /// The users, positions and targets of a training batch.
    Batch = 2,
    /// The negatives of a training batch.
    Negatives = 3,
    /// Which users train, validate and test.
    Split = 4,
    /// A generated log.
    Generation = 5,
    /// The order of an epoch's sessions; the step is the epoch.
    Epoch = 6,
    /// What dropout sets to zero.
    Dropout = 7,
    /// The histories that an index is measured with.
    Queries = 8,
    /// Which of the items ahead of a position is its target.
    Ahead = 9,
    /// Which items of a batch lose their own vectors.
    IdDropout = 10,
}

/// The stream for one step of one purpose under one seed.
pub fn stream(seed: u64, purpose: Purpose, step: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&step.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn streams_repeat_and_differ_by_each_of_their_names() {
        let first = |seed, purpose, step| stream(seed, purpose, step).random::<u64>();
        let a = first(1, Purpose::Batch, 7);
        assert_eq!(a, first(1, Purpose::Batch, 7));
        assert_ne!(a, first(2, Purpose::Batch, 7));
        assert_ne!(a, first(1, Purpose::Negatives, 7));
        assert_ne!(a, first(1, Purpose::Batch, 8));
    }
}
