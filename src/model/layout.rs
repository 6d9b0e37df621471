//! How histories of unequal length lie in one tensor.

use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

use crate::device::{Parcel, Place, Sent};

/// Where the positions of a batch of histories stand.
///
/// *Packed* histories stand one after another without padding, so that what an encoder computes
/// position by position is computed for real positions only; what mixes the positions of a
/// history works on the padded form `[batch, longest, …]`, padding at the end, which
/// [`Layout::pad`] and [`Layout::pack`] go to and come from.
pub struct Layout {
    batch: i64,
    longest: i64,
    /// `[positions]` int64: how many positions of its history come after this one.
    from_end: OnceLock<Tensor>,
    /// `[batch]` int64: the last position of each history.
    last: Tensor,
    form: Form,
}

enum Form {
    /// The positions are those of the padded form; `[batch, longest]` bool: where an item stands; and
    /// `[batch]` int64: how many those of each history are, at least 1.
    Padded { items: Tensor, counts: Tensor },
    Packed {
        /// `[batch·longest]` int64: the position at each place of the padded form; 0 for padding.
        position: Tensor,
        /// `[positions]` int64: the place of each position.
        place: Tensor,
    },
}

impl Layout {
    /// Histories of these lengths, one after another. (An empty one has no last position.)
    pub fn packed(lengths: &[usize], device: Device) -> Self {
        let mut parcel = Parcel::default();
        let lists = Self::pack_lists(lengths, &mut parcel);
        lists.layout(&parcel.send(device))
    }

    /// The same, of which the lists still have to be sent.
    pub fn pack_lists(lengths: &[usize], parcel: &mut Parcel) -> PackedLists {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let positions = lengths.iter().sum();
        let mut from_end = Vec::with_capacity(positions);
        let mut place = Vec::with_capacity(positions);
        let mut position = vec![0i64; lengths.len() * longest];
        let mut last = Vec::with_capacity(lengths.len());
        for (row, &length) in lengths.iter().enumerate() {
            for at in 0..length {
                position[row * longest + at] = from_end.len() as i64;
                place.push((row * longest + at) as i64);
                from_end.push((length - 1 - at) as i64);
            }
            last.push(from_end.len() as i64 - 1);
        }
        PackedLists {
            batch: lengths.len() as i64,
            longest: longest as i64,
            lists: [&from_end, &last, &position, &place].map(|list| parcel.add(list)),
        }
    }

    /// Histories `[batch, longest]` of item ids, padded with 0 at the end.
    pub fn padded(histories: &Tensor) -> Self {
        let (batch, _) = histories.size2().expect("histories are a matrix");
        let items = histories.ne(0);
        let lengths = items.sum_dim_intlist(1, false, Kind::Int64);
        let rows = Tensor::arange(batch, (Kind::Int64, histories.device()));
        // A history without items has its place 0, which is padding.
        let last = (&lengths - 1).clamp_min(0) + rows * items.size()[1];
        Self::padded_to(items, last, lengths.clamp_min(1))
    }

    /// Histories padded at the end: `items` `[batch, longest]` bool, where an item stands, and
    /// of each history `[batch]` int64 `last`, its last position, and `counts`, its items, at least 1.
    pub fn padded_to(items: Tensor, last: Tensor, counts: Tensor) -> Self {
        let (batch, longest) = items.size2().expect("histories are a matrix");
        let form = Form::Padded { items, counts };
        Self { batch, longest, from_end: OnceLock::new(), last, form }
    }

    /// `[positions]` int64: how many positions of its history come after each. Of padded histories
    /// it is made when it is first asked for: not every encoder reads it.
    pub fn from_end(&self) -> &Tensor {
        self.from_end.get_or_init(|| {
            let whole = self.batch * self.longest;
            let at = Tensor::arange(whole, (Kind::Int64, self.last.device()));
            let from_end = self.last.unsqueeze(1) - at.view([self.batch, self.longest]);
            from_end.clamp_min(0).view([-1])
        })
    }

    /// The number of histories.
    pub fn histories(&self) -> i64 {
        self.batch
    }

    /// Where positions are packed: the position at each place of the padded form, and the place of each
    /// position.
    pub fn packing(&self) -> Option<[&Tensor; 2]> {
        match &self.form {
            Form::Packed { position, place } => Some([position, place]),
            Form::Padded { .. } => None,
        }
    }

    /// Of padded histories what [`Layout::padded_to`] was given.
    pub fn padding(&self) -> Option<[&Tensor; 3]> {
        match &self.form {
            Form::Padded { items, counts } => Some([items, &self.last, counts]),
            Form::Packed { .. } => None,
        }
    }

    /// The positions of the longest history.
    pub fn longest(&self) -> i64 {
        self.longest
    }

