//! Deferred Adam's loops over host memory, float32.

use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::RowGradient;
use super::rule::Rule;
use super::tails::{Tail, Tails};
use crate::device::memory;
use crate::host::simd::{self, Lanes, One, Shared, vectorised};

/// Rows a task.
const ROWS: usize = 256;

/// How many rows ahead memory is asked for.
const AHEAD: usize = 12;

/// Where the rows of a table and of its optimiser stand.
pub struct Slots {
    table: Shared<f32>,
    moments: Shared<f32>,
    last: Shared<i32>,
    rows: usize,
    dim: usize,
}

impl Slots {
    /// `table` `[rows, dim]`, `moments` `[rows, 2, dim]`, `last` `[rows]` int32: contiguous, on the
    /// host, and alive for as long as this is used.
    pub fn new(table: &Tensor, moments: &Tensor, last: &Tensor) -> Self {
        let (rows, dim) = table.size2().expect("a table is a matrix");
        assert_eq!(moments.size(), [rows, 2, dim]);
        Self {
            table: Shared::new(memory::start(table, Kind::Float)),
            moments: Shared::new(memory::start(moments, Kind::Float)),
            last: Shared::new(memory::start(last, Kind::Int)),
            rows: rows as usize,
            dim: dim as usize,
        }
    }

    /// # Safety
    /// `id` is a row of the table.
    #[inline(always)]
    unsafe fn row(&self, id: usize) -> Row {
        // SAFETY: the caller's.
        unsafe {
            let m = self.moments.at(2 * id * self.dim);
            Row { p: self.table.at(id * self.dim), m, v: m.add(self.dim), dim: self.dim }
        }
    }

    #[inline(always)]
    fn prefetch(&self, id: Option<&u32>) {
        let Some(&id) = id else { return };
        // SAFETY: `id` is a row of the table, as all that come here.
        let row = unsafe { self.row(id as usize) };
        // SAFETY: as above.
        simd::prefetch(unsafe { self.last.at(id as usize) });
        for at in (0..self.dim).step_by(16) {
            simd::prefetch(row.p.wrapping_add(at));
        }
        for at in (0..2 * self.dim).step_by(16) {
            simd::prefetch(row.m.wrapping_add(at));
        }
    }
}

/// A row's values and moments.
#[derive(Clone, Copy)]
struct Row {
    p: *mut f32,
    m: *mut f32,
    v: *mut f32,
    dim: usize,
}

/// Brings the rows of `ids` (distinct) to the present.
pub fn catch_up(rule: &Rule, tails: &Tails, slots: &Slots, ids: &[u32]) {
    assert!(ids.iter().all(|&id| (id as usize) < slots.rows));
    let level = simd::level();
    ids.par_chunks(ROWS).for_each(|ids| {
        for (at, &id) in ids.iter().enumerate() {
            slots.prefetch(ids.get(at + AHEAD));
            // SAFETY: rows of the table, each in one task only.
            unsafe { bring(level, rule, tails, slots, id as usize) };
        }
    });
}

/// Brings every row to the present.
pub fn catch_up_all(rule: &Rule, tails: &Tails, slots: &Slots) {
    let level = simd::level();
    (0..slots.rows.div_ceil(ROWS)).into_par_iter().for_each(|task| {
        for id in task * ROWS..slots.rows.min((task + 1) * ROWS) {
            // SAFETY: as above.
            unsafe { bring(level, rule, tails, slots, id) };
        }
    });
}

/// Moves the rows of `gradient` by step `now`; they are in the present of the step before.
pub fn step(rule: &Rule, now: i64, slots: &Slots, gradient: &RowGradient) {
    let level = simd::level();
    let (rows, values) = (gradient.rows.distinct(), gradient.floats());
    let shared = gradient.sources.as_ref().map(|sources| sources.as_slice());
    let ids = &rows.ids;
    assert!(ids.iter().all(|&id| (id as usize) < slots.rows));
    let sources = values.len() / slots.dim;
    let offset = |place: &u32| {
        let source = shared.map_or(*place, |sources| sources[*place as usize]) as usize;
        assert!(source < sources);
        source * slots.dim
    };
    let (rate, epsilon) = rule.at(now);
    let (beta1, beta2) = rule.betas();
    let update = [1.0 - beta1, beta2, 1.0 - beta2, rate, epsilon].map(|x| x as f32);
    ids.par_chunks(ROWS).enumerate().for_each(|(task, ids)| {
        let mut offsets = Vec::new();
        for (at, &id) in ids.iter().enumerate() {
            slots.prefetch(ids.get(at + AHEAD));
            offsets.clear();
            offsets.extend(rows.places(task * ROWS + at).iter().map(offset));
            // SAFETY: rows of the table, each in one task only; offsets are of whole rows.
            unsafe {
                let last = slots.last.at(id as usize);
                let present = *last == 0 || i64::from(*last) == now - 1;
                assert!(present, "row {id} was not brought to the present");
                *last = now as i32;
                move_row(level, slots.row(id as usize), values.as_ptr(), &offsets, update);
            }
        }
    });
}

