//! What ranks tell each other, all made of one exchange.

use std::fs;
use std::ops::AddAssign;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::{Number, Ranks, Shard};

/// All ranks, or one process alone, which has nobody to tell anything. All call each of these
/// together, in the same order.
#[derive(Clone, Default)]
pub struct Team(Option<Arc<dyn Ranks>>);

impl Team {
    /// Of these ranks; one is alone.
    pub fn of(ranks: Arc<dyn Ranks>) -> Self {
        Self((ranks.size() > 1).then_some(ranks))
    }

    /// Whether there are no others.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is the one that speaks and writes for all.
    pub fn is_first(&self) -> bool {
        self.shard().rank == 0
    }

    /// How many they are.
    pub fn size(&self) -> usize {
        self.shard().ranks
    }

    /// Whose rows this process has.
    pub fn shard(&self) -> Shard {
        match &self.0 {
            Some(ranks) => Shard { rank: ranks.rank(), ranks: ranks.size() },
            None => Shard::WHOLE,
        }
    }

    /// Gives each rank the numbers that stand in `to` at its own, and returns what each has given.
    pub fn exchange<T: Number>(&self, to: Vec<Vec<T>>) -> Vec<Vec<T>> {
        let Some(ranks) = &self.0 else { return to };
        let bytes = to.iter().map(|own| T::bytes(own)).collect();
        ranks.exchange(bytes).iter().map(|own| T::all(own)).collect()
    }

    /// What each rank has, by rank.
    pub fn each<T: Number>(&self, own: &[T]) -> Vec<Vec<T>> {
        self.exchange(vec![own.to_vec(); self.size()])
    }

    /// What each rank has, given to the first alone; to the others nothing.
    pub fn gathered<T: Number>(&self, own: Vec<T>) -> Vec<Vec<T>> {
        let mut to = vec![vec![]; self.size()];
        to[0] = own;
        self.exchange(to)
    }

