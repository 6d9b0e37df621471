//! What stands where on terminals of several sizes, drawn from folders made by hand.

use std::fs;
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::*;
use crate::watch::fixtures::{begin, end, fail, hold, loss, validation};

/// A folder of runs, the screen that shows them, and what it last showed.
struct Place {
    folder: tempfile::TempDir,
    screen: Screen,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        Self { folder, screen: Screen::new(None, true) }
    }

    fn run(&self, name: &str, lines: &[String]) -> PathBuf {
        let run = self.folder.path().join(name);
        begin(&run, 1_000, lines);
        run
    }

    fn watched(&self) -> Watched {
        Watched::open(&[self.folder.path().into()]).unwrap()
    }

    fn drawn(&mut self, watched: &Watched, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| self.screen.draw(frame, watched)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(&mut self, watched: &Watched, width: u16, height: u16) -> Vec<String> {
        lines(&self.drawn(watched, width, height))
    }

    fn press(&mut self, watched: &Watched, code: KeyCode) -> bool {
        self.screen.press(KeyEvent::new(code, KeyModifiers::NONE), watched)
    }
}

/// The rows of a terminal, without blanks at their ends.
fn lines(buffer: &Buffer) -> Vec<String> {
    let rows = buffer.content.chunks(usize::from(buffer.area.width).max(1));
    let text = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect();
    rows.map(|row| -> String { text(row) }).map(|row| row.trim_end().to_owned()).collect()
}

fn is_braille(c: char) -> bool {
    ('\u{2801}'..='\u{28ff}').contains(&c)
}

fn is_block(c: char) -> bool {
    ('\u{2580}'..='\u{259f}').contains(&c)
}

fn validations(values: &[f64]) -> Vec<String> {
    values.iter().zip(1..).map(|(value, at)| validation(100 * at, *value)).collect()
}

#[test]
fn a_wide_terminal_has_curves_a_table_and_the_chosen_run() {
    let mut place = Place::new();
    let flat = place.run("flat", &validations(&[0.1; 5]));
    end(&flat, 500);
    let rising = place.run("rising", &validations(&[0.1, 0.125, 0.15, 0.175, 0.2]));
    hold(&rising);
    let watched = place.watched();
    let lines = place.lines(&watched, 100, 30);
    assert_eq!(lines[0], " croloss watch   2 runs: 1 running, 1 ended");
    assert!(lines[1].starts_with("╭ recall@50 in validation, %, over steps ─"), "{}", lines[1]);
    let table = &lines[24..27];
    let expected = [
        "   run     state    step       steps/s  left        loss  recall@50 %   best  at step",
        "▸● rising  running  500/1,000     10.0  50 s           –        20.00  20.00      500",
        " ● flat    ended    500/1,000     50.0  –              –        10.00  10.00      100",
    ];
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(table.iter().map(|line| squeezed(line)).collect::<Vec<_>>(), expected.map(squeezed));
    let told = format!("{}: running, step 500 of 1,000, best", rising.display());
    let said = lines[27..29].join(" ");
    assert!(squeezed(&said).replace(' ', "").starts_with(&told.replace(' ', "")), "{said}");
    assert_eq!(lines[29], " q end  ↑↓ choose a run  m next metric  l loss");

    // Between the frame, the labels and the axes: bounds are 10 and 20 %.
    let graph: Vec<&String> = lines[2..21].iter().collect();
    assert!(graph[0].contains("20") && graph[18].contains("10"), "{graph:?}");
    let last = graph[0].trim_end_matches(['│', ' ']).chars().last().unwrap();
    assert!(is_block(last), "the chosen one ends at the top: {}", graph[0]);
    assert!(!graph[..17].iter().any(|line| line.chars().any(is_braille)), "the other is flat");
    let bottom = graph[18].chars().filter(|c| is_braille(*c) || is_block(*c)).count();
    assert!(bottom > 60, "the flat one lies at the bottom: {}", graph[18]);
    assert!(lines[22].contains(" 0 ") && lines[22].contains("500"), "{}", lines[22]);
}

