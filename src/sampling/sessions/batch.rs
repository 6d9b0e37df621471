//! One batch of sessions.

use tch::{Device, Kind, Tensor};

use crate::optim::TouchedRows;
use crate::tower::Layout;

/// Sessions, the positions to learn from, and the candidates of each position. int64 tensors on
/// the run's device.
///
/// Items that scores are taken with stand once each in `scored`; targets and candidates are named
/// by their *slot*, the row in it.
pub struct SessionBatch {
    /// The batch in parts of about as many positions, in order, for the encoder: on a host several
    /// threads take them.
    pub parts: Vec<Part>,
    /// `[positions]`: the items that the encoder reads, session by session, oldest first.
    pub inputs: Tensor,
    /// `[positions]`: the session of each position, from 0.
    pub session: Tensor,
    /// `[scored]`: distinct item ids, ascending.
    pub scored: Tensor,
    /// `[positions]`: slots of the items to predict.
    pub targets: Tensor,
    /// `[shared]`: slots of the candidates of every position.
    pub shared: Tensor,
    /// `[sessions, n]`: slots of the candidates of a session's positions.
    pub of_session: Tensor,
    /// `[positions, n]`: slots of a position's own candidates.
    pub of_position: Tensor,
    /// `[pairs, 2]`: (session, slot) of every session's own items, as far as they are scored.
    pub own: Tensor,
    /// The rows of the tables in use.
    pub rows: Rows,
}

/// Some of a batch's sessions.
pub struct Part {
    /// Where their positions stand.
    pub layout: Layout,
    /// The first of their positions in the batch, and how many they are.
    pub from: i64,
    pub count: i64,
}

/// Which rows of the tables a batch reads.
pub enum Rows {
    /// One table: its inputs, then `scored`.
    Tied(TouchedRows),
    /// A table for each.
    Apart { inputs: TouchedRows, scored: TouchedRows },
}

/// Candidates by item id: shared, by session, by position.
pub struct Candidates {
    pub shared: Vec<i64>,
    pub of_session: Vec<i64>,
    pub of_position: Vec<i64>,
}

impl SessionBatch {
    /// From sessions of two items or more and their candidates.
    pub fn new(sessions: &[&[u32]], candidates: Candidates, tied: bool, device: Device) -> Self {
        let lengths: Vec<usize> = sessions.iter().map(|session| session.len() - 1).collect();
        let positions: usize = lengths.iter().sum();
        let id = |&item: &u32| i64::from(item);
        let mut inputs = Vec::with_capacity(positions);
        let mut session_of = Vec::with_capacity(positions);
        let mut ids = Vec::with_capacity(positions + candidates.shared.len());
        for (at, session) in sessions.iter().enumerate() {
            inputs.extend(session[..session.len() - 1].iter().map(id));
            ids.extend(session[1..].iter().map(id));
            session_of.resize(inputs.len(), at as i64);
        }
        let parts = [&candidates.shared, &candidates.of_session, &candidates.of_position];
        parts.iter().for_each(|part| ids.extend_from_slice(part));
        let (scored, slots) = distinct(&ids);
        let slots = Tensor::from_slice(&slots).to_device(device);
        let sizes = [positions, parts[0].len(), parts[1].len(), parts[2].len()];
        let slots = slots.split_with_sizes(sizes.map(|size| size as i64), 0);
        let mut own = vec![];
        for (at, session) in sessions.iter().enumerate() {
            let mut items: Vec<i64> = session.iter().map(id).collect();
            items.sort_unstable();
            items.dedup();
            let known = items.iter().filter_map(|item| scored.binary_search(item).ok());
            own.extend(known.flat_map(|slot| [at as i64, slot as i64]));
        }
        let scored = Tensor::from_slice(&scored).to_device(device);
        let inputs = Tensor::from_slice(&inputs).to_device(device);
        let rows = match tied {
            true => Rows::Tied(touched(Tensor::cat(&[&inputs, &scored], 0))),
            false => Rows::Apart {
                inputs: touched(inputs.shallow_clone()),
                scored: touched(scored.shallow_clone()),
            },
        };
        let [count, each] = [sessions.len(), positions].map(|rows| rows as i64);
        Self {
            parts: in_parts(&lengths, device),
            inputs,
            session: Tensor::from_slice(&session_of).to_device(device),
            scored,
            targets: slots[0].shallow_clone(),
            shared: slots[1].shallow_clone(),
            of_session: slots[2].view([count, sizes[2] as i64 / count]),
            of_position: slots[3].view([each, sizes[3] as i64 / each]),
            own: Tensor::from_slice(&own).view([-1, 2]).to_device(device),
            rows,
        }
    }

    /// The number of positions.
    pub fn positions(&self) -> i64 {
        self.inputs.size()[0]
    }

    /// The number of sessions.
    pub fn sessions(&self) -> i64 {
        self.of_session.size()[0]
    }

    /// M: the candidates of a position.
    pub fn candidates(&self) -> i64 {
        self.shared.size()[0] + self.of_session.size()[1] + self.of_position.size()[1]
    }

    /// `[sessions, scored]` bool: whether an item is the session's own.
    pub fn own_items(&self) -> Tensor {
        let device = self.own.device();
        let own = Tensor::zeros([self.sessions(), self.scored.size()[0]], (Kind::Bool, device));
        let (session, slot) = (self.own.select(1, 0), self.own.select(1, 1));
        let yes = Tensor::ones([1], (Kind::Bool, device));
        own.index_put(&[Some(session), Some(slot)], &yes, false)
    }
}

/// Cuts sessions of these lengths where about as many positions stand on either side; a GPU gets
/// one part. The cut depends on the lengths alone, so results do not depend on the threads.
fn in_parts(lengths: &[usize], device: Device) -> Vec<Part> {
    /// Positions that are worth a part of their own.
    const POSITIONS: usize = 128;
    const MOST: usize = 16;
    let positions: usize = lengths.iter().sum();
    let wanted = match device {
        Device::Cpu => (positions / POSITIONS).clamp(1, MOST).next_power_of_two(),
        _ => 1,
    };
    let (mut parts, mut first, mut from, mut end) = (vec![], 0, 0, 0);
    for (at, length) in lengths.iter().enumerate() {
        end += length;
        let due = (parts.len() + 1) * positions / wanted;
        if end >= due || at + 1 == lengths.len() {
            let layout = Layout::packed(&lengths[first..=at], device);
            parts.push(Part { layout, from: from as i64, count: (end - from) as i64 });
            (first, from) = (at + 1, end);
        }
    }
    parts
}

/// The rows of `ids`, told apart where they are.
pub fn touched(ids: Tensor) -> TouchedRows {
    match ids.device() {
        Device::Cpu => TouchedRows::new(ids),
        _ => TouchedRows::by_tensors(ids),
    }
}

/// The distinct ids, ascending, and for each id of the list its place among them.
fn distinct(ids: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let rows = TouchedRows::new(Tensor::from_slice(ids));
    let distinct = rows.distinct().expect("the list is on the host");
    let mut slots = vec![0; ids.len()];
    for row in 0..distinct.len() {
        distinct.places(row).iter().for_each(|&place| slots[place as usize] = row as i64);
    }
    (distinct.ids.iter().map(|&id| i64::from(id)).collect(), slots)
}
