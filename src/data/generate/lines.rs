//! The lines of raw logs, as the owners of data sets write them.

use std::io::Write;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};

use super::walk::{Event, Kind, World};
use crate::data::read::time;
use crate::random::{Purpose, stream};

/// Of the review's text, in bytes: what was drawn at once, and what one review has.
const TEXT: usize = 1 << 20;
const REVIEW_MEDIAN: f64 = 450.0;
const REVIEW_SPREAD: f64 = 1.0;
const LONGEST_REVIEW: f64 = 10_000.0;
/// A prime, so that categories get different numbers.
const CATEGORY_NUMBERS: u64 = 5_000_011;

/// Who did something.
pub(super) struct User<'e> {
    /// From 0, in the order of the file.
    pub number: u64,
    /// A number that tells nothing.
    pub name: u64,
    pub events: &'e [Event],
}

/// Writes all that a user did.
pub(super) trait Lines {
    fn write(&mut self, user: &User, world: &World, to: &mut Vec<u8>) -> std::io::Result<()>;
}

/// Amazon's reviews, one JSON object a line.
pub(super) struct Reviews {
    text: String,
    length: LogNormal<f64>,
    random: ChaCha8Rng,
}

impl Reviews {
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, Purpose::Generation, u64::MAX);
        const SYLLABLES: [&str; 16] = [
            "ba", "den", "fir", "go", "hal", "ki", "lor", "men", "no", "pul", "ra", "sto", "tim",
            "ul", "ve", "zan",
        ];
        let mut text = String::with_capacity(TEXT + 64);
        while text.len() < TEXT {
            for _ in 0..random.random_range(1..=4) {
                text += SYLLABLES.choose(&mut random).unwrap_or(&"ba");
            }
            text += if random.random_bool(0.1) { ". " } else { " " };
        }
        let length = LogNormal::new(REVIEW_MEDIAN.ln(), REVIEW_SPREAD).expect("a finite spread");
        Self { text, length, random }
    }

    /// A piece of the text.
    fn piece(&mut self, length: usize) -> &str {
        let start = self.random.random_range(0..self.text.len() - length);
        &self.text[start..start + length]
    }
}

impl Lines for Reviews {
    fn write(&mut self, user: &User, world: &World, to: &mut Vec<u8>) -> std::io::Result<()> {
        for event in user.events {
            let item = world.item_names[event.item as usize];
            let day = event.at.div_euclid(86_400_000) * 86_400;
            let date = time::date(day);
            let (year, month, of_month) =
                (&date[..4], &date[5..7], date[8..].trim_start_matches('0'));
            let stars = self.random.random_range(1..=5);
            write!(
                to,
                "{{\"reviewerID\": \"A{:013}\", \"asin\": \"{item:010}\", \"reviewerName\": \
                 \"generated\", \"helpful\": [0, 0], \"reviewText\": \"",
                user.name
            )?;
            let length = self.length.sample(&mut self.random).min(LONGEST_REVIEW) as usize;
            to.extend(self.piece(length).as_bytes());
            write!(to, "\", \"overall\": {stars}.0, \"summary\": \"")?;
            to.extend(self.piece(24).as_bytes());
            writeln!(
                to,
                "\", \"unixReviewTime\": {day}, \"reviewTime\": \"{month} {of_month}, {year}\"}}"
            )?;
        }
        Ok(())
    }
}

/// Taobao's behaviours: user, item, category, behaviour, time.
pub(super) struct Behaviours {
    /// Of a cluster.
    pub categories: u32,
}

impl Lines for Behaviours {
    fn write(&mut self, user: &User, world: &World, to: &mut Vec<u8>) -> std::io::Result<()> {
        let clusters = world.clusters.count();
        for event in user.events {
            let (member, cluster) = (event.item / clusters, event.item % clusters);
            let category = u64::from(cluster * self.categories + member % self.categories);
            let category = (category + 1) * 48_271 % CATEGORY_NUMBERS;
            let item = world.item_names[event.item as usize] + 1;
            let behaviour = match event.kind {
                Kind::View => "pv",
                Kind::Cart => "cart",
                Kind::Favourite => "fav",
                Kind::Order => "buy",
            };
            let at = event.at.div_euclid(1000);
            writeln!(to, "{},{item},{category},{behaviour},{at}", user.name + 1)?;
        }
        Ok(())
    }
}

/// Yoochoose's clicks: session, time, item, category.
pub(super) struct Clicks;

impl Lines for Clicks {
    fn write(&mut self, user: &User, world: &World, to: &mut Vec<u8>) -> std::io::Result<()> {
        let clusters = world.clusters.count();
        for event in user.events {
            let item = 214_500_000 + u64::from(world.item_names[event.item as usize]);
            let (day, of_day) = (event.at.div_euclid(86_400_000), event.at.rem_euclid(86_400_000));
            let (second, part) = (of_day / 1000, of_day % 1000);
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let date = time::date(day * 86_400);
            let category = event.item % clusters % 13;
            writeln!(
                to,
                "{},{date}T{hour:02}:{minute:02}:{second:02}.{part:03}Z,{item},{category}",
                user.number + 1
            )?;
        }
        Ok(())
    }
}

/// OTTO's sessions, one JSON object a line with all its events.
pub(super) struct Sessions {
    /// The number of the first session.
    pub from: u64,
}

impl Lines for Sessions {
    fn write(&mut self, user: &User, world: &World, to: &mut Vec<u8>) -> std::io::Result<()> {
        write!(to, "{{\"session\":{},\"events\":[", self.from + user.number)?;
        for (place, event) in user.events.iter().enumerate() {
            let item = world.item_names[event.item as usize];
            let kind = match event.kind {
                Kind::View => "clicks",
                Kind::Cart | Kind::Favourite => "carts",
                Kind::Order => "orders",
            };
            let comma = if place > 0 { "," } else { "" };
            write!(to, "{comma}{{\"aid\":{item},\"ts\":{},\"type\":\"{kind}\"}}", event.at)?;
        }
        writeln!(to, "]}}")
    }
}
