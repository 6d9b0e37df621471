//! What the CROLoss paper (CIKM 2022) asks of a sweep: its tables, tests, figures and claims.

mod claims;
mod exhibits;
mod figures;
mod paper_row;
mod published;
mod tables;
mod user_recall;

use anyhow::Result;

use self::claims::{BASIS, claims};
use self::exhibits::{Table2, Table3, Table4};
use self::paper_row::row_of;
use self::published::Published;
use self::user_recall::UserRecalls;
use super::shared::provenance::DatasetSummary;
use super::shared::report::{Findings, Wording};
use super::shared::significance::{self, Comparison};
use super::shared::study::{Study, Variant};
use super::shared::table::Table;
use super::shared::validation_curves;
use crate::baseline::KeptResult;

pub use figures::IDS as FIGURES;

const WORDING: Wording = Wording {
    whose: "The paper's",
    tables: "The paper's tables",
    basis: BASIS,
    heat_maps: "Table 3 in colours. Each list length has a scale of its own, from its lowest recall to its highest: the stronger the blue, the higher. The best value is framed.",
};

/// The exhibits that these points allow, beside the figures that the paper prints for `dataset` and
/// its baselines.
///
/// # Errors
/// Those of the drawing crate.
pub fn findings(study: &Study, dataset: &DatasetSummary) -> Result<Findings> {
    let published = Published::of(&dataset.name)?;
    let recalls = UserRecalls::new(study);
    let table2 = Table2::of(study, &published);
    let tables = tables(study, &table2, &published, &dataset.baselines);
    let point_names: Vec<String> =
        study.variants.iter().map(|variant| variant.points[0].name.clone()).collect();
    let figures = figures::figures(study, &table2, &recalls, &point_names)?;
    // A sweep of something else has nothing to say about the paper.
    let of_paper = !tables.is_empty() || figures.iter().any(|f| f.id != validation_curves::ID);
    let row_name = |(variant, name): (&Variant, String)| match row_of(variant) {
        Some(row) if of_paper => row.label(),
        _ => name,
    };
    let mut remarks = vec![];
    if of_paper && published.is_empty() {
        remarks.push(format!(
            "The paper has no figures for {}, so none stand beside ours.",
            dataset.name
        ));
    }
    Ok(Findings {
        wording: &WORDING,
        tests: tests(study, &table2, &recalls),
        claims: if of_paper { claims(study, &table2, &recalls) } else { vec![] },
        names: study.variants.iter().zip(point_names).map(row_name).collect(),
        tables,
        figures,
        remarks,
    })
}

/// Tables 2, 3 (one for each N) and 4.
fn tables(
    study: &Study,
    table2: &Table2,
    published: &Published,
    baselines: &[KeptResult],
) -> Vec<Table> {
    let table3 = Table3::of(study, published);
    let others = if table3.is_none() { table2.others.as_slice() } else { &[] };
    let mut all = vec![];
    all.extend(tables::table2(study, table2, others, published, baselines));
    if let Some(table) = table3 {
        all.extend(tables::table3(study, &table, published));
    }
    if let Some(table) = Table4::of(study, published) {
        all.push(tables::table4(study, &table, published));
    }
    all
}

/// The paired tests between the rows of Table 2 that the paper compares.
fn tests(study: &Study, table2: &Table2, recalls: &UserRecalls) -> Option<Table> {
    let mut all = vec![];
    for (a, b, x, y) in table2.pairs() {
        let (Some(x), Some(y)) = (x, y) else { continue };
        all.extend(study.at.iter().map(|&at| Comparison {
            pair: format!("{} − {}", a.title(), b.title()),
            of: format!("@{at}"),
            paired: recalls.compare(x, y, at),
        }));
    }
    let note = "Recall@N of the first minus the second, in percentage points: each test user's mean over the seeds that both have, paired t-test over users. The first interval and p cover the choice of users; the second interval also covers what other seeds would change, by the standard deviation over seeds (that of the two where both have several seeds, else pooled over all settings that have).";
    let head = ["rows of Table 2", "N", "users"];
    significance::table("Paired tests over test users", head, note, &all)
}
