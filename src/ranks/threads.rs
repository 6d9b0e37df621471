//! Ranks that are threads of one process: whatever works over them works over any other way of
//! sending.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Ranks, Team};

struct ThreadRanks {
    rank: usize,
    /// To each rank.
    to: Vec<Sender<Vec<u8>>>,
    /// From each rank.
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
    sent: AtomicU64,
}

impl Ranks for ThreadRanks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(&self, to: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        assert_eq!(to.len(), self.size());
        for (rank, (channel, own)) in self.to.iter().zip(to).enumerate() {
            if rank != self.rank {
                self.sent.fetch_add(own.len() as u64, Ordering::Relaxed);
            }
            channel.send(own).unwrap_or_else(|_| panic!("rank {rank} has ended"));
        }
        let from = |(rank, channel): (usize, &Mutex<Receiver<Vec<u8>>>)| {
            let given = channel.lock().unwrap().recv();
            given.unwrap_or_else(|_| panic!("rank {rank} has ended"))
        };
        self.from.iter().enumerate().map(from).collect()
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// What `body` returns on each of so many ranks.
///
/// # Panics
/// Where one of them does.
pub fn together<T: Send>(ranks: usize, body: impl Fn(Team) -> T + Sync) -> Vec<T> {
    // `ways[from][to]`
    let mut senders: Vec<Vec<_>> = (0..ranks).map(|_| vec![]).collect();
    let mut receivers: Vec<Vec<_>> = (0..ranks).map(|_| vec![]).collect();
    for from in &mut senders {
        for to in &mut receivers {
            let (send, receive) = channel();
            from.push(send);
            to.push(Mutex::new(receive));
        }
    }
    let ends = senders.into_iter().zip(receivers).enumerate();
    thread::scope(|scope| {
        let body = &body;
        let threads: Vec<_> = ends
            .map(|(rank, (to, from))| {
                let ranks = ThreadRanks { rank, to, from, sent: AtomicU64::new(0) };
                scope.spawn(move || body(Team::of(Arc::new(ranks))))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank that ends well")).collect()
    })
}
