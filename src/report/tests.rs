//! A whole report of invented points, as files and as a browser shows it.

use std::process::Command;

use super::shared::fixtures;
use super::*;
use crate::config::{EvaluationConfig, Protocol};

fn written(dir: &Path) -> PathBuf {
    let points = fixtures::points_with_runs(&dir.join("runs"));
    let out = dir.join("report");
    write(&fixtures::provenance(), &points, &out).unwrap();
    out
}

#[test]
fn a_report_has_every_part_and_leaves_other_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("report");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("README.md"), "by hand").unwrap();
    let out = written(dir.path());
    assert_eq!(fs::read_to_string(out.join("README.md")).unwrap(), "by hand");
    let text = fs::read_to_string(out.join("report.md")).unwrap();
    for id in figure_ids() {
        assert!(
            out.join(id).with_extension("svg").is_file() && text.contains(&format!("({id}.svg)"))
        );
    }
    for part in
        ["Table 2", "Recall@500", "Table 4", "Generated data", "GENERATED data", "loss is NaN"]
    {
        assert!(text.contains(part), "{part}");
    }
    // Without the points of the figures these go, and with them what they showed.
    let points = fixtures::points();
    let paths = write(&fixtures::provenance(), &points[..2], &out).unwrap();
    assert!(!out.join("gain-of-alpha.svg").exists() && out.join("README.md").exists());
    assert!(paths.iter().all(|path| path.is_file()));
}

#[test]
fn the_sample_s_claims_are_answered_as_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let points = fixtures::points_with_runs(dir.path());
    let provenance = fixtures::provenance();
    let report = report_of(&provenance, &points).unwrap();
    let answers: Vec<(usize, &str)> =
        report.found.claims.iter().map(|c| c.verdict.text()).enumerate().collect();
    for (claim, answer) in
        [(0, "holds"), (1, "holds"), (4, "holds"), (7, "holds"), (8, "not decided on this data")]
    {
        assert_eq!(answers[claim].1, answer, "{:?}", report.found.claims[claim]);
    }
}

#[test]
fn a_sweep_of_something_else_says_nothing_about_the_paper() {
    let mut points = fixtures::points();
    points.truncate(2);
    points[1].config.tower.dim = 8;
    let provenance = fixtures::provenance();
    let report = report_of(&provenance, &points).unwrap();
    assert!(report.found.claims.is_empty() && report.found.tables.is_empty());
    assert_eq!(report.variants.rows.len(), 2);
    assert!(write(&provenance, &[], &tempfile::tempdir().unwrap().path().join("none")).is_ok());
}

#[test]
fn the_protocols_stand_under_the_title_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut points = fixtures::points();
    points.truncate(3);
    let evaluation = &mut points[2].config.evaluation;
    *evaluation = EvaluationConfig {
        at: evaluation.at.clone(),
        ..EvaluationConfig::of(Protocol::LeaveOneOut)
    };
    let [holdout, _, last] = [0, 1, 2].map(|point| points[point].config.protocol_in_words());
    assert!(holdout.starts_with("holdout: ") && last.starts_with("leave-one-out: "));
    write(&fixtures::provenance(), &points, dir.path()).unwrap();
    let text = fs::read_to_string(dir.path().join("report.md")).unwrap();
    assert!(text.starts_with(&format!("# sample\n\n{holdout}\n\n{last}\n\n> ")), "{text}");
    let page = fs::read_to_string(dir.path().join("index.html")).unwrap();
    let notes = [holdout, last].map(|words| format!("<p class=\"note\">{words}</p>")).concat();
    assert!(page.contains(&format!("<h1>sample</h1>{notes}")), "{page}");
}

#[test]
fn the_page_needs_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(written(dir.path()).join("index.html")).unwrap();
    for outside in ["http:", "https:", "src=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let ids =
        ["table-2", "table-3-20", "table-3-500", "table-4", "tests", "settings", "unfinished"];
    for id in ids.into_iter().chain(figure_ids()) {
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
    assert_eq!(page.matches("<svg").count(), 4);
    assert_eq!(page.matches("class=\"heat\"").count(), 5);
    assert!(page.contains("&lt;lower the learning rate&gt;"));
}

/// Put before and after the page's own content: what goes wrong, and what a browser makes of it.
const LISTEN: &str = "<script>addEventListener('error', (e) => { document.documentElement.dataset.error = e.message; })</script>";
const PROBE: &str = "<script>
const table = document.querySelector('#table-2 table');
table.querySelectorAll('thead button')[1].click();
const first = [...table.tBodies[0].rows].map((row) => Number(row.cells[1].dataset.value));
const plots = [...document.querySelectorAll('svg.plot')].filter((svg) => svg.getBoundingClientRect().height > 200);
document.documentElement.dataset.probe = JSON.stringify({
  tables: document.querySelectorAll('table.sortable').length,
  plots: plots.length,
  sorted: first.every((value, i) => i === 0 || first[i - 1] >= value),
});
</script>";

#[test]
fn a_browser_shows_tables_and_pictures_and_sorts() {
    let browsers = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let there = |name: &&&str| {
        Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
    };
    let Some(browser) = browsers.iter().find(there) else {
        eprintln!("skipped: there is no Chromium to open the page with");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = written(dir.path());
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    let page = page.replacen("<head>", &format!("<head>{LISTEN}"), 1);
    let page = page.replacen("</body>", &format!("{PROBE}</body>"), 1);
    let path = out.join("probe.html");
    fs::write(&path, page).unwrap();
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--dump-dom",
    ];
    let shown = Command::new(browser)
        .args(flags)
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&shown.stdout);
    let dom = dom.get(..600).unwrap_or(&dom);
    assert!(!dom.contains("data-error"), "{dom}");
    let seen = "{&quot;tables&quot;:10,&quot;plots&quot;:4,&quot;sorted&quot;:true}";
    assert!(dom.contains(seen), "{dom}");
}

/// `cargo test --release --lib look_at -- --ignored`
#[test]
#[ignore = "writes target/sample-report for a person to look at"]
fn a_report_to_look_at() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sample-report");
    let out = written(&dir);
    let mut provenance = fixtures::provenance();
    (provenance.dataset.name, provenance.dataset.generated) = ("amazon-books".into(), false);
    write(
        &provenance,
        &fixtures::points_with_runs(&dir.join("runs")),
        &out.with_extension("books"),
    )
    .unwrap();
}
