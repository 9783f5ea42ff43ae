//! What goes in and what comes out.

/// One look at an exchange: a feature and what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// The feature, the same number in every worker: the hash of its name, never
    /// [`ROUTE`](super::ROUTE).
    pub feature: u64,
    /// What it was: a small number, or the hash of a name.
    pub token: u64,
    /// About how many tokens there could be: a token that nobody has seen has a share of one in these.
    pub alphabet: u32,
    /// Values of one group count as one term; 0 is in no group. For features that come once per
    /// call or per header: they hang together, so that their sum would count one cause many times.
    pub group: u16,
}

/// How much of an exchange is known. Each stage has a past of its own to rank in, so that little
/// known is not taken for little surprise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The headers of the response have come.
    Headers,
    /// It is over.
    End,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 2] = [Self::Headers, Self::End];
}

/// The most usual token of a feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// The token.
    pub token: u64,
    /// Its share, 0 to 1.
    pub share: f64,
}

/// What one value, or a group of values, adds to the surprise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// The feature; of a group, the one with the least probable value.
    pub feature: u64,
    /// The token.
    pub token: u64,
    /// The token's probability.
    pub probability: f64,
    /// The term, in bits.
    pub bits: f64,
    /// How many values of the group the term stands for; 1 without a group.
    pub values: u16,
}

/// How strange an exchange is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// The sum of the terms, in bits.
    pub bits: f64,
    /// How many bits it is above what the route has on average; negative where it is below.
    pub excess: f64,
    /// The share (0 to 1) of exchanges that are less strange. Little past is no ground for a high
    /// one: with `n` exchanges in the destination's past it stays below `1 − 1/(n + 1)`.
    pub percentile: f64,
    /// The terms, the largest first.
    pub terms: Vec<Term>,
}
