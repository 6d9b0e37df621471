//! The tables of a report, before they are Markdown or HTML.

use std::ops::Range;

use super::exhibits::{Table2, Table3, Table4};
use super::published::Published;
use super::select::{PaperRow, Setting, Study, alpha_text, kernel_name, recall};
use super::stats::mean_sd;
use super::store::{flat, plain};
use crate::config::{Metric, MetricKind};
use crate::sweep::{PointResult, Status};

/// A table with a title and what is to be known for reading it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Unique within a report, for links.
    pub id: String,
    pub title: String,
    pub notes: Vec<String>,
    pub head: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(String),
    Value(Value),
    /// No value, and why.
    Gone(&'static str),
}

/// A mean over seeds, in the unit in which it is printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Value {
    pub mean: f64,
    pub sd: Option<f64>,
    /// Digits after the point.
    pub digits: usize,
    /// The published value.
    pub published: Option<f64>,
    /// Seeds done and asked for, where they differ.
    pub partial: Option<(usize, usize)>,
    /// The best of its column.
    pub bold: bool,
    /// The best α of its row.
    pub underlined: bool,
}

impl Value {
    /// The mean as printed.
    pub fn text(&self) -> String {
        format!("{:.*}", self.digits, self.mean)
    }

    /// This value minus the published one, as printed: `+0.12`, `−0.30`.
    pub fn difference(&self) -> Option<String> {
        Some(signed(self.mean - self.published?, self.digits))
    }

    /// What equal printed values share.
    fn printed(&self) -> i64 {
        (self.mean * 10f64.powi(self.digits as i32)).round() as i64
    }
}

/// A number with its sign: `+0.12`, `−0.30`, `+0.00`.
pub fn signed(value: f64, digits: usize) -> String {
    let text = format!("{:.*}", digits, value.abs());
    let zero = text.bytes().all(|b| b == b'0' || b == b'.');
    format!("{}{text}", if value < 0.0 && !zero { "−" } else { "+" })
}

/// Recall in percent of one setting, with the value that `table` of the paper has for it.
fn recall_cell(setting: Option<&Setting>, at: usize, table: u8, published: &Published) -> Cell {
    let Some(setting) = setting else { return Cell::Gone("–") };
    match metric_cell(setting, recall(at)) {
        Cell::Value(value) => {
            let row = setting.row;
            let published = row.and_then(|row: PaperRow| published.recall(table, row, at));
            Cell::Value(Value { published, ..value })
        }
        gone => gone,
    }
}

/// A test metric of one setting, in percent.
pub fn metric_cell(setting: &Setting, metric: Metric) -> Cell {
    let values = setting.test(metric);
    let Some((mean, sd)) = mean_sd(&values) else { return Cell::Gone(why_gone(setting)) };
    let (done, all) = (values.len(), setting.points.len());
    Cell::Value(Value {
        mean: 100.0 * mean,
        sd: sd.map(|sd| 100.0 * sd),
        digits: 2,
        partial: (done < all).then_some((done, all)),
        ..Value::default()
    })
}

/// Why a setting has no value.
pub fn why_gone(setting: &Setting) -> &'static str {
    let failed = |p: &&PointResult| matches!(p.status, Status::Failed(_));
    match (setting.points.iter().any(failed), setting.done().next()) {
        (_, Some(_)) => "–",
        (true, None) => "failed",
        (false, None) => "missing",
    }
}

impl Table {
    /// Marks the best of each of `columns`, if there are two to choose from.
    pub fn bold_best(mut self, columns: Range<usize>) -> Self {
        for column in columns {
            let cells = self.rows.iter_mut().filter_map(|row| value(row.get_mut(column)?));
            let mut values: Vec<&mut Value> = cells.collect();
            let best = values.iter().map(|v| v.printed()).max();
            if values.len() > 1 {
                values.iter_mut().for_each(|v| v.bold = Some(v.printed()) == best);
            }
        }
        self
    }

