//! How Flagger and Argo Rollouts weigh a number, as far as the manifests use it.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// What Argo Rollouts makes of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Successful,
    Failed,
    Inconclusive,
}

/// Flagger's check: a value outside of the range fails, and so does none.
pub(crate) fn flagger_check(value: Option<f64>, range: &Value) -> bool {
    let Some(value) = value else { return false };
    range["min"].as_f64().is_none_or(|min| value >= min)
        && range["max"].as_f64().is_none_or(|max| value <= max)
}

/// Replaces `{{ variables.x }}` as Flagger does, `{{args.x}}` as Argo Rollouts does.
pub(crate) fn filled(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (inside, after) = behind.split_once("}}").context("no end of a placeholder")?;
        let name = inside.trim();
        let name = name
            .strip_prefix("variables.")
            .or_else(|| name.strip_prefix("args."))
            .with_context(|| format!("what is {name}?"))?;
        let (_, value) = values
            .iter()
            .find(|(known, _)| *known == name)
            .with_context(|| format!("no value for {name}"))?;
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// One measurement of Argo Rollouts: both conditions, one, or neither.
pub(crate) fn argo_phase(metric: &Value, result: &Value) -> Result<Phase> {
    let holds = |name: &str| -> Result<Option<bool>> {
        metric[name]
            .as_str()
            .map(|condition| condition_holds(condition, result))
            .transpose()
    };
    let phase = match (holds("successCondition")?, holds("failureCondition")?) {
        (None, None) => bail!("no condition"),
        (Some(success), None) if success => Phase::Successful,
        (Some(_), None) => Phase::Failed,
        (None, Some(failure)) if failure => Phase::Failed,
        (None, Some(_)) => Phase::Successful,
        (_, Some(true)) => Phase::Failed,
        (Some(true), _) => Phase::Successful,
        _ => Phase::Inconclusive,
    };
    Ok(phase)
}

/// Conditions such as `len(result) > 0 && result[0] < 0` and `result == "abort"`.
fn condition_holds(condition: &str, result: &Value) -> Result<bool> {
    for term in condition.split("&&") {
        let words: Vec<&str> = term.split_whitespace().collect();
        let [left, comparison, right] = words.as_slice() else {
            bail!("a term of another form: {term}");
        };
        if let Some(text) = right
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            if *left != "result" || *comparison != "==" {
                bail!("a term of another form: {term}");
            }
            if result.as_str() != Some(text) {
                return Ok(false);
            }
            continue;
        }
        let right: f64 = right.parse()?;
        let left = match *left {
            "len(result)" => result.as_array().context("a vector")?.len() as f64,
            // Beyond the end it is also an error in Argo Rollouts.
            "result[0]" => result[0].as_f64().context("result[0] of nothing")?,
            other => bail!("what is {other}?"),
        };
        let holds = match *comparison {
            ">" => left > right,
            "<" => left < right,
            "==" => left == right,
            other => bail!("what is {other}?"),
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A JSON path of the form `{$.name}`.
pub(crate) fn json_path<'a>(value: &'a Value, path: &str) -> Result<&'a Value> {
    let name = path
        .strip_prefix("{$.")
        .and_then(|path| path.strip_suffix('}'))
        .with_context(|| format!("a path of another form: {path}"))?;
    value
        .get(name)
        .with_context(|| format!("no {name} in {value}"))
}

#[test]
fn conditions_are_read_as_argo_rollouts_reads_them() {
    use serde_json::json;
    let metric = json!({
        "successCondition": "len(result) > 0 && result[0] > 0",
        "failureCondition": "len(result) > 0 && result[0] < 0",
    });
    for (result, phase) in [
        (json!([1.0]), Phase::Successful),
        (json!([-1.0]), Phase::Failed),
        (json!([0.0]), Phase::Inconclusive),
        (json!([]), Phase::Inconclusive),
    ] {
        assert_eq!(argo_phase(&metric, &result).unwrap(), phase, "{result}");
    }
    let guard = json!({"failureCondition": "result == \"abort\""});
    assert_eq!(
        argo_phase(&guard, &json!("wait")).unwrap(),
        Phase::Successful
    );
    assert_eq!(argo_phase(&guard, &json!("abort")).unwrap(), Phase::Failed);
}
