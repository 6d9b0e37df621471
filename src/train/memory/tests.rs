//! What is needed beside what a training really takes, and what is refused.

use super::*;
use crate::batch::Drawer;
use crate::config::Settings;
use crate::data::{Features, Field, FieldKind, Schema, Sequences};
use crate::device::ComputePath;
use crate::model::{Known, KnownItems, Model, ValueLists};
use crate::optim::Optimisers;
use std::sync::Arc;
use tch::{Device, Tensor};

fn config(text: &str) -> Config {
    let text = format!("data.path = \"x\"\n{text}");
    toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
}

fn of(
    config: &Config,
    device: Device,
    items: usize,
    interactions: usize,
    values: ValueRows,
) -> Needed {
    Needed::of(config, &Plan::of(config, device), items, interactions, values)
}

#[test]
fn peak_memory_is_told_on_linux() {
    assert!(cfg!(not(target_os = "linux")) || peak_memory_mib() > 1);
    assert!(free() > 1 << 20);
}

fn bytes(tensor: &Tensor) -> u64 {
    tensor.numel() as u64 * tensor.kind().elt_size_in_bytes() as u64
}

/// What the weights and the optimisers' state of a model take.
fn kept(config: &Config, model: &Model) -> u64 {
    let (parameters, tables) = (model.parameters(), model.tables());
    let path = ComputePath::HostLoops;
    let optimisers = Optimisers::new(&config.optimizer, 10, path, parameters, tables);
    model.weights().iter().map(|(_, own)| bytes(own)).sum::<u64>()
        + optimisers.state().iter().map(|(_, own)| bytes(own)).sum::<u64>()
}

/// Items of a brand each, one for each item.
fn brands(items: usize) -> Known {
    let values = (0..items).map(|brand| format!("{brand:04}")).collect();
    let kind = FieldKind::Category;
    let schema =
        Schema { fields: vec![Field { name: "brand".into(), kind, values, bounds: vec![] }] };
    let features = Features {
        starts: (0..=items as u32).collect(),
        codes: (3..items as u32 + 3).collect(),
        schema,
    };
    let lists = Arc::new(ValueLists::new(&features));
    let met = vec![true; items];
    Known { users: Some(lists.clone()), items: Some(KnownItems { lists, met }) }
}

#[test]
fn features_take_a_table_and_while_users_are_ranked_a_catalogue() {
    for kind in ["deferred-adam", "adam", "adagrad"] {
        for tower in ["dim = 16", "dim = 16\ntied = false\noutput_bias = true\nnormalize = false"] {
            let loss = if tower.contains("tied") { "loss.kind = \"bce\"\n" } else { "" };
            let text = format!("{loss}optimizer.kind = \"{kind}\"\n[tower]\n{tower}\n");
            let plain = config(&text);
            let own =
                config(&format!("{text}item_features = [\"brand\"]\nuser_features = [\"brand\"]"));
            let model = Model::new(&own.tower, 2_000, 1, Device::Cpu);
            let without = kept(&plain, &model);
            let known = brands(2_000);
            let model = model.knowing(&known, 1);
            let values = [ValueRows::default(), ValueRows::of(&known)];
            let of = |config, values| of(config, Device::Cpu, 2_000, 0, values);
            let needed = [of(&plain, values[0]), of(&own, values[1])];
            let more = kept(&own, &model) - without;
            let told = needed[1].checkpoint - needed[0].checkpoint;
            // A number or two stand for the whole state.
            assert!(told <= more && told + 64 > more, "{kind}, {tower}: {told} of {more}");
            assert!(needed[1].training - needed[0].training >= told);
            assert_eq!(needed[0].composed, 0);
            assert_eq!(needed[1].composed, bytes(&model.items.scored_table()));
            let all = needed[1].training + needed[1].composed;
            let of = |free| compared(&needed[1], (free, 1), None, &own, 2_000);
            assert!(of(all).is_ok());
            let error = of(all - 1).unwrap_err().to_string();
            assert!(error.contains("weights, optimiser and ranking"), "{error}");
        }
    }
}

#[test]
fn what_is_needed_is_what_the_tensors_of_a_training_take() {
    for kind in ["deferred-adam", "adam", "adagrad"] {
        for tower in [
            "dim = 16",
            "encoder = \"transformer\"\nlayers = 3\ndim = 64",
            "encoder = \"gru\"\ndim = 64\ntied = false\noutput_bias = true",
        ] {
            let config = config(&format!("optimizer.kind = \"{kind}\"\n[tower]\n{tower}"));
            let model = Model::new(&config.tower, 2_000, 1, Device::Cpu);
            let kept = kept(&config, &model);
            let needed = of(&config, Device::Cpu, 2_000, 0, ValueRows::default());
            let of_gradients = 4 * least_parameters(&config.tower);
            let told = needed.checkpoint - of_gradients;
            assert!(told <= kept && told as f64 > 0.9 * kept as f64, "{kind} {told} {kept}");
            assert!(needed.training >= needed.checkpoint);
        }
    }
}

