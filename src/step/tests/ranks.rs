//! Steps of ranks, each of which has its part of the rows and of each batch, against those of one
//! process.

use tch::{Kind, Tensor};

use super::*;
use crate::config::Order;
use crate::ranks::{Shard, Team, together};

const STEPS: u64 = 200;
const FEW: u64 = 40;

/// Long enough that a batch is cut into several chunks.
fn long_sequences() -> Sequences {
    sequences_of(5, 4..30)
}

/// Every sample, encoder, optimiser and source of candidates at least once, and for how many steps.
fn cases() -> Vec<(&'static str, Config, u64)> {
    let transformer = format!(
        "top_k = 5\nreject = \"session\"\n{NEGATIVES}[tower]\ndim = 6\nhistory = 9\nencoder = \"transformer\"\ndropout = 0.2\n[loss]\nkind = \"ssm\"\nlog_q = \"corrected\"\n[optimizer]\nlearning_rate = 0.001\n"
    );
    let gru = format!(
        "{NEGATIVES}[tower]\ndim = 6\nencoder = \"gru\"\ntied = false\noutput_bias = true\nrepeats = true\nactivation = \"elu\"\n[loss]\nkind = \"cro\"\n[optimizer]\nkind = \"adagrad\"\nlearning_rate = 0.01\n"
    );
    let (mut transformer, mut gru) = (config(&transformer), config(&gru));
    transformer.sampling.batch = 100;
    // The last batch of an epoch has a few sessions: one rank has them all, the others nothing.
    transformer.sampling.order = Order::Shuffled;
    (gru.sampling.batch, gru.sampling.order) = (SESSIONS - 1, Order::Shuffled);
    let towers = |more: &str| users(&format!("batch = 90\n[tower]\ndim = 6\n{more}"));
    vec![
        ("two towers", towers(""), STEPS),
        ("two towers of which every row moves", towers("[optimizer]\nkind = \"adam\"\n"), FEW),
        ("transformer", transformer, STEPS),
        ("gru", gru, FEW),
    ]
}

/// A rank's model, its batches and what moves it.
struct OfRank<'a> {
    model: Model,
    drawer: HostDrawer<'a>,
    stepper: Stepper,
}

impl<'a> OfRank<'a> {
    fn new(config: &Config, sequences: &'a Sequences, team: &Team) -> Self {
        let plan = Plan::of(config, Device::Cpu);
        let (members, assembly) = ((0..SESSIONS).collect(), plan.assembly(config));
        let drawer = HostDrawer::new(config, sequences, members, ITEMS, assembly).unwrap();
        let log_counts = drawer.log_counts();
        let (drawer, model) = match team.is_alone() {
            true => (drawer, Model::new(&config.tower, ITEMS, 1, Device::Cpu)),
            false => (drawer.shared(team.shard()), Model::sharded(&config.tower, ITEMS, 1, team)),
        };
        let stepper = Stepper::new(config, &plan, &model, STEPS, || log_counts);
        Self { model, drawer, stepper }
    }
}

/// Tables `[ITEMS + 1, dim]` put together of each rank's part.
fn whole(parts: &[&Tensor]) -> Tensor {
    let size = [ITEMS as i64 + 1, parts[0].size()[1]];
    let whole = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    for (rank, rows) in parts.iter().enumerate() {
        let shard = Shard { rank, ranks: parts.len() };
        for local in 1..rows.size()[0] {
            whole.get(shard.global(local as usize) as i64).copy_(&rows.get(local));
        }
    }
    whole
}