    /// Marks the best of each row.
    fn underline_best(mut self) -> Self {
        for row in &mut self.rows {
            let mut values: Vec<&mut Value> = row.iter_mut().filter_map(value).collect();
            let best = values.iter().map(|v| v.printed()).max();
            if values.len() > 1 {
                values.iter_mut().for_each(|v| v.underlined = Some(v.printed()) == best);
            }
        }
        self
    }

    /// As Markdown, with its title as a heading of the third level.
    pub fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        for note in &self.notes {
            text += &format!("{note}\n\n");
        }
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        text += &line(self.head.iter().map(|head| escaped(head)).collect());
        let rule = |column| match self
            .rows
            .iter()
            .all(|row| matches!(row.get(column), Some(Cell::Text(_))))
        {
            true => "---",
            false => "---:",
        };
        text += &line((0..self.head.len()).map(|column| rule(column).into()).collect());
        for row in &self.rows {
            text += &line(row.iter().map(Cell::markdown).collect());
        }
        text
    }
}

impl Cell {
    fn markdown(&self) -> String {
        let value = match self {
            Cell::Text(text) => return escaped(text),
            Cell::Gone(why) => return (*why).into(),
            Cell::Value(value) => value,
        };
        let spread = value.sd.map_or(String::new(), |sd| format!(" ± {sd:.*}", value.digits));
        let mut text = value.text() + &spread;
        if value.bold {
            text = format!("**{text}**");
        }
        if value.underlined {
            text = format!("<u>{text}</u>");
        }
        if let Some((done, all)) = value.partial {
            text += &format!(" [{done} of {all} seeds]");
        }
        if let (Some(published), Some(difference)) = (value.published, value.difference()) {
            text += &format!(" ({published:.2}; {difference})");
        }
        text
    }
}