#[test]
fn a_refusal_has_both_figures_and_a_tight_one_is_told() {
    let config = config("tower.dim = 64");
    let needed = of(&config, Device::Cuda(1), 1 << 24, 0, ValueRows::default());
    let table = 4u64 << 30;
    assert!(needed.training > 3 * table && needed.training < 3 * table + (1 << 27));
    let of = |free| compared(&needed, (free, 1), None, &config, 1 << 24);
    let error = of(2 * table).unwrap_err().to_string();
    for word in ["12.1 GiB", "16777216 items", "tower.dim = 64", "8.0 GiB"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    let told = of(4 * table).unwrap().unwrap();
    assert!(told.contains("needs 12.1 GiB of memory beside 12.1 GiB"), "{told}");
    assert!(of(7 * table).unwrap().is_none());
    let on_gpu = |free| {
        let gpu = Some(("cuda:1".to_owned(), free));
        compared(&needed, (4 * table, 1), gpu, &config, 1 << 24)
    };
    let error = on_gpu(4 * table).unwrap_err().to_string();
    assert!(error.contains("16.0 GiB of memory of cuda:1"), "{error}");
    assert!(on_gpu(5 * table).unwrap().is_none(), "the copy alone is on the host");
}

#[test]
fn processes_on_one_machine_share_what_is_free_there() {
    let config = config("tower.dim = 64");
    let needed = of(&config, Device::Cpu, 1 << 24, 0, ValueRows::default());
    let table = 4u64 << 30;
    let of = |free, beside| compared(&needed, (free, beside), None, &config, 1 << 24);
    // Each needs a little more than three tables.
    let error = of(9 * table, 3).unwrap_err().to_string();
    let said = "12.0 GiB of memory for each of 3 ranks on this machine are free";
    assert!(error.contains(said), "{error}");
    assert!(error.ends_with(", or train on more machines"), "{error}");
    assert!(of(10 * table, 3).is_ok());
    assert!(of(9 * table, 2).is_ok());
}

#[test]
fn a_hundred_million_items_fit_into_eighty_gigabytes() {
    let config = config("tower.dim = 32");
    let gpu = Device::Cuda(0);
    let needed = of(&config, gpu, 100_000_000, 1_000_000_000, ValueRows::default());
    let table = 12_800_000_000;
    let tables = 3 * table + 400_000_000;
    assert!(needed.training >= tables && needed.training < tables + 100_000);
    let all = needed.training + needed.on_gpu;
    assert!(all > tables + table + 4_000_000_000 && all < 80_000_000_000, "{all}");
}

#[test]
fn a_gpu_holds_the_log_and_a_batch_of_what_is_cut_there() {
    const LENGTH: usize = 30;
    let sequences = Sequences {
        items: (0..300 * LENGTH).map(|at| at as u32 % 1_000 + 1).collect(),
        offsets: (0..=300).map(|user| user * LENGTH).collect(),
    };
    for text in ["", "sampling.top_k = 5", "tower.repeats = true"] {
        let config = config(text);
        let besides = |device, interactions| {
            of(&config, device, 1_000, interactions, ValueRows::default()).on_gpu
        };
        let gpu = Device::Cuda(0);
        let log = besides(gpu, sequences.items.len()) - besides(gpu, 0);
        let batch = of_batch(&config, &Plan::of(&config, gpu));
        if text == "tower.repeats = true" {
            assert_eq!(log, 0);
            continue;
        }
        assert_eq!(log, 4 * sequences.items.len() as u64);
        // The same batch, cut on the CPU.
        let assembly = Plan::of(&config, Device::Cpu).assembly(&config);
        let users = (0..300).collect();
        let drawer =
            Drawer::new(&config, Draws::Device, assembly, &sequences, users, 1_000).unwrap();
        let own = drawer.run(0..1, |next| next());
        let vectors = 4 * own.rows[0].ids().numel() * config.tower.dim as usize;
        let scores = 4 * (own.query_count() * own.candidates()) as usize;
        let slopes = if text.is_empty() { scores } else { 0 };
        assert_eq!(batch, (2 * vectors + scores + slopes) as u64, "{text}");
        let mut replayed = config.clone();
        replayed.train.cuda_graph = true;
        assert_eq!(
            of_batch(&replayed, &Plan::of(&replayed, gpu)),
            2 * batch,
            "a graph keeps its own"
        );
    }
}
