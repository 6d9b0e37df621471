//! `doctor` from outside.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn doctor_says_what_is_there_and_that_it_computes_right() {
    let doctor = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_croloss"));
        let output = command.arg("doctor").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = doctor(&[]);
    let whole = ["libtorch", "threads", "vector instructions", "free memory", "All is well."];
    for word in whole.into_iter().chain(["cpu by loops", "cpu by tensor ops"]) {
        assert!(said.contains(word), "{word}: {said}");
    }
    let json: Value = serde_json::from_str(&doctor(&["--json"])).unwrap();
    assert_eq!(json["problems"], serde_json::json!([]));
    assert!(json["machine"]["free_memory_mib"].as_u64().unwrap() > 1);
    assert!(json["machine"]["libtorch"].as_str().unwrap().starts_with("2."));
    is_as_its_wheel_says(&json["machine"]);
    for check in json["checks"].as_array().unwrap() {
        let loss = |at: usize| check["losses"][at].as_f64().unwrap();
        assert!(check["agrees"].as_bool().unwrap() && loss(1) < loss(0), "{check}");
    }
}

/// libtorch's version and its CUDA, where it lies in the wheel that it came in.
fn is_as_its_wheel_says(machine: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".libtorch/version.py");
    let Ok(wheel) = fs::read_to_string(path) else { return };
    let libtorch = machine["libtorch"].as_str().unwrap();
    assert!(wheel.contains(&format!("__version__ = '{libtorch}")), "{machine}: {wheel}");
    let cuda = machine["cuda"].as_str().map_or("None".into(), |cuda| format!("'{cuda}'"));
    assert!(wheel.contains(&format!("cuda: Optional[str] = {cuda}\n")), "{machine}: {wheel}");
}
