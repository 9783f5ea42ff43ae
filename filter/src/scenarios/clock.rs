//! A clock that is set while workers run: forward, as after a pause of the machine, and back.

use super::{BAD, GOOD, Proxy};
use crate::stream::life::Stream;
use core::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const WORKERS: usize = 3;
const EACH: usize = 100;
/// Exchanges in flight of each version when the clock is set: a hanging one would be condemned.
const IN_FLIGHT: u32 = 30;
const CONDEMNED: Option<u64> = Some(3);

enum Set {
    Forward,
    Back,
}

impl Proxy {
    fn set_clock(&self, set: &Set) {
        let mut world = self.host.0.borrow_mut();
        world.now = match set {
            Set::Forward => world.now + HOUR,
            Set::Back => world.now - HOUR,
        };
    }
}

/// Sets the clock while exchanges are in flight, and goes on with healthy traffic.
fn healthy_over(set: &Set) -> (Proxy, u64) {
    let mut proxy = Proxy::new("steer", WORKERS);
    proxy.traffic(15, EACH, GOOD);
    let mut in_flight = Vec::new();
    for number in 0..IN_FLIGHT {
        proxy.request(&[]);
        proxy.respond(GOOD[1]);
        let mut stream = Stream::new(number);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        in_flight.push(stream);
    }
    proxy.set_clock(set);
    // They are over a tick later.
    proxy.tick();
    for mut stream in in_flight {
        proxy.respond(GOOD[1]);
        stream.passed(0, true);
        assert!(proxy.workers[0].on_response(&mut stream));
        proxy.workers[0].on_log(&mut stream);
    }
    for _ in 0..30 {
        proxy.traffic(1, EACH, GOOD);
        assert_ne!(proxy.verdict(), CONDEMNED);
    }
    (0..4).for_each(|_| proxy.tick());
    (proxy, (45 * EACH) as u64 + u64::from(IN_FLIGHT))
}

fn slow(proxy: &Proxy) -> u64 {
    let world = proxy.host.0.borrow();
    let slow = world.metrics.iter().filter(|metric| {
        metric.0.contains("category=.=slow_p99;") && metric.0.ends_with("serin_category_total")
    });
    slow.map(|metric| metric.1).sum()
}

#[test]
fn a_clock_that_is_set_condemns_nobody_and_every_exchange_counts_once() {
    for set in [Set::Forward, Set::Back] {
        let (proxy, exchanges) = healthy_over(&set);
        assert_eq!(proxy.merged(), exchanges);
        assert_eq!(proxy.host.metric_sum("serin_exchanges_total"), exchanges);
        assert_eq!(slow(&proxy), 0, "what was in flight passed for slow");
    }
}

#[test]
fn after_the_clock_was_set_a_bad_candidate_is_found_and_steered_as_soon_as_ever() {
    for set in [Set::Forward, Set::Back] {
        let (mut proxy, _) = healthy_over(&set);
        proxy.traffic(12, EACH, BAD);
        proxy.tick();
        assert_eq!(proxy.verdict(), CONDEMNED);
        assert!(proxy.exchange(0, GOOD[1]), "nobody is steered");
    }
}

#[test]
fn after_the_clock_was_set_back_a_new_config_takes_over_at_once() {
    let (mut proxy, exchanges) = healthy_over(&Set::Back);
    let mut old = std::mem::take(&mut proxy.workers);
    (0..WORKERS).for_each(|_| proxy.add_worker());
    old.iter_mut().for_each(crate::worker::Worker::close);
    proxy.traffic(5, EACH, GOOD);
    (0..4).for_each(|_| proxy.tick());
    assert_eq!(proxy.merged(), exchanges + 5 * EACH as u64);
}
