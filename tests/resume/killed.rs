//! Trainings that are killed at random moments.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use croloss::data::Dataset;
use croloss::random::{Purpose, stream};
use rand::RngExt;

use crate::cases::{Case, FEATURES, MEAN_POOL, MORE, TRANSFORMER};
use crate::common::{CONFIG, Place};
use crate::runs::{checkpoint_after, latest, outcome};

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Kills a training `kills` times, each time behind a new checkpoint or right at its start, and
/// lets it end; returns how often it was killed and from how many steps it was gone on with.
fn broken(place: &Place, case: &Case, kills: u64) -> (u64, u64) {
    let run = place.path("broken");
    let _ = fs::remove_dir_all(&run);
    let mut arguments = case.arguments("broken");
    arguments.extend(["--resume", "--set", "train.checkpoint_steps=9"].map(str::to_owned));
    let mut rng = stream(std::process::id().into(), Purpose::Batch, 0);
    let (mut killed, mut resumed) = (0, 0);
    for kill in 0..kills {
        let before = latest(&run);
        let mut child = place
            .command(&words(&arguments))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        if kill % 4 == 3 {
            // Reading a checkpoint, or anything else that comes before the first step.
            sleep(Duration::from_millis(rng.random_range(0..300)));
        } else if checkpoint_after(before, &run, &mut child) {
            sleep(Duration::from_micros(rng.random_range(0..60_000)));
        }
        killed += u64::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if run.join("result.json").exists() {
            place.refused(&words(&arguments), 2, &["is finished"]);
            return (killed, resumed);
        }
        resumed += u64::from(before > 0);
    }
    let from = latest(&run);
    let output = place.command(&words(&arguments)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", case.name);
    assert!(said.contains(&format!("resumed at step {from} of ")), "{}: {said}", case.name);
    (killed, resumed + 1)
}

/// Kills a training at least `kills` times and compares what comes of it.
fn compare(place: &Place, case: &Case, kills: u64) {
    let whole = place.path("whole");
    let _ = fs::remove_dir_all(&whole);
    place.ok(&words(&case.arguments("whole")));
    let expected = outcome(&whole);
    let (mut killed, mut resumed) = (0, 0);
    while killed < kills || resumed == 0 {
        let (more, gone_on) = broken(place, case, kills - killed.min(kills - 1));
        (killed, resumed) = (killed + more, resumed + gone_on);
        let run = place.path("broken");
        let found = outcome(&run);
        assert!(found.0 == expected.0, "{}: other weights", case.name);
        assert!(found.1 == expected.1, "{}: other ranks", case.name);
        assert_eq!(found.2, expected.2, "{}", case.name);
        assert_eq!(found.3, expected.3, "{}: another log", case.name);
        assert!(!run.join("checkpoints").exists(), "{}: checkpoints of a finished run", case.name);
    }
    eprintln!("{}: {killed} kills, {resumed} times gone on with from a checkpoint", case.name);
}

/// A dataset with fields of most items and users, and both configurations.
fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("sessions.toml"), CONFIG.replace("negatives_per_positive = 2", ""))
        .unwrap();
    let Dataset { items, users, .. } = Dataset::load(&place.path("data")).unwrap();
    let mut of_items = "item,brand,tags\n".to_owned();
    let mut of_users = "user,country\n".to_owned();
    for (n, item) in items.iter().enumerate().filter(|(n, _)| n % 6 > 0) {
        of_items += &format!("{},b{},s{}|t{}\n", item.original, n % 7, n % 3, n % 5);
    }
    for (n, user) in users.iter().enumerate().filter(|(n, _)| n % 5 > 0) {
        of_users += &format!("{user},c{}\n", n % 4);
    }
    fs::write(place.path("items.csv"), of_items).unwrap();
    fs::write(place.path("users.csv"), of_users).unwrap();
    let prepare = "prepare --input log.csv --user user --item item --time time --out data --force \
                   --items items.csv --item-field brand=category --item-field tags=categories \
                   --users users.csv --user-field country=category";
    place.ok(&prepare.split_whitespace().collect::<Vec<_>>());
    place
}

#[test]
fn a_killed_training_ends_as_the_unbroken_one_does() {
    let place = place();
    for case in [MEAN_POOL, TRANSFORMER, FEATURES] {
        compare(&place, &case, 3);
    }
}

/// `make stress`: over every kind of state.
#[test]
#[ignore = "takes minutes: make stress"]
fn a_training_of_any_kind_that_is_killed_often_ends_as_the_unbroken_one_does() {
    let place = place();
    for case in [MEAN_POOL, TRANSFORMER, FEATURES].iter().chain(&MORE) {
        compare(&place, case, 5);
    }
}
