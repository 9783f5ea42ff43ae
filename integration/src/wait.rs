//! Waiting for what has to come: however slow the machine is, and no longer than needed.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};

use crate::metrics::Metrics;

/// Longest wait for anything: ample for a slow machine, and over as soon as the thing is there.
pub const LONGEST: Duration = Duration::from_secs(300);
/// Pause between two looks, at most.
const POLL: Duration = Duration::from_millis(100);
/// And at least.
const SHORTEST_POLL: Duration = Duration::from_millis(5);
/// A pause is this part of the wait so far: when the thing came is known to 2%.
const PART_OF_WAIT: u32 = 50;
/// Far longer than it takes to set all metrics once.
const PUBLICATION: Duration = Duration::from_millis(300);

/// Waits until `condition` holds.
///
/// # Errors
/// What `condition` fails with, or after five minutes: with `what`.
pub async fn wait_until(
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let start = Instant::now();
    while !condition().await? {
        ensure!(start.elapsed() < LONGEST, "no {what} within {LONGEST:?}");
        let pause = (start.elapsed() / PART_OF_WAIT).clamp(SHORTEST_POLL, POLL);
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Looks at pages of metrics until one fulfils `predicate`, and gives the page back.
///
/// A page is not one instant. A worker may publish while Envoy writes it, and then a gauge is on the
/// page and another one that was set before it is not. So the predicate has to hold on a page and to
/// go on holding until one on which every judge has begun to publish after the first was taken. What
/// was being published then is complete.
pub(crate) async fn wait_for_metrics(
    what: &str,
    look: impl AsyncFn() -> Result<Metrics>,
    predicate: impl Fn(&Metrics) -> bool,
) -> Result<Metrics> {
    let mut page = Metrics::default();
    let mut held_since: Option<(Instant, SystemTime)> = None;
    wait_until(what, async || {
        page = look().await?;
        if !predicate(&page) {
            held_since = None;
            return Ok(false);
        }
        let (begun, time) = held_since.get_or_insert_with(|| (Instant::now(), SystemTime::now()));
        Ok(begun.elapsed() >= PUBLICATION && page.is_published_after(*time))
    })
    .await?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::UNIX_EPOCH;

    use super::*;

    /// The pages `numbers[0]`, `numbers[1]` and so on, the last one for good; each says when it was
    /// published, in seconds from now.
    async fn first_good(numbers: &[(u64, i64)]) -> (usize, Metrics) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let looks = Cell::new(0);
        let look = async || {
            let (value, beat) = numbers[looks.get().min(numbers.len() - 1)];
            looks.set(looks.get() + 1);
            let beat = now.as_secs().saturating_add_signed(beat);
            let page = format!("serin_x {value}\nserin_heartbeat_seconds {beat}\n");
            Ok(Metrics::parse(&page))
        };
        let page = wait_for_metrics("x", look, |page| page.value("serin_x", &[]) > Some(0.0));
        let page = page.await.unwrap();
        (looks.get(), page)
    }

    #[tokio::test]
    async fn a_page_counts_when_what_was_published_meanwhile_is_complete() {
        // Published long ago, then anew.
        let pages = [(0, -2), (1, -2), (1, -2), (2, 60)];
        let (looks, page) = first_good(&pages).await;
        assert!(looks >= 4, "{looks}");
        assert_eq!(page.value("serin_x", &[]), Some(2.0));
    }

    #[tokio::test]
    async fn what_held_for_one_page_only_does_not_count() {
        let pages = [(1, -2), (0, 60), (0, 60), (3, 61), (3, 120)];
        let (looks, page) = first_good(&pages).await;
        assert!(looks >= 5, "{looks}");
        assert_eq!(page.value("serin_x", &[]), Some(3.0));
    }
}
