//! The head against plain loops over positions and candidates; rows and steps.

use rand::RngExt;
use tch::{Device, Kind};

use super::every::Every;
use super::*;
use crate::config::{Activation, Config, Settings};
use crate::data::Sequences;
use crate::device::{operations, read_back};
use crate::loss::Scores;
use crate::optim::{Adam, TouchedRows};
use crate::random::{Purpose, stream};
use crate::sampling::{Expected, SessionBatches, Setting};
use crate::simd;
use crate::tower::Layout;

const ITEMS: usize = 60;
const SESSIONS: usize = 120;

fn config(text: &str) -> Config {
    let text = format!(
        "[data]\npath = \"x\"\n[train]\nsteps = 1000\n[sampling]\nsamples = \"positions\"\nbatch = 6\n{text}"
    );
    toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
}

const NEGATIVES: &str = "[[sampling.negatives]]\nfrom = \"uniform\"\ncount = 40\nper = \"batch\"\n[[sampling.negatives]]\nfrom = \"in-batch\"\ncount = 7\nper = \"session\"\n[[sampling.negatives]]\nfrom = \"popularity\"\ncount = 3\nper = \"event\"\n";

fn sequences() -> Sequences {
    let mut rng = stream(4, Purpose::Generation, 0);
    let mut all = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..SESSIONS {
        let length = rng.random_range(2..8);
        all.items.extend((0..length).map(|_| rng.random_range(1..=ITEMS as u32)));
        all.offsets.push(all.items.len());
    }
    all
}

struct Case {
    config: Config,
    model: TwoTower,
    counts: Vec<u64>,
    batch: SessionBatch,
}

impl Case {
    fn new(text: &str) -> Self {
        Self::of(text, 6)
    }

    /// With a batch of so many sessions.
    fn of(text: &str, batch: usize) -> Self {
        let mut config = config(text);
        config.sampling.batch = batch;
        let sequences = sequences();
        let setting = Setting {
            items: ITEMS,
            history: config.tower.history,
            tied: config.tower.tied,
            seed: 1,
            device: Device::Cpu,
        };
        let batches =
            SessionBatches::new(&sequences, (0..SESSIONS).collect(), &config.sampling, setting)
                .unwrap();
        let model = TwoTower::new(&config.tower, ITEMS, 1, Device::Cpu);
        Self { model, counts: batches.counts().to_vec(), batch: batches.draw(0), config }
    }

    fn head(&self) -> Head {
        Head::new(&self.config, &self.model, &self.counts)
    }

    /// Vectors and rows that are far from each other, and rows of one table.
    fn vectors(&self) -> Tensor {
        tch::manual_seed(3);
        let table = self.model.scored().weights();
        let _guard = tch::no_grad_guard();
        let _ = table.shallow_clone().normal_(0.0, 0.7);
        Tensor::randn([self.batch.positions(), table.size()[1]], (Kind::Float, Device::Cpu))
    }
}

fn floats(t: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(t.contiguous().view(-1)).unwrap()
}

fn list(t: &Tensor) -> Vec<usize> {
    let list = Vec::<i64>::try_from(t.contiguous().view(-1)).unwrap();
    list.into_iter().map(|x| x as usize).collect()
}

/// For every position (positive, [(score, slot)] of what is left of its candidates), by loops.
fn plain(case: &Case, vectors: &Tensor, reject: &str) -> Vec<(f32, Vec<(f32, usize)>)> {
    let batch = &case.batch;
    let rows = case.model.candidates(&case.model.scored().gather(&batch.scored));
    let dim = rows.size()[1] as usize;
    let (rows, vectors) = (floats(&rows), floats(vectors));
    let (targets, session) = (list(&batch.targets), list(&batch.session));
    let (shared, own) = (list(&batch.shared), list(&batch.own));
    let (of_session, of_position) = (list(&batch.of_session), list(&batch.of_position));
    let factor = case.config.tower.factor() as f32;
    (0..targets.len())
        .map(|at| {
            let score = |slot: usize| {
                let product = |k: usize| vectors[at * dim + k] * rows[slot * dim + k];
                factor * (0..dim).map(product).sum::<f32>()
            };
            let mut slots = shared.clone();
            slots.extend(&of_session[session[at] * 7..][..7]);
            slots.extend(&of_position[at * 3..][..3]);
            slots.retain(|slot| match reject {
                "none" => true,
                "label" => *slot != targets[at],
                _ => !own.chunks(2).any(|pair| pair == [session[at], *slot]),
            });
            (score(targets[at]), slots.into_iter().map(|slot| (score(slot), slot)).collect())
        })
        .collect()
}

