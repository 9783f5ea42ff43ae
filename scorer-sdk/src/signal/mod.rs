//! Signals: what is measured of an exchange, and what counts as a regression.
//!
//! A signal maps an exchange to a [`Token`] from a bounded set, such as its status. Its [`Question`]s
//! are failure conditions, such as "slower than stable's p95"; cuts and sets come from the baseline's
//! past ([`Asked`]). Each signal is one file, and all have the same anatomy. To add your own, implement
//! [`Signal`] and pass it to [`crate::config::Plan::with_signals`].

mod asked;
pub mod body_shape;
mod capability;
pub mod content_type;
pub mod fan_out;
mod found;
pub mod header_names;
pub mod latency;
pub mod next_call;
pub mod outcome;
mod question;
pub mod request;
pub mod size;

use crate::exchange::{Exchange, HeaderNames};
pub use asked::{Asked, required};
pub use capability::{Input, IsFailure, Quantity};
use core::hash::{BuildHasher, Hasher};
pub use found::{Found, listed};
pub use question::{Question, Rule};

/// A signal's value for one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A number with a fixed meaning: a status, a log bucket.
    Number(u16),
    /// The hash of a name; the name itself is asked for with [`Signal::describe`] when the hash is
    /// new, so that the hot path writes no text.
    Name(u64),
}

/// Hashes names, with a seed of the owner's choice: nobody must be able to choose keys that collide.
#[derive(Debug, Clone)]
pub struct NameHasher {
    state: foldhash::fast::FixedState,
}

impl NameHasher {
    /// A hasher with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: foldhash::fast::FixedState::with_seed(seed),
        }
    }

    /// The hash of a name.
    #[must_use]
    pub fn hash(&self, name: &str) -> u64 {
        self.state.hash_one(name)
    }

    /// The hash of several names in their order.
    #[must_use]
    pub fn hash_all<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> u64 {
        let mut hasher = self.state.build_hasher();
        for name in names {
            hasher.write(name);
            // Where one name ends and the next begins matters.
            hasher.write_usize(name.len());
        }
        hasher.finish()
    }

    /// The hash of a name that need not be text.
    #[must_use]
    pub fn hash_bytes(&self, name: &[u8]) -> u64 {
        self.state.hash_one(name)
    }
}

/// Whose doing a signal's tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client's: such a signal has no questions, and its change test is the balance check.
    Request,
    /// The version's.
    Response,
}

/// One way to look at an exchange.
pub trait Signal: Send + Sync {
    /// Name, as in the config and in metrics: lower case with underscores.
    fn name(&self) -> &'static str;

    /// Whose doing the tokens are.
    fn side(&self) -> Side {
        Side::Response
    }

    /// The questions put to this signal's tokens.
    fn questions(&self) -> Vec<Question>;

    /// The token of `exchange`; `None` when the exchange says nothing about this signal.
    fn read(&self, exchange: &Exchange<'_>, hasher: &NameHasher) -> Option<Token>;

    /// The header names that alone decide the token, beside whether there is one: then it is read
    /// once for each set of names. `None` where more is looked at.
    fn names<'a>(&self, exchange: &Exchange<'a>) -> Option<&'a dyn HeaderNames> {
        let _ = exchange;
        None
    }

    /// Appends the name behind a [`Token::Name`] of this exchange.
    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        let _ = (exchange, name);
    }

    /// The costly parts of an exchange that [`Signal::read`] looks at.
    fn inputs(&self) -> &'static [Input] {
        &[]
    }

    /// What the numbers measure, where they are log buckets ([`crate::sketch::buckets`]).
    fn quantity(&self) -> Option<Quantity> {
        None
    }

    /// Says which tokens are the server's failures, where every exchange has a token that tells.
    fn failures(&self) -> Option<IsFailure> {
        None
    }

    /// Says which tokens only an exchange has that failed as a whole: without a response, cut off, or
    /// with an error for its status. Where a worker does not look at all exchanges, those of such
    /// tokens are all found, and a [`Rule::Fixed`] question about nothing else keeps its power.
    fn failed(&self) -> Option<IsFailure> {
        None
    }

    /// Whether a name is a list of parts with commas between them, so that a difference is told in
    /// parts. By default so where a question is [`Rule::Lost`].
    fn is_list(&self) -> bool {
        self.questions()
            .iter()
            .any(|question| matches!(question.rule, Rule::Lost { .. }))
    }

    /// What the exchanges of a category do, for people, with what was found behind it: "lack the header
    /// etag". `None` where there is nothing to add to [`Question::meaning`] but the names.
    fn phrase(&self, question: &Question, found: &Found) -> Option<String> {
        let _ = (question, found);
        None
    }

    /// What a [`Token::Number`] means, for people.
    fn label(&self, code: u16) -> String {
        match self.quantity() {
            Some(quantity) => quantity.label(code),
            None => code.to_string(),
        }
    }

    /// Groups numbers for the change test, which has no tolerance and wants few, wide tokens. By
    /// default eight log buckets become one.
    fn group(&self, code: u16) -> u16 {
        match self.quantity() {
            Some(_) => code >> 3,
            None => code,
        }
    }

    /// The code of the bucket that holds `value` shifted by the tolerated margin; only signals whose
    /// questions ask for quantiles need it.
    fn widen(&self, code: u16, direction: Direction) -> u16 {
        let _ = direction;
        code
    }
}

/// To which side a cut is moved by the tolerated margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards smaller values.
    Down,
    /// Towards larger values.
    Up,
}
