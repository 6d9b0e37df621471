//! What a whole step moves, and what it never does.

use tch::{Device, Kind, Tensor};

use super::*;
use crate::batch::{Candidates, DeviceDrawer, Samples};
use crate::device::{ComputePath, operations, read_back};
use crate::loss::Scores;
use crate::model::{Draws, Layout, Queries};
use crate::optim::{Adam, Rule};

#[test]
fn a_step_moves_the_tables_by_the_gradients_of_what_was_read_and_scored() {
    for tower in [
        "encoder = \"transformer\"\ndropout = 0.0",
        "encoder = \"gru\"\ntied = false\noutput_bias = true\nactivation = \"elu\"",
        "encoder = \"mean-pool\"",
    ] {
        let case = Case::new(&format!(
            "top_k = 5\n{NEGATIVES}[tower]\ndim = 6\nhistory = 9\n{tower}\n[loss]\nkind = \"cro\"\n"
        ));
        let (model, batch) = (&case.model, &case.batch);
        let read = model.items.read().gather(&batch.inputs).set_requires_grad(true);
        let history = Vec::<i64>::try_from(&batch.history).unwrap();
        let lengths: Vec<usize> = (0..batch.histories())
            .map(|own| history.iter().filter(|history| **history == own).count())
            .collect();
        let layout = Layout::packed(&lengths, Device::Cpu);
        let vectors = model.queries(&read, &layout, Queries::Every, None, None);
        let own = case.tensor_candidates().run((model, &model.items), &vectors.detach(), batch);
        (&vectors * &own.vectors).sum(None::<Kind>).backward();
        let tables: Vec<Tensor> = model.items.tables().into_iter().map(|(_, t)| t).collect();
        let mut gradients: Vec<Tensor> = tables.iter().map(|table| table.zeros_like()).collect();
        let last = gradients.len() - 1;
        let _ = gradients[0].index_add_(0, &batch.inputs, &read.grad());
        let _ = gradients[last].index_add_(0, &batch.scored, &own.scored);
        let rule = Rule::over(&case.config.optimizer, 1000);
        let expected: Vec<Tensor> = tables
            .iter()
            .zip(&gradients)
            .map(|(table, gradient)| {
                let own = table.copy();
                Adam::new(&rule, ComputePath::TensorOps, &own).step(&own, gradient);
                own
            })
            .collect();
        let _ = case.stepper().step(model, batch, 1);
        for (table, expected) in tables.iter().zip(&expected) {
            assert!(table.allclose(expected, 1e-4, 1e-6, false), "{tower}");
        }
    }
}

/// What a GPU runs, run here.
#[test]
fn the_step_of_a_gpu_reads_nothing_back() {
    for tower in [
        "encoder = \"transformer\"",
        "encoder = \"gru\"\ntied = false\noutput_bias = true\nactivation = \"elu\"",
        "encoder = \"mean-pool\"\nrepeats = true",
    ] {
        for (top_k, optimizer) in [(5, "deferred-adam"), (0, "adam"), (5, "adagrad")] {
            let config = config(&format!(
                "top_k = {top_k}\n{NEGATIVES}[tower]\ndim = 6\n{tower}\n[loss]\nkind = \"ssm\"\nlog_q = \"corrected\"\n[optimizer]\nkind = \"{optimizer}\"\n"
            ));
            let plan = plan_of_a_gpu(&config);
            assert_eq!((plan.batches, plan.dropout), (Draws::Host, Draws::Device));
            let case = Case::planned(config, &plan);
            assert_eq!(case.batch.chunks.len(), 1);
            let mut stepper = case.stepper_by(&plan);
            for step in 1..4 {
                let mut step = || drop(stepper.step(&case.model, &case.batch, step));
                assert!(operations(&mut step).len() > 60);
                assert_eq!(read_back(&mut step), None, "{tower}, top {top_k}, {optimizer}");
            }
        }
    }
}

