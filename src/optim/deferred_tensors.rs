//! Deferred Adam by tensor ops over the rows in use: on any device, in any kind of float: the
//! definition of what [`super::deferred_kernels`] do where a GPU has them.
//!
//! A row id may stand in the list more than once: every place computes the same values, so it
//! does not matter which of them is written. Nothing is read back to the host, unless elements
//! may have to be told apart (see [`super::tails`]): never with TensorFlow's ε and the usual β, with
//! PyTorch's in the first thousand steps or so, behind which all rows are brought to the present.

use tch::{Kind, Tensor};

use super::rule::Rule;
use super::tails::{Tail, Tails};
use crate::device::send;

/// The columns of a tail on the device.
const COLUMNS: i64 = 5;

/// The tails of all steps, on the table's device.
pub struct DeviceTails {
    /// `[capacity, 5]` float64: weight, ε̄, near, rate, ε_s.
    tails: Tensor,
    /// `[rows]` int64: for each row in use one of its places in the list.
    places: Tensor,
    /// The step up to which `tails` is known.
    now: i64,
}

impl DeviceTails {
    /// Nothing known, for `table` `[rows, dim]`.
    pub fn new(table: &Tensor) -> Self {
        let device = table.device();
        Self {
            tails: Tensor::zeros([1024, COLUMNS], (Kind::Double, device)),
            places: Tensor::zeros([table.size()[0]], (Kind::Int64, device)),
            now: -1,
        }
    }

    /// `[capacity, 5]` float64, as the kernels read them.
    pub fn tails(&self) -> &Tensor {
        &self.tails
    }

    /// `[rows]` int64: room for each row's place in the list.
    pub fn places(&self) -> &Tensor {
        &self.places
    }

    /// Sends what has changed since: the youngest tails.
    pub fn follow(&mut self, tails: &Tails) {
        let now = tails.now();
        if self.now == now {
            return;
        }
        let from = (self.now + 1 - tails.length() as i64).max(0);
        let values = |tail: &Tail| {
            [tail.weight, tail.epsilon, tail.near, tail.rate, tail.own_epsilon].map(f64::from)
        };
        let changed: Vec<f64> = tails.since(from as usize).iter().flat_map(values).collect();
        let changed = Tensor::from_slice(&changed).view([-1, COLUMNS]);
        while self.tails.size()[0] <= now {
            self.tails = Tensor::cat(&[&self.tails, &self.tails], 0);
        }
        self.tails.narrow(0, from, now + 1 - from).copy_(&send(&changed, self.tails.device()));
        self.now = now;
    }
}

/// The table and what belongs to it.
pub struct Rows<'a> {
    pub table: Tensor,
    pub moments: &'a Tensor,
    pub last: &'a Tensor,
    pub rule: &'a Rule,
    pub tails: &'a Tails,
    /// Whether elements may have to be told apart.
    pub may_be_near: bool,
    pub known: &'a DeviceTails,
    /// Where kernels find the step and Adam's numbers, if not with their launch.
    pub clock: Option<&'a Tensor>,
}

impl Rows<'_> {
    /// Brings the rows of `ids` `[places]` to the present.
    pub fn catch_up(&self, ids: &Tensor) {
        let kind = self.table.kind();
        let column = |t: Tensor| t.to_kind(kind).unsqueeze(1);
        let last = self.last.index_select(0, ids).to_kind(Kind::Int64);
        let tail = self.known.tails.index_select(0, &last);
        let [weight, epsilon] = [0, 1].map(|at| column(tail.select(1, at)));
        let (p, m, v) = self.gather(ids);
        // A row that is in the present, or never moved, has weight 0 or first moment 0.
        let mut way = &m * (weight / (v.sqrt() + epsilon));
        if self.may_be_near {
            let near = m.ne(0.0).logical_and(&v.lt_tensor(&column(tail.select(1, 2))));
            let near = near.any_dim(1, false).nonzero().squeeze_dim(1);
            if near.size()[0] > 0 {
                let of = |t: &Tensor| t.index_select(0, &near);
                let _ = way.index_copy_(0, &near, &self.replay(&of(&last), of(&m), of(&v)));
            }
        }
        let n = (self.tails.now() - last).to_kind(Kind::Double);
        let (beta1, beta2) = self.rule.betas();
        let [m, v] = [(m, beta1), (v, beta2)]
            .map(|(moment, beta)| moment * column(Tensor::pow_scalar(beta, &n)));
        self.scatter(ids, &(p - way), m, v, self.tails.now());
    }

    /// The way of rows last moved at `last`, all steps since then one by one.
    fn replay(&self, last: &Tensor, mut m: Tensor, v: Tensor) -> Tensor {
        let now = self.tails.now();
        let (beta1, beta2) = self.rule.betas();
        let mut root = v.sqrt();
        let mut way = m.zeros_like();
        for k in 1..=self.tails.length() as i64 {
            let step = last + k;
            let due = step.le(now).to_kind(Kind::Double);
            let own = self.known.tails.index_select(0, &step.clamp_max(now));
            let [rate, epsilon] = [own.select(1, 3) * due, own.select(1, 4)]
                .map(|t| t.to_kind(m.kind()).unsqueeze(1));
            m *= beta1;
            root *= beta2.sqrt();
            way += &m * (rate / (&root + epsilon));
        }
        way
    }

    /// The next step, with the gradients `values` `[places, dim]`; those of one row are added up.
    pub fn step(&self, ids: &Tensor, values: &Tensor) {
        let now = self.tails.now() + 1;
        // Every place names its row's one place in the list: there the sum is made.
        let order = Tensor::arange(ids.size()[0], (Kind::Int64, ids.device()));
        let _ = self.known.places.shallow_clone().index_copy_(0, ids, &order);
        let place = self.known.places.index_select(0, ids);
        let sums = values.zeros_like().index_add_(0, &place, values);
        let g = sums.index_select(0, &place);
        let (rate, epsilon) = self.rule.at(now);
        let (beta1, beta2) = self.rule.betas();
        let (p, m, v) = self.gather(ids);
        let m = m.lerp(&g, 1.0 - beta1);
        let v = v * beta2 + g.square() * (1.0 - beta2);
        let p = p - &m * rate / (v.sqrt() + epsilon);
        self.scatter(ids, &p, m, v, now);
    }

    fn gather(&self, ids: &Tensor) -> (Tensor, Tensor, Tensor) {
        let moments = self.moments.index_select(0, ids);
        (self.table.index_select(0, ids), moments.select(1, 0), moments.select(1, 1))
    }

    fn scatter(&self, ids: &Tensor, p: &Tensor, m: Tensor, v: Tensor, now: i64) {
        let _ = self.table.shallow_clone().index_copy_(0, ids, p);
        let _ = self.moments.shallow_clone().index_copy_(0, ids, &Tensor::stack(&[m, v], 1));
        let _ = self.last.shallow_clone().index_fill_(0, ids, now);
    }
}
