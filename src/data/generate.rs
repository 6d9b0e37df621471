//! A generated log with structure worth learning, of any size, written as it is made.
//!
//! Items fall into about √items clusters on a ring; within a cluster popularity falls by Zipf's
//! law over an even floor. A user has three tastes (clusters); most events follow the newest one.
//! Now and then the oldest taste gives way to a new one, often a neighbour of the newest: recent
//! events tell more than old ones. One event in ten follows the crowd, by Zipf's law over all
//! items. Sequence lengths are log-normal, at least 5.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, LogNormal};

use crate::files;
use crate::random::{Purpose, stream};
use clusters::Clusters;

mod clusters;
mod like;
mod lines;
mod walk;

pub use like::{Like, Written, generate_like};

/// Of events within a cluster, the ones that fall on its items evenly.
const EVEN: f64 = 0.4;
const SHORTEST: f64 = 5.0;
/// The spread of the logarithm of lengths.
const SPREAD: f64 = 1.1;
const LONGEST: f64 = 10_000.0;
/// In seconds since 1970: 2024-01-01.
const START: u64 = 1_704_067_200;
const DAY: f64 = 86_400.0;

/// Sizes worth a name; [`Preset::about`] says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Demo,
    Small,
    Books,
    Taobao,
}

/// How large a generated log is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    pub users: u32,
    pub items: u32,
    /// The mean of the users' numbers of events.
    pub mean_length: f64,
}

impl Preset {
    /// Every preset, the smallest first.
    pub const ALL: [Preset; 4] = [Preset::Demo, Preset::Small, Preset::Books, Preset::Taobao];

    /// The name in options.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Demo => "demo",
            Preset::Small => "small",
            Preset::Books => "books",
            Preset::Taobao => "taobao",
        }
    }

    /// What it is, for help.
    pub fn about(self) -> &'static str {
        match self {
            Preset::Demo => "2,000 users, 1,000 items, about 60,000 events: trains in seconds",
            Preset::Small => "20,000 users, 10,000 items, about 500,000 events",
            Preset::Books => {
                "459,133 users, 367,982 items, about 8.9 million events: Amazon Books' size"
            }
            Preset::Taobao => {
                "976,779 users, 1,708,530 items, about 85 million events: Taobao's size"
            }
        }
    }

    /// Users, items and the mean length of a sequence.
    pub fn size(self) -> Size {
        let (users, items, mean_length) = match self {
            Preset::Demo => (2_000, 1_000, 30.0),
            Preset::Small => (20_000, 10_000, 25.0),
            Preset::Books => (459_133, 367_982, 19.4),
            Preset::Taobao => (976_779, 1_708_530, 87.4),
        };
        Size { users, items, mean_length }
    }
}

/// Writes a log as CSV (`user,item,time`, users one after another, each in order of time) to
/// `out`, gzipped if its name ends with `.gz`, whole or not at all. The same size and seed make
/// the same bytes. `progress` is told the users that are done. Returns the number of events.
///
/// # Errors
/// A disk that fails.
pub fn generate(size: &Size, seed: u64, out: &Path, progress: &mut dyn FnMut(u64)) -> Result<u64> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let mut events = 0;
    files::write_with(out, |staging| {
        let mut file = BufWriter::new(File::create(staging)?);
        let world = World::new(size, seed);
        if name.ends_with(".gz") {
            let mut packed = GzEncoder::new(file, Compression::fast());
            events = world.write(&mut packed, progress)?;
            packed.finish()?.flush()?;
        } else {
            events = world.write(&mut file, progress)?;
            file.flush()?;
        }
        Ok(())
    })?;
    Ok(events)
}

/// What all users of a generated log have in common.
struct World {
    seed: u64,
    clusters: Clusters,
    /// The numbers that stand in the log: popularity must not be seen in them.
    user_names: Vec<u32>,
    item_names: Vec<u32>,
    length: LogNormal<f64>,
    pause: Exp<f64>,
}

impl World {
    fn new(size: &Size, seed: u64) -> World {
        let mut random = stream(seed, Purpose::Generation, 0);
        let mut names = |count: u32| {
            let mut names: Vec<u32> = (0..count).collect();
            names.shuffle(&mut random);
            names
        };
        // So that SHORTEST + a log-normal number has the mean that is wanted.
        let median = (size.mean_length - SHORTEST).max(1.0).ln() - SPREAD * SPREAD / 2.0;
        World {
            seed,
            clusters: Clusters::new(size.items, EVEN),
            user_names: names(size.users),
            item_names: names(size.items),
            length: LogNormal::new(median, SPREAD).expect("a spread that is finite"),
            pause: Exp::new(1.0 / DAY).expect("a rate above 0"),
        }
    }

    fn write(&self, to: &mut dyn Write, progress: &mut dyn FnMut(u64)) -> Result<u64> {
        let mut events = 0;
        let mut text = b"user,item,time\n".to_vec();
        for (user, name) in self.user_names.iter().enumerate() {
            for (item, time) in self.sequence(user as u64) {
                let item = self.item_names[item as usize];
                writeln!(text, "u{name:07},i{item:07},{time}")?;
                events += 1;
            }
            if text.len() > 1 << 20 {
                to.write_all(&text)?;
                text.clear();
                progress(user as u64 + 1);
            }
        }
        to.write_all(&text)?;
        progress(self.user_names.len() as u64);
        Ok(events)
    }