    /// `[batch]` int64: the last position of each history.
    pub fn last(&self) -> &Tensor {
        &self.last
    }

    /// `[positions, width]` to `[batch, longest, width]`; padding, always behind, holds numbers
    /// of no meaning.
    pub fn pad(&self, values: &Tensor) -> Tensor {
        let width = values.size()[1];
        let padded = match &self.form {
            Form::Packed { position, .. } => values.index_select(0, position),
            Form::Padded { .. } => values.shallow_clone(),
        };
        padded.view([self.batch, self.longest, width])
    }

    /// `[batch, longest, width]` to `[positions, width]`.
    pub fn pack(&self, padded: &Tensor) -> Tensor {
        let flat = padded.reshape([self.batch * self.longest, -1]);
        match &self.form {
            Form::Packed { place, .. } => flat.index_select(0, place),
            Form::Padded { .. } => flat,
        }
    }

    /// `[positions, width]` to the means of histories `[batch, width]`; 0 for one without items.
    pub fn means(&self, values: &Tensor) -> Tensor {
        let kind = values.kind();
        match &self.form {
            Form::Padded { items, counts } => {
                let sum = (self.pad(values) * items.unsqueeze(-1)).sum_dim_intlist(1, false, kind);
                sum / counts.unsqueeze(1)
            }
            Form::Packed { place, .. } => {
                let history = place.floor_divide_scalar(self.longest.max(1));
                let zeros = Tensor::zeros([self.batch, values.size()[1]], (kind, values.device()));
                let sum = zeros.index_add(0, &history, values);
                let ends = &self.last + 1;
                let none = ends.narrow(0, 0, 1).zeros_like();
                let starts = Tensor::cat(&[&none, &ends.narrow(0, 0, self.batch - 1)], 0);
                let count = (ends - starts).clamp_min(1);
                sum / count.to_kind(kind).unsqueeze(1)
            }
        }
    }
}

/// A [`Layout`] of packed histories whose lists are in a [`Parcel`].
pub struct PackedLists {
    batch: i64,
    longest: i64,
    /// From the end, last, position and place.
    lists: [Place; 4],
}

impl PackedLists {
    /// The layout, from the parcel's lists.
    pub fn layout(&self, sent: &Sent) -> Layout {
        let [from_end, last, position, place] = self.lists.map(|list| sent.list(list));
        let Self { batch, longest, .. } = *self;
        let form = Form::Packed { position, place };
        Layout { batch, longest, from_end: OnceLock::from(from_end), last, form }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(t: &Tensor) -> Vec<i64> {
        Vec::<i64>::try_from(t.to_kind(Kind::Int64).view(-1)).unwrap()
    }

    #[test]
    fn packing_undoes_padding_and_positions_count_from_the_end() {
        let layout = Layout::packed(&[2, 1, 3], Device::Cpu);
        let values = Tensor::from_slice(&[10i64, 11, 20, 30, 31, 32]).view([6, 1]);
        let padded = layout.pad(&values);
        assert_eq!(padded.size(), [3, 3, 1]);
        assert_eq!(whole(&padded.get(0))[..2], [10, 11]);
        assert_eq!(whole(&padded.get(2)), [30, 31, 32]);
        assert_eq!(layout.pack(&padded), values);
        assert_eq!(whole(layout.from_end()), [1, 0, 0, 2, 1, 0]);
        assert_eq!(whole(layout.last()), [1, 2, 5]);
    }

    #[test]
    fn histories_that_are_padded_already_say_the_same() {
        let layout = Layout::padded(&Tensor::from_slice2(&[[7i64, 7, 0], [0, 0, 0]]));
        assert_eq!(whole(layout.from_end()), [1, 0, 0, 0, 0, 0]);
        assert_eq!(whole(layout.last()), [1, 3]);
        let values = Tensor::arange(6, (Kind::Int64, Device::Cpu)).view([6, 1]);
        assert_eq!(layout.pack(&layout.pad(&values)), values);
    }

    #[test]
    fn means_are_over_the_items_of_each_history_in_either_form() {
        let packed = Layout::packed(&[0, 2, 1], Device::Cpu);
        let values = Tensor::from_slice(&[1f32, 2.0, 7.0]).view([3, 1]);
        assert_eq!(packed.means(&values), Tensor::from_slice2(&[[0f32], [1.5], [7.0]]));
        let padded = Layout::padded(&Tensor::from_slice2(&[[0i64, 0], [4, 5], [6, 0]]));
        let values = Tensor::from_slice(&[9f32, 9.0, 1.0, 2.0, 7.0, 9.0]).view([6, 1]);
        assert_eq!(padded.means(&values), Tensor::from_slice2(&[[0f32], [1.5], [7.0]]));
    }
}
