//! What was found behind a category, and how it is said.

/// Most names that are listed; how many more there are is said behind them.
const MAX_LISTED: usize = 4;

/// What the exchanges of the candidate in a category have, since the difference began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Tokens in the category, the most frequent first. For [`Rule::Lost`](super::Rule::Lost), the parts
    /// that are missing: first what is most often there in the baseline and least often in the candidate.
    pub names: Vec<String>,
    /// Where a name is a list, the parts that the candidate has beyond the baseline's usual list; for
    /// other names, the baseline's most usual one.
    pub others: Vec<String>,
    /// For [`Rule::Above`](super::Rule::Above) and [`Rule::Outside`](super::Rule::Outside), the cuts
    /// as the signal writes them.
    pub cuts: Vec<String>,
    /// For [`Rule::Outside`](super::Rule::Outside), whether some are below and some above.
    pub sides: [bool; 2],
}

/// The first names with commas between them, and how many more there are.
#[must_use]
#[inline(never)]
pub fn listed(names: &[String]) -> String {
    let shown = names.get(..MAX_LISTED).unwrap_or(names).join(", ");
    match names.len().saturating_sub(MAX_LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_how_many_more_there_are() {
        let names = |count: usize| -> Vec<String> {
            ('a'..).take(count).map(|name| name.to_string()).collect()
        };
        assert_eq!(listed(&names(0)), "");
        assert_eq!(listed(&names(4)), "a, b, c, d");
        assert_eq!(listed(&names(6)), "a, b, c, d and 2 more");
    }
}
