//! Each baseline against a plain computation over whole tables, under both protocols.

use std::collections::BTreeSet;

use rand::RngExt;

use super::*;
use crate::config::{EvaluationConfig, Protocol, Seen};
use crate::eval::{ScoreBlocks, Scorer};
use crate::random::{Purpose, stream};

/// Items of the small catalogue; the last of them nobody meets who trains.
const ITEMS: usize = 24;

/// Sequences with many repeats, popular items first; every third user does not train.
fn data(seed: u64) -> (Sequences, Vec<usize>, Vec<usize>) {
    let mut rng = stream(seed, Purpose::Batch, 0);
    let mut sequences = Sequences { items: vec![], offsets: vec![0] };
    let (mut train, mut test) = (vec![], vec![]);
    for user in 0..90 {
        let of = if user % 3 == 2 { &mut test } else { &mut train };
        of.push(user);
        let known = if user % 3 == 2 { ITEMS } else { ITEMS - 1 };
        for _ in 0..rng.random_range(1..12) {
            let (a, b) = (rng.random_range(0..known), rng.random_range(0..known));
            sequences.items.push(a.min(b) as u32 + 1);
        }
        sequences.offsets.push(sequences.items.len());
    }
    (sequences, train, test)
}

/// Scores of all items from a history, by a plain computation.
type Plain<'a> = Box<dyn Fn(&[u32]) -> Vec<f64> + 'a>;

/// Ranks by the definition, of users one by one.
fn plain_ranks(
    score: &Plain,
    sequences: &Sequences,
    users: &[usize],
    config: &EvaluationConfig,
    latest: usize,
) -> Vec<Vec<u64>> {
    let rank = |history: &[u32], target: u32| {
        let scores = score(history);
        let own = scores[target as usize - 1];
        let rivals = (1..=ITEMS as u32).filter(|id| {
            let hidden = config.seen == Seen::Exclude && history.contains(id);
            *id != target && !hidden && scores[*id as usize - 1] >= own
        });
        1 + rivals.count() as u64
    };
    let is_target = |history: &[u32], id: &u32| config.seen == Seen::Keep || !history.contains(id);
    let of = |&user: &usize| {
        let sequence = sequences.get(user);
        if config.protocol == Protocol::Positions {
            let first = 1.max(sequence.len() as i64 - latest as i64) as usize;
            let at = |at: usize| rank(&sequence[..at], sequence[at]);
            let asked = |at: &usize| is_target(&sequence[..*at], &sequence[*at]);
            return (first..sequence.len()).filter(asked).map(at).collect();
        }
        let history = match config.protocol {
            // A single item is not asked for from nothing.
            Protocol::LeaveOneOut if sequence.len() == 1 => 1,
            Protocol::LeaveOneOut => sequence.len() - 1,
            _ => sequence.len() * 8 / 10,
        };
        let (history, rest) = sequence.split_at(history);
        let targets: BTreeSet<u32> = rest.iter().copied().collect();
        let asked = targets.iter().filter(|id| is_target(history, id));
        asked.map(|&id| rank(history, id)).collect()
    };
    users.iter().map(of).collect()
}

