//! Items and users with features: their vectors, and what moves their tables.

use std::sync::Arc;

use super::*;
use crate::batch::Drawer;
use crate::data::{Features, FieldKind, Schema, test_field as field};
use crate::model::{Known, KnownItems, ValueLists};

/// Items above this are never met in training.
const MET: usize = 50;

/// Codes 1 to 5 of a field of one value, 6 to 10 of one of up to three, 11 to 14 of a number.
pub(super) fn features() -> Features {
    of(ITEMS)
}

pub(super) fn of(count: usize) -> Features {
    let fields = vec![
        field("brand", FieldKind::Category, &["a", "b", "c"], &[]),
        field("tags", FieldKind::Categories, &["x", "y", "z"], &[]),
        field("price", FieldKind::Number, &[], &[2.0]),
    ];
    let mut rng = stream(6, Purpose::Generation, 0);
    let mut all = Features { schema: Schema { fields }, starts: vec![0], codes: vec![] };
    for _ in 0..count {
        all.codes.push(rng.random_range(1..=5));
        let count = rng.random_range(1..=3);
        let first = rng.random_range(6..=8);
        all.codes.extend((0..count).map(|at| first + at));
        all.codes.push(rng.random_range(11..=14));
        all.starts.push(all.codes.len() as u32);
    }
    all
}

fn known(features: &Features, users: bool) -> Known {
    let lists = Arc::new(ValueLists::new(features));
    let met = (1..=ITEMS).map(|id| id <= MET).collect();
    let users = users.then(|| Arc::new(ValueLists::new(&of(SESSIONS))));
    Known { items: Some(KnownItems { lists, met }), users }
}

fn known_to(config: &Config) -> Known {
    let known = known(&features(), !config.tower.user_features.is_empty());
    let items = known.items.filter(|_| !config.tower.item_features.is_empty());
    Known { items, ..known }
}

/// `[of + 1, values + 1]`, float64: what each value counts for each item or user, behind a row of zeros.
pub(super) fn shares(features: &Features) -> Tensor {
    let columns = features.schema.rows();
    let mut shares = vec![0.0; (features.len() + 1) * columns];
    for item in 0..features.len() {
        for range in [1..6, 6..11, 11..15] {
            let of_field = features.of(item).iter().filter(|code| range.contains(*code));
            let own: Vec<u32> = of_field.copied().collect();
            for code in &own {
                shares[(item + 1) * columns + *code as usize] += 1.0 / own.len() as f64;
            }
        }
    }
    Tensor::from_slice(&shares).view([-1, columns as i64])
}

fn met_sequences() -> Sequences {
    met(sequences())
}

/// The same sequences of items that training meets.
pub(super) fn met(all: Sequences) -> Sequences {
    Sequences { items: all.items.iter().map(|id| (id - 1) % MET as u32 + 1).collect(), ..all }
}

pub(super) fn drawer<'a>(config: &Config, plan: &Plan, sequences: &'a Sequences) -> Drawer<'a> {
    let (members, assembly) = ((0..SESSIONS).collect(), plan.assembly(config));
    let drawer = Drawer::new(config, plan.batches, assembly, sequences, members, ITEMS).unwrap();
    drawer.knowing(&known_to(config), config.tower.id_dropout)
}

pub(super) fn model(config: &Config) -> Model {
    Model::new(&config.tower, ITEMS, 1, Device::Cpu).knowing(&known_to(config), 1)
}

pub(super) const OF_USERS: &str = "user_features = [\"tags\", \"brand\"]\n";
pub(super) const FIELDS: &str = "item_features = [\"brand\", \"tags\", \"price\"]\n";

pub(super) fn drawn(drawer: &Drawer, step: u64) -> Batch {
    drawer.run(step..step + 1, |next| next())
}

/// All weights after a few steps.
fn moved(config: &Config) -> Vec<Tensor> {
    let plan = Plan::of(config, Device::Cpu);
    let sequences = met_sequences();
    let drawer = drawer(config, &plan, &sequences);
    let model = model(config);
    let mut stepper = Stepper::new(config, &plan, &model, 9, || drawer.log_counts());
    for step in 0..4 {
        let loss = stepper.step(&model, &drawn(&drawer, step), step);
        assert!(loss.double_value(&[]).is_finite());
    }
    stepper.catch_up();
    if !config.tower.item_features.is_empty() {
        let unmet = model.items.read().weights().narrow(0, MET as i64 + 1, (ITEMS - MET) as i64);
        assert_eq!(unmet.abs().max().double_value(&[]), 0.0, "what is never met has no vector");
    }
    model.snapshot().into_iter().map(|(_, own)| own).collect()
}

