//! The two arms of a comparison.

/// Which version served an exchange. The number is the arm's index wherever both arms are kept side
/// by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    Baseline = 0,
    Candidate = 1,
}
