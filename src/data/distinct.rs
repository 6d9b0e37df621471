//! Each of some numbers once.

/// The items, each once, by rising id.
pub fn distinct(items: &[u32]) -> Vec<u32> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    items
}
