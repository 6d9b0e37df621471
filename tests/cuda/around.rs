//! What stands around a training, with GPUs: export, recommendations, benchmarks, sweeps, a training
//! that is gone on with, and what is said of devices.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::counts::counted;
use super::machine::{self, command, succeed};
use crate::common::{Place, json};

fn ok(place: &Place, arguments: &[&str]) -> String {
    String::from_utf8(succeed(&mut command(place, arguments)).stdout).unwrap()
}

#[test]
fn what_a_gpu_trained_is_exported_and_recommended_from_on_either_device() {
    let place = Place::new();
    ok(&place, &["train", "c.toml", "--out", "run", "--set", "device=cuda"]);
    ok(&place, &["export", "run", "--out", "towers"]);
    let evaluated = ok(&place, &["evaluate", "run", "--json"]);
    let evaluated: serde_json::Value = serde_json::from_str(&evaluated).unwrap();
    assert_eq!(evaluated["metrics"], json(&place.path("run/result.json"))["test"]);
    let mut answers = vec![];
    for (from, more) in [("run", &[][..]), ("towers", &["--data", "data"])] {
        for device in ["cpu", "cuda"] {
            let arguments =
                ["recommend", from, "--all-users", "--out", "r.csv", "--device", device];
            ok(&place, &[&arguments[..], &["--top", "5", "--force"], more].concat());
            let lines = fs::read_to_string(place.path("r.csv")).unwrap();
            // User, rank and item; scores may be rounded otherwise.
            let item = |line: &str| line.rsplit_once(',').unwrap().0.to_owned();
            answers.push(lines.lines().map(item).collect::<Vec<_>>());
        }
    }
    assert!(answers[0].len() > 1000);
    for other in &answers[1..] {
        let same = answers[0].iter().zip(other).filter(|(a, b)| a == b).count();
        assert!(same as f64 > 0.999 * answers[0].len() as f64, "{same} of {}", answers[0].len());
    }
}

#[test]
fn the_benchmarks_run() {
    let place = Place::new();
    let small = ["--device", "cuda", "--threads", "1", "--json"];
    for arguments in [
        &["bench", "step", "--items", "500", "--batch", "16", "--steps", "3"][..],
        &[
            "bench",
            "session-step",
            "--items",
            "500",
            "--hidden",
            "16",
            "--negatives",
            "64",
            "--inbatch",
            "5",
            "--topk",
            "9",
            "--steps",
            "3",
        ],
        &["bench", "rank", "--items", "500", "--users", "50"],
    ] {
        let said = ok(&place, &[arguments, &small].concat());
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["device"], "cuda:0", "{said}");
    }
}

/// Without kernels users are ranked in as large blocks as memory has room for scores; kernels hold none.
#[test]
fn ranking_takes_the_memory_that_is_free() {
    if machine::pretended().is_none() {
        return;
    }
    let place = Place::new();
    let of = |users: &str, mib: &str, kernels: &str| {
        let arguments = ["bench", "rank", "--items", "20000", "--users", users, "--targets", "1"];
        let arguments = [&arguments[..], &["--device", "cuda", "--threads", "1"]].concat();
        let mut command = command(&place, &arguments);
        command.env("PRETENDED_CUDA_MIB", mib).env("PRETENDED_CUDA_NVRTC", kernels);
        let counts = counted(&place, &mut command);
        let end = counts.last().unwrap();
        (end.all().launches, end.peak[0] >> 20)
    };
    let (small, large) = (of("3000", "256", "0"), of("3000", "2048", "0"));
    println!("launches and MiB: {small:?}, {large:?}");
    assert!(small.0 > 3 * large.0 / 2, "{small:?} and {large:?} launches");
    assert!(small.1 < 200 && large.1 > 200 && large.1 < 1024, "{small:?} and {large:?} MiB");
    // The scores alone would be 30 MiB, and the items are 2.4.
    let by_kernels = of("400", "2048", "1");
    println!("by kernels {by_kernels:?}");
    assert!(by_kernels.0 < 60 && by_kernels.1 < 15, "{by_kernels:?}");
}

const SWEEP: &str = r#"
base = "c.toml"
seeds = [1, 2]
set = { "train.steps" = 20 }

[[grid]]
name = "all"
cases = [{ name = "cro", set = { "loss.kind" = "cro" } }]
"#;

/// Points that name no GPU of their own are spread over both; those that do all take that one.
#[test]
fn a_sweep_takes_the_gpus_that_are_there() {
    if machine::pretended().is_none() {
        return;
    }
    for (device, seen, name) in [
        ("auto", ["0", "1"], "cuda:0"),
        ("cuda", ["0", "1"], "cuda:0"),
        ("cuda:1", ["", ""], "cuda:1"),
    ] {
        let place = Place::new();
        fs::write(place.path("s.toml"), SWEEP).unwrap();
        let set = format!("device={device}");
        let arguments = ["sweep", "s.toml", "--jobs", "2", "--set", &set];
        let counts = counted(&place, &mut command(&place, &arguments));
        let trained = counts.iter().filter(|own| own.at == "exit" && own.all().launches > 100);
        let mut visible: Vec<&str> = trained.map(|own| own.visible.as_str()).collect();
        visible.sort_unstable();
        assert_eq!(visible, seen, "{device}");
        for entry in fs::read_dir(place.path("runs/s")).unwrap() {
            let result = entry.unwrap().path().join("result.json");
            if result.exists() {
                assert_eq!(json(&result)["device"], name, "{device}");
            }
        }
    }
}

