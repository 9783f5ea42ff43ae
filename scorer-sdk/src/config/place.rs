//! Where in a config an error is: the path of the field, from the line and the column.
//!
//! A deserializer that follows the path is instantiated with each type of the config once more, and
//! took a tenth of the module. Errors are rare, so the path is found when there is one: by reading
//! the text again up to the place where the parser stopped.

use core::fmt::Write as _;
use serde_json::error::Category;

/// One object or list that is open at some place of a text.
struct Open {
    /// What of it was read last.
    member: Member,
    /// Whether the member's value has begun: a colon was read, or a list needs none.
    in_value: bool,
    /// Whether the value has ended.
    is_behind: bool,
}

/// A member of an object or list.
enum Member {
    /// The next one is a key; nothing was read since the brace or the comma.
    NoKey,
    Key(String),
    Index(usize),
}

/// The path of the field at which `error` was found in `text`, such as `steer.probation.share` or
/// `expected[1]`; `.` for the whole.
#[inline(never)]
pub(super) fn path(text: &str, error: &serde_json::Error) -> String {
    let is_of_data = error.classify() == Category::Data;
    let mut read = offset(text, error);
    // A mark that does not fit is among what was read, and says nothing of where it stands.
    if error.is_syntax() {
        read = read.saturating_sub(1);
    }
    let (before, behind) = text.as_bytes().split_at_checked(read).unwrap_or_default();
    let mut open = open_at(before);
    // A value of any type is opened before it is refused.
    let is_refused = error.to_string().starts_with("invalid type: sequence");
    if is_refused && !behind.starts_with(b"[") {
        open.pop_if(|open| matches!(open.member, Member::Index(0)) && !open.is_behind);
    }
    let innermost = open.len().saturating_sub(1);
    let mut path = String::new();
    for (level, open) in open.iter().enumerate() {
        // A name or a value that does not fit is the field's own; a mark between fields is not.
        let is_meant = level < innermost || is_of_data || (open.in_value && !open.is_behind);
        // Writing to a text does not fail.
        let _ = match &open.member {
            Member::Key(key) if is_meant && path.is_empty() && key.is_empty() => {
                write!(path, "\"\"")
            }
            Member::Key(key) if is_meant && path.is_empty() => write!(path, "{key}"),
            Member::Key(key) if is_meant => write!(path, ".{key}"),
            Member::Index(index) if is_meant => write!(path, "[{index}]"),
            _ => Ok(()),
        };
    }
    if path.is_empty() {
        path.push('.');
    }
    path
}

/// How many bytes of the text were read when the error was found.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = error.line().saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
    before + error.column()
}

/// The objects and lists that are open behind `text`, the outermost first.
fn open_at(text: &[u8]) -> Vec<Open> {
    let mut all: Vec<Open> = Vec::new();
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let mut next = behind;
        match first {
            b'{' | b'[' => all.push(Open {
                member: if *first == b'{' {
                    Member::NoKey
                } else {
                    Member::Index(0)
                },
                in_value: *first == b'[',
                is_behind: false,
            }),
            b'}' | b']' => {
                all.pop();
                if let Some(open) = all.last_mut() {
                    open.is_behind = true;
                }
            }
            b',' => {
                if let Some(open) = all.last_mut() {
                    open.is_behind = false;
                    match &mut open.member {
                        Member::Index(index) => *index += 1,
                        key => {
                            *key = Member::NoKey;
                            open.in_value = false;
                        }
                    }
                }
            }
            b':' => {
                if let Some(open) = all.last_mut() {
                    open.in_value = true;
                }
            }
            b'"' => {
                let length = text_length(behind);
                next = behind
                    .get(length.unwrap_or(behind.len())..)
                    .unwrap_or_default();
                if let (Some(open), Some(length)) = (all.last_mut(), length) {
                    if open.in_value {
                        open.is_behind = true;
                    } else {
                        open.member = Member::Key(key(rest.get(..=length).unwrap_or_default()));
                    }
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => {
                let word = behind.iter().position(|byte| !is_in_word(*byte));
                next = behind
                    .get(word.unwrap_or(behind.len())..)
                    .unwrap_or_default();
                if let Some(open) = all.last_mut() {
                    open.is_behind = word.is_some();
                }
            }
        }
        rest = next;
    }
    all
}

/// Whether a number or a word such as `true` goes on with this byte.
fn is_in_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b",:{}[]\"".contains(&byte)
}

/// Bytes of the text behind a quotation mark, with the mark that ends it; nothing if none does.
fn text_length(behind: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    let end = behind.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    })?;
    Some(end + 1)
}

