//! A sweep of two jobs that is killed at random moments, and started again each time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use croloss::random::{Purpose, stream};
use rand::RngExt;

use crate::common::Place;
use crate::length;
use crate::memory::{Samples, of_process};
use crate::runs::{Outcome, outcome};

/// Points of some seconds each.
const SWEEP: &str = r#"
base = "c.toml"
seeds = [1, 2, 3]
set = { "train.steps" = 6000, "train.validate_every" = 1500, "train.checkpoint_steps" = 40 }

[[grid]]
name = "kinds"
cases = [
    { name = "bpr", set = { "loss.kind" = "bpr" } },
    { name = "lambda", set = { "loss.kind" = "cro-lambda", "optimizer.kind" = "adagrad" } },
    { name = "gru", set = { "tower.encoder" = "gru", "tower.dropout" = 0.1, "train.steps" = 300 } },
]
"#;

/// The folders of a sweep's points.
fn points(runs: &Path) -> Vec<String> {
    let entries = fs::read_dir(runs).into_iter().flatten().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name != "logs").collect()
}

/// What each point came to, and the names of its files, of TensorBoard's one; what else lies there.
type Whole = (BTreeMap<String, (Outcome, Vec<String>)>, Vec<String>);

fn whole(runs: &Path) -> Whole {
    let point = |name: String| {
        let folder = runs.join(&name);
        let mut files = names(&folder);
        files.retain(|file| !file.starts_with("events.out.tfevents."));
        (name, (outcome(&folder), files))
    };
    let files = [names(runs), names(&runs.join("logs"))].concat();
    (points(runs).into_iter().map(point).collect(), files)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Hidden files of a run that is cut off: what is written, or removed, in part.
fn halves(run: &Path) -> Vec<String> {
    let checkpoints = run.join("checkpoints");
    let inside = if checkpoints.is_dir() { names(&checkpoints) } else { vec![] };
    [names(run), inside].concat().into_iter().filter(|name| name.starts_with('.')).collect()
}

/// The processes that a process has started.
fn children(child: &Child) -> Vec<u32> {
    let id = child.id();
    let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// What was done to sweeps, and what they held.
#[derive(Default)]
struct Told {
    sweeps: usize,
    kills: usize,
    of_points: usize,
    sweep: Samples,
    training: Samples,
}

impl Told {
    /// Lets a sweep run for a time, then kills it, or one of its trainings first; whether it has come
    /// to its end before, with all points done.
    fn start(&mut self, place: &Place, call: &[&str], lasts: Duration) -> bool {
        let mut command = place.command(call);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + lasts;
        let (mut most, mut of_trainings) = (None, None);
        let mut ended = false;
        while !ended && Instant::now() < end {
            sleep(Duration::from_millis(20));
            most = of_process(child.id(), "VmHWM").or(most);
            let held = children(&child).into_iter().filter_map(|id| of_process(id, "VmHWM"));
            of_trainings = held.chain(of_trainings).reduce(f64::max);
            ended = child.try_wait().unwrap().is_some();
        }
        self.sweep.add(most);
        self.training.add(of_trainings);
        if ended {
            return child.wait().unwrap().success();
        }
        let trainings = children(&child);
        if self.kills % 4 == 3 && !trainings.is_empty() {
            // SAFETY: a child of a child, which goes on as a sweep with a point that has failed.
            unsafe { libc::kill(trainings[0] as i32, libc::SIGKILL) };
            self.of_points += 1;
            sleep(Duration::from_millis(300));
        }
        self.kills += 1;
        child.kill().unwrap();
        child.wait().unwrap();
        false
    }
}

#[test]
#[ignore = "takes half an hour: make soak"]
fn a_sweep_that_is_killed_again_and_again_ends_as_the_unbroken_one() {
    let place = Place::new();
    fs::write(place.path("s.toml"), SWEEP).unwrap();
    let begun = Instant::now();
    place.ok(&["sweep", "s.toml", "--jobs", "2", "--runs", "unbroken"]);
    let unbroken = begun.elapsed();
    let expected = whole(&place.path("unbroken"));
    let runs = place.path("broken");
    let call = ["sweep", "s.toml", "--jobs", "2", "--runs", "broken"];
    let mut rng = stream(std::process::id().into(), Purpose::Batch, 0);
    let (start, mut told) = (Instant::now(), Told::default());
    while start.elapsed() < length() {
        // However quick the machine is, every sweep is killed several times.
        while !told.start(&place, &call, unbroken.mul_f64(0.4 * rng.random::<f64>())) {
            for point in points(&runs) {
                let left = halves(&runs.join(&point));
                assert!(left.len() <= 2, "{point}: {left:?}");
            }
        }
        let found = whole(&runs);
        assert_eq!(found.1, expected.1);
        for (name, (outcome, files)) in &expected.0 {
            let (found, found_files) = &found.0[name];
            assert!(found == outcome, "{name}: another outcome");
            assert_eq!(found_files, files, "{name}");
        }
        assert_eq!(found.0.len(), expected.0.len());
        fs::remove_dir_all(&runs).unwrap();
        told.sweeps += 1;
        eprintln!(
            "{:.0} minutes: {} sweeps of {} points ended as the unbroken one, {} times killed, {} of \
             their trainings besides; the sweep's memory: {}; its trainings': {}",
            start.elapsed().as_secs_f64() / 60.0,
            told.sweeps,
            expected.0.len(),
            told.kills,
            told.of_points,
            told.sweep.told(),
            told.training.told()
        );
    }
    assert!(told.sweep.are_flat() && told.training.are_flat());
}