const SPACE: &str = r#"
[[grid]]
name = "cro"
set = { "loss.kind" = "cro" }
[grid.axes]
"loss.alpha" = { from = 0.0, to = 2.0 }
"#;

/// The recall@10 of each validation of a run, in order.
fn recalls(run: &Path) -> Vec<f64> {
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let validations = lines.filter(|line| line["part"] == "validation");
    validations.map(|line| line["recall@10"].as_f64().unwrap()).collect()
}

/// The part of a search that goes on comes to what its point comes to in one go, whichever GPU it
/// goes on with.
#[test]
fn a_search_takes_the_gpus_that_are_there() {
    if machine::pretended().is_none() {
        return;
    }
    let place = Place::new();
    fs::write(place.path("space.toml"), SPACE).unwrap();
    let tune = ["tune", "c.toml", "--space", "space.toml", "--for", "recall@10", "--out", "found"];
    let size = ["--points", "3", "--jobs", "2"];
    // Rungs at 1, 3, 9 and 27 steps.
    let sets = ["device=cuda", "train.steps=27", "train.validate_every=1"];
    let sets = sets.map(|set| ["--set", set]).concat();
    let arguments = [&tune[..], &size, &sets[..]].concat();
    let counts = counted(&place, &mut command(&place, &arguments));
    let trained = counts.iter().filter(|own| own.at == "exit" && own.all().launches > 0);
    let visible: Vec<&str> = trained.map(|own| own.visible.as_str()).collect();
    // Three points, the best of them once more, and two to the end.
    assert_eq!(visible.len(), 6);
    assert_eq!(BTreeSet::from_iter(visible), BTreeSet::from(["0", "1"]));

    let folders = fs::read_dir(place.path("found")).unwrap().map(|entry| entry.unwrap().path());
    let runs: Vec<PathBuf> = folders.filter(|path| path.join("metrics.jsonl").exists()).collect();
    let (ended, parts): (Vec<&PathBuf>, Vec<&PathBuf>) =
        runs.iter().partition(|run| run.join("result.json").exists());
    assert_eq!(ended.len(), 2);
    for run in &ended {
        assert_eq!(json(&run.join("result.json"))["device"], "cuda:0", "{run:?}");
    }
    let mut parts: Vec<Vec<f64>> = parts.into_iter().map(|run| recalls(run)).collect();
    parts.sort_by_key(Vec::len);
    let lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 1, 3]);
    let is_best = |run: &&&PathBuf| run.to_string_lossy().contains("best-recall@10");
    let best = recalls(ended.iter().find(is_best).unwrap());
    assert_eq!(best[..3], parts[2]);
}

const LONG: [&str; 4] = ["--set", "train.steps=300", "--set", "train.validate_every=100"];

