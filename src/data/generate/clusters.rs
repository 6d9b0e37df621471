//! Clusters of items, and tastes that wander among them.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Zipf};

const TASTES: usize = 3;
/// Of events, those that follow the crowd.
const CROWD: f64 = 0.1;
/// Of the other events, those that follow the newest taste; the older ones share the rest.
const NEWEST: f64 = 0.7;
/// The chance that a taste is replaced before an event.
const DRIFT: f64 = 0.08;
/// Of new tastes, those that are neighbours of the newest.
const NEIGHBOUR: f64 = 0.5;

/// About √items clusters on a ring. Items are numbered by cluster and popularity in it: item
/// `k * clusters + c` is the `k`-th most popular of cluster `c`.
pub(super) struct Clusters {
    items: u32,
    count: u32,
    /// Of events within a cluster, the ones that fall on its items evenly.
    even: f64,
    crowd: Zipf<f64>,
    new_taste: Zipf<f64>,
}

/// The clusters that a user likes, the newest last.
pub(super) struct Tastes([u32; TASTES]);

impl Clusters {
    pub fn new(items: u32, even: f64) -> Self {
        let count = f64::from(items).sqrt().round().max(1.0) as u32;
        Self { items, count, even, crowd: zipf(items, 1.0), new_taste: zipf(count, 0.5) }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn any(&self, random: &mut impl Rng) -> Tastes {
        Tastes([0; TASTES].map(|_: u32| self.any_taste(random)))
    }

    /// Now and then the oldest taste gives way to a new one.
    pub fn drift(&self, Tastes(tastes): &mut Tastes, random: &mut impl Rng) {
        if random.random_bool(DRIFT) {
            tastes.rotate_left(1);
            tastes[TASTES - 1] = self.next_taste(tastes[TASTES - 2], random);
        }
    }

    fn any_taste(&self, random: &mut impl Rng) -> u32 {
        self.new_taste.sample(random) as u32 - 1
    }

    fn next_taste(&self, newest: u32, random: &mut impl Rng) -> u32 {
        if random.random_bool(NEIGHBOUR) {
            let step = if random.random_bool(0.5) { 1 } else { self.count - 1 };
            (newest + step) % self.count
        } else {
            self.any_taste(random)
        }
    }

    /// An item that a user with these tastes meets. `even` chooses one of so many members of a
    /// cluster where all are alike.
    pub fn item<R: Rng>(
        &self,
        Tastes(tastes): &Tastes,
        random: &mut R,
        even: impl FnOnce(u32, u32, &mut R) -> u32,
    ) -> u32 {
        if random.random_bool(CROWD) {
            return self.crowd.sample(random) as u32 - 1;
        }
        let taste = if random.random_bool(NEWEST) {
            tastes[TASTES - 1]
        } else {
            tastes[random.random_range(0..TASTES - 1)]
        };
        let members = (self.items - taste).div_ceil(self.count);
        let member = if random.random_bool(self.even) {
            even(taste, members, random)
        } else {
            zipf(members, 1.0).sample(random) as u32 - 1
        };
        member * self.count + taste
    }
}

fn zipf(count: u32, exponent: f64) -> Zipf<f64> {
    Zipf::new(f64::from(count), exponent).expect("at least one to choose from")
}
