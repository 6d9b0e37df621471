//! `index.html`: one page that needs nothing beside it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::{Figure, dark_sheet};
use super::tables::{Cell, Table, Value};
use super::verdict::Verdict;
use super::{Findings, Report};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn render(report: &Report) -> String {
    let (about, found) = (report.about, &report.found);
    let heat = heat_maps(&found.tables, about.dataset.generated_note());
    let sections: [(&str, &str, Option<Markup>); 8] = [
        ("claims", "Claims", (!found.claims.is_empty()).then(|| claims(found))),
        ("tables", "Tables", (!found.tables.is_empty()).then(|| tables(&found.tables))),
        ("heat", "Heat map", heat),
        ("figures", "Figures", (!found.figures.is_empty()).then(|| figures(&found.figures))),
        ("significance", "Tests", found.tests.as_ref().map(table)),
        ("all", "Settings", Some(table(&report.settings))),
        ("not-done", "Not done", report.unfinished.as_ref().map(table)),
        ("made", "How it was made", Some(made(report))),
    ];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (about.sweep) " · croloss" }
                style { (PreEscaped(STYLE)) (PreEscaped(dark_sheet())) }
            }
            body {
                header {
                    p.over { "croloss report · " (about.dataset.name) " · " (about.date) }
                    h1 { (about.sweep) }
                    @if about.dataset.generated {
                        p.generated role="note" {
                            strong { "Generated data. " }
                            "A program made the data of this report up: its figures say nothing about real users."
                        }
                    }
                    div.summary { @for line in &report.summary { p { (line) } } }
                }
                nav aria-label="Sections" {
                    @for (id, title, content) in &sections {
                        @if content.is_some() { a href={ "#" (id) } { (title) } }
                    }
                }
                main {
                    @for (id, title, content) in &sections {
                        @if let Some(content) = content {
                            section id=(id) { h2 { (title) } (content) }
                        }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

fn claims(found: &Findings) -> Markup {
    let (class, sign) = (
        |verdict| match verdict {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "fails",
            Verdict::NotDecided => "open",
        },
        |verdict| match verdict {
            Verdict::Holds => "✓",
            Verdict::DoesNotHold => "✗",
            Verdict::NotDecided => "?",
        },
    );
    html! {
        p.note { (found.wording.basis) " Open a claim for its rule and numbers." }
        ol.claims {
            @for claim in &found.claims {
                li class=(class(claim.verdict)) {
                    span.verdict { span aria-hidden="true" { (sign(claim.verdict)) } " " (claim.verdict.text()) }
                    details {
                        summary { (claim.statement) }
                        ul { @for number in &claim.numbers { li { (number) } } }
                        p.rule { (claim.rule) }
                    }
                }
            }
        }
    }
}

fn tables(tables: &[Table]) -> Markup {
    let (kernels, others): (Vec<&Table>, Vec<&Table>) =
        tables.iter().partition(|table| is_table3(table));
    html! {
        @for one in others.iter().filter(|table| table.id == "table-2") { (table(one)) }
        @if let Some(first) = kernels.first() {
            h3 { "Table 3: kernel × α" }
            @for note in &first.notes { p.note { (note) } }
            div.side-by-side {
                @for one in &kernels {
                    figure.table id=(one.id) { figcaption { h4 { (list_length(one)) } } (grid(one)) }
                }
            }
        }
        @for one in others.iter().filter(|table| table.id != "table-2") { (table(one)) }
    }
}

fn is_table3(table: &Table) -> bool {
    table.id.starts_with("table-3-")
}

/// `Recall@50` of `Table 3: kernel × α, Recall@50`.
fn list_length(table: &Table) -> &str {
    table.title.rsplit(", ").next().unwrap_or(&table.title)
}

/// A table that sorts when a head is pressed.
fn table(table: &Table) -> Markup {
    html! {
        figure.table id=(table.id) {
            figcaption {
                h3 { (table.title) }
                @for note in &table.notes { p { (note) } }
            }
            (grid(table))
        }
    }
}

fn grid(table: &Table) -> Markup {
    let text = |i: usize| table.rows.iter().all(|row| matches!(row.get(i), Some(Cell::Text(_))));
    html! {
        div.scroll tabindex="0" {
            table.sortable {
                thead { tr {
                    @for (i, head) in table.head.iter().enumerate() {
                        th.text[text(i)] scope="col" { button type="button" { (head) } }
                    }
                } }
                tbody {
                    @for row in &table.rows {
                        tr { @for (i, one) in row.iter().enumerate() { (cell(one, i == 0)) } }
                    }
                }
            }
        }
    }
}

fn cell(cell: &Cell, first: bool) -> Markup {
    match cell {
        Cell::Text(text) if first => html! { th scope="row" { (text) } },
        Cell::Text(text) => html! { td.text { (text) } },
        Cell::Gone(why) => html! { td.gone { (why) } },
        Cell::Value(v) => html! {
            td data-value=(v.mean) {
                (number(v))
                @if let Some((done, all)) = v.partial { " " span.partial { (done) " of " (all) } }
                @if let (Some(published), Some(difference)) = (v.published, v.difference()) {
                    span.published title="published value, and ours minus it" {
                        (format!("{published:.2}")) " "
                        b class=(if difference.starts_with('−') { "less" } else { "more" }) { (difference) }
                    }
                }
            }
        },
    }
}

fn number(v: &Value) -> Markup {
    let text = html! {
        (v.text())
        @if let Some(sd) = v.sd { span.sd { " ± " (format!("{sd:.*}", v.digits)) } }
    };
    let text = if v.bold {
        html! { strong { (text) } }
    } else {
        text
    };
    if v.underlined {
        html! { u { (text) } }
    } else {
        text
    }
}

/// Table 3 as colours: each N on a scale of its own, from its lowest to its highest value.
fn heat_maps(tables: &[Table], generated: &str) -> Option<Markup> {
    let maps: Vec<&Table> = tables.iter().filter(|t| is_table3(t)).collect();
    (!maps.is_empty()).then(|| html! {
        p.note { "Table 3 in colours. Each list length has a scale of its own, from its lowest recall to its highest: the stronger the blue, the higher. The best value is framed." (generated) }
        div.heat-maps { @for map in maps { (heat_map(map)) } }
    })
}

fn heat_map(map: &Table) -> Markup {
    let value = |cell: &Cell| match cell {
        Cell::Value(value) => Some(value.mean),
        _ => None,
    };
    let values = || map.rows.iter().flatten().filter_map(value);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let share = |v: f64| if high > low { 100.0 * (v - low) / (high - low) } else { 50.0 };
    html! {
        table.heat {
            caption { (list_length(map)) }
            thead { tr {
                th {}
                @for head in map.head.iter().skip(1) { th scope="col" { (head.trim_start_matches("α = ")) } }
            } }
            tbody { @for row in &map.rows { tr {
                @for cell in row { @match cell {
                    Cell::Text(text) => th scope="row" { (text.replace("lambda: ", "λ ")) },
                    Cell::Gone(why) => td.gone { (why) },
                    Cell::Value(v) => td
                        .deep[share(v.mean) > 65.0]
                        .middle[(48.0..=65.0).contains(&share(v.mean))]
                        .top[v.mean == high]
                        style=(format!("--share:{:.0}%", share(v.mean))) { (v.text()) },
                } }
            } } }
        }
    }
}

fn figures(figures: &[Figure]) -> Markup {
    html! {
        @for one in figures {
            figure.plot id=(one.id) {
                h3 { (one.title) }
                // Within a page, SVG needs no name space.
                div.scroll tabindex="0" { (PreEscaped(one.svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1))) }
                figcaption { (one.caption) " " a href={ (one.id) ".svg" } { "SVG file" } }
            }
        }
    }
}

fn made(report: &Report) -> Markup {
    html! {
        dl { @for (name, value) in &report.made { dt { (name) } dd { (value) } } }
        p.note {
            "Every point with its whole configuration and all metrics: "
            a href="results.csv" { "results.csv" } ", " a href="results.parquet" { "results.parquet" }
            ". The same report as text: " a href="report.md" { "report.md" } "."
        }
    }
}
