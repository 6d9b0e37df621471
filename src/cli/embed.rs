//! `croloss embed`.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::table::{self, count};
use crate::config::DeviceChoice;
use crate::data::{Field, Record, read_records};
use crate::export::{Embedder, Export, FieldTold};
use crate::files::{make_folder_of, refuse_existing, write, write_with};
use crate::misuse;
use crate::step::Plan;

/// Make vectors of items by their fields, of items too that an export does not hold
///
/// Rows are float32 and stand in the order of the file; their inner products with a user's vector
/// are scores, as those of the export's item vectors are. Beside X.npy the ids are written into
/// X.ids.txt, one a line.
#[derive(clap::Args)]
pub struct Embed {
    /// A folder that `croloss export` wrote of a model with tower.item_features
    export: PathBuf,
    /// What is known of the items: CSV, TSV, Parquet or JSON lines, told by its name, gzipped or
    /// not; the fields are columns or keys of their names
    #[arg(long, value_name = "FILE")]
    items: PathBuf,
    /// The column of the items' ids there
    #[arg(long, value_name = "COLUMN", default_value = "item")]
    id: String,
    /// The file to write, a .npy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the files if they exist
    #[arg(long)]
    force: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Embed {
    pub fn run(self) -> Result<()> {
        if self.out.extension().is_none_or(|extension| extension != "npy") {
            misuse!("{}: vectors are written as .npy", self.out.display());
        }
        let ids = self.out.with_extension("ids.txt");
        for path in [&self.out, &ids] {
            refuse_existing(path, self.force)?;
        }
        Plan::open_for_ranking(DeviceChoice::Cpu, 0)?;
        let embedder = Embedder::open(&Export::open(&self.export)?)?;
        let records = read_records(&self.items, &embedder.schema, &self.id)?;
        refuse_broken_ids(&records)?;
        let embedded = embedder.embed(&records)?;
        let lines: String = records.iter().map(|record| format!("{}\n", record.id)).collect();
        make_folder_of(&self.out)?;
        write_with(&ids, |staged_ids| {
            write(staged_ids, lines)?;
            write_with(&self.out, |staging| {
                let written = embedded.vectors.write_npy(staging);
                written.with_context(|| format!("cannot write {}", staging.display()))?;
                // Two files cannot be replaced at once. Old ids go before the new vectors come, and
                // new ids come last: what ends this in between leaves vectors without ids, but
                // never with those of other items.
                remove(&ids)
            })
        })?;

        if self.json {
            let field = |(field, told): (&Field, &FieldTold)| json!({ "name": field.name, "known": told.known, "unknown_here": told.unknown });
            let fields = embedder.schema.fields.iter().zip(&embedded.told);
            return table::say_json(&json!({
                "items": records.len(),
                "known_to_the_export": embedded.known,
                "fields": fields.map(field).collect::<Vec<_>>(),
                "vectors": self.out,
                "ids": ids,
            }));
        }
        let all = records.len() as u64;
        let mut rows = vec![
            ["items".to_owned(), count(all)],
            ["… known to the export: with their own vectors".into(), count(embedded.known)],
        ];
        for (field, told) in embedder.schema.fields.iter().zip(&embedded.told) {
            let share = 100.0 * told.known as f64 / all as f64;
            rows.push([
                format!("field {}: known of so many items", field.name),
                format!("{share:.2} %"),
            ]);
            if told.unknown > 0 {
                rows.push(["… items with a value unknown here".into(), count(told.unknown)]);
            }
        }
        table::print(rows)?;
        table::say(format_args!("\nVectors: {}; ids: {}", self.out.display(), ids.display()))
    }
}

/// Removes a file that may be there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Refuses ids that a file of one id a line cannot hold.
fn refuse_broken_ids(records: &[Record]) -> Result<()> {
    let mut seen = HashSet::new();
    for record in records {
        if record.id.contains(['\n', '\r']) {
            misuse!("{}: the id has a line end in it", record.place);
        }
        if !seen.insert(&record.id) {
            misuse!("{}: the id {} was there before: leave one of both", record.place, record.id);
        }
    }
    Ok(())
}