/// Brings row `id` to the present.
///
/// # Safety
/// It is a row of the table that nothing else uses meanwhile.
#[inline(always)]
unsafe fn bring(level: simd::Level, rule: &Rule, tails: &Tails, slots: &Slots, id: usize) {
    // SAFETY: the caller's.
    unsafe {
        let last = slots.last.at(id);
        let (from, now) = (i64::from(*last), tails.now());
        // A row that never moved has nothing to go on with.
        if from == now || from == 0 {
            return;
        }
        *last = now as i32;
        let (row, tail) = (slots.row(id), tails.of(from));
        if tail.near > 0.0 && is_near(row, tail.near) {
            return replay(row, rule, from, now, tails.length() as i64);
        }
        go_on(level, row, tail, tails.decay(now - from));
    }
}

/// Whether an element is still moving and its v below `near`.
unsafe fn is_near(row: Row, near: f32) -> bool {
    // SAFETY: the caller's.
    (0..row.dim).any(|at| unsafe { *row.m.add(at) != 0.0 && *row.v.add(at) < near })
}

/// Takes all steps after `from` until `now` one by one, in float64.
#[cold]
unsafe fn replay(row: Row, rule: &Rule, from: i64, now: i64, length: i64) {
    let (beta1, beta2) = rule.betas();
    let steps: Vec<(f64, f64)> = (from + 1..=now.min(from + length)).map(|s| rule.at(s)).collect();
    for at in 0..row.dim {
        // SAFETY: the caller's.
        let [p, m, v] = unsafe { [row.p, row.m, row.v].map(|x| &mut *x.add(at)) };
        let (mut first, mut root) = (f64::from(*m), f64::from(*v).sqrt());
        let mut way = 0.0;
        for (rate, epsilon) in &steps {
            first *= beta1;
            root *= beta2.sqrt();
            way += rate * first / (root + epsilon);
        }
        *p -= way as f32;
        *m *= beta1.powf((now - from) as f64) as f32;
        *v *= beta2.powf((now - from) as f64) as f32;
    }
}

vectorised! {
    /// What is left of a row's way, at once; its moments decay.
    unsafe fn go_on(row: Row, tail: Tail, decay: [f32; 2]) = go_on_lanes
}

#[inline(always)]
unsafe fn go_on_lanes<V: Lanes>(row: Row, tail: Tail, decay: [f32; 2]) {
    #[inline(always)]
    unsafe fn lanes<V: Lanes>(row: Row, at: usize, tail: Tail, decay: [f32; 2]) {
        // SAFETY: the caller's.
        unsafe {
            let (p, m, v) =
                (V::load(row.p.add(at)), V::load(row.m.add(at)), V::load(row.v.add(at)));
            let slope = V::splat(tail.weight).div(v.sqrt().add(V::splat(tail.epsilon)));
            p.sub(m.mul(slope)).store(row.p.add(at));
            m.mul(V::splat(decay[0])).store(row.m.add(at));
            v.mul(V::splat(decay[1])).store(row.v.add(at));
        }
    }
    // Not a closure anywhere here: it would be compiled without the instruction set.
    let whole = row.dim - row.dim % V::N;
    // SAFETY: the caller's.
    unsafe {
        for at in (0..whole).step_by(V::N) {
            lanes::<V>(row, at, tail, decay);
        }
        for at in whole..row.dim {
            lanes::<One>(row, at, tail, decay);
        }
    }
}

vectorised! {
    /// One step of Adam on a row whose gradient is the sum of the rows of `values` at `offsets`.
    unsafe fn move_row(
        row: Row, values: *const f32, offsets: &[usize], update: [f32; 5],
    ) = move_lanes
}

#[inline(always)]
unsafe fn move_lanes<V: Lanes>(row: Row, values: *const f32, offsets: &[usize], update: [f32; 5]) {
    #[inline(always)]
    unsafe fn lanes<V: Lanes>(
        row: Row,
        at: usize,
        values: *const f32,
        offsets: &[usize],
        update: [f32; 5],
    ) {
        // SAFETY: the caller's.
        unsafe {
            let (grow1, rate, epsilon) =
                (V::splat(update[0]), V::splat(update[3]), V::splat(update[4]));
            let (beta2, grow2) = (V::splat(update[1]), V::splat(update[2]));
            let mut g = V::splat(0.0);
            for &offset in offsets {
                g = g.add(V::load(values.add(offset + at)));
            }
            let (p, m, v) =
                (V::load(row.p.add(at)), V::load(row.m.add(at)), V::load(row.v.add(at)));
            let m = grow1.mul_add(g.sub(m), m);
            let v = beta2.mul_add(v, grow2.mul(g).mul(g));
            p.sub(rate.mul(m).div(v.sqrt().add(epsilon))).store(row.p.add(at));
            m.store(row.m.add(at));
            v.store(row.v.add(at));
        }
    }
    let whole = row.dim - row.dim % V::N;
    // SAFETY: the caller's.
    unsafe {
        for at in (0..whole).step_by(V::N) {
            lanes::<V>(row, at, values, offsets, update);
        }
        for at in whole..row.dim {
            lanes::<One>(row, at, values, offsets, update);
        }
    }
}