/// All weights by name behind the steps, and the losses.
fn trained(config: &Config, ranks: usize, steps: u64) -> (Vec<(&'static str, Tensor)>, Vec<f64>) {
    let sequences = long_sequences();
    let all = together(ranks, |team| {
        let mut own = OfRank::new(config, &sequences, &team);
        let losses: Vec<f64> = (0..steps)
            .map(|step| {
                own.stepper.step(&own.model, &own.drawer.draw(step), step).double_value(&[])
            })
            .collect();
        own.stepper.catch_up();
        (own.model.snapshot(), losses)
    });
    let weights = all[0].0.iter().enumerate().map(|(at, (name, first))| {
        let parts: Vec<&Tensor> = all.iter().map(|(own, _)| &own[at].1).collect();
        if ["items", "outputs"].contains(name) {
            return (*name, whole(&parts));
        }
        parts.iter().for_each(|own| assert_eq!(*own, first, "{name} is the same on all ranks"));
        (*name, first.copy())
    });
    (weights.collect(), all[0].1.clone())
}

fn mean(of: &Tensor) -> f64 {
    of.abs().mean(Kind::Double).double_value(&[])
}

/// What of a weight a loss depends on. The bias of attention's keys adds one number to all scores of a
/// query, which softmax takes away again: of its gradient there is nothing but rounding, and Adam
/// makes steps of that.
fn with_gradient(name: &str, all: &Tensor) -> Tensor {
    if name != "encoder.attend.bias" {
        return all.detach();
    }
    let [queries, _, values]: [Tensor; 3] = all.detach().chunk(3, 1).try_into().unwrap();
    Tensor::cat(&[queries, values], 1)
}

#[test]
fn ranks_say_of_a_batch_what_one_process_says() {
    let sequences = long_sequences();
    for (what, config, _) in cases() {
        for step in [0, 1] {
            let of = |ranks: usize| {
                let all = together(ranks, |team| {
                    let mut own = OfRank::new(&config, &sequences, &team);
                    let batch = own.drawer.draw(step);
                    let said = own.stepper.gradients(&own.model, &batch, step);
                    let dense = |((_, table), gradient): ((&str, Tensor), &RowGradient)| {
                        let (ids, values) = (gradient.rows.ids(), gradient.expanded());
                        table.zeros_like().index_add(0, ids, &values)
                    };
                    let tables = own.model.tables().into_iter().zip(&said.tables).map(dense);
                    let parameters: Vec<Tensor> =
                        [said.loss].into_iter().chain(said.parameters).collect();
                    (parameters, tables.collect::<Vec<_>>(), batch.share)
                });
                let shares: Vec<f64> = all.iter().map(|own| own.2).collect();
                let tables = (0..all[0].1.len())
                    .map(|at| whole(&all.iter().map(|own| &own.1[at]).collect::<Vec<_>>()));
                let all: Vec<Tensor> = all[0].0.iter().map(Tensor::copy).chain(tables).collect();
                (all, shares)
            };
            let (alone, _) = of(1);
            for ranks in [2, 3] {
                let (own, shares) = of(ranks);
                let parts = shares.iter().filter(|share| **share > 0.0).count();
                let rest = step == 1 && config.sampling.order == Order::Shuffled;
                assert_eq!(parts, if rest { 1 } else { ranks }, "{what}: {shares:?}");
                for (own, expected) in own.iter().zip(&alone) {
                    let (off, size) = (mean(&(own - expected)), mean(expected));
                    assert!(off <= 2e-6 * size, "{what}, {ranks} ranks: off {off:e} of {size:e}");
                }
            }
        }
    }
}

#[test]
fn ranks_move_the_weights_as_one_process_does_and_alike_at_every_repetition() {
    for (what, mut config, steps) in cases() {
        // Which candidates are best hangs on the last bit where two are as good: the way from there on
        // would be another one.
        config.sampling.top_k = 0;
        let initial = Model::new(&config.tower, ITEMS, 1, Device::Cpu);
        let (alone, losses) = trained(&config, 1, steps);
        for ranks in [2, 3] {
            let (weights, of_ranks) = trained(&config, ranks, steps);
            for (((name, own), (_, expected)), (_, first)) in
                weights.iter().zip(&alone).zip(initial.weights())
            {
                let [own, expected, first] =
                    [own, expected, &first].map(|all| with_gradient(name, all));
                let (off, way) = (mean(&(&own - &expected)), mean(&(&expected - &first)));
                println!("{what}, {ranks} ranks, {name}: off {off:.2e} of {way:.2e}");
                assert!(off < 1e-4 * way, "{what}, {ranks} ranks, {name}: off {off:e} of {way:e}");
            }
            for (own, expected) in of_ranks.iter().zip(&losses) {
                assert!((own - expected).abs() < 1e-3 * expected.abs().max(1.0), "{what}");
            }
            let (again, _) = trained(&config, ranks, steps);
            weights.iter().zip(&again).for_each(|(own, again)| assert_eq!(own, again, "{what}"));
        }
    }
}

/// A step of two-tower training sends ids, rows and gradients of what is others', and the sums of the
/// encoder's gradients: so many bytes as the arithmetic says.
#[test]
fn a_step_sends_the_bytes_that_are_counted() {
    let config = users("batch = 90\n[tower]\ndim = 6\n");
    let sequences = long_sequences();
    for ranks in [2, 3] {
        let sent = together(ranks, |team| {
            let mut own = OfRank::new(&config, &sequences, &team);
            let batch = own.drawer.draw(0);
            let ids = Vec::<i64>::try_from(&batch.composition.as_ref().unwrap().ids).unwrap();
            let _ = own.stepper.step(&own.model, &batch, 0);
            (ids, team.sent())
        });
        let (mut expected, mut all) = (0, 0);
        for (rank, (ids, sent)) in sent.iter().enumerate() {
            let others = ids.iter().filter(|id| **id as usize % ranks != rank).count() as u64;
            // An id of 4 bytes there, a row of 6 float32 back, and its gradient there.
            expected += others * (4 + 2 * 6 * 4);
            all += sent;
        }
        // 1 loss and 6·6 + 6 parameters: each rank's to those who add them up, the sums to all.
        let numbers = 1 + 6 * 6 + 6;
        expected += 2 * (ranks as u64 - 1) * numbers * 4;
        assert_eq!(all, expected, "{ranks} ranks");
    }
}
