//! Users a second of exact ranking.

use std::time::Instant;

use anyhow::Result;
use rand::RngExt;
use tch::{Device, Kind, Tensor};

use crate::config::Seen;
use crate::device;
use crate::eval::{Catalogue, Query, ranks};
use crate::model::Scoring;
use crate::random::{Purpose, stream};
use crate::step::Plan;

/// Ranks of random targets among random unit vectors.
pub struct RankBench {
    pub items: usize,
    pub users: usize,
    /// Targets a user.
    pub targets: usize,
    /// Width of a vector.
    pub dim: i64,
    pub device: Device,
}

impl RankBench {
    /// Users a second, behind a first block of them that nobody times.
    ///
    /// # Errors
    /// When a score is not a number.
    pub fn run(&self) -> Result<f64> {
        let mut rng = stream(1, Purpose::Generation, 0);
        let queries: Vec<Query> = (0..self.users)
            .map(|_| {
                let mut targets: Vec<u32> =
                    (0..self.targets).map(|_| rng.random_range(1..=self.items as u32)).collect();
                targets.sort_unstable();
                targets.dedup();
                Query::new(&[], targets)
            })
            .collect();
        let vectors = |n: usize| {
            Scoring::unit(&Tensor::randn([n as i64, self.dim], (Kind::Float, self.device)))
        };
        let path = Plan::of_ranking(self.device);
        let (items, users) = (Catalogue::of_unit(vectors(self.items), path), vectors(self.users));
        let block = items.users_a_block();
        let rank = |(at, queries): (usize, &[Query])| {
            let users = users.narrow(0, (at * block) as i64, queries.len() as i64);
            ranks(&users, &items, queries, Seen::Keep)
        };
        let mut blocks = queries.chunks(block).enumerate();
        blocks.clone().next().map(rank).transpose()?;
        device::synchronize(self.device);
        let start = Instant::now();
        blocks.try_for_each(|own| rank(own).map(drop))?;
        device::synchronize(self.device);
        Ok(self.users as f64 / start.elapsed().as_secs_f64())
    }
}
