//! Fan-out: the calls that the application makes while it serves one request, as its own sidecar
//! sees them.
//!
//! The inbound listener opens a slot in shared data for a request, under each name that the
//! application may hand on: the request id, the trace's id. The outbound listener, in whichever
//! worker, adds a call to the slot that has one of its request's names. At the response the inbound
//! listener takes the slot back. Slots are a fixed set: a request whose slot is taken is not
//! followed, and a slot that nobody closes is free again after a while.

use super::ids;
use crate::host::{Header, Host};
use core::time::Duration;
use scorer_sdk::config::Plan;
use scorer_sdk::count::identity::identity;
use scorer_sdk::signal::Input;
use scorer_sdk::signal::fan_out::describe;
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

/// Slots of one proxy. More than requests that are served at one time.
const SLOTS: u64 = 4_096;
/// Distinct calls that one slot holds; further ones are not told apart.
const MAX_CALLS: usize = 32;
/// Longest name of a call in bytes.
const MAX_CALL_BYTES: usize = 128;
/// What stands for the calls that found no room.
const MORE: &str = "more";
/// Requests that take longer are not followed to their end.
const LONGEST: Duration = Duration::from_secs(30);
/// The inbound listener says this often that it is there, and is gone after three times that.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Ticks for which it has to have been there before it reports: by then every worker's outbound
/// listener has looked. What was called before would be missing in its reports.
const SETTLES_IN_TICKS: u32 = 3;
/// A compare-and-swap is tried this often.
const ATTEMPTS: usize = 8;
/// Longest report in bytes: what a table of names holds.
pub const MAX_REPORT_BYTES: usize = scorer_sdk::sketch::names::MAX_NAME_BYTES;
/// Where the inbound listener says that it is there.
const REPORTER_KEY: &str = "serin/fan/reporter";

/// Most names of one request: the trace, in two forms of writing, and the request id.
pub const MAX_NAMES: usize = 3;

/// Names under which a request can be found again.
pub type Names = Vec<u64>;

/// Whether the plan looks at fan-out.
#[must_use]
pub fn is_on(plan: &Plan) -> bool {
    plan.wants(Input::FanOut)
}

/// The name that a header gives to its request, if it is one that applications hand on.
#[must_use]
pub fn name((header, value): Header<'_>) -> Option<u64> {
    match header {
        b"x-request-id" => ids::is_request_id(value).then(|| identity(value)),
        b"x-b3-traceid" => trace(value),
        // The trace alone stays the same.
        b"traceparent" => ids::trace_in_parent(value).map(identity),
        // Where it is but a sampling decision, it has no trace.
        b"b3" => trace(value.split(|byte| *byte == b'-').next()?),
        _ => None,
    }
}

fn trace(id: &[u8]) -> Option<u64> {
    ids::is_trace(id).then(|| identity(id))
}

/// What is known of one request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Slot {
    name: u64,
    expires_ms: u64,
    /// Requests under this name that have not ended.
    requests: u64,
    /// Whether there were several at one time: whose the calls are cannot be told then.
    is_shared: bool,
    calls: Vec<(String, u64)>,
}

impl Slot {
    fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let mut slot = Self {
            name: reader.u64()?,
            expires_ms: reader.u64()?,
            requests: reader.u64()?,
            is_shared: reader.u8()? != 0,
            calls: Vec::new(),
        };
        for _ in 0..reader.length(MAX_CALLS + 1)? {
            let call = reader.text(MAX_CALL_BYTES)?.to_owned();
            slot.calls.push((call, reader.u64()?));
        }
        Ok(slot)
    }

    fn write(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.name);
        writer.u64(self.expires_ms);
        writer.u64(self.requests);
        writer.u8(u8::from(self.is_shared));
        writer.length(self.calls.len());
        for (call, count) in &self.calls {
            writer.text(call);
            writer.u64(*count);
        }
        writer.into_bytes()
    }

    fn add(&mut self, call: &str, count: u64) {
        let cut = call.floor_char_boundary(MAX_CALL_BYTES);
        let call = call.get(..cut).unwrap_or_default();
        let full = self.calls.len() >= MAX_CALLS;
        match self.calls.iter_mut().find(|known| known.0 == call) {
            Some(known) => known.1 = known.1.saturating_add(count),
            None if full => match self.calls.iter_mut().find(|known| known.0 == MORE) {
                Some(more) => more.1 = more.1.saturating_add(count),
                None => self.calls.push((MORE.to_owned(), count)),
            },
            None => self.calls.push((call.to_owned(), count)),
        }
    }
}

