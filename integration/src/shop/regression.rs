//! The ways in which a version can be worse, each switchable while it runs.
//!
//! What a regression does to time and status is in `behaviour`, what it does to the answer's
//! headers and body in `respond`, what it does to the version's own calls in `calls`.

use std::fmt;
use std::str::FromStr;

/// What is wrong with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Regression {
    /// Nothing: healthy.
    #[default]
    None,
    /// `GET /api/products/{id}` and `GET /api/cart/{id}` take three times as long.
    Latency,
    /// 8 % of `POST /api/checkout` and `GET /api/cart/{id}` answer 500.
    Errors,
    /// 10 % of `GET /api/products/{id}` have no answer within 30 s.
    Hang,
    /// `GET /api/products` answers three times as large.
    Size,
    /// `etag` and `cache-control` are missing on `GET /api/products/{id}`.
    Headers,
    /// `GET /api/products` says `text/html`.
    ContentType,
    /// `GET /api/products` names the price `cents_price`: the same status, time and size.
    LostField,
    /// `GET /api/products` has prices as strings.
    TypeChange,
    /// Every link of `GET /` leads back to it: the same status, time and size.
    RedirectLoop,
    /// Asks for the stock of each item, where one call does for all. Only instances that make calls
    /// have this fault and the next.
    NPlusOne,
    /// Does not ask whether the user may do that.
    SkippedAuth,
}

impl Regression {
    /// Every value, healthy first.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Latency,
        Self::Errors,
        Self::Hang,
        Self::Size,
        Self::Headers,
        Self::ContentType,
        Self::LostField,
        Self::TypeChange,
        Self::RedirectLoop,
        Self::NPlusOne,
        Self::SkippedAuth,
    ];

    /// The name that [`FromStr`] reads.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Latency => "latency",
            Self::Errors => "errors",
            Self::Hang => "hang",
            Self::Size => "size",
            Self::Headers => "headers",
            Self::ContentType => "content-type",
            Self::LostField => "lost-field",
            Self::TypeChange => "type-change",
            Self::RedirectLoop => "redirect-loop",
            Self::NPlusOne => "n-plus-one",
            Self::SkippedAuth => "skipped-auth",
        }
    }
}

/// What all is wrong with a version at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Regressions(u16);

impl Regressions {
    pub(super) fn of(regressions: &[Regression]) -> Self {
        let bits = regressions.iter().map(|regression| 1 << *regression as u8);
        Self(bits.fold(0, |all, bit| all | bit))
    }

    pub(super) fn has(self, regression: Regression) -> bool {
        self.0 & (1 << regression as u8) != 0
    }
}

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no regression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRegression(String);

impl fmt::Display for UnknownRegression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Regression::ALL.map(Regression::name).join(", ");
        write!(f, "unknown regression {:?}; use one of {names}", self.0)
    }
}

impl std::error::Error for UnknownRegression {}

impl FromStr for Regression {
    type Err = UnknownRegression;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL
            .into_iter()
            .find(|regression| regression.name() == text);
        known.ok_or_else(|| UnknownRegression(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Regression;

    #[test]
    fn every_name_reads_back_and_an_unknown_one_lists_the_known() {
        for regression in Regression::ALL {
            assert_eq!(regression.to_string().parse(), Ok(regression));
        }
        let error = "slow".parse::<Regression>().unwrap_err().to_string();
        assert!(
            error.contains("latency") && error.contains("content-type"),
            "{error}"
        );
    }
}
