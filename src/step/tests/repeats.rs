//! Repeats: gradients against finite differences, and that a training learns them.

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::candidates::{list, slots_of};
use super::*;
use crate::batch::{Drawer, HostDrawer};
use crate::config::EvaluationConfig;
use crate::device::ComputePath;
use crate::eval::{Evaluation, value_of};
use crate::loss::Scores;
use crate::model::Queries;

/// How often a slot's item is in the history of a query, and how many items came after the last
/// time; `None` for an item that is not in it. By definition.
pub fn count_and_later(batch: &Batch, query: usize, slot: usize) -> Option<(usize, usize)> {
    let item = list(&batch.scored)[slot];
    let history = list(&batch.history)[query];
    let [from, end] = [0, 1].map(|at| batch.starts[history + at] as usize);
    let end = if batch.queries == Queries::Every { query + 1 } else { end };
    let items = &list(&batch.inputs)[from..end];
    let last = items.iter().rposition(|own| *own == item)?;
    Some((items.iter().filter(|own| **own == item).count(), items.len() - 1 - last))
}

/// Places in the parameter, seen as a list of 16: by count and by recency.
pub fn places(batch: &Batch, query: usize, slot: usize) -> Option<[usize; 2]> {
    let (count, later) = count_and_later(batch, query, slot)?;
    let recency = (0..8).rev().find(|bucket| later + 1 >= 1 << bucket).unwrap();
    Some([count.min(8) - 1, 8 + recency])
}

/// The loss in float64, at these 16 numbers.
fn loss_at(case: &Case, vectors: &Tensor, weights: &[f64], reject: &str) -> f64 {
    let (model, batch) = (&case.model, &case.batch);
    let rows = model.items.scored().gather(&batch.scored).to_kind(Kind::Double);
    let rows = model.scoring.items(&rows);
    let products = vectors.to_kind(Kind::Double).matmul(&rows.tr()) * case.factor();
    let targets = list(&batch.targets);
    let (mut positive, mut negative) = (vec![], Vec::<f64>::new());
    let k = match case.config.sampling.top_k {
        0 => 50,
        k => k,
    };
    for (query, &target) in targets.iter().enumerate() {
        let score = |slot: usize| {
            let product = products.double_value(&[query as i64, slot as i64]);
            let gain = places(batch, query, slot).map(|own| own.map(|at| weights[at]));
            product + 10.0 * gain.map_or(0.0, |[count, recency]| count + recency)
        };
        positive.push(score(target));
        let slots = slots_of(batch, query);
        let rejected = |slot| reject == "label" && slot == target;
        let mut scores: Vec<f64> = slots
            .into_iter()
            .map(|slot| if rejected(slot) { f64::NEG_INFINITY } else { score(slot) })
            .collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        negative.extend(&scores[..k]);
    }
    let count = targets.len() as i64;
    let scores = Scores {
        positive: model.scoring.activate(&Tensor::from_slice(&positive)),
        negative: model.scoring.activate(&Tensor::from_slice(&negative).view([count, -1])),
        catalogue: ITEMS as f64,
        drawn: 50.0,
        log_counts: None,
    };
    crate::loss::build(&case.config.loss).loss(&scores).double_value(&[])
}

#[test]
fn the_parameter_s_gradient_is_that_of_finite_differences() {
    for (form, tower) in [
        ("reject = \"label\"", "normalize = true"),
        ("reject = \"none\"\ntop_k = 4", "normalize = true\nscale = 3.0"),
        ("reject = \"label\"\ntop_k = 4", "normalize = false\nactivation = \"elu\""),
    ] {
        for loss in ["ssm", "bpr-max", "cro", "bce"] {
            for samples in ["positions", "users"] {
                let text = format!(
                    "{form}\n{NEGATIVES}[tower]\ndim = 5\n{tower}\nrepeats = true\n[loss]\nkind = \"{loss}\"\n"
                );
                let mut config = config(&text);
                if samples == "users" {
                    config.sampling.samples = crate::config::Samples::Users;
                    (config.sampling.first_position, config.sampling.batch) = (1, 40);
                }
                let case = Case::by(config);
                let vectors = case.vectors();
                let reject = form.split('"').nth(1).unwrap();
                let weights = &case.model.repeats.as_ref().unwrap().parameter().1;
                let weights = Vec::<f64>::try_from(weights.to_kind(Kind::Double).view(-1)).unwrap();
                let found = case.tensor_candidates().run(
                    (&case.model, &case.model.items),
                    &vectors,
                    &case.batch,
                );
                let found = found.repeats.unwrap().view(-1);
                let expected: Vec<f64> = (0..16)
                    .map(|at| {
                        let moved = |by: f64| {
                            let mut weights = weights.clone();
                            weights[at] += by;
                            loss_at(&case, &vectors, &weights, reject)
                        };
                        (moved(1e-6) - moved(-1e-6)) / 2e-6
                    })
                    .collect();
                let largest = expected.iter().fold(0.0, |most: f64, own| most.max(own.abs()));
                assert!(largest > 1e-3);
                for (at, expected) in expected.iter().enumerate() {
                    let wrong = (found.double_value(&[at as i64]) - expected).abs();
                    assert!(wrong < 1e-3 * largest, "{text}, {samples}, {at}: {wrong} {expected}");
                }
            }
        }
    }
}