/// A key, which is written with its quotation marks.
fn key(quoted: &[u8]) -> String {
    serde_json::from_slice(quoted).unwrap_or_else(|_| String::from_utf8_lossy(quoted).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::raw::Config;
    use super::*;
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    /// A config with each kind of value that there is.
    fn whole() -> Value {
        json!({
            "mode": "reject", "false_alarm": 0.01, "healthy_after": 500, "record": false,
            "warm_up": {"min": "10s", "max": "5m"},
            "versions": {"from": "clusters", "destinations": {"shop.prod": {"v1": ["a", "b"]}}},
            "tolerance": {"error": 1.5, "slow \"ü\"": 2}, "signals": {"size": true},
            "ignored_headers": ["x-one", "x-two"],
            "expected": [{"route": "GET /a"}, {"signal": "size"}],
            "steer": {"probation": {"after": "1m", "share": 0.1}}, "routes": {"max": 100},
            "reject": {"share": 0.1, "reference": {
                "serin_snapshot": 1, "destination": "shop", "version": "v1", "exchanges": 3,
                "routes": [{"method": "GET", "path": "/a", "exchanges": 3, "signals":
                    {"outcome": [[200, 2], [503, 1]], "content_type": [["text/html", 3]]}}]
            }}
        })
    }

    /// `value` with one thing changed somewhere, for everything that may be: each value into others,
    /// each name into another, and each member taken away.
    fn changed(value: &Value) -> Vec<Value> {
        let mut all = vec![
            json!(70_000),
            json!(-1),
            json!(1.5),
            json!("text"),
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!([true]),
            json!({"a b": [1]}),
        ];
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let mut fewer = members.clone();
                    fewer.remove(name);
                    let with = |name: &str, member| {
                        let mut others = fewer.clone();
                        others.insert(name.to_owned(), member);
                        Value::Object(others)
                    };
                    all.extend(changed(member).into_iter().map(|other| with(name, other)));
                    all.push(with("not \\ known", member.clone()));
                    all.push(with("", member.clone()));
                    all.push(Value::Object(fewer));
                }
            }
            Value::Array(members) => {
                for (index, member) in members.iter().enumerate() {
                    for other in changed(member) {
                        let mut others = members.clone();
                        others[index] = other;
                        all.push(Value::Array(others));
                    }
                    let mut fewer = members.clone();
                    fewer.remove(index);
                    all.push(Value::Array(fewer));
                    let mut more = members.clone();
                    more.push(member.clone());
                    all.push(Value::Array(more));
                }
            }
            _ => {}
        }
        all
    }

    /// The paths that this file finds and that a deserializer which follows them does; nothing for
    /// a text without an error.
    fn paths(text: &str) -> Option<(String, String, serde_json::Error)> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let error = serde_path_to_error::deserialize::<_, Config>(&mut deserializer).err()?;
        let theirs = Some(error.path().to_string()).filter(|path| !path.is_empty());
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let error = Config::deserialize(&mut deserializer).unwrap_err();
        Some((
            path(text, &error),
            theirs.unwrap_or("\"\"".to_owned()),
            error,
        ))
    }

    /// Of a wrong mark this file may say the member, where the other says the list or object.
    fn assert_fits(ours: &str, theirs: &str, error: &serde_json::Error, text: &str) {
        let is_deeper = !error.is_data() && (theirs == "." || ours.starts_with(theirs));
        assert!(
            ours == theirs || is_deeper,
            "{ours} is not {theirs}: {error} in {text}"
        );
    }

    #[test]
    fn a_value_or_name_that_does_not_fit_has_the_path_that_a_deserializer_would_follow() {
        let mut errors = 0;
        for value in changed(&whole()).iter().filter(|value| value.is_object()) {
            for text in [
                value.to_string(),
                serde_json::to_string_pretty(value).unwrap(),
            ] {
                let Some((ours, theirs, error)) = paths(&text) else {
                    continue;
                };
                errors += 1;
                assert_fits(&ours, &theirs, &error, &text);
            }
        }
        assert!(errors > 500, "{errors}");
    }

    #[test]
    fn a_text_that_breaks_off_or_has_a_mark_too_many_has_the_path_that_a_deserializer_would_follow()
    {
        let text = serde_json::to_string_pretty(&whole()).unwrap();
        for at in (1..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let (before, behind) = text.split_at(at);
            let broken = [
                String::new(),
                format!("}}{behind}"),
                format!(" ?{behind}"),
                format!("\"{behind}"),
                format!(",{behind}"),
            ];
            for behind in broken {
                let text = format!("{before}{behind}");
                let Some((ours, theirs, error)) = paths(&text) else {
                    continue;
                };
                // Of a name that breaks off it says nothing but that.
                let theirs = if theirs == "?" {
                    ".".to_owned()
                } else {
                    theirs.replace(".?", "")
                };
                assert_fits(&ours, &theirs, &error, &text);
            }
        }
    }
}
