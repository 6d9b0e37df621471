//! Limits: what asks for too much, or never ends, is refused in a sentence.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::Place;
use flate2::{Compression, write::GzEncoder};

const TABLE: [&str; 6] = ["--user", "user", "--item", "item", "--time", "time"];

fn prepare(log: &str) -> Vec<&str> {
    [&["prepare", "--input", log, "--out", "new"], &TABLE[..]].concat()
}

#[test]
fn threads_have_a_limit() {
    let place = Place::new();
    for command in ["recommend", "index", "serve"] {
        let run = place.command(&[command, "x", "--threads", "100000"]).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(said.contains("--threads") && said.contains("1024"), "{said}");
    }
}

#[test]
fn logs_that_grow_beyond_measure_are_refused() {
    let place = Place::new();
    let mut packed = GzEncoder::new(vec![], Compression::fast());
    for _ in 0..64 {
        packed.write_all(&[0; 1 << 20]).unwrap();
    }
    fs::write(place.path("bomb.parquet"), packed.finish().unwrap()).unwrap();
    place.refused(&prepare("bomb.parquet"), 2, &["bomb.parquet", "unpack it first"]);
    fs::write(place.path("wide.csv"), "user,item,time".to_owned() + &",x".repeat(100_000)).unwrap();
    place.refused(&prepare("wide.csv"), 2, &["wide.csv", "columns"]);
    assert!(!place.path("new").exists());
}

#[test]
fn an_error_is_not_as_long_as_what_is_wrong() {
    let place = Place::new();
    let long = "x".repeat(1 << 20);
    fs::write(place.path("log.csv"), format!("user,item,time\nu,i,{long}\n")).unwrap();
    fs::write(place.path("log.jsonl"), format!("{{\"user\":1,\"item\":1,\"time\":\"{long}\"}}\n"))
        .unwrap();
    fs::write(place.path("names.csv"), format!("user,item,{long}\n")).unwrap();
    fs::write(place.path("d.toml"), format!("name = \"{long}\"\nbad = 1")).unwrap();
    fs::write(place.path("t.toml"), format!("threads = \"{long}\"\n")).unwrap();
    fs::write(place.path("in.jsonl"), format!("{{\"history\": \"{long}\"}}\n")).unwrap();
    for command in [
        &prepare("log.csv")[..],
        &prepare("log.jsonl"),
        &prepare("names.csv"),
        &["prepare", "d.toml"],
        &["train", "t.toml", "--out", "new"],
        &["train", "c.toml", "--out", "new", "--set", &long[..100_000]],
    ] {
        let run = place.command(command).output().unwrap();
        assert!(!run.status.success());
        assert!(run.stderr.len() < 13_000, "{}: {}", command[0], run.stderr.len());
    }
}

#[test]
fn a_sweep_has_fewer_points_than_anybody_waits_for() {
    let place = Place::new();
    let values = (1..=1000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let axes = ["tower.dim", "sampling.batch", "train.steps"];
    let axes = axes.map(|key| format!("\"{key}\" = [{values}]\n")).concat();
    let text = format!("base = \"c.toml\"\n[[grid]]\nname = \"g\"\n[grid.axes]\n{axes}");
    fs::write(place.path("s.toml"), text).unwrap();
    place.refused(&["sweep", "s.toml"], 2, &["s.toml", "1000000000 points", "100000"]);
}

#[test]
fn what_is_no_ordinary_file_is_not_read() {
    let place = Place::new();
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    fs::write(place.path("s.toml"), "base = \"/dev/zero\"\ngrid = []\n").unwrap();
    for command in [
        &["train", "/dev/zero", "--out", "new"][..],
        &["train", "pipe", "--out", "new"],
        &["sweep", "pipe"],
        &["sweep", "s.toml"],
    ] {
        place.refused(command, 2, &["not an ordinary file"]);
    }
    place.refused(&["prepare", "pipe"], 2, &["there is no file pipe"]);
    fs::rename(place.path("pipe"), place.path("data/items.parquet")).unwrap();
    place.refused(&["train", "c.toml", "--out", "new"], 2, &["items.parquet", "ordinary"]);
}

#[test]
fn a_full_disk_is_told_with_the_file() {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "run", "--set", "train.steps=20"]);
    let program = env!("CARGO_BIN_EXE_croloss");
    for out in ["o.csv", "o.jsonl", "o.parquet"] {
        let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
        let run = Command::new("bash")
            .args(["-c", script, "bash", program, "recommend", "run", "--all-users", "--out", out])
            .current_dir(place.path(""))
            .stdout(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("cannot write {out}")), "{said}");
        assert!(said.contains("File too large"), "{said}");
        assert!(!Path::new(&place.path(out)).exists());
    }
}
