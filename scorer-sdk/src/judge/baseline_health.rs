//! Whether the baseline fails itself, so that nothing is steered to it.
//!
//! One client can provoke failures on one route, and must not switch steering off for everyone. So
//! each route is looked at by itself, and the baseline fails where most of its routes fail *and* most
//! of its recent exchanges do. A service with a single route has one voice: there, only clients can
//! tell, and whoever feeds this should count each session once a tick.

use crate::wire::codec::{CodecError, Reader, Writer};

/// Share of the running sums that is kept from tick to tick.
const KEEP: f64 = 0.8;
/// Decayed exchanges from which on a route has a voice.
const ENOUGH: f64 = 5.0;
/// Decayed exchanges at which a route is forgotten.
const FORGOTTEN: f64 = 0.05;
/// Routes that are told apart; further ones are looked at as one.
const MAX_ROUTES: usize = 64;
/// Stands for the routes that found no room.
const OTHERS: u64 = 0;
/// What an error calls the counts.
const COUNT: &str = "decayed count of the baseline";

/// Decayed failures and exchanges of the baseline's routes.
#[derive(Debug, Clone, Default)]
pub(super) struct BaselineHealth {
    routes: Vec<(u64, [f64; 2])>,
}

impl BaselineHealth {
    /// A tick has passed.
    pub(super) fn tick(&mut self) {
        self.routes.retain_mut(|(_, [failures, exchanges])| {
            *failures *= KEEP;
            *exchanges *= KEEP;
            *exchanges >= FORGOTTEN
        });
    }

    /// Takes a tick's failures and exchanges on a route, which `route` stands for.
    pub(super) fn note(&mut self, route: u64, [failures, exchanges]: [u64; 2]) {
        let is_known = self.routes.iter().any(|known| known.0 == route);
        let key = if is_known || self.routes.len() + 1 < MAX_ROUTES {
            route
        } else {
            OTHERS
        };
        let counted = [failures as f64, exchanges as f64];
        match self.routes.iter_mut().find(|known| known.0 == key) {
            Some((_, sums)) => {
                for (sum, count) in sums.iter_mut().zip(counted) {
                    *sum += count;
                }
            }
            None => self.routes.push((key, counted)),
        }
    }

    /// Whether the baseline is failing.
    pub(super) fn is_failing(&self) -> bool {
        let fails = |[failures, exchanges]: [f64; 2]| failures > exchanges / 2.0;
        let mut all = [0.0; 2];
        let (mut voices, mut failing) = (0, 0);
        for (_, sums) in &self.routes {
            for (sum, count) in all.iter_mut().zip(sums) {
                *sum += count;
            }
            let [_, exchanges] = *sums;
            if exchanges >= ENOUGH {
                voices += 1;
                failing += usize::from(fails(*sums));
            }
        }
        let [_, exchanges] = all;
        // Where traffic is thin no route has a voice, and all of them together have one.
        exchanges >= ENOUGH && fails(all) && (voices == 0 || 2 * failing > voices)
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.length(self.routes.len());
        for (route, [failures, exchanges]) in &self.routes {
            writer.u64(*route);
            writer.f64(*failures);
            writer.f64(*exchanges);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let routes = reader.list(MAX_ROUTES, |reader| {
            let route = reader.u64()?;
            Ok((route, [reader.finite(COUNT)?, reader.finite(COUNT)?]))
        })?;
        Ok(Self { routes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_one_client_provokes_on_one_route_do_not_stop_steering() {
        let mut health = BaselineHealth::default();
        for _ in 0..26 {
            health.tick();
            // 676 in all, beside eight requests a second on each of four routes.
            health.note(1, [26, 34]);
            (2..5).for_each(|route| health.note(route, [0, 8]));
            assert!(!health.is_failing());
        }
        // Even where they outnumber everything else.
        health.note(1, [1_000, 1_000]);
        assert!(!health.is_failing());
    }

    #[test]
    fn a_dead_baseline_stops_steering_and_one_that_came_back_does_not() {
        let mut health = BaselineHealth::default();
        for _ in 0..10 {
            health.tick();
            (1..5).for_each(|route| health.note(route, [0, 8]));
        }
        assert!(!health.is_failing());
        for _ in 0..5 {
            health.tick();
            (1..5).for_each(|route| health.note(route, [8, 8]));
        }
        assert!(health.is_failing());
        for _ in 0..5 {
            health.tick();
            (1..5).for_each(|route| health.note(route, [0, 8]));
        }
        assert!(!health.is_failing());
    }

    #[test]
    fn thin_traffic_on_many_routes_counts_together_and_the_table_is_bounded() {
        let mut health = BaselineHealth::default();
        (1..5_000).for_each(|route| health.note(route, [1, 1]));
        assert!(health.routes.len() <= MAX_ROUTES);
        assert!(health.is_failing());
        let mut writer = Writer::new();
        health.encode(&mut writer);
        let bytes = writer.into_bytes();
        let read = BaselineHealth::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(read.routes, health.routes);
        (0..100).for_each(|_| health.tick());
        assert!(health.routes.is_empty());
    }
}
