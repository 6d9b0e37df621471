//! What a terminal shows of the runs that are watched, and what its keys do.

use std::path::PathBuf;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, BorderType, Borders, Cell, HighlightSpacing, Paragraph, Row, Table, TableState, Wrap,
};

use super::cells::{COLUMNS, cells, heads, sentence, summary};
use super::chart::{Curve, Picture};
use super::columns::{Columns, shortened};
use crate::config::Metric;
use crate::watch::{Run, State, Watched};

/// Of curves and their marks in the table; readable on black and on white.
const COLOURS: [Color; 6] =
    [Color::Cyan, Color::Yellow, Color::Magenta, Color::Green, Color::Blue, Color::LightRed];

/// More curves than this nobody tells apart: all but the chosen one are grey.
const FEW: usize = 8;

/// Rows that a key for pages goes over.
const PAGE: isize = 10;

/// What is looked at.
pub struct Screen {
    /// Where none was asked for: what the first run is chosen by.
    metric: Option<Metric>,
    shows_loss: bool,
    /// A run that was chosen; the first row where none was.
    chosen: Option<PathBuf>,
    /// The place of that run among the rows.
    place: usize,
    table: TableState,
    coloured: bool,
}

impl Screen {
    /// One that begins with a metric, in colours or without.
    pub fn new(metric: Option<Metric>, coloured: bool) -> Self {
        let table = TableState::default();
        Self { metric, shows_loss: false, chosen: None, place: 0, table, coloured }
    }

