//! A table of a report, before it is Markdown or HTML.

use std::ops::Range;

/// A table with a title and what is to be known for reading it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Unique within a report, for links.
    pub id: String,
    pub title: String,
    pub notes: Vec<String>,
    pub head: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Where it is one of several that belong together.
    pub facet: Option<Facet>,
}

/// What makes a table one of several with the same rows and columns, each of another measure: a page
/// shows them side by side, and a heat map of each.
#[derive(Clone, Debug)]
pub struct Facet {
    /// What all of them are: `Table 3: kernel × α`.
    pub heading: String,
    /// What this one measures: `Recall@50`.
    pub measure: String,
    /// Short names of the columns after the first.
    pub columns: Vec<String>,
    /// Short names of the rows.
    pub rows: Vec<String>,
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
    /// The best of its row.
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
    pub fn underline_best(mut self) -> Self {
        for row in &mut self.rows {
            let mut values: Vec<&mut Value> = row.iter_mut().filter_map(value).collect();
            let best = values.iter().map(|v| v.printed()).max();
            if values.len() > 1 {
                values.iter_mut().for_each(|v| v.underlined = Some(v.printed()) == best);
            }
        }
        self
    }

    /// With a name before each row.
    pub fn with_first_column(mut self, head: &str, names: Vec<String>) -> Self {
        self.head.insert(0, head.into());
        let named = self.rows.iter_mut().zip(names);
        named.for_each(|(row, name)| row.insert(0, Cell::Text(name)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs() {
        assert_eq!([0.004, -0.004, -0.126].map(|v| signed(v, 2)), ["+0.00", "+0.00", "−0.13"]);
    }
}
