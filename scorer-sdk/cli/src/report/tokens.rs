//! What differs: the tokens of both versions side by side, and numbers as two distributions.

use super::plot;
use crate::document::{Plot, Series};
use crate::number::{percent, short};
use maud::{Markup, html};
use scorer_sdk::judge::inspect::{InspectedSignal, InspectedToken};

/// Tokens that are shown; the rest is summed up.
const MAX_TOKENS: usize = 10;
/// Evidence in nats from which on it is said that the versions differ on a signal.
const WORTH_SAYING: f64 = 3.0;
/// Total variation distance from which on it is said in any case.
const FAR_APART: f64 = 0.2;
/// Buckets of the engine that make one step of a distribution: about a sixth of an octave each.
const BUCKETS_TOGETHER: f64 = 1.2;

/// The signals of a route: names and statuses as bars, numbers as distributions. `baseline` and
/// `candidate` are the names of the versions.
#[must_use]
pub fn signals(signals: &[&InspectedSignal], baseline: &str, candidate: &str) -> Markup {
    let is_number =
        |signal: &InspectedSignal| signal.tokens.iter().all(|token| token.bounds.is_some());
    let (numbers, names): (Vec<&InspectedSignal>, Vec<&InspectedSignal>) = signals
        .iter()
        .filter(|signal| !signal.tokens.is_empty())
        .partition(|signal| is_number(signal));
    html! {
        div.plots {
            @if !names.is_empty() {
                div.stack { @for signal in names { (bars(signal, baseline, candidate)) } }
            }
            @if !numbers.is_empty() {
                div.stack {
                    @for signal in numbers {
                        (plot::figure(&distributions(signal, baseline, candidate)))
                    }
                }
            }
        }
    }
}

/// Whether the versions differ on a signal by more than chance makes of few requests.
#[must_use]
pub fn differs(signal: &InspectedSignal) -> bool {
    signal.distance >= FAR_APART
        || (signal.distance > 0.0 && signal.change_evidence >= WORTH_SAYING)
}

/// A signal's name for people.
fn title(signal: &InspectedSignal) -> String {
    let name = match signal.signal {
        "header_names" => "Response headers".to_owned(),
        "request_headers" => "Request headers".to_owned(),
        "size" => "Response size".to_owned(),
        other => {
            let words = other.replace('_', " ");
            let mut letters = words.chars();
            let first = letters.next().map(|first| first.to_uppercase().to_string());
            first.unwrap_or_default() + letters.as_str()
        }
    };
    if differs(signal) {
        format!(
            "{name}: {:.0}% of the answers differ",
            100.0 * signal.distance
        )
    } else {
        name
    }
}

/// Sums of both arms, baseline first.
fn totals<'a>(tokens: impl Iterator<Item = &'a InspectedToken>) -> [f64; 2] {
    tokens.fold([0.0; 2], |[baseline, candidate], token| {
        [baseline + token.baseline, candidate + token.candidate]
    })
}

fn share(count: f64, total: f64) -> f64 {
    if total > 0.0 { count / total } else { 0.0 }
}

fn bars(signal: &InspectedSignal, baseline: &str, candidate: &str) -> Markup {
    let [all_baseline, all_candidate] = totals(signal.tokens.iter());
    let mut tokens: Vec<&InspectedToken> = signal.tokens.iter().collect();
    let weight = |token: &InspectedToken| {
        share(token.baseline, all_baseline).max(share(token.candidate, all_candidate))
    };
    tokens.sort_by(|one, other| weight(other).total_cmp(&weight(one)));
    let rest = tokens.get(MAX_TOKENS..).unwrap_or_default();
    let [rest_baseline, rest_candidate] = totals(rest.iter().copied());
    let row = |label: &str, [one, other]: [f64; 2]| {
        html! {
            tr {
                th scope="row" { (readable(label)) }
                (bar(baseline, "fill-0", share(one, all_baseline)))
                (bar(candidate, "fill-1", share(other, all_candidate)))
            }
        }
    };
    html! {
        div.signal {
            h5 { (title(signal)) }
            table.bars {
                thead { tr {
                    th scope="col" { span.hidden { "value" } }
                    th scope="col" { (baseline) }
                    th scope="col" { (candidate) }
                } }
                tbody {
                    @for token in tokens.iter().take(MAX_TOKENS) {
                        (row(&token.label, [token.baseline, token.candidate]))
                    }
                    @if !rest.is_empty() {
                        (row(&format!("{} more", rest.len()), [rest_baseline, rest_candidate]))
                    }
                }
            }
        }
    }
}

/// A token's label with room to break a list of names.
fn readable(label: &str) -> String {
    match label {
        "" => "none".to_owned(),
        names => names.replace(',', ", "),
    }
}

