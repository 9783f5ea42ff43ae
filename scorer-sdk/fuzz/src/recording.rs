//! Lines of recordings: a line that is accepted is written and read as it was, and its exchange can
//! be counted.

use crate::input::valid_prefix;
use crate::traffic;
use scorer_sdk::Engine;
use scorer_sdk::wire::recording::Record;

/// The bytes are a line.
pub fn run(data: &[u8]) {
    let record = match Record::parse(valid_prefix(data)) {
        Ok(record) => record,
        Err(problem) => {
            assert!(!problem.is_empty(), "an error that says nothing");
            return;
        }
    };
    let Ok(line) = serde_json::to_string(&record) else {
        unreachable!("a record is plain data");
    };
    match Record::parse(&line) {
        Ok(again) => {
            assert!(is_close(again.start, record.start), "{line}");
            assert!(is_close(again.duration_ms, record.duration_ms), "{line}");
            let again = Record {
                start: record.start,
                duration_ms: record.duration_ms,
                ..again
            };
            assert_eq!(again, record, "{line}");
        }
        Err(problem) => assert!(problem.is_empty(), "{line}: {problem}"),
    }
    let mut engine = Engine::new(traffic::plan(), 1);
    engine.observe(&record.exchange());
    traffic::check(&engine.tick(record.end()));
}

/// Equal but for the last digits: `serde_json` reads numbers quickly and not to the last bit.
fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs()
}
