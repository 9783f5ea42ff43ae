//! The moment estimator of DerSimonian and Laird ("Meta-analysis in clinical trials", 1986): the
//! variance between units, of whose deviations each has a precision.

/// Sums over units.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    weights: f64,
    squares: f64,
    first: f64,
    second: f64,
    count: f64,
    told: f64,
}

impl Moments {
    /// Adds a unit's deviation and the inverse of the variance that chance gives it. A unit counts as a
    /// degree of freedom as far as it could tell a deviation of `told_apart` from chance.
    pub(super) fn add(&mut self, deviation: f64, precision: f64, told_apart: f64) {
        self.weights += precision;
        self.squares += precision * precision;
        self.first += precision * deviation;
        self.second += precision * deviation * deviation;
        self.count += 1.0;
        self.told += (precision / (precision + told_apart.powi(-2))).powi(2);
    }

    /// The variance between units, 0 or more; 0 where there is one.
    pub(super) fn variance(&self) -> f64 {
        if self.count <= 1.0 {
            return 0.0;
        }
        let scatter = self.second - self.first * self.first / self.weights;
        ((scatter - (self.count - 1.0)) / (self.weights - self.squares / self.weights)).max(0.0)
    }

    /// Degrees of freedom behind it: one unit says nothing about how units differ.
    pub(super) fn freedom(&self) -> f64 {
        (self.told * (self.count - 1.0) / f64::max(self.count, 1.0)).max(0.0)
    }
}
