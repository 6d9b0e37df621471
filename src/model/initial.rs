//! Initial weights.

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use crate::device::send;
use crate::random::{Purpose, stream};
use crate::ranks::Shard;

/// Numbers that the host draws before it sends them: 16 MiB.
const PIECE: i64 = 1 << 22;

/// A `[rows, columns]` matrix, uniform in ±√(6 / (rows + columns)) (Glorot), on `device`. `part`
/// numbers the tensors of a model, so that each draws numbers of its own.
pub fn glorot(rows: i64, columns: i64, seed: u64, part: u64, device: Device) -> Tensor {
    let weights = Tensor::empty([rows, columns], (Kind::Float, device));
    draw_glorot(&weights, seed, part);
    weights
}

/// Puts what [`glorot`] draws into a matrix. The host never holds more than a piece of it.
pub fn draw_glorot(weights: &Tensor, seed: u64, part: u64) {
    let (rows, columns) = weights.size2().expect("a matrix");
    draw((6.0 / (rows + columns) as f64).sqrt(), weights, (seed, part), PIECE);
}

/// Puts a rank's part of what [`glorot`] draws for `rows` rows into a matrix, whose row 0 is padding.
/// Rows of others are passed over, and no more than a piece is held besides the matrix.
pub fn draw_glorot_shard(weights: &Tensor, rows: usize, shard: Shard, seed: u64, part: u64) {
    let _guard = tch::no_grad_guard();
    let (here, columns) = weights.size2().expect("a matrix");
    let limit = (6.0 / (rows as i64 + columns) as f64).sqrt() as f32;
    let mut rng = stream(seed, Purpose::Initialisation, part);
    let (mut next, mut drawn) = (1, vec![]);
    let mut place = |drawn: &mut Vec<f32>| {
        let count = drawn.len() as i64 / columns;
        weights.narrow(0, next, count).copy_(&Tensor::from_slice(drawn).view([count, columns]));
        next += count;
        drawn.clear();
    };
    for local in 1..here as usize {
        // A number takes one word of the stream.
        rng.set_word_pos(shard.global(local) as u128 * columns as u128);
        drawn.extend((0..columns).map(|_| rng.random_range(-limit..limit)));
        if drawn.len() as i64 >= PIECE {
            place(&mut drawn);
        }
    }
    place(&mut drawn);
}

/// A tensor, uniform in ±limit; `part` as for [`glorot`].
pub fn uniform(limit: f64, shape: &[i64], seed: u64, part: u64, device: Device) -> Tensor {
    let count = shape.iter().product::<i64>();
    let weights = Tensor::empty([count, 1], (Kind::Float, device));
    draw(limit, &weights, (seed, part), PIECE);
    weights.view(shape)
}

/// Draws a matrix row by row, some `piece` numbers at a time.
fn draw(limit: f64, weights: &Tensor, (seed, part): (u64, u64), piece: i64) {
    let _guard = tch::no_grad_guard();
    let limit = limit as f32;
    let mut rng = stream(seed, Purpose::Initialisation, part);
    let (rows, columns) = weights.size2().expect("a matrix");
    let at_once = (piece / columns).max(1);
    for from in (0..rows).step_by(at_once as usize) {
        let own = at_once.min(rows - from);
        let values: Vec<f32> =
            (0..own * columns).map(|_| rng.random_range(-limit..limit)).collect();
        let values = send(&Tensor::from_slice(&values).view([own, columns]), weights.device());
        weights.narrow(0, from, own).copy_(&values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_draw_the_rows_that_one_process_would() {
        // Rows that share a block of the stream, and rows of several blocks.
        for (rows, columns) in [(23, 4), (9, 70)] {
            let whole = glorot(rows, columns, 5, 2, Device::Cpu);
            for shard in (1..5).flat_map(|ranks| (0..ranks).map(move |rank| Shard { rank, ranks }))
            {
                let here = shard.count(rows as usize - 1) as i64 + 1;
                let own = Tensor::zeros([here, columns], (Kind::Float, Device::Cpu));
                draw_glorot_shard(&own, rows as usize, shard, 5, 2);
                for local in 1..here {
                    assert_eq!(own.get(local), whole.get(shard.global(local as usize) as i64));
                }
                assert_eq!(own.get(0).abs().max().double_value(&[]), 0.0);
            }
        }
    }

    #[test]
    fn pieces_come_to_what_is_drawn_at_once() {
        let mut rng = stream(3, Purpose::Initialisation, 7);
        let expected: Vec<f32> = (0..40).map(|_| rng.random_range(-0.5f32..0.5)).collect();
        for piece in [1, 12, 13, 40, 1000] {
            // Part of a wider table, as where items have biases.
            let wide = Tensor::zeros([10, 5], (Kind::Float, Device::Cpu));
            draw(0.5, &wide.narrow(1, 0, 4), (3, 7), piece);
            let drawn: Vec<f32> = wide.narrow(1, 0, 4).contiguous().view(-1).try_into().unwrap();
            assert_eq!(drawn, expected, "{piece}");
            assert_eq!(wide.narrow(1, 4, 1).abs().max().double_value(&[]), 0.0);
        }
        let vector = uniform(0.5, &[40], 3, 7, Device::Cpu);
        assert_eq!(Vec::<f32>::try_from(vector).unwrap(), expected);
    }
}