#[test]
fn without_repeats_a_model_has_no_parameter_of_them() {
    for (text, names) in [("", 2), ("[tower]\nrepeats = true", 3)] {
        let case = Case::by(users(text));
        assert_eq!(case.model.parameters().len(), names);
        assert_eq!(case.model.additions().is_some(), names == 3);
        assert_eq!(case.batch.repeats.is_some(), names == 3);
    }
}

/// Users who take one of two items of their own, and the other, and the one again.
fn alternating() -> Sequences {
    let mut rng = stream(9, Purpose::Generation, 0);
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..SESSIONS {
        let first = rng.random_range(1..=ITEMS as u32);
        let other = (first + rng.random_range(0..ITEMS as u32 - 1)) % ITEMS as u32 + 1;
        let length = rng.random_range(8..14);
        all.items.extend((0..length).map(|at| [first, other][at % 2]));
        all.offsets.push(all.items.len());
    }
    all
}

#[test]
fn a_training_learns_what_a_repeat_is_worth() {
    const STEPS: u64 = 300;
    let sequences = alternating();
    let evaluation = EvaluationConfig { at: vec![1], ..Default::default() };
    // The next item, which is the one before the latest.
    let next = |user: usize| {
        let at = sequences.get(user).len() - 2;
        at..at + 1
    };
    for samples in ["users", "positions"] {
        for fused in [true, false] {
            let recall = |repeats: bool| {
                let mut config = config(&format!(
                    "negatives = [{{ from = \"uniform\", count = 60, per = \"batch\" }}]\nreject = \"label\"\n[tower]\ndim = 4\nscale = 3.0\nrepeats = {repeats}\n"
                ));
                if samples == "users" {
                    config.sampling.samples = crate::config::Samples::Users;
                }
                (config.sampling.batch, config.optimizer.learning_rate) = (30, 0.01);
                config.train.fused = fused;
                let plan = Plan::of(&config, Device::Cpu);
                let members: Vec<usize> = (0..SESSIONS).collect();
                let assembly = plan.assembly(&config);
                let drawer =
                    HostDrawer::new(&config, &sequences, members.clone(), ITEMS, assembly).unwrap();
                let drawer = Drawer::Host(drawer);
                let model = Model::new(&config.tower, ITEMS, 1, Device::Cpu);
                let mut stepper = Stepper::new(&config, &plan, &model, STEPS, Vec::new);
                drawer.run(0..STEPS, |next| {
                    (0..STEPS).for_each(|step| drop(stepper.step(&model, &next(), step)));
                });
                stepper.catch_up();
                let of = |path| {
                    let evaluation = Evaluation {
                        sequences: &sequences,
                        users: members.clone(),
                        windows: Some(members.iter().map(|user| next(*user)).collect()),
                        known: None,
                        config: &evaluation,
                        history: config.tower.history,
                        path,
                    };
                    let means = evaluation.run(&model, &mut |_| Ok(())).unwrap().means();
                    value_of(&means, "recall@1".parse().unwrap()).unwrap()
                };
                let recalls = [ComputePath::HostLoops, ComputePath::TensorOps].map(of);
                assert!((recalls[0] - recalls[1]).abs() < 0.01, "{recalls:?}");
                if let Some(repeats) = &model.repeats {
                    let learned = repeats.of_scores();
                    // The other item, three times so far, one item ago; the latest one.
                    let [other, latest] =
                        [0, 1].map(|recency| learned.by_count[2] + learned.by_recency[1 - recency]);
                    assert!(other > 0.5 && other > latest + 0.5, "{learned:?}");
                }
                recalls[0]
            };
            let (with, without) = (recall(true), recall(false));
            assert!(with > 0.9 && with > without + 0.1, "{samples}: {with} and {without}");
        }
    }
}