/// The loss and its gradients in vectors and rows, position by position through [`plain`]'s slots.
fn by_positions(case: &Case, vectors: &Tensor, reject: &str) -> (Tensor, Tensor, Tensor) {
    let vectors = vectors.detach().set_requires_grad(true);
    let rows = case.model.scored().gather(&case.batch.scored).set_requires_grad(true);
    let candidates = case.model.candidates(&rows);
    let loss = crate::loss::build(&case.config.loss);
    let top_k = case.config.sampling.top_k;
    let counts = Expected::log_counts(&case.config.sampling.negatives, &case.counts);
    let ids = list(&case.batch.scored);
    let mut total = Tensor::from(0.0f32);
    let targets = list(&case.batch.targets);
    for (at, (_, mut rest)) in plain(case, &vectors, reject).into_iter().enumerate() {
        if top_k > 0 {
            rest.sort_by(|a, b| b.0.total_cmp(&a.0));
            rest.truncate(top_k);
        }
        let slots: Vec<i64> = [targets[at]]
            .into_iter()
            .chain(rest.iter().map(|own| own.1))
            .map(|s| s as i64)
            .collect();
        let chosen = candidates.index_select(0, &Tensor::from_slice(&slots));
        let mut scores = chosen.mv(&vectors.get(at as i64)) * case.config.tower.factor();
        if case.config.tower.activation == Activation::Elu {
            scores = scores.where_self(&scores.gt(0.0), &((scores.exp() - 1.0) * 0.5));
        }
        let log_counts: Vec<f32> = slots[1..].iter().map(|s| counts[ids[*s as usize]]).collect();
        let mut scores = Scores::all(
            scores.narrow(0, 0, 1),
            scores.slice(0, 1, None, 1).unsqueeze(0),
            ITEMS as f64,
        );
        scores.drawn = 50.0;
        scores.log_counts = Some(Tensor::from_slice(&log_counts).unsqueeze(0));
        total = &total + loss.loss(&scores) / targets.len() as f64;
    }
    total.backward();
    (total.detach(), vectors.grad(), rows.grad())
}

/// What the configuration says besides the loss.
const FORMS: [&str; 6] = [
    "reject = \"none\"",
    "reject = \"label\"",
    "reject = \"session\"",
    "reject = \"session\"\ntop_k = 4",
    "reject = \"label\"\ntop_k = 4",
    "reject = \"none\"\ntop_k = 50",
];

fn near(a: &Tensor, b: &Tensor) -> bool {
    a.allclose(b, 1e-3, 1e-5, false)
}

/// Holds the loops against the tensor ops; returns how many scored rows have no gradient.
fn loops_equal_tensor_ops(case: &Case, loops: &mut Loops, what: &str) -> i64 {
    let vectors = case.vectors();
    let expected = case.head().run(&case.model, &vectors, &case.batch);
    let outcome = loops.run(&case.head(), &case.model, &vectors, &case.batch);
    assert!(near(&outcome.loss, &expected.loss), "{what}");
    assert!(near(&outcome.vectors, &expected.vectors), "{what}");
    let size = [ITEMS as i64 + 1, outcome.scored.size()[1]];
    let of_items = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let of_items = of_items.index_add(0, &outcome.touched.unwrap(), &outcome.scored);
    let of_scored = of_items.index_select(0, &case.batch.scored);
    assert!(near(&of_scored, &expected.scored), "{what}");
    expected.scored.abs().amax(1, false).eq(0.0).sum(Kind::Int64).int64_value(&[])
}

fn loops_of(case: &Case) -> Loops {
    loops(&case.config, &case.model).unwrap()
}

const TOWERS: [&str; 3] = [
    "normalize = false",
    "normalize = true",
    "normalize = false\ntied = false\noutput_bias = true\nactivation = \"elu\"",
];

#[test]
fn the_loops_equal_tensor_ops() {
    for form in FORMS {
        for tower in TOWERS {
            for loss in [
                "kind = \"ssm\"\nlog_q = \"corrected\"",
                "kind = \"bpr-max\"",
                "kind = \"cro-lambda\"",
                "kind = \"triplet\"",
            ] {
                let what = format!("{form}, {tower}, {loss}");
                let text =
                    format!("{form}\n{NEGATIVES}[tower]\ndim = 21\n{tower}\n[loss]\n{loss}\n");
                // More positions than a task takes; fewer; as many again.
                let [many, few] = [40, 6].map(|sessions| Case::of(&text, sessions));
                assert!(many.batch.positions() > loops::POSITIONS as i64);
                let mut loops = loops_of(&many);
                for case in [&many, &few, &many] {
                    let _ = loops_equal_tensor_ops(case, &mut loops, &what);
                }
            }
        }
    }
}