fn key(name: u64) -> String {
    format!("serin/fan/{}", name % SLOTS)
}

/// Since when this proxy has had an inbound listener that wants to know of calls, which says so at
/// least every `tick`; `None` while it has none, and then no call needs to be noted.
#[must_use]
pub fn reporter_since(host: &impl Host, now: Duration, tick: Duration) -> Option<Duration> {
    let bytes = host.shared(REPORTER_KEY).bytes;
    let mut reader = Reader::new(&bytes);
    let seen = Duration::from_millis(reader.u64().ok()?);
    let since = Duration::from_millis(reader.u64().ok()?);
    (now.abs_diff(seen) <= 3 * HEARTBEAT.max(tick)).then_some(since)
}

/// The inbound listener's side: says that it is there, and waits until the outbound one knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reporter {
    said: Option<Duration>,
    /// Whether every call for a request that comes now will be noted.
    pub is_settled: bool,
}

impl Reporter {
    /// Says every now and then that this proxy has an inbound listener. To be called as soon as
    /// that is known, and at every tick. `tick` is the time between two ticks.
    pub fn announce(&mut self, host: &impl Host, now: Duration, tick: Duration) {
        if self
            .said
            .is_some_and(|said| now.saturating_sub(said) < HEARTBEAT && self.is_settled)
        {
            return;
        }
        let since = reporter_since(host, now, tick).unwrap_or(now);
        self.is_settled = now.saturating_sub(since) >= SETTLES_IN_TICKS * tick;
        self.said = Some(now);
        let mut writer = Writer::new();
        writer.u64(now.as_millis() as u64);
        writer.u64(since.as_millis() as u64);
        host.swap_shared(REPORTER_KEY, &writer.into_bytes(), None);
    }
}

/// The slot of a name, if somebody has it.
fn taken(bytes: &[u8], now: Duration) -> Option<Slot> {
    Slot::read(bytes)
        .ok()
        .filter(|slot| slot.name != 0 && slot.expires_ms > now.as_millis() as u64)
}

/// Opens the slot of one name. Where another request has it under the same name, both share it from
/// now on. Whether the slot is this name's.
fn open_one(host: &impl Host, name: u64, now: Duration) -> bool {
    let key = key(name);
    (0..ATTEMPTS).any(|_| {
        let shared = host.shared(&key);
        let slot = match taken(&shared.bytes, now) {
            Some(slot) if slot.name != name => return false,
            Some(slot) => Slot {
                requests: slot.requests.saturating_add(1),
                is_shared: true,
                ..slot
            },
            None => Slot {
                name,
                requests: 1,
                ..Slot::default()
            },
        };
        let slot = Slot {
            expires_ms: (now + LONGEST).as_millis() as u64,
            ..slot
        };
        host.swap_shared(&key, &slot.write(), shared.swap)
    })
}

/// Opens the slots of a request that has come in: all of its names or none, because the application
/// may hand on any of them. Gives the names; `overflow` counts the requests whose slot was taken.
pub fn open(host: &impl Host, names: &[u64], now: Duration, overflow: &mut u64) -> Names {
    for (index, name) in names.iter().enumerate() {
        if !open_one(host, *name, now) {
            close(host, names.get(..index).unwrap_or_default(), now);
            *overflow += 1;
            return Names::new();
        }
    }
    names.to_vec()
}

/// Adds a call that the application makes to the request that it makes it for. Whether there was
/// one.
pub fn note(host: &impl Host, names: &[u64], call: &str, now: Duration) -> bool {
    let now_ms = now.as_millis() as u64;
    for name in names {
        let key = key(*name);
        for _ in 0..ATTEMPTS {
            let shared = host.shared(&key);
            let Ok(mut slot) = Slot::read(&shared.bytes) else {
                break;
            };
            if slot.name != *name || slot.expires_ms <= now_ms || slot.is_shared {
                break;
            }
            slot.add(call, 1);
            if host.swap_shared(&key, &slot.write(), shared.swap) {
                return true;
            }
        }
    }
    false
}

