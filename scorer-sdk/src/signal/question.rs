//! Questions: what would be bad about a token.

/// When a token counts as bad.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Rule {
    /// The token says so by itself.
    Fixed(fn(u16) -> bool),
    /// The token is above a quantile of the baseline, widened by the signal's margin.
    Above {
        /// Which quantile, 0 to 1.
        quantile: f64,
    },
    /// The token is outside a range between two quantiles of the baseline, widened by the signal's
    /// margin.
    Outside {
        /// Quantile at the lower end, 0 to 1: what is below it is bad.
        below: f64,
        /// Quantile at the upper end, 0 to 1: what is above it is bad.
        above: f64,
    },
    /// Hardly any exchange of the baseline had the token.
    Unusual {
        /// Share of the baseline's exchanges, 0 to 1, from which on a token is usual.
        share: f64,
    },
    /// The token is not among the baseline's most usual ones.
    Unlike {
        /// Share of the baseline's exchanges, 0 to 1, that the most usual tokens make up together.
        share: f64,
    },
    /// Asked of each path of the body and not of tokens.
    Path,
    /// The token is a list of parts, separated by commas, and lacks a part that nearly all of the
    /// baseline's exchanges had.
    Lost {
        /// Share of the baseline's exchanges, 0 to 1, from which on a part is required.
        presence: f64,
    },
}

/// A yes/no question whose truth would be bad. The metrics call it a *category*.
///
/// ```
/// use scorer_sdk::{Question, Rule};
///
/// let question = Question::new("slow_p95", Rule::Above { quantile: 0.95 })
///     .tolerance(2.0)
///     .weight(0.15)
///     .bursty()
///     .meaning("are slower than the baseline's 95th percentile");
/// assert_eq!(question.needs, 100.0);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Question {
    /// Name of the category: unique among all signals.
    pub name: &'static str,
    /// When the answer is yes.
    pub rule: Rule,
    /// Odds ratio up to which a difference is tolerated, where the config does not say otherwise.
    pub tolerance: f64,
    /// Share of the evidence, relative to the other questions.
    pub weight: f64,
    /// Baseline exchanges of the past that are needed before the question can be put.
    pub needs: f64,
    /// Whether the category comes in bursts that hit one arm by chance, as slow exchanges do when a
    /// pod collects garbage: one tick then counts for less.
    pub bursty: bool,
    /// For people: what exchanges in this category do, as in "10% of them fail".
    pub meaning: &'static str,
}

impl Question {
    /// A question with this name and rule. It tolerates an odds ratio of 2, weighs 0.05, and waits
    /// for 100 exchanges of the baseline; [`Rule::Fixed`] takes nothing from the past and does not
    /// wait.
    #[must_use]
    pub const fn new(name: &'static str, rule: Rule) -> Self {
        Self {
            name,
            rule,
            tolerance: 2.0,
            weight: 0.05,
            needs: match rule {
                Rule::Fixed(_) => 0.0,
                _ => 100.0,
            },
            bursty: false,
            meaning: "are in this category",
        }
    }

    /// Sets the odds ratio up to which a difference is tolerated, 1 or more.
    #[must_use]
    pub const fn tolerance(mut self, odds_ratio: f64) -> Self {
        self.tolerance = odds_ratio;
        self
    }

    /// Sets the share of the evidence, relative to the other questions of the plan. The built-in
    /// questions that are on by default add up to about 1.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Sets how many exchanges of the baseline must be remembered before the question is put.
    #[must_use]
    pub const fn needs(mut self, exchanges: f64) -> Self {
        self.needs = exchanges;
        self
    }

    /// Says that the category comes in bursts that hit one arm by chance.
    #[must_use]
    pub const fn bursty(mut self) -> Self {
        self.bursty = true;
        self
    }

    /// Sets what exchanges in this category do, for people: "fail", as in "10% of them fail".
    #[must_use]
    pub const fn meaning(mut self, meaning: &'static str) -> Self {
        self.meaning = meaning;
        self
    }
}
