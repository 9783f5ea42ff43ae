//! Both versions against their own past: hands the counts of a tick to the watch for drift.

use crate::config::Plan;
use crate::count::delta::RouteDelta;
use crate::drift::{Tick, Watch};
use crate::sketch::{Counts, buckets};

/// Lets the watch take one tick. `arms` are the names of baseline and candidate.
pub(super) fn observe(
    watch: &mut Watch,
    plan: &Plan,
    inbox: &[&RouteDelta],
    arms: [&str; 2],
    now_ms: u64,
) {
    let (failures, durations) = (plan.failures(), plan.duration());
    for route in inbox {
        for version in &route.versions {
            let arm = arms.iter().position(|name| *name == version.version);
            let counts = |signal: Option<usize>| version.counts.get(signal?);
            let times: Vec<(u64, u32)> = counts(durations)
                .into_iter()
                .flat_map(Counts::iter)
                .map(|(code, count)| (buckets::upper_bound(code), count))
                .collect();
            let exchanges =
                counts(failures.map(|(index, _)| index)).map_or(version.exchanges, Counts::total);
            let not_looked_at = version.stands_for.saturating_sub(version.exchanges);
            let tick = Tick {
                exchanges,
                stands_for: exchanges.saturating_add(not_looked_at),
                failures: failures
                    .and_then(|(index, is_failure)| {
                        Some(version.counts.get(index)?.total_where(is_failure))
                    })
                    .unwrap_or(0),
                times: &times,
            };
            watch.add(&route.key, arm, &tick);
        }
    }
    watch.tick(now_ms, plan.drift_window.max(plan.tick), plan.tick);
}
