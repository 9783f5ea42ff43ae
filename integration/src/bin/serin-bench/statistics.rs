//! Order statistics of a few dozen readings.

use serde_json::{Value, json};

/// Median and quartiles, with the extremes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// Smallest reading.
    pub(crate) least: f64,
    /// First quartile.
    pub(crate) lower: f64,
    /// Median.
    pub(crate) median: f64,
    /// Third quartile.
    pub(crate) upper: f64,
    /// Largest reading.
    pub(crate) most: f64,
}

impl Spread {
    /// Of some readings; zeros when there is none.
    pub(crate) fn of(readings: &[f64]) -> Self {
        let mut sorted = readings.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            least: quantile(&sorted, 0.0),
            lower: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper: quantile(&sorted, 0.75),
            most: quantile(&sorted, 1.0),
        }
    }

    /// As JSON, rounded to four places.
    pub(crate) fn json(&self) -> Value {
        let round = |number: f64| (number * 1e4).round() / 1e4;
        json!({
            "median": round(self.median),
            "quartiles": [round(self.lower), round(self.upper)],
            "range": [round(self.least), round(self.most)]
        })
    }
}

/// Linear between the two nearest readings.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = share * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or_default();
    let (below, above) = (at(index.floor()), at(index.ceil()));
    below + (above - below) * index.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_readings() {
        let spread = Spread::of(&[4.0, 1.0, 2.0, 3.0]);
        assert_eq!(
            (spread.least, spread.lower, spread.median),
            (1.0, 1.75, 2.5)
        );
        assert_eq!((spread.upper, spread.most), (3.25, 4.0));
        assert_eq!(Spread::of(&[7.0]).median, 7.0);
        assert_eq!(Spread::of(&[]).median, 0.0);
    }
}
