//! Rates and their log odds.

/// Rates are kept this far from 0 and 1, so that their odds exist.
const SMALLEST_RATE: f64 = 1e-9;

/// The log odds of a rate.
pub(super) fn logit(rate: f64) -> f64 {
    let rate = rate.clamp(SMALLEST_RATE, 1.0 - SMALLEST_RATE);
    (rate / (1.0 - rate)).ln()
}

/// The rate whose log odds are `shift` above those of `rate`.
pub(super) fn at_odds(rate: f64, shift: f64) -> f64 {
    let odds = (logit(rate) + shift).exp();
    (odds / (1.0 + odds)).clamp(SMALLEST_RATE, 1.0 - SMALLEST_RATE)
}
