//! Turns of the tests in a process: alone, or two at a time.
//!
//! Cargo runs the tests of a binary in parallel. On two cores, two Envoys under load change each
//! other's latencies, and so does whatever else needs a core. Every test that starts an Envoy takes
//! its turn first and keeps the guard until it ends. Turns come in the order in which tests ask for
//! them.
//!
//! A test is [`alone`] if its result depends on time: on latencies, rates, timeouts, retry budgets,
//! drift or the age of what was learned. When in doubt, choose this. A test that only counts, or
//! that changes a version in another way than its speed, runs [`beside_another`].

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Tests that run at a time where none of them is alone.
const AT_A_TIME: u32 = 2;

static TURN: RwLock<()> = RwLock::const_with_max_readers((), AT_A_TIME);

/// Waits until no other test has a turn. The next one starts when the guard drops.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().await
}

/// Waits until at most one other test has a turn, and that one is not [`alone`].
pub async fn beside_another() -> RwLockReadGuard<'static, ()> {
    TURN.read().await
}

/// [`beside_another`] for a test that needs a whole core for long, but no Envoy and no runtime.
///
/// # Panics
/// On a thread of an asynchronous runtime.
pub fn busy() -> RwLockReadGuard<'static, ()> {
    TURN.blocking_read()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    /// Whether the turn comes, where it can, at once.
    async fn comes<T>(turn: impl Future<Output = T>) -> Option<T> {
        timeout(Duration::from_millis(20), turn).await.ok()
    }

    #[tokio::test]
    async fn two_run_at_a_time_and_nobody_beside_one_that_is_alone() {
        let first = beside_another().await;
        let second = comes(beside_another()).await;
        assert!(second.is_some());
        assert!(comes(beside_another()).await.is_none());
        assert!(comes(alone()).await.is_none());
        drop((first, second));
        let only = comes(alone()).await;
        assert!(only.is_some());
        assert!(comes(beside_another()).await.is_none());
        assert!(comes(alone()).await.is_none());
    }
}
