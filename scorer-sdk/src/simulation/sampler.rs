//! Workers that look at a random part of the exchanges, as a filter under a budget does.

use crate::engine::Engine;
use crate::exchange::{Ending, Exchange, Sampling};
use fastrand::Rng;

/// Says of each exchange whether it is looked at, and hands it to an engine.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// One for each worker. A session's requests all come to one of them.
    workers: Vec<Sampling>,
    random: Rng,
}

impl Sampler {
    /// Workers that sample so; none look at everything. `seed` decides what is looked at.
    #[must_use]
    pub fn new(workers: Vec<Sampling>, seed: u64) -> Self {
        Self {
            workers,
            random: Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15),
        }
    }

    /// Counts an exchange as its worker would.
    pub fn observe(&mut self, engine: &mut Engine, exchange: &Exchange<'_>) {
        let sampling = self.sampling(exchange);
        if sampling == Sampling::ALL {
            engine.observe(exchange);
            return;
        }
        // Both are drawn before anything is known of the answer.
        let is_looked_at = self.one_in(sampling.looks_one_in);
        let is_kept = self.one_in(sampling.cases_one_in);
        let exchange = Exchange {
            sampling,
            ..*exchange
        };
        if is_looked_at {
            engine.observe(&exchange);
        } else if is_kept && (exchange.is_error() || exchange.ending != Ending::Complete) {
            engine.observe(&late(&exchange));
        } else {
            engine.tally().record_unlooked();
        }
    }

    fn sampling(&self, exchange: &Exchange<'_>) -> Sampling {
        let workers = self.workers.len() as u64;
        let session = exchange.session.unwrap_or_default();
        session
            .checked_rem(workers)
            .and_then(|worker| self.workers.get(worker as usize))
            .copied()
            .unwrap_or_default()
    }

    fn one_in(&mut self, number: u16) -> bool {
        self.random.u16(..number.max(1)) == 0
    }
}

/// What is still known of an exchange once it is over.
fn late<'a>(exchange: &Exchange<'a>) -> Exchange<'a> {
    Exchange {
        destination: exchange.destination,
        route_name: exchange.route_name,
        method: exchange.method,
        path: exchange.path,
        version: exchange.version,
        status: exchange.status,
        grpc_status: exchange.grpc_status,
        ending: exchange.ending,
        lasted_us: exchange.lasted_us.or(exchange.duration_us),
        upstream_host: exchange.upstream_host,
        session: exchange.session,
        request: exchange.request,
        sampling: exchange.sampling,
        is_case: true,
        ..Exchange::default()
    }
}
