//! Exact top-N by inner product.

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use crate::device::{self, ComputePath};
use crate::host::panels::Panels;
use crate::host::ranking;
use crate::host::top_k::Hit;
use crate::step::Plan;

/// Scores that are held at once on a device: 32 MiB of float32.
const SCORES: i64 = 1 << 23;

/// Users that are searched for at once on a device.
const USERS: usize = 1024;

/// Item vectors to be searched, all of them or some.
pub struct Exact {
    items: Items,
    /// The rows of the items that are searched, ascending; `None`: all of them.
    rows: Option<Vec<u32>>,
}

enum Items {
    /// Float32 on the host.
    Panels(Panels),
    /// `[items, dim]` elsewhere.
    Tensor(Tensor),
}

impl Exact {
    /// Searches float32 `vectors` `[items, dim]`, or of these only `rows` (ascending).
    ///
    /// # Errors
    /// When a vector is not all numbers.
    pub fn new(vectors: &Tensor, rows: Option<Vec<u32>>) -> Result<Self> {
        let vectors = match &rows {
            None => vectors.shallow_clone(),
            Some(rows) => {
                let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
                some(vectors, &rows)
            }
        };
        Self::of(vectors, rows)
    }

    /// Searches all of `vectors`, which are those of `rows`.
    pub(super) fn of(vectors: Tensor, rows: Option<Vec<u32>>) -> Result<Self> {
        all_numbers(&vectors, "item")?;
        let items = match Plan::of_ranking(vectors.device()) {
            ComputePath::HostLoops => {
                let dim = vectors.size()[1] as usize;
                let rows = &host(&vectors)?;
                Items::Panels(Panels::new(&ranking::Items { rows, dim, unit: None }))
            }
            ComputePath::TensorOps => Items::Tensor(vectors),
        };
        Ok(Self { items, rows })
    }

    /// The width of the vectors.
    fn dim(&self) -> usize {
        match &self.items {
            Items::Panels(panels) => panels.dim(),
            Items::Tensor(items) => items.size()[1] as usize,
        }
    }

    /// A search of `rows` (ascending) alone, as far as they are searched here.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn only(&self, rows: &[u32]) -> Result<Self> {
        let place = |row: &u32| match &self.rows {
            None => Some(*row as usize),
            Some(own) => own.binary_search(row).ok(),
        };
        let (rows, places): (Vec<u32>, Vec<usize>) =
            rows.iter().filter_map(|row| Some((*row, place(row)?))).unzip();
        let vectors = match &self.items {
            Items::Panels(panels) => {
                Tensor::from_slice(&panels.vectors(&places)).view([-1, panels.dim() as i64])
            }
            Items::Tensor(items) => some(items, &places),
        };
        Self::of(vectors, Some(rows))
    }

    /// For each of `users` `[users, dim]` its `top[user]` best items, the higher score first, the
    /// lower row first among equal scores; fewer where there are fewer items.
    ///
    /// # Errors
    /// When a user vector is not all numbers.
    pub fn search(&self, users: &Tensor, top: &[usize]) -> Result<Vec<Vec<Hit>>> {
        fitting(users, top.len(), self.dim())?;
        let mut found = match &self.items {
            Items::Panels(panels) => panels.search(&host(users)?, top),
            Items::Tensor(items) => {
                let blocks = users.split(USERS as i64, 0);
                let blocks = blocks.iter().zip(top.chunks(USERS));
                let tile = |users: &Tensor| (SCORES / users.size()[0].max(1)).max(1);
                let found = blocks.map(|(users, top)| by_tensors(users, items, top, tile(users)));
                found.collect::<Result<Vec<_>>>()?.concat()
            }
        };
        if let Some(rows) = &self.rows {
            found.iter_mut().flatten().for_each(|hit| hit.row = rows[hit.row as usize]);
        }
        Ok(found)
    }
}

/// Some rows of a matrix, in this order.
pub(super) fn some(matrix: &Tensor, rows: &[usize]) -> Tensor {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    matrix.index_select(0, &Tensor::from_slice(&rows).to_device(matrix.device()))
}

/// Refuses vectors that are not all numbers: they compare with nothing.
pub(super) fn all_numbers(vectors: &Tensor, whose: &str) -> Result<()> {
    ensure!(
        device::is_finite(vectors),
        "the {whose} vectors are not all numbers: the weights have diverged or are damaged"
    );
    Ok(())
}

/// Refuses user vectors that are not `[users, dim]` numbers of float32: a tower may be of another
/// model.
pub(super) fn fitting(vectors: &Tensor, users: usize, dim: usize) -> Result<()> {
    let (found, wanted) = (vectors.size(), [users as i64, dim as i64]);
    ensure!(
        found == wanted && vectors.kind() == Kind::Float,
        "the user tower gives {:?} of shape {found:?} where Float of shape {wanted:?} are expected: \
         it is not of these item vectors",
        vectors.kind()
    );
    all_numbers(vectors, "user")
}

/// The numbers of a float32 tensor.
pub(super) fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(Vec::<f32>::try_from(tensor.to_device(Device::Cpu).contiguous().view(-1))?)
}

