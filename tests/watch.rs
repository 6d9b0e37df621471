//! `watch` from outside.

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use common::{Place, json};
use serde_json::Value;

/// A training of a few seconds.
const LONG: [&str; 8] = [
    "--set",
    "train.steps=12000",
    "--set",
    "train.validate_every=2000",
    "--set",
    "train.patience=100",
    "--set",
    "train.log_every=100",
];

const SWEEP: &str = r#"
base = "c.toml"
seeds = [1, 2]

[[grid]]
name = "losses"
cases = [
    { name = "bpr", set = { "loss.kind" = "bpr" } },
    { name = "wild", set = { "optimizer.learning_rate" = 1e38 } },
]
"#;

fn wait_for(path: &Path) {
    let patience = Instant::now();
    while !path.exists() {
        assert!(patience.elapsed() < Duration::from_secs(120), "{} never came", path.display());
        sleep(Duration::from_millis(5));
    }
}

fn begin(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Step and recall@10 of each validation that a run's log holds.
fn validations(run: &Path) -> Vec<(u64, f64)> {
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["part"] == "validation")
        .map(|line| (line["step"].as_u64().unwrap(), line["recall@10"].as_f64().unwrap()))
        .collect()
}

/// 12,000, as it is told.
fn told(step: u64) -> String {
    match step {
        ..1_000 => step.to_string(),
        _ => format!("{},{:03}", step / 1_000, step % 1_000),
    }
}

#[test]
fn a_training_is_followed_to_its_end_in_plain_lines() {
    let place = Place::new();
    let mut training = begin(&place, &[&["train", "c.toml", "--out", "run"][..], &LONG].concat());
    let run = place.path("run");
    wait_for(&run.join("config.toml"));
    let said = place.ok(&["watch", "run", "--every", "100ms"]);
    assert!(training.wait().unwrap().success());
    assert!(!said.contains('\x1b'), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("run: running, step "), "{said}");
    let all = validations(&run);
    assert_eq!(all.len(), 6);
    let mut best = (0, f64::NEG_INFINITY);
    let mut expected = vec![];
    for (step, value) in all {
        let mark = if value > best.1 { ", best" } else { "" };
        best = if value > best.1 { (step, value) } else { best };
        let (step, percent) = (told(step), 100.0 * value);
        expected.push(format!("run: step {step} of 12,000, recall@10 {percent:.2} %{mark}"));
    }
    // Those before the first look stand in its sentence.
    let own = &lines[1..lines.len() - 1];
    assert!(own.len() >= 3, "{said}");
    assert_eq!(own, &expected[expected.len() - own.len()..], "{said}");
    let test = json(&run.join("result.json"))["test"]["recall@10"].as_f64().unwrap();
    let last = lines.last().unwrap();
    assert!(last.starts_with("run: ended, step 12,000 of 12,000 in "), "{said}");
    let (step, value) = (told(best.0), 100.0 * best.1);
    let end =
        format!(", best recall@10 {value:.2} % at step {step}, {:.2} % on test", 100.0 * test);
    assert!(last.ends_with(&end), "{last}: {end}");

    // By another metric, once, when all is over.
    let once = place.ok(&["watch", "run", "--once", "--metric", "ndcg@50"]);
    let rows: Vec<Vec<&str>> = once.lines().map(|line| line.split("  ").collect()).collect();
    assert!(rows[0].iter().any(|cell| cell.trim() == "ndcg@50 %"), "{once}");
    assert!(once.lines().nth(1).unwrap().contains("ended"), "{once}");
    assert_eq!(once.lines().last(), Some("1 run, ended"));
    let again = place.ok(&["watch", "run"]);
    assert_eq!(again.lines().collect::<Vec<_>>(), [*last], "it ends at once where all is over");
}

#[test]
fn a_sweep_is_followed_from_its_first_point_to_its_last() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    let mut sweep = begin(&place, &["sweep", "s.toml"]);
    wait_for(&place.path("runs/s/logs"));
    let said = place.ok(&["watch", "runs/s", "--every", "200ms"]);
    assert_eq!(sweep.wait().unwrap().code(), Some(1), "two of its points fail");
    for seed in [1, 2] {
        let last = |case: &str| {
            let start = format!("losses_{case}_seed={seed}: ");
            let own: Vec<&str> =
                said.lines().filter_map(|line| line.strip_prefix(&*start)).collect();
            own.last().unwrap_or_else(|| panic!("{start}{said}")).to_string()
        };
        assert!(last("bpr").starts_with("ended, step 60 of 60 in "), "{said}");
        let wild = last("wild");
        assert!(wild.starts_with("failed: the loss is NaN at step "), "{said}");
    }
    let once = place.ok(&["watch", "runs/s", "--once"]);
    assert!(once.contains("\n4 runs: 2 ended, 2 failed\n"), "{once}");
    assert_eq!(once.matches(": failed: ").count(), 2, "{once}");
}