/// Leaves the slot of one name, which is free again once all have left it. Gives what was gathered
/// under it; `None` where there was no such slot, or several shared it.
fn close_one(host: &impl Host, name: u64, now: Duration) -> Option<Slot> {
    let key = key(name);
    for _ in 0..ATTEMPTS {
        let shared = host.shared(&key);
        let slot = taken(&shared.bytes, now).filter(|slot| slot.name == name)?;
        let left = match slot.requests {
            0 | 1 => Slot::default(),
            several => Slot {
                name,
                requests: several - 1,
                is_shared: true,
                expires_ms: slot.expires_ms,
                calls: Vec::new(),
            },
        };
        if host.swap_shared(&key, &left.write(), shared.swap) {
            return (!slot.is_shared).then_some(slot);
        }
    }
    None
}

/// Closes a request's slots and writes what was called, as the signal `fan_out` reads it; `None`
/// where it could not be followed: a name was gone, or other requests had it at the same time.
pub fn close(host: &impl Host, names: &[u64], now: Duration) -> Option<String> {
    let mut closed = Slot::default();
    let mut is_followed = !names.is_empty();
    for name in names {
        match close_one(host, *name, now) {
            Some(slot) => {
                for (call, count) in slot.calls {
                    closed.add(&call, count);
                }
            }
            None => is_followed = false,
        }
    }
    if !is_followed {
        return None;
    }
    let mut report = describe(&mut closed.calls);
    if report.len() > MAX_REPORT_BYTES {
        // Whole parts, and a word that there were more.
        report.truncate(report.floor_char_boundary(MAX_REPORT_BYTES - MORE.len() - 1));
        report.truncate(report.rfind(',').unwrap_or(0));
        report.push(',');
        report.push_str(MORE);
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    const SECOND: Duration = Duration::from_secs(1);

    fn header<'a>(name: &'a str, value: &'a str) -> Header<'a> {
        (name.as_bytes(), value.as_bytes())
    }

    #[test]
    fn a_trace_has_one_name_for_all_its_spans() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = |span| name(header("traceparent", &format!("00-{TRACE}-{span}-01")));
        assert!(parent("1").is_some());
        assert_eq!(parent("1"), parent("2"));
        assert_eq!(parent("1"), name(header("b3", &format!("{TRACE}-7-1"))));
        assert_eq!(parent("1"), name(header("x-b3-traceid", TRACE)));
        assert_ne!(parent("1"), name(header("x-request-id", "4bf92f35")));
        assert_eq!(name(header("x-user", "abc")), None);
    }

    #[test]
    fn what_all_requests_have_in_common_names_none() {
        let zeros = "0".repeat(32);
        let parent = format!("00-{zeros}-00f067aa0ba902b7-01");
        for (header_name, value) in [
            ("b3", "0"),
            ("b3", "1"),
            ("b3", "d"),
            ("b3", zeros.as_str()),
            ("x-b3-traceid", "0"),
            ("traceparent", "00"),
            ("traceparent", "00-abc-1-01"),
            ("traceparent", parent.as_str()),
            ("x-request-id", ""),
            ("x-request-id", "1"),
            ("x-request-id", "undefined"),
            ("x-request-id", "00000000-0000-0000-0000-000000000000"),
        ] {
            assert_eq!(
                name(header(header_name, value)),
                None,
                "{header_name}: {value}"
            );
        }
    }

    #[test]
    fn requests_that_share_an_id_at_one_time_report_nothing_rather_than_each_others_calls() {
        let host = FakeHost::default();
        let mut overflow = 0;
        let first = open(&host, &[1, 2], SECOND, &mut overflow);
        assert!(note(&host, &[2], "stock GET /items", SECOND));
        // The same trace, another request id: the application may hand on either.
        let second = open(&host, &[1, 3], SECOND, &mut overflow);
        assert!(!note(&host, &[1], "auth GET /check", SECOND));
        assert_eq!(close(&host, &first, SECOND), None);
        // It is still in flight when a third comes.
        let third = open(&host, &[1, 4], SECOND, &mut overflow);
        assert_eq!(close(&host, &second, SECOND), None);
        assert_eq!(close(&host, &third, SECOND), None);
        // Nobody has it any more.
        let fourth = open(&host, &[1, 5], SECOND, &mut overflow);
        assert!(note(&host, &[1], "auth GET /check", SECOND));
        let report = close(&host, &fourth, SECOND);
        assert_eq!(report.as_deref(), Some("auth GET /check 1"));
        assert_eq!(overflow, 0);
    }

    #[test]
    fn a_request_that_finds_no_room_for_one_of_its_names_is_not_followed_by_the_others() {
        let host = FakeHost::default();
        let mut overflow = 0;
        open(&host, &[5], SECOND, &mut overflow);
        assert!(open(&host, &[6, 5 + SLOTS], SECOND, &mut overflow).is_empty());
        assert_eq!(overflow, 1);
        // The name that had room is free again.
        let names = open(&host, &[6], SECOND, &mut overflow);
        assert_eq!(close(&host, &names, SECOND).as_deref(), Some(""));
    }

    #[test]
    fn calls_of_one_request_come_together_from_any_worker() {
        let host = FakeHost::default();
        let mut overflow = 0;
        let open_names = open(&host, &[1, 2], SECOND, &mut overflow);
        assert_eq!(open_names, [1, 2]);
        assert!(note(&host, &[2], "auth GET /check", SECOND));
        for _ in 0..7 {
            // The application hands on one name or both.
            assert!(note(&host, &[1, 2], "stock GET /items", SECOND));
        }
        assert!(!note(&host, &[3], "stock GET /items", SECOND));
        let report = close(&host, &open_names, 2 * SECOND);
        assert_eq!(
            report.as_deref(),
            Some("auth GET /check 1,stock GET /items 6+")
        );
        assert_eq!(close(&host, &open_names, 2 * SECOND), None);
        assert_eq!(overflow, 0);
    }

    #[test]
    fn a_request_without_calls_reports_none_and_one_whose_slot_is_taken_reports_nothing() {
        let host = FakeHost::default();
        let mut overflow = 0;
        open(&host, &[5], SECOND, &mut overflow);
        assert_eq!(open(&host, &[5 + SLOTS], SECOND, &mut overflow), [0u64; 0]);
        assert_eq!(overflow, 1);
        assert_eq!(close(&host, &[5], SECOND).as_deref(), Some(""));
        // One that nobody closes is free again.
        open(&host, &[5], SECOND, &mut overflow);
        assert_eq!(
            open(&host, &[5 + SLOTS], 2 * LONGEST, &mut overflow),
            [5 + SLOTS]
        );
    }

    #[test]
    fn more_calls_than_a_slot_holds_are_one() {
        let host = FakeHost::default();
        open(&host, &[1], SECOND, &mut 0);
        for call in 0..100 {
            note(&host, &[1], &format!("call {call:03}"), SECOND);
        }
        let report = close(&host, &[1], SECOND).unwrap();
        assert!(report.ends_with("more"), "{report}");
    }

    #[test]
    fn calls_are_noted_beside_a_listener_that_reports_once_all_workers_know_of_it() {
        let host = FakeHost::default();
        let now = Duration::from_secs(1_000);
        assert_eq!(reporter_since(&host, now, SECOND), None);
        let mut reporter = Reporter::default();
        reporter.announce(&host, now, SECOND);
        assert_eq!(reporter_since(&host, now + HEARTBEAT, SECOND), Some(now));
        assert!(!reporter.is_settled);
        reporter.announce(&host, now + 2 * SECOND, SECOND);
        assert!(!reporter.is_settled);
        reporter.announce(&host, now + 3 * SECOND, SECOND);
        assert!(reporter.is_settled);
        // Another worker's listener, or that of a new config, need not wait again.
        let mut other = Reporter::default();
        other.announce(&host, now + 4 * SECOND, SECOND);
        assert!(other.is_settled);
        assert_eq!(reporter_since(&host, now + 5 * HEARTBEAT, SECOND), None);
        // After a pause that long an outbound listener may have stopped to note calls.
        let mut late = Reporter::default();
        late.announce(&host, now + 5 * HEARTBEAT, SECOND);
        assert!(!late.is_settled);
        // Ticks that are longer than the heartbeat.
        let long = Duration::from_secs(40);
        let mut slow = Reporter::default();
        (10..14).for_each(|tick| slow.announce(&host, now + tick * long, long));
        assert!(slow.is_settled);
    }
}
