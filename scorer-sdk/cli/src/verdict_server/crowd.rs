//! Connections whose request has not come yet. Where there are too many, the oldest has to go.
//!
//! A client that means it sends its request at once. One that only holds its connection, or sends a
//! byte now and then, is soon the oldest: it can keep nobody out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::AbortHandle;

/// Connections that may wait for their request at a time.
pub const MOST: usize = 256;

/// All of them, the oldest first.
#[derive(Debug, Default)]
pub struct Crowd {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    connections: VecDeque<(u64, AbortHandle)>,
}

/// The place of one connection among those that wait.
#[derive(Debug)]
pub struct Place {
    number: u64,
    crowd: Arc<Crowd>,
}

impl Crowd {
    /// Starts a connection with `start`, which is given its place. The oldest one ends, if there are
    /// too many.
    pub fn admit(self: &Arc<Self>, start: impl FnOnce(Place) -> AbortHandle) {
        // Locked for as long: it may leave its place before it is in the queue.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.connections.len() >= MOST
            && let Some((_, oldest)) = waiting.connections.pop_front()
        {
            oldest.abort();
        }
        let number = waiting.next;
        waiting.next = number.wrapping_add(1);
        let place = Place {
            number,
            crowd: Arc::clone(self),
        };
        let handle = start(place);
        waiting.connections.push_back((number, handle));
    }
}

impl Place {
    /// The request has come. `false` where the connection was ended just before.
    pub fn leave(&self) -> bool {
        let mut waiting = self
            .crowd
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let place = waiting
            .connections
            .iter()
            .position(|(number, _)| *number == self.number);
        place
            .and_then(|place| waiting.connections.remove(place))
            .is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_that_waits_makes_room_and_one_whose_request_came_stays() {
        let crowd = Arc::new(Crowd::default());
        let mut tasks = Vec::new();
        let admit = |tasks: &mut Vec<_>| {
            crowd.admit(|place| {
                let task = tokio::spawn(std::future::pending::<()>());
                let handle = task.abort_handle();
                tasks.push((task, place));
                handle
            });
        };
        for _ in 0..MOST {
            admit(&mut tasks);
        }
        assert!(tasks[0].1.leave(), "the request of the oldest has come");
        admit(&mut tasks);
        // Now the second is the oldest.
        admit(&mut tasks);
        let (ended, place) = tasks.remove(1);
        assert!(ended.await.unwrap_err().is_cancelled());
        assert!(!place.leave());
        assert!(tasks.iter().all(|(task, _)| !task.is_finished()));
        drop(tasks);
        drop(place);
        assert!(crowd.waiting.lock().unwrap().connections.is_empty());
    }
}
