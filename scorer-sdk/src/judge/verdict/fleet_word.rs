//! What all proxies together say of a candidate.

/// The verdict of all proxies together on a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetWord {
    /// Their evidence is enough: it is anomalous.
    Condemn,
    /// Their evidence is less than half of what would be enough.
    Clear,
}
