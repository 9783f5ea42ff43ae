//! Replay: recorded exchanges through the engine, in the data's own time.
//!
//! Exchanges are sorted by their end through a bounded window and ticks happen at multiples of the
//! plan's tick in the data's time. As in the proxy, an exchange that at a tick has been in flight for
//! longer than its route's slow cut counts as a latency then and as everything else at its end: the
//! window lets the replay know of an exchange before it ends.

use crate::output::grouped;
use scorer_sdk::count::delta::Overflow;
use scorer_sdk::count::tally::RouteIndex;
use scorer_sdk::judge::Judge;
use scorer_sdk::limits::LONG_WITHOUT_CUT;
use scorer_sdk::route::RouteKey;
use scorer_sdk::wire::recording::Record;
use scorer_sdk::{Decision, Ending, Engine, Exchange, Input, NameHasher, Plan, Verdict};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How far, in microseconds of the data, exchanges may be out of order.
const WINDOW_US: u64 = 60_000_000;
/// Most exchanges in the window.
const WINDOW_EXCHANGES: usize = 100_000;
/// Most bytes of exchanges in the window.
const WINDOW_BYTES: usize = 128 << 20;
/// What is left of a gap without any exchange, in microseconds of the data.
const LONGEST_GAP_US: u64 = 180_000_000;
/// Most rollouts before the last one that are reported.
const MAX_EARLIER: usize = 100;
/// The hash tables' seed: nobody attacks a replay, and two replays should be alike.
const SEED: u64 = 0;
/// Most destinations whose exchanges before the baseline are counted.
const MAX_WAITING: usize = 1_024;

/// Called after each tick with the time since the Unix epoch.
pub type Watch<'a> = Box<dyn FnMut(Duration, &[Decision]) -> io::Result<()> + 'a>;

/// Called after each tick with the time since the Unix epoch, the decisions and the judge.
pub type Inspector<'a> = Box<dyn FnMut(Duration, &[Decision], &Judge) + 'a>;

struct Pending {
    record: Record,
    start_us: u64,
    bytes: usize,
    index: Option<RouteIndex>,
    counted_in_flight: bool,
}

/// Runs recorded exchanges through an [`Engine`].
pub struct Replay<'a> {
    plan: Arc<Plan>,
    engine: Engine,
    watch: Option<Watch<'a>>,
    inspector: Option<Inspector<'a>>,
    pending: HashMap<u64, Pending>,
    by_end: BinaryHeap<Reverse<(u64, u64)>>,
    by_start: BinaryHeap<Reverse<(u64, u64)>>,
    in_flight: Vec<u64>,
    bytes: usize,
    next_number: u64,
    newest_end_us: u64,
    last_tick_us: Option<u64>,
    decisions: Vec<Decision>,
    earlier: Vec<Decision>,
    ticks: u64,
    late: u64,
    ended: bool,
    /// Signals for which no exchange had anything so far.
    unread: Vec<usize>,
    hasher: NameHasher,
    /// Exchanges since the last tick, of the destinations whose baseline is not known.
    waiting: HashMap<String, u64>,
    /// Destinations whose baseline is known.
    settled: HashSet<String>,
    before_baseline: u64,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What is decided about each destination at the end.
    pub decisions: Vec<Decision>,
    /// Anomalous candidates that were followed by another rollout, at most 100.
    pub earlier: Vec<Decision>,
    /// Exchanges that came too late for their tick and were counted in a later one.
    pub late: u64,
    /// Ticks that were judged.
    pub ticks: u64,
    /// What did not fit the engine's bounded tables.
    pub overflow: Overflow,
    /// Exchanges that came before it was known which version is the baseline: nothing is judged of
    /// them.
    pub before_baseline: u64,
    /// Signals that are on and of which no exchange had anything: the recording does not carry what
    /// they read.
    pub not_recorded: Vec<&'static str>,
}

impl Found {
    /// What was not judged, and why, in sentences for people.
    #[must_use]
    pub fn limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        if self.before_baseline > 0 {
            limits.push(format!(
                "{} exchanges came before it was clear which version is the baseline, and are not \
                 judged: name it as `baseline` in the file of --config",
                grouped(self.before_baseline)
            ));
        }
        limits.extend(self.not_judged());
        limits
    }

    /// Which signals were not judged because the recording has nothing of them, in a sentence.
    #[must_use]
    pub fn not_judged(&self) -> Option<String> {
        (!self.not_recorded.is_empty()).then(|| {
            format!(
                "not judged, because this recording has no data for it: {}",
                self.not_recorded.join(", ")
            )
        })
    }

    /// Whether any candidate was found anomalous and not cleared since.
    #[must_use]
    pub fn is_anomalous(&self) -> bool {
        !self.earlier.is_empty()
            || self
                .decisions
                .iter()
                .any(|decision| decision.verdict == Verdict::Anomalous)
    }
}

