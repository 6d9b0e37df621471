//! The tables, the claims and the report of invented runs of session models.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::{Config, Settings};
use crate::eval::Metrics;
use crate::report::shared::claim::Verdict;
use crate::report::shared::fixtures;
use crate::report::shared::statistics::Interval;
use crate::sweep::{PointResult, Status};

const TRON: &str = "tower.encoder = \"transformer\"\nloss.kind = \"ssm\"\nsampling.top_k = 5";
const SASREC: &str = "tower.encoder = \"transformer\"\nloss.kind = \"bce\"";
const GRU4REC: &str = "tower.encoder = \"gru\"\nloss.kind = \"bpr-max\"";

fn config(model: &str, seed: u64) -> Config {
    let text = format!(
        "seed = {seed}\ndata.path = \"data/none\"\nsampling.samples = \"positions\"\nsampling.batch = 10\n\
         sampling.negatives = [{{ from = \"uniform\", count = 30, per = \"batch\" }}]\n\
         train.monitor = \"recall@20\"\nevaluation = {{ protocol = \"positions\", at = [5, 20] }}\n{model}"
    );
    toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
}

/// A finished run whose ranks these are, session by session.
fn run(folder: &Path, model: &str, seed: u64, ranks: &[Vec<u64>]) -> PointResult {
    let mut point = fixtures::point("kind = \"bpr\"", seed, &[]);
    point.config = config(model, seed);
    point.name = format!("models_{}_seed={seed}", model.len());
    point.case = format!("case {}", model.len());
    point.id = point.name.clone();
    fixtures::save_user_ranks(&mut point, folder, ranks.to_vec());
    let mut metrics = Metrics::new(Protocol::Positions, &[5, 20]);
    ranks.iter().for_each(|ranks| metrics.add(fixtures::ranked(ranks)));
    if let Status::Done(result) = &mut point.status {
        (result.test, result.validation) = (metrics.means(), metrics.means());
        (result.steps, result.train_seconds) = (40, 10.0);
    }
    point
}

fn train_seconds(point: &mut PointResult, seconds: f64) {
    if let Status::Done(result) = &mut point.status {
        result.train_seconds = seconds;
    }
}

/// (step, seconds, share) of each validation.
fn log(point: &PointResult, validations: &[(u64, f64, f64)]) {
    let line = |(step, seconds, share): &(u64, f64, f64)| {
        format!(
            "{{\"part\":\"validation\",\"step\":{step},\"seconds\":{seconds},\"recall@20\":{share}}}\n"
        )
    };
    fixtures::save_log(point, &validations.iter().map(line).collect::<String>());
}

/// Forty sessions of two positions: `found` of them find their first item at once, all their second
/// at rank 10.
fn sessions(found: usize) -> Vec<Vec<u64>> {
    (0..40).map(|session| vec![if session < found { 1 } else { 900 }, 10]).collect()
}

/// Of 80 positions TRON finds 40 + 30 and 40 + 34 within 20: 87.5 and 92.5 %, 90 ± √12.5; its
/// MRR@20 is (30 + 4)/80 = 42.5 and (34 + 4)/80 = 47.5 %. Within 5 it finds the first items alone.
#[test]
fn models_have_their_names_and_the_means_over_seeds() {
    let dir = tempfile::tempdir().unwrap();
    let cro = "tower.encoder = \"transformer\"\nloss.kind = \"cro\"\nsampling.top_k = 7";
    let mut points = vec![
        run(dir.path(), TRON, 1, &sessions(30)),
        run(dir.path(), TRON, 2, &sessions(34)),
        run(dir.path(), SASREC, 1, &sessions(10)),
        run(dir.path(), cro, 1, &sessions(20)),
    ];
    points[3].status = Status::Missing;
    let study = Study::of(&points).unwrap();
    let expected = "\
| model | Recall@5 | Recall@20 | MRR@5 | MRR@20 | last Recall@20 | last MRR@20 | steps | training, s |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| TRON | **40.00 ± 3.54** | **90.00 ± 3.54** | **40.00 ± 3.54** | **45.00 ± 3.54** | **100.00 ± 0.00** | **10.00 ± 0.00** | 40 ± 0 | 10.0 ± 0.0 |
| SASRec | 12.50 | 62.50 | 12.50 | 17.50 | **100.00** | **10.00** | 40 | 10.0 |
| CROLoss, Transformer, top 7 | missing | missing | missing | missing | missing | missing | missing | missing |
";
    assert_eq!(fixtures::table_lines(&Models::of(&study).table(&[])), expected);
}