    /// The items and times of one user, oldest first.
    fn sequence(&self, user: u64) -> Vec<(u32, u64)> {
        let mut random = stream(self.seed, Purpose::Generation, user + 1);
        let length = (SHORTEST + self.length.sample(&mut random)).min(LONGEST).round() as usize;
        let mut tastes = self.clusters.any(&mut random);
        let mut time = START + (random.random::<f64>() * 60.0 * DAY) as u64;
        let any = |_, members, random: &mut ChaCha8Rng| random.random_range(0..members);
        (0..length)
            .map(|_| {
                self.clusters.drift(&mut tastes, &mut random);
                time += self.pause.sample(&mut random) as u64;
                (self.clusters.item(&tastes, &mut random, any), time)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use std::fs;

    fn log(size: &Size, seed: u64, name: &str) -> (Vec<u8>, crate::data::Interactions) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let mut users = 0;
        let events = generate(size, seed, &path, &mut |done| users = done).unwrap();
        assert_eq!(users, u64::from(size.users));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something was left behind");
        let source = Source {
            files: vec![path.clone()],
            user: Some("user".into()),
            item: Some("item".into()),
            time: Some("time".into()),
            ..Source::default()
        };
        let log = source.read(&mut |_| {}).unwrap().interactions;
        assert_eq!(log.len() as u64, events);
        (fs::read(path).unwrap(), log)
    }

    #[test]
    fn the_same_seed_makes_the_same_bytes() {
        let size = Size { users: 50, items: 40, mean_length: 10.0 };
        let (bytes, events) = log(&size, 1, "a.csv");
        assert_eq!(log(&size, 1, "b.csv").0, bytes);
        assert_ne!(log(&size, 2, "a.csv").0, bytes);
        let (packed, same) = log(&size, 1, "a.csv.gz");
        assert!(packed.len() < bytes.len() / 2 && same == events);
        assert_eq!(log(&size, 1, "c.csv.gz").0, packed);
        // Sizes at which nothing is left to choose still work.
        log(&Size { users: 1, items: 1, mean_length: 5.0 }, 1, "a.csv");
        log(&Size { users: 2, items: 2, mean_length: 1.0 }, 1, "a.csv");
    }

    #[test]
    fn the_demo_has_its_size_a_long_tail_and_names_that_tell_nothing() {
        let size = Preset::Demo.size();
        let (_, log) = log(&size, 1, "demo.csv");
        assert_eq!((log.users.len(), log.items.len()), (2_000, 1_000));
        let mean = log.len() as f64 / 2_000.0;
        assert!((mean - 30.0).abs() < 3.0, "{mean}");
        let mut lengths = vec![0; 2_000];
        log.user.iter().for_each(|user| lengths[*user as usize] += 1);
        lengths.sort();
        assert!(lengths[0] >= 5 && lengths[1_999] > 10 * lengths[1_000]);

        let mut counts = vec![0.0; 1_000];
        log.item.iter().for_each(|item| counts[*item as usize] += 1.0);
        let number = |item: usize| log.items[item][1..].parse::<f64>().unwrap();
        let mut order: Vec<usize> = (0..1_000).collect();
        order.sort_by(|a, b| f64::total_cmp(&counts[*b], &counts[*a]));
        let share =
            |n: usize| order[..n].iter().map(|item| counts[*item]).sum::<f64>() / log.len() as f64;
        assert!(
            share(10) > 0.05 && share(100) > 0.3 && share(100) < 0.7,
            "{} {}",
            share(10),
            share(100)
        );
        // The mean number of the popular half and of the other half are about the same.
        let half = |items: &[usize]| items.iter().map(|item| number(*item)).sum::<f64>() / 500.0;
        assert!((half(&order[..500]) - half(&order[500..])).abs() < 60.0);
    }

    #[test]
    fn recent_events_tell_more_about_the_next_than_old_ones() {
        let world = World::new(&Preset::Demo.size(), 1);
        let cluster = |event: &(u32, u64)| event.0 % world.clusters.count();
        // Of all pairs that far apart, those in one cluster.
        let alike = |distance: usize| {
            let (mut same, mut all) = (0, 0);
            for user in 0..2_000 {
                let events = world.sequence(user);
                for (old, new) in events.iter().zip(events.iter().skip(distance)) {
                    assert!(old.1 <= new.1);
                    same += usize::from(cluster(old) == cluster(new));
                    all += 1;
                }
            }
            f64::from(same as u32) / f64::from(all as u32)
        };
        let (near, middle, far) = (alike(1), alike(10), alike(60));
        assert!(near > 0.35 && middle > 0.15 && far < 0.12, "{near} {middle} {far}");
        assert!(near > middle * 1.3 && middle > far * 1.3, "{near} {middle} {far}");
    }
}
