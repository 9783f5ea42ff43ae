//! What is told of versions that behave differently, for better or worse: how often wrongly, how
//! often it changes, and what size it is said to have.

use crate::random::binomial_bound;
use scorer_sdk::simulation::{Harm, Rollout, Scenario, Share, plan};
use scorer_sdk::{Difference, Verdict};

/// Whether a rollout told a difference at each tick, and the last differences.
fn told(scenario: Scenario, config: &str, seed: u64, ticks: usize) -> (Vec<bool>, Vec<Difference>) {
    let mut rollout = Rollout::new(plan(config).unwrap(), scenario, seed);
    let mut last = Vec::new();
    let told = (0..ticks)
        .map(|_| {
            last = rollout.tick().differences;
            !last.is_empty()
        })
        .collect();
    (told, last)
}

fn starts(told: &[bool]) -> usize {
    let before = [false].into_iter().chain(told.iter().copied());
    before
        .zip(told)
        .filter(|(before, now)| !before && **now)
        .count()
}

fn slower(factor: f64) -> Scenario {
    let mut scenario = Scenario {
        share: Share::Constant(0.2),
        ..Scenario::default()
    };
    scenario.candidate.harm = Harm::slower(factor);
    scenario
}

/// The difference of a signal over all routes.
fn pooled<'a>(found: &'a [Difference], signal: &str) -> Option<&'a Difference> {
    found
        .iter()
        .find(|difference| difference.signal == signal && difference.is_pooled())
}

#[test]
fn identical_code_is_not_said_to_differ() {
    let runs = 40;
    let wrong = (0..runs)
        .filter(|seed| {
            let share = [0.05, 0.2, 0.5][(*seed % 3) as usize];
            let scenario = Scenario {
                share: Share::Constant(share),
                ..Scenario::default()
            };
            let (told, _) = told(scenario, "{}", *seed, 300);
            told.contains(&true)
        })
        .count() as u64;
    println!("said to differ: {wrong} of {runs}");
    assert!(wrong <= binomial_bound(runs, 0.01));
}

#[test]
fn a_tenth_slower_is_told_as_about_a_tenth_and_stays_told() {
    let mut errors = 0.0;
    for seed in 0..5 {
        let (told, last) = told(slower(1.1), "{}", seed, 400);
        let found = pooled(&last, "latency").expect("told over all routes");
        let shift = found.shift.unwrap();
        println!(
            "{found}; told first at tick {:?}",
            told.iter().position(|it| *it)
        );
        let percent = shift.percent.unwrap();
        assert!((7.0..13.0).contains(&percent), "{found}");
        assert!(shift.percent_lower.unwrap() > 2.0 && shift.percent_upper.unwrap() < 18.0);
        // 20 ms in the median.
        assert!((1.4..2.6).contains(&shift.ms.unwrap()), "{found}");
        assert_eq!(starts(&told), 1, "it comes and goes");
        errors += (percent - 10.0) / 5.0;
    }
    assert!(errors.abs() < 1.5, "off by {errors}");
}

#[test]
fn faster_is_told_as_well_and_condemns_nobody() {
    let mut rollout = Rollout::new(plan("{}").unwrap(), slower(0.8), 3);
    let decision = (0..300).map(|_| rollout.tick()).last().unwrap();
    let found = pooled(&decision.differences, "latency").unwrap();
    assert!(
        (-24.0..-16.0).contains(&found.shift.unwrap().percent.unwrap()),
        "{found}"
    );
    assert_eq!(decision.verdict, Verdict::Healthy);
}

#[test]
fn the_owner_says_what_size_matters() {
    let config = r#"{"differs": {"latency": 0.3, "share": 0.3}}"#;
    let (told_of, _) = told(slower(1.15), config, 1, 300);
    assert!(!told_of.contains(&true));
    let config = r#"{"differs": {"floor": "10ms", "share": 0.3}}"#;
    let (told_of, _) = told(slower(1.15), config, 1, 300);
    assert!(!told_of.contains(&true));
    let (told_of, _) = told(slower(1.15), "{}", 1, 300);
    assert!(told_of.contains(&true));
}

#[test]
fn another_share_of_a_token_is_told_with_its_interval() {
    let mut scenario = slower(1.0);
    scenario.candidate.harm.lost_header = Some("etag".to_owned());
    // Nine answers of ten have it.
    let (_, last) = told(scenario, "{}", 2, 200);
    let found = pooled(&last, "header_names").expect("told over all routes");
    let share = found.share.as_ref().unwrap();
    println!("{found}");
    assert!((share.change.abs() - 0.9).abs() < 0.05, "{share:?}");
    assert!(share.change_lower < share.change && share.change < share.change_upper);
    assert!((share.change_upper - share.change_lower) < 0.2, "{share:?}");
    let route = last
        .iter()
        .find(|it| !it.is_pooled() && it.signal == "header_names");
    assert!(route.unwrap().detail.contains("etag"), "{last:?}");
}

#[test]
fn a_difference_that_begins_late_is_not_diluted_by_the_time_before() {
    let mut scenario = slower(1.0);
    scenario.candidate.harm = Harm::slower(1.3).after_requests(20_000);
    let (_, last) = told(scenario, "{}", 4, 900);
    let found = pooled(&last, "latency").expect("told");
    println!("{found}");
    assert!(
        (24.0..36.0).contains(&found.shift.unwrap().percent.unwrap()),
        "{found}"
    );
}

#[test]
fn what_hovers_at_the_size_that_matters_does_not_come_and_go() {
    for seed in 0..6 {
        let (told, _) = told(slower(1.07), r#"{"differs": {"latency": 0.07}}"#, seed, 600);
        println!(
            "told in {} of 600 ticks, from {} starts",
            told.iter().filter(|it| **it).count(),
            starts(&told)
        );
        assert!(starts(&told) <= 2);
    }
}
