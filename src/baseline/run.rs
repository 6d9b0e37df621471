//! A baseline from fitting to its metrics.

use std::time::Instant;

use anyhow::Result;

use super::kept::{Asked, KeptResult};
use super::{Recipe, Training};
use crate::data::{Dataset, Split};
use crate::eval::ScoreBlocks;

/// How far a baseline has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `done` of `parts` parts of fitting.
    Fitting { done: u64, parts: u64 },
    /// `done` of `users` users are ranked.
    Ranking { done: u64, users: u64 },
}

/// Fits `recipe` on the users of `dataset` who train, and measures what was `asked`.
///
/// # Errors
/// [`crate::error::Misuse`] for a catalogue that is too large for it; nobody to rank for.
pub fn run(
    dataset: &Dataset,
    recipe: &Recipe,
    asked: &Asked,
    observe: &mut dyn FnMut(Stage),
) -> Result<KeptResult> {
    let items = dataset.item_count();
    recipe.check(items)?;
    let (known, train) = (dataset.training(), dataset.users_of(Split::Train));
    let training = Training { sequences: &known, users: &train, items };
    let (mut done, parts) = (0, recipe.parts());
    observe(Stage::Fitting { done, parts });
    let start = Instant::now();
    let scorer = recipe.fit(training, &mut |more| {
        done += more;
        observe(Stage::Fitting { done, parts });
    })?;
    let fit_seconds = start.elapsed().as_secs_f64();
    let users = dataset.users_of(asked.split);
    let (mut done, count) = (0, users.len() as u64);
    observe(Stage::Ranking { done, users: count });
    let start = Instant::now();
    let blocks = ScoreBlocks {
        sequences: &dataset.sequences,
        users: &users,
        windows: dataset.windows(asked.split, &users),
        known: dataset.rankable(asked.evaluation.protocol, asked.split, &users),
        items,
        config: &asked.evaluation,
        latest: asked.latest.unwrap_or(usize::MAX),
    };
    let counts = dataset.training_counts();
    let (metrics, lists) = blocks.run_with_lists(&*scorer, &counts, &mut |more| {
        done += more;
        observe(Stage::Ranking { done, users: count });
    })?;
    Ok(KeptResult {
        recipe: *recipe,
        asked: asked.clone(),
        users: metrics.users(),
        targets: metrics.targets(),
        unrankable: metrics.unrankable(),
        fit_seconds,
        rank_seconds: start.elapsed().as_secs_f64(),
        metrics: metrics.means(),
        groups: metrics.groups(&counts),
        lists,
    })
}
