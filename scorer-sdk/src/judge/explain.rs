//! What differs, in words: for reasons and differences.

use super::past::Past;
use crate::config::Plan;
use crate::signal::{Asked, Rule, Signal, required};
use crate::sketch::counts::MAX_CODES;
use crate::sketch::{DecayedCounts, NameTable, names};

/// Most names in an explanation's detail.
const MAX_DETAILS: usize = 4;
/// Smallest change of a share that is mentioned.
const SMALLEST_CHANGE: f64 = 0.05;

/// What is behind a category, as names or cuts.
pub(super) fn detail(plan: &Plan, past: &Past, question_index: usize) -> String {
    let Some((index, question)) = plan.questions.get(question_index) else {
        return String::new();
    };
    let (Some(signal), Some(names), Some([baseline, candidate]), Some(asked)) = (
        plan.signals.get(*index),
        past.names().get(*index),
        past.both(*index),
        past.ask(plan, *index, question),
    ) else {
        return String::new();
    };
    match (question.rule, &asked) {
        (Rule::Above { .. }, Asked::Above(cut)) => {
            format!("slower than {}", signal.label(*cut))
        }
        (Rule::Outside { .. }, Asked::Outside(low, high)) => {
            format!("outside {} to {}", signal.label(*low), signal.label(*high))
        }
        (
            Rule::Lost {
                presence: presence_needed,
            },
            _,
        ) => {
            let needed = required(presence_needed, baseline, names);
            let lost: Vec<String> = needed
                .iter()
                .filter_map(|part| {
                    let [of_baseline, of_candidate] =
                        [baseline, candidate].map(|past| presence(past, names, part));
                    (of_candidate < of_baseline.min(presence_needed))
                        .then(|| with_shares(part, [of_baseline, of_candidate]))
                })
                .take(MAX_DETAILS)
                .collect();
            format!("missing: {}", lost.join(", "))
        }
        _ => {
            let mut bad: Vec<(u16, f32)> = candidate
                .iter()
                .filter(|(code, _)| asked.is_bad(*code))
                .collect();
            crate::order::sort_by(&mut bad, |one, other| other.1.total_cmp(&one.1));
            if signal.is_list() {
                let [usual, odd] = [most_usual(baseline, names), most_usual_of(&bad, names)];
                return list_difference(usual, odd);
            }
            let words: Vec<String> = bad
                .into_iter()
                .take(MAX_DETAILS)
                .map(|(code, _)| token_name(code, names, signal.as_ref()))
                .collect();
            words.join(", ")
        }
    }
}

/// Which tokens of a signal became more frequent and which less; for lists, such as header names,
/// which of their parts. Shares are those of the decayed past of both arms. Empty while an arm has
/// none.
pub(super) fn changed(past: &Past, signal_index: usize, signal: &dyn Signal) -> String {
    let (Some([baseline, candidate]), Some(names)) =
        (past.both(signal_index), past.names().get(signal_index))
    else {
        return String::new();
    };
    let questions = signal.questions();
    let asks = |of: fn(&Rule) -> bool| questions.iter().any(|question| of(&question.rule));
    // For times and sizes the quantiles say more than the buckets.
    if asks(|rule| matches!(rule, Rule::Above { .. } | Rule::Outside { .. })) {
        return String::new();
    }
    let mut shares = if signal.is_list() {
        part_shares(baseline, candidate, names)
    } else {
        token_shares(baseline, candidate, names, signal)
    };
    shares.retain(|(_, [baseline, candidate])| (candidate - baseline).abs() >= SMALLEST_CHANGE);
    let change = |shares: &[f64; 2]| (shares[1] - shares[0]).abs();
    crate::order::sort_by(&mut shares, |one, other| {
        change(&other.1).total_cmp(&change(&one.1))
    });
    let words = |what: &str, grew: bool| {
        let found: Vec<String> = shares
            .iter()
            .filter(|(_, [baseline, candidate])| (candidate > baseline) == grew)
            .take(MAX_DETAILS)
            .map(|(name, shares)| with_shares(name, *shares))
            .collect();
        (!found.is_empty()).then(|| format!("{what}: {}", found.join(", ")))
    };
    let parts: Vec<String> = [words("less", false), words("more", true)]
        .into_iter()
        .flatten()
        .collect();
    parts.join("; ")
}