fn value(cell: &mut Cell) -> Option<&mut Value> {
    match cell {
        Cell::Value(value) => Some(value),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ");
    text.replace('*', "\\*")
}

fn notes(published: &Published, more: &str) -> Vec<String> {
    let mut text = String::from(
        "Recall on the test users, in percent; mean ± standard deviation over seeds where there are several. Bold: best of its column",
    );
    text += more;
    text += ".";
    if !published.is_empty() {
        text += " Then, where the paper has one: the published value, and ours minus it.";
    }
    vec![text]
}

/// Methods × Recall@N.
pub fn table2(study: &Study, table: &Table2, published: &Published) -> Option<Table> {
    let rows = table.rows();
    let row = |setting: &&Setting| {
        let label = setting.row.map(|row| row.label()).unwrap_or_default();
        let cell = |&at: &usize| recall_cell(Some(setting), at, 2, published);
        std::iter::once(Cell::Text(label)).chain(study.at.iter().map(cell)).collect()
    };
    let mut notes = notes(published, "");
    if published.is_empty() {
        notes.push("The setting of a CROLoss row is the one with the most seeds and, of these, the best in validation.".into());
    }
    (rows.len() > 1).then(|| {
        Table {
            id: "table-2".into(),
            title: "Table 2: methods".into(),
            notes,
            head: head(&["method"], &study.at),
            rows: rows.iter().map(row).collect(),
        }
        .bold_best(1..1 + study.at.len())
    })
}

/// Kernel × α, one table for each N.
pub fn table3(study: &Study, table: &Table3, published: &Published) -> Vec<Table> {
    let one = |&at: &usize| {
        let row = |row: &super::exhibits::KernelRow| {
            let cells = row.cells.iter().map(|cell| recall_cell(*cell, at, 3, published));
            std::iter::once(Cell::Text(row.label.clone())).chain(cells).collect()
        };
        let alphas = table.alphas.iter().map(|&alpha| format!("α = {}", alpha_text(alpha)));
        Table {
            id: format!("table-3-{at}"),
            title: format!("Table 3: kernel × α, Recall@{at}"),
            notes: if study.at.first() == Some(&at) {
                notes(published, ", underlined: best α of its row")
            } else {
                vec![]
            },
            head: std::iter::once("kernel".to_owned()).chain(alphas).collect(),
            rows: table.rows.iter().map(row).collect(),
        }
        .bold_best(1..1 + table.alphas.len())
        .underline_best()
    };
    study.at.iter().map(one).collect()
}

/// φ₁ × φ₂ × N.
pub fn table4(study: &Study, table: &Table4, published: &Published) -> Table {
    let row = |(rank, kernel, setting): &(_, _, &Setting)| {
        let names = [*rank, *kernel].map(|kernel| Cell::Text(kernel_name(kernel).into()));
        let cell = |&at: &usize| recall_cell(Some(setting), at, 4, published);
        names.into_iter().chain(study.at.iter().map(cell)).collect()
    };
    Table {
        id: "table-4".into(),
        title: format!("Table 4: kernels of the Lambda method, α = {}", alpha_text(table.alpha)),
        notes: notes(published, ""),
        head: head(&["φ₁ (rank)", "φ₂ (gradient)"], &study.at),
        rows: table.rows.iter().map(row).collect(),
    }
    .bold_best(2..2 + study.at.len())
}

fn head(first: &[&str], at: &[usize]) -> Vec<String> {
    let first = first.iter().map(|head| head.to_string());
    first.chain(at.iter().map(|n| format!("Recall@{n}"))).collect()
}

/// One row a setting, with the keys that differ: for any sweep.
///
/// # Errors
/// A configuration that cannot be written as TOML.
pub fn settings(study: &Study) -> anyhow::Result<Table> {
    let flats = study.settings.iter().map(|s| flat(s.config)).collect::<Result<Vec<_>, _>>()?;
    let value = |flat: &[(String, toml::Value)], key: &str| {
        flat.iter().find(|(k, _)| k == key).map(|(_, v)| plain(v)).unwrap_or_default()
    };
    let mut keys: Vec<&String> = vec![];
    for (key, _) in flats.iter().flatten() {
        let same = flats.iter().all(|flat| value(flat, key) == value(&flats[0], key));
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
    let row = |(setting, flat): (&Setting, &Vec<_>)| {
        let mut row: Vec<Cell> = keys.iter().map(|key| Cell::Text(value(flat, key))).collect();
        if keys.is_empty() {
            row.push(Cell::Text("all points".into()));
        }
        row.push(Cell::Text(progress(setting)));
        row.extend(metrics.iter().map(|&metric| metric_cell(setting, metric)));
        row.push(result_cell(setting, 0, |o| o.best_step as f64));
        row.push(result_cell(setting, 1, |o| o.train_seconds));
        row
    };
    let mut head: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    if keys.is_empty() {
        head.push("setting".into());
    }
    let first = head.len() + 1;
    head.push("seeds".into());
    head.extend(metrics.iter().map(Metric::to_string));
    // Steps and seconds have no best.
    let judged = first..head.len();
    head.extend(["best step".into(), "training, s".into()]);
    Ok(Table {
        id: "settings".into(),
        title: "All settings".into(),
        notes: vec!["Test metrics in percent, mean ± standard deviation over seeds; the keys are those that differ between settings. Every metric of every point stands in results.csv.".into()],
        head,
        rows: study.settings.iter().zip(&flats).map(row).collect(),
    }
    .bold_best(judged))
}

/// A number of the runs of one setting.
pub fn result_cell(
    setting: &Setting,
    digits: usize,
    of: fn(&crate::train::RunResult) -> f64,
) -> Cell {
    let values: Vec<f64> = setting.done().filter_map(|p| p.result().map(of)).collect();
    match mean_sd(&values) {
        Some((mean, sd)) => Cell::Value(Value { mean, sd, digits, ..Value::default() }),
        None => Cell::Gone(why_gone(setting)),
    }
}

/// `3`, or `2 of 3 done, 1 failed`.
fn progress(setting: &Setting) -> String {
    let all = setting.points.len();
    let done = setting.done().count();
    let failed = setting.points.iter().filter(|p| matches!(p.status, Status::Failed(_))).count();
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
        notes: vec![],
        head: ["point", "status", "reason"].map(String::from).into(),
        rows,
    })
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
