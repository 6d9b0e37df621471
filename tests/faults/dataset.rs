//! The dataset of a training, gone or another one.

use std::fs;
use std::process::Stdio;

use crate::common::Place;
use crate::runs::{LONG, checkpoint_after, cut_off, outcome};

#[test]
fn a_dataset_that_goes_while_training_is_not_missed_until_it_is_to_be_gone_on() {
    let place = Place::new();
    let whole: Vec<&str> = LONG.map(|word| if word == "run" { "whole" } else { word }).to_vec();
    place.ok(&whole);
    let (run, resume) = (place.path("run"), [&LONG[..], &["--resume"]].concat());
    let [data, away] = ["data", "away"].map(|name| place.path(name));
    cut_off(&place, &LONG, &run, 1);
    fs::rename(&data, &away).unwrap();
    place.refused(&resume, 1, &["data.path in c.toml", "data is not a dataset folder"]);
    // Another one in its place.
    let demo = ["generate", "--preset", "demo", "--users", "400", "--items", "300", "--seed", "2"];
    place.ok(&[&demo[..], &["--out", "other.csv"]].concat());
    let prepare = ["prepare", "--user", "user", "--item", "item", "--time", "time"];
    place.ok(&[&prepare[..], &["--input", "other.csv", "--out", "data"]].concat());
    place.refused(&resume, 2, &["data is not the dataset that", "run was trained on"]);
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&away, &data).unwrap();
    // A file that is gone, or broken.
    for file in ["users.parquet", "sequences.parquet", "items.parquet"] {
        let path = data.join(file);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        place.refused(&resume, 1, &[file, "data.path in c.toml"]);
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        place.refused(&resume, 1, &[file, "data.path in c.toml"]);
        fs::write(&path, bytes).unwrap();
    }
    // It goes while a training reads it no more.
    let mut command = place.command(&resume);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let before = crate::runs::latest(&run);
    assert!(checkpoint_after(before, &run, &mut child), "it ended too early");
    fs::remove_dir_all(&data).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(outcome(&run) == outcome(&place.path("whole")));
    place.refused(&["evaluate", "run"], 1, &["data.path in run/config.toml", "data is not"]);
}
