//! Configs that come and go in one process.

use super::{Answer, Proxy};
use crate::report::series;
use crate::worker::Worker;
use scorer_sdk::Plan;
use std::rc::Rc;
use std::sync::Arc;

/// A config under which shop has the versions `v1` and `v<release>`, in a service of that number.
fn config(release: usize, max_series: usize) -> String {
    format!(
        r#"{{"baseline": "v1", "candidate": "v2", "warm_up": "0s", "max_series": {max_series},
        "versions": {{"from": "clusters", "destinations":
        {{"shop-{release}": {{"v1": ["shop-v1"], "v2": ["shop-v2"]}}}}}}}}"#
    )
}

/// What is made in any case for each destination.
const ALWAYS: usize = 20;

#[test]
fn series_do_not_grow_with_each_config_beyond_one_cap_of_the_process() {
    let mut proxy = Proxy::new("observe", 0);
    let machines = [series::Shared::default(), series::Shared::default()];
    let answers = ["v1", "v2"].map(|version| Answer {
        version,
        status: "200",
    });
    let mut lines = Vec::new();
    for release in 0..33 {
        let plan = Arc::new(Plan::from_json(&config(release, 300)).unwrap());
        proxy.workers.iter_mut().for_each(Worker::close);
        proxy.workers = machines
            .iter()
            .map(|machine| {
                let (host, plan) = (proxy.host.clone(), Arc::clone(&plan));
                Worker::new(host, plan, "test", 2, Rc::clone(machine))
            })
            .collect();
        proxy.traffic(8, 40, answers);
        lines.push(proxy.host.0.borrow().metrics.len());
    }
    // Reached, and exceeded by what is made in any case alone.
    assert!(lines[32] > 300, "{lines:?}");
    assert!(lines[32] <= 300 + 33 * ALWAYS, "{lines:?}");
    let name = "destination=.=shop-32;.;version=.=v2;.;serin_verdict";
    assert!(proxy.host.metric_value(name).is_some());
    let name = "table=.=series;.;serin_overflow_total";
    assert!(proxy.host.metric_value(name) > Some(0));
}

#[test]
fn the_same_config_again_makes_no_series() {
    let mut proxy = Proxy::new("observe", 0);
    let machine = series::Shared::default();
    let answers = super::BAD;
    let mut lines = Vec::new();
    for _ in 0..4 {
        let plan = Arc::new(Plan::from_json(&config(1, 4_000)).unwrap());
        proxy.workers.iter_mut().for_each(Worker::close);
        let host = proxy.host.clone();
        proxy.workers = vec![Worker::new(host, plan, "test", 2, Rc::clone(&machine))];
        proxy.traffic(30, 40, answers);
        lines.push(proxy.host.0.borrow().metrics.len());
    }
    assert_eq!(lines[0], lines[3], "{lines:?}");
}
