//! One live scenario at a time in a test process.

use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until no other scenario of this process runs; the next one starts when the guard drops.
///
/// Cargo runs the tests of one file in parallel. On two cores, two Envoys under load would
/// change each other's latencies, so every live test takes its turn first.
pub async fn one_at_a_time() -> MutexGuard<'static, ()> {
    TURN.lock().await
}
