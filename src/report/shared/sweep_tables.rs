//! The tables that any sweep has: its variants, and the points without a result.

use std::collections::BTreeSet;

use anyhow::Result;

use super::config_columns::{flat, plain, value_of};
use super::study::{Study, Variant, recall};
use super::table::{Cell, Table};
use super::variant_cells::{cold_cell, metric_cell, result_cell};
use crate::config::{Metric, MetricKind};
use crate::eval::{ColdRecall, ColdShares};
use crate::sweep::{PointResult, Status};

/// One row a variant, with the keys that differ: for any sweep.
///
/// # Errors
/// A configuration that cannot be written as TOML.
pub fn variants(study: &Study) -> Result<Table> {
    let flats = study.variants.iter().map(|s| flat(s.config)).collect::<Result<Vec<_>, _>>()?;
    let value = |place: usize, key: &str| {
        let value = value_of(study.variants[place].config, &flats[place], key);
        value.as_ref().map(plain).unwrap_or_default()
    };
    let mut keys: Vec<&String> = vec![];
    for (key, _) in flats.iter().flatten() {
        let same = (0..flats.len()).all(|place| value(place, key) == value(0, key));
        if key != "seed" && !same && !keys.contains(&key) {
            keys.push(key);
        }
    }
    let mut metrics: Vec<Metric> = study.at.iter().map(|&at| recall(at)).collect();
    if let Some(at) = study.deciding_at() {
        metrics.extend(
            [MetricKind::HitRate, MetricKind::Ndcg, MetricKind::Mrr]
                .map(|kind| Metric { kind, at }),
        );
    }
    metrics.retain(|metric| study.measures(metric.kind));
    let cold = cold_columns(study.points);
    let row = |(place, variant): (usize, &Variant)| {
        let mut row: Vec<Cell> = keys.iter().map(|key| Cell::Text(value(place, key))).collect();
        if keys.is_empty() {
            row.push(Cell::Text("all points".into()));
        }
        row.push(Cell::Text(progress(variant)));
        row.extend(metrics.iter().map(|&metric| metric_cell(variant, metric)));
        row.extend(cold.iter().map(|(_, shares, at)| cold_cell(variant, *shares, *at)));
        row.push(result_cell(variant, 0, |o| o.best_step as f64));
        row.push(result_cell(variant, 1, |o| o.train_seconds));
        row
    };
    let mut head: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    if keys.is_empty() {
        head.push("setting".into());
    }
    let first = head.len() + 1;
    head.push("seeds".into());
    head.extend(metrics.iter().map(Metric::to_string));
    head.extend(cold.iter().map(|(head, ..)| head.clone()));
    // Steps and seconds have no best.
    let judged = first..head.len();
    head.extend(["best step".into(), "training, s".into()]);
    let mut notes = vec!["Test metrics in percent, mean ± standard deviation over seeds; the keys are those that differ between settings. Every metric of every point stands in results.csv.".to_owned()];
    if !cold.is_empty() {
        notes.push("Cold-recall: of the items that training has never met and that were to be found, the share that was, among themselves and among all items.".into());
    }
    Ok(Table {
        id: "settings".into(),
        title: "All settings".into(),
        notes,
        head,
        rows: study.variants.iter().enumerate().map(row).collect(),
        ..Table::default()
    }
    .bold_best(judged))
}

/// What was found of cold items, where that was measured: heads, and what stands below each.
fn cold_columns(points: &[PointResult]) -> Vec<(String, ColdShares, usize)> {
    let measured = points.iter().filter_map(|point| point.result()?.test_cold.as_ref());
    let all: BTreeSet<usize> = measured.flat_map(|cold| cold.among_all.keys().copied()).collect();
    let mut columns = vec![];
    for (part, shares) in ColdRecall::SHARES {
        let head = |at: usize| format!("cold-recall@{at} {}", part.replace('_', " "));
        columns.extend(all.iter().map(|&at| (head(at), shares, at)));
    }
    columns
}

