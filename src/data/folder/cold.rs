//! Cold items: marked in `items.parquet`, with who is asked for them in `cold.parquet`.

use std::path::Path;

use anyhow::Result;

use super::{column, for_each};
use crate::data::dataset::{Cold, Sequences};
use crate::data::parquet::write;

pub const FILE: &str = "cold.parquet";

/// The column of items that says which are cold.
pub const COLUMN: &str = "cold";

pub fn write_targets(path: &Path, cold: &Cold) -> Result<()> {
    write(path, cold.targets.len(), |rows| {
        let targets = &cold.targets[rows];
        vec![
            column("user", targets.iter().map(|(user, _)| *user).collect()),
            column("item", targets.iter().map(|(_, item)| *item).collect()),
        ]
    })
}

/// The cold items of a folder, none of which the sequences hold, and who is asked for them.
pub fn read(items: &Path, targets: &Path, sequences: &Sequences, count: usize) -> Result<Cold> {
    let mut is_cold = vec![];
    for_each(items, &[COLUMN], |frame| {
        let column = frame.column(COLUMN)?.bool()?;
        if column.null_count() > 0 {
            return Ok(Some("a row has no value".to_owned()));
        }
        is_cold.extend(column.iter().flatten());
        let met =
            sequences.items.iter().find(|item| is_cold.get(**item as usize - 1) == Some(&true));
        Ok(met.map(|item| format!("item {item} is cold, and stands in a sequence")))
    })?;
    let mut cold = Cold::default();
    cold.items.extend((1..=count as u32).filter(|item| is_cold[*item as usize - 1]));
    for_each(targets, &["user", "item"], |frame| {
        let rows = frame.column("user")?.u32()?.iter().zip(frame.column("item")?.u32()?.iter());
        for (user, item) in rows {
            let (Some(user), Some(item)) = (user, item) else {
                return Ok(Some("a row has no value".to_owned()));
            };
            let follows = cold.targets.last().is_none_or(|(before, _)| *before < user);
            if !follows
                || user as usize >= sequences.len()
                || sequences.get(user as usize).is_empty()
            {
                return Ok(Some(format!("user {user} cannot be asked")));
            }
            if cold.items.binary_search(&item).is_err() {
                return Ok(Some(format!("item {item} is not cold")));
            }
            cold.targets.push((user, item));
        }
        Ok(None)
    })?;
    Ok(cold)
}