fn bar(name: &str, fill: &str, share: f64) -> Markup {
    let width = (100.0 * share).clamp(0.0, 100.0);
    html! {
        td data-name=(name) {
            span.share { (percent(share)) }
            span.track aria-hidden="true" {
                span class=(format!("fill {fill}")) style=(format!("width:{width:.1}%")) hidden[width <= 0.0] {}
            }
        }
    }
}

/// Both versions' shares by value, on a logarithmic axis.
fn distributions(signal: &InspectedSignal, baseline: &str, candidate: &str) -> Plot {
    let latency = signal.signal == "latency";
    let scale = if latency { 1e-3 } else { 1.0 };
    let [all_baseline, all_candidate] = totals(signal.tokens.iter());
    let steps = steps(signal);
    let line = |name: &str, all: f64, count: &dyn Fn(&Step) -> f64| Series {
        name: name.to_owned(),
        points: steps
            .iter()
            .flat_map(|step| {
                let height = 100.0 * share(count(step), all);
                [[step.low * scale, height], [step.high * scale, height]]
            })
            .collect(),
    };
    Plot {
        title: title(signal),
        x_label: if latency { "milliseconds" } else { "bytes" }.to_owned(),
        y_label: format!(
            "% of the requests, in steps of {}%",
            short(100.0 * (BUCKETS_TOGETHER - 1.0))
        ),
        logarithmic_x: true,
        series: vec![
            line(baseline, all_baseline, &|step| step.baseline),
            line(candidate, all_candidate, &|step| step.candidate),
        ],
        ..Plot::default()
    }
}

struct Step {
    low: f64,
    high: f64,
    baseline: f64,
    candidate: f64,
}

/// Steps of equal width on the logarithmic axis, from the smallest value to the largest.
fn steps(signal: &InspectedSignal) -> Vec<Step> {
    let middle = |[low, high]: [u64; 2]| (low.max(1) as f64 * (high.max(1) as f64 + 1.0)).sqrt();
    let index = |value: f64| (value.ln() / BUCKETS_TOGETHER.ln()).floor() as i32;
    let values = || {
        signal
            .tokens
            .iter()
            .filter_map(|token| Some((middle(token.bounds?), token)))
    };
    let indices = || values().map(|(value, _)| index(value));
    let (Some(first), Some(last)) = (indices().min(), indices().max()) else {
        return Vec::new();
    };
    let mut steps: Vec<Step> = (first - 1..=last + 1)
        .map(|index| Step {
            low: BUCKETS_TOGETHER.powi(index),
            high: BUCKETS_TOGETHER.powi(index + 1),
            baseline: 0.0,
            candidate: 0.0,
        })
        .collect();
    for (value, token) in values() {
        if let Some(step) = steps.get_mut((index(value) - first + 1).max(0) as usize) {
            step.baseline += token.baseline;
            step.candidate += token.candidate;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::signal::Side;

    fn token(
        label: &str,
        bounds: Option<[u64; 2]>,
        baseline: f64,
        candidate: f64,
    ) -> InspectedToken {
        InspectedToken {
            label: label.to_owned(),
            bounds,
            baseline,
            candidate,
        }
    }

    fn seen(name: &'static str, tokens: Vec<InspectedToken>) -> InspectedSignal {
        InspectedSignal {
            signal: name,
            side: Side::Response,
            change_evidence: 0.0,
            distance: 0.5,
            tokens,
        }
    }

    #[test]
    fn shares_are_of_each_version_and_the_rest_is_summed_up() {
        let mut tokens = vec![token("200", None, 90.0, 5.0), token("<i>", None, 10.0, 5.0)];
        tokens.extend((0..20).map(|number| token(&number.to_string(), None, 0.0, 0.0)));
        let text = signals(&[&seen("outcome", tokens)], "v1", "v2").into_string();
        for part in ["90%", "width:10.0%", "width:50.0%", "12 more", "&lt;i&gt;"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let nothing = signals(&[&seen("outcome", Vec::new())], "v1", "v2").into_string();
        assert!(!nothing.contains("outcome"), "{nothing}");
    }

    #[test]
    fn a_distribution_sums_to_all_requests() {
        let tokens = vec![
            token("", Some([0, 0]), 0.0, 1.0),
            token("", Some([4_992, 5_119]), 30.0, 1.0),
            token("", Some([9_984, 10_239]), 10.0, 2.0),
        ];
        let plot = distributions(&seen("latency", tokens), "v1", "v2");
        for line in &plot.series {
            let sum: f64 = line.points.chunks(2).map(|step| step[0][1]).sum();
            assert!((sum - 100.0).abs() < 1e-9, "{sum}");
            assert!(
                line.points
                    .is_sorted_by(|one, other| one[0] <= other[0] * 1.000_001)
            );
        }
        let top = plot.series[0]
            .points
            .iter()
            .find(|point| point[1] > 70.0)
            .unwrap();
        assert!((4.0..=5.1).contains(&top[0]), "{top:?}");
    }
}