#[test]
fn a_training_that_was_cut_off_has_paused() {
    let place = Place::new();
    let until = ["train", "c.toml", "--out", "run", "--until", "0.3"];
    place.ok(&until);
    let (step, value) = validations(&place.path("run"))[0];
    let said = place.ok(&["watch", "run"]);
    let expected = format!(
        "run: paused, step {step} of 60, best recall@10 {:.2} % at step 20\n",
        100.0 * value
    );
    assert_eq!(said, expected);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let place = Place::new();
    place.refused(&["watch", "data"], 2, &["data", "neither a run nor"]);
    place.refused(&["watch", "c.toml"], 2, &["c.toml", "neither a run nor"]);
    place.refused(&["watch", "none"], 2, &["none is not there"]);
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    place.refused(&["watch", "run", "none"], 2, &["none is not there"]);
    let other = ["watch", "run", "--metric", "recall@7"];
    place.refused(&other, 2, &["recall@7", "recall@10, recall@50, hitrate@10"]);
    place.refused(&["watch", "run", "--every", "1ms"], 2, &["--every", "100 ms"]);
}

#[test]
fn nobody_who_listens_is_no_error() {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    let mut command = place.command(&["watch", "run"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// A terminal of 80 columns with the program in it.
struct Terminal {
    child: Child,
    master: File,
    /// The other end, which the program has too.
    slave: OwnedFd,
    before: libc::termios,
}

fn attributes(terminal: &OwnedFd) -> libc::termios {
    use std::os::fd::AsRawFd;
    // SAFETY: plain numbers, which the call fills in.
    let mut own = unsafe { std::mem::zeroed() };
    // SAFETY: an open terminal.
    assert_eq!(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut own) }, 0);
    own
}

impl Terminal {
    fn new(mut command: Command) -> Self {
        let (mut master, mut slave) = (-1, -1);
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let (name, modes) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: two numbers to be filled in, and a size that is read.
        let opened = unsafe { libc::openpty(&mut master, &mut slave, name, modes, &size) };
        assert_eq!(opened, 0);
        // SAFETY: just opened, and owned by nobody.
        let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let end = || Stdio::from(slave.try_clone().unwrap());
        let before = attributes(&slave);
        let child = command.stdin(end()).stdout(end()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, master, slave, before }
    }

    /// Does `act` once `word` stands there; what was written until the end, the exit status and
    /// what was said on standard error.
    fn until(
        mut self,
        word: &str,
        act: impl FnOnce(&Child, &File),
    ) -> (String, Option<i32>, String) {
        let mut reader = self.master.try_clone().unwrap();
        let (sender, pieces) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = reader.read(&mut piece) {
                let _ = sender.send(piece[..read].to_vec());
            }
        });
        let mut written = vec![];
        let mut act = Some(act);
        let patience = Instant::now();
        let status = loop {
            assert!(patience.elapsed() < Duration::from_secs(60), "{}", text(&written));
            while let Ok(piece) = pieces.recv_timeout(Duration::from_millis(50)) {
                written.extend(piece);
            }
            if text(&written).contains(word)
                && let Some(act) = act.take()
            {
                act(&self.child, &self.master);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
        };
        while let Ok(piece) = pieces.recv_timeout(Duration::from_millis(50)) {
            written.extend(piece);
        }
        let after = attributes(&self.slave);
        assert_eq!(after.c_lflag, self.before.c_lflag, "it echoes as it did");
        assert_eq!(after.c_iflag, self.before.c_iflag);
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (text(&written), status.code(), said)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_terminal_is_given_back_however_it_ends() {
    use std::io::Write;

    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "run"]);
    let watch = |colours: bool| {
        let mut command = place.command(&["watch", "run"]);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        if !colours {
            command.env("NO_COLOR", "1");
        }
        Terminal::new(command)
    };
    type Act = Box<dyn FnOnce(&Child, &File)>;
    let types = |keys: &'static str| -> Act {
        Box::new(move |_, mut terminal| terminal.write_all(keys.as_bytes()).unwrap())
    };
    let sends = |signal: i32| -> Act {
        Box::new(move |child, _| {
            // SAFETY: a child that nobody has waited for.
            assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        })
    };
    let ends = [
        (types("jq"), 0),
        (types("\x1b"), 0),
        (types("\x03"), 0),
        (sends(libc::SIGTERM), 143),
        (sends(libc::SIGHUP), 129),
        (sends(libc::SIGINT), 130),
    ];
    for (at, (act, status)) in ends.into_iter().enumerate() {
        let (written, ended, said) = watch(at > 0).until("metric", act);
        assert_eq!(ended, Some(status), "{at}: {said}");
        let [enter, leave] = ["\x1b[?1049h", "\x1b[?1049l"].map(|code| written.find(code));
        assert!(enter.is_some() && leave > enter, "{at}: {written:?}");
        assert!(written.contains("\x1b[?25h"), "{at}: the cursor is there again");
        assert!(written.contains("╭") && written.contains("recall@10"), "{at}: {written:?}");
        assert_eq!(written.contains("\x1b[38;5;"), at > 0, "{at}: colours, {written:?}");
        assert_eq!(said.is_empty(), status == 0, "{said}");
    }
}
