//! usearch's file, looked through before usearch reads it: it follows what stands there without
//! asking whether it leads anywhere.
//!
//! ```text
//! vectors   rows, bytes of a row: u32 each · the rows
//! head      64 bytes: "usearch", versions, kinds, counts, dimensions
//! graph     size, neighbours, neighbours in the lowest layer, highest layer, entry: u64 each
//!           layers of each node: i16 each
//!           nodes: key u64 · layers i16 · for each layer a count u32 and that many places of u32
//! ```

use std::collections::HashSet;

/// Bytes of usearch's head.
const HEAD: usize = 64;

/// Whether a file holds a graph of the items `0..items` by float32 inner products of `dim`
/// dimensions, each node with at most `neighbours` in a layer, twice as many in the lowest.
pub(super) fn is_sound(bytes: &[u8], items: usize, dim: usize, neighbours: usize) -> bool {
    sound(&mut Bytes(bytes), items, dim, neighbours).is_some()
}

fn sound(bytes: &mut Bytes, items: usize, dim: usize, neighbours: usize) -> Option<()> {
    let row = dim.checked_mul(4)?;
    must(bytes.u32()? as usize == items && bytes.u32()? as usize == row)?;
    let vectors = bytes.take(items.checked_mul(row)?)?;
    must(
        vectors.chunks_exact(4).all(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]]).is_finite()),
    )?;

    let mut head = Bytes(bytes.take(HEAD)?);
    must(head.take(7)? == b"usearch")?;
    head.take(6)?;
    // Inner products, of f32, keys of u64, places of u32.
    must(head.take(4)? == [b'i', 11, 14, 15])?;
    let (present, deleted, dimensions) = (head.u64()?, head.u64()?, head.u64()?);
    must((present, deleted, dimensions) == (items as u64, 0, dim as u64) && head.take(1)? == [0])?;

    let of_graph = [bytes.u64()?, bytes.u64()?, bytes.u64()?];
    must(of_graph == [items, neighbours, 2 * neighbours].map(|n| n as u64))?;
    let (highest, entry) = (bytes.u64()?, bytes.u64()?);
    let mut layers = Vec::with_capacity(items);
    let mut pairs = Bytes(bytes.take(items.checked_mul(2)?)?);
    for _ in 0..items {
        layers.push(usize::try_from(pairs.i16()?).ok()?);
    }
    let top = *layers.get(usize::try_from(entry).ok()?)?;
    must(highest <= top as u64)?;

    let mut keys = HashSet::with_capacity(items);
    for &own in &layers {
        let key = bytes.u64()?;
        must(key < items as u64 && keys.insert(key) && bytes.i16()? as usize == own)?;
        for layer in 0..=own {
            let most = if layer == 0 { 2 * neighbours } else { neighbours };
            let count = bytes.u32()? as usize;
            let mut places = Bytes(bytes.take(4 * most)?);
            must(count <= most)?;
            for _ in 0..count {
                must(*layers.get(places.u32()? as usize)? >= layer)?;
            }
        }
    }
    must(bytes.0.is_empty())
}

fn must(holds: bool) -> Option<()> {
    holds.then_some(())
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn i16(&mut self) -> Option<i16> {
        self.number().map(i16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.number().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use usearch::{IndexOptions, MetricKind, ScalarKind};

    use super::*;
    use crate::random::{Purpose, stream};

    const ITEMS: usize = 300;
    const DIM: usize = 4;

    fn graph() -> Vec<u8> {
        let graph = usearch::Index::new(&IndexOptions {
            dimensions: DIM,
            metric: MetricKind::IP,
            quantization: ScalarKind::F32,
            connectivity: 16,
            expansion_add: 32,
            ..Default::default()
        });
        let graph = graph.unwrap();
        graph.reserve(ITEMS).unwrap();
        let mut rng = stream(1, Purpose::Queries, 0);
        for row in 0..ITEMS {
            let vector: Vec<f32> = (0..DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
            graph.add(row as u64, &vector).unwrap();
        }
        let mut bytes = vec![0; graph.serialized_length()];
        graph.save_to_buffer(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn whatever_passes_can_be_searched() {
        let whole = graph();
        assert!(is_sound(&whole, ITEMS, DIM, 16));
        assert!(!is_sound(&whole, ITEMS + 1, DIM, 16) && !is_sound(&whole, ITEMS, DIM + 1, 16));
        assert!(!is_sound(&whole[..whole.len() - 1], ITEMS, DIM, 16));
        let mut rng = stream(2, Purpose::Queries, 0);
        let (mut passed, mut refused) = (0, 0);
        // The vectors, where most changes are as good as what they change, come first.
        let from = ITEMS * DIM * 4 - 64;
        for _ in 0..3000 {
            let mut bytes = whole.clone();
            let at = rng.random_range(from..bytes.len());
            bytes[at] = rng.random_range(0..=255);
            if !is_sound(&bytes, ITEMS, DIM, 16) {
                refused += 1;
                continue;
            }
            passed += 1;
            let graph = usearch::Index::restore_from_buffer(&bytes).unwrap();
            let found = graph.search(&[0.5f32, -0.5, 0.1, 0.9], 50).unwrap();
            assert!(found.keys.iter().all(|key| *key < ITEMS as u64));
        }
        assert!(passed > 100 && refused > 100, "{passed} {refused}");
    }
}
