//! A training that starts from an earlier one, with GPUs.

use std::collections::BTreeMap;

use tch::Tensor;

use super::machine;
use crate::common::Place;
use crate::next_day::{STILL, next_day};

const DEVICES: [&str; 2] = ["cpu", "cuda"];

/// Trains on a device; returns what was said.
fn train(place: &Place, out: &str, device: &str, more: &[&str]) -> String {
    let device = format!("device={device}");
    let arguments = ["train", "c.toml", "--out", out, "--force", "--set", &device];
    let keep = ["--set", "train.keep_optimizer=true"];
    let mut command = machine::command(place, &[&arguments[..], &keep, more].concat());
    String::from_utf8(machine::succeed(&mut command).stderr).unwrap()
}

fn most(of: &Tensor) -> f64 {
    of.abs().max().double_value(&[])
}

/// Weights and what Adam knows: those of items that the earlier run has, whatever their numbers.
#[test]
fn a_run_of_either_device_is_taken_over_on_a_gpu_as_on_a_cpu() {
    let place = Place::new();
    next_day(&place);
    let next = ["--set", "data.path=next", "--warm-start", "run"];
    let next = [&next[..], &STILL].concat();
    for before in DEVICES {
        train(&place, "run", before, &["--set", "train.steps=20"]);
        for now in DEVICES {
            let said = train(&place, now, now, &next);
            assert!(said.contains("starts from run: "), "{said}");
        }
        let both = |file: &str| {
            DEVICES.map(|run| -> BTreeMap<String, Tensor> {
                let all = Tensor::read_safetensors(place.path(run).join(file)).unwrap();
                all.into_iter().collect()
            })
        };
        let [cpu, gpu] = both("best.safetensors");
        assert!(cpu.keys().eq(gpu.keys()));
        for (name, own) in &cpu {
            let apart = most(&(own - &gpu[name]));
            assert!(apart < 1e-20, "{name} from {before}: {apart}");
        }
        let [cpu, gpu] = both("optimizer.safetensors");
        assert!(cpu.keys().eq(gpu.keys()));
        // A row that never moved is left alone on a CPU, and is in the present on a GPU.
        for (name, own) in cpu.iter().filter(|(name, _)| !name.ends_with("/last")) {
            let (apart, scale) = (most(&(own - &gpu[name])), most(own));
            assert!(scale > 0.0 && apart <= 1e-4 * scale, "{name} from {before}: {apart}");
        }
        assert_eq!(i64::try_from(&gpu["items/step"]).unwrap(), 21);
    }
}