/// Seconds from the candidate's first exchange to the anomalous verdict, where there is one.
#[must_use]
pub fn seconds_until_verdict(decision: &Decision) -> Option<f64> {
    (decision.verdict_ms > 0)
        .then(|| decision.verdict_ms.saturating_sub(decision.started_ms) as f64 / 1e3)
}

impl<'a> Replay<'a> {
    /// A replay under `plan`; `watch` sees each tick.
    #[must_use]
    pub fn new(plan: Arc<Plan>, watch: Option<Watch<'a>>) -> Self {
        Self {
            engine: Engine::new(Arc::clone(&plan), SEED),
            unread: (0..plan.signals.len()).collect(),
            hasher: NameHasher::new(SEED),
            waiting: HashMap::new(),
            settled: HashSet::new(),
            before_baseline: 0,
            plan,
            watch,
            inspector: None,
            pending: HashMap::new(),
            by_end: BinaryHeap::new(),
            by_start: BinaryHeap::new(),
            in_flight: Vec::new(),
            bytes: 0,
            next_number: 0,
            newest_end_us: 0,
            last_tick_us: None,
            decisions: Vec::new(),
            earlier: Vec::new(),
            ticks: 0,
            late: 0,
            ended: false,
        }
    }

    /// Lets `inspector` look at the judge after each tick.
    #[must_use]
    pub fn with_inspector(mut self, inspector: Inspector<'a>) -> Self {
        self.inspector = Some(inspector);
        self
    }

