//! How many exchanges a worker looks at in full: under heavy traffic a verdict needs no second
//! thousand a second, so chance picks which ones cost something ([`Sampling`]).

use super::draw::Draw;
use core::time::Duration;
use scorer_sdk::{Plan, Sampling};

/// Of the exchanges that are looked at, the path of one in this many is read again at their end.
const PATHS_ONE_IN: u16 = 16;

/// One worker's budget.
#[derive(Debug)]
pub struct Budget {
    /// Exchanges a second that are looked at; 0 for all. As many failures of the others are cases.
    per_second: u64,
    /// The same for a tick.
    per_tick: u64,
    requests: Load,
    failures: Load,
    sampling: Sampling,
    draw: Draw,
}

/// How many of a kind come in a tick.
#[derive(Debug, Default)]
struct Load {
    /// In this tick so far.
    now: u64,
    /// In the ticks before, the last ones above all.
    usual: u64,
    /// When as many have come, more than was expected may come.
    next: u64,
}

impl Load {
    /// Counts one; whether as many more have come as a tick may have, so that it is time to adapt.
    fn count(&mut self, per_tick: u64) -> bool {
        self.now += 1;
        let is_more = self.now >= self.next;
        if is_more {
            self.next = self.now + per_tick.max(1);
        }
        is_more
    }

    /// What this tick is taken for: one more than have come, or what usually comes.
    fn expected(&self) -> u64 {
        self.usual.max(self.now + 1)
    }

    fn tick(&mut self, per_tick: u64) {
        self.usual = self.now.max(self.usual / 2);
        self.now = 0;
        self.next = per_tick;
    }
}

impl Budget {
    /// The budget of a plan; `seed` is the worker's own number.
    #[must_use]
    pub fn new(plan: &Plan, seed: u64) -> Self {
        let per_second = if plan.may_glance() {
            plan.looks_per_second
        } else {
            0
        };
        let mut budget = Self {
            per_second,
            per_tick: 0,
            requests: Load::default(),
            failures: Load::default(),
            sampling: Sampling::ALL,
            draw: Draw::new(seed),
        };
        budget.tick(plan.tick);
        budget
    }

    /// Whether the exchange of a request that has come is looked at in full. The first of a burst are;
    /// of the others ever fewer.
    pub fn looks(&mut self) -> bool {
        if self.per_second == 0 {
            return true;
        }
        if self.requests.count(self.per_tick) {
            self.adapt();
        }
        self.picks(self.sampling.looks_one_in)
    }

    /// Whether an exchange that was only glanced at under `sampling` and failed is looked at after
    /// all.
    pub fn takes_case(&mut self, sampling: Sampling) -> bool {
        if self.failures.count(self.per_tick) {
            self.adapt();
        }
        self.picks(sampling.cases_one_in)
    }

    /// Whether to compare the path of an exchange that is looked at and over with what it came with.
    pub fn asks_for_path(&mut self) -> bool {
        self.per_second > 0 && self.picks(PATHS_ONE_IN)
    }

    /// How exchanges are sampled at present.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// A tick has passed, after `period`.
    pub fn tick(&mut self, period: Duration) {
        let milliseconds = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        self.per_tick = self.per_second.saturating_mul(milliseconds).div_ceil(1_000);
        self.requests.tick(self.per_tick);
        self.failures.tick(self.per_tick);
        self.adapt();
    }

    /// What came so far decides how what comes now is sampled, never how it ends.
    fn adapt(&mut self) {
        let (requests, failures) = (self.requests.expected(), self.failures.expected());
        self.sampling = Sampling::for_load(requests, failures, self.per_tick);
    }

    fn picks(&mut self, one_in: u16) -> bool {
        self.draw.next().is_multiple_of(u64::from(one_in.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn looked_at(budget: &mut Budget, requests: u64) -> u64 {
        let looked_at = (0..requests).filter(|_| budget.looks()).count() as u64;
        budget.tick(SECOND);
        looked_at
    }

    fn budget(config: &str) -> Budget {
        Budget::new(&Plan::from_json(config).unwrap(), 1)
    }

    #[test]
    fn of_heavy_traffic_a_random_part_is_looked_at_and_of_light_traffic_all() {
        let mut budget = budget(r#"{"looks_per_second": 1000}"#);
        assert_eq!(looked_at(&mut budget, 900), 900);
        looked_at(&mut budget, 7_000);
        let some = looked_at(&mut budget, 7_000);
        assert!((750..1_000).contains(&some), "{some}");
        assert_eq!(budget.sampling().looks_one_in, 8);
        (0..4).for_each(|_| {
            looked_at(&mut budget, 10);
        });
        assert_eq!(looked_at(&mut budget, 10), 10);
    }

    #[test]
    fn a_burst_out_of_nothing_is_looked_at_in_ever_smaller_parts() {
        let mut budget = budget(r#"{"looks_per_second": 1000}"#);
        assert_eq!((0..999).filter(|_| budget.looks()).count(), 999);
        let (second, tenth) = (
            (0..1_000).filter(|_| budget.looks()).count(),
            (0..8_000)
                .map(|_| budget.looks())
                .skip(7_000)
                .filter(|looks| *looks)
                .count(),
        );
        assert!((430..570).contains(&second), "{second}");
        assert!((50..130).contains(&tenth), "{tenth}");
    }

    #[test]
    fn failures_have_a_budget_of_their_own() {
        let mut budget = budget(r#"{"looks_per_second": 100}"#);
        let take = |budget: &mut Budget, failures: usize| {
            (0..failures)
                .filter(|_| {
                    let sampling = budget.sampling();
                    budget.takes_case(sampling)
                })
                .count()
        };
        assert_eq!(take(&mut budget, 50), 50);
        budget.tick(SECOND);
        // The first tick of an outage, and the second.
        let first = take(&mut budget, 1_000);
        assert!((200..380).contains(&first), "{first}");
        budget.tick(SECOND);
        assert_eq!(budget.sampling().cases_one_in, 12);
        let second = take(&mut budget, 1_000);
        assert!((50..120).contains(&second), "{second}");
    }

    #[test]
    fn where_each_exchange_is_wanted_all_are_looked_at() {
        for config in [r#"{"looks_per_second": 0}"#, r#"{"surprise": {}}"#] {
            let mut budget = budget(config);
            assert_eq!(looked_at(&mut budget, 9_000), 9_000);
            assert_eq!(looked_at(&mut budget, 9_000), 9_000, "{config}");
        }
    }
}
