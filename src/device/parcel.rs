//! Whole numbers on their way to a device, in one copy.

use tch::{Device, Tensor};

/// Lists of whole numbers that are sent together. On a GPU that is one copy from pinned memory,
/// which waits for nothing.
#[derive(Default)]
pub struct Parcel {
    values: Vec<i64>,
    ends: Vec<i64>,
}

/// Where a list lies in its [`Parcel`].
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

/// The lists of a [`Parcel`], on their device.
pub struct Sent {
    values: Tensor,
    /// Where each begins, and the last ends.
    starts: Vec<i64>,
}

impl Parcel {
    /// Puts a list in.
    pub fn add(&mut self, list: &[i64]) -> Place {
        self.values.extend_from_slice(list);
        self.ends.push(self.values.len() as i64);
        Place(self.ends.len() - 1)
    }

    /// Sends all lists.
    pub fn send(self, device: Device) -> Sent {
        let values = send(&Tensor::from_slice(&self.values), device);
        Sent { values, starts: [vec![0], self.ends].concat() }
    }
}

impl Sent {
    /// A list, int64 `[length]`.
    pub fn list(&self, place: Place) -> Tensor {
        self.lists(place, place)
    }

    /// The lists from `first` to `last`, one behind the other.
    pub fn lists(&self, first: Place, last: Place) -> Tensor {
        let (from, end) = (self.starts[first.0], self.starts[last.0 + 1]);
        self.values.narrow(0, from, end - from)
    }
}

/// A tensor of the host on `device`; to a GPU it is copied from pinned memory, behind what was
/// launched before and without waiting for it.
pub fn send(tensor: &Tensor, device: Device) -> Tensor {
    match device {
        Device::Cuda(_) => {
            let kind = tensor.kind();
            tensor.internal_pin_memory(device).to_device_(device, kind, true, false)
        }
        _ => tensor.to_device(device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn every_list_comes_out_as_it_went_in() {
        let mut parcel = Parcel::default();
        let lists: [&[i64]; 4] = [&[], &[3, 1], &[7], &[]];
        let places = lists.map(|list| parcel.add(list));
        let sent = parcel.send(Device::Cpu);
        for (list, place) in lists.iter().zip(places) {
            assert_eq!(Vec::<i64>::try_from(sent.list(place)).unwrap(), *list);
            assert_eq!(sent.list(place).kind(), Kind::Int64);
        }
        let both = sent.lists(places[1], places[2]);
        assert_eq!(Vec::<i64>::try_from(both).unwrap(), [3, 1, 7]);
    }
}
