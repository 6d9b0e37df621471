//! Steps that are recorded once and replayed as a CUDA graph are those that are taken one launch
//! after the other.

use croloss::batch::Drawer;
use croloss::config::{Config, DeviceChoice, Settings};
use croloss::data::Sequences;
use croloss::device::{self, Graph};
use croloss::model::Model;
use croloss::step::{Plan, Stepper};
use tch::{Device, Kind, Tensor};

use super::counts::counted;
use super::machine::{self, command, succeed};
use super::parts::LOSSES;
use super::product::sequences;
use crate::common::{Place, json};

const ITEMS: usize = 60;
const STEPS: u64 = 12;

/// These go round, one further with each loss.
const TOWERS: [&str; 3] = [
    "encoder = \"mean-pool\"",
    "encoder = \"mean-pool\"\nnormalize = false\ntied = false\noutput_bias = true",
    "encoder = \"transformer\"\ndropout = 0.0",
];
const OPTIMIZERS: [&str; 4] = [
    "kind = \"deferred-adam\"",
    "kind = \"deferred-adam\"\nepsilon_form = \"pytorch\"\nepsilon = 1e-3",
    "kind = \"deferred-adam\"\nschedule = \"cosine\"\nwarmup_steps = 5",
    "kind = \"adam\"",
];
// Of an epoch of 20 users in batches of 6 the last batch has 2.
const ORDERS: [&str; 2] = ["shuffled", "random"];

fn config(text: &str) -> Config {
    let text = format!("data.path = \"\"\n{text}");
    let mut config = toml::from_str::<Settings>(&text).unwrap().checked().expect(&text);
    config.sampling.first_position = 1;
    config
}

fn points() -> Vec<Config> {
    let point = |(at, loss): (usize, &&str)| {
        let (tower, optimizer) = (TOWERS[at % 3], OPTIMIZERS[at % 4]);
        let (order, top_k) = (ORDERS[at / 2 % 2], 4 * (at / 3 % 2));
        config(&format!(
            "[tower]\n{tower}\ndim = 4\nhistory = 5\n[sampling]\nbatch = 6\ntop_k = {top_k}\norder = \"{order}\"\nnegatives = [{{ from = \"uniform\", count = 20, per = \"batch\" }}]\n[loss]\n{loss}\n[optimizer]\nlearning_rate = 0.01\n{optimizer}\n"
        ))
    };
    LOSSES.iter().enumerate().map(point).collect()
}

/// The loss of each step and the weights behind the last, of a training that begins at step `from` and
/// brings all rows to the present in the middle, as a validation does.
fn outcome(config: &Config, sequences: &Sequences, from: u64) -> Vec<Tensor> {
    let gpu = device::open(DeviceChoice::Cuda(Some(0))).unwrap();
    let plan = Plan::of(config, gpu);
    assert_eq!(plan.replay, config.train.cuda_graph);
    let (members, assembly) = ((0..sequences.len()).collect(), plan.assembly(config));
    let drawer = Drawer::new(config, plan.batches, assembly, sequences, members, ITEMS).unwrap();
    let model = Model::new(&config.tower, ITEMS, config.seed, gpu);
    let steps = from + STEPS;
    let mut stepper = Stepper::new(config, &plan, &model, steps, || drawer.log_counts());
    let state = stepper.state().into_iter().map(|(name, value)| match name.ends_with("/step") {
        true => (name, Tensor::from(from as i64)),
        false => (name, value),
    });
    stepper.restore(&state.collect()).unwrap();
    let mut all = drawer.run(from..steps, |next| -> Vec<Tensor> {
        let mut step = |step| {
            if step == from + STEPS / 2 {
                stepper.catch_up();
            }
            stepper.step(&model, &next(), step)
        };
        (from..steps).map(&mut step).collect()
    });
    stepper.catch_up();
    all.extend(model.snapshot().into_iter().map(|(_, weight)| weight));
    all.iter().map(|own| own.to_device(Device::Cpu)).collect()
}

/// Compares a training with the same one of replayed steps.
fn compare(config: &Config, sequences: &Sequences, from: u64) {
    let mut replayed = config.clone();
    replayed.train.cuda_graph = true;
    let [own, other] = [config, &replayed].map(|config| outcome(config, sequences, from));
    let text = toml::to_string(config).unwrap();
    assert!(own.len() > STEPS as usize && own.len() == other.len());
    for (at, (a, b)) in own.iter().zip(&other).enumerate() {
        // A GPU makes its sums in no fixed order.
        let same = match machine::pretended() {
            Some(_) => a.equal(b),
            None => a.allclose(b, 1e-3, 1e-4, false),
        };
        assert!(same, "{at}: {a} and {b}: {text}");
    }
}

