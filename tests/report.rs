//! A report of runs that were really made, through the library as a program would use it.

use std::fs;
use std::path::Path;
use std::process::Command;

use croloss::data::Dataset;
use croloss::report::{self, DatasetSummary, Provenance};
use croloss::sweep::{PointResult, Status};
use croloss::train::RunFolder;

const CONFIG: &str = r#"
threads = 1
data.path = "data"
tower.dim = 8
sampling = { batch = 32, negatives_per_positive = 2 }
train = { steps = 40, validate_every = 20, monitor = "recall@10" }
evaluation.at = [10, 50]
"#;

fn croloss(folder: &Path, arguments: &[&str]) {
    let call = Command::new(env!("CARGO_BIN_EXE_croloss"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(call.status.success(), "{}", String::from_utf8_lossy(&call.stderr));
}

fn point(folder: &Path, kind: &str, seed: u64) -> PointResult {
    let name = format!("{kind}-{seed}");
    let sets = [format!("loss.kind={kind}"), format!("seed={seed}")];
    let out = format!("runs/{name}");
    croloss(folder, &["train", "c.toml", "--set", &sets[0], "--set", &sets[1], "--out", &out]);
    PointResult {
        id: name.clone(),
        case: kind.into(),
        grids: vec!["methods".into()],
        config: croloss::config::load(&folder.join("c.toml"), &sets).unwrap(),
        run: folder.join(&out),
        status: Status::Done(RunFolder::open(&folder.join(&out)).unwrap().result().unwrap()),
        name,
    }
}

#[test]
fn runs_become_tables_tests_curves_and_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    croloss(
        folder,
        &["generate", "--preset", "demo", "--users", "400", "--items", "300", "--out", "log.csv"],
    );
    croloss(
        folder,
        &[
            "prepare", "--input", "log.csv", "--user", "user", "--item", "item", "--time", "time",
            "--out", "data",
        ],
    );
    fs::write(folder.join("c.toml"), CONFIG).unwrap();
    let mut points = vec![point(folder, "cross-entropy", 1), point(folder, "cross-entropy", 2)];
    points.extend([point(folder, "bpr", 1), point(folder, "bpr", 2)]);
    let provenance = Provenance {
        sweep: "methods".into(),
        file: "methods.toml".into(),
        command: "croloss report methods.toml".into(),
        dataset: DatasetSummary {
            name: "small".into(),
            generated: true,
            counts: Dataset::load(&folder.join("data")).unwrap().counts(),
        },
        machine: report::machine(),
        commit: "unknown".into(),
        date: report::today(),
    };
    let out = folder.join("report");
    let written = report::write(&provenance, &points, &out).unwrap();
    assert_eq!(written.last(), Some(&out.join("index.html")));
    let text = fs::read_to_string(out.join("report.md")).unwrap();
    for part in [
        "All 4 points are done.",
        "| Cross-entropy | ",
        "Validation recall@10",
        "Cross-entropy against BPR",
        "| Cross-entropy − BPR | @50 | ",
        "GENERATED data",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("not compared"), "{text}");
    assert!(out.join("validation-curves.svg").is_file());
    let rows = fs::read_to_string(out.join("results.csv")).unwrap();
    assert_eq!(rows.lines().count(), 5);
}
