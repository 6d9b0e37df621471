//! Some of a batch's histories, as much as one thread takes through the encoder.

use std::ops::Range;
use std::sync::OnceLock;

use tch::Device;

use crate::device::{Parcel, Sent};
use crate::model::{Layout, PackedLists, Queries};

/// Neighbouring histories of a batch.
pub struct Chunk {
    /// Its number among those of the whole batch, of which a rank may have a part: what dropout draws
    /// for it depends on that.
    pub number: u64,
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
        let (number, from, first_query) = (0, 0, 0);
        Self {
            number,
            from,
            count: positions,
            first_query,
            queries,
            lengths: vec![],
            device,
            layout,
        }
    }

    /// Where histories of these lengths are cut: about as many positions stand on either side. It
    /// depends on the lengths alone, so results do not depend on the threads.
    pub fn cuts(lengths: &[usize], most: usize) -> Vec<Range<usize>> {
        /// Positions that are worth a chunk of their own.
        const POSITIONS: usize = 128;
        let positions: usize = lengths.iter().sum();
        let wanted = (positions / POSITIONS).clamp(1, most).next_power_of_two().min(most);
        let (mut cuts, mut first, mut end) = (vec![], 0, 0);
        for (at, length) in lengths.iter().enumerate() {
            end += length;
            let due = (cuts.len() + 1) * positions / wanted;
            if end >= due || at + 1 == lengths.len() {
                cuts.push(first..at + 1);
                first = at + 1;
            }
        }
        cuts
    }

    /// The chunks of these numbers, which stand one behind the other, of as many neighbouring
    /// histories each.
    pub fn each(
        numbered: &[(u64, usize)],
        lengths: &[usize],
        queries: Queries,
        device: Device,
    ) -> Vec<Self> {
        let (mut first, mut from) = (0, 0);
        let chunk = |(number, histories): &(u64, usize)| {
            let lengths = &lengths[first..first + histories];
            let count: usize = lengths.iter().sum();
            let own = match queries {
                Queries::Every => from..from + count,
                Queries::Last => first..first + histories,
            };
            let chunk = Self {
                number: *number,
                from: from as i64,
                count: count as i64,
                first_query: own.start as i64,
                queries: own.len() as i64,
                lengths: lengths.to_vec(),
                device,
                layout: OnceLock::new(),
            };
            (first, from) = (first + histories, from + count);
            chunk
        };
        numbered.iter().map(chunk).collect()
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
