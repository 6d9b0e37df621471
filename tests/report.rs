//! A report of runs that were really made, through the library as a program would use it.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::Place;
use croloss::data::{Dataset, Manifest};
use croloss::report::{self, DatasetSummary, Provenance};
use croloss::sweep::{PointResult, Status};
use croloss::train::RunFolder;
use serde_json::Value;

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
        config: croloss::config::load(&folder.join("c.toml"), &sets, Manifest::size_of).unwrap(),
        run: folder.join(&out),
        status: Status::Done(Box::new(
            RunFolder::open(&folder.join(&out)).unwrap().result().unwrap(),
        )),
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
            baselines: vec![],
        },
        claims: false,
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

/// Two cases of one loss on a log of one's own, one with a blank in its name.
const SWEEP: &str = r#"
base = "c.toml"

[[grid]]
name = "losses"
cases = [
    { name = "bpr", set = { "loss.kind" = "bpr" } },
    { name = "cro a1.0", set = { "loss.kind" = "cro" } },
    { name = "cro a1.2", set = { "loss.kind" = "cro", "loss.alpha" = 1.2 } },
]
"#;

#[test]
fn a_log_of_one_s_own_is_reported_by_its_cases_and_by_claims_when_asked() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    place.refused(&["report", "s.toml"], 2, &["run croloss sweep first"]);
    place.ok(&["sweep", "s.toml", "--jobs", "2"]);
    let report = |arguments: &[&str]| {
        let said = place.ok(&[&["report", "s.toml"], arguments].concat());
        (said, fs::read_to_string(place.path("s/report.md")).unwrap())
    };
    for foreign in ["index.html", "results.csv", "report.md"] {
        fs::create_dir_all(place.path("web")).unwrap();
        fs::write(place.path("web").join(foreign), "<p>mine").unwrap();
        place.refused(&["report", "s.toml", "--out", "web"], 2, &[foreign, "--out"]);
        assert_eq!(fs::read_to_string(place.path("web").join(foreign)).unwrap(), "<p>mine");
        assert_eq!(fs::read_dir(place.path("web")).unwrap().count(), 1);
        fs::remove_dir_all(place.path("web")).unwrap();
    }
    let (said, text) = report(&[]);
    assert!(said.contains("croloss baseline data --at 10,50"), "{said}");
    let best = place.ok(&["best", "s.toml"]);
    let best = best.lines().next().unwrap();
    let lead: Vec<&str> = text.split("\n\n").take(3).collect();
    assert!(lead[0] == "# s" && lead[1].starts_with("holdout: the last fifth"), "{text}");
    assert!(lead[2].starts_with(&format!("{best}, ")), "{best}: {text}");
    assert!(text.find("## Cases") < text.find("## Figures"));
    for case in ["| bpr | ", "| cro a1.0 | ", "| cro a1.2 | "] {
        assert_eq!(text.matches(&format!("\n{case}")).count(), 2, "in cases and settings: {text}");
    }
    for foreign in ["claim", "Table 2", "baseline"] {
        assert!(!text.contains(foreign), "{foreign}: {text}");
    }

    let rows = place.ok(&["baseline", "data", "--at", "10,50", "--json"]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    let cell =
        |metric: &str| format!(" {:.2} ", 100.0 * rows[0]["metrics"][metric].as_f64().unwrap());
    let (said, text) = report(&["--claims"]);
    assert!(!said.contains("croloss baseline"), "{said}");
    let row = |table: &str| {
        let own = text.split_once(&format!("### {table}")).unwrap().1;
        own.lines().find(|line| line.starts_with("| baseline: popularity |")).unwrap().to_owned()
    };
    for table in ["All cases", "Table 2"] {
        let row = row(table);
        assert!(row.contains(&cell("recall@10")) && row.contains(&cell("recall@50")), "{row}");
    }
    assert!(
        text.contains("The best baseline, ") && text.contains("## The paper's claims"),
        "{text}"
    );
    assert!(text.contains("croloss report s.toml --claims"), "{text}");
}