/// The same on any device, a tile of items at a time. A score and its row are one int64 whose order
/// is that of hits, so that of equal scores the lower row is taken on every device.
fn by_tensors(users: &Tensor, items: &Tensor, top: &[usize], tile: i64) -> Result<Vec<Vec<Hit>>> {
    let _guard = tch::no_grad_guard();
    let (device, count) = (items.device(), items.size()[0]);
    let users = users.to_device(device);
    let wanted = top.iter().copied().max().unwrap_or(0).min(count as usize) as i64;
    let mut best = Tensor::zeros([users.size()[0], 0], (Kind::Int64, device));
    for start in (0..count).step_by(tile as usize) {
        let length = tile.min(count - start);
        let scores = users.matmul(&items.narrow(0, start, length).tr());
        let rows = Tensor::arange_start(start, start + length, (Kind::Int64, device));
        best = Tensor::cat(&[best, keys(&scores, &rows)], 1);
        best = best.topk(wanted.min(best.size()[1]), 1, true, true).0;
    }
    let held = best.size()[1] as usize;
    let best = Vec::<i64>::try_from(best.to_device(Device::Cpu).contiguous().view(-1))?;
    let hits = |(user, &top): (usize, &usize)| {
        best[user * held..][..held.min(top)].iter().map(|&key| hit(key)).collect()
    };
    Ok(top.iter().enumerate().map(hits).collect())
}

/// Bits of a float32 that fall as the number rises, among numbers below 0.
const MAGNITUDE: i64 = 0x7fff_ffff;

/// One int64 a score, rising with the score and falling with the row. `scores` `[users, items]`,
/// `rows` `[items]`.
fn keys(scores: &Tensor, rows: &Tensor) -> Tensor {
    // Adding 0 makes −0 the same as 0.
    let bits = (scores + 0.0).view_dtype(Kind::Int).to_kind(Kind::Int64);
    let negative = bits.lt(0).to_kind(Kind::Int64) * MAGNITUDE;
    bits.bitwise_xor_tensor(&negative) * (1i64 << 32) + (MAGNITUDE - rows)
}

fn hit(key: i64) -> Hit {
    let bits = (key >> 32) as i32;
    let bits = if bits < 0 { bits ^ MAGNITUDE as i32 } else { bits };
    let row = MAGNITUDE - (key & 0xffff_ffff);
    Hit { row: row as u32, score: f32::from_bits(bits as u32) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::host::panels::tests::{brute, whole_numbers};

    fn tensor(rows: &[Vec<f32>]) -> Tensor {
        Tensor::from_slice(&rows.concat()).view([rows.len() as i64, rows[0].len() as i64])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn tensors_and_loops_find_what_brute_force_finds_ties_included(
            (items, dim, tile) in (1usize..300, 1usize..5, 1i64..400),
            top in vec(0usize..400, 1..9),
            seed in any::<u64>(),
        ) {
            let (vectors, users) = (whole_numbers(items, dim, seed), whole_numbers(top.len(), dim, !seed));
            let expected = brute(&users, &vectors, &top);
            let exact = Exact::new(&tensor(&vectors), None).unwrap();
            prop_assert_eq!(&exact.search(&tensor(&users), &top).unwrap(), &expected);
            let found = by_tensors(&tensor(&users), &tensor(&vectors), &top, tile).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn some_of_the_items_are_searched_as_if_there_were_no_others() {
        let (vectors, users) = (whole_numbers(200, 3, 7), whole_numbers(4, 3, 8));
        let rows: Vec<u32> = (0..200).filter(|row| row % 3 == 1).collect();
        let exact = Exact::new(&tensor(&vectors), Some(rows.clone())).unwrap();
        let mut expected = brute(&users, &vectors, &[200; 4]);
        for hits in &mut expected {
            hits.retain(|hit| rows.contains(&hit.row));
            hits.truncate(20);
        }
        assert_eq!(exact.search(&tensor(&users), &[20; 4]).unwrap(), expected);
        let of_tensors = Exact { items: Items::Tensor(tensor(&vectors)), rows: None };
        for exact in [exact, of_tensors] {
            let asked: Vec<u32> = (0..200).filter(|row| row % 3 > 0).collect();
            let only = exact.only(&asked).unwrap().only(&rows).unwrap();
            assert_eq!(only.search(&tensor(&users), &[20; 4]).unwrap(), expected);
            let none = only.only(&[0, 2]).unwrap().search(&tensor(&users), &[20; 4]).unwrap();
            assert_eq!(none, vec![vec![]; 4]);
        }
    }

    #[test]
    fn keys_keep_score_and_row_and_their_order() {
        let scores = [-1.5f32, -1e-30, 0.0, 1e-30, 0.25, 1.0];
        let rows = [0i64, 5, 1 << 30];
        let mut last = i64::MIN;
        for score in scores {
            for row in rows.iter().rev() {
                let score_of = Tensor::from_slice(&[score]).view([1, 1]);
                let key = keys(&score_of, &Tensor::from_slice(&[*row])).int64_value(&[0, 0]);
                assert!(key > last);
                last = key;
                assert_eq!(hit(key), Hit { row: *row as u32, score });
            }
        }
    }

    #[test]
    fn vectors_that_are_not_numbers_are_refused() {
        let bad = Tensor::from_slice(&[f32::NAN, 1.0]).view([1, 2]);
        assert!(Exact::new(&bad, None).is_err());
        let good = Exact::new(&bad.ones_like(), None).unwrap();
        assert!(good.search(&bad, &[1]).unwrap_err().to_string().contains("user"));
    }
}