/// Fits the recipe and compares every rank with those of `plain`.
fn check(recipe: Recipe, plain: impl for<'a> Fn(&'a [&'a [u32]]) -> Plain<'a>) {
    for seed in 0..4 {
        let (sequences, train, test) = data(seed);
        let training = Training { sequences: &sequences, users: &train, items: ITEMS };
        let scorer = recipe.fit(training, &mut |_| ()).unwrap();
        let all: Vec<&[u32]> = train.iter().map(|&user| sequences.get(user)).collect();
        let plain = plain(&all);
        for protocol in Protocol::ALL {
            for (seen, latest) in [(Seen::Keep, 100), (Seen::Exclude, 100), (Seen::Keep, 3)] {
                let config = EvaluationConfig { protocol, at: vec![5], seen };
                let blocks = ScoreBlocks {
                    sequences: &sequences,
                    users: &test,
                    windows: None,
                    known: None,
                    items: ITEMS,
                    config: &config,
                    latest,
                };
                let (ranks, _) = blocks.run(&*scorer, &mut |_| ()).unwrap().ranks();
                let expected = plain_ranks(&plain, &sequences, &test, &config, latest);
                assert_eq!(ranks, expected, "{recipe:?} {config:?}");
            }
        }
    }
}

fn index(id: &u32) -> usize {
    *id as usize - 1
}

fn set(history: &[u32]) -> BTreeSet<u32> {
    history.iter().copied().collect()
}

#[test]
fn popularity_counts() {
    check(Recipe::Popularity, |all| {
        let count = |id: u32| all.concat().iter().filter(|other| **other == id).count() as f64;
        let counts: Vec<f64> = (1..=ITEMS as u32).map(count).collect();
        Box::new(move |_| counts.clone())
    });
}

#[test]
fn transitions_count_what_comes_next() {
    check(Recipe::Transitions, |all| {
        Box::new(move |history| {
            let mut scores = vec![0.0; ITEMS];
            for pair in all.iter().flat_map(|sequence| sequence.windows(2)) {
                if Some(&pair[0]) == history.last() {
                    scores[index(&pair[1])] += 1.0;
                }
            }
            scores
        })
    });
}

/// Cosines of all pairs; 0 on the diagonal.
fn cosines(all: &[&[u32]], window: usize) -> Vec<Vec<f32>> {
    let near = |sequence: &&&[u32], a: u32, b: u32| {
        let places = |id: u32| (0..sequence.len()).filter(move |&at| sequence[at] == id);
        places(a).any(|at| places(b).any(|other| window == 0 || at.abs_diff(other) <= window))
    };
    let both = |a: u32, b: u32| all.iter().filter(|sequence| near(sequence, a, b)).count() as f64;
    let cosine = |a: u32, b: u32| {
        let product: f64 = both(a, a) * both(b, b);
        if a == b || both(a, b) == 0.0 { 0.0 } else { (both(a, b) / product.sqrt()) as f32 }
    };
    let ids = 1..=ITEMS as u32;
    ids.clone().map(|a| ids.clone().map(|b| cosine(a, b)).collect()).collect()
}

#[test]
fn item_knn_adds_the_cosines_of_neighbours() {
    for (window, neighbours) in [(0, 1000), (0, 4), (2, 1000), (2, 4)] {
        check(Recipe::ItemKnn { window, neighbours }, |all| {
            let mut cosines = cosines(all, window);
            for row in &mut cosines {
                let all = row.clone();
                // Before an item: those that are nearer, and of equally near ones the earlier.
                let before = |at: usize| {
                    let nearer = |&other: &usize| {
                        all[other] > all[at] || (all[other] == all[at] && other < at)
                    };
                    (0..ITEMS).filter(nearer).count()
                };
                (0..ITEMS).filter(|&at| before(at) >= neighbours).for_each(|at| row[at] = 0.0);
            }
            Box::new(move |history| {
                let first = if window == 0 { 0 } else { history.len().saturating_sub(window) };
                let mut scores = vec![0.0; ITEMS];
                for id in set(&history[first..]) {
                    for (score, cosine) in scores.iter_mut().zip(&cosines[index(&id)]) {
                        *score += f64::from(*cosine);
                    }
                }
                scores
            })
        });
    }
}

/// Solves A·x = b by elimination with pivots, all in float64.
fn solved(a: Vec<Vec<f64>>, b: &[f64]) -> Vec<f64> {
    let side = a.len();
    let mut rows: Vec<Vec<f64>> =
        a.into_iter().zip(b).map(|(row, b)| [row, vec![*b]].concat()).collect();
    for column in 0..side {
        let size = |row: &usize| rows[*row][column].abs();
        let pivot = (column..side).max_by(|x, y| size(x).total_cmp(&size(y))).unwrap();
        rows.swap(column, pivot);
        let chosen = rows[column].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(at, _)| *at != column) {
            let share = row[column] / chosen[column];
            row.iter_mut().zip(&chosen).for_each(|(x, y)| *x -= share * y);
        }
    }
    rows.iter().enumerate().map(|(at, row)| row[side] / row[at]).collect()
}