#[test]
fn replayed_steps_come_to_what_others_come_to() {
    machine::inner("graph::walk");
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn walk() {
    device::use_threads(1);
    let sequences = sequences(ITEMS);
    for config in points() {
        compare(&config, &sequences, 0);
    }
    // The tails of steps 0 to 1023 have filled their place by then, and go to a larger one.
    let late = config("[sampling]\nbatch = 6\n[tower]\ndim = 4\nhistory = 5\n");
    compare(&late, &sequences, 1024 - STEPS / 2 - 1);
    // At step 1,063 all rows are brought to the present at once.
    let settling = "[optimizer]\nepsilon_form = \"pytorch\"\nepsilon = 1e-3\n";
    let settling = config(&format!("[sampling]\nbatch = 6\n[tower]\ndim = 4\n{settling}"));
    compare(&settling, &sequences, 1063 - STEPS / 2 - 2);
}

#[test]
fn what_is_not_done_yet_cannot_be_read() {
    if machine::pretended().is_none() {
        return;
    }
    let output = machine::inner_command("graph::a_read").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(errors.contains("operation not permitted when stream is capturing"), "{errors}");
}

#[test]
#[ignore = "ends with a panic"]
fn a_read() {
    let ones = Tensor::ones([4], (Kind::Float, machine::gpu()));
    let _ = Graph::record(0, || (&ones + &ones).sum(Kind::Float).double_value(&[]));
}

#[test]
fn a_graph_does_anew_what_was_recorded() {
    machine::inner("graph::anew");
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn anew() {
    let gpu = machine::gpu();
    let given = Tensor::ones([2], (Kind::Float, gpu));
    let mut sum = Tensor::zeros([2], (Kind::Float, gpu));
    let (graph, twice) = Graph::record(0, || {
        let twice = &given * 2.0;
        let _ = sum.g_add_(&twice);
        twice
    });
    let on_host = |tensor: &Tensor| Vec::<f32>::try_from(tensor.to_device(Device::Cpu)).unwrap();
    assert_eq!(on_host(&sum), [0.0, 0.0], "recorded and not done");
    graph.replay();
    given.shallow_clone().copy_(&Tensor::from_slice(&[3f32, 5.0]).to_device(gpu));
    // What was made and let go of meanwhile lies elsewhere.
    let others: Vec<Tensor> = (0..9).map(|_| Tensor::full([2], 7.0, (Kind::Float, gpu))).collect();
    graph.replay();
    assert_eq!((on_host(&twice), on_host(&sum)), (vec![6.0, 10.0], vec![8.0, 12.0]));
    assert!(others.iter().all(|own| on_host(own) == [7.0, 7.0]));
}

#[test]
fn a_training_of_replayed_steps_finds_the_same_model() {
    let place = Place::new();
    let cuda = ["--set", "device=cuda", "--set", "threads=1"];
    for (run, more) in [("launched", &[][..]), ("replayed", &["--set", "train.cuda_graph=true"])] {
        let arguments = ["train", "c.toml", "--out", run];
        let output = succeed(&mut command(&place, &[&arguments[..], &cuda, more].concat()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains("steps replayed;"), run == "replayed", "{said}");
    }
    let [launched, replayed] =
        ["launched", "replayed"].map(|run| json(&place.path(&format!("{run}/result.json"))));
    for part in ["validation", "test"] {
        for (metric, value) in launched[part].as_object().unwrap() {
            let other = &replayed[part][metric];
            let (a, b) = (value.as_f64().unwrap(), other.as_f64().unwrap());
            let bound = if machine::pretended().is_some() { 0.0 } else { 0.02 };
            assert!((a - b).abs() <= bound, "{metric}: {a} and {b}");
        }
    }
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    let place = Place::new();
    for (set, words) in [
        ("tower.repeats=true", "tower.repeats"),
        ("sampling.reject=session", "sampling.reject = \"session\""),
        ("tower.encoder=transformer", "without dropout"),
        ("tower.encoder=gru", "\"gru\""),
        ("optimizer.kind=adagrad", "\"adagrad\""),
        ("train.skip_batches=1", "train.skip_batches"),
        ("train.log_every=1", "train.log_every = 1"),
    ] {
        let arguments = ["train", "c.toml", "--out", "run", "--set", "device=cuda", "--set", set];
        let graph = ["--set", "train.cuda_graph=true"];
        let output = command(&place, &[&arguments[..], &graph].concat()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{set}: {errors}");
        assert!(errors.contains("train.cuda_graph = true: "), "{set}: {errors}");
        assert!(errors.contains(words), "{set}: {errors}");
        assert!(!place.path("run").exists());
    }
}

/// Where there are no kernels of the program's own: what is recorded would hold its first step's rate.
#[test]
fn steps_are_not_replayed_without_kernels() {
    if machine::pretended().is_some() {
        let place = Place::new();
        let arguments = ["train", "c.toml", "--out", "run", "--set", "device=cuda"];
        let graph = ["--set", "train.cuda_graph=true"];
        let mut command = command(&place, &[&arguments[..], &graph].concat());
        let output = command.env("PRETENDED_CUDA_NVRTC", "0").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains("it needs kernels of the program's own"), "{errors}");
    }
}

/// The four tensors of a batch are copied, the clock, the tails and the loss; all else is the graph.
#[test]
fn a_replayed_step_is_few_launches() {
    if machine::pretended().is_none() {
        return;
    }
    let place = Place::new();
    let of = |steps: &str| {
        let arguments = ["bench", "step", "--items", "500", "--batch", "16", "--device", "cuda"];
        let more = ["--threads", "1", "--json", "--graph", "--steps", steps];
        let lines = counted(&place, &mut command(&place, &[&arguments[..], &more].concat()));
        let last = lines.last().unwrap();
        last.but("batches")
    };
    let of_twenty = of("40").since(&of("20"));
    println!("{of_twenty:?}");
    assert_eq!((of_twenty.launches, of_twenty.to_device_pinned), (20 * 8, 20 * 2));
    assert_eq!(of_twenty.on_other_streams, 0);
}