    /// The sum of what the ranks have, as long for each, added up in their order: the same on all of
    /// them, and at every repetition, to the bit. Each rank adds up a part of it.
    pub fn sum<T: Number + AddAssign>(&self, values: &mut [T]) {
        let size = self.size();
        if size == 1 {
            return;
        }
        let part = values.len().div_ceil(size).max(1);
        let mut parts: Vec<Vec<T>> = values.chunks(part).map(<[T]>::to_vec).collect();
        parts.resize(size, vec![]);
        let mut given = self.exchange(parts).into_iter();
        let mut sum = given.next().expect("what the first rank has given");
        given.for_each(|own| sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own));
        let sums = self.each(&sum).into_iter().flatten();
        values.iter_mut().zip(sums).for_each(|(value, sum)| *value = sum);
    }

    /// The largest of a number of each rank.
    pub fn most(&self, own: u64) -> u64 {
        match self.is_alone() {
            true => own,
            false => self.each(&[own]).concat().into_iter().max().unwrap_or(own),
        }
    }

    /// What the first rank says, whatever the others do.
    pub fn said_by_first(&self, own: &str) -> String {
        let said = self.each(if self.is_first() { own.as_bytes() } else { &[] }).swap_remove(0);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// The outcome of what every rank has done: that of the first that has failed, for all.
    ///
    /// # Errors
    /// This rank's own; for the others, in words, that of the first which has one.
    pub fn agree<T>(&self, own: Result<T>) -> Result<T> {
        if self.is_alone() {
            return own;
        }
        let told = own.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
        let all = self.each(told.as_bytes());
        let failed = all.iter().enumerate().find(|(_, told)| !told.is_empty());
        match (own, failed) {
            (Err(error), _) => Err(error),
            (Ok(_), Some((rank, told))) => {
                Err(anyhow!("rank {rank}: {}", String::from_utf8_lossy(told)))
            }
            (Ok(done), None) => Ok(done),
        }
    }

    /// How many of them are on this machine, this one among them.
    pub fn on_this_machine(&self) -> usize {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        // Containers, whose memory is limited by itself, have names of their own; machines may have the
        // same.
        let own = ["/proc/sys/kernel/hostname", "/proc/sys/kernel/random/boot_id"].map(read);
        self.like(own.concat().as_bytes())
    }

    /// How many of them tell the same, this one among them.
    fn like(&self, own: &[u8]) -> usize {
        self.each(own).iter().filter(|other| own == &other[..]).count()
    }

    /// Bytes that this rank has sent to others so far.
    pub fn sent(&self) -> u64 {
        self.0.as_ref().map_or(0, |ranks| ranks.sent())
    }

    /// See [`Ranks::part`].
    pub fn part(&self) {
        self.0.iter().for_each(|ranks| ranks.part());
    }

    /// See [`Ranks::abort`].
    pub fn abort(&self, status: i32) {
        self.0.iter().for_each(|ranks| ranks.abort(status));
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::super::together;

    #[test]
    fn each_rank_gets_what_the_others_have_for_it() {
        for ranks in 1..5 {
            let got = together(ranks, |team| {
                let own = team.shard().rank as u32;
                let to = (0..ranks as u32).map(|to| vec![10 * own + to; to as usize]).collect();
                (team.exchange::<u32>(to), team.gathered(vec![own]), team.sent())
            });
            for (rank, (exchanged, gathered, sent)) in got.into_iter().enumerate() {
                let all = 0..ranks;
                let expected: Vec<Vec<u32>> =
                    all.clone().map(|from| vec![(10 * from + rank) as u32; rank]).collect();
                assert_eq!(exchanged, expected);
                let first: Vec<Vec<u32>> = match rank {
                    0 => all.map(|from| vec![from as u32]).collect(),
                    _ => vec![vec![]; ranks],
                };
                assert_eq!(gathered, first);
                let numbers = (0..ranks).filter(|to| *to != rank).sum::<usize>();
                assert_eq!(sent, 4 * (numbers + usize::from(rank > 0)) as u64);
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_ranks_in_their_order_on_all_of_them() {
        let of = |rank: usize, at: usize| {
            ((rank * 31 + at * 7) as f32).sin() * 10f32.powi(at as i32 % 5)
        };
        for ranks in 1..5 {
            for count in [0, 1, 2, 3, 10, 101] {
                let sums = together(ranks, |team| {
                    let rank = team.shard().rank;
                    let mut own: Vec<f32> = (0..count).map(|at| of(rank, at)).collect();
                    team.sum(&mut own);
                    own
                });
                let expected: Vec<f32> = (0..count)
                    .map(|at| (1..ranks).fold(of(0, at), |sum, rank| sum + of(rank, at)))
                    .collect();
                sums.into_iter().for_each(|own| assert_eq!(own, expected));
            }
        }
    }

    #[test]
    fn threads_of_one_process_are_on_one_machine() {
        for ranks in 1..4 {
            assert_eq!(together(ranks, |team| team.on_this_machine()), vec![ranks; ranks]);
        }
        let machines: [&[u8]; 3] = [b"one", b"other", b"one"];
        assert_eq!(together(3, |team| team.like(machines[team.shard().rank])), [2, 1, 2]);
    }

    #[test]
    fn what_one_has_failed_at_all_have_failed_at() {
        let told = together(3, |team| {
            let own = match team.shard().rank {
                1 => (|| bail!("no room"))(),
                rank => Ok(rank),
            };
            let failed = team.agree(own).unwrap_err().to_string();
            let well = team.agree(Ok(7)).unwrap();
            let said = team.said_by_first(&format!("I am {}", team.shard().rank));
            (failed, well, said, team.most(team.shard().rank as u64))
        });
        for (rank, (failed, well, said, most)) in told.into_iter().enumerate() {
            assert_eq!(failed, if rank == 1 { "no room" } else { "rank 1: no room" });
            assert_eq!((well, said.as_str(), most), (7, "I am 0", 2));
        }
    }
}
