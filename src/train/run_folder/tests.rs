//! The files of a run come back as they were written, and as earlier versions wrote them.

use std::io::Write;

use super::*;
use crate::config::Settings;

fn run(folder: &Path) -> RunFolder {
    let settings: Settings = toml::from_str("data.path = \"data/none\"").unwrap();
    let config = settings.checked().unwrap();
    RunFolder::create(&folder.join("run"), &config, false).unwrap()
}

#[test]
fn info_comes_back_with_fields_that_are_unknown_and_without_steps() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut info = RunInfo {
        format: crate::formats::RUN,
        checksum: "1c6d".into(),
        dataset: "demo".into(),
        plan: None,
        steps: Some(60),
        version: "0.1.0".into(),
    };
    run.write_info(&info).unwrap();
    assert_eq!(run.info().unwrap(), info);
    let expected = "{\n  \"checksum\": \"1c6d\",\n  \"dataset\": \"demo\",\n  \"format\": \"1.0\",\n  \"steps\": 60,\n  \"version\": \"0.1.0\"\n}\n";
    let path = run.path().join("run.json");
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    fs::write(&path, expected.replace("\"steps\": 60", "\"shards\": [1]")).unwrap();
    info.steps = None;
    assert_eq!(run.info().unwrap(), info);
    fs::write(&path, expected.replace("1.0\",", "2.0\", \"new\": 1,")).unwrap();
    let error = RunFolder::open(run.path()).err().unwrap().to_string();
    assert!(error.starts_with("the run ") && error.contains("has format 2.0"), "{error}");
    fs::write(&path, "{\"format\": \"1.9\"}").unwrap();
    assert!(RunFolder::open(run.path()).is_ok());
    fs::remove_file(&path).unwrap();
    let error = run.info().unwrap_err().to_string();
    assert!(error.contains("run.json: did the run start?"), "{error}");
}

#[test]
fn a_log_line_has_its_values_in_their_order() {
    let values = vec![("recall@50".into(), 0.5), ("recall@200".into(), f64::NAN)];
    let line = LogLine { part: "validation".into(), step: 20, seconds: 1.0, values };
    let text = serde_json::to_string(&line).unwrap();
    let expected = "{\"part\":\"validation\",\"step\":20,\"seconds\":1.0,\"recall@50\":0.5,\"recall@200\":null}";
    assert_eq!(text, expected);
    let read: LogLine = serde_json::from_str(&text).unwrap();
    assert_eq!((read.value("recall@50"), read.value("recall@200")), (Some(0.5), None));
}

#[test]
fn a_log_is_followed_line_by_whole_line() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut tail = RunFolder::follow_log(run.path());
    assert!(tail.whole_lines().is_empty() && run.log().is_empty());
    let line =
        |step| format!("{{\"part\":\"train\",\"step\":{step},\"seconds\":0.5,\"loss\":4.0}}");
    let mut file = fs::File::create(run.log_path()).unwrap();
    write!(file, "{}\nforeign\n{}", line(1), line(2)).unwrap();
    let steps = |lines: Vec<LogLine>| lines.iter().map(|line| line.step).collect::<Vec<u64>>();
    assert_eq!(steps(tail.whole_lines()), [1]);
    write!(file, "\n{}\n", line(3)).unwrap();
    assert_eq!(steps(tail.whole_lines()), [2, 3]);
    assert_eq!(steps(run.log()), [1, 2, 3]);
    fs::write(run.log_path(), line(7) + "\n").unwrap();
    assert_eq!(steps(tail.whole_lines()), [7], "a shorter log is a new one");
}

#[test]
fn a_run_ends_by_its_result_or_else_by_its_failure() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    assert_eq!(RunFolder::ending(run.path()).unwrap(), None);
    assert_eq!(RunFolder::ending(&dir.path().join("none")).unwrap(), None);
    let failure = Failure { reason: "the loss is NaN".into() };
    run.write_failure(&failure).unwrap();
    assert_eq!(RunFolder::ending(run.path()).unwrap(), Some(Ending::Failed(failure)));
    fs::write(run.path().join("result.json"), "{}").unwrap();
    let error = RunFolder::ending(run.path()).unwrap_err().to_string();
    assert!(error.contains("result.json is broken"), "{error}");
}

#[test]
fn a_finished_run_is_tidied_wherever_a_kill_has_met_it() {
    for left in [&["checkpoints"][..], &[".checkpoints.old"], &["checkpoints", ".checkpoints.old"]]
    {
        let dir = tempfile::tempdir().unwrap();
        // Whoever works there holds the lock: nobody does any more.
        let path = run(dir.path()).path().to_owned();
        let step = |name: &&str| path.join(name).join("step-0000000000007");
        for step in left.iter().map(step) {
            fs::create_dir_all(&step).unwrap();
            fs::write(step.join("state.safetensors"), "half").unwrap();
        }
        RunFolder::tidy(&path).unwrap();
        let there = |name: &str| path.join(name).exists();
        assert!(!there("checkpoints") && !there(".checkpoints.old"), "{left:?}");
    }
}

#[test]
fn a_log_goes_on_behind_what_is_past() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let line = |part: &str, step| LogLine { part: part.into(), step, seconds: 1.0, values: vec![] };
    let all = [("train", 10), ("validation", 10), ("train", 20), ("validation", 20), ("train", 30)];
    let mut log = run.create_log().unwrap();
    all.iter().for_each(|(part, step)| log.write(&line(part, *step)).unwrap());
    let left = |step, validated| {
        run.log_after(step, validated).unwrap();
        run.log().iter().map(|line| (line.part.clone(), line.step)).collect::<Vec<_>>()
    };
    let expected = |count: usize| -> Vec<(String, u64)> {
        all[..count].iter().map(|(part, step)| (part.to_string(), *step)).collect()
    };
    assert_eq!(left(30, true), expected(5));
    assert_eq!(left(20, true), expected(4));
    assert_eq!(left(20, false), expected(3), "the validation of step 20 is yet to come");
    assert_eq!(left(10, true), expected(2));
}
