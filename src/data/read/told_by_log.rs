//! What the columns of a log tell of its items and users.

use anyhow::{Context, Result};

use crate::data::field_kind::FieldKind;
use crate::data::field_value::{self, FieldValue};
use crate::data::interner::Interner;
use crate::data::records::{AskedField, Records, RecordsBuilder};

/// What is told of an item or user that nothing was told of yet.
const NOTHING: u32 = u32::MAX;

/// Columns of a log that tell of its users and of its items.
#[derive(Default)]
pub(super) struct ToldByLog<'a> {
    of_users: Vec<Told<'a>>,
    of_items: Vec<Told<'a>>,
}

/// One of them.
struct Told<'a> {
    field: AskedField<'a>,
    cells: Interner,
    /// By their numbers.
    texts: Vec<String>,
    /// `[users]` or `[items]`: the cell that counts, the first that is not empty.
    first: Vec<u32>,
    /// Later cells whose value is another one.
    others: u64,
}

/// A cell of a column that tells of users or items.
pub(super) struct ToldCell {
    /// The number of its event in a piece of the log.
    pub event: usize,
    /// Its number among [`ToldByLog::columns`].
    pub column: usize,
    pub cell: String,
    /// Where its event stands.
    pub line: usize,
}

impl<'a> ToldByLog<'a> {
    pub fn new(users: &[AskedField<'a>], items: &[AskedField<'a>]) -> ToldByLog<'a> {
        let told = |fields: &[AskedField<'a>]| {
            let told = |field: &AskedField<'a>| Told {
                field: *field,
                cells: Interner::default(),
                texts: vec![],
                first: vec![],
                others: 0,
            };
            fields.iter().map(told).collect()
        };
        ToldByLog { of_users: told(users), of_items: told(items) }
    }

    /// The names of the columns, those of users first.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.of_users.iter().chain(&self.of_items).map(|told| told.field.column)
    }

    /// Whether the cell in a column (by its number among [`ToldByLog::columns`]) of an event of the
    /// user and the item of these numbers says nothing new.
    pub fn says(&self, column: usize, numbers: [u32; 2], cell: &str) -> bool {
        let of_users = self.of_users.len();
        let (told, number) = match column.checked_sub(of_users) {
            None => (&self.of_users[column], numbers[0]),
            Some(column) => (&self.of_items[column], numbers[1]),
        };
        cell.is_empty() || told.first(number as usize) == Some(cell)
    }

    /// Takes a cell of an event of the user and the item of these numbers.
    pub fn take(
        &mut self,
        numbers: [u32; 2],
        cell: &ToldCell,
        place: impl Fn() -> String,
    ) -> Result<()> {
        let (told, number) = match cell.column.checked_sub(self.of_users.len()) {
            None => (&mut self.of_users[cell.column], numbers[0]),
            Some(column) => (&mut self.of_items[column], numbers[1]),
        };
        told.take(number as usize, &cell.cell).with_context(place)
    }

    /// All that was told of the users and of the items of these ids.
    pub fn finish(self, users: &[String], items: &[String]) -> Result<[Records; 2]> {
        Ok([records(self.of_users, users)?, records(self.of_items, items)?])
    }
}

impl Told<'_> {
    /// What counts of a user or an item.
    fn first(&self, number: usize) -> Option<&str> {
        self.first.get(number).and_then(|first| self.texts.get(*first as usize)).map(String::as_str)
    }

    fn take(&mut self, number: usize, cell: &str) -> Result<()> {
        if self.first.len() <= number {
            self.first.resize(number + 1, NOTHING);
        }
        match self.first[number] {
            _ if cell.is_empty() => {}
            NOTHING => {
                self.first[number] = self.cells.number(cell)?;
                if self.cells.len() > self.texts.len() {
                    self.texts.push(cell.to_owned());
                    self.value(cell)?;
                }
            }
            first => self.others += u64::from(!self.agree(&self.texts[first as usize], cell)?),
        }
        Ok(())
    }

    /// Whether two cells say the same.
    fn agree(&self, first: &str, later: &str) -> Result<bool> {
        // Nearly always texts are the same, or of a kind that is not written in several ways.
        if first == later || self.field.kind == FieldKind::Category {
            return Ok(first == later);
        }
        Ok(self.value(first)? == self.value(later)?)
    }

    /// What a cell says: a list in order, each of its values once.
    fn value(&self, cell: &str) -> Result<field_value::Told> {
        let AskedField { name, kind, .. } = self.field;
        let mut told = FieldValue::of_cell(cell, kind).told(name, kind)?;
        if let field_value::Told::Texts(texts) = &mut told {
            texts.sort_unstable();
            texts.dedup();
        }
        Ok(told)
    }
}

fn records(told: Vec<Told>, ids: &[String]) -> Result<Records> {
    let fields: Vec<AskedField> = told.iter().map(|told| told.field).collect();
    let mut builder = RecordsBuilder::new(&fields);
    if !fields.is_empty() {
        for (number, id) in ids.iter().enumerate() {
            let value = |told: &Told| match told.first.get(number) {
                None | Some(&NOTHING) => FieldValue::Missing,
                Some(&cell) => FieldValue::of_cell(&told.texts[cell as usize], told.field.kind),
            };
            builder.add(id, &told.iter().map(value).collect::<Vec<_>>())?;
        }
    }
    let mut records = builder.finish();
    for (field, told) in records.fields.iter_mut().zip(&told) {
        field.others = told.others;
    }
    Ok(records)
}
