//! `croloss index`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::device::threads;
use super::progress::Bar;
use super::table::{self, count};
use crate::config::DeviceChoice;
use crate::data::Schema;
use crate::export::Export;
use crate::misuse;
use crate::retrieve::{
    Catalogue, Exact, Index as Built, OperatingPoint, Requests, measure, popular, user_vectors,
};
use crate::step::Plan;

/// The top that recall is measured at.
const TOP: usize = 100;

/// Candidates that a search holds, at the settings that are measured.
const EXPANSIONS: [usize; 5] = [100, 200, 400, 800, 1600];

/// Histories that are measured with.
const HISTORIES: usize = 1000;

/// Build an approximate index over an export's item vectors
///
/// The index is a usearch file, index.usearch, beside the vectors; usearch's bindings for other
/// languages open it. What it finds of the exact top 100, and how fast, is measured at several
/// settings; the quickest that reaches --recall becomes the default of `recommend --index` and
/// `serve --index`.
#[derive(clap::Args)]
pub struct Index {
    /// A folder that `croloss export` wrote
    export: PathBuf,
    /// Histories to measure with, of which the first 1000 are taken: a file as `recommend --input`
    /// reads it [default: 1000 items drawn by popularity, each a history of its own]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The recall of the exact top 100 that the default setting must reach
    #[arg(long, default_value_t = 0.95, value_parser = share)]
    recall: f64,
    /// CPU threads; 0: one for every core
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = threads())]
    threads: u32,
    /// Replace the index if there is one
    #[arg(long)]
    force: bool,
    /// Print JSON, all digits, instead of a table
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a number from 0 to 1".into()),
    }
}

impl Index {
    pub fn run(self) -> Result<()> {
        let export = Export::open(&self.export)?;
        if Built::exists(&export) && !self.force {
            misuse!("{} has an index: replace it with --force", self.export.display());
        }
        let device = Plan::open_for_ranking(DeviceChoice::Cpu, self.threads)?;
        let vectors = export.item_vectors(device)?;
        let items = export.items()?;
        let counts: Vec<u64> = items.iter().map(|item| item.count).collect();
        let originals = items.into_iter().map(|item| String::from(item.original)).collect();
        let catalogue = Catalogue::new(originals);
        let schema = export.user_features()?;
        let asked = match &self.input {
            Some(path) => read(path, &catalogue, schema.as_ref())?,
            None => {
                popular(&counts, HISTORIES).into_iter().map(|item| (vec![item], vec![])).collect()
            }
        };
        ensure!(!asked.is_empty(), "no history has a known item: there is nothing to measure with");
        let (histories, fields): (Vec<&[u32]>, Vec<&[u32]>) =
            asked.iter().map(|(history, fields)| (&history[..], &fields[..])).unzip();
        let tower = export.user_tower(device)?;
        let fields = schema.as_ref().map(|_| &fields[..]);
        let users = user_vectors(&tower, &histories, fields, export.manifest.history, device)?;

        let mut bar = Bar::new(counts.len() as u64, "indexing");
        let mut index = Built::build(&vectors, &mut |done| bar.set(done))?;
        drop(bar);
        let exact = Exact::new(&vectors, None)?;
        let measured = measure(&mut index, &exact, &users, TOP, &EXPANSIONS)?;
        let chosen = measured.choose(self.recall).context("nothing was measured")?;
        index.save(&export, &chosen)?;

        if self.json {
            let point = |point: &OperatingPoint| {
                json!({
                    "candidates": point.expansion,
                    "recall": point.recall,
                    "users_per_second": point.per_second,
                    "default": *point == chosen,
                })
            };
            return table::say_json(&json!({
                "top": TOP,
                "histories": histories.len(),
                "threads": rayon::current_num_threads(),
                "exact_users_per_second": measured.exact_per_second,
                "settings": measured.points.iter().map(point).collect::<Vec<_>>(),
                "index": self.export.join("index.usearch"),
            }));
        }
        let row = |name: String, recall: f64, per_second: f64, mark: &str| {
            let per_second = count(per_second.round() as u64);
            [name, format!("{:.2}", 100.0 * recall), per_second, mark.to_owned()]
        };
        let head =
            ["candidates".to_owned(), format!("recall@{TOP}, %"), "users/s".into(), String::new()];
        let points = measured.points.iter().map(|point| {
            let mark = if *point == chosen { "default" } else { "" };
            row(point.expansion.to_string(), point.recall, point.per_second, mark)
        });
        let exact = row("exact".into(), 1.0, measured.exact_per_second, "");
        table::print(std::iter::once(head).chain(points).chain([exact]))?;
        if chosen.recall < self.recall {
            let (best, wanted) = (100.0 * chosen.recall, 100.0 * self.recall);
            table::warn(format_args!(
                "warning: no setting finds {wanted} % of the exact top {TOP}; the default finds {best:.2} %"
            ));
        }
        let histories = count(histories.len() as u64);
        table::say(format_args!(
            "\nMeasured with {histories} histories on {} threads; index: {}",
            rayon::current_num_threads(),
            self.export.join("index.usearch").display()
        ))
    }
}

/// The first histories of a file that have a known item, each with the codes of its user's fields.
fn read(
    path: &Path,
    catalogue: &Catalogue,
    schema: Option<&Schema>,
) -> Result<Vec<(Vec<u32>, Vec<u32>)>> {
    let mut asked = vec![];
    Requests::open(path)?.read(&mut |rows, _| {
        for row in rows {
            let known = catalogue.known(&row.history).ids;
            if asked.len() < HISTORIES && !known.is_empty() {
                let place = || format!("{}:{}", path.display(), row.line);
                asked.push((known, row.codes(schema).with_context(place)?));
            }
        }
        Ok(())
    })?;
    Ok(asked)
}
