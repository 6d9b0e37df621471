//! What users of a generated raw log do, one after another: as many of everything as was published.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, LogNormal};

use super::clusters::Clusters;
use crate::random::{Purpose, stream};

/// The spread of the logarithm of lengths.
const SPREAD: f64 = 1.1;

/// What a user does with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    View,
    Cart,
    Favourite,
    Order,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// From 0.
    pub item: u32,
    /// In milliseconds since 1970.
    pub at: i64,
    pub kind: Kind,
}

/// How much a file holds, and how it is spread. The rules of its description are to leave `users`,
/// the items of its catalogue and `views`; short users and rare items are what they drop.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub users: u64,
    pub views: u64,
    /// The views of a user, at least and at most.
    pub shortest: u32,
    pub longest: u32,
    /// Users with `short_length` views each.
    pub short_users: u64,
    pub short_length: u32,
    /// Views of items that are too rare, spread evenly over them.
    pub rare_views: u64,
    /// Events of other kinds, each with an item that has just been viewed.
    pub others: Vec<(Kind, u64)>,
    /// Seconds since 1970.
    pub first: i64,
    pub last: i64,
    /// Seconds between two events, in the mean, where there is time for that.
    pub pause: f64,
    /// Whether users come one after another, as sessions do.
    pub in_turn: bool,
}

/// What is shared by all files of a data set.
pub(super) struct World {
    pub seed: u64,
    pub clusters: Clusters,
    /// Of each cluster, how many of its views have fallen on its items in turn.
    turns: Vec<u32>,
    /// How many items are too rare; they are numbered behind the others.
    rare_items: u32,
    /// The numbers that stand in the log: popularity must not be seen in them.
    pub item_names: Vec<u32>,
}

impl World {
    pub fn new(seed: u64, items: u32, rare_items: u32, even: f64) -> Self {
        let mut item_names: Vec<u32> = (0..items + rare_items).collect();
        item_names.shuffle(&mut stream(seed, Purpose::Generation, 0));
        let clusters = Clusters::new(items, even);
        let turns = vec![0; clusters.count() as usize];
        Self { seed, clusters, turns, rare_items, item_names }
    }
}

/// The users of one file, in turn.
pub(super) struct Walk<'w> {
    world: &'w mut World,
    shape: Shape,
    /// Tells the random numbers of this file from those of others.
    part: u64,
    lengths: std::vec::IntoIter<u32>,
    views: u64,
}

impl<'w> Walk<'w> {
    pub fn new(world: &'w mut World, shape: Shape, part: u64) -> Self {
        let lengths = lengths(&shape, &mut stream(world.seed, Purpose::Generation, part << 40));
        Self { world, shape, part, lengths: lengths.into_iter(), views: 0 }
    }

    pub fn world(&self) -> &World {
        self.world
    }

    /// All users, those that are too short too.
    pub fn users(&self) -> u64 {
        self.shape.users + self.shape.short_users
    }

    /// Puts what user `number` does into `events`, oldest first.
    pub fn next(&mut self, number: u64, events: &mut Vec<Event>) {
        events.clear();
        let step = (self.part << 40) + 1 + number;
        let mut random = stream(self.world.seed, Purpose::Generation, step);
        let short = due(number, self.shape.short_users, self.users());
        let length = if short { None } else { self.lengths.next() };
        let views = length.unwrap_or(self.shape.short_length);
        let mut tastes = self.world.clusters.any(&mut random);
        let mut times = Times::new(&self.shape, number, self.users(), views, &mut random);
        for _ in 0..views {
            self.world.clusters.drift(&mut tastes, &mut random);
            let World { clusters, turns, .. } = &mut *self.world;
            let item = clusters.item(&tastes, &mut random, |cluster, members, _| {
                let turn = &mut turns[cluster as usize];
                *turn += 1;
                (*turn - 1) % members
            });
            events.push(Event { item, at: times.next(&mut random), kind: Kind::View });
            if length.is_some() {
                self.extras(item, events, || times.next(&mut random));
                self.views += 1;
            }
        }
    }

    /// What comes beside this view of `item`, so that in the end there is as much of it as there
    /// should be.
    fn extras(&self, item: u32, events: &mut Vec<Event>, mut at: impl FnMut() -> i64) {
        let (now, all) = (self.views, self.shape.views);
        for (kind, count) in &self.shape.others {
            if due(now, *count, all) {
                events.push(Event { item, at: at(), kind: *kind });
            }
        }
        if due(now, self.shape.rare_views, all) && self.world.rare_items > 0 {
            let turn = now * self.shape.rare_views / all % u64::from(self.world.rare_items);
            let items = self.world.item_names.len() as u32 - self.world.rare_items;
            events.push(Event { item: items + turn as u32, at: at(), kind: Kind::View });
        }
    }
}

/// Whether the `number`-th of `all` is one of `count` that are spread evenly over them.
fn due(number: u64, count: u64, all: u64) -> bool {
    number * count / all != (number + 1) * count / all
}

/// The views of each user who is not too short: log-normal, with the sum that is wanted.
fn lengths(shape: &Shape, random: &mut ChaCha8Rng) -> Vec<u32> {
    let (least, most) = (f64::from(shape.shortest), f64::from(shape.longest));
    let mean = shape.views as f64 / shape.users as f64;
    let median = (mean - least).max(0.1).ln() - SPREAD * SPREAD / 2.0;
    let more = LogNormal::new(median, SPREAD).expect("a spread that is finite");
    let mut lengths: Vec<u32> =
        (0..shape.users).map(|_| (least + more.sample(random)).min(most).round() as u32).collect();
    let mut missing =
        shape.views as i64 - lengths.iter().map(|length| i64::from(*length)).sum::<i64>();
    while missing != 0 {
        for length in lengths.iter_mut() {
            let step = missing.signum();
            let next = i64::from(*length) + step;
            if (i64::from(shape.shortest)..=i64::from(shape.longest)).contains(&next) {
                *length = next as u32;
                missing -= step;
            }
        }
    }
    lengths
}

/// The times of one user's events.
struct Times {
    now: f64,
    last: f64,
    pause: Exp<f64>,
}

impl Times {
    fn new(shape: &Shape, number: u64, users: u64, views: u32, random: &mut ChaCha8Rng) -> Self {
        let (first, last) = (shape.first as f64, shape.last as f64);
        let share: f64 = random.random();
        let begin = match shape.in_turn {
            true => (number as f64 + share) / users as f64,
            // Early enough that there is time for what follows.
            false => 0.5 * share,
        };
        let now = first + begin * (last - first);
        let pause = shape.pause.min((last - now) / f64::from(views + 1)).max(0.001);
        Self { now, last, pause: Exp::new(1.0 / pause).expect("a rate above 0") }
    }

    fn next(&mut self, random: &mut ChaCha8Rng) -> i64 {
        self.now = (self.now + self.pause.sample(random)).min(self.last);
        (self.now * 1000.0) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_due_as_there_should_be_and_evenly() {
        for (count, all) in [(0, 10), (3, 10), (10, 10), (1, 7)] {
            let due: Vec<u64> = (0..all).filter(|number| due(*number, count, all)).collect();
            assert_eq!(due.len() as u64, count);
            let apart = due.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(apart.clone().all(|gap| gap == all / count || gap == all.div_ceil(count)));
        }
    }
}
