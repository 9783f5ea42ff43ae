//! What Prometheus said of a destination a moment ago: however many proxies ask, it is asked once.

use super::fleet::Scope;
use super::prometheus::Sample;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Destinations whose answer is remembered; the one that was not asked about for longest makes room.
const MAX_REMEMBERED: usize = 256;
/// An answer serves for at least so long, and at most.
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(10);
/// And for so many times the time that Prometheus took: a slow one is asked less often.
const REST: u32 = 4;

/// An answer of Prometheus, or why there is none.
pub type Answer = Result<Arc<[Sample]>, String>;

/// A place for the answer about one destination. Whoever holds its lock asks for all who wait.
#[derive(Debug, Default)]
pub struct Slot {
    answer: Option<(Answer, Instant, Duration)>,
}

impl Slot {
    /// The answer with its age, while it is fresh.
    #[must_use]
    pub fn fresh(&self, now: Instant) -> Option<(Answer, Duration)> {
        let (answer, at, serves) = self.answer.as_ref()?;
        let age = now.saturating_duration_since(*at);
        (age < *serves).then(|| (answer.clone(), age))
    }

    /// Keeps an answer that came at `now` and took so long. A failure is kept as well.
    pub fn keep(&mut self, answer: Answer, took: Duration, now: Instant) {
        let serves = (took * REST).clamp(LEAST, MOST);
        self.answer = Some((answer, now, serves));
    }
}

#[derive(Debug, Default)]
struct Slots {
    /// Counts the questions.
    questions: u64,
    slots: BTreeMap<Scope, (Arc<tokio::sync::Mutex<Slot>>, u64)>,
}

/// The places of all destinations.
#[derive(Debug, Default)]
pub struct FleetCache {
    slots: Mutex<Slots>,
}

impl FleetCache {
    /// The place for answers about this.
    #[must_use]
    pub fn slot(&self, scope: &Scope) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut all = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        all.questions += 1;
        let number = all.questions;
        if let Some((slot, last)) = all.slots.get_mut(scope) {
            *last = number;
            return Arc::clone(slot);
        }
        if all.slots.len() >= MAX_REMEMBERED {
            let oldest = all.slots.iter().min_by_key(|(_, (_, last))| *last);
            if let Some(oldest) = oldest.map(|(scope, _)| scope.clone()) {
                all.slots.remove(&oldest);
            }
        }
        let slot = Arc::default();
        all.slots.insert(scope.clone(), (Arc::clone(&slot), number));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_serves_for_a_second_and_longer_where_prometheus_is_slow() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs_f64(seconds);
        let mut slot = Slot::default();
        assert!(slot.fresh(start).is_none());
        slot.keep(Ok(Arc::from([])), Duration::from_millis(3), start);
        assert!(slot.fresh(after(0.9)).is_some());
        assert!(slot.fresh(after(1.0)).is_none());
        slot.keep(Err("no".to_owned()), Duration::from_secs(1), start);
        let (answer, age) = slot.fresh(after(3.5)).unwrap();
        assert_eq!((answer.is_err(), age), (true, Duration::from_millis(3_500)));
        assert!(slot.fresh(after(4.0)).is_none());
        slot.keep(Ok(Arc::from([])), Duration::from_secs(60), start);
        assert!(slot.fresh(after(10.0)).is_none());
    }

    #[test]
    fn names_that_nobody_knows_do_not_fill_the_memory() {
        let cache = FleetCache::default();
        let scope = |number: usize| Scope {
            destination: number.to_string(),
            rollout: None,
        };
        let kept = cache.slot(&scope(0));
        for number in 1..2_000 {
            let _ = cache.slot(&scope(number));
            let _ = cache.slot(&scope(0));
        }
        assert!(Arc::ptr_eq(&kept, &cache.slot(&scope(0))));
        assert_eq!(cache.slots.lock().unwrap().slots.len(), MAX_REMEMBERED);
    }
}