fn unit(side: usize, value: f64) -> Vec<Vec<f64>> {
    (0..side).map(|row| (0..side).map(|at| if at == row { value } else { 0.0 }).collect()).collect()
}

/// By a least-squares fit of each column alone, its own item left out: what the closed form is
/// derived from.
#[test]
fn ease_is_the_constrained_regression_of_each_item_on_all_others() {
    for repeats in [0.0, 0.3] {
        check_ease(repeats);
    }
}

fn check_ease(repeats: f64) {
    const LAMBDA: f64 = 7.0;
    check(Recipe::Ease { lambda: LAMBDA, repeats }, |all| {
        let met: Vec<BTreeSet<u32>> = all.iter().map(|sequence| set(sequence)).collect();
        let both = |a: usize, b: usize| {
            let both = |met: &&BTreeSet<u32>| {
                met.contains(&(a as u32 + 1)) && met.contains(&(b as u32 + 1))
            };
            met.iter().filter(both).count() as f64
        };
        let weights_to = |item: usize| {
            let others: Vec<usize> = (0..ITEMS).filter(|other| *other != item).collect();
            let mut gram = unit(others.len(), LAMBDA);
            for (row, &a) in gram.iter_mut().zip(&others) {
                row.iter_mut().zip(&others).for_each(|(x, &b)| *x += both(a, b));
            }
            let right: Vec<f64> = others.iter().map(|&other| both(other, item)).collect();
            let mut weights = solved(gram, &right);
            weights.insert(item, 0.0);
            weights
        };
        let weights: Vec<Vec<f64>> = (0..ITEMS).map(weights_to).collect();
        Box::new(move |history| {
            let to = |(item, weights): (usize, &Vec<f64>)| {
                let times = history.iter().filter(|id| index(id) == item).count();
                let sum: f64 = set(history).iter().map(|id| weights[index(id)]).sum();
                sum + repeats * times as f64
            };
            weights.iter().enumerate().map(to).collect()
        })
    });
}

#[test]
fn ease_says_what_a_matrix_without_an_inverse_asks_for() {
    // Of one user who met two items: all entries are 1 but for λ.
    let sequences = Sequences { items: vec![1, 2], offsets: vec![0, 2] };
    let training = Training { sequences: &sequences, users: &[0], items: 2 };
    assert!(Ease::fit(training, 1.0, 0.0).is_ok());
    let error = Ease::fit(training, 1e-300, 0.0).err().unwrap();
    let said = format!("{error:#}");
    assert!(said.contains("raise ease.lambda") && said.lines().count() == 1, "{said}");
}

#[test]
fn ease_refuses_a_catalogue_that_is_too_large() {
    let error = Recipe::Ease { lambda: 1.0, repeats: 0.0 }.check(Ease::MOST_ITEMS + 1).unwrap_err();
    assert!(error.to_string().contains("at most 20000 items, not 20001"), "{error}");
    Recipe::Popularity.check(2_000_000).unwrap();
}

