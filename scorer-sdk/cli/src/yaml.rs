//! YAML as its values: what is read here may come from anybody.

use anyhow::{Result, anyhow};
use serde_json::Value;
use serde_saphyr::options::AliasLimits;
use serde_saphyr::{Budget, Options, UserMessageFormatter};

/// Most values of a text: more than a manifest has that a cluster takes.
const MAX_VALUES: usize = 1_000_000;
/// Most parser events of a text: a list or map has two.
const MAX_EVENTS: usize = 3 * MAX_VALUES;
/// Most events that the aliases of a text (`*name`) may repeat. Aliases of aliases multiply.
const MAX_REPEATED: usize = 100_000;

/// The documents of a text, without the empty ones.
///
/// # Errors
/// When it is no YAML, gives a key twice in one map or is beyond the limits. The message names line
/// and column.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| anyhow!(error.render_with_formatter(&UserMessageFormatter)))
}

/// Plain scalars have the types of YAML 1.2, as JSON has them: `on` and `010` are texts.
fn options() -> Options {
    let budget: Option<Budget> = serde_saphyr::budget! {
        max_nodes: MAX_VALUES,
        max_events: MAX_EVENTS,
    };
    let alias_limits: AliasLimits = serde_saphyr::alias_limits! {
        max_total_replayed_events: MAX_REPEATED,
    };
    serde_saphyr::options! {
        budget: budget,
        alias_limits: alias_limits,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(text: &str) -> String {
        documents(text).unwrap_err().to_string()
    }

    #[test]
    fn plain_scalars_have_the_types_of_json() {
        let text =
            "a: on\nb: 010\nc: 1_000\nd: 2s\ne: 0.05\nf: 3\ng: true\nh: ~\ni: '1'\nj: 12:30\n";
        let expected = json!({
            "a": "on", "b": "010", "c": "1_000", "d": "2s", "e": 0.05, "f": 3, "g": true,
            "h": null, "i": "1", "j": "12:30",
        });
        assert_eq!(documents(text).unwrap(), [expected]);
    }

    #[test]
    fn empty_documents_are_left_out() {
        let found = documents("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n").unwrap();
        assert_eq!(found, [json!({"a": 1}), json!({"b": 2})]);
        assert!(documents("").unwrap().is_empty());
    }

    #[test]
    fn a_problem_is_named_with_line_and_column() {
        let wrong = "mode: steer\ntick: 1s: 2s\n";
        assert!(
            problem(wrong).ends_with("at line 2, column 9"),
            "{}",
            problem(wrong)
        );
        let twice = "mode: steer\nmode: observe\n";
        assert_eq!(
            problem(twice),
            "duplicate mapping key `mode` is not allowed here at line 2, column 1"
        );
        assert!(problem("tick: .inf\n").contains("not a finite number"));
    }

    #[test]
    fn aliases_of_aliases_do_not_fill_the_memory() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            text += &format!("a{level}: &a{level} [{below}]\n");
        }
        assert!(documents(&text).is_err());
        assert!(documents(&"[".repeat(1 << 20)).is_err());
    }

    #[test]
    fn a_large_list_is_within_the_limits() {
        let text = format!("counts: [{}0]\n", "1, ".repeat(300_000));
        let found = documents(&text).unwrap();
        assert_eq!(found[0]["counts"].as_array().unwrap().len(), 300_001);
    }
}