#[test]
fn the_loops_equal_tensor_ops_on_every_instruction_set_and_in_groups() {
    for form in ["top_k = 4", "top_k = 0"] {
        let case = Case::of(&format!("{form}\n{NEGATIVES}[tower]\ndim = 21\n"), 60);
        let mut loops = loops_of(&case);
        for level in simd::levels() {
            loops.level = level;
            loops.every = Every::default();
            let _ = loops_equal_tensor_ops(&case, &mut loops, &format!("{form}, {level:?}"));
            // One task a group.
            loops.every.group = 1;
            let _ =
                loops_equal_tensor_ops(&case, &mut loops, &format!("{form}, {level:?}, groups"));
        }
    }
}

#[test]
fn the_loops_give_the_same_bits_on_any_number_of_threads() {
    for form in ["top_k = 4", "top_k = 0"] {
        let case = Case::of(&format!("{form}\n{NEGATIVES}[tower]\ndim = 21\n"), 60);
        let bits = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (case, vectors) = (Alone(&case), Alone(case.vectors()));
            pool.install(move || {
                let (case, vectors) = (case.get(), vectors.get());
                let own = loops_of(case).run(&case.head(), &case.model, vectors, &case.batch);
                [own.loss, own.vectors, own.scored].map(|t| floats(&t))
            })
        };
        assert_eq!(bits(1), bits(3), "{form}");
    }
}

/// What one other thread uses while this one waits.
struct Alone<T>(T);

// SAFETY: this thread does nothing with it meanwhile.
unsafe impl<T> Send for Alone<T> {}

impl<T> Alone<T> {
    fn get(&self) -> &T {
        &self.0
    }
}

#[test]
fn top_k_leaves_most_rows_without_a_gradient() {
    let case = Case::new(&format!("top_k = 4\n{NEGATIVES}[tower]\ndim = 21\n"));
    assert!(loops_equal_tensor_ops(&case, &mut loops_of(&case), "top 4") > 5);
}

#[test]
fn the_loops_take_more_candidates_than_one_inner_sum() {
    let many = NEGATIVES.replace("count = 40", "count = 600");
    let case = Case::of(&format!("{many}[tower]\ndim = 5\n[loss]\nkind = \"cro\"\n"), 40);
    assert_eq!(loops_equal_tensor_ops(&case, &mut loops_of(&case), "600 of the batch"), 0);
}

#[test]
fn the_loops_do_without_candidates_of_the_whole_batch() {
    let own = "[[sampling.negatives]]\nfrom = \"uniform\"\ncount = 7\nper = \"session\"\n[[sampling.negatives]]\nfrom = \"popularity\"\ncount = 3\nper = \"event\"\n";
    let case = Case::new(&format!("{own}[tower]\ndim = 5\n[loss]\nkind = \"bce\"\n"));
    let _ = loops_equal_tensor_ops(&case, &mut loops_of(&case), "per session and per event");
}

#[test]
fn the_head_equals_loops_over_positions_and_candidates() {
    for form in FORMS {
        for tower in TOWERS {
            for loss in [
                "kind = \"ssm\"\nlog_q = \"negatives\"",
                "kind = \"bpr-max\"",
                "kind = \"cro-lambda\"",
                "kind = \"cro\"\nalpha = 0.6\nestimator = \"scaled-sum\"",
            ] {
                let what = format!("{form}, {tower}, {loss}");
                let text =
                    format!("{form}\n{NEGATIVES}[tower]\ndim = 5\n{tower}\n[loss]\n{loss}\n");
                let case = Case::new(&text);
                let vectors = case.vectors();
                let reject = form.split('"').nth(1).unwrap();
                let (value, of_vectors, of_rows) = by_positions(&case, &vectors, reject);
                let outcome = case.head().run(&case.model, &vectors, &case.batch);
                assert!(near(&outcome.loss, &value), "{what}: {:?} {value:?}", outcome.loss);
                assert!(near(&outcome.vectors, &of_vectors), "{what}");
                assert!(near(&outcome.scored, &of_rows), "{what}");
            }
        }
    }
}