/// Solves for one history, given the factors of all items.
fn plain_factor(history: &[u32], items: &[Vec<f64>], recipe: &AlsRecipe) -> Vec<f64> {
    let side = recipe.factors;
    let mut left = unit(side, recipe.regularization);
    let mut right = vec![0.0; side];
    for (at, y) in items.iter().enumerate() {
        let count = history.iter().filter(|id| index(id) == at).count() as f64;
        let (confidence, wanted) = (1.0 + recipe.alpha * count, f64::from(count > 0.0));
        for row in 0..side {
            right[row] += confidence * wanted * y[row];
            for column in 0..side {
                left[row][column] += confidence * y[row] * y[column];
            }
        }
    }
    solved(left, &right)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

const ALS: AlsRecipe =
    AlsRecipe { factors: 3, alpha: 2.5, regularization: 0.75, iterations: 4, seed: 1 };

fn rows(flat: &[f64], width: usize) -> Vec<Vec<f64>> {
    flat.chunks(width).map(<[f64]>::to_vec).collect()
}

/// Σ c·(p − x·y)² + λ·(Σ‖x‖² + Σ‖y‖²) with each user's x solved.
fn objective(all: &[&[u32]], items: &[Vec<f64>], recipe: &AlsRecipe) -> f64 {
    let mut sum = items.iter().map(|y| dot(y, y)).sum::<f64>() * recipe.regularization;
    for history in all {
        let x = plain_factor(history, items, recipe);
        sum += dot(&x, &x) * recipe.regularization;
        for (at, y) in items.iter().enumerate() {
            let count = history.iter().filter(|id| index(id) == at).count() as f64;
            let gap = f64::from(count > 0.0) - dot(&x, y);
            sum += (1.0 + recipe.alpha * count) * gap * gap;
        }
    }
    sum
}

#[test]
fn als_ranks_by_factors_solved_row_by_row() {
    check(Recipe::Als(ALS), |all| {
        let mut items = rows(&Als::initial_items(ITEMS, &ALS), ALS.factors);
        for _ in 0..ALS.iterations {
            let users: Vec<Vec<f64>> =
                all.iter().map(|history| plain_factor(history, &items, &ALS)).collect();
            // An item's "history" is its users, each as often as they met it.
            let of_item = |at: usize| -> Vec<u32> {
                let of_user = |(user, history): (usize, &&[u32])| {
                    let times = history.iter().filter(|id| index(id) == at).count();
                    vec![user as u32 + 1; times]
                };
                all.iter().enumerate().flat_map(of_user).collect()
            };
            items = (0..ITEMS).map(|at| plain_factor(&of_item(at), &users, &ALS)).collect();
        }
        Box::new(move |history| {
            let x = plain_factor(history, &items, &ALS);
            items.iter().map(|y| dot(&x, y)).collect()
        })
    });
}

#[test]
fn als_lowers_its_objective_with_every_iteration() {
    let (sequences, train, _) = data(1);
    let training = Training { sequences: &sequences, users: &train, items: ITEMS };
    let all: Vec<&[u32]> = training.each().collect();
    let after = |iterations| {
        let recipe = AlsRecipe { iterations, ..ALS };
        let mut heard = 0;
        let als = Als::fit(training, recipe, &mut |more| heard += more).unwrap();
        assert_eq!(heard, iterations as u64);
        objective(&all, &rows(&als.item_factors(), ALS.factors), &recipe)
    };
    let objectives: Vec<f64> = (0..8).map(after).collect();
    assert!(objectives.windows(2).all(|pair| pair[1] < pair[0]), "{objectives:?}");
}

/// More histories than are solved together, one of them longer than the rest put together.
#[test]
fn als_solves_many_histories_of_any_length() {
    let (sequences, train, _) = data(2);
    let training = Training { sequences: &sequences, users: &train, items: ITEMS };
    let als = Als::fit(training, ALS, &mut |_| ()).unwrap();
    let items = rows(&als.item_factors(), ALS.factors);
    let mut rng = stream(5, Purpose::Batch, 1);
    let mut histories: Vec<Vec<u32>> = (0..1200)
        .map(|_| (0..rng.random_range(0..9)).map(|_| rng.random_range(1..=ITEMS as u32)).collect())
        .collect();
    histories[7] = (0..40_000).map(|at| at % ITEMS as u32 + 1).collect();
    let histories: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
    let mut scores = vec![0.0; histories.len() * ITEMS];
    als.score(&histories, &mut scores).unwrap();
    for (history, scores) in histories.iter().zip(scores.chunks(ITEMS)) {
        let x = plain_factor(history, &items, &ALS);
        for (score, y) in scores.iter().zip(&items) {
            assert!((score - dot(&x, y)).abs() < 1e-9, "{score} {}", dot(&x, y));
        }
    }
}
