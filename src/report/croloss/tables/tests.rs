//! The tables of the paper, as Markdown.

use super::*;
use crate::config::Protocol;
use crate::report::shared::fixtures::{self, books, point, table_lines};
use crate::sweep::PointResult;

fn cro(kernel: &str, alpha: &str, recall: f64) -> PointResult {
    let loss = format!("kind = \"cro\"\nkernel = \"{kernel}\"\nalpha = {alpha}");
    point(&loss, 1, &[("recall@500", recall)])
}

#[test]
fn table_2_has_the_published_values_beside_ours() {
    let points = books();
    let study = Study::of(&points).unwrap();
    let published = Published::of("amazon-books").unwrap();
    let table = table2(&study, &Table2::of(&study, &published), &[], &published, &[]).unwrap();
    let expected = "\
| method | Recall@50 | Recall@100 |
| --- | ---: | ---: |
| Cross-entropy | **9.70 ± 0.14** (9.68; +0.02) | **13.20 ± 0.28** (13.24; −0.04) |
| BPR | 8.24 [1 of 2 seeds] (8.24; +0.00) | 13.00 [1 of 2 seeds] (12.08; +0.92) |
| CROLoss (softplus, α = 1.0) | failed | failed |
";
    assert_eq!(table_lines(&table), expected);
    assert!(table.markdown().starts_with("### Table 2: methods\n\nRecall on the test users"));
}

#[test]
fn other_data_has_no_published_values() {
    let points = books();
    let study = Study::of(&points).unwrap();
    let none = Published::of("demo").unwrap();
    let table = table2(&study, &Table2::of(&study, &none), &[], &none, &[]).unwrap();
    assert!(table_lines(&table).contains("| **9.70 ± 0.14** | **13.20 ± 0.28** |"));
    assert!(!table.markdown().contains("published"));
}

/// No table of kernels by α has the second setting of CROLoss, so Table 2 has it.
#[test]
fn table_2_has_every_setting_that_no_other_table_has_and_the_baselines() {
    let of = |loss: &str, recall| point(loss, 1, &[("recall@100", recall)]);
    let points = [
        of("kind = \"bpr\"", 0.2),
        of("kind = \"cro\"\nalpha = 1.0", 0.26),
        of("kind = \"cro\"\nalpha = 1.2", 0.265),
    ];
    let study = Study::of(&points).unwrap();
    let none = Published::default();
    assert!(Table3::of(&study, &none).is_none());
    let chosen = Table2::of(&study, &none);
    let baselines = [fixtures::baseline("ease", Protocol::Holdout, &[("recall@100", 0.225)])];
    let tables = crate::report::croloss::tables(&study, &chosen, &none, &baselines);
    let expected = "\
| method | Recall@100 |
| --- | ---: |
| BPR | 20.00 |
| CROLoss (softplus, α = 1.2) | **26.50** |
| CROLoss (softplus, α = 1.0) | 26.00 |
| baseline: ease | 22.50 |
";
    assert_eq!(table_lines(&tables[0]), expected);
    assert!(tables[0].notes[1].starts_with("Of several rows"));
}

#[test]
fn table_3_marks_the_best_of_columns_and_the_best_alpha_of_rows() {
    let points = [
        cro("softplus", "0.6", 0.26),
        cro("softplus", "1.0", 0.265),
        cro("sigmoid", "0.6", 0.27),
        cro("sigmoid", "1.0", 0.26),
        cro("sigmoid", "0.1", 0.1),
    ];
    let study = Study::of(&points).unwrap();
    let published = Published::of("amazon-books").unwrap();
    let tables = table3(&study, &Table3::of(&study, &published).unwrap(), &published);
    let expected = "\
| kernel | α = 0.6 | α = 1.0 |
| --- | ---: | ---: |
| sigmoid | <u>**27.00**</u> (26.59; +0.41) | 26.00 (26.09; −0.09) |
| softplus | 26.00 (26.20; −0.20) | <u>**26.50**</u> (26.06; +0.44) |
";
    assert_eq!(tables.len(), 1);
    assert_eq!(table_lines(&tables[0]), expected);
}

#[test]
fn table_4_has_a_row_for_each_pair_of_kernels() {
    let lambda = |rank: &str, recall| {
        let loss = format!("kind = \"cro-lambda\"\nrank_kernel = \"{rank}\"\nalpha = 1.4");
        point(&loss, 1, &[("recall@50", recall)])
    };
    let points = [lambda("sigmoid", 0.05), lambda("unit-step", 0.05001)];
    let study = Study::of(&points).unwrap();
    let none = Published::default();
    let table = table4(&study, &Table4::of(&study, &none).unwrap(), &none);
    // What prints the same is best together.
    let expected = "\
| φ₁ (rank) | φ₂ (gradient) | Recall@50 |
| --- | --- | ---: |
| unit-step | softplus | **5.00** |
| sigmoid | softplus | **5.00** |
";
    assert_eq!(table_lines(&table), expected);
}
