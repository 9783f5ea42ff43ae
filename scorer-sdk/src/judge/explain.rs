//! What differs, in words: for reasons and differences.

use super::pair::Pair;
use super::seen::Seen;
use crate::config::Plan;
use crate::signal::{Found, Question, Rule, Signal, listed};
use crate::sketch::counts::MAX_CODES;
use crate::sketch::{Counts, NameTable, names};

/// Share of the baseline's lists below which a part is new.
const RARE: f64 = 0.05;
/// Smallest change of a share that is mentioned.
const SMALLEST_CHANGE: f64 = 0.05;

/// A pair in words.
#[derive(Debug, Clone, Default)]
pub(super) struct Explained {
    /// What the candidate's exchanges in the category do, with names and cuts.
    pub(super) phrase: String,
    /// The names and cuts alone, with how often they were there.
    pub(super) detail: String,
}

/// What is behind a pair, over the blocks of its rates. `names` are those behind the codes of its route;
/// over all routes there are none.
pub(super) fn explained(
    plan: &Plan,
    names: &[NameTable],
    pair: &Pair,
    question_index: usize,
) -> Explained {
    let Some((index, question)) = plan.questions.get(question_index) else {
        return Explained::default();
    };
    let only_meaning = Explained {
        phrase: question.meaning.to_owned(),
        detail: String::new(),
    };
    let (Some(signal), Some(names), Some(seen)) =
        (plan.signals.get(*index), names.get(*index), &pair.seen)
    else {
        return only_meaning;
    };
    let signal = signal.as_ref();
    let (found, detail) = found(signal, question, names, seen);
    Explained {
        phrase: signal.phrase(question, &found).unwrap_or_else(|| {
            if detail.is_empty() {
                only_meaning.phrase
            } else {
                format!("{} ({detail})", question.meaning)
            }
        }),
        detail,
    }
}

/// What was found, and as text of its own.
#[inline(never)]
fn found(
    signal: &dyn Signal,
    question: &Question,
    names: &NameTable,
    seen: &Seen,
) -> (Found, String) {
    let [baseline, candidate] = &seen.tokens;
    let mut found = Found::default();
    let mut label = |cut| found.cuts.push(signal.label(cut));
    let detail = match (question.rule, seen.cuts) {
        (Rule::Above { .. }, Some([lowest, highest])) => {
            label(lowest);
            if lowest < highest {
                label(highest);
            }
            format!("above {}", found.cuts.join(" to "))
        }
        (Rule::Outside { .. }, Some([low, high])) => {
            label(low);
            label(high);
            found.sides = [
                candidate.total_where(|code| code < low) > 0,
                candidate.total_where(|code| code > high) > 0,
            ];
            format!("outside {}", found.cuts.join(" to "))
        }
        (Rule::Lost { presence: needed }, _) => {
            let lost: Vec<(&String, [f64; 2])> = seen
                .required
                .iter()
                .map(|part| {
                    (
                        part,
                        seen.tokens.each_ref().map(|of| presence(of, names, part)),
                    )
                })
                .filter(|(_, [_, of_candidate])| *of_candidate < needed)
                .collect();
            // First what is most often there in the baseline and least often in the candidate.
            let apart: Vec<f64> = lost
                .iter()
                .map(|(_, shares)| shares[0] - shares[1])
                .collect();
            let order = crate::order::largest_first(&apart);
            let lost: Vec<&(&String, [f64; 2])> =
                order.iter().filter_map(|index| lost.get(*index)).collect();
            found.names = lost.iter().map(|(part, _)| (*part).clone()).collect();
            found.others = beyond(baseline, candidate, names, &seen.required);
            let shares: Vec<String> = lost
                .iter()
                .map(|(part, shares)| with_shares(part, *shares))
                .collect();
            format!("missing: {}", listed(&shares))
        }
        _ => {
            let (bad, usual) = (by_count(candidate), by_count(baseline));
            if signal.is_list() {
                let [usual, odd] = [&usual, &bad].map(|codes| most_usual(codes, names));
                (found.names, found.others) = (only_in(usual, odd), only_in(odd, usual));
                let words = [("without", &found.names), ("with", &found.others)];
                let words = words.iter().filter(|(_, parts)| !parts.is_empty());
                let words: Vec<String> = words
                    .map(|(what, parts)| format!("{what} {}", listed(parts)))
                    .collect();
                words.join("; ")
            } else {
                let name = |code: &u16| token_name(*code, names, signal);
                found.names = bad.iter().map(name).collect();
                found.others = usual.iter().take(1).map(name).collect();
                listed(&found.names)
            }
        }
    };
    (found, detail)
}

