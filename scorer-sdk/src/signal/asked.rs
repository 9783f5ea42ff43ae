//! Questions with the cuts that the baseline's past gives.

use super::question::{Question, Rule};
use super::{Direction, Signal};
use crate::sketch::names::OTHER;
use crate::sketch::{DecayedCounts, NameTable};

/// A question with its cut or set, frozen before the block that it is put to.
#[derive(Debug, Clone)]
pub enum Asked {
    /// The token says so by itself.
    Fixed(fn(u16) -> bool),
    /// Codes above this one.
    Above(u16),
    /// Codes below the first or above the second.
    Outside(u16, u16),
    /// Codes that are not in this sorted list.
    NotIn(Vec<u16>),
    /// Lists that lack a required part.
    Lacks {
        /// The required parts.
        required: Vec<String>,
        /// Codes of the known lists that lack one, sorted.
        codes: Vec<u16>,
    },
}

impl Asked {
    /// Freezes `question` with what the `baseline` did in the past; `None` while too little is
    /// known. `names` are those of the signal on this route, those of the coming block included.
    #[must_use]
    pub fn freeze(
        question: &Question,
        signal: &dyn Signal,
        baseline: &DecayedCounts,
        names: &NameTable,
    ) -> Option<Self> {
        let total = baseline.total();
        if total < question.needs {
            return None;
        }
        Some(match question.rule {
            Rule::Fixed(predicate) => Self::Fixed(predicate),
            Rule::Above { quantile } => {
                Self::Above(signal.widen(baseline.quantile(quantile)?, Direction::Up))
            }
            Rule::Outside { below, above } => Self::Outside(
                signal.widen(baseline.quantile(below)?, Direction::Down),
                signal.widen(baseline.quantile(above)?, Direction::Up),
            ),
            Rule::Unusual { share } => Self::NotIn(
                baseline
                    .iter()
                    .filter(|&(_, count)| f64::from(count) >= share * total)
                    .map(|(code, _)| code)
                    .collect(),
            ),
            Rule::Path => return None,
            Rule::Unlike { share } => Self::NotIn(most_usual(share, baseline)),
            Rule::Lost { presence } => {
                let required = required(presence, baseline, names);
                let lacking = names
                    .iter()
                    .filter(|(_, name)| lacks(name, &required))
                    .map(|(code, _)| code)
                    .collect();
                Self::Lacks {
                    required,
                    codes: lacking,
                }
            }
        })
    }

    /// The answer for one code.
    #[must_use]
    pub fn is_bad(&self, code: u16) -> bool {
        match self {
            Self::Fixed(predicate) => predicate(code),
            Self::Above(cut) => code > *cut,
            Self::Outside(low, high) => code < *low || code > *high,
            Self::NotIn(codes) => codes.binary_search(&code).is_err(),
            Self::Lacks { codes, .. } => codes.binary_search(&code).is_ok(),
        }
    }

    /// The answer for a name that need not be in the table.
    #[must_use]
    pub fn is_bad_name(&self, name: &str, names: &NameTable) -> bool {
        match self {
            Self::Lacks { required, .. } => lacks(name, required),
            _ => match names.iter().find(|(_, known)| *known == name) {
                Some((code, _)) => self.is_bad(code),
                None => self.is_bad(OTHER),
            },
        }
    }
}

/// The fewest codes that make up `share` of the baseline's exchanges, sorted.
fn most_usual(share: f64, baseline: &DecayedCounts) -> Vec<u16> {
    let goal = share * baseline.total();
    let mut by_count: Vec<(u16, f32)> = baseline.iter().collect();
    crate::order::sort_by(&mut by_count, |one, other| other.1.total_cmp(&one.1));
    let mut sum = 0.0;
    let mut codes: Vec<u16> = by_count
        .into_iter()
        .take_while(|(_, count)| {
            let more = sum < goal;
            sum += f64::from(*count);
            more
        })
        .map(|(code, _)| code)
        .collect();
    crate::order::sort(&mut codes);
    codes
}

/// Parts that at least `presence` of the baseline's exchanges had.
#[must_use]
pub fn required(presence: f64, baseline: &DecayedCounts, names: &NameTable) -> Vec<String> {
    let total = baseline.total();
    let mut parts: Vec<(&str, f64)> = Vec::new();
    for (code, name) in names.iter() {
        let count = baseline.get(code);
        for part in name.split(',').filter(|part| !part.is_empty()) {
            match parts.iter_mut().find(|known| known.0 == part) {
                Some(known) => known.1 += count,
                None => parts.push((part, count)),
            }
        }
    }
    // The parts of `other` are unknown: they count as present, so that a full table hides nothing
    // that was required before.
    let unknown = baseline.get(OTHER);
    parts
        .into_iter()
        .filter(|(_, count)| count + unknown >= presence * total && *count > unknown)
        .map(|(part, _)| part.to_owned())
        .collect()
}

fn lacks(name: &str, required: &[String]) -> bool {
    required
        .iter()
        .any(|part| !name.split(',').any(|present| present == part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::header_names::HeaderNameSet;

    fn question(rule: Rule) -> Question {
        Question::new("test", rule).needs(10.0)
    }

    fn past(items: &[(u16, f32)]) -> DecayedCounts {
        let mut counts = DecayedCounts::default();
        items
            .iter()
            .for_each(|&(code, count)| counts.add(code, count));
        counts
    }

    #[test]
    fn a_question_waits_until_enough_of_the_baseline_is_known() {
        let signal = HeaderNameSet::default();
        let ask = |past: &DecayedCounts| {
            Asked::freeze(
                &question(Rule::Above { quantile: 0.5 }),
                &signal,
                past,
                &NameTable::default(),
            )
        };
        assert!(ask(&past(&[(3, 9.0)])).is_none());
        assert!(matches!(ask(&past(&[(3, 10.0)])), Some(Asked::Above(3))));
    }

    #[test]
    fn a_set_that_lacks_what_stable_always_sends_is_lost() {
        let signal = HeaderNameSet::default();
        let mut names = NameTable::default();
        let full = names.code("cache-control,etag");
        let more = names.code("cache-control,etag,vary");
        let less = names.code("cache-control,vary");
        let asked = Asked::freeze(
            &question(Rule::Lost { presence: 0.995 }),
            &signal,
            &past(&[(full, 600.0), (more, 400.0)]),
            &names,
        )
        .unwrap();
        assert!(!asked.is_bad(full) && !asked.is_bad(more));
        assert!(asked.is_bad(less));
    }

    #[test]
    fn what_is_not_among_the_most_usual_tokens_is_unlike() {
        let asked = Asked::freeze(
            &question(Rule::Unlike { share: 0.5 }),
            &HeaderNameSet::default(),
            &past(&[(1, 40.0), (2, 35.0), (3, 25.0)]),
            &NameTable::default(),
        )
        .unwrap();
        assert!(!asked.is_bad(1) && !asked.is_bad(2));
        assert!(asked.is_bad(3) && asked.is_bad(OTHER));
    }

    #[test]
    fn a_token_that_stable_hardly_shows_is_unusual() {
        let signal = HeaderNameSet::default();
        let asked = Asked::freeze(
            &question(Rule::Unusual { share: 0.001 }),
            &signal,
            &past(&[(200, 9_999.0), (301, 1.0)]),
            &NameTable::default(),
        )
        .unwrap();
        assert!(!asked.is_bad(200));
        assert!(asked.is_bad(301) && asked.is_bad(302));
    }
}
