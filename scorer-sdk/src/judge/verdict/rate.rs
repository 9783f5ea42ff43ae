//! How often exchanges of one arm were in a category.

use crate::wire::codec::{CodecError, Reader, Writer};
use core::fmt;
use serde::Serialize;

/// How often exchanges of one arm were in a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Rate {
    /// Exchanges in the category.
    pub inside: u64,
    /// All exchanges that the condition applied to. If a worker looked at only part of them and at every
    /// failure ([`crate::Sampling`]), an estimate.
    pub total: u64,
    /// If the total is such an estimate, the exchanges outside the category that it is based on.
    pub estimated_from: Option<u64>,
}

/// Fewest exchanges from which a total is estimated.
const LEAST_FOR_SHARE: u64 = 10;

impl Rate {
    /// So many of all in the category.
    #[must_use]
    pub fn new(inside: u64, total: u64) -> Self {
        Self {
            inside,
            total,
            estimated_from: None,
        }
    }

    /// The share in the category, 0 to 1; `None` if too little is known of the others.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        let is_known = self.total > 0
            && self
                .estimated_from
                .is_none_or(|others| others >= LEAST_FOR_SHARE);
        is_known.then(|| self.inside as f64 / self.total as f64)
    }

    /// Which part of a version's requests it is, for people: "12.5% of v2's requests (25 of 200)".
    #[inline(never)]
    pub(super) fn of_requests(self, noun: &str) -> String {
        let percent = self.percent();
        match (self.share(), self.estimated_from) {
            (Some(_), None) => format!(
                "{percent:.1}% of {noun} ({} of {})",
                self.inside, self.total
            ),
            (Some(_), Some(_)) => format!("about {percent:.1}% of {noun}"),
            (None, Some(_)) => format!("{} of {noun}", self.inside),
            (None, None) => format!("none of {noun}"),
        }
    }

    /// The percentage alone, or the number where there is none.
    #[inline(never)]
    pub(super) fn percentage(self) -> String {
        match self.share() {
            Some(share) => format!("{:.1}%", 100.0 * share),
            None => self.inside.to_string(),
        }
    }

    /// Exchanges outside of the category that were looked at.
    fn others(self) -> u64 {
        self.estimated_from
            .unwrap_or(self.total.saturating_sub(self.inside))
    }

    pub(in crate::judge) fn encode(self, writer: &mut Writer) {
        writer.u64(self.inside);
        writer.u64(self.total);
        writer.option(self.estimated_from.as_ref(), |others, writer| {
            writer.u64(*others);
        });
    }

    pub(in crate::judge) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            inside: reader.u64()?,
            total: reader.u64()?,
            estimated_from: reader.option(Reader::u64)?,
        })
    }

    /// Exchanges in the category per hundred.
    #[must_use]
    pub fn percent(self) -> f64 {
        100.0 * self.inside as f64 / self.total.max(1) as f64
    }
}

impl core::ops::Add for Rate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            inside: self.inside.saturating_add(other.inside),
            total: self.total.saturating_add(other.total),
            estimated_from: match (self.estimated_from, other.estimated_from) {
                (None, None) => None,
                _ => Some(self.others().saturating_add(other.others())),
            },
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.inside, self.total)
    }
}
