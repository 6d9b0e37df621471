//! Ranks that are processes, on one machine or many, over MPI.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Result, bail};
use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::{self, Universe};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::{Ranks, Team};
use crate::misuse;

struct MpiRanks {
    /// Taken down by [`Ranks::part`] alone: whoever ends otherwise must not wait for the others in
    /// MPI's farewell, but is noticed by `mpirun`, which ends them.
    universe: std::sync::Mutex<ManuallyDrop<Universe>>,
    world: SimpleCommunicator,
    parted: AtomicBool,
    sent: AtomicU64,
}

// SAFETY: MPI is told that one thread alone calls it (`Threading::Funneled`), and that is so: models
// are trained and ranked by the main thread, and those that draw batches or work for it never call
// what exchanges anything.
unsafe impl Send for MpiRanks {}
// SAFETY: as above.
unsafe impl Sync for MpiRanks {}

/// All processes that MPI was started with, `size` by what started them.
///
/// # Errors
/// [`crate::error::Misuse`] where MPI knows of other ones; when it lacks what is needed.
pub fn join(size: usize) -> Result<Team> {
    let Some((universe, threading)) = environment::initialize_with_threading(Threading::Funneled)
    else {
        bail!("MPI was started already in this process");
    };
    if threading < Threading::Funneled {
        bail!(
            "this MPI cannot be called by a process with several threads: use another build of it"
        );
    }
    let world = universe.world();
    if world.size() as usize != size {
        misuse!(
            "it was started as one of {size} processes, but MPI knows of {}: start it by the mpirun, or \
             the plugin of srun, of the MPI that the program was built with",
            world.size()
        );
    }
    let universe = std::sync::Mutex::new(ManuallyDrop::new(universe));
    let (parted, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    Ok(Team::of(Arc::new(MpiRanks { universe, world, parted, sent })))
}

impl Ranks for MpiRanks {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn exchange(&self, to: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let length = |own: &Vec<u8>| i32::try_from(own.len()).expect("less than 2 GiB are sent");
        let counts: Vec<i32> = to.iter().map(length).collect();
        let others = to.iter().enumerate().filter(|(rank, _)| *rank != self.rank());
        let bytes = others.map(|(_, own)| own.len() as u64).sum();
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        let mut given = vec![0i32; to.len()];
        self.world.all_to_all_into(&counts[..], &mut given[..]);
        // One byte more, which nobody is sent: where an empty list begins is what MPI takes for a mark.
        let list = [to.concat(), vec![0]].concat();
        let mut received = vec![0u8; given.iter().map(|own| *own as usize).sum::<usize>() + 1];
        {
            let sent = Partition::new(&list[..], &counts[..], starts(&counts));
            let starts = starts(&given);
            let mut received = PartitionMut::new(&mut received[..], &given[..], starts);
            self.world.all_to_all_varcount_into(&sent, &mut received);
        }
        let mut rest = &received[..];
        let of = |count: &i32| {
            let own;
            (own, rest) = rest.split_at(*count as usize);
            own.to_vec()
        };
        given.iter().map(of).collect()
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn part(&self) {
        if !self.parted.swap(true, Ordering::Relaxed) {
            let mut universe = self.universe.lock().expect("nobody panics with it");
            // SAFETY: once, as the flag says; nothing is exchanged afterwards.
            unsafe { ManuallyDrop::drop(&mut universe) };
        }
    }

    fn abort(&self, status: i32) {
        self.world.abort(status)
    }
}

/// Where each rank's bytes begin.
fn starts(counts: &[i32]) -> Vec<i32> {
    let next = |end: &mut i32, count: &i32| {
        let start = *end;
        *end = end.checked_add(*count).expect("less than 2 GiB are sent");
        Some(start)
    };
    counts.iter().scan(0, next).collect()
}
