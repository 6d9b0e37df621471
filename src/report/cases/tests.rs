//! The lead of a report of data that no paper is about.

use std::path::Path;

use crate::config::Protocol;
use crate::report::report_of;
use crate::report::shared::fixtures::{self, case_run, found, table_lines};
use crate::report::shared::provenance::Provenance;
use crate::report::shared::{markdown, page};
use crate::sweep::{PointResult, Status};

/// `cro a1.2` is the best in validation with 20 of 40 users found, `bpr` is within noise with 19, and
/// `cro` not run.
fn points(folder: &Path) -> Vec<PointResult> {
    let of = |name: &str, share, ranks| {
        case_run(
            folder,
            name,
            1,
            &[("recall@50", share / 2.0), ("recall@100", share)],
            &found(ranks),
        )
    };
    let mut points = vec![of("bpr", 0.3, 19), of("cro a1.2", 0.4, 20), of("cro", 0.0, 0)];
    points[2].status = Status::Missing;
    points
}

fn provenance(baseline: f64) -> Provenance {
    let mut provenance = fixtures::provenance();
    let known = [("recall@50", baseline), ("recall@100", baseline)];
    let dataset = &mut provenance.dataset;
    (dataset.name, dataset.generated) = ("mine".into(), false);
    dataset.baselines = vec![fixtures::baseline("ease", Protocol::Holdout, &known)];
    provenance
}

#[test]
fn it_begins_with_what_validation_chose_and_holds_every_case_under_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let points = points(dir.path());
    let provenance = provenance(0.25);
    let report = report_of(&provenance, &points).unwrap();
    let expected = [
        "Best of 2 cases by recall@100 in validation: cro a1.2, 40.00 % there, 50.00 % on test.",
        "Within noise of it on test: bpr.",
        "What other seeds would change is not known: no case has several.",
        "The best baseline, ease, has 25.00 % on test: cro a1.2 beats it.",
        "2 of 3 points are done; failed: 0, missing: 1.",
    ];
    assert_eq!(report.summary, expected);
    let expected = "\
| case | validation recall@100 | validation recall@50 | test recall@100 | test recall@50 | test hitrate@100 | test ndcg@100 | test mrr@100 | on test |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
| cro a1.2 | **40.00** | **20.00** | **50.00** | **50.00** | – | – | – | chosen |
| bpr | 30.00 | 15.00 | 47.50 | 47.50 | – | – | – | within noise |
| cro | missing | missing | missing | missing | missing | missing | missing | – |
| baseline: ease | – | – | 25.00 | 25.00 | – | – | – | – |
";
    assert_eq!(table_lines(&report.cases[0]), expected);
    assert!(table_lines(&report.cases[1]).contains("| cro a1.2 − bpr | recall@100 | +2.50 |"));
    assert!(table_lines(&report.variants).contains("| cro a1.2 | "));
    let text = markdown::render(&report);
    assert!(text.find("## Cases") < text.find("## Settings"));
    for foreign in ["Table", "claim", "aper"] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }
    let page = page::render(&report);
    for (id, times) in [("cases", 1), ("cases-table", 1), ("tests-of-cases", 1), ("claims", 0)] {
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), times, "{id}");
    }
}

#[test]
fn claims_come_for_the_papers_data_or_when_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let points = fixtures::points_with_runs(dir.path());
    let parts = |provenance: &Provenance| {
        let report = report_of(provenance, &points).unwrap();
        let chosen = report.summary[0].starts_with("Best of ");
        (
            chosen,
            !report.cases.is_empty(),
            report.found.claims.len(),
            !report.found.tables.is_empty(),
        )
    };
    let mut provenance = provenance(0.0);
    assert_eq!(parts(&provenance), (true, true, 0, false));
    provenance.claims = true;
    assert_eq!(parts(&provenance), (true, true, 9, true));
    for claims in [false, true] {
        (provenance.claims, provenance.dataset.name) = (claims, "amazon-beauty".into());
        assert_eq!(parts(&provenance), (false, false, 9, true));
    }
}

/// Two seeds with 50 and 60 % on test: 55 ± 7.07 %.
#[test]
fn a_baseline_that_is_not_beaten_is_told_and_one_that_is_beaten_by_little() {
    let dir = tempfile::tempdir().unwrap();
    let of = |seed, ranks| case_run(dir.path(), "cro", seed, &[("recall@100", 0.4)], &found(ranks));
    let points = [of(1, 20), of(2, 24)];
    let said = |baseline| report_of(&provenance(baseline), &points).unwrap().summary[1].clone();
    assert_eq!(
        said(0.55),
        "The best baseline, ease, has 55.00 % on test: cro does not beat it yet; docs/baselines.md says what to try."
    );
    assert!(said(0.49).ends_with("cro beats it, by less than its own seeds differ."));
    assert!(said(0.47).ends_with("cro beats it."));
}

#[test]
fn what_cannot_be_chosen_of_is_told_and_still_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut points = points(dir.path());
    points[0].config.train.monitor = "recall@50".parse().unwrap();
    let provenance = provenance(0.0);
    let report = report_of(&provenance, &points).unwrap();
    assert!(
        report.summary[0].starts_with("No case is chosen: the points monitor different metrics")
    );
    assert!(report.cases.is_empty());
    assert_eq!(report.variants.rows.len(), 3);
}