#[test]
fn baselines_stand_below_the_models() {
    let dir = tempfile::tempdir().unwrap();
    let points = [run(dir.path(), TRON, 1, &sessions(30))];
    let study = Study::of(&points).unwrap();
    let known = [("recall@5", 0.3), ("recall@20", 0.9), ("mrr@20", 0.25), ("last-mrr@20", 0.1)];
    let baselines = [fixtures::baseline("transitions", Protocol::Positions, &known)];
    let table = fixtures::table_lines(&Models::of(&study).table(&baselines));
    let row = "| baseline: transitions | 30.00 | **90.00** | – | 25.00 | – | **10.00** | – | – |\n";
    assert!(table.ends_with(row), "{table}");
}

#[test]
fn models_of_one_name_are_told_apart_and_the_best_in_validation_stands_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let wide = format!("{TRON}\ntower.dim = 64");
    let points =
        [run(dir.path(), TRON, 1, &sessions(10)), run(dir.path(), &wide, 1, &sessions(30))];
    let study = Study::of(&points).unwrap();
    let models = Models::of(&study);
    let names = [TRON, &wide].map(|model| format!("TRON [models_{}]", model.len()));
    assert_eq!(models.names, names);
    assert_eq!(models.find(KnownModel::Tron).unwrap().config.tower.dim, 64);
    assert!(models.find(KnownModel::Gru4rec).is_none());
}

#[test]
fn validations_stand_side_by_side_at_equal_steps_and_at_equal_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let points =
        [run(dir.path(), TRON, 1, &sessions(30)), run(dir.path(), SASREC, 1, &sessions(10))];
    log(&points[0], &[(20, 10.0, 0.3), (40, 30.0, 0.5)]);
    log(&points[1], &[(20, 5.0, 0.1), (40, 12.0, 0.2)]);
    let study = Study::of(&points).unwrap();
    let [steps, seconds] = &equal_budget::tables(&Models::of(&study))[..] else {
        panic!("two tables")
    };
    let expected = "\
| model | step 20 | step 40 |
| --- | ---: | ---: |
| TRON | **30.00** | **50.00** |
| SASRec | 10.00 | 20.00 |
";
    assert_eq!(fixtures::table_lines(steps), expected);
    let expected = "\
| model | 5 s | 10 s | 15 s | 20 s | 25 s | 30 s |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| TRON | – | **30.00** | **30.00** | **30.00** | **30.00** | **50.00** |
| SASRec | 10.00 | 10.00 | 20.00 | 20.00 | 20.00 | 20.00 |
";
    assert_eq!(fixtures::table_lines(seconds), expected);
}

#[test]
fn runs_that_validate_by_epochs_stand_side_by_side_whatever_their_steps() {
    let dir = tempfile::tempdir().unwrap();
    let by_epochs = |model: &str| format!("{model}\ntrain.epochs = 2");
    let points = [
        run(dir.path(), &by_epochs(TRON), 1, &sessions(30)),
        run(dir.path(), &by_epochs(SASREC), 1, &sessions(10)),
    ];
    log(&points[0], &[(20, 1.0, 0.3), (40, 2.0, 0.5)]);
    log(&points[1], &[(80, 1.0, 0.1), (160, 2.0, 0.2)]);
    let study = Study::of(&points).unwrap();
    let tables = equal_budget::tables(&Models::of(&study));
    let expected = "\
| model | epoch 1 | epoch 2 |
| --- | ---: | ---: |
| TRON | **30.00** | **50.00** |
| SASRec | 10.00 | 20.00 |
";
    assert_eq!(
        (tables[0].title.as_str(), fixtures::table_lines(&tables[0]).as_str()),
        ("At equal epochs", expected)
    );
}

