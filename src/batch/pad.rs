//! Histories as a matrix.

use tch::Tensor;

/// Item ids `[histories, longest]` int64 on the host, padded with 0 at the end.
pub fn pad(histories: &[&[u32]]) -> Tensor {
    let longest = histories.iter().map(|h| h.len()).max().unwrap_or(0).max(1);
    let mut ids = vec![0i64; histories.len() * longest];
    for (row, history) in ids.chunks_mut(longest).zip(histories) {
        row.iter_mut().zip(*history).for_each(|(to, &id)| *to = i64::from(id));
    }
    Tensor::from_slice(&ids).view([histories.len() as i64, longest as i64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_histories_are_padded_at_the_end() {
        let padded = pad(&[&[7, 8], &[], &[9]]);
        assert_eq!(padded, Tensor::from_slice2(&[[7i64, 8], [0, 0], [9, 0]]));
    }
}
