//! The thread that scores. It takes all requests that wait, up to a batch: the item vectors then go
//! through memory once for all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use anyhow::{Result, anyhow};
use tokio::sync::oneshot;

use super::metrics::Metrics;
use crate::retrieve::{Ask, Choice, Hit, Recommender, UserTower};

/// Requests that may wait.
const WAITING: usize = 1024;

/// Histories that are scored together, unless one request has more.
const BATCH: usize = 128;

/// One request's histories, each with a known item or answered by what is popular.
pub struct Job {
    pub histories: Vec<Vec<u32>>,
    /// Of each history the codes of its user's fields; none: nothing is known of them.
    pub fields: Vec<Vec<u32>>,
    pub top: usize,
    pub exclude_seen: bool,
    pub choice: Choice,
}

type Reply = oneshot::Sender<Result<Vec<Vec<Hit>>>>;

/// Where requests wait to be scored.
pub struct Queue(SyncSender<(Job, Reply)>);

impl Queue {
    /// Starts the thread; it ends when the queue is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<T: UserTower + Send + 'static>(
        recommender: Recommender<T>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let (sender, jobs) = sync_channel(WAITING);
        let work = move || work(&recommender, &jobs, &metrics);
        thread::Builder::new().name("scoring".into()).spawn(work)?;
        Ok(Self(sender))
    }

    /// Hands a request over. Whoever drops what this returns need not be answered.
    ///
    /// # Errors
    /// `None` when too many wait already.
    pub fn submit(&self, job: Job) -> Option<oneshot::Receiver<Result<Vec<Vec<Hit>>>>> {
        let (reply, answer) = oneshot::channel();
        match self.0.try_send((job, reply)) {
            Ok(()) => Some(answer),
            // Without its thread a queue is as good as full.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }
}

fn work<T: UserTower>(
    recommender: &Recommender<T>,
    jobs: &Receiver<(Job, Reply)>,
    metrics: &Metrics,
) {
    while let Ok(first) = jobs.recv() {
        let mut histories = first.0.histories.len();
        let mut batch = vec![first];
        while histories < BATCH {
            let Ok(job) = jobs.try_recv() else { break };
            histories += job.0.histories.len();
            batch.push(job);
        }
        batch.retain(|(_, reply)| !reply.is_closed());
        let asks: Vec<Ask> = batch.iter().flat_map(|(job, _)| asks(job)).collect();
        metrics.batch(asks.iter().filter(|ask| !ask.history.is_empty()).count());
        // libtorch's failures come as panics; one must not end the service.
        let found = catch_unwind(AssertUnwindSafe(|| recommender.recommend(&asks)))
            .unwrap_or_else(|_| Err(anyhow!("scoring failed")));
        match found {
            Ok(found) => {
                let mut found = found.into_iter();
                for (job, reply) in batch {
                    // Whoever has gone misses nothing.
                    let _ = reply.send(Ok(found.by_ref().take(job.histories.len()).collect()));
                }
            }
            Err(error) => {
                for (_, reply) in batch {
                    let _ = reply.send(Err(anyhow!("{error:#}")));
                }
            }
        }
    }
}

fn asks(job: &Job) -> impl Iterator<Item = Ask<'_>> {
    let Job { top, exclude_seen, ref choice, .. } = *job;
    let ask = move |(history, fields)| Ask { history, fields, top, exclude_seen, choice };
    job.histories.iter().map(Vec::as_slice).zip(job.fields.iter().map(Vec::as_slice)).map(ask)
}
