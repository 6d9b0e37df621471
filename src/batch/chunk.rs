//! Some of a batch's histories, as much as one thread takes through the encoder.

use std::sync::OnceLock;

use tch::Device;

use crate::device::{Parcel, Sent};
use crate::model::{Layout, PackedLists, Queries};

/// Neighbouring histories of a batch.
pub struct Chunk {
    /// The first of their items in the batch's inputs, and how many they are.
    pub from: i64,
    pub count: i64,
    /// The first of their queries in the batch's, and how many they are.
    pub first_query: i64,
    pub queries: i64,
    lengths: Vec<usize>,
    device: Device,
    layout: OnceLock<Layout>,
}

impl Chunk {
    /// All of a batch, where `layout` says.
    pub fn whole(layout: Layout, positions: i64, queries: i64, device: Device) -> Self {
        let layout = OnceLock::from(layout);
        let (from, first_query) = (0, 0);
        Self { from, count: positions, first_query, queries, lengths: vec![], device, layout }
    }

    /// Cuts histories of these lengths where about as many positions stand on either side. The cut
    /// depends on the lengths alone, so results do not depend on the threads.
    pub fn cut(lengths: &[usize], queries: Queries, most: usize, device: Device) -> Vec<Self> {
        /// Positions that are worth a chunk of their own.
        const POSITIONS: usize = 128;
        let positions: usize = lengths.iter().sum();
        let wanted = (positions / POSITIONS).clamp(1, most).next_power_of_two().min(most);
        let (mut chunks, mut first, mut from, mut end) = (vec![], 0, 0, 0);
        for (at, length) in lengths.iter().enumerate() {
            end += length;
            let due = (chunks.len() + 1) * positions / wanted;
            if end >= due || at + 1 == lengths.len() {
                let own = match queries {
                    Queries::Every => from..end,
                    Queries::Last => first..at + 1,
                };
                chunks.push(Self {
                    from: from as i64,
                    count: (end - from) as i64,
                    first_query: own.start as i64,
                    queries: own.len() as i64,
                    lengths: lengths[first..=at].to_vec(),
                    device,
                    layout: OnceLock::new(),
                });
                (first, from) = (at + 1, end);
            }
        }
        chunks
    }

    /// Puts what the layout holds into a parcel.
    pub fn pack(&self, parcel: &mut Parcel) -> PackedLists {
        Layout::pack_lists(&self.lengths, parcel)
    }

    /// Makes the layout from what was sent.
    pub fn unpack(&self, lists: &PackedLists, sent: &Sent) {
        self.layout.get_or_init(|| lists.layout(sent));
    }

    /// Where the positions stand; made when it is first asked for, since not every step reads it.
    pub fn layout(&self) -> &Layout {
        self.layout.get_or_init(|| Layout::packed(&self.lengths, self.device))
    }
}
