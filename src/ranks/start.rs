//! How a process comes by the others that it was started with.

use std::env;

use anyhow::Result;

use super::Team;
#[cfg(not(feature = "mpi"))]
use crate::misuse;

/// Who may start processes side by side, by what each tells them of their number.
const STARTERS: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// What `srun --mpi=pmix` tells, and how many processes its step has.
const PMIX: [&str; 2] = ["PMIX_RANK", "SLURM_STEP_NUM_TASKS"];

/// With how many others, itself among them, this process was started by `mpirun` or alike; 1 where it
/// was started alone.
pub fn started_beside() -> usize {
    let number = |name: &str| env::var(name).ok()?.parse::<usize>().ok();
    let under_pmix = || env::var_os(PMIX[0]).and_then(|_| number(PMIX[1]));
    STARTERS.iter().find_map(|name| number(name)).or_else(under_pmix).unwrap_or(1)
}

/// The processes that this one was started with, which all do the same.
///
/// # Errors
/// [`crate::error::Misuse`] where there are others and this program was built without MPI.
pub fn join() -> Result<Team> {
    match started_beside() {
        1 => Ok(Team::default()),
        #[cfg(feature = "mpi")]
        size => super::mpi::join(size),
        #[cfg(not(feature = "mpi"))]
        size => misuse!(
            "it was started as one of {size} processes, but this program was built without MPI, so \
             that each would train alone: build it with `make build MPI=1`, or start it once"
        ),
    }
}