#[test]
fn a_narrow_terminal_has_a_little_of_both() {
    let mut place = Place::new();
    for case in ["bpr_seed=1", "bpr_seed=2", "cro_seed=1"] {
        let name = &format!("losses_{case}-0123456789ab");
        place.run(name, &validations(&[0.1, 0.2]));
    }
    let watched = place.watched();
    let lines = place.lines(&watched, 40, 10);
    assert!(lines[0].starts_with(" recall@50 in validation"), "{}", lines[0]);
    assert!(lines[1..4].iter().any(|line| line.chars().any(is_block)), "{lines:?}");
    assert_eq!(lines[6], "   run          state        step   best");
    assert_eq!(lines[7], "▸● losse…eed=1  paused  200/1,000  20.00");
    assert_eq!(lines[8], " ● losse…eed=2  paused  200/1,000  20.00");
    assert_eq!(lines[9], " q end  ↑↓ run  m metric  l loss");
}

#[test]
fn no_size_is_too_small() {
    let mut place = Place::new();
    place.run("a", &validations(&[0.1, 0.2]));
    let run = place.run("b", &[loss(10, 4.0)]);
    fail(&run, "a long story");
    let watched = place.watched();
    for width in [0, 1, 2, 3, 4, 7, 12, 30, 60, 300] {
        for height in (0..30).chain([100]) {
            for _ in 0..2 {
                place.lines(&watched, width, height);
                place.press(&watched, KeyCode::Char('l'));
            }
        }
    }
}

#[test]
fn without_a_run_it_says_so_until_one_comes() {
    let mut place = Place::new();
    let mut watched = place.watched();
    let lines = place.lines(&watched, 80, 20);
    assert_eq!(lines[0], " croloss watch   no run yet");
    assert!(lines.iter().any(|line| line.contains("no validation yet")), "{lines:?}");
    for key in ["j", "k", "m", "l"] {
        assert!(!place.press(&watched, KeyCode::Char(key.parse().unwrap())));
    }
    assert!(place.lines(&watched, 80, 20).iter().any(|line| line.contains("no loss is logged")));
    place.run("a", &validations(&[0.1]));
    watched.look();
    assert_eq!(place.lines(&watched, 80, 20)[0], " croloss watch   1 run, paused");
}

#[test]
fn losses_that_are_no_numbers_are_told_and_not_drawn() {
    let mut place = Place::new();
    let null = loss(30, 4.0).replace("4.0", "null");
    let endless = loss(40, 4.0).replace("4.0", "1e999");
    let huge = loss(50, 1e300);
    let torn = &loss(60, 2.0)[..30];
    place.run("a", &[loss(10, 4.0), loss(20, 3.0), null, endless, huge, torn.into()]);
    place.run("b", &[loss(10, 4.0).replace("4.0", "null")]);
    let watched = place.watched();
    place.press(&watched, KeyCode::Char('l'));
    let lines = place.lines(&watched, 100, 20);
    assert!(lines[1].contains("training loss over steps"), "{}", lines[1]);
    let labels: String = lines[2..12].concat();
    assert!(labels.contains("4.0") && labels.contains("3.0") && !labels.contains('e'), "{labels}");
    let row = |name: &str| lines.iter().find(|line| line.contains(name)).unwrap().clone();
    assert!(row("● b").contains("10/1,000") && row("● b").contains("NaN"), "{lines:?}");
    assert!(row("● a").contains("50/1,000") && row("● a").contains("1.000e300"), "{lines:?}");
}

#[test]
fn a_run_that_vanishes_leaves_its_row_where_it_was_asked_for() {
    let mut place = Place::new();
    let run = place.run("a", &validations(&[0.1, 0.2]));
    place.run("b", &validations(&[0.1, 0.2]));
    let mut alone = Watched::open(std::slice::from_ref(&run)).unwrap();
    let mut all = place.watched();
    place.press(&all, KeyCode::Down);
    fs::remove_dir_all(&run).unwrap();
    alone.look();
    all.look();
    assert_eq!(place.lines(&alone, 80, 20)[0], " croloss watch   1 run, gone");
    let lines = place.lines(&all, 80, 20);
    assert!(lines.iter().any(|line| line.starts_with("▸● b")), "{lines:?}");
}

