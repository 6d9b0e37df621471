//! Draws from a fixed distribution in constant time.

use rand::{Rng, RngExt};

/// Vose's alias table: each column holds one item, and the rest of the column another.
pub struct Alias {
    /// `[items]`: the share of a column that is its own item's.
    own: Vec<f32>,
    other: Vec<u32>,
}

impl Alias {
    /// For weights of at least 0, at least one of them above 0.
    pub fn new(weights: &[f64]) -> Self {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut height: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&at| height[at] < 1.0);
        let mut other: Vec<u32> = (0..weights.len() as u32).collect();
        while let (Some(short), Some(tall)) = (low.pop(), high.pop()) {
            other[short] = tall as u32;
            height[tall] -= 1.0 - height[short];
            if height[tall] < 1.0 { low.push(tall) } else { high.push(tall) }
        }
        // What is left differs from 1 by rounding only.
        low.into_iter().chain(high).for_each(|at| height[at] = 1.0);
        // A list of its own: in the place of the heights it would keep their memory, twice its own.
        Self { own: height.iter().map(|share| *share as f32).collect(), other }
    }

    /// The index of a weight, in proportion to it.
    pub fn draw(&self, rng: &mut impl Rng) -> usize {
        let column = rng.random_range(0..self.own.len());
        match rng.random::<f32>() < self.own[column] {
            true => column,
            false => self.other[column] as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn a_table_takes_eight_bytes_an_item() {
        let Alias { own, other } = Alias::new(&[1.0; 1000]);
        assert_eq!((own.capacity(), other.capacity()), (1000, 1000));
    }

    #[test]
    fn items_are_drawn_in_proportion_to_their_weights() {
        let weights = [5.0, 0.0, 1.0, 3.0, 11.0];
        let alias = Alias::new(&weights);
        let mut rng = stream(1, Purpose::Negatives, 0);
        let mut counts = [0.0; 5];
        for _ in 0..200_000 {
            counts[alias.draw(&mut rng)] += 20.0 / 200_000.0;
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!((count - weight).abs() < 0.1, "{counts:?}");
        }
        assert_eq!(counts[1], 0.0);
    }
}
