//! What is told of items or users besides their ids, in memory, field by field.

use anyhow::{Context, Result};

use super::field_kind::FieldKind;
use super::field_value::{FieldValue, Told};
use super::interner::Interner;

/// A field that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedField<'a> {
    pub name: &'a str,
    pub kind: FieldKind,
    /// The column or key that holds it.
    pub column: &'a str,
}

/// What is told of items or users, each once.
#[derive(Debug, Default)]
pub struct Records {
    /// In order of first appearance.
    pub(super) ids: Vec<String>,
    /// Of those that files tell: which file, by its place among these, and the line there.
    pub(super) places: Vec<(usize, usize)>,
    /// In the order in which they were asked for.
    pub(super) fields: Vec<RecordField>,
}

/// What is told in one field.
#[derive(Debug)]
pub(super) struct RecordField {
    pub values: Values,
    /// How often a log says something else later on, which does not count.
    pub others: u64,
}

#[derive(Debug)]
pub(super) enum Values {
    /// `[records]`; what is missing is not a number.
    Numbers(Vec<f64>),
    Texts {
        /// All that there are, in order of first appearance.
        texts: Vec<String>,
        /// `[records + 1]`: where those of each record begin in `numbers`.
        starts: Vec<u32>,
        /// Places in `texts`, those of a record ascending.
        numbers: Vec<u32>,
    },
}

impl RecordField {
    /// The places of a record's values in the texts, ascending; none of numbers.
    pub fn numbers(&self, record: usize) -> &[u32] {
        match &self.values {
            Values::Numbers(_) => &[],
            Values::Texts { starts, numbers, .. } => {
                &numbers[starts[record] as usize..starts[record + 1] as usize]
            }
        }
    }
}

/// Collects [`Records`] one by one.
pub(super) struct RecordsBuilder<'a> {
    ids: Interner,
    fields: Vec<Column<'a>>,
    records: usize,
}

struct Column<'a> {
    field: AskedField<'a>,
    floats: Vec<f64>,
    texts: Interner,
    starts: Vec<u32>,
    numbers: Vec<u32>,
}

/// What came of a record.
pub(super) enum Added<'a> {
    New,
    /// It was there already, and says the same.
    Again,
    /// It was there already, as the record of this number, and says something else in this field.
    Otherwise {
        record: usize,
        field: &'a str,
    },
}

impl<'a> RecordsBuilder<'a> {
    pub fn new(fields: &[AskedField<'a>]) -> RecordsBuilder<'a> {
        let column = |field: &AskedField<'a>| Column {
            field: *field,
            floats: vec![],
            texts: Interner::default(),
            starts: vec![0],
            numbers: vec![],
        };
        RecordsBuilder {
            ids: Interner::default(),
            fields: fields.iter().map(column).collect(),
            records: 0,
        }
    }

    /// Appends a record: a value for each field.
    ///
    /// # Errors
    /// What is no value of its field's kind; more than 2³² ids or values.
    pub fn add(&mut self, id: &str, values: &[FieldValue]) -> Result<Added<'a>> {
        let record = self.ids.number(id)? as usize;
        let new = record == self.records;
        for (column, value) in self.fields.iter_mut().zip(values) {
            let told = value.told(column.field.name, column.field.kind)?;
            match new {
                true => column.push(&told)?,
                false if column.says(record, &told)? => {}
                false => return Ok(Added::Otherwise { record, field: column.field.name }),
            }
        }
        self.records += usize::from(new);
        Ok(if new { Added::New } else { Added::Again })
    }

    pub fn finish(self) -> Records {
        let fields = self.fields.into_iter().map(|column| {
            let values = match column.field.kind {
                FieldKind::Number => Values::Numbers(column.floats),
                FieldKind::Category | FieldKind::Categories => Values::Texts {
                    texts: column.texts.into_names(),
                    starts: column.starts,
                    numbers: column.numbers,
                },
            };
            RecordField { values, others: 0 }
        });
        Records { fields: fields.collect(), ids: self.ids.into_names(), places: vec![] }
    }
}

impl Column<'_> {
    fn push(&mut self, told: &Told) -> Result<()> {
        if self.field.kind == FieldKind::Number {
            self.floats.push(number(told));
            return Ok(());
        }
        let numbers = self.numbers(told)?;
        self.numbers.extend(numbers);
        let end = u32::try_from(self.numbers.len()).context("more than 2^32 values of a field")?;
        self.starts.push(end);
        Ok(())
    }

    /// Whether `told` is what that record says.
    fn says(&mut self, record: usize, told: &Told) -> Result<bool> {
        if self.field.kind == FieldKind::Number {
            return Ok(self.floats[record].to_bits() == number(told).to_bits());
        }
        let numbers = self.numbers(told)?;
        let own = self.starts[record] as usize..self.starts[record + 1] as usize;
        Ok(self.numbers[own] == numbers)
    }

    fn numbers(&mut self, told: &Told) -> Result<Vec<u32>> {
        let Told::Texts(texts) = told else { return Ok(vec![]) };
        let numbers = texts.iter().map(|text| self.texts.number(text));
        let mut numbers: Vec<u32> = numbers.collect::<Result<_>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }
}

fn number(told: &Told) -> f64 {
    match told {
        Told::Number(number) => *number,
        Told::Missing | Told::Texts(_) => f64::NAN,
    }
}