/// Sessions of 2, 1 and 3 positions. Within 20 TRON finds 1, 1 and 2 items, SASRec 0, 1 and 1; their
/// reciprocal ranks differ by 1, 0 and 1/4.
#[test]
fn a_comparison_is_over_positions_and_its_interval_over_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let points = [
        run(dir.path(), TRON, 1, &[vec![1, 30], vec![2], vec![4, 10, 40]]),
        run(dir.path(), SASREC, 1, &[vec![30, 30], vec![2], vec![50, 10, 40]]),
    ];
    let study = Study::of(&points).unwrap();
    let pair = [&study.variants[0], &study.variants[1]];
    let compared = |name: &str| compare(&study, pair, name.parse().unwrap()).unwrap();
    let counts = [2.0, 1.0, 3.0];
    let recall = compared("recall@20");
    assert_eq!(recall.interval, Interval::of_groups(&[1.0, 0.0, 1.0], &counts).unwrap());
    assert!((recall.interval.estimate - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!((recall.users, recall.seeds, recall.wide), (3, 1, None));
    let mrr = compared("mrr@20").interval;
    assert!((mrr.estimate - 1.25 / 6.0).abs() < 1e-12, "{mrr:?}");
    // Their last items have the same ranks.
    let last = compared("last-mrr@20").interval;
    assert_eq!((last.estimate, last.p), (0.0, 1.0));
    let other = run(dir.path(), GRU4REC, 1, &[vec![1, 30], vec![2, 2], vec![4, 10]]);
    let points = [points[0].clone(), other];
    let study = Study::of(&points).unwrap();
    let pair = [&study.variants[0], &study.variants[1]];
    let error = compare(&study, pair, "recall@20".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("other positions"), "{error}");
}

#[test]
fn tron_s_claims_are_answered_by_the_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut points = vec![
        run(dir.path(), TRON, 1, &sessions(30)),
        run(dir.path(), SASREC, 1, &sessions(10)),
        run(dir.path(), GRU4REC, 1, &sessions(40)),
    ];
    train_seconds(&mut points[0], 11.0);
    let verdicts = |points: &[PointResult]| -> Vec<Verdict> {
        let study = Study::of(points).unwrap();
        findings(&study, &[]).unwrap().claims.iter().map(|claim| claim.verdict).collect()
    };
    use Verdict::{DoesNotHold, Holds, NotDecided};
    assert_eq!(verdicts(&points), [Holds, Holds, DoesNotHold, DoesNotHold, Holds]);
    let study = Study::of(&points).unwrap();
    let claim = findings(&study, &[]).unwrap().claims.swap_remove(0);
    assert_eq!(claim.statement, "TRON is above SASRec (binary cross-entropy) in Recall@20");
    assert_eq!(claim.numbers[1], "Recall@20: 87.50 % against 62.50 %");
    assert!(
        claim.numbers[2].starts_with("+25.00 points [") && claim.numbers[2].ends_with("one seed")
    );
    // 40 steps of 10 sessions in 11.2 s are 0.893 of those in 10 s.
    train_seconds(&mut points[0], 11.2);
    assert_eq!(verdicts(&points)[4], DoesNotHold);
    let Status::Done(result) = &mut points[1].status else { panic!("done") };
    result.threads = 7;
    assert_eq!(verdicts(&points)[4], NotDecided);
    points.truncate(1);
    assert_eq!(verdicts(&points), [NotDecided; 5]);
}

#[test]
fn a_report_speaks_of_session_models_and_not_of_the_other_paper() {
    let dir = tempfile::tempdir().unwrap();
    let points =
        [run(dir.path(), TRON, 1, &sessions(30)), run(dir.path(), SASREC, 1, &sessions(10))];
    points.iter().for_each(|point| log(point, &[(20, 10.0, 0.3), (40, 30.0, 0.5)]));
    let out = dir.path().join("report");
    crate::report::write(&fixtures::provenance(), &points, &out).unwrap();
    let text = fs::read_to_string(out.join("report.md")).unwrap();
    for part in [
        "## TRON's claims",
        "TRON's 5 claims on this data: 3 hold, 0 do not hold, 2 not decided",
        "## Session models",
        "### At equal seconds",
        "(validation-curves.svg)",
        "| TRON − SASRec | recall@20 | +25.00 |",
        "GENERATED data",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for foreign in ["Table 2", "hitrate", "The paper's"] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    for id in ["models", "by-step", "by-seconds", "tests", "validation-curves"] {
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
}