    /// Takes in a key, and says whether it asks for the end.
    pub fn press(&mut self, key: KeyEvent, watched: &Watched) -> bool {
        let last = watched.runs().len() as isize;
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
            KeyCode::Up | KeyCode::Char('k') => self.go(-1, watched),
            KeyCode::Down | KeyCode::Char('j') => self.go(1, watched),
            KeyCode::PageUp => self.go(-PAGE, watched),
            KeyCode::PageDown => self.go(PAGE, watched),
            KeyCode::Home => self.go(-last, watched),
            KeyCode::End => self.go(last, watched),
            KeyCode::Char('m') => {
                let all = watched.metrics();
                let own = self.metric(watched);
                let next = all.iter().find(|metric| Some(**metric) > own).or(all.first());
                self.metric = next.copied().or(own);
                self.shows_loss = false;
            }
            KeyCode::Char('l') => self.shows_loss = !self.shows_loss,
            _ => {}
        }
        false
    }

    fn go(&mut self, rows: isize, watched: &Watched) {
        let runs = watched.in_order();
        self.find(&runs);
        let last = runs.len().saturating_sub(1);
        self.place = self.place.saturating_add_signed(rows).min(last);
        self.chosen = runs.get(self.place).map(|run| run.path.clone());
    }

    /// Where the chosen run stands now; another stands in the place of one that is gone.
    fn find(&mut self, runs: &[&Run]) {
        let place = match &self.chosen {
            Some(path) => runs.iter().position(|run| run.path == *path).unwrap_or(self.place),
            None => 0,
        };
        self.place = place.min(runs.len().saturating_sub(1));
    }

    fn metric(&self, watched: &Watched) -> Option<Metric> {
        self.metric.or_else(|| watched.monitor()).or_else(|| watched.metrics().first().copied())
    }

    /// Draws all of it.
    pub fn draw(&mut self, frame: &mut Frame, watched: &Watched) {
        let runs = watched.in_order();
        self.find(&runs);
        let metric = self.metric(watched);
        let [title, chart, table, told, keys] = areas(frame.area(), runs.len());
        let summary = summary(watched.runs());
        frame.render_widget(
            Line::from(vec![" croloss watch ".bold(), Span::raw("  "), Span::raw(summary)]),
            title,
        );
        if !chart.is_empty() {
            self.picture(&runs, metric, chart).draw(frame, chart);
        }
        self.draw_table(frame, table, &runs, metric);
        if let Some(run) = runs.get(self.place) {
            let text = format!("{}: {}", run.path.display(), sentence(run, metric));
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), told);
        }
        frame.render_widget(self.keys(keys.width), keys);
    }

    fn picture(&self, runs: &[&Run], metric: Option<Metric>, area: Rect) -> Picture<'_> {
        let what = match (self.shows_loss, metric) {
            (true, _) => " training loss over steps ".into(),
            (false, Some(metric)) => format!(" {metric} in validation, %, over steps "),
            (false, None) => " validation over steps ".into(),
        };
        let curve = |(place, run): (usize, &&Run)| Curve {
            points: match (self.shows_loss, metric) {
                (true, _) => run.log.losses.points().collect(),
                (false, Some(metric)) => {
                    let all = run.log.validations(metric).iter();
                    all.map(|(step, value)| (*step, 100.0 * value)).collect()
                }
                (false, None) => vec![],
            },
            colour: self.colour(run, place, runs.len()),
            is_chosen: place == self.place,
        };
        let wide = area.width >= 60 && area.height >= 10;
        let block = match wide {
            true => Block::bordered().border_type(BorderType::Rounded),
            false => Block::new().borders(Borders::TOP),
        };
        Picture {
            block: block.border_style(self.style(Color::DarkGray)).title(what.bold()),
            curves: runs.iter().enumerate().map(curve).collect(),
            empty: if self.shows_loss { "no loss is logged yet" } else { "no validation yet" },
            ink: self.style(Color::DarkGray),
        }
    }

    fn draw_table(&mut self, frame: &mut Frame, area: Rect, runs: &[&Run], metric: Option<Metric>) {
        let rows: Vec<_> = runs.iter().map(|run| cells(run, metric)).collect();
        let fails = runs.iter().any(|run| matches!(run.state, State::Failed(_)));
        let heads = heads(metric);
        let columns = Columns::that_fit(&heads, &rows, area.width, fails);
        let aligned = |column: usize, text: String| {
            let alignment = if column < 2 { Alignment::Left } else { Alignment::Right };
            Line::from(text).alignment(alignment)
        };
        let row = |(place, (run, cells)): (usize, (&&Run, &[String; COLUMNS]))| {
            let colour = self.colour(run, place, runs.len());
            let cell = |&column: &usize| match column {
                0 => Cell::from(Line::from(vec![
                    Span::styled("● ", Style::new().fg(colour)),
                    Span::raw(shortened(&cells[0], usize::from(columns.name))),
                ])),
                1 => Cell::from(cells[1].clone()).style(self.style(of_state(&run.state))),
                _ => Cell::from(aligned(column, cells[column].clone())),
            };
            let reason = match &run.state {
                State::Failed(reason) => reason.clone(),
                _ => String::new(),
            };
            let reason = columns.reason.then(|| Cell::from(reason).style(self.style(Color::Red)));
            Row::new(columns.shown.iter().map(cell).chain(reason))
        };
        let head = |&column: &usize| {
            let indent = if column == 0 { "  " } else { "" };
            Cell::from(aligned(column, format!("{indent}{}", heads[column])))
        };
        let head = columns.shown.iter().map(head).chain(columns.reason.then(|| "reason".into()));
        let widths: Vec<Constraint> = columns.widths();
        let table = Table::new(runs.iter().zip(&rows).enumerate().map(row), widths)
            .header(Row::new(head).style(self.style(Color::DarkGray).bold()))
            .column_spacing(2)
            .highlight_spacing(HighlightSpacing::Always)
            .highlight_symbol("▸")
            .row_highlight_style(Style::new().bold());
        self.table.select((!runs.is_empty()).then_some(self.place));
        frame.render_stateful_widget(table, area, &mut self.table);
    }

    fn keys(&self, width: u16) -> Line<'static> {
        let [run, metric] = match width {
            60.. => ["choose a run", "next metric"],
            _ => ["run", "metric"],
        };
        let other = if self.shows_loss { "metric curves" } else { "loss" };
        let keys = [("q", "end"), ("↑↓", run), ("m", metric), ("l", other)];
        let spans = keys
            .into_iter()
            .flat_map(|(key, does)| [Span::raw(" "), key.bold(), Span::raw(format!(" {does} "))]);
        Line::from_iter(spans)
    }

    fn style(&self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }

    /// Of the run in a row.
    fn colour(&self, run: &Run, place: usize, runs: usize) -> Color {
        match self.coloured {
            false => Color::Reset,
            true if runs > FEW && place != self.place => Color::DarkGray,
            true => COLOURS[run.number % COLOURS.len()],
        }
    }
}

fn of_state(state: &State) -> Color {
    match state {
        State::Running => Color::Green,
        State::Failed(_) => Color::Red,
        State::Paused => Color::Yellow,
        State::Waiting | State::Gone => Color::DarkGray,
        State::Ended(_) => Color::Reset,
    }
}

/// Where title, curves, table, the sentence of the chosen run and keys stand: of a low terminal most
/// is for curves and table.
fn areas(area: Rect, runs: usize) -> [Rect; 5] {
    let (title, told) = match area.height {
        ..12 => (0, 0),
        12..24 => (1, 1),
        _ => (1, 2),
    };
    let keys = u16::from(area.height > 2);
    let rest = area.height - title - told - keys;
    let wanted = u16::try_from(runs.max(1)).unwrap_or(u16::MAX).saturating_add(1);
    let table = wanted.min((rest * 2 / 5).max(3)).min(rest);
    // Less shows no curve.
    let table = if rest - table < 5 { rest } else { table };
    let heights = [title, rest - table, table, told, keys];
    Layout::vertical(heights.map(Constraint::Length)).areas(area)
}

#[cfg(test)]
mod tests;
