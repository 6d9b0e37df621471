//! An approximate index over the item vectors: usearch's graph (HNSW), in usearch's own file, which
//! its bindings for other languages open. Keys are rows of the item vectors.

use std::io::Read;

use anyhow::{Context, Result, anyhow, ensure};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use usearch::{IndexOptions, MetricKind, ScalarKind};

use super::exact::{Exact, all_numbers, fitting, host, some};
use super::graph_file::is_sound;
use crate::export::{Export, sha256_of};
use crate::files;
use crate::formats::{self, Version, Versioned};
use crate::host::top_k::{Hit, order};
use crate::reading;

const FILE: &str = "index.usearch";
const MANIFEST: &str = "index.json";

/// Items between two reports of progress.
const STRIDE: usize = 4096;

/// Neighbours of an item in the graph; in its lowest layer twice as many.
const CONNECTIVITY: usize = 16;

/// Candidates that are held while an item's neighbours are looked for.
const EXPANSION_ADD: usize = 128;

/// Items that are searched at once where all of them are.
const BLOCK: usize = 1 << 16;

/// Most candidates that a search may hold.
const MOST_CANDIDATES: usize = 1 << 17;

/// The content of `index.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexManifest {
    pub format: Version,
    /// The program's version.
    pub croloss: String,
    pub items: usize,
    pub dim: usize,
    pub connectivity: usize,
    pub expansion_add: usize,
    /// Candidates that a search holds, if more are not wanted: the more, the better and slower.
    pub expansion_search: usize,
    /// What was measured at that: the share of the exact top 100 that is found.
    pub recall_at_100: f64,
    /// SHA-256 of `index.usearch`.
    pub sha256: String,
    /// SHA-256 of the vectors that are indexed, as in `export.json`.
    pub vectors: String,
}

/// How well and how fast an index is searched with so many candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// Candidates that a search holds.
    pub expansion: usize,
    /// The share of the exact top that is found, 0 to 1.
    pub recall: f64,
    /// Users a second, all threads at work.
    pub per_second: f64,
}

/// The graph in memory, ready to search.
pub struct Index {
    graph: usearch::Index,
    expansion: usize,
    allowed: Option<Allowed>,
}

/// The rows that may be found, where not all may.
struct Allowed {
    mask: Vec<bool>,
    count: usize,
}

impl Index {
    /// Builds the graph over item vectors `[items, dim]` with all threads. `progress` hears how
    /// many items are in.
    ///
    /// # Errors
    /// Too little memory; vectors that are not numbers.
    pub fn build(vectors: &Tensor, progress: &mut dyn FnMut(u64)) -> Result<Self> {
        all_numbers(vectors, "item")?;
        let (dim, rows) = (vectors.size()[1] as usize, host(vectors)?);
        let graph = usearch::Index::new(&IndexOptions {
            dimensions: dim,
            metric: MetricKind::IP,
            quantization: ScalarKind::F32,
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION_ADD,
            ..Default::default()
        })?;
        graph.reserve_capacity_and_threads(rows.len() / dim, threads())?;
        for (stride, piece) in rows.chunks(STRIDE * dim).enumerate() {
            let first = stride * STRIDE;
            let add = |(at, row): (usize, &[f32])| graph.add((first + at) as u64, row);
            piece.par_chunks(dim).enumerate().try_for_each(add)?;
            progress((first + piece.len() / dim) as u64);
        }
        Ok(Self { graph, expansion: EXPANSION_ADD, allowed: None })
    }

