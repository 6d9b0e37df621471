//! Kernels that stand for chains of tensor ops come to what those come to, forward and back: here by
//! tensor ops on the CPU.

use croloss::config::{Config, Settings};
use croloss::device::{Drops, Kernels};
use croloss::loss::{self, LossRows, Scores};
use tch::{Device, Kind, Tensor};

use super::machine::{self, gpu};
use super::parts::LOSSES;

fn kernels() -> Kernels {
    Kernels::of(&Tensor::zeros([1], (Kind::Float, gpu()))).unwrap()
}

/// Numbers between −1 and 1, others for each `from`.
pub fn numbers(size: &[i64], from: i64) -> Tensor {
    let count: i64 = size.iter().product();
    let all = Tensor::arange_start(100 * from, 100 * from + count, (Kind::Float, Device::Cpu));
    all.sin().view(size)
}

/// What dropout multiplies the first `size` numbers with.
pub fn mask(size: &[i64], drops: Drops) -> Tensor {
    let ones = Tensor::ones(size, (Kind::Float, gpu()));
    kernels().relu(&ones, drops).to_device(Device::Cpu)
}

/// What `of` makes of leaves on a device, and the gradients of these.
fn outcome(
    leaves: &[Tensor],
    on: Device,
    of: impl Fn(&[Tensor]) -> Vec<Tensor>,
) -> (Vec<Tensor>, Vec<Tensor>) {
    let own = |leaf: &Tensor| leaf.to_device(on).detach().copy().set_requires_grad(true);
    let leaves: Vec<Tensor> = leaves.iter().map(own).collect();
    let outs = of(&leaves);
    let parts = outs.iter().zip(1..).map(|(out, at)| {
        let weights = numbers(&out.size(), 7 * at).to_device(on);
        (out * weights).sum(Kind::Float)
    });
    let sum = parts.reduce(|sum, part| sum + part).unwrap();
    let gradients = Tensor::run_backward(&[&sum], &leaves, false, false);
    let plain =
        |all: &[Tensor]| all.iter().map(|own| own.detach().to_device(Device::Cpu)).collect();
    (plain(&outs), plain(&gradients))
}

/// That `own` on the GPU comes to what `defined` comes to.
fn same(
    what: &str,
    leaves: &[Tensor],
    own: impl Fn(&[Tensor]) -> Vec<Tensor>,
    defined: impl Fn(&[Tensor]) -> Vec<Tensor>,
) {
    let (outs, gradients) = outcome(leaves, gpu(), own);
    let (expected, slopes) = outcome(leaves, Device::Cpu, defined);
    assert_eq!((outs.len(), gradients.len()), (expected.len(), slopes.len()));
    let all = expected.iter().chain(&slopes).zip(outs.iter().chain(&gradients));
    for (at, (a, b)) in all.enumerate() {
        assert_eq!(a.size(), b.size(), "{what}");
        assert!(a.allclose(b, 1e-4, 1e-5, false), "{what}, {at}: {a} and {b}");
    }
}