    /// The judge.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        self.engine.judge()
    }

    /// Takes an exchange; `bytes` is about what it weighs in memory.
    ///
    /// # Errors
    /// What the watch fails with.
    pub fn push(&mut self, mut record: Record, bytes: usize) -> io::Result<()> {
        if !self.plan.routes_by_name {
            record.route.clear();
        }
        self.note_signals(&record);
        let (start_us, end_us) = (micros(record.start()), micros(record.end()));
        if self.last_tick_us.is_some_and(|last| end_us <= last) {
            self.late += 1;
            self.note_destination(&record.destination);
            self.engine.observe(&record.exchange());
            return Ok(());
        }
        let number = self.next_number;
        self.next_number += 1;
        self.newest_end_us = self.newest_end_us.max(end_us);
        self.bytes += bytes;
        self.by_end.push(Reverse((end_us, number)));
        self.by_start.push(Reverse((start_us, number)));
        let pending = Pending {
            record,
            start_us,
            bytes,
            index: None,
            counted_in_flight: false,
        };
        self.pending.insert(number, pending);
        while let Some(Reverse((end_us, _))) = self.by_end.peek() {
            let full = self.pending.len() > WINDOW_EXCHANGES || self.bytes > WINDOW_BYTES;
            if !full && end_us.saturating_add(WINDOW_US) > self.newest_end_us {
                break;
            }
            self.observe_next()?;
        }
        Ok(())
    }

    /// Judges the rest; nothing should be pushed after it.
    ///
    /// # Errors
    /// What the watch fails with.
    pub fn end(&mut self) -> io::Result<()> {
        while !self.by_end.is_empty() {
            self.observe_next()?;
        }
        // Once: there is no tick after the last.
        if let Some(last) = self.last_tick_us.filter(|_| !self.ended) {
            self.tick(last.saturating_add(self.tick_us()))?;
        }
        self.ended = true;
        Ok(())
    }

    /// Judges the rest and says what was found.
    ///
    /// # Errors
    /// What the watch fails with.
    pub fn finish(mut self) -> io::Result<Found> {
        self.end()?;
        let overflow = self.engine.judge().overflow();
        let signals = &self.plan.signals;
        let unread = self.unread.iter().filter_map(|index| signals.get(*index));
        let not_recorded = unread.map(|signal| signal.name()).collect();
        Ok(Found {
            before_baseline: self.before_baseline,
            not_recorded,
            decisions: self.decisions,
            earlier: self.earlier,
            late: self.late,
            ticks: self.ticks,
            overflow,
        })
    }

    fn tick_us(&self) -> u64 {
        micros(self.plan.tick).max(1)
    }

    /// Counts the exchange that ends next, after the ticks that come before its end.
    fn observe_next(&mut self) -> io::Result<()> {
        let Some(Reverse((end_us, number))) = self.by_end.pop() else {
            return Ok(());
        };
        self.advance(end_us)?;
        let Some(pending) = self.pending.remove(&number) else {
            return Ok(());
        };
        self.bytes = self.bytes.saturating_sub(pending.bytes);
        self.note_destination(&pending.record.destination);
        let mut exchange = pending.record.exchange();
        if pending.counted_in_flight {
            exchange.duration_us = None;
        }
        let tally = self.engine.tally();
        match pending.index.filter(|index| tally.key(*index).is_some()) {
            Some(index) => tally.record_at(index, &exchange),
            None => tally.record(&exchange),
        }
        // Within one tick, starts of what has ended pile up.
        if self.by_start.len() > 2 * self.pending.len() + 1_000 {
            self.by_start
                .retain(|Reverse((_, number))| self.pending.contains_key(number));
        }
        Ok(())
    }

    /// Ticks until the next tick is at or after `end_us`.
    fn advance(&mut self, end_us: u64) -> io::Result<()> {
        let tick_us = self.tick_us();
        let before = end_us.saturating_sub(1) / tick_us * tick_us;
        let Some(first) = self.last_tick_us else {
            self.last_tick_us = Some(before);
            return Ok(());
        };
        let stop = before.min(first.saturating_add(LONGEST_GAP_US.max(tick_us)));
        let mut now = first;
        while now < stop {
            now = now.saturating_add(tick_us);
            self.tick(now)?;
        }
        self.last_tick_us = Some(before.max(now));
        Ok(())
    }

    fn tick(&mut self, now_us: u64) -> io::Result<()> {
        self.count_in_flight(now_us);
        self.last_tick_us = Some(now_us);
        self.ticks += 1;
        let now = Duration::from_micros(now_us);
        let decisions = self.engine.tick(now);
        self.count_before_baseline(&decisions);
        let before = core::mem::take(&mut self.decisions);
        for old in before {
            let followed = old.verdict == Verdict::Anomalous
                && !decisions.iter().any(|new| {
                    new.destination == old.destination && new.candidate == old.candidate
                });
            if followed && self.earlier.len() < MAX_EARLIER {
                self.earlier.push(old);
            }
        }
        self.decisions = decisions;
        if let Some(inspector) = &mut self.inspector {
            inspector(now, &self.decisions, self.engine.judge());
        }
        match &mut self.watch {
            Some(watch) => watch(now, &self.decisions),
            None => Ok(()),
        }
    }

    /// Notes for which signals an exchange has something.
    fn note_signals(&mut self, record: &Record) {
        let (signals, hasher) = (&self.plan.signals, &self.hasher);
        self.unread.retain(|index| {
            let Some(signal) = signals.get(*index) else {
                return false;
            };
            // What a session calls next is told by its next exchange.
            let is_there = if signal.inputs().contains(&Input::Sessions) {
                record.session.is_some()
            } else {
                signal.read(&record.exchange(), hasher).is_some()
            };
            !is_there
        });
    }

    /// Notes an exchange of this tick, while it is not known which version is the baseline.
    fn note_destination(&mut self, destination: &str) {
        if self.settled.contains(destination) {
            return;
        }
        if let Some(count) = self.waiting.get_mut(destination) {
            *count += 1;
        } else if self.waiting.len() < MAX_WAITING {
            self.waiting.insert(destination.to_owned(), 1);
        }
    }

    /// Counts the exchanges of a tick after which the baseline is still not known.
    fn count_before_baseline(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            let count = self.waiting.remove(&decision.destination).unwrap_or(0);
            if decision.baseline.is_empty() {
                self.before_baseline += count;
            } else if !self.settled.contains(&decision.destination) {
                self.settled.insert(decision.destination.clone());
            }
        }
        self.waiting.clear();
    }

    /// Counts each exchange once that has been in flight for longer than its route's slow cut.
    fn count_in_flight(&mut self, now_us: u64) {
        while let Some(Reverse((start_us, number))) = self.by_start.peek().copied() {
            if start_us > now_us {
                break;
            }
            self.by_start.pop();
            if self.pending.contains_key(&number) {
                self.in_flight.push(number);
            }
        }
        let pending = &mut self.pending;
        self.in_flight.retain(|number| {
            pending
                .get(number)
                .is_some_and(|found| !found.counted_in_flight)
        });
        if self.in_flight.is_empty() {
            return;
        }
        let cuts: HashMap<RouteKey, u64> = self.engine.judge().slow_cuts().into_iter().collect();
        for number in &self.in_flight {
            let Some(found) = pending.get_mut(number) else {
                continue;
            };
            let tally = self.engine.tally();
            let record = &found.record;
            if found.index.is_none() {
                found.index = tally.route(
                    &record.destination,
                    &record.route,
                    &record.method,
                    &record.path,
                );
            }
            let Some(index) = found.index else { continue };
            let cut = tally.key(index).and_then(|key| cuts.get(key));
            let taken_us = now_us.saturating_sub(found.start_us);
            if taken_us <= cut.copied().unwrap_or(micros(LONG_WITHOUT_CUT)) {
                continue;
            }
            // The version's part may be over long before the exchange is: a stream, or a client that
            // reads or sends slowly.
            let of_version = record.exchange().duration_us;
            if of_version.is_none_or(|whole_us| whole_us <= taken_us) {
                continue;
            }
            let exchange = Exchange {
                // The recording does not tell when the answer began, only whether there was one.
                grpc_status: None,
                ending: Ending::InFlight,
                duration_us: Some(taken_us),
                lasted_us: Some(taken_us),
                response_bytes: None,
                header_names: None,
                ..record.exchange()
            };
            tally.record_at(index, &exchange);
            found.counted_in_flight = true;
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(start: f64, duration_ms: f64) -> Record {
        let line = format!(
            r#"{{"start":{start},"destination":"shop","method":"GET","path":"/","version":"v1","duration_ms":{duration_ms},"status":200}}"#
        );
        Record::parse(&line).unwrap()
    }

    fn replay() -> Replay<'static> {
        Replay::new(Arc::new(Plan::from_json("").unwrap()), None)
    }

    #[test]
    fn the_window_is_bounded_in_time_exchanges_and_bytes() {
        let mut by_time = replay();
        for second in 0..200 {
            by_time
                .push(record(1e9 + f64::from(second), 1.0), 100)
                .unwrap();
        }
        assert!((60..=61).contains(&by_time.pending.len()));

        let mut by_bytes = replay();
        for number in 0..3_000 {
            by_bytes
                .push(record(1e9 + f64::from(number) * 1e-3, 1.0), 1 << 16)
                .unwrap();
        }
        assert_eq!(by_bytes.pending.len(), 2_048);

        let mut by_number = replay();
        for _ in 0..WINDOW_EXCHANGES + 50_000 {
            by_number.push(record(1e9, 1.0), 100).unwrap();
        }
        assert_eq!(by_number.pending.len(), WINDOW_EXCHANGES);
        assert!(by_number.by_start.len() <= 2 * WINDOW_EXCHANGES + 1_000);
    }

    #[test]
    fn an_exchange_that_crosses_ticks_in_flight_is_counted_once() {
        let mut replay = replay();
        for number in 0..2_000 {
            replay
                .push(record(1e9 + f64::from(number) * 0.01, 5.0), 100)
                .unwrap();
        }
        replay.push(record(1e9 + 10.0, 15_000.0), 100).unwrap();
        while !replay.by_end.is_empty() {
            replay.observe_next().unwrap();
        }
        replay.tick(1_000_000_100_000_000).unwrap();
        assert_eq!(replay.engine.judge().merged(), 2_001);
        assert!(replay.pending.is_empty() && replay.in_flight.is_empty());
        assert!(replay.by_start.is_empty());
        assert_eq!(replay.bytes, 0);
    }

    #[test]
    fn an_exchange_that_waits_for_its_client_is_not_in_flight_for_its_version() {
        let is_counted = |of_version_ms: f64| {
            let mut replay = replay();
            let mut long = record(1e9, of_version_ms);
            long.lasted_ms = Some(50_000.0);
            replay.push(long, 100).unwrap();
            for number in 0..4_000 {
                replay
                    .push(record(1e9 + f64::from(number) * 0.01, 5.0), 100)
                    .unwrap();
            }
            while replay.pending.len() > 1 {
                replay.observe_next().unwrap();
            }
            replay.pending.values().all(|left| left.counted_in_flight)
        };
        assert!(is_counted(50_000.0));
        assert!(!is_counted(3.0));
    }

    #[test]
    fn a_gap_is_cut_to_three_minutes_of_ticks() {
        let mut replay = replay();
        replay.push(record(1e9, 1.0), 100).unwrap();
        replay.push(record(1e9 + 86_400.0, 1.0), 100).unwrap();
        let found = replay.finish().unwrap();
        assert_eq!(found.ticks, 181);
    }
}