/// `3`, or `2 of 3 done, 1 failed`.
fn progress(variant: &Variant) -> String {
    let all = variant.points.len();
    let done = variant.done().count();
    let failed = variant.points.iter().filter(|p| matches!(p.status, Status::Failed(_))).count();
    match (all - done, failed) {
        (0, _) => done.to_string(),
        (_, 0) => format!("{done} of {all} done"),
        _ => format!("{done} of {all} done, {failed} failed"),
    }
}

/// Points that are not done, and why.
pub fn unfinished(points: &[PointResult]) -> Option<Table> {
    let row = |point: &PointResult| {
        let (status, reason) = match &point.status {
            Status::Done(_) => return None,
            Status::Missing => ("missing", "not run yet"),
            Status::Failed(reason) => ("failed", reason.as_str()),
        };
        Some([&point.name, status, reason].map(|text| Cell::Text(text.into())).into())
    };
    let rows: Vec<Vec<Cell>> = points.iter().filter_map(row).collect();
    (!rows.is_empty()).then(|| Table {
        id: "unfinished".into(),
        title: "Points without a result".into(),
        head: ["point", "status", "reason"].map(String::from).into(),
        rows,
        ..Table::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::shared::fixtures::{books, point, table_lines};

    #[test]
    fn any_sweep_has_a_table_of_its_differing_keys() {
        let mut points: Vec<PointResult> = [1, 2, 1, 2]
            .map(|seed| point("kind = \"bpr\"", seed, &[("recall@50", 0.1 * seed as f64)]))
            .into();
        for point in &mut points[2..] {
            point.config.tower.dim = 64;
        }
        points[3].status = Status::Failed("out of memory".into());
        let table = variants(&Study::of(&points).unwrap()).unwrap();
        assert_eq!(table.head[..3], ["tower.dim", "seeds", "recall@50"]);
        let text = table_lines(&table);
        assert!(text.contains("| 32 | 2 | **15.00 ± 7.07** |"), "{text}");
        assert!(text.contains("| 64 | 1 of 2 done, 1 failed | 10.00 [1 of 2 seeds] |"), "{text}");
    }

    #[test]
    fn what_was_found_of_cold_items_stands_beside_the_other_figures() {
        let mut points: Vec<PointResult> =
            [1, 2, 1].map(|seed| point("kind = \"bpr\"", seed, &[("recall@50", 0.1)])).into();
        points[2].config.tower.dim = 64;
        let plain = variants(&Study::of(&points).unwrap()).unwrap();
        assert!(!plain.head.iter().any(|head| head.contains("cold")) && plain.notes.len() == 1);
        for (point, share) in points[..2].iter_mut().zip([0.25, 0.5]) {
            let Status::Done(result) = &mut point.status else { panic!() };
            let (among_cold, among_all) = ([(10, share)].into(), [(10, share / 5.0)].into());
            result.test_cold = Some(ColdRecall { items: 7, targets: 4, among_cold, among_all });
        }
        let table = variants(&Study::of(&points).unwrap()).unwrap();
        assert_eq!(
            table.head[2..],
            [
                "recall@50",
                "hitrate@50",
                "ndcg@50",
                "mrr@50",
                "cold-recall@10 among cold",
                "cold-recall@10 among all",
                "best step",
                "training, s"
            ]
        );
        let text = table_lines(&table);
        for row in [
            "| 32 | 2 | **10.00 ± 0.00** | – | – | – | 37.50 ± 17.68 | 7.50 ± 3.54 | 16000 ± 0 |",
            "| 64 | 1 | **10.00** | – | – | – | – | – | 16000 |",
        ] {
            assert!(text.contains(row), "{row}: {text}");
        }
        assert_eq!(table.notes.len(), 2);
    }

    #[test]
    fn points_without_a_result_are_told_with_their_reason() {
        let table = unfinished(&books()).unwrap();
        let text = table_lines(&table);
        assert!(text.contains("| missing | not run yet |"), "{text}");
        assert!(text.contains("| failed | NaN \\| at step 7 |"), "{text}");
        assert!(unfinished(&books()[..2]).is_none());
    }
}