#[test]
fn loops_and_tensor_ops_move_all_weights_alike_whatever_encodes_draws_and_loses() {
    tch::set_num_threads(1);
    let mut point = 0;
    for encoder in [
        "encoder = \"mean-pool\"",
        "encoder = \"transformer\"\ndropout = 0.0\nlayers = 1",
        "encoder = \"gru\"",
    ] {
        for tower in ["", "normalize = false\ntied = false\noutput_bias = true\n"] {
            for samples in ["users", "positions"] {
                for source in super::parts::SOURCES {
                    let loss = super::parts::LOSSES[point % super::parts::LOSSES.len()];
                    let optimizer = ["deferred-adam", "adam", "adagrad"][point % 3];
                    let dropout = if point % 2 == 0 { "" } else { "id_dropout = 0.3\n" };
                    let fields = match point / 2 % 3 {
                        0 => FIELDS.to_owned(),
                        1 => [FIELDS, OF_USERS].concat(),
                        _ if dropout.is_empty() => OF_USERS.to_owned(),
                        _ => [FIELDS, OF_USERS].concat(),
                    };
                    point += 1;
                    let text = format!(
                        "data.path = \"\"\n[tower]\ndim = 4\nhistory = 5\n{dropout}{fields}{tower}{encoder}\n[sampling]\nsamples = \"{samples}\"\nbatch = 6\ntop_k = {}\nnegatives = [{source}]\n[loss]\n{loss}\n[optimizer]\nkind = \"{optimizer}\"\nepsilon = 1e-4\n",
                        point % 2 * 3
                    );
                    let mut config = toml::from_str::<Settings>(&text).unwrap().checked().unwrap();
                    if samples == "users" {
                        config.sampling.first_position = 1;
                    }
                    let by_loops = moved(&config);
                    config.train.fused = false;
                    for (a, b) in by_loops.iter().zip(moved(&config)) {
                        assert!(a.allclose(&b, 1e-2, 2e-3, false), "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_item_is_its_own_vector_and_what_its_features_add() {
    for tower in ["", "tied = false\nnormalize = false\noutput_bias = true\n"] {
        let config = users(&format!("[tower]\ndim = 5\n{FIELDS}{tower}"));
        let by_id = Model::new(&config.tower, ITEMS, 1, Device::Cpu);
        let model = model(&config);
        let tables = model.items.tables();
        let values = tables.last().unwrap().1.to_kind(Kind::Double);
        let of_features = shares(&features()).matmul(&values);
        let near = |a: &Tensor, b: &Tensor| a.allclose(&b.to_kind(Kind::Float), 1e-5, 1e-6, false);
        let met = |own: &Tensor| {
            own.copy().index_fill_(
                0,
                &Tensor::arange_start(MET as i64 + 1, ITEMS as i64 + 1, (Kind::Int64, Device::Cpu)),
                0.0,
            )
        };
        let read = met(&by_id.items.read_table()) + &of_features;
        assert!(near(&model.items.read_table(), &read));
        let scored = met(&by_id.items.scored_table());
        let wide = of_features.constant_pad_nd([0, scored.size()[1] - 5]);
        assert!(near(&model.items.scored_table(), &(scored + wide)));
        let ids = Tensor::from_slice2(&[[7i64, 0, 59], [60, 7, 0]]);
        let expected = read.index_select(0, &ids.view([-1])).view([2, 3, 5]);
        assert!(near(&model.items.read_of(&ids), &expected));

        // Where nothing is known of any item, the model is that of ids.
        let missing = Features {
            codes: [1, 6, 11].repeat(ITEMS),
            starts: (0..=ITEMS as u32).map(|at| 3 * at).collect(),
            ..features()
        };
        let mut known = known(&missing, false);
        known.items.as_mut().unwrap().met = vec![true; ITEMS];
        let of_missing = Model::new(&config.tower, ITEMS, 1, Device::Cpu).knowing(&known, 1);
        assert_eq!(of_missing.item_vectors(), by_id.item_vectors());
        assert_eq!(of_missing.users(&ids, None), by_id.users(&ids, None));
    }
}

#[test]
fn what_training_never_meets_is_no_candidate() {
    for source in ["uniform", "popularity", "in-batch"] {
        let config = users(&format!(
            "batch = 100\nnegatives = [{{ from = \"{source}\", count = 500, per = \"{}\" }}]\n[tower]\n{FIELDS}",
            if source == "in-batch" { "session" } else { "batch" }
        ));
        let plan = Plan::of(&config, Device::Cpu);
        let sequences = met_sequences();
        let drawer = drawer(&config, &plan, &sequences);
        let composition = drawn(&drawer, 1).composition.unwrap();
        let ids = Vec::<i64>::try_from(&composition.ids).unwrap();
        assert_eq!(ids, (1..=MET as i64).collect::<Vec<_>>(), "{source}");
        let expected = drawer.log_counts();
        assert!(expected[1..=MET].iter().all(|x| x.is_finite()), "{source}");
        assert!(expected[MET + 1..].iter().all(|x| *x == f32::NEG_INFINITY), "{source}");
    }
}
