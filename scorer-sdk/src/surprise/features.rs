//! The values of an exchange: what the signals say of it.

use super::Value;
use crate::exchange::Exchange;
use crate::signal::{NameHasher, Signal, Token};

/// About how many tokens a signal's numbers could be.
const NUMBERS: u32 = 64;
/// About how many names there could be.
const NAMES: u32 = 1024;
/// The seed of features: the same in all workers.
const SEED: u64 = 0x5e_71_00;

/// The feature of this name.
#[must_use]
pub fn feature(name: &str) -> u64 {
    NameHasher::new(SEED).hash(name).max(1)
}

/// Reads values from exchanges, one for each signal, numbers in the signal's wide groups.
#[derive(Debug, Clone, Default)]
pub struct Features {
    /// Features in the order of the signals.
    features: Vec<u64>,
}

impl Features {
    /// The features of these signals.
    #[must_use]
    pub fn new(signals: &[Box<dyn Signal>]) -> Self {
        Self {
            features: signals
                .iter()
                .map(|signal| feature(signal.name()))
                .collect(),
        }
    }

    /// Appends the values of an exchange. `signals` are those that the features were made of.
    pub fn read(
        &self,
        signals: &[Box<dyn Signal>],
        exchange: &Exchange<'_>,
        hasher: &NameHasher,
        values: &mut Vec<Value>,
    ) {
        for (signal, feature) in signals.iter().zip(&self.features) {
            let value = |token, alphabet| Value {
                feature: *feature,
                token,
                alphabet,
                group: 0,
            };
            values.extend(signal.read(exchange, hasher).map(|token| match token {
                Token::Number(code) => value(u64::from(signal.group(code)), NUMBERS),
                Token::Name(hash) => value(hash, NAMES),
            }));
        }
    }

    /// The index of a feature among the signals.
    #[must_use]
    pub fn index(&self, feature: u64) -> Option<usize> {
        self.features.iter().position(|known| *known == feature)
    }
}