/// Which tokens of a signal became more frequent and which less; for lists, such as header names,
/// which of their parts. `changes` are those of the tokens' shares, the candidate's less the baseline's.
pub(super) fn changed(
    changes: impl Iterator<Item = (u16, f64)>,
    names: &NameTable,
    signal: &dyn Signal,
) -> String {
    let questions = signal.questions();
    let asks = |of: fn(&Rule) -> bool| questions.iter().any(|question| of(&question.rule));
    // For times and sizes the quantiles say more than the buckets.
    if asks(|rule| matches!(rule, Rule::Above { .. } | Rule::Outside { .. })) {
        return String::new();
    }
    let mut shares: Vec<(String, f64)> = Vec::new();
    for (code, change) in changes {
        let name = token_name(code, names, signal);
        let is_list = signal.is_list() && names.name(code).is_some();
        // The share of the answers with a part is the sum over the lists that have it.
        let parts = name.split(',').filter(|part| !part.is_empty());
        let parts: Vec<&str> = if is_list {
            parts.collect()
        } else {
            vec![&name]
        };
        for part in parts {
            match shares.iter_mut().find(|known| known.0 == part) {
                Some(known) => known.1 += change,
                None => shares.push((part.to_owned(), change)),
            }
        }
    }
    shares.retain(|(_, change)| change.abs() >= SMALLEST_CHANGE);
    crate::order::sort_by(&mut shares, |one, other| {
        other.1.abs().total_cmp(&one.1.abs())
    });
    let words = |what: &str, grew: bool| {
        let found: Vec<String> = shares
            .iter()
            .filter(|(_, change)| (*change > 0.0) == grew)
            .map(|(name, change)| format!("{name} ({:+.0} points)", 100.0 * change))
            .collect();
        (!found.is_empty()).then(|| format!("{what}: {}", listed(&found)))
    };
    let parts: Vec<String> = [words("less", false), words("more", true)]
        .into_iter()
        .flatten()
        .collect();
    parts.join("; ")
}

/// A name with its shares among the exchanges of baseline and candidate.
#[inline(never)]
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

/// The codes, the most frequent first.
#[inline(never)]
fn by_count(counts: &Counts) -> Vec<u16> {
    let codes: Vec<u16> = counts.iter().map(|(code, _)| code).collect();
    let counted: Vec<f64> = counts.iter().map(|(_, count)| f64::from(count)).collect();
    let order = crate::order::largest_first(&counted);
    order
        .iter()
        .filter_map(|index| codes.get(*index).copied())
        .collect()
}

/// The name of the first code that has one; empty where none has.
fn most_usual<'a>(by_count: &[u16], names: &'a NameTable) -> &'a str {
    by_count
        .iter()
        .find_map(|code| names.name(*code))
        .unwrap_or_default()
}

/// The parts of one list that another lacks.
#[inline(never)]
fn only_in(list: &str, other: &str) -> Vec<String> {
    list.split(',')
        .filter(|part| !part.is_empty() && !has(other, part))
        .map(str::to_owned)
        .collect()
}

/// The parts of the candidate's most frequent list that lacks a required part, which hardly any list of
/// the baseline has.
fn beyond(
    baseline: &Counts,
    candidate: &Counts,
    names: &NameTable,
    required: &[String],
) -> Vec<String> {
    let lists = by_count(candidate);
    let mut lists = lists.iter().filter_map(|code| names.name(*code));
    let Some(list) = lists.find(|list| required.iter().any(|part| !has(list, part))) else {
        return Vec::new();
    };
    let is_new = |part: &&str| !part.is_empty() && presence(baseline, names, part) < RARE;
    list.split(',').filter(is_new).map(str::to_owned).collect()
}

/// Whether a list has this part.
fn has(list: &str, part: &str) -> bool {
    list.split(',').any(|present| present == part)
}

/// Share of the exchanges whose list has this part.
#[inline(never)]
fn presence(counts: &Counts, names: &NameTable, part: &str) -> f64 {
    let with = counts.total_where(|code| names.name(code).is_some_and(|list| has(list, part)));
    with as f64 / counts.total().max(1) as f64
}
