//! `index.html`: one page that needs nothing beside it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::claim::Verdict;
use super::drawing::{Figure, dark_sheet};
use super::report::{Findings, Report};
use super::table::{Cell, Facet, Table, Value};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn render(report: &Report) -> String {
    let (provenance, found) = (report.provenance, &report.found);
    let heat = heat_maps(found, provenance.dataset.generated_note());
    let sections: [(&str, &str, Option<Markup>); 9] = [
        ("cases", "Cases", (!report.cases.is_empty()).then(|| tables(&report.cases))),
        ("claims", "Claims", (!found.claims.is_empty()).then(|| claims(found))),
        ("tables", "Tables", (!found.tables.is_empty()).then(|| tables(&found.tables))),
        ("heat", "Heat map", heat),
        ("figures", "Figures", (!found.figures.is_empty()).then(|| figures(&found.figures))),
        ("significance", "Tests", found.tests.as_ref().map(table)),
        ("all", "Settings", Some(table(&report.variants))),
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
                title { (provenance.sweep) " · croloss" }
                style { (PreEscaped(STYLE)) (PreEscaped(dark_sheet())) }
            }
            body {
                header {
                    p.over { "croloss report · " (provenance.dataset.name) " · " (provenance.date) }
                    h1 { (provenance.sweep) }
                    @for protocol in &report.protocols { p.note { (protocol) } }
                    @if provenance.dataset.generated {
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
    let heading = |table: &Table| table.facet.as_ref().map(|facet| facet.heading.clone());
    html! {
        @for group in tables.chunk_by(|a, b| a.facet.is_some() && heading(a) == heading(b)) {
            @match heading(&group[0]) {
                Some(heading) => (side_by_side(&heading, group)),
                None => (table(&group[0])),
            }
        }
    }
}

/// The facets of a table, with the notes of the first.
fn side_by_side(heading: &str, facets: &[Table]) -> Markup {
    html! {
        h3 { (heading) }
        @for note in &facets[0].notes { p.note { (note) } }
        div.side-by-side {
            @for (one, facet) in with_facets(facets) {
                figure.table id=(one.id) { figcaption { h4 { (facet.measure) } } (grid(one)) }
            }
        }
    }
}

fn with_facets(tables: &[Table]) -> impl Iterator<Item = (&Table, &Facet)> {
    tables.iter().filter_map(|table| Some((table, table.facet.as_ref()?)))
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

/// Facets as colours: each on a scale of its own, from its lowest to its highest value.
fn heat_maps(found: &Findings, generated: &str) -> Option<Markup> {
    let maps: Vec<(&Table, &Facet)> = with_facets(&found.tables).collect();
    (!maps.is_empty()).then(|| {
        html! {
            p.note { (found.wording.heat_maps) (generated) }
            div.heat-maps { @for (table, facet) in maps { (heat_map(table, facet)) } }
        }
    })
}

fn heat_map(table: &Table, facet: &Facet) -> Markup {
    let value = |cell: &Cell| match cell {
        Cell::Value(value) => Some(value.mean),
        _ => None,
    };
    let values = || table.rows.iter().flatten().filter_map(value);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let share = |v: f64| if high > low { 100.0 * (v - low) / (high - low) } else { 50.0 };
    html! {
        table.heat {
            caption { (facet.measure) }
            thead { tr {
                th {}
                @for column in &facet.columns { th scope="col" { (column) } }
            } }
            tbody { @for (row, name) in table.rows.iter().zip(&facet.rows) { tr {
                th scope="row" { (name) }
                @for cell in &row[1..] { @match cell {
                    Cell::Text(text) => td { (text) },
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
