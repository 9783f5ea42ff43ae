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
    assert_eq!(Record::parse(&line).as_ref(), Ok(&record), "{line}");
    let mut engine = Engine::new(traffic::plan(), 1);
    engine.observe(&record.exchange());
    traffic::check(&engine.tick(record.end()));
}