/// A name with its shares among the exchanges of baseline and candidate.
fn with_shares(name: &str, [baseline, candidate]: [f64; 2]) -> String {
    format!(
        "{name} (in {:.0}% of the baseline's and {:.0}% of the candidate's)",
        100.0 * baseline,
        100.0 * candidate
    )
}

/// The text that a code of a signal stands for.
pub(super) fn token_name(code: u16, names: &NameTable, signal: &dyn Signal) -> String {
    match names.name(code) {
        Some(name) => name.to_owned(),
        None if code == names::OTHER && !names.is_empty() => "other".to_owned(),
        None => signal.label(code),
    }
}

/// What a group of codes ([`Signal::group`]) stands for: a range where it is of several numbers.
pub(super) fn group_name(group: u16, names: &NameTable, signal: &dyn Signal) -> String {
    let codes = || (0..MAX_CODES as u16).filter(|code| signal.group(*code) == group);
    match (codes().next(), codes().last()) {
        (Some(first), Some(last)) if first < last && signal.quantity().is_some() => match first {
            0 => format!("up to {}", signal.label(last)),
            _ => format!("{} to {}", signal.label(first - 1), signal.label(last)),
        },
        (Some(first), _) => token_name(first, names, signal),
        _ => token_name(group, names, signal),
    }
}

/// The share of the exchanges of baseline and candidate that has each part of a list.
fn part_shares(
    baseline: &DecayedCounts,
    candidate: &DecayedCounts,
    names: &NameTable,
) -> Vec<(String, [f64; 2])> {
    let mut parts: Vec<&str> = names
        .iter()
        .flat_map(|(_, name)| name.split(','))
        .filter(|part| !part.is_empty())
        .collect();
    crate::order::sort(&mut parts);
    parts.dedup();
    parts
        .into_iter()
        .map(|part| {
            let shares = [baseline, candidate].map(|past| presence(past, names, part));
            (part.to_owned(), shares)
        })
        .collect()
}

/// The share of each token among the exchanges of baseline and candidate.
fn token_shares(
    baseline: &DecayedCounts,
    candidate: &DecayedCounts,
    names: &NameTable,
    signal: &dyn Signal,
) -> Vec<(String, [f64; 2])> {
    let mut codes: Vec<u16> = baseline
        .iter()
        .chain(candidate.iter())
        .map(|(code, _)| code)
        .collect();
    crate::order::sort(&mut codes);
    codes.dedup();
    codes
        .into_iter()
        .map(|code| {
            let shares = [baseline, candidate].map(|past| past.get(code) / past.total().max(1.0));
            (token_name(code, names, signal), shares)
        })
        .collect()
}

/// The most frequent name; empty where no code has one.
fn most_usual<'a>(past: &DecayedCounts, names: &'a NameTable) -> &'a str {
    let mut all: Vec<(u16, f32)> = past.iter().collect();
    crate::order::sort_by(&mut all, |one, other| other.1.total_cmp(&one.1));
    most_usual_of(&all, names)
}

/// The name of the first code that has one.
fn most_usual_of<'a>(by_count: &[(u16, f32)], names: &'a NameTable) -> &'a str {
    by_count
        .iter()
        .find_map(|(code, _)| names.name(*code))
        .unwrap_or_default()
}

/// Which parts a list has beyond the usual one, and which it lacks.
fn list_difference(usual: &str, odd: &str) -> String {
    let only_in = |list: &str, other: &str| {
        list.split(',')
            .filter(|part| !part.is_empty() && !other.split(',').any(|known| known == *part))
            .take(MAX_DETAILS)
            .map(str::to_owned)
            .collect::<Vec<String>>()
    };
    let (new, lost) = (only_in(odd, usual), only_in(usual, odd));
    let mut words = Vec::new();
    if !lost.is_empty() {
        words.push(format!("without {}", lost.join(", ")));
    }
    if !new.is_empty() {
        words.push(format!("with {}", new.join(", ")));
    }
    words.join("; ")
}

/// Share of the exchanges whose list has this part.
fn presence(past: &DecayedCounts, names: &NameTable, part: &str) -> f64 {
    let with: f64 = past
        .iter()
        .filter(|(code, _)| {
            names
                .name(*code)
                .is_some_and(|name| name.split(',').any(|present| present == part))
        })
        .map(|(_, count)| f64::from(count))
        // `sum` of an empty iterator would be -0.
        .fold(0.0, |sum, count| sum + count);
    with / past.total().max(1.0)
}
