//! `report.md`.

use super::report::Report;
use super::table::Table;

/// The whole report, its figures as links to the files beside it.
pub fn render(report: &Report) -> String {
    let (provenance, found) = (report.provenance, &report.found);
    let mut text = format!("# {}\n\n", provenance.sweep);
    for protocol in &report.protocols {
        text += &format!("{protocol}\n\n");
    }
    if provenance.dataset.generated {
        text += "> **Generated data.** A program made the data of this report up: its figures say nothing about real users.\n\n";
    }
    text += &report.summary.join(" ");
    text += "\n\n";
    let section = |title: &str, tables: Vec<&Table>| -> String {
        if tables.is_empty() {
            return String::new();
        }
        let all: Vec<String> = tables.into_iter().map(Table::markdown).collect();
        format!("## {title}\n\n{}\n", all.join("\n"))
    };
    text += &section("Cases", report.cases.iter().collect());
    if !found.claims.is_empty() {
        text +=
            &format!("## {} claims\n\n| claim | answer |\n| --- | --- |\n", found.wording.whose);
        for claim in &found.claims {
            text += &format!("| {} | **{}** |\n", claim.statement, claim.verdict.text());
        }
        text += &format!(
            "\n{} The rule of each answer, and the numbers behind it:\n\n",
            found.wording.basis
        );
        for claim in &found.claims {
            text +=
                &format!("- **{}: {}.** {}\n", claim.statement, claim.verdict.text(), claim.rule);
            for number in &claim.numbers {
                text += &format!("  - {number}\n");
            }
        }
        text += "\n";
    }
    text += &section(found.wording.tables, found.tables.iter().collect());
    if !found.figures.is_empty() {
        text += "## Figures\n\n";
        for figure in &found.figures {
            text += &format!(
                "### {}\n\n![{}]({}.svg)\n\n{}\n\n",
                figure.title, figure.title, figure.id, figure.caption
            );
        }
    }
    text += &section("Tests", found.tests.iter().collect());
    text += &section("Settings", vec![&report.variants]);
    text += &section("Not done", report.unfinished.iter().collect());
    text += "## How it was made\n\n";
    for (name, value) in &report.made {
        text += &format!("- {name}: {value}\n");
    }
    text + "\nEvery point, with its whole configuration and all metrics: `results.csv`, `results.parquet`.\n"
}