#[test]
fn steps_on_one_batch_lower_its_loss_with_every_loss_and_encoder() {
    for encoder in ["mean-pool", "transformer", "gru"] {
        for kind in
            ["cro", "cro-lambda", "cross-entropy", "triplet", "bpr", "bce", "gbce", "bpr-max"]
        {
            let case = Case::new(&format!(
                "top_k = 10\n{NEGATIVES}[tower]\ndim = 6\nencoder = \"{encoder}\"\n[loss]\nkind = \"{kind}\"\n"
            ));
            let mut stepper = case.stepper();
            let losses: Vec<f64> = (0..60)
                .map(|_| stepper.step(&case.model, &case.batch, 1).double_value(&[]))
                .collect();
            stepper.catch_up();
            assert!(losses[59] < 0.8 * losses[0], "{encoder}, {kind}: {losses:?}");
            let padding = case.model.items.read().weights().get(0).abs().sum(Kind::Float);
            assert_eq!(padding.double_value(&[]), 0.0);
        }
    }
}

#[test]
fn a_step_is_the_same_whoever_takes_its_parts_and_repeats_with_its_draws() {
    let text = format!(
        "top_k = 5\n{NEGATIVES}[tower]\ndim = 6\nencoder = \"transformer\"\n[loss]\nkind = \"ssm\"\n"
    );
    let moved = |fused, step| {
        let mut case = Case::of(&text, 100);
        case.config.train.fused = fused;
        let case = Case::by(case.config);
        assert!(case.batch.chunks.len() > 1);
        let mut stepper = case.stepper();
        let _ = stepper.step(&case.model, &case.batch, step);
        case.model.items.read().weights()
    };
    let own = moved(true, 3);
    assert_eq!(own, moved(true, 3));
    assert_ne!(own, moved(true, 4));
    assert!(own.allclose(&moved(false, 3), 1e-4, 1e-5, false));
}

#[test]
fn steps_on_one_batch_lower_its_loss_and_leave_padding_alone() {
    for kind in ["cro", "cro-lambda", "cross-entropy", "triplet", "bpr", "bce", "gbce", "bpr-max"] {
        let case = Case::by(users(&format!("[loss]\nkind = \"{kind}\"")));
        let mut stepper = case.stepper();
        let losses: Vec<f64> =
            (0..50).map(|_| stepper.step(&case.model, &case.batch, 1).double_value(&[])).collect();
        assert!(losses[49] < 0.9 * losses[0], "{kind}: {losses:?}");
        let padding = case.model.items.read().weights().get(0).abs().sum(Kind::Float);
        assert_eq!(padding.double_value(&[]), 0.0);
    }
}

/// What a GPU runs, run here: batches cut by tensor ops too.
#[test]
fn the_step_of_users_on_a_gpu_reads_nothing_back() {
    for (optimizer, more) in [
        ("deferred-adam", ""),
        ("adam", "top_k = 5\n"),
        ("adagrad", "[tower]\ntied = false\n"),
        ("deferred-adam", "[tower]\nencoder = \"transformer\"\n"),
    ] {
        let config = users(&format!("{more}[optimizer]\nkind = \"{optimizer}\""));
        let plan = plan_of_a_gpu(&config);
        assert_eq!((plan.step, plan.batches), (StepPath::TensorOps, Draws::Device));
        let sequences = sequences();
        let drawer = device_drawer(&config, &plan, &sequences);
        let model = Model::new(&config.tower, ITEMS, 1, Device::Cpu);
        let mut stepper = Stepper::new(&config, &plan, &model, 9, Vec::new);
        for step in 0..3 {
            let mut step = || drop(stepper.step(&model, &drawer.draw(step), step));
            let names = operations(&mut step);
            assert!(names.len() > 40, "{names:?}");
            assert_eq!(read_back(&mut step), None, "{more}{optimizer}");
        }
    }
}

