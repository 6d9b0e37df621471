//! Candidates by tensor ops against plain loops over queries and candidates, and by host loops
//! against tensor ops.

use tch::{Device, Kind, Tensor};

use super::mean_pool::{close, losses};
use super::repeats::places;
use super::*;
use crate::config::Activation;
use crate::host::candidates::{CandidateLoops, QUERIES, RowScores, ScoreLoss};
use crate::host::row_loss::{ROWS, RowLoss};
use crate::host::simd;
use crate::loss::Scores;
use crate::step::objective::{HostObjective, Objective};

fn floats(t: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(t.contiguous().view(-1)).unwrap()
}

pub fn list(t: &Tensor) -> Vec<usize> {
    let list = Vec::<i64>::try_from(t.contiguous().view(-1)).unwrap();
    list.into_iter().map(|x| x as usize).collect()
}

/// The slots of all candidates of a query.
pub fn slots_of(batch: &Batch, query: usize) -> Vec<usize> {
    let mut slots = list(&batch.shared);
    slots.extend(list(&batch.of_history.get(batch.history.int64_value(&[query as i64]))));
    slots.extend(list(&batch.of_query.get(query as i64)));
    slots
}

/// For every position (positive, [(score, slot)] of what is left of its candidates), by loops.
fn plain(case: &Case, vectors: &Tensor, reject: &str) -> Vec<(f32, Vec<(f32, usize)>)> {
    let batch = &case.batch;
    let rows = case.model.scoring.items(&case.model.items.scored().gather(&batch.scored));
    let dim = rows.size()[1] as usize;
    let (rows, vectors) = (floats(&rows), floats(vectors));
    let (targets, session) = (list(&batch.targets), list(&batch.history));
    let own = list(&batch.own);
    let additions: Vec<f32> = case.repeats().map(|t| floats(&(t * 10.0))).unwrap_or_default();
    let factor = case.factor() as f32;
    (0..targets.len())
        .map(|at| {
            let score = |slot: usize| {
                let product = |k: usize| vectors[at * dim + k] * rows[slot * dim + k];
                let gain = places(batch, at, slot).filter(|_| !additions.is_empty());
                let gain = gain.map_or(0.0, |own| own.iter().map(|at| additions[*at]).sum::<f32>());
                factor * (0..dim).map(product).sum::<f32>() + gain
            };
            let mut slots = slots_of(batch, at);
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
fn by_positions(case: &Case, vectors: &Tensor, reject: &str) -> [Tensor; 4] {
    let vectors = vectors.detach().set_requires_grad(true);
    let rows = case.model.items.scored().gather(&case.batch.scored).set_requires_grad(true);
    let candidates = case.model.scoring.items(&rows);
    let repeats = case.repeats().unwrap_or_else(|| Tensor::zeros([16], (Kind::Float, Device::Cpu)));
    let repeats = repeats.detach().set_requires_grad(true);
    let loss = crate::loss::build(&case.config.loss);
    let top_k = case.config.sampling.top_k;
    let counts = &case.log_counts;
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
        let mut scores = chosen.mv(&vectors.get(at as i64)) * case.factor();
        let gains: Vec<Tensor> = slots
            .iter()
            .map(|slot| match places(&case.batch, at, *slot as usize) {
                Some(own) => own.map(|at| repeats.get(at as i64) * 10.0).iter().sum(),
                None => Tensor::from(0.0f32),
            })
            .collect();
        scores += Tensor::stack(&gains, 0) * i64::from(case.config.tower.repeats);
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
    [total.detach(), vectors.grad(), rows.grad(), repeats.grad()]
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
fn loops_equal_tensor_ops(case: &Case, loops: &mut HostCandidates, what: &str) -> i64 {
    let vectors = case.vectors();
    let expected =
        case.tensor_candidates().run((&case.model, &case.model.items), &vectors, &case.batch);
    let own = loops.run((&case.model, &case.model.items), &vectors, &case.batch);
    assert!(near(&Tensor::from(own.loss as f32), &expected.loss), "{what}");
    assert!(near(&own.vectors, &expected.vectors), "{what}");
    let size = [ITEMS as i64 + 1, own.rows.size()[1]];
    let of_items = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let of_items = of_items.index_add(0, &Tensor::from_slice(&own.ids), &own.rows);
    let of_scored = of_items.index_select(0, &case.batch.scored);
    assert!(near(&of_scored, &expected.scored), "{what}");
    if let (Some(of_repeats), Some(batch)) = (expected.repeats, &case.batch.repeats) {
        let own = Repeats::gradient(&batch.buckets, &own.gains);
        assert!(near(&own, &of_repeats) && own.abs().max().double_value(&[]) > 0.0, "{what}");
    }
    expected.scored.abs().amax(1, false).eq(0.0).sum(Kind::Int64).int64_value(&[])
}

const TOWERS: [&str; 5] = [
    "normalize = false",
    "normalize = true",
    "normalize = false\ntied = false\noutput_bias = true\nactivation = \"elu\"",
    "normalize = true\nrepeats = true",
    "normalize = false\ntied = false\noutput_bias = true\nactivation = \"elu\"\nrepeats = true",
];

/// Repeats are learned from a session's own items.
fn goes_together(form: &str, tower: &str) -> bool {
    !(form.contains("session") && tower.contains("repeats"))
}

#[test]
fn the_loops_equal_tensor_ops() {
    for form in FORMS {
        for tower in TOWERS {
            for loss in [
                "kind = \"ssm\"\nlog_q = \"corrected\"",
                "kind = \"bpr-max\"",
                "kind = \"cro-lambda\"",
                "kind = \"triplet\"",
                "kind = \"ssm\"",
                "kind = \"bsl\"\nnegative_temperature = 2.0",
            ] {
                if !goes_together(form, tower) {
                    continue;
                }
                let what = format!("{form}, {tower}, {loss}");
                let text =
                    format!("{form}\n{NEGATIVES}[tower]\ndim = 21\n{tower}\n[loss]\n{loss}\n");
                // More positions than a task takes; fewer; as many again.
                let [many, few] = [40, 6].map(|sessions| Case::of(&text, sessions));
                assert!(many.batch.query_count() > QUERIES as i64);
                let mut loops = many.host_candidates();
                for case in [&many, &few, &many] {
                    let _ = loops_equal_tensor_ops(case, &mut loops, &what);
                }
            }
        }
    }
}

#[test]
fn every_loss_of_rows_equals_its_composition_whatever_does_not_count() {
    let mut rng = stream(1, Purpose::Batch, 0);
    for loss in losses() {
        let config = config(&format!("{NEGATIVES}[loss]\n{loss}"));
        let rows = RowLoss::new(&config).unwrap();
        let (objective, catalogue) = (&Objective::new(&config), 1000.0);
        for (queries, in_row) in [(1, 1), (3, 32), (ROWS + 1, 45), (2 * ROWS, 100)] {
            let mut draw = |n: usize| (0..n).map(|_| rng.random_range(-6.0f32..6.0)).collect();
            let (positive, mut negative): (Vec<f32>, Vec<f32>) =
                (draw(queries), draw(queries * in_row));
            negative.iter_mut().step_by(7).for_each(|score| *score = f32::NEG_INFINITY);
            // The last query has no rival at all.
            negative[(queries - 1) * in_row..].fill(f32::NEG_INFINITY);
            let of = |loss: &dyn ScoreLoss, level| {
                let own = loss.slopes(level, 0.25, &positive, &negative, 150.0, None);
                [vec![own.loss as f32], own.positive, own.negative].map(|x| Tensor::from_slice(&x))
            };
            let expected = of(&HostObjective { objective, catalogue }, simd::level());
            for level in simd::levels() {
                let own = of(&RowScores { loss: &rows, catalogue }, level);
                for (part, (own, expected)) in own.iter().zip(&expected).enumerate() {
                    close(
                        &format!("{loss}, {queries} × {in_row}, {level:?}: {part}"),
                        own,
                        expected,
                    );
                }
            }
        }
    }
}

#[test]
fn the_loops_equal_tensor_ops_on_every_instruction_set_and_in_groups() {
    for (form, repeats) in [(4, false), (0, false), (4, true), (0, true)] {
        let form = format!("top_k = {form}");
        let text = format!("{form}\n{NEGATIVES}[tower]\ndim = 21\nrepeats = {repeats}\n");
        let case = Case::of(&text, 60);
        let top_k = Some(case.config.sampling.top_k).filter(|&k| k > 0);
        for level in simd::levels() {
            // One task a group, or all of them.
            for group in [None, Some(1)] {
                let mut loops =
                    case.host_candidates().with(CandidateLoops::at(level, top_k, group));
                let what = format!("{form}, {level:?}, {group:?}");
                let _ = loops_equal_tensor_ops(&case, &mut loops, &what);
            }
        }
    }
}

#[test]
fn the_loops_give_the_same_bits_on_any_number_of_threads() {
    // As the plan sets it: sums of tensor ops depend on it, and another test may set it meanwhile.
    tch::set_num_threads(1);
    for (form, repeats) in [(4, false), (0, false), (4, true), (0, true)] {
        let form = format!("top_k = {form}");
        let text = format!("{form}\n{NEGATIVES}[tower]\ndim = 21\nrepeats = {repeats}\n");
        let case = Case::of(&text, 60);
        let bits = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (case, vectors) = (Alone(&case), Alone(case.vectors()));
            pool.install(move || {
                let (case, vectors) = (case.get(), vectors.get());
                let own = case.host_candidates().run(
                    (&case.model, &case.model.items),
                    vectors,
                    &case.batch,
                );
                let loss = Tensor::from(own.loss as f32);
                ([loss, own.vectors, own.rows].map(|t| floats(&t)), own.gains)
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
    assert!(loops_equal_tensor_ops(&case, &mut case.host_candidates(), "top 4") > 5);
}

#[test]
fn the_loops_take_more_candidates_than_one_inner_sum() {
    let many = NEGATIVES.replace("count = 40", "count = 600");
    let case = Case::of(&format!("{many}[tower]\ndim = 5\n[loss]\nkind = \"cro\"\n"), 40);
    assert_eq!(loops_equal_tensor_ops(&case, &mut case.host_candidates(), "600 of the batch"), 0);
}

#[test]
fn the_loops_do_without_candidates_of_the_whole_batch() {
    let own = "[[sampling.negatives]]\nfrom = \"uniform\"\ncount = 7\nper = \"session\"\n[[sampling.negatives]]\nfrom = \"popularity\"\ncount = 3\nper = \"event\"\n";
    let case = Case::new(&format!("{own}[tower]\ndim = 5\n[loss]\nkind = \"bce\"\n"));
    let _ = loops_equal_tensor_ops(&case, &mut case.host_candidates(), "per session and per event");
}

#[test]
fn tensor_ops_equal_loops_over_positions_and_candidates() {
    for form in FORMS {
        for tower in TOWERS {
            for loss in [
                "kind = \"ssm\"\nlog_q = \"negatives\"",
                "kind = \"bpr-max\"",
                "kind = \"cro-lambda\"",
                "kind = \"cro\"\nalpha = 0.6\nestimator = \"scaled-sum\"",
            ] {
                if !goes_together(form, tower) {
                    continue;
                }
                let what = format!("{form}, {tower}, {loss}");
                let text =
                    format!("{form}\n{NEGATIVES}[tower]\ndim = 5\n{tower}\n[loss]\n{loss}\n");
                let case = Case::new(&text);
                let vectors = case.vectors();
                let reject = form.split('"').nth(1).unwrap();
                let [value, of_vectors, of_rows, of_repeats] =
                    by_positions(&case, &vectors, reject);
                let outcome = case.tensor_candidates().run(
                    (&case.model, &case.model.items),
                    &vectors,
                    &case.batch,
                );
                assert!(near(&outcome.loss, &value), "{what}: {:?} {value:?}", outcome.loss);
                assert!(near(&outcome.vectors, &of_vectors), "{what}");
                assert!(near(&outcome.scored, &of_rows), "{what}");
                if let Some(own) = outcome.repeats {
                    assert!(near(&own.view(-1), &of_repeats), "{what}");
                }
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
fn an_accidental_hit_is_no_rival_unless_it_is_kept() {
    for (reject, rivals) in [("label", 0.0), ("none", 40.0)] {
        let mut case = Case::by(users(&format!("batch = 1\nreject = \"{reject}\"")));
        // One user, whose negatives are all the target: every one is a hit, or a gap of 0.
        case.batch.shared = case.batch.targets.get(0).repeat([40]);
        let vectors = case.vectors();
        let expected = (1.0 + rivals * 2f64.ln()).ln();
        let by_tensors = case
            .tensor_candidates()
            .run((&case.model, &case.model.items), &vectors, &case.batch)
            .loss;
        let by_loops = case
            .host_candidates()
            .run((&case.model, &case.model.items), &vectors, &case.batch)
            .loss;
        for loss in [by_tensors.double_value(&[]), by_loops] {
            assert!((loss - expected).abs() < 1e-5, "{reject}: {loss}, not {expected}");
        }
    }
}
