//! Items with features: their vectors, and the gradients of all tables.

use std::sync::Arc;

use super::*;
use crate::batch::Drawer;
use crate::data::{Features, FieldKind, Schema, test_field as field};
use crate::loss::Scores;
use crate::model::{Known, KnownItems, ValueLists};

/// Items above this are never met in training.
const MET: usize = 50;

/// Codes 1 to 5 of a field of one value, 6 to 10 of one of up to three, 11 to 14 of a number.
fn features() -> Features {
    of(ITEMS)
}

fn of(count: usize) -> Features {
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
fn shares(features: &Features) -> Tensor {
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
    let all = sequences();
    Sequences { items: all.items.iter().map(|id| (id - 1) % MET as u32 + 1).collect(), ..all }
}

fn drawer<'a>(config: &Config, plan: &Plan, sequences: &'a Sequences) -> Drawer<'a> {
    let (members, assembly) = ((0..SESSIONS).collect(), plan.assembly(config));
    let drawer = Drawer::new(config, plan.batches, assembly, sequences, members, ITEMS).unwrap();
    drawer.knowing(&known_to(config), config.tower.id_dropout)
}

fn model(config: &Config) -> Model {
    Model::new(&config.tower, ITEMS, 1, Device::Cpu).knowing(&known_to(config), 1)
}

const OF_USERS: &str = "user_features = [\"tags\", \"brand\"]\n";
const FIELDS: &str = "item_features = [\"brand\", \"tags\", \"price\"]\n";

fn drawn(drawer: &Drawer, step: u64) -> Batch {
    drawer.run(step..step + 1, |next| next())
}

/// By float64: the loss of a batch of users as the tables alone make it.
fn plain(case: (&Config, &Model, &Batch, &[usize]), tables: &[Tensor]) -> f64 {
    let (config, model, batch, users) = case;
    let [own, values, of_users] = tables else { panic!("three tables") };
    let users: Vec<i64> = users.iter().map(|&user| user as i64 + 1).collect();
    let of_users =
        shares(&of(SESSIONS)).matmul(of_users).index_select(0, &Tensor::from_slice(&users));
    let composition = batch.composition.as_ref().unwrap();
    let kept = Tensor::ones([ITEMS as i64 + 1, 1], (Kind::Double, Device::Cpu));
    let kept = match &composition.kept {
        Some(own) => kept.index_copy(0, &composition.ids, &own.to_kind(Kind::Double).unsqueeze(1)),
        None => kept,
    };
    let vectors = own * kept + shares(&features()).matmul(values);
    let ids = |places: &Tensor| composition.ids.index_select(0, &(places.view([-1]) - 1));
    let rows = |places: &Tensor| vectors.index_select(0, &ids(places));
    let unit = |v: Tensor| {
        let length = (v.square().sum_dim_intlist(1, true, Kind::Double) + 1e-8).sqrt();
        v / length
    };
    let means = batch.starts.windows(2).map(|own| {
        let (from, end) = (i64::from(own[0]), i64::from(own[1]));
        rows(&batch.inputs.narrow(0, from, end - from)).mean_dim(0, false, Kind::Double)
    });
    let means = Tensor::stack(&means.collect::<Vec<_>>(), 0);
    let [kernel, bias] = [0, 1].map(|at| model.encoder.parameters()[at].1.to_kind(Kind::Double));
    let users = unit(means.matmul(&kernel) + bias + of_users) * config.tower.scale;
    let of = |slots: &Tensor| unit(rows(&batch.scored.index_select(0, slots)));
    let positive = (&users * of(&batch.targets)).sum_dim_intlist(1, false, Kind::Double);
    let negative = users.matmul(&of(&batch.shared).tr());
    let scores = Scores::all(positive, negative, ITEMS as f64);
    crate::loss::build(&config.loss).loss(&scores).double_value(&[])
}

/// Whose the histories of a batch are: each is the beginning of a sequence, which its target goes on.
fn asked(sequences: &Sequences, batch: &Batch) -> Vec<usize> {
    let ids = &batch.composition.as_ref().unwrap().ids;
    let ids_of = |places: Tensor| {
        let ids = ids.index_select(0, &(places - 1));
        Vec::<i64>::try_from(ids).unwrap().into_iter().map(|id| id as u32).collect::<Vec<_>>()
    };
    let inputs = ids_of(batch.inputs.shallow_clone());
    let targets = ids_of(batch.scored.index_select(0, &batch.targets));
    let histories = batch.starts.windows(2).zip(targets);
    let users = histories.map(|(own, target)| {
        let read = [&inputs[own[0] as usize..own[1] as usize], &[target]].concat();
        let fits = |user: &usize| sequences.get(*user).starts_with(&read);
        let fitting: Vec<usize> = (0..SESSIONS).filter(fits).collect();
        assert_eq!(fitting.len(), 1, "one user has this history");
        fitting[0]
    });
    users.collect()
}

#[test]
fn gradients_of_tables_are_finite_differences() {
    for (fused, text) in [
        (true, "reject = \"none\"\n[tower]\n"),
        (false, "reject = \"none\"\n[tower]\n"),
        (true, "reject = \"none\"\n[tower]\nid_dropout = 0.5\n"),
        (false, "reject = \"none\"\n[tower]\nid_dropout = 0.5\n"),
    ] {
        let mut config =
            users(&format!("{text}dim = 5\n{FIELDS}{OF_USERS}[loss]\nkind = \"cro\"\n"));
        config.train.fused = fused;
        let plan = Plan::of(&config, Device::Cpu);
        let sequences = met_sequences();
        let batch = drawn(&drawer(&config, &plan, &sequences), 3);
        let model = model(&config);
        let mut stepper = Stepper::new(&config, &plan, &model, 9, Vec::new);
        let gradients = stepper.gradients(&model, &batch, 3);
        let tables: Vec<Tensor> =
            model.tables().iter().map(|(_, own)| own.to_kind(Kind::Double)).collect();
        let users = asked(&sequences, &batch);
        let case = (&config, &model, &batch, &users[..]);
        let loss = plain(case, &tables);
        assert!((loss - gradients.loss.double_value(&[])).abs() < 1e-4 * loss);
        for (at, gradient) in gradients.tables.iter().enumerate() {
            let whole = tables[at].zeros_like().to_kind(Kind::Float);
            let whole = whole.index_add(0, gradient.rows.ids(), &gradient.expanded());
            let mut moved = 0;
            for row in 0..tables[at].size()[0] {
                let column = row % 5;
                let shifted = |by: f64| {
                    let tables: Vec<Tensor> = tables.iter().map(Tensor::copy).collect();
                    let _ = tables[at]
                        .get(row)
                        .get(column)
                        .fill_(tables[at].double_value(&[row, column]) + by);
                    plain(case, &tables)
                };
                let step = 1e-5;
                let expected = (shifted(step) - shifted(-step)) / (2.0 * step);
                let own = whole.double_value(&[row, column]);
                assert!(
                    (own - expected).abs() < 2e-5 + 1e-3 * expected.abs(),
                    "{text} {at} {row}: {own}, {expected}"
                );
                moved += usize::from(expected.abs() > 1e-4);
            }
            assert!(moved > 10, "{text}, table {at}: {moved}");
        }
    }
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
