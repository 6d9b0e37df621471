//! The points of a search, and what is run next.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::rungs::{KEPT_ONE_IN, SHARES, Standing, promoted, unbegun};
use super::standing::standing;
use crate::config::Metric;
use crate::locks::Lock;
use crate::misuse;
use crate::sweep::{Next, Point, SweepFile, Task};
use crate::train::RunFolder;

/// Between two looks at what others are at.
const PAUSE: Duration = Duration::from_secs(1);

/// Draws at most, of which many may be of one point.
const MOST_DRAWS: u32 = 1 << 16;

/// The points of a search.
pub struct Search {
    folder: PathBuf,
    metrics: Vec<Metric>,
    pub points: Vec<Point>,
    /// Nothing is begun behind it.
    deadline: Option<Instant>,
    looked: Option<Instant>,
}

impl Search {
    /// Draws so many different points of `file`, the base configuration as the first of them and the
    /// others by a Sobol sequence that `seed` scrambles; fewer where the space holds no more.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] for a configuration that cannot work.
    pub fn new(
        (file, seed): (&SweepFile, u32),
        metrics: &[Metric],
        count: usize,
        folder: &Path,
    ) -> Result<Self> {
        let dimensions = file.dimensions() as u32;
        if dimensions > sobol_burley::NUM_DIMENSIONS {
            misuse!(
                "{dimensions} coordinates, of at most {}: leave some axes out",
                sobol_burley::NUM_DIMENSIONS
            );
        }
        let mut points: Vec<Point> = file.seeded("base", &file.base(&Default::default())?)?;
        points.truncate(1);
        points.iter_mut().for_each(|point| point.case = "the configuration itself".into());
        let mut known: HashSet<String> = points.iter().map(|point| point.id.clone()).collect();
        for index in 0..MOST_DRAWS {
            // A space of lists alone can be drawn to its end.
            if points.len() >= count || index as usize > 200 * points.len() {
                break;
            }
            let place = |dimension| f64::from(sobol_burley::sample(index, dimension, seed));
            let point = file.draw(&(0..dimensions).map(place).collect::<Vec<_>>())?;
            if known.insert(point.id.clone()) {
                points.push(point);
            }
        }
        let (folder, metrics) = (folder.into(), metrics.to_vec());
        Ok(Self { folder, metrics, points, deadline: None, looked: None })
    }

    /// With `budget` from now on, behind which nothing more is begun.
    pub fn within(self, budget: Option<Duration>) -> Self {
        Self { deadline: budget.map(|budget| Instant::now() + budget), ..self }
    }

    /// How far each point has come.
    pub fn standings(&self) -> Vec<Standing> {
        let of = |point: &Point| Standing {
            held: Lock::is_held(&claim_path(&self.folder, point)),
            ..standing(&self.folder.join(point.folder()), &self.metrics)
        };
        self.points.iter().map(of).collect()
    }

    /// About so many parts of points there are to run: of each rung the best third by each metric go on,
    /// and some besides that were among these when they went.
    pub fn parts_left(&self) -> usize {
        let standings = self.standings();
        let of_rung = |rung: usize| {
            let of_metric = self.points.len() / KEPT_ONE_IN.pow(rung as u32);
            let there = (of_metric * self.metrics.len()).min(self.points.len());
            there.saturating_sub(standings.iter().filter(|point| point.reached > rung).count())
        };
        (0..SHARES.len()).map(of_rung).sum()
    }

    /// Whether one of its points is trained to its end.
    pub fn has_ended(&self, point: &Point) -> bool {
        RunFolder::has_result(&self.folder.join(point.folder()))
    }

    /// What is run next: a point that goes on to its next rung, else one that is begun.
    ///
    /// # Errors
    /// Names the lock that cannot be taken.
    pub fn next_task(&mut self) -> Result<Next> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(Next::End);
        }
        if self.looked.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(Next::Wait);
        }
        loop {
            let standings = self.standings();
            let Some(place) = promoted(&standings).or_else(|| unbegun(&standings)) else {
                if standings.iter().all(|point| !point.held) {
                    return Ok(Next::End);
                }
                self.looked = Some(Instant::now());
                return Ok(Next::Wait);
            };
            let (point, reached) = (&self.points[place], standings[place].reached);
            let Some(claim) = claim(&self.folder, point)? else { continue };
            // Whoever held it until now may have brought it here.
            let run = self.folder.join(point.folder());
            if standing(&run, &self.metrics).reached == reached {
                let until = Some(SHARES[reached]).filter(|share| *share < 1.0);
                let task = Task { point: point.clone(), run, until, claim: Some(claim) };
                return Ok(Next::Run(Box::new(task)));
            }
        }
    }
}

/// Points that are all trained to their end.
pub struct Whole<'a> {
    folder: &'a Path,
    points: &'a [Point],
    /// The ids of those that were begun here: one that fails is not begun again by the same call.
    begun: HashSet<String>,
}

impl<'a> Whole<'a> {
    /// Of none that was begun.
    pub fn new(folder: &'a Path, points: &'a [Point]) -> Self {
        Self { folder, points, begun: HashSet::new() }
    }

    /// How many have not ended.
    pub fn left(&self) -> usize {
        let ended = |point: &&Point| RunFolder::has_result(&self.folder.join(point.folder()));
        self.points.len() - self.points.iter().filter(ended).count()
    }

    /// What is run next: a point that has no result, was not begun here and that nobody runs.
    ///
    /// # Errors
    /// Names the lock that cannot be taken.
    pub fn next_task(&mut self) -> Result<Next> {
        let mut held = false;
        for point in self.points {
            let run = self.folder.join(point.folder());
            let is_over = || RunFolder::has_result(&run) || self.begun.contains(&point.id);
            if is_over() {
                continue;
            }
            match claim(self.folder, point)? {
                // Whoever held it until now may have ended it.
                Some(_) if is_over() => {}
                None => held = true,
                claim => {
                    self.begun.insert(point.id.clone());
                    let task = Task { point: point.clone(), run, until: None, claim };
                    return Ok(Next::Run(Box::new(task)));
                }
            }
        }
        Ok(if held { Next::Wait } else { Next::End })
    }
}

fn claim_path(folder: &Path, point: &Point) -> PathBuf {
    folder.join("claims").join(format!("{}.lock", point.id))
}

/// The right to run a point, unless somebody else has it, here or on another machine: it ends with
/// the process that has it.
fn claim(folder: &Path, point: &Point) -> Result<Option<Lock>> {
    let path = claim_path(folder, point);
    let cannot = || match path.parent() {
        Some(folder) => format!("cannot lock {}", folder.display()),
        None => "cannot lock".into(),
    };
    fs::create_dir_all(folder.join("claims")).with_context(cannot)?;
    match Lock::take(&path, |_| false) {
        Err(error) if error.kind() == ErrorKind::Unsupported => misuse!(
            "the file system of {} knows no locks: choose another place with --out",
            folder.display()
        ),
        taken => taken.with_context(cannot),
    }
}