#[test]
fn a_training_on_a_gpu_is_gone_on_with() {
    let place = Place::new();
    let sets = ["--set", "device=cuda", "--set", "optimizer.epsilon_form=pytorch"];
    let train = |out: &str, more: &[&str]| {
        let arguments = ["train", "c.toml", "--out", out];
        ok(&place, &[&arguments[..], &sets, more].concat());
        let result = json(&place.path(out).join("result.json"));
        (result["test"].clone(), fs::read(place.path(out).join("best.safetensors")).unwrap())
    };
    let whole = train("whole", &LONG);
    // Its steps may be replayed until then, and launched one by one from there on.
    let graph = ["--set", "train.cuda_graph=true"];
    let arguments = ["train", "c.toml", "--out", "run", "--set", "train.checkpoint_steps=10"];
    let mut child = command(&place, &[&arguments[..], &LONG, &sets, &graph].concat())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !place.path("run/checkpoints").read_dir().is_ok_and(|mut all| all.next().is_some()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let gone_on = train("run", &[&["--resume"], &LONG[..]].concat());
    match machine::pretended() {
        Some(_) => assert!(gone_on == whole, "to the bit"),
        None => assert_eq!(gone_on.1.len(), whole.1.len()),
    }
}

#[test]
fn doctor_takes_the_same_steps_on_every_gpu() {
    let place = Place::new();
    let said: serde_json::Value = serde_json::from_str(&ok(&place, &["doctor", "--json"])).unwrap();
    let checks = said["checks"].as_array().unwrap();
    let devices: Vec<&str> = checks.iter().map(|own| own["device"].as_str().unwrap()).collect();
    assert!(devices.starts_with(&["cpu", "cpu", "cuda:0"]), "{said}");
    assert!(checks.iter().all(|own| own["agrees"] == true), "{said}");
}

#[test]
fn doctor_says_what_is_off() {
    if machine::pretended().is_none() {
        return;
    }
    let place = Place::new();
    let doctor = |variable: &str, value: &str| {
        let output = command(&place, &["doctor", "--json"]).env(variable, value).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{variable}");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let list = |key: &str| said[key].as_array().unwrap().clone();
        let devices: Vec<_> = list("checks").iter().map(|own| own["device"].clone()).collect();
        let problems: Vec<_> = list("problems").iter().map(ToString::to_string).collect();
        (devices, problems.join("\n"), said["machine"]["gpus"].clone())
    };
    let (devices, problems, gpus) = doctor("PRETENDED_CUDA_DEVICES", "0");
    assert!(devices == ["cpu", "cpu"] && problems.contains("no GPU is used"), "{problems}");
    assert_eq!(gpus, serde_json::json!([]));
    let (devices, problems, gpus) = doctor("PRETENDED_CUDA_NVRTC", "0");
    assert_eq!(devices, ["cpu", "cpu", "cuda:0", "cuda:1"]);
    for gpu in ["cuda:0", "cuda:1"] {
        let words = format!("steps on {gpu} go by tensor ops alone: nvrtcCreateProgram failed");
        assert!(problems.contains(&words), "{problems}");
    }
    assert_eq!(gpus[1]["name"], "pretended GPU 1");
    assert_eq!(gpus[1]["memory_mib"], 4096);
    // The other device is checked all the same.
    let (devices, problems, _) = doctor("PRETENDED_CUDA_BROKEN", "0");
    assert_eq!(devices, ["cpu", "cpu", "cuda:1"]);
    let words = "cuda:0 failed: cuLaunchKernel of croloss_";
    let named = problems.contains("failed with CUDA_ERROR_ILLEGAL_ADDRESS, status 700");
    assert!(problems.contains(words) && named, "{problems}");
}

#[test]
fn what_a_gpu_cannot_hold_is_refused_with_both_figures() {
    if machine::pretended().is_none() {
        return;
    }
    let place = Place::new();
    let sets = ["--set", "device=cuda:1", "--set", "tower.dim=4096"];
    let mut train = command(&place, &[&["train", "c.toml", "--out", "run"], &sets[..]].concat());
    let output = train.env("PRETENDED_CUDA_MIB", "200").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("need 0.3 GiB") && said.contains("0.2 GiB of memory of cuda:1"),
        "{said}"
    );
    assert!(!place.path("run").exists());
    // More than any machine of these tests has.
    let bench = ["bench", "step", "--items", "100000000", "--device", "cuda"];
    let output = command(&place, &bench).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("need 50.9 GiB for 100000000 items and tower.dim = 32"), "{said}");
}

/// In its result as the device counted it.
#[test]
fn a_training_says_the_memory_that_it_took_of_its_gpu() {
    // Some MiB for the encoder.
    const SETS: [&str; 4] = ["--set", "device=cuda", "--set", "tower.dim=1024"];
    let place = Place::new();
    let train = ["train", "c.toml", "--out", "run", "--force"];
    let result = || json(&place.path("run/result.json"))["peak_gpu_memory_mib"].clone();
    ok(&place, &train);
    assert!(result().is_null());
    let mut on_gpu = command(&place, &[&train[..], &SETS].concat());
    if machine::pretended().is_none() {
        machine::succeed(&mut on_gpu);
        assert!(result().as_u64().unwrap() > 0);
        return;
    }
    let counts = counted(&place, &mut on_gpu);
    let peak = counts.last().unwrap().peak[0] >> 20;
    assert!(peak > 0);
    assert_eq!(result(), peak);
}

#[test]
fn why_there_is_no_gpu_is_said() {
    let Some(folder) = machine::pretended() else { return };
    let place = Place::new();
    let train = |device: &str, change: &dyn Fn(&mut Command)| {
        let set = format!("device={device}");
        let mut own =
            command(&place, &["train", "c.toml", "--out", "run", "--force", "--set", &set]);
        change(&mut own);
        let output = own.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let none = |own: &mut Command| _ = own.env("PRETENDED_CUDA_DEVICES", "0");
    let (status, said) = train("auto", &none);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("note: no GPU is used: CUDA sees no GPU") && said.contains("on cpu"),
        "{said}"
    );
    let (status, said) = train("cuda", &none);
    assert!(
        status == 2 && said.contains("device = \"cuda\" is not there: CUDA sees 0 GPUs"),
        "{said}"
    );
    let (status, said) = train("auto", &|own| {
        none(own);
        own.env("CUDA_VISIBLE_DEVICES", "");
    });
    assert!(status == 0 && !said.contains("no GPU"), "hidden on purpose: {said}");
    // A driver, and a library that is none.
    fs::copy(folder.join("libcuda.so.1"), place.path("libcuda.so.1")).unwrap();
    fs::write(place.path("libtorch_cuda.so"), "none").unwrap();
    let (status, said) = train("auto", &|own| _ = own.env("LD_LIBRARY_PATH", place.path(".")));
    assert!(
        status == 0 && said.contains("note: no GPU is used: this libtorch has no CUDA"),
        "{said}"
    );
}