fn device_drawer<'a>(config: &Config, plan: &Plan, sequences: &'a Sequences) -> DeviceDrawer<'a> {
    let members = (0..SESSIONS).collect();
    DeviceDrawer::new(config, sequences, members, ITEMS, plan.assembly(config)).unwrap()
}

/// In a batch that was cut on the device an item has a slot for each time that it stands there, and
/// histories are padded: the same loss and the same gradients as of the batch that the host would
/// have put together of the same ids.
#[test]
fn a_batch_cut_on_the_device_says_what_one_of_the_host_does() {
    for (reject, tower) in [
        ("label", ""),
        ("none", ""),
        ("label", "[tower]\nencoder = \"transformer\"\ndropout = 0.0\n"),
        ("label", "[tower]\ntied = false\n"),
    ] {
        let config = users(&format!("reject = \"{reject}\"\n{tower}"));
        let plan = plan_of_a_gpu(&config);
        let cut = device_drawer(&config, &plan, &sequences()).draw(3);
        let ids = |slots: &Tensor| cut.scored.index_select(0, &slots.view([-1]));
        let whole = |t: &Tensor| Vec::<i64>::try_from(t.contiguous().view([-1])).unwrap();
        let (mut items, mut starts) = (vec![], vec![0]);
        for padded in whole(&cut.inputs).chunks(config.tower.history) {
            items.extend(padded.iter().filter(|id| **id != 0));
            starts.push(items.len() as u32);
        }
        let targets = whole(&ids(&cut.targets));
        let samples = Samples { items, starts, queries: Queries::Last, targets };
        let candidates = Candidates { shared: whole(&ids(&cut.shared)), ..Default::default() };
        let put = Batch::new(samples, candidates, plan.assembly(&config));
        assert_ne!(put.scored.size(), cut.scored.size(), "an item stands there twice");
        let model = Model::new(&config.tower, ITEMS, 1, Device::Cpu);
        let gradients = |batch: &Batch| {
            let mut step = TensorStep::new(&config, &plan, None);
            let own = step.gradients(&model, &model.items, batch, 0, &mut Profile::default());
            let of_tables = own.tables.iter().map(of_table).collect::<Vec<_>>();
            [own.loss].into_iter().chain(own.parameters).chain(of_tables).collect::<Vec<_>>()
        };
        for (own, expected) in gradients(&cut).iter().zip(gradients(&put)) {
            assert!(own.allclose(&expected, 1e-4, 1e-6, false), "{reject}, {tower}");
        }
    }
}

/// The row-wise step equals autograd through the whole table, whose gradient is dense.
#[test]
fn row_gradients_are_the_gradient_of_the_table() {
    for fused in [true, false] {
        let mut config = users("reject = \"none\"");
        config.train.fused = fused;
        let case = Case::by(config);
        let (model, batch) = (&case.model, &case.batch);
        let table = model.items.read().weights().copy().set_requires_grad(true);
        let rows = |ids: &Tensor| table.index_select(0, ids);
        let layout = Layout::packed(
            &batch.starts.windows(2).map(|own| (own[1] - own[0]) as usize).collect::<Vec<_>>(),
            Device::Cpu,
        );
        let user = model.queries(&rows(&batch.inputs), &layout, Queries::Last, None, None) * 10.0;
        let of = |slots: &Tensor| model.scoring.items(&rows(&batch.scored.index_select(0, slots)));
        let positive = (&user * of(&batch.targets)).sum_dim_intlist(1, false, Kind::Float);
        let negative = user.matmul(&of(&batch.shared).tr());
        let scores = Scores::all(positive, negative, ITEMS as f64);
        crate::loss::build(&case.config.loss).loss(&scores).backward();
        let rule = Rule::over(&case.config.optimizer, 1000);
        Adam::new(&rule, ComputePath::TensorOps, &table).step(&table, &table.grad());
        let _ = case.stepper().step(model, batch, 0);
        let moved = model.items.read().weights();
        assert!(moved.allclose(&table.detach(), 1e-4, 1e-6, false), "fused: {fused}");
    }
}
