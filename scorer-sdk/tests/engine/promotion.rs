//! What a delivery tool promotes that looks every ten seconds and goes on where the candidate is
//! healthy: 25%, 50%, everything.
//!
//! The counts are printed: run with `--nocapture` to see them.

use scorer_sdk::Verdict;
use scorer_sdk::simulation::{Harm, Rollout, Scenario, Service, Share, plan};

const ROLLOUTS: u64 = 100;
/// Ticks of a second between two looks.
const BETWEEN_LOOKS: u64 = 10;
/// Looks after which the tool gives up.
const LOOKS: usize = 60;

/// How a rollout ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Promoted after so many looks.
    Promoted(usize),
    Aborted,
    Neither,
}

/// What the tool is tried on: routes of which one request in 1,000 fails.
struct Shop {
    routes: usize,
    requests_per_second: f64,
}

impl Shop {
    fn ends(&self, harm: &Harm) -> Vec<End> {
        let plan = plan("{}").unwrap();
        let mut scenario = Scenario {
            service: Service::with_routes(self.routes),
            share: Share::ByTime(vec![(0, 0.25), (BETWEEN_LOOKS, 0.5)]),
            ..Scenario::default()
        };
        scenario.load.requests = self.requests_per_second;
        for route in &mut scenario.service.routes {
            route.error_rate = 0.001;
        }
        scenario.candidate.harm = harm.clone();
        (0..ROLLOUTS)
            .map(|seed| end(&mut Rollout::new(plan.clone(), scenario.clone(), seed)))
            .collect()
    }
}

fn end(rollout: &mut Rollout) -> End {
    let mut steps = 0;
    for look in 1..=LOOKS {
        for _ in 1..BETWEEN_LOOKS {
            rollout.advance();
        }
        match rollout.tick().verdict {
            Verdict::Anomalous => return End::Aborted,
            Verdict::Healthy if steps == 1 => return End::Promoted(look),
            Verdict::Healthy => steps += 1,
            _ => {}
        }
    }
    End::Neither
}

/// After how many looks each promoted rollout was, the fewest first.
fn promoted(ends: &[End]) -> Vec<usize> {
    let mut looks: Vec<usize> = ends
        .iter()
        .filter_map(|end| match end {
            End::Promoted(looks) => Some(*looks),
            _ => None,
        })
        .collect();
    looks.sort_unstable();
    looks
}

#[test]
fn a_release_that_fails_on_two_routes_of_six_is_aborted_and_seldom_promoted() {
    let shop = Shop {
        routes: 6,
        requests_per_second: 200.0,
    };
    // 0.1% become 8% and 3%.
    for (odds, most_promoted) in [(87.0, 2), (31.0, 15)] {
        let ends = shop.ends(&Harm::errors(odds).on_routes(1..3));
        let promoted = promoted(&ends).len();
        println!("odds of a failure times {odds} on two routes: {promoted} of {ROLLOUTS} promoted");
        assert!(promoted <= most_promoted, "{odds}: {promoted}");
        assert!(!ends.contains(&End::Neither), "{odds}");
    }
}

#[test]
fn a_healthy_release_is_promoted_and_seldom_waits_longer_than_it_must() {
    for (routes, requests_per_second) in [(6, 200.0), (24, 400.0), (100, 1_000.0)] {
        let shop = Shop {
            routes,
            requests_per_second,
        };
        let promoted = promoted(&shop.ends(&Harm::default()));
        let [median, most] = [50, 95].map(|rank| promoted.get(rank).copied());
        println!(
            "healthy, {routes} routes: {} of {ROLLOUTS} promoted, half by look {median:?}, 95 by look {most:?}",
            promoted.len()
        );
        assert_eq!(promoted.len() as u64, ROLLOUTS, "{routes} routes");
        assert_eq!(median, Some(2), "{routes} routes");
        assert!(most <= Some(8), "{routes} routes: {most:?}");
    }
}
