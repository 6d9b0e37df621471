//! Generated logs in the raw formats of published data sets, with as much of everything as these
//! have, or a part of it.
//!
//! The rules of a data set's description leave of its generated log the users, items and interactions
//! that they leave of its own. Users come one after another and nothing of one is kept for the
//! next, so that memory holds the items' numbers, the users' lengths and what one user does.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use rand::seq::SliceRandom;

use super::lines::{Behaviours, Clicks, Lines, Reviews, Sessions, User};
use super::walk::{Kind, Shape, Walk, World};
use crate::data::raw::GENERATED;
use crate::files;
use crate::random::{Purpose, stream};

/// A data set in whose raw format a log can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Like {
    AmazonBooks,
    Taobao,
    Yoochoose,
    Otto,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub files: Vec<PathBuf>,
    /// Of all files: users or sessions, items that may occur, events of every kind.
    pub users: u64,
    pub items: u64,
    pub events: u64,
}

/// Items: those that the rules keep, those that they drop, and how many views of a cluster fall on
/// its items in turn.
struct Items {
    kept: u64,
    rare: u64,
    even: f64,
}

impl Like {
    /// Every one, in the order of help.
    pub const ALL: [Like; 4] = [Like::AmazonBooks, Like::Taobao, Like::Yoochoose, Like::Otto];

    /// The name of its description.
    pub fn name(self) -> &'static str {
        match self {
            Like::AmazonBooks => "amazon-books",
            Like::Taobao => "taobao",
            Like::Yoochoose => "yoochoose",
            Like::Otto => "otto",
        }
    }

    /// What it is at full scale, for help.
    pub fn about(self) -> &'static str {
        match self {
            Like::AmazonBooks => "8.9 million reviews as JSON lines, gzipped: 3.8 GB",
            Like::Taobao => "100 million behaviours as CSV: 3.7 GB",
            Like::Yoochoose => "33 million clicks in 9.2 million sessions as CSV: 1.4 GB",
            Like::Otto => "231 million events in 14.6 million sessions as JSON lines: 12 GB",
        }
    }

    /// The files, under `folder`.
    pub fn files(self, folder: &Path) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            Like::AmazonBooks => &["reviews_Books_5.json.gz"],
            Like::Taobao => &["UserBehavior.csv"],
            Like::Yoochoose => &["yoochoose-clicks.dat"],
            Like::Otto => &["otto-recsys-train.jsonl", "otto-recsys-test.jsonl"],
        };
        names.iter().map(|name| folder.join(format!("{GENERATED}{name}"))).collect()
    }

    fn items(self) -> Items {
        let (kept, rare, even) = match self {
            Like::AmazonBooks => (367_982, 0, 0.5),
            Like::Taobao => (1_708_530, 4_162_024 - 1_708_530, 0.4),
            Like::Yoochoose => (37_483, 52_739 - 37_483, 0.4),
            Like::Otto => (1_855_603, 0, 0.4),
        };
        Items { kept, rare, even }
    }

    /// The numbers that the owners and the published preparations give; see `datasets/`.
    fn shapes(self) -> Vec<Shape> {
        const SHORT_USERS: u64 = 987_994 - 976_779;
        const SHORT_SESSIONS: u64 = 9_249_729 - 7_981_581;
        match self {
            Like::AmazonBooks => vec![Shape {
                users: 603_668,
                views: 8_898_041,
                shortest: 5,
                longest: 10_000,
                short_users: 0,
                short_length: 0,
                rare_views: 0,
                others: vec![],
                // 20 May 1996 to 23 July 2014.
                first: 832_550_400,
                last: 1_406_073_600,
                pause: 40.0 * 86_400.0,
                in_turn: false,
            }],
            Like::Taobao => vec![Shape {
                users: 976_779,
                views: 85_384_110,
                shortest: 5,
                longest: 1_000,
                short_users: SHORT_USERS,
                short_length: 2,
                rare_views: 89_716_264 - 85_384_110 - 2 * SHORT_USERS,
                others: vec![
                    (Kind::Cart, 5_530_446),
                    (Kind::Favourite, 2_888_258),
                    (Kind::Order, 2_015_839),
                ],
                // 25 November to 3 December 2017, in China.
                first: 1_511_539_200,
                last: 1_512_316_799,
                pause: 3_600.0,
                in_turn: false,
            }],
            Like::Yoochoose => vec![Shape {
                users: 7_981_581,
                views: 31_708_461,
                shortest: 2,
                longest: 200,
                short_users: SHORT_SESSIONS,
                short_length: 1,
                rare_views: 33_003_944 - 31_708_461 - SHORT_SESSIONS,
                others: vec![],
                // 1 April to 30 September 2014.
                first: 1_396_321_200,
                last: 1_412_045_999,
                pause: 120.0,
                in_turn: true,
            }],
            Like::Otto => {
                // Four weeks of August 2022, and the week after them.
                let train = Shape {
                    users: 12_899_779,
                    views: 194_720_954,
                    shortest: 2,
                    longest: 500,
                    short_users: 0,
                    short_length: 0,
                    rare_views: 0,
                    others: vec![(Kind::Cart, 16_896_191), (Kind::Order, 5_098_951)],
                    first: 1_659_304_800,
                    last: 1_661_723_999,
                    pause: 4_000.0,
                    in_turn: true,
                };
                let test = Shape {
                    users: 1_671_803,
                    views: 12_340_303,
                    others: vec![(Kind::Cart, 1_155_698), (Kind::Order, 355_292)],
                    first: 1_661_724_000,
                    last: 1_662_328_799,
                    ..train.clone()
                };
                vec![train, test]
            }
        }
    }
}