#[test]
fn keys_choose_a_run_a_metric_and_the_end() {
    let mut place = Place::new();
    for number in 10..40 {
        place.run(&format!("run{number}"), &validations(&[0.1, 0.2]));
    }
    let watched = place.watched();
    let chosen = |place: &mut Place, code: KeyCode| {
        assert!(!place.press(&watched, code));
        let lines = place.lines(&watched, 80, 24);
        lines.iter().find_map(|line| Some(line.strip_prefix("▸● ")?[..5].to_owned())).unwrap()
    };
    let keys = [
        (KeyCode::Char('j'), "run11"),
        (KeyCode::Down, "run12"),
        (KeyCode::Char('k'), "run11"),
        (KeyCode::PageDown, "run21"),
        (KeyCode::End, "run39"),
        (KeyCode::Down, "run39"),
        (KeyCode::PageUp, "run29"),
        (KeyCode::Home, "run10"),
        (KeyCode::Up, "run10"),
        (KeyCode::Char('x'), "run10"),
    ];
    for (key, expected) in keys {
        assert_eq!(chosen(&mut place, key), expected, "{key}");
    }
    // By the protocol and the lengths of the configuration: of recall, hitrate and so on in turn.
    let title = |place: &mut Place| place.lines(&watched, 80, 24)[1].clone();
    assert!(title(&mut place).contains(" recall@50 in validation"));
    for expected in ["recall@100", "recall@200", "recall@500", "hitrate@20"] {
        place.press(&watched, KeyCode::Char('m'));
        assert!(title(&mut place).contains(&format!(" {expected} in ")), "{expected}");
    }
    for _ in 0..20 {
        place.press(&watched, KeyCode::Char('m'));
    }
    assert!(title(&mut place).contains(" recall@20 in"), "{}", title(&mut place));
    assert!(!place.screen.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::NONE), &watched));
    for (key, modifiers) in [
        (KeyCode::Char('q'), KeyModifiers::NONE),
        (KeyCode::Esc, KeyModifiers::NONE),
        (KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        assert!(place.screen.press(KeyEvent::new(key, modifiers), &watched), "{key}");
    }
}

#[test]
fn a_failed_run_says_why_in_its_row_where_there_is_room() {
    let mut place = Place::new();
    let run = place.run("a", &[loss(10, 4.0)]);
    fail(&run, "the disk is full");
    let watched = place.watched();
    let row = |lines: Vec<String>| lines.into_iter().find(|line| line.contains("● a")).unwrap();
    let wide = row(place.lines(&watched, 140, 24));
    assert!(wide.contains("failed") && wide.ends_with("the disk is full"), "{wide}");
    let lines = place.lines(&watched, 80, 24);
    assert!(lines[22].contains("the disk is full") || lines[21].contains("the disk is full"));
    assert!(!row(lines).contains("disk"));
}

#[test]
fn few_curves_have_colours_of_many_the_chosen_one_and_without_colours_none() {
    let colours = |place: &mut Place| {
        let watched = place.watched();
        let buffer = place.drawn(&watched, 120, 30);
        let mut all: Vec<Color> = buffer.content.iter().map(|cell| cell.fg).collect();
        all.sort_by_key(|colour| format!("{colour:?}"));
        all.dedup();
        all
    };
    let mut place = Place::new();
    for number in 0..4 {
        place.run(&format!("run{number}"), &validations(&[0.1 * f64::from(number), 0.2]));
    }
    let few = colours(&mut place);
    assert!(COLOURS[..4].iter().all(|colour| few.contains(colour)), "{few:?}");
    for number in 4..12 {
        place.run(&format!("run{number}"), &validations(&[0.01 * f64::from(number), 0.2]));
    }
    let many = colours(&mut place);
    // Of paused runs the state is yellow.
    assert!(many.contains(&Color::Cyan) && !many.contains(&Color::Magenta), "{many:?}");
    place.screen.coloured = false;
    assert_eq!(colours(&mut place), [Color::Reset]);
}

#[test]
fn a_table_of_many_runs_follows_the_chosen_one() {
    let mut place = Place::new();
    for number in 100..400 {
        place.run(&format!("run{number}"), &validations(&[0.1, 0.2]));
    }
    hold(Path::new(&place.folder.path().join("run250")));
    let watched = place.watched();
    let lines = place.lines(&watched, 100, 40);
    assert!(lines.iter().any(|line| line.starts_with("▸● run250  running")), "{lines:?}");
    place.press(&watched, KeyCode::End);
    let lines = place.lines(&watched, 100, 40);
    let rows: Vec<&String> = lines.iter().filter(|line| line.contains("● run")).collect();
    assert!(rows.last().unwrap().starts_with("▸● run399"), "{rows:?}");
    assert!(rows.len() > 10 && lines[39].starts_with(" q end"), "{}", rows.len());
}
