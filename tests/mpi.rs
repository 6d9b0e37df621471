//! Trainings of several processes over MPI, on this machine: `make test-mpi`.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Place, SESSIONS, json};
use serde_json::Value;
use tch::{Kind, Tensor};

/// As many as one machine has cores or more, whoever starts them.
fn mpirun(place: &Place, processes: usize, arguments: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["-n", &processes.to_string(), env!("CARGO_BIN_EXE_croloss")])
        .args(arguments)
        .current_dir(place.path(""))
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
        // Open MPI 4 and 5.
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe");
    command
}

fn ran(place: &Place, processes: usize, arguments: &[&str]) -> Output {
    mpirun(place, processes, arguments).output().expect("mpirun is there")
}

/// What several processes print on standard output, which must end well.
fn ok(place: &Place, processes: usize, arguments: &[&str]) -> String {
    let output = ran(place, processes, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn weights(run: &Path) -> Vec<(String, Tensor)> {
    Tensor::read_safetensors(run.join("best.safetensors")).unwrap()
}

/// How far the weights of a run are off another's, in the mean and against their own size.
fn off(run: &Path, other: &Path) -> f64 {
    let (own, other) = (weights(run), weights(other));
    let of = |(name, own): &(String, Tensor)| {
        let (_, other) = other.iter().find(|(other, _)| other == name).unwrap();
        let mean = |own: &Tensor| own.abs().mean(Kind::Double).double_value(&[]);
        mean(&(own - other)) / mean(other)
    };
    own.iter().map(of).fold(0.0, f64::max)
}

fn trained_alike(place: &Place, sets: &[&str]) {
    place.ok(&[&["train", "c.toml", "--out", "alone"], sets].concat());
    for processes in 1..4 {
        let [run, again] = ["", "-again"].map(|end| format!("run-{processes}{end}"));
        for run in [&run, &again] {
            let said = ok(place, processes, &[&["train", "c.toml", "--out", run], sets].concat());
            let found = said.matches("Run folder").count();
            assert_eq!(found, 1, "one speaks for all: {said}");
        }
        let bytes = |run: &str| fs::read(place.path(run).join("best.safetensors")).unwrap();
        assert_eq!(bytes(&run), bytes(&again), "{processes} processes repeat themselves");
        let off = off(&place.path(&run), &place.path("alone"));
        assert!(off < 1e-3, "{processes} processes: {off}");
        // One process finds with these weights what they found.
        let found = json(&place.path(&run).join("result.json"))["test"].clone();
        let again: Value = serde_json::from_str(&place.ok(&["evaluate", &run, "--json"])).unwrap();
        assert_eq!(again["metrics"], found);
    }
}

#[test]
fn processes_train_two_towers_as_one_does() {
    trained_alike(&Place::new(), &["--set", "train.steps=200"]);
}

#[test]
fn processes_train_a_session_transformer_as_one_does() {
    let place = Place::new();
    fs::write(place.path("c.toml"), SESSIONS).unwrap();
    let sets = ["train.steps=200", "optimizer.learning_rate=0.001", "threads=1"];
    trained_alike(&place, &sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>());
}

#[test]
fn others_go_on_with_what_processes_have_left() {
    let place = Place::new();
    place.ok(&["train", "c.toml", "--out", "alone"]);
    let train = ["train", "c.toml", "--out", "run"];
    let paused = ok(&place, 2, &[&train[..], &["--until", "0.5", "--json"]].concat());
    let paused: Value = serde_json::from_str(&paused).unwrap();
    assert_eq!(paused["paused"]["step"], 40);
    ok(&place, 3, &[&train[..], &["--resume"]].concat());
    assert!(off(&place.path("run"), &place.path("alone")) < 1e-3);
}

/// Kills it where the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes that `parent` has started, itself or through others.
fn below(parent: u32) -> Vec<u32> {
    let children = |pid: u32| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let all = lists.collect::<Vec<_>>().join(" ");
        all.split_whitespace().filter_map(|own| own.parse().ok()).collect::<Vec<u32>>()
    };
    children(parent).into_iter().flat_map(|own| [vec![own], below(own)].concat()).collect()
}

fn rank_of(pid: u32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8_lossy(&environment).into_owned();
    let rank = |entry: &str| {
        let own = ["OMPI_COMM_WORLD_RANK=", "PMI_RANK="];
        own.iter().find_map(|name| entry.strip_prefix(name)).map(str::to_owned)
    };
    text.split('\0').find_map(rank)
}

#[test]
fn a_killed_process_ends_all_and_leaves_a_whole_checkpoint() {
    let place = Place::new();
    let sets = ["train.steps=1000000", "train.checkpoint_steps=20", "train.patience=1000000"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let train = [&["train", "c.toml", "--out", "run"], &sets[..]].concat();
    let mut command = mpirun(&place, 3, &train);
    let mut running = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let began = Instant::now();
    let checkpoints = place.path("run/checkpoints");
    let is_whole = |name: &str| name.starts_with("step-");
    while !fs::read_dir(&checkpoints)
        .is_ok_and(|mut all| all.any(|own| is_whole(&own.unwrap().file_name().to_string_lossy())))
    {
        assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint is written");
        sleep(Duration::from_millis(50));
    }
    let all = below(running.0.id());
    let second = all.iter().find(|pid| rank_of(**pid).as_deref() == Some("1")).copied();
    // SAFETY: a signal to a process that this test has started.
    unsafe { libc::kill(second.expect("rank 1 runs") as i32, libc::SIGKILL) };
    let killed = Instant::now();
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(killed.elapsed() < Duration::from_secs(30), "the others wait for the killed one");
        sleep(Duration::from_millis(50));
    };
    assert!(!status.success());
    let mut errors = String::new();
    std::io::Read::read_to_string(&mut running.0.stderr.take().unwrap(), &mut errors).unwrap();
    assert!(errors.contains("signal 9") || errors.contains("KILLED"), "{errors}");
    let resume = [&train[..], &["--resume", "--until", "0.000001", "--json"]].concat();
    let paused: Value = serde_json::from_str(&ok(&place, 2, &resume)).unwrap();
    assert!(paused["paused"]["step"].as_u64().unwrap() >= 20, "{paused}");
}

#[test]
fn what_goes_wrong_is_said_once_and_ends_all() {
    let place = Place::new();
    let output = ran(&place, 3, &["train", "c.toml", "--out", "run", "--set", "device=cuda"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors.matches("croloss: rank").count(), 1, "{errors}");
    assert!(errors.contains("rank 0 of 3: device: several ranks have no such thing"), "{errors}");
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(!place.path("run").exists());
    let output = ran(&place, 2, &["sweep", "sweep.toml"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("each would do all of `croloss sweep`"), "{errors}");
}
