//! Counting what beats each target without holding a score (`rank.cu`): tensor ops define it, in
//! `eval/rank.rs`.

use tch::{Device, Kind, Tensor};

use super::{Argument, Kernels, WARP};

use Argument::{Float, Int, Long, Numbers};

/// Users and items that a warp scores, as `rank.cu` has them.
const USERS: i64 = 16;
const ITEMS: i64 = 4 * WARP;

/// Pairs of a user and an item, both counted from 0, and a number for each.
#[derive(Default)]
pub struct UserItems {
    places: Vec<i64>,
    numbers: Vec<f32>,
}

impl UserItems {
    /// Appends a pair.
    pub fn push(&mut self, user: usize, item: usize, number: f32) {
        self.places.extend([user as i64, item as i64]);
        self.numbers.push(number);
    }

    fn len(&self) -> i64 {
        self.numbers.len() as i64
    }

    fn on(&self, device: Device) -> [Tensor; 2] {
        let [places, numbers] =
            [Tensor::from_slice(&self.places), Tensor::from_slice(&self.numbers)];
        [places.to_device(device), numbers.to_device(device)]
    }

    /// `[users + 1]`: where the pairs of each user begin, which stand in the order of users.
    fn first(&self, users: i64) -> Tensor {
        let of: Vec<i64> = self.places.iter().step_by(2).copied().collect();
        let first = |user| of.partition_point(|&own| own < user) as i64;
        Tensor::from_slice(&(0..=users).map(first).collect::<Vec<_>>())
    }
}

/// The next multiple of `part`.
fn whole(count: i64, part: i64) -> i64 {
    (count + part - 1) / part * part
}

impl Kernels {
    /// `[dim, columns]`: the items of `rows` `[items, dim]`, with ε at unit length as
    /// [`Kernels::unit`] has it, and zeros behind them.
    pub fn across(&self, rows: &Tensor, epsilon: Option<f64>) -> Tensor {
        let (items, dim) = (rows.size()[0], rows.size()[1]);
        let width = whole(items, ITEMS);
        let across = Tensor::empty([dim, width], (Kind::Float, rows.device()));
        let sizes = [Long(width), Long(items), Int(dim), Int(i64::from(epsilon.is_some()))];
        let given = [Numbers(rows), Numbers(&across)];
        let epsilon = [Float(epsilon.unwrap_or_default())];
        self.launch(c"croloss_across", width, &[&given[..], &sizes, &epsilon].concat());
        across
    }

    /// `[targets]` int32: how many of the `items` that stand [`across`](Kernels::across) score at least
    /// as high as each target, the target among them. `users` `[users, dim]`; `targets` in the order of
    /// users, with what they gain; `others`: what else gains, and what is left out with −∞.
    pub fn reaching(
        &self,
        users: &Tensor,
        (across, items): (&Tensor, i64),
        targets: &UserItems,
        others: &UserItems,
    ) -> Tensor {
        let (device, count) = (users.device(), users.size()[0]);
        let (dim, width) = (across.size()[0], across.size()[1]);
        let people = whole(count, USERS);
        let vectors = Tensor::zeros([dim, people], (Kind::Float, device));
        vectors.narrow(1, 0, count).copy_(&users.tr());
        let first = targets.first(people).to_device(device);
        let own = Tensor::empty([targets.len()], (Kind::Float, device));
        let counts = Tensor::zeros([targets.len()], (Kind::Int, device));

        let both = [Numbers(&vectors), Numbers(across)];
        let found = [Numbers(&own), Numbers(&first), Numbers(&counts)];
        let [places, gains] = targets.on(device);
        let given = [Numbers(&places), Numbers(&gains), Numbers(&own)];
        let sizes = |count| [Long(count), Long(people), Long(width)];
        let (of_targets, dim) = (sizes(targets.len()), [Int(dim)]);
        let arguments = [&both[..], &given, &of_targets, &dim].concat();
        self.launch(c"croloss_targets", targets.len(), &arguments);

        let warps = people / USERS * (width / ITEMS);
        let arguments = [&both[..], &found, &sizes(warps), &[Long(items)], &dim].concat();
        self.launch(c"croloss_reach", warps * WARP, &arguments);

        let [places, gains] = others.on(device);
        let given = [Numbers(&places), Numbers(&gains)];
        let arguments = [&both[..], &given, &found, &sizes(others.len()), &dim].concat();
        self.launch(c"croloss_mend", others.len(), &arguments);
        counts
    }
}
