//! How many exchanges a worker looks at in full: under heavy traffic a verdict needs no second
//! thousand a second, so chance picks which ones cost something ([`Sampling`]).

use core::time::Duration;
use scorer_sdk::count::identity::mix;
use scorer_sdk::{Plan, Sampling};

/// Of the exchanges that are looked at, the path of one in this many is read again at their end.
const PATHS_ONE_IN: u16 = 16;

/// One worker's budget.
#[derive(Debug)]
pub struct Budget {
    /// Exchanges a second that are looked at; 0 for all. As many failures of the others are cases.
    per_second: u64,
    /// Since the last tick.
    requests: u64,
    failures: u64,
    sampling: Sampling,
    number: u64,
}

impl Budget {
    /// The budget of a plan; `seed` is the worker's own number.
    #[must_use]
    pub fn new(plan: &Plan, seed: u64) -> Self {
        Self {
            per_second: if plan.may_glance() {
                plan.looks_per_second
            } else {
                0
            },
            requests: 0,
            failures: 0,
            sampling: Sampling::ALL,
            number: seed,
        }
    }

    /// Whether the exchange of a request that has come is looked at in full.
    pub fn looks(&mut self) -> bool {
        self.requests += 1;
        self.picks(self.sampling.looks_one_in)
    }

    /// Whether an exchange that was only glanced at under `sampling` and failed is looked at after
    /// all.
    pub fn takes_case(&mut self, sampling: Sampling) -> bool {
        self.failures += 1;
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
        let budget = self.per_second.saturating_mul(milliseconds).div_ceil(1_000);
        let requests = core::mem::take(&mut self.requests);
        let failures = core::mem::take(&mut self.failures);
        self.sampling = Sampling::for_load(requests, failures, budget);
    }

    /// Not each nth one: balancers take turns as well.
    fn picks(&mut self, one_in: u16) -> bool {
        self.number = self.number.wrapping_add(1);
        mix(self.number).is_multiple_of(u64::from(one_in.max(1)))
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
        assert_eq!(looked_at(&mut budget, 7_000), 7_000);
        let some = looked_at(&mut budget, 7_000);
        assert!((750..1_000).contains(&some), "{some}");
        assert_eq!(budget.sampling().looks_one_in, 8);
        looked_at(&mut budget, 10);
        assert_eq!(looked_at(&mut budget, 10), 10);
    }

    #[test]
    fn failures_have_a_budget_of_their_own() {
        let mut budget = budget(r#"{"looks_per_second": 100}"#);
        let few = Sampling::ALL;
        assert!((0..50).all(|_| budget.takes_case(few)));
        budget.tick(SECOND);
        assert_eq!(budget.sampling().cases_one_in, 1);
        (0..1_000).for_each(|_| {
            budget.takes_case(few);
        });
        budget.tick(SECOND);
        let many = budget.sampling();
        assert_eq!(many.cases_one_in, 12);
        let cases = (0..1_000).filter(|_| budget.takes_case(many)).count();
        assert!((50..120).contains(&cases), "{cases}");
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
