//! What a search has come to: how far each point came, and the best by each metric beside the
//! reference.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::record::{Entry, Record};
use super::rungs::Standing;
use super::search::Search;
use super::standing::standing;
use crate::config::{Config, Layer, Metric};
use crate::report::{Choice, choose};
use crate::sweep::{Point, PointResult, Status, SweepFile, collect};

/// What the best is compared with.
pub const REFERENCE: &str = "cross-entropy";

/// All that the folder of a search says.
pub struct Outcome {
    pub metrics: Vec<Metric>,
    pub points: Vec<Row>,
    /// Of each metric whose finals have a result.
    pub finals: Vec<Final>,
}

/// A point of the search.
pub struct Row {
    pub name: String,
    pub case: String,
    pub run: PathBuf,
    pub standing: Standing,
}

/// The best by a metric and the reference, each under several seeds.
pub struct Final {
    pub metric: Metric,
    pub choice: Choice,
    /// That of what the choice chose, under the first seed.
    pub config: Config,
    /// The runs that failed and are in no figure, each with its reason.
    pub failed: Vec<String>,
}

/// The points of the best by each metric of `search` and of the reference, which are trained to
/// their end under each seed of `file`, each run keeping the weights that are best by that metric.
///
/// # Errors
/// [`crate::error::Misuse`] where no point of the search has been measured.
pub fn finals(file: &SweepFile, search: &Search, metrics: &[Metric]) -> Result<Vec<Vec<Point>>> {
    let standings = search.standings();
    let of = |(place, &metric): (usize, &Metric)| {
        let Some(best) = order(&standings, place).first().copied() else {
            crate::misuse!("no point of the search came to its first validation");
        };
        let best = &search.points[best];
        let reference = file.base(&Layer::of_sets(&[format!("loss.kind={REFERENCE}")])?)?;
        let pair = [("best", &best.case, &best.config), (REFERENCE, &REFERENCE.into(), &reference)];
        let mut points: Vec<Point> = vec![];
        for (name, case, config) in pair {
            let mut config: Config = config.clone();
            config.train.monitor = metric;
            for point in file.seeded(&format!("{name}-{metric}"), &config)? {
                // What the search has trained to its end need not be trained again.
                let known = |own: &&Point| own.id == point.id && search.has_ended(own);
                let point = search.points.iter().find(known).cloned().unwrap_or(point);
                if points.iter().all(|known| known.id != point.id) {
                    points.push(Point { case: case.clone(), ..point });
                }
            }
        }
        Ok(points)
    };
    metrics.iter().enumerate().map(of).collect()
}

/// The points that came to a rung: those on a higher one first, then by their metric at `place`.
pub fn order(standings: &[Standing], place: usize) -> Vec<usize> {
    let key = |point: &usize| {
        let standing = &standings[*point];
        (standing.reached, standing.best(place).unwrap_or(f64::NEG_INFINITY))
    };
    let mut all: Vec<usize> =
        (0..standings.len()).filter(|point| standings[*point].reached > 0).collect();
    all.sort_by(|a, b| key(b).0.cmp(&key(a).0).then(key(b).1.total_cmp(&key(a).1)));
    all
}

impl Outcome {
    /// How far each point has come.
    pub fn standings(&self) -> Vec<Standing> {
        self.points.iter().map(|point| point.standing.clone()).collect()
    }

    /// Reads it from the folder of a search.
    ///
    /// # Errors
    /// Names the file that is missing or broken.
    pub fn read(folder: &Path) -> Result<Self> {
        let Record { metrics, search, finals, .. } = Record::read(folder)?;
        let row = |entry: Entry| {
            let run = entry.run(folder);
            let Entry { name, case, .. } = entry;
            Row { standing: standing(&run, &metrics), name, case, run }
        };
        let points = search.into_iter().map(row).collect();
        let mut done = vec![];
        for (metric, entries) in metrics.iter().zip(finals) {
            let begun: Vec<Point> =
                entries.iter().filter_map(|entry| entry.point(folder)).collect();
            let results = collect(&begun, folder)?;
            if results.iter().all(|point| point.result().is_none()) {
                continue;
            }
            let choice = choose(&results, Some(*metric))?;
            let is_chosen = |point: &&PointResult| choice.chosen().name == point.case;
            let Some(config) = results.iter().find(is_chosen).map(|point| point.config.clone())
            else {
                continue;
            };
            let reason = |point: &PointResult| match &point.status {
                Status::Failed(reason) => Some(format!("{}: {reason}", point.name)),
                _ => None,
            };
            let failed = results.iter().filter_map(reason).collect();
            done.push(Final { metric: *metric, choice, config, failed });
        }
        Ok(Self { metrics, points, finals: done })
    }

    /// Steps that all points of the search have taken.
    pub fn steps(&self) -> u64 {
        self.points.iter().map(|point| point.standing.steps).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_rung_goes_before_a_better_value() {
        let at = |values: &[[f64; 2]]| Standing {
            reached: values.len(),
            values: values.iter().map(|both| both.to_vec()).collect(),
            ..Standing::default()
        };
        let points = [
            at(&[[0.9, 0.1]]),
            Standing::default(),
            at(&[[0.1, 0.1], [0.2, 0.3]]),
            at(&[[0.1, 0.1], [0.3, 0.2]]),
        ];
        assert_eq!(order(&points, 0), [3, 2, 0]);
        assert_eq!(order(&points, 1), [2, 3, 0]);
    }
}