impl Shape {
    /// So much of everything, of the same kind.
    fn scaled(self, scale: f64) -> Self {
        let users = scaled(self.users, scale).max(1);
        let least = users * u64::from(self.shortest);
        Self {
            users,
            views: scaled(self.views, scale).max(least),
            short_users: scaled(self.short_users, scale),
            rare_views: scaled(self.rare_views, scale),
            others: self.others.iter().map(|(kind, n)| (*kind, scaled(*n, scale))).collect(),
            ..self
        }
    }
}

fn scaled(count: u64, scale: f64) -> u64 {
    (count as f64 * scale).round() as u64
}

/// Writes a log like that of `like` into `folder`, `scale` times as much of everything, each file
/// whole or not at all. The same scale and seed make the same bytes. `progress` is told the users
/// that are done, and of how many.
///
/// # Errors
/// A disk that fails.
pub fn generate_like(
    like: Like,
    scale: f64,
    seed: u64,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let Items { kept, rare, even } = like.items();
    let (kept, rare) = (scaled(kept, scale).max(1) as u32, scaled(rare, scale) as u32);
    let mut world = World::new(seed, kept, rare, even);
    let shapes: Vec<Shape> = like.shapes().into_iter().map(|shape| shape.scaled(scale)).collect();
    let users = shapes.iter().map(|shape| shape.users + shape.short_users).sum();
    let mut written = Written { users, items: u64::from(kept + rare), ..Written::default() };
    let mut done = 0;
    for ((shape, path), part) in shapes.into_iter().zip(like.files(folder)).zip(1..) {
        let mut lines: Box<dyn Lines> = match like {
            Like::AmazonBooks => Box::new(Reviews::new(seed)),
            Like::Taobao => {
                let categories = scaled(9_439, scale) as u32 / world.clusters.count();
                Box::new(Behaviours { categories: categories.max(1) })
            }
            Like::Yoochoose => Box::new(Clicks),
            Like::Otto => Box::new(Sessions { from: done }),
        };
        let mut walk = Walk::new(&mut world, shape, part);
        let all = walk.users();
        let packed = path.extension().is_some_and(|extension| extension == "gz");
        let mut told = |here| progress(done + here, users);
        files::write_with(&path, |staging| {
            let mut file = BufWriter::new(File::create(staging)?);
            written.events += if packed {
                let mut packed = GzEncoder::new(file, Compression::fast());
                let events = write(&mut walk, &mut *lines, seed, &mut packed, &mut told)?;
                packed.finish()?.flush()?;
                events
            } else {
                let events = write(&mut walk, &mut *lines, seed, &mut file, &mut told)?;
                file.flush()?;
                events
            };
            Ok(())
        })?;
        done += all;
        written.files.push(path);
    }
    Ok(written)
}

/// Writes all users of a file; gives the number of events.
fn write(
    walk: &mut Walk,
    lines: &mut dyn Lines,
    seed: u64,
    to: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let mut names: Vec<u32> = (0..walk.users() as u32).collect();
    names.shuffle(&mut stream(seed, Purpose::Generation, u64::MAX - 1));
    let (mut events, mut written, mut text) = (vec![], 0, vec![]);
    for (number, name) in (0..).zip(names) {
        walk.next(number, &mut events);
        written += events.len() as u64;
        let user = User { number, name: name.into(), events: &events };
        lines.write(&user, walk.world(), &mut text)?;
        if text.len() > 1 << 20 {
            to.write_all(&text)?;
            text.clear();
            progress(number + 1);
        }
    }
    to.write_all(&text)?;
    progress(walk.users());
    Ok(written)
}
