//! The answer of serve-verdict, from whoever it may come.

use scorer_sdk::judge::verdict::FleetWord;
use scorer_sdk::wire::fleet::{MAX_ANSWER_BYTES, read};

/// The bytes are an answer about the candidate `v2` of `shop`.
pub fn run(data: &[u8]) {
    let Ok(answer) = read(data, "shop", "v2") else {
        return;
    };
    assert!(data.len() <= MAX_ANSWER_BYTES);
    // A word about a candidate names it.
    let names = |name: &str| String::from_utf8_lossy(data).contains(name);
    if answer.word == Some(FleetWord::Condemn) {
        assert!(
            names("anomalous") || names("\\u"),
            "condemned without a verdict"
        );
    }
    assert!(read(data, "cart", "v3").is_err() || answer.word.is_none());
}
