//! Search of a space for the setting that is best by each of several metrics, by successive halving:
//! many points are trained for a small share of their steps, and of each rung the best third goes on
//! to the next, from its checkpoint.
//!
//! ```text
//! sweep::SweepFile ─► search   the points, drawn, and which part of which is run next (by rungs)
//!                        │  ▲
//!                 sweep::Runner   run folders ─► standing   how far each has come, read from its log
//!                                                  └─► outcome   winners, their seeds, the reference
//!                                                         └─► pages   what is written about it
//! ```
//!
//! All that is known stands in the folder of the search: whoever calls again goes on with it, and
//! several machines share one.

mod found;
mod outcome;
mod pages;
mod record;
mod rungs;
mod search;
mod standing;
mod words;

pub use found::Found;
pub use outcome::{Outcome, finals};
pub use pages::write;
pub use record::{Entry, Record};
pub use search::{Search, Whole};
pub use words::{best_name, said};
