//! A dataset as its description asks for it: the log prepared, and what is known of items and users.

use std::collections::HashMap;

use anyhow::{Result, bail};

use super::dataset::{Dataset, Item};
use super::description::Description;
use super::field_rule::{FieldRule, RecordSource};
use super::manifest::{FieldCounts, KnownCounts, LeftOut};
use super::prepare::prepare;
use super::read::SourceFile;
use super::read::records::Asked;
use super::records::{AskedField, Records};
use super::vocabulary::features;
use crate::error::short;

/// Reads the log and the records of a description, and prepares them. `progress` is told the bytes of
/// the log on disk that have been gone through.
///
/// Records are read first. Items and users without one have every field missing; records of others
/// are left out, or with `keep_cold` their items stand behind all others of the catalogue.
///
/// # Errors
/// Those of [`Description::check`], [`super::Source::read`] and [`prepare`]; what is wrong with a
/// file of records; one of nothing that the dataset holds; other counts than the description says
/// that there must be.
pub fn prepare_described(
    description: &Description,
    progress: &mut dyn FnMut(u64),
) -> Result<Dataset> {
    description.check()?;
    let source = &description.source;
    let users = Known::read("user", &description.users, source.user.as_deref(), source.header)?;
    let items = Known::read("item", &description.items, source.item.as_deref(), source.header)?;
    let of_users = users.as_ref().map_or(vec![], Known::of_log);
    let of_items = items.as_ref().map_or(vec![], Known::of_log);
    let (log, told) = source.read_told([&of_users, &of_items], progress)?;
    let mut dataset = prepare(&description.name, log, &description.rules, &description.split)?;
    dataset.manifest.generated = description.generated;
    let [told_of_users, told_of_items] = told;
    if let Some(known) = items {
        dataset.know_items(known.with(told_of_items))?;
    }
    if let Some(known) = users {
        dataset.know_users(known.with(told_of_users))?;
    }
    dataset.manifest.counts = dataset.counts();
    if !description.generated {
        description.expected.check(&dataset.manifest.counts)?;
    }
    Ok(dataset)
}

/// What is known of items or users.
struct Known<'a> {
    who: &'static str,
    source: &'a RecordSource,
    /// By name, in the order of the records' fields.
    rules: Vec<(&'a str, &'a FieldRule)>,
    /// Empty until the log is read, where that tells it.
    records: Records,
    files: Vec<SourceFile>,
}

impl<'a> Known<'a> {
    /// Reads the files, if there are any. `column` is that of the ids in the log.
    fn read(
        who: &'static str,
        source: &'a Option<RecordSource>,
        column: Option<&str>,
        header: bool,
    ) -> Result<Option<Self>> {
        let Some(source) = source else { return Ok(None) };
        let rules = source.fields.iter().map(|(name, rule)| (name.as_str(), rule)).collect();
        let (records, files) = (Records::default(), vec![]);
        let mut known = Known { who, source, rules, records, files };
        if !source.files.is_empty() {
            let id = source.id.as_deref().or(column.filter(|_| header)).unwrap_or(who);
            let asked = Asked { id, fields: known.fields() };
            (known.records, known.files) = source.read(&asked)?;
        }
        Ok(Some(known))
    }

    fn fields(&self) -> Vec<AskedField<'a>> {
        let field = |(name, rule): &(&'a str, &'a FieldRule)| AskedField {
            name,
            kind: rule.kind,
            column: rule.column.as_deref().unwrap_or(name),
        };
        self.rules.iter().map(field).collect()
    }

    /// The fields that are columns of the log.
    fn of_log(&self) -> Vec<AskedField<'a>> {
        if self.source.files.is_empty() { self.fields() } else { vec![] }
    }

    /// With what the log tells, where that is what is asked for.
    fn with(mut self, told: Records) -> Self {
        if self.source.files.is_empty() {
            self.records = told;
        }
        self
    }

    /// The record of each of these ids, and which records are of none of them.
    fn rows<'i>(
        &self,
        ids: impl Iterator<Item = &'i str>,
    ) -> Result<(Vec<Option<u32>>, Vec<usize>)> {
        let records = &self.records.ids;
        let numbers: HashMap<&str, u32> = records.iter().map(String::as_str).zip(0..).collect();
        let rows: Vec<Option<u32>> = ids.map(|id| numbers.get(id).copied()).collect();
        let mut used = vec![false; records.len()];
        rows.iter().flatten().for_each(|row| used[*row as usize] = true);
        if let (false, Some(file), Some(first)) =
            (used.contains(&true), self.files.first(), self.left_out(0))
        {
            let who = self.who;
            bail!(
                "{} tells of none of the {} {who}s of the log that are kept (it begins with the id \
                 `{}`, at {}): is the column of its ids the right one?",
                file.path,
                rows.len(),
                short(&first.id),
                first.place
            );
        }
        let others = (0..records.len()).filter(|record| !used[*record]).collect();
        Ok((rows, others))
    }

    /// A record as one that is left out; `None`: the log tells it.
    fn left_out(&self, record: usize) -> Option<LeftOut> {
        let place = self.source.place(&self.records, record)?;
        Some(LeftOut { id: self.records.ids[record].clone(), place })
    }

    /// What was found; `others` are the records that are left out.
    fn counts(self, others: &[usize], kept_cold: u64, fields: Vec<FieldCounts>) -> KnownCounts {
        KnownCounts {
            min_count: self.source.min_count,
            left_out: others.len() as u64,
            kept_cold,
            first_left_out: others.first().and_then(|first| self.left_out(*first)),
            fields,
            files: self.files,
        }
    }
}

impl Dataset {
    fn know_items(&mut self, known: Known) -> Result<()> {
        let ids = self.items.iter().map(|item| item.original.as_str());
        let (mut rows, mut others) = known.rows(ids)?;
        let mut kept_cold = 0;
        if known.source.keep_cold {
            kept_cold = others.len() as u64;
            for record in std::mem::take(&mut others) {
                rows.push(Some(record as u32));
                let original = known.records.ids[record].as_str().into();
                self.items.push(Item { original, count: 0 });
            }
        }
        let min_count = known.source.min_count;
        let (features, fields) = features(&known.records, &known.rules, min_count, &rows)?;
        self.item_features = Some(features);
        self.manifest.items = Some(known.counts(&others, kept_cold, fields));
        Ok(())
    }

    fn know_users(&mut self, known: Known) -> Result<()> {
        let (rows, others) = known.rows(self.users.iter().map(String::as_str))?;
        let min_count = known.source.min_count;
        let (features, fields) = features(&known.records, &known.rules, min_count, &rows)?;
        self.user_features = Some(features);
        self.manifest.users = Some(known.counts(&others, 0, fields));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
