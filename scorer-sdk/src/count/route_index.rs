//! The index of a route in a worker's table.

/// A slot of a worker's table of routes. A route that is idle for long may be dropped and its slot
/// reused; the generation tells that this index is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteIndex {
    pub(super) slot: u32,
    pub(super) generation: u32,
}