    /// Writes the index into its export, to be searched at `point`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&mut self, export: &Export, point: &OperatingPoint) -> Result<IndexManifest> {
        self.set_expansion(point.expansion);
        let mut bytes = vec![0; self.graph.serialized_length()];
        self.graph.save_to_buffer(&mut bytes)?;
        let manifest = IndexManifest {
            format: formats::INDEX,
            croloss: env!("CARGO_PKG_VERSION").into(),
            items: self.graph.size(),
            dim: self.graph.dimensions(),
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION_ADD,
            expansion_search: point.expansion,
            recall_at_100: point.recall,
            sha256: sha256_of(&bytes),
            vectors: export.vectors_checksum()?.into(),
        };
        let text = serde_json::to_string_pretty(&manifest)? + "\n";
        files::write_with(&export.folder.join(FILE), |staging| {
            files::write(staging, bytes)?;
            // Before that takes its place: a full disk leaves both as they were.
            files::write_file(&export.folder.join(MANIFEST), text)
        })?;
        Ok(manifest)
    }

    /// Opens the index of an export; of its items only the `allowed` rows are found, if given.
    ///
    /// # Errors
    /// Names the file that is missing, altered, or of other vectors.
    pub fn open(export: &Export, allowed: Option<&[u32]>) -> Result<Self> {
        let [file, manifest] = [FILE, MANIFEST].map(|name| export.folder.join(name));
        let remedy = format!("build it with croloss index {}", export.folder.display());
        let text = reading::text(&manifest).with_context(|| remedy.clone())?;
        let altered =
            || format!("{} is truncated or altered: {remedy} --force", manifest.display());
        let Versioned { format } = serde_json::from_str(&text).with_context(altered)?;
        formats::INDEX.reads(format, file.display(), &format!("{remedy} --force"))?;
        let manifest: IndexManifest = serde_json::from_str(&text).with_context(altered)?;
        ensure!(
            manifest.vectors == export.vectors_checksum()?,
            "{} was built for other vectors: {remedy} --force",
            file.display()
        );
        let mut bytes = vec![];
        let read = reading::open(&file).and_then(|mut file| Ok(file.read_to_end(&mut bytes)?));
        read.with_context(|| format!("cannot read {}: {remedy}", file.display()))?;
        let (items, dim) = (export.manifest.items, export.manifest.dim as usize);
        ensure!(
            sha256_of(&bytes) == manifest.sha256
                && (manifest.items, manifest.dim) == (items, dim)
                && (1..=MOST_CANDIDATES).contains(&manifest.expansion_search)
                && is_sound(&bytes, items, dim, CONNECTIVITY),
            "{} is truncated or altered: {remedy} --force",
            file.display()
        );
        let graph = usearch::Index::restore_from_buffer(&bytes)
            .map_err(|error| anyhow!("{}: {error}", file.display()))?;
        graph.reserve_capacity_and_threads(graph.size(), threads())?;
        let mut index = Self { graph, expansion: 0, allowed: None };
        index.serve_only(allowed);
        index.set_expansion(manifest.expansion_search);
        Ok(index)
    }

    /// Makes searches find only these rows, if given.
    pub(super) fn serve_only(&mut self, rows: Option<&[u32]>) {
        self.allowed = rows.map(|rows| {
            let mut mask = vec![false; self.graph.size()];
            rows.iter().for_each(|&row| mask[row as usize] = true);
            Allowed { mask, count: rows.len() }
        });
    }

    /// An exact search of `rows` (ascending) alone, as far as they are found here.
    ///
    /// # Errors
    /// A row that the graph does not have.
    pub fn only(&self, rows: &[u32]) -> Result<Exact> {
        let may = |row: &u32| self.allowed.as_ref().is_none_or(|may| may.mask[*row as usize]);
        let rows: Vec<u32> = rows.iter().copied().filter(may).collect();
        let dim = self.graph.dimensions();
        let mut vectors = vec![0.0; rows.len() * dim];
        for (row, vector) in rows.iter().zip(vectors.chunks_mut(dim)) {
            let found = self.graph.get::<f32>(u64::from(*row), vector)?;
            ensure!(found == 1, "the index has no row {row}: build it again with --force");
        }
        Exact::of(Tensor::from_slice(&vectors).view([-1, dim as i64]), Some(rows))
    }

    /// Whether an export has an index.
    pub fn exists(export: &Export) -> bool {
        export.folder.join(FILE).exists()
    }

    /// Makes searches hold this many candidates.
    pub fn set_expansion(&mut self, candidates: usize) {
        self.expansion = candidates;
        self.graph.change_expansion_search(candidates);
    }

    /// For each of `users` `[users, dim]` about its `top[user]` best items, in the order of exact
    /// search and as many; scores differ from exact ones by rounding.
    ///
    /// # Errors
    /// When a user vector is not all numbers; too little memory.
    pub fn search(&self, users: &Tensor, top: &[usize]) -> Result<Vec<Vec<Hit>>> {
        fitting(users, top.len(), self.graph.dimensions())?;
        let most = self.allowed.as_ref().map_or(self.graph.size(), |may| may.count);
        let top: Vec<usize> = top.iter().map(|&top| top.min(most)).collect();
        let search = |(user, &top): (&[f32], &usize)| -> Result<Vec<Hit>> {
            let found = match &self.allowed {
                None => self.graph.search(user, top)?,
                Some(may) => self.graph.filtered_search(user, top, |row| may.mask[row as usize])?,
            };
            let pairs = found.keys.iter().zip(&found.distances);
            let hit =
                |(&row, distance): (&u64, &f32)| Hit { row: row as u32, score: 1.0 - distance };
            let mut hits: Vec<Hit> = pairs.map(hit).collect();
            hits.sort_unstable_by(order);
            Ok(hits)
        };
        let rows = host(users)?;
        let rows = rows.par_chunks(self.graph.dimensions()).zip(&top);
        let mut found = rows.map(search).collect::<Result<Vec<_>>>()?;
        self.search_all_where_few_are_found(users, &top, &mut found)?;
        Ok(found)
    }

    /// No edge may lead to an item whose neighbours all have nearer ones, and items that may be
    /// found may be few and far apart: who gets fewer than there are gets the best of all.
    fn search_all_where_few_are_found(
        &self,
        users: &Tensor,
        top: &[usize],
        found: &mut [Vec<Hit>],
    ) -> Result<()> {
        let short: Vec<usize> =
            (0..top.len()).filter(|&user| found[user].len() < top[user]).collect();
        if short.is_empty() {
            return Ok(());
        }
        let users = some(users, &short);
        let top: Vec<usize> = short.iter().map(|&user| top[user]).collect();
        short.iter().for_each(|&user| found[user].clear());
        let all: Vec<u32> = (0..self.graph.size() as u32).collect();
        for rows in all.chunks(BLOCK) {
            let best = self.only(rows)?.search(&users, &top)?;
            for ((&user, mut best), &top) in short.iter().zip(best).zip(&top) {
                found[user].append(&mut best);
                found[user].sort_unstable_by(order);
                found[user].truncate(top);
            }
        }
        Ok(())
    }
}

/// Threads that may be in the graph at once.
fn threads() -> usize {
    rayon::current_num_threads() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::panels::tests::{brute, whole_numbers};

    /// Of two thousand items a hundred and twenty-five differ, so that edges lead to few of them.
    #[test]
    fn who_asks_for_all_gets_all() {
        let (items, users) = (whole_numbers(2000, 3, 21), whole_numbers(9, 3, 22));
        let tensor = |rows: &[Vec<f32>]| Tensor::from_slice(&rows.concat()).view([-1, 3]);
        let mut index = Index::build(&tensor(&items), &mut |_| {}).unwrap();
        index.set_expansion(16);
        let far_apart: Vec<u32> = (0..2000).step_by(400).collect();
        for served in [None, Some(&far_apart[..])] {
            index.serve_only(served);
            let mut expected = brute(&users, &items, &[2000; 9]);
            for hits in &mut expected {
                hits.retain(|hit| served.is_none_or(|rows| rows.contains(&hit.row)));
            }
            assert_eq!(index.search(&tensor(&users), &[2000; 9]).unwrap(), expected);
        }
    }
}