#[test]
fn kernels_of_rows_do_what_tensor_ops_do() {
    for test in ["dropout", "norms", "beginnings", "attention", "layers", "losses"] {
        machine::inner(&format!("fused::{test}"));
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn dropout() {
    let of = |seed, rate| mask(&[300, 400], Drops { rate, seed });
    let (a, b) = (of(1, 0.3), of(2, 0.3));
    let zeros = a.eq(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
    assert!((zeros - 0.3).abs() < 0.005, "{zeros}");
    let (largest, mean) = (a.max().double_value(&[]), a.mean(Kind::Float).double_value(&[]));
    assert!((largest - 1.0 / 0.7).abs() < 1e-6 && (mean - 1.0).abs() < 0.006, "{largest} {mean}");
    assert!(a == of(1, 0.3) && a != b, "a function of the seed");
    let both = (a.eq(0.0)).logical_and(&b.eq(0.0)).to_kind(Kind::Float).mean(Kind::Float);
    assert!(
        (both.double_value(&[]) - 0.09).abs() < 0.005,
        "of one seed nothing follows for another"
    );
    assert_eq!(of(3, 0.0), Tensor::ones([300, 400], (Kind::Float, Device::Cpu)));
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn norms() {
    for (rows, dim, rate) in [(7, 33, 0.3), (1, 2, 0.0), (70, 20, 0.5), (0, 4, 0.2), (33, 200, 0.0)]
    {
        let size = [rows, dim];
        let drops = Drops { rate, seed: 5 * rows };
        let mask = mask(&size, drops);
        let (x, added) = (numbers(&size, 1), numbers(&size, 2));
        let (weight, bias) = (numbers(&[dim], 3) + 1.5, numbers(&[dim], 4));
        let normal = |x: &Tensor, weight: &Tensor, bias: &Tensor| {
            x.layer_norm([dim], Some(weight), Some(bias), 1e-5, false)
        };
        let what = format!("[{rows}, {dim}] at {rate}");
        same(
            &what,
            &[x.copy(), weight.copy(), bias.copy()],
            |own| {
                let none = Drops::default();
                kernels().norm((&own[0], None), [&own[1], &own[2]], 1e-5, none).into()
            },
            |own| vec![normal(&own[0], &own[1], &own[2]), own[0].shallow_clone()],
        );
        same(
            &what,
            &[x, added, weight, bias],
            |own| {
                let given = (&own[0], Some(&own[1]));
                kernels().norm(given, [&own[2], &own[3]], 1e-5, drops).into()
            },
            |own| {
                let sum = &own[0] + &own[1] * &mask;
                vec![normal(&sum, &own[2], &own[3]), sum]
            },
        );
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn beginnings() {
    for (from_end, dim, rate) in
        [(vec![1i64, 0, 4, 3, 0], 7, 0.4), (vec![0], 1, 0.0), (vec![], 3, 0.1)]
    {
        let size = [from_end.len() as i64, dim];
        let drops = Drops { rate, seed: 9 };
        let (mask, from_end) = (mask(&size, drops), Tensor::from_slice(&from_end));
        same(
            "embed",
            &[numbers(&size, 1), numbers(&[5, dim], 2)],
            |own| {
                let there = from_end.to_device(own[0].device());
                vec![kernels().embed((&own[0], &own[1]), &there, 1.7, drops)]
            },
            |own| vec![(&own[0] * 1.7 + own[1].index_select(0, &(4 - &from_end))) * &mask],
        );
        same(
            "relu",
            &[numbers(&size, 3)],
            |own| vec![kernels().relu(&own[0], drops)],
            |own| vec![own[0].relu() * &mask],
        );
    }
    let none = Tensor::from_slice(&[f32::NAN, 1.0]).to_device(gpu());
    let shown = kernels().relu(&none, Drops::default()).get(0).double_value(&[]);
    assert!(shown.is_nan(), "a diverged training shows");
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn attention() {
    for (lengths, heads, each, rate) in [
        (vec![3i64, 1, 5], 2, 4, 0.3),
        (vec![1], 1, 3, 0.0),
        (vec![2, 40], 1, 5, 0.2),
        (vec![4, 4, 4], 3, 1, 0.0),
        (vec![], 1, 2, 0.0),
    ] {
        let (histories, longest) = (lengths.len() as i64, lengths.iter().max().map_or(0, |l| *l));
        let drops = Drops { rate, seed: 3 * longest };
        let mask = mask(&[histories, heads, longest, longest], drops);
        let (mut place, mut position) = (vec![], vec![0; (histories * longest) as usize]);
        for (row, length) in lengths.iter().enumerate() {
            for at in 0..*length {
                let own = row as i64 * longest + at;
                position[own as usize] = place.len() as i64;
                place.push(own);
            }
        }
        let positions = place.len() as i64;
        let packed = [position, place].map(|list| Tensor::from_slice(&list).to_device(gpu()));
        let shape = [histories, longest, heads];
        let seen = |together: &Tensor| {
            let mut outs = vec![together.narrow(0, 0, 0).narrow(1, 0, heads * each)];
            let mut from = 0;
            for (row, &length) in (0..).zip(&lengths) {
                let own = together.narrow(0, from, length).view([length, 3, heads, each]);
                let parts = own.permute([1, 2, 0, 3]).unbind(0);
                let scores = parts[0].matmul(&parts[1].transpose(1, 2)) / (each as f64).sqrt();
                let later = Tensor::ones([length, length], (Kind::Bool, Device::Cpu)).triu(1);
                let weights = scores.masked_fill(&later, f64::NEG_INFINITY).softmax(-1, None);
                let left = mask.get(row).narrow(1, 0, length).narrow(2, 0, length);
                let of_heads = (weights * left).matmul(&parts[2]);
                outs.push(of_heads.transpose(0, 1).reshape([length, heads * each]));
                from += length;
            }
            Tensor::cat(&outs, 0)
        };
        let together = numbers(&[positions, 3 * heads * each], 1) * 2.0;
        let whole = positions == histories * longest;
        same(
            &format!("{lengths:?}"),
            &[together.copy()],
            |own| vec![kernels().attend(&own[0], Some([&packed[0], &packed[1]]), shape, drops)],
            |own| vec![seen(&own[0])],
        );
        if whole {
            // The padded form is the packed one.
            same(
                &format!("{lengths:?} as they are"),
                &[together],
                |own| vec![kernels().attend(&own[0], None, shape, drops)],
                |own| vec![seen(&own[0])],
            );
        }
    }
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn layers() {
    same(
        "layers",
        &[numbers(&[2, 3, 4], 1), numbers(&[2, 3], 2), numbers(&[1, 5], 3)],
        |own| kernels().layers(&own.iter().collect::<Vec<_>>()).into_iter().flatten().collect(),
        |own| own.iter().flat_map(|stacked| stacked.unbind(0)).collect(),
    );
}

fn config(loss: &str) -> Config {
    let text = format!("data.path = \"\"\n[loss]\n{loss}\n");
    toml::from_str::<Settings>(&text).unwrap().checked().expect(&text)
}

/// Every kernel with every way to a loss, beside the losses that are walked over elsewhere.
fn losses_with_kernels() -> Vec<String> {
    let mut all: Vec<String> = LOSSES.map(str::to_owned).into();
    for kernel in
        ["sigmoid", "hinge", "exponential", "softplus", "psl-tanh", "psl-atan", "psl-relu"]
    {
        for alpha in [1.0, 0.6] {
            for estimator in ["scaled-rank", "scaled-sum"] {
                let rest = format!("alpha = {alpha:?}\nestimator = \"{estimator}\"");
                all.push(format!("kind = \"cro\"\nkernel = \"{kernel}\"\n{rest}"));
                let counting = format!("rank_kernel = \"{kernel}\"\n{rest}");
                all.push(format!("kind = \"cro-lambda\"\n{counting}"));
            }
        }
    }
    all.push("kind = \"cro-lambda\"\nrank_kernel = \"unit-step\"".into());
    all.push("kind = \"cross-entropy\"\nlog_q = \"negatives\"".into());
    all
}

#[test]
#[ignore = "run by the test above in a process that finds CUDA"]
fn losses() {
    // CUDA must be asked for before libtorch goes back on the CPU.
    let kernels = kernels();
    let mut seen = 0;
    for text in losses_with_kernels() {
        let config = config(&text);
        let Some(rows) = LossRows::new(&config.loss) else { continue };
        seen += 1;
        for (queries, count, width) in [(5, 37, 4.0), (3, 1, 1.0), (2, 100, 20.0)] {
            let positive = numbers(&[queries], 1) * width;
            let negative = numbers(&[queries, count], 2) * width;
            let _ = negative.get(0).narrow(0, 0, 1).fill_(f64::NEG_INFINITY);
            if queries == 5 {
                let _ = negative.get(3).fill_(f64::NEG_INFINITY);
            }
            let log_counts = numbers(&[queries, count], 3);
            let of = |on: Device| {
                let leaf = |own: &Tensor| own.to_device(on).copy().set_requires_grad(true);
                Scores {
                    positive: leaf(&positive),
                    negative: leaf(&negative),
                    catalogue: 1000.0,
                    drawn: 60.0,
                    log_counts: Some(log_counts.to_device(on)),
                }
            };
            let scores = of(Device::Cpu);
            let loss = loss::build(&config.loss).loss(&scores);
            let leaves = [&scores.positive, &scores.negative];
            let slopes = Tensor::run_backward(&[&loss], &leaves, false, false);
            // What is put in place of a score has no slope, whatever the loss's own is there.
            let of_negative = slopes[1].masked_fill(&negative.isneginf(), 0.0);
            let own = rows.slopes(kernels, &of(gpu()), 1.0 / queries as f64);
            let expected = [&loss.detach(), &slopes[0], &of_negative];
            for (a, b) in expected.into_iter().zip([&own.loss, &own.positive, &own.negative]) {
                let b = b.to_device(Device::Cpu);
                assert!(a.allclose(&b, 1e-4, 1e-6, false), "{text}, {queries}: {a} and {b}");
            }
        }
    }
    assert!(seen > 60, "{seen} losses have kernels");
}
