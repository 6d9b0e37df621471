//! The figures that the CROLoss paper prints (CIKM 2022, Tables 2 to 4), in percent.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::paper_row::{PaperRow, same_alpha};
use crate::config::{Kernel, LossKind};

const FIGURES: &str = include_str!("published.csv");

/// One figure of the paper.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    table: u8,
    dataset: String,
    row: PaperRow,
    at: usize,
    percent: f64,
}

/// The figures that the paper prints for one data set.
#[derive(Clone, Debug, Default)]
pub struct Published {
    figures: Vec<Figure>,
}

impl Published {
    /// The figures for `dataset`; none for one that the paper does not have.
    ///
    /// # Errors
    /// Names the line of the built-in file that is broken.
    pub fn of(dataset: &str) -> Result<Self> {
        let mut figures = read(FIGURES)?;
        figures.retain(|figure| figure.dataset == dataset);
        Ok(Self { figures })
    }

    /// Whether the paper has nothing for this data set.
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    /// Recall@`at` of `row` in percent, as printed in `table` (2, 3 or 4).
    pub fn recall(&self, table: u8, row: PaperRow, at: usize) -> Option<f64> {
        let found = |f: &&Figure| f.table == table && f.at == at && f.row.is(row);
        self.figures.iter().find(found).map(|figure| figure.percent)
    }

    /// The variant that the paper chose for a method's row in Table 2.
    pub fn choice(&self, method: LossKind) -> Option<PaperRow> {
        self.figures.iter().find(|f| f.table == 2 && f.row.method == method).map(|f| f.row)
    }

    /// Whether a table of the paper has this α.
    pub fn has_alpha(&self, table: u8, alpha: f64) -> bool {
        let has =
            |f: &Figure| f.table == table && f.row.alpha.is_some_and(|a| same_alpha(a, alpha));
        self.figures.iter().any(has)
    }
}

fn read(text: &str) -> Result<Vec<Figure>> {
    let parse = |(number, line): (usize, &str)| {
        figure(line).with_context(|| format!("published.csv, line {}: {line}", number + 1))
    };
    text.lines().enumerate().skip(1).map(parse).collect()
}

fn figure(line: &str) -> Result<Figure> {
    let cells: Vec<&str> = line.split(',').collect();
    ensure!(cells.len() == 8, "needs 8 cells");
    let kernel = |text: &str| -> Result<Option<Kernel>> {
        Ok(if text.is_empty() { None } else { Some(word(text)?) })
    };
    let alpha = if cells[5].is_empty() { None } else { Some(cells[5].parse()?) };
    let row = PaperRow {
        method: word(cells[2])?,
        kernel: kernel(cells[3])?,
        rank_kernel: kernel(cells[4])?,
        alpha,
    };
    Ok(Figure {
        table: cells[0].parse()?,
        dataset: cells[1].into(),
        row,
        at: cells[6].parse()?,
        percent: cells[7].parse()?,
    })
}

fn word<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T> {
    let plain = serde::de::value::BorrowedStrDeserializer::<serde::de::value::Error>::new(text);
    Ok(T::deserialize(plain)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lambda(alpha: f64) -> PaperRow {
        PaperRow {
            method: LossKind::CroLambda,
            kernel: Some(Kernel::Softplus),
            rank_kernel: Some(Kernel::Sigmoid),
            alpha: Some(alpha),
        }
    }

    #[test]
    fn figures_are_found_by_their_row() {
        let books = Published::of("amazon-books").unwrap();
        assert_eq!(books.recall(3, lambda(0.8), 200), Some(18.50));
        assert_eq!(books.recall(3, lambda(0.9), 200), None);
        assert_eq!(books.recall(2, PaperRow::plain(LossKind::Bpr), 50), Some(8.24));
        assert_eq!(books.choice(LossKind::CroLambda), Some(lambda(1.0)));
        assert!(books.has_alpha(3, 1.2) && !books.has_alpha(3, 1.4));
    }

    #[test]
    fn another_data_set_has_none_and_a_broken_line_is_named() {
        assert!(Published::of("amazon-beauty").unwrap().is_empty());
        let error = read("head\n2,taobao,bpr,,,,50\n").unwrap_err();
        assert!(format!("{error:#}").contains("line 2"));
        assert!(read("head\n2,taobao,bprr,,,,50,1.0\n").is_err());
    }

    #[test]
    fn every_published_line_is_read() {
        assert_eq!(read(FIGURES).unwrap().len(), FIGURES.lines().count() - 1);
    }
}
