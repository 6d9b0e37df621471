//! Which columns of the table a terminal has room for.

use ratatui::layout::Constraint;
use ratatui::text::Span;

use super::cells::COLUMNS;

/// The columns behind the name in the order in which they are given up, the last first: state, best,
/// step, validation, loss, left, at step, steps/s.
const BY_IMPORTANCE: [usize; COLUMNS - 1] = [1, 7, 2, 6, 5, 4, 8, 3];

/// The mark of the chosen row and that of a curve, before a name.
const MARKS: u16 = 3;

/// The least that is left of names.
const NAME: u16 = 8;

/// The least that a reason is shown in.
const REASON: u16 = 16;

/// Between two columns.
const SPACE: u16 = 2;

/// Columns, and how wide they are.
pub struct Columns {
    pub shown: Vec<usize>,
    widths: [u16; COLUMNS],
    /// Of the name.
    pub name: u16,
    /// Whether there is room for why runs have failed.
    pub reason: bool,
}

impl Columns {
    /// As many as `room` holds; one for reasons behind them if it is `wanted`.
    pub fn that_fit(
        heads: &[String; COLUMNS],
        rows: &[[String; COLUMNS]],
        room: u16,
        wanted: bool,
    ) -> Self {
        let width = |text: &String| u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX);
        let widths = std::array::from_fn(|column| {
            let all = rows.iter().map(|row| &row[column]).chain([&heads[column]]);
            all.map(width).max().unwrap_or_default()
        });
        let room = room.saturating_sub(MARKS);
        let mut shown = vec![0];
        let mut used = widths[0].min(NAME);
        for column in BY_IMPORTANCE {
            let with = used.saturating_add(SPACE).saturating_add(widths[column]);
            if with <= room {
                shown.push(column);
                used = with;
            }
        }
        shown.sort_unstable();
        let name = room.saturating_sub(used - widths[0].min(NAME)).min(widths[0]);
        let left = room.saturating_sub(used - widths[0].min(NAME) + name);
        Self { shown, widths, name, reason: wanted && left >= REASON + SPACE }
    }

    /// For each column that is shown.
    pub fn widths(&self) -> Vec<Constraint> {
        let width = |&column: &usize| match column {
            0 => Constraint::Length(self.name + MARKS - 1),
            _ => Constraint::Length(self.widths[column]),
        };
        self.shown.iter().map(width).chain(self.reason.then_some(Constraint::Fill(1))).collect()
    }
}

/// A name in at most `most` columns: of a longer one the beginning and the end, by which names of a
/// sweep differ.
pub fn shortened(name: &str, most: usize) -> String {
    let all: Vec<char> = name.chars().collect();
    if all.len() <= most {
        return name.to_owned();
    }
    let Some(kept) = most.checked_sub(1) else { return String::new() };
    let end = kept / 2;
    let start: String = all[..kept - end].iter().collect();
    start + "…" + &all[all.len() - end..].iter().collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(name: &str, room: u16, wanted: bool) -> Columns {
        let heads = super::super::cells::heads(Some("recall@50".parse().unwrap()));
        let row =
            [name, "running", "1,200/3,000", "45.1", "40 s", "2.3456", "12.34", "12.40", "1,000"];
        Columns::that_fit(&heads, &[row.map(String::from)], room, wanted)
    }

    #[test]
    fn a_narrow_terminal_keeps_what_matters_and_a_wide_one_all() {
        // Marks 3, name 8, and with two blanks before each: state 7, best 5, step 11.
        assert_eq!(fit("bpr_seed=1", 40, false).shown, [0, 1, 2, 7]);
        assert_eq!(fit("bpr_seed=1", 39, false).shown, [0, 1, 5, 7]);
        assert_eq!(fit("bpr_seed=1", 12, true).shown, [0]);
        let wide = fit("bpr_seed=1", 120, true);
        assert_eq!(wide.shown, (0..COLUMNS).collect::<Vec<_>>());
        assert!(wide.name == 10 && wide.reason);
        assert!(!fit("bpr_seed=1", 80, true).reason);
        // What no other column takes is the name's.
        assert_eq!(
            fit(&"x".repeat(50), 100, true).name,
            100 - 3 - (9 + 13 + 9 + 6 + 8 + 13 + 7 + 9)
        );
    }

    #[test]
    fn a_long_name_keeps_its_ends() {
        assert_eq!(shortened("kernel_seed=1", 13), "kernel_seed=1");
        assert_eq!(shortened("kernel_seed=1", 9), "kern…ed=1");
        assert_eq!(shortened("kernel", 1), "…");
        assert_eq!(shortened("kernel", 0), "");
    }
}
