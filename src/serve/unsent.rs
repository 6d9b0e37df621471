//! How much may be written at a time for clients to take: one that does not read must not cost more.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes of answers that are being made or wait to be sent, about.
const MOST: usize = 256 << 20;

/// Answers of so many bytes do not wait: as many as there may be connections are no burden.
const SMALL: usize = 64 << 10;

/// Bytes that are counted together.
const UNIT: usize = 1 << 10;

/// Room for answers.
pub struct Unsent(Arc<Semaphore>);

/// Room for one answer, taken until it was sent or its client has gone; a small one takes none.
pub struct Room(Option<OwnedSemaphorePermit>);

impl Default for Unsent {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST / UNIT)))
    }
}

impl Unsent {
    /// Waits for room for an answer of about `bytes`, one that is larger than all there is has it
    /// alone; `None` if there is none in time.
    pub async fn room(&self, bytes: usize, time: Duration) -> Option<Room> {
        if bytes <= SMALL {
            return Some(Room(None));
        }
        let units = bytes.min(MOST).div_ceil(UNIT) as u32;
        let room = timeout(time, self.0.clone().acquire_many_owned(units)).await;
        Some(Room(Some(room.ok()?.ok()?)))
    }
}

impl Room {
    /// The answer, which keeps of the room what it needs.
    pub fn hold(mut self, body: Vec<u8>) -> Bytes {
        if let Some(room) = &mut self.0 {
            let needed = body.len().div_ceil(UNIT);
            drop(room.split(room.num_permits().saturating_sub(needed)));
        }
        Bytes::from_owner(Held { body, _room: self })
    }
}

struct Held {
    body: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_when_an_answer_has_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (unsent, soon) = (Unsent::default(), Duration::from_millis(10));
            let all = unsent.room(2 * MOST, soon).await.unwrap();
            assert!(unsent.room(2 * SMALL, soon).await.is_none());
            assert!(unsent.room(SMALL, soon).await.is_some());
            let small = all.hold(vec![7; UNIT]);
            assert_eq!(small, [7; UNIT][..]);
            assert!(unsent.room(MOST, soon).await.is_none());
            assert!(unsent.room(MOST - UNIT, soon).await.is_some());
            drop(small.slice(3..));
            drop(small);
            assert!(unsent.room(MOST, soon).await.is_some());
        });
    }
}