#[test]
fn rejection_leaves_no_own_item_among_the_negatives() {
    for (reject, own) in [("none", true), ("session", false)] {
        let case = Case::new(&format!("reject = \"{reject}\"\n{NEGATIVES}[tower]\ndim = 5\n"));
        let found = plain(&case, &case.vectors(), reject);
        let fewer = found.iter().any(|(_, rest)| rest.len() < 50);
        assert_eq!(fewer, !own, "the batch has own items among its candidates");
    }
}

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
        let read = model.items.gather(&batch.inputs).set_requires_grad(true);
        let lengths = Vec::<i64>::try_from(&batch.session).unwrap();
        let lengths: Vec<usize> = (0..batch.sessions())
            .map(|own| lengths.iter().filter(|session| **session == own).count())
            .collect();
        let layout = Layout::packed(&lengths, Device::Cpu);
        let vectors = model.positions(&read, &layout, None);
        let outcome = case.head().run(model, &vectors.detach(), batch);
        (&vectors * &outcome.vectors).sum(None::<Kind>).backward();
        let tables: Vec<Tensor> = [Some(&model.items), model.outputs.as_ref()]
            .into_iter()
            .flatten()
            .map(|t| t.weights())
            .collect();
        let mut gradients: Vec<Tensor> = tables.iter().map(|table| table.zeros_like()).collect();
        let last = gradients.len() - 1;
        let _ = gradients[0].index_add_(0, &batch.inputs, &read.grad());
        let _ = gradients[last].index_add_(0, &batch.scored, &outcome.scored);
        let rule = Rule::over(&case.config.optimizer, 1000);
        let expected: Vec<Tensor> = tables
            .iter()
            .zip(&gradients)
            .map(|(table, gradient)| {
                let own = table.copy();
                Adam::new(&rule, &own).step(&own, gradient);
                own
            })
            .collect();
        let _ = SessionStepper::new(&case.config, model, &case.counts, 1000).step(model, batch, 1);
        for (table, expected) in tables.iter().zip(&expected) {
            assert!(table.allclose(expected, 1e-4, 1e-6, false), "{tower}");
        }
    }
}

/// What a GPU runs, run here.
#[test]
fn the_step_by_tensor_ops_reads_nothing_back() {
    for tower in [
        "encoder = \"transformer\"",
        "encoder = \"gru\"\ntied = false\noutput_bias = true\nactivation = \"elu\"",
    ] {
        for (top_k, optimizer) in [(5, "deferred-adam"), (0, "adam"), (5, "adagrad")] {
            let mut case = Case::new(&format!(
                "top_k = {top_k}\n{NEGATIVES}[tower]\ndim = 6\n{tower}\n[loss]\nkind = \"ssm\"\nlog_q = \"corrected\"\n[optimizer]\nkind = \"{optimizer}\"\n"
            ));
            case.config.train.fused = false;
            let batch = &mut case.batch;
            let by_tensors = |ids: &[&Tensor]| TouchedRows::by_tensors(Tensor::cat(ids, 0));
            batch.rows = match &batch.rows {
                Rows::Tied(_) => Rows::Tied(by_tensors(&[&batch.inputs, &batch.scored])),
                Rows::Apart { .. } => Rows::Apart {
                    inputs: by_tensors(&[&batch.inputs]),
                    scored: by_tensors(&[&batch.scored]),
                },
            };
            let mut stepper = SessionStepper::new(&case.config, &case.model, &case.counts, 1000);
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
            let mut stepper = SessionStepper::new(&case.config, &case.model, &case.counts, 1000);
            let losses: Vec<f64> = (0..60)
                .map(|_| stepper.step(&case.model, &case.batch, 1).double_value(&[]))
                .collect();
            stepper.catch_up(&case.model);
            assert!(losses[59] < 0.8 * losses[0], "{encoder}, {kind}: {losses:?}");
            let padding = case.model.items.weights().get(0).abs().sum(Kind::Float);
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
        assert!(case.batch.parts.len() > 1);
        case.config.train.fused = fused;
        let mut stepper = SessionStepper::new(&case.config, &case.model, &case.counts, 1000);
        let _ = stepper.step(&case.model, &case.batch, step);
        case.model.items.weights()
    };
    let own = moved(true, 3);
    assert_eq!(own, moved(true, 3));
    assert_ne!(own, moved(true, 4));
    assert!(own.allclose(&moved(false, 3), 1e-4, 1e-5, false));
}
